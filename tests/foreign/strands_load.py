"""The peer beside us in the load benchmark: strands-agents with doubles for model and tools.

A supervisor asks three specialists, one after the other, and answers; each specialist calls one tool
and answers: 10 model turns and 6 tool calls an incident. New agents for each incident, as a service
would have. Prints processor time an incident and the most memory that was used.
"""

import resource
import sys
import time

from strands import Agent, tool
from strands.models.model import Model

INCIDENTS = 200
FOUND = {
    "patterns": [
        {"template": "GET <*> failed: connection refused", "count": 73, "change": "new", "status": "ongoing"}
    ]
}
TURNS = CALLS = 0


class Double(Model):
    """Calls its tools in order, one a turn, then answers."""

    def __init__(self, script):
        self.script = list(script)

    def update_config(self, **_):
        pass

    def get_config(self):
        return {"model_id": "double"}

    def structured_output(self, *_, **__):
        raise NotImplementedError

    async def stream(self, messages, tool_specs=None, system_prompt=None, **_):
        global TURNS
        TURNS += 1
        turn = sum(message["role"] == "assistant" for message in messages)
        yield {"messageStart": {"role": "assistant"}}
        if turn < len(self.script):
            name, arguments = self.script[turn]
            use = {"toolUseId": f"t{turn}", "name": name}
            yield {"contentBlockStart": {"start": {"toolUse": use}}}
            yield {"contentBlockDelta": {"delta": {"toolUse": {"input": arguments}}}}
            yield {"contentBlockStop": {}}
            yield {"messageStop": {"stopReason": "tool_use"}}
        else:
            yield {"contentBlockStart": {"start": {}}}
            yield {"contentBlockDelta": {"delta": {"text": "73 errors; prices-api refuses connections."}}}
            yield {"contentBlockStop": {}}
            yield {"messageStop": {"stopReason": "end_turn"}}
        usage = {"inputTokens": 4000, "outputTokens": 200, "totalTokens": 4200}
        yield {"metadata": {"usage": usage, "metrics": {"latencyMs": 1}}}


@tool
def error_patterns(service: str) -> dict:
    """What went wrong in the logs of a service."""
    global CALLS
    CALLS += 1
    return {"status": "success", "content": [{"json": FOUND}]}


def specialist(name):
    """A specialist as a tool of the supervisor."""

    def ask(question: str) -> str:
        """Looks closer at one side of an incident."""
        global CALLS
        CALLS += 1
        model = Double([("error_patterns", '{"service": "basket"}')])
        agent = Agent(model=model, tools=[error_patterns], system_prompt="You look.", callback_handler=None)
        return str(agent(question))

    ask.__name__ = name
    return tool(ask)


SPECIALISTS = [specialist(name) for name in ("log_analyst", "deploy_correlator", "metrics_analyst")]


def incident():
    script = [(one.tool_name, '{"question": "what went wrong?"}') for one in SPECIALISTS]
    agent = Agent(model=Double(script), tools=SPECIALISTS, system_prompt="You decide.", callback_handler=None)
    return str(agent("basket-5xx is in ALARM since 02:10"))


def main():
    incident()
    if (TURNS, CALLS) != (10, 6):
        sys.exit(f"{TURNS} turns and {CALLS} tool calls are not the shape that is compared")
    before = time.process_time()
    for _ in range(INCIDENTS):
        incident()
    cpu = (time.process_time() - before) * 1000 / INCIDENTS
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{cpu:.1f} ms CPU an incident, {memory:.0f} MB")


main()
