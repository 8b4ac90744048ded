"""The prompts against a real, very small model, through ministack's Converse proxy.

It answers rubbish: invented tools, absurd arguments, prose. Whatever it says, the run ends in a
report, every fact has evidence, and nothing in the world was changed.
"""

import json
import os
import pathlib
import subprocess
import tempfile

import stack

check = stack.Checks("small model")
LLAMA = pathlib.Path(os.environ["MIDWATCH_LLAMA"])
VERDICTS = {"real", "transient", "unclear"}
SCENARIOS = sorted(p.parent for p in (stack.ROOT / "compose" / "scenarios").glob("*/scenario.toml"))


def llama(work):
    port = stack.free_port()
    command = [
        LLAMA / "llama-server", "-m", LLAMA / "model.gguf", "--jinja", "-c", "8192", "-t", "1",
        "--host", "127.0.0.1", "--port", port,
    ]
    return port, stack.process(command, dict(os.environ), pathlib.Path(work, "llama.log"))


def triage(world, bedrock, work):
    alarm = pathlib.Path(work, "alarm.json")
    alarm.write_text(json.dumps(world.alarm))
    env = stack.aws_env(world.endpoint, AWS_ENDPOINT_URL_BEDROCK_RUNTIME=bedrock)
    command = [
        stack.BIN / "midwatch", "triage", alarm, "--catalog", world.catalog, "--runbooks", world.runbooks,
        "--model", "bedrock", "--format", "json", "--store", pathlib.Path(work, "incidents.db"),
    ]
    return subprocess.run(
        [str(c) for c in command], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900
    )


calls = 0
with tempfile.TemporaryDirectory() as work:
    port, server = llama(work)
    with server as child:
        child.stdout.close()
        stack.wait_for(f"http://127.0.0.1:{port}/health", child, 120)
        with stack.ministack(MINISTACK_BEDROCK_PROXY_URL=f"http://127.0.0.1:{port}") as bedrock:
            for scenario in SCENARIOS[:: max(1, len(SCENARIOS) // 3)]:
                with stack.world(scenario) as world:
                    done = triage(world, bedrock, work)
                    where = f"{scenario.name}"
                    try:
                        run = json.loads(done.stdout)
                    except ValueError:
                        check(False, f"{where}: a report, got {done.stdout[:200]!r} {done.stderr[-600:]!r}")
                        continue
                    check(run["verdict"] in VERDICTS, f"{where}: verdict {run['verdict']}")
                    check(run["actions"] == [], f"{where}: no action, got {run['actions']}")
                    for claim in run["claims"]:
                        check(
                            claim["kind"] == "guess" or claim["evidence"], f"{where}: a fact without evidence: {claim}"
                        )
                    calls += run["usage"]["model_calls"]
                    print(f"  {where}: {run['verdict']}, {json.dumps(run['usage'])}", flush=True)
                    mutations = world.stop_and_list_mutations()
                    check(mutations == [], f"{where}: nothing was changed: {mutations}")
check(calls > 0, "the model was asked")
check.end()
