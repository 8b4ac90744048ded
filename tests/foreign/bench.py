"""Start, memory, speed and what reaches the model: each of our servers beside the CloudWatch server of
awslabs, in one run, on the same machine, with the same world as AWS.

Prints two tables. Nothing here passes or fails: figures of a machine are read, not asserted.
"""

import concurrent.futures
import contextlib
import datetime
import http.client
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import tomllib

import stack

PEER = pathlib.Path(os.environ["MIDWATCH_PEERS"], "bin", "awslabs.cloudwatch-mcp-server")
STARTS, CALLS, AT_ONCE = 5, 1000, 16
HELLO = {
    "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"},
}


# What agent clients put before a model of a tool; they keep the schema of its result to themselves.
FOR_A_MODEL = ["name", "description", "inputSchema"]


def bytes_of(tools, fields=None):
    seen = [{key: tool[key] for key in fields or tool if key in tool} for tool in tools]
    return len(json.dumps(seen, separators=(",", ":")).encode())


class Stdio:
    """One server on stdio, spoken to line by line, so that the client's own cost is small."""

    def __init__(self, command, env):
        self.begun = time.perf_counter()
        self.child = subprocess.Popen(
            [str(part) for part in command], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        self.number = 0
        self.ask("initialize", HELLO)
        self.send({"jsonrpc": "2.0", "method": "notifications/initialized"})
        self.tools = self.ask("tools/list", {})["result"]["tools"]
        self.start = time.perf_counter() - self.begun

    def send(self, message):
        self.child.stdin.write(json.dumps(message).encode() + b"\n")
        self.child.stdin.flush()

    def begin(self, method, params):
        self.number += 1
        self.send({"jsonrpc": "2.0", "id": self.number, "method": method, "params": params})

    def answer(self):
        while line := self.child.stdout.readline():
            message = json.loads(line)
            if "id" in message and "method" not in message:
                return message
        raise SystemExit(f"{self.child.args[0]} ended before it answered")

    def ask(self, method, params):
        self.begin(method, params)
        return self.answer()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.child.stdin.close()
        try:
            self.child.wait(10)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


def memory(child, field):
    """Megabytes of a process and of those below it: VmRSS now, VmHWM at most."""
    kilobytes, todo = 0, [child.pid]
    while todo:
        pid = todo.pop()
        with contextlib.suppress(OSError):
            status = pathlib.Path(f"/proc/{pid}/status").read_text()
            kilobytes += int(status.split(field + ":")[1].split()[0])
            todo += map(int, pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    return kilobytes / 1024


def timed(call, count):
    """Milliseconds of each call, one after another."""
    took = []
    for _ in range(count):
        begun = time.perf_counter()
        call()
        took.append(1000 * (time.perf_counter() - begun))
    return sorted(took)


def at(share, took):
    return took[min(len(took) - 1, int(share * len(took)))]


def over_stdio(command, env):
    starts = []
    for _ in range(STARTS):
        with Stdio(command, env) as server:
            starts.append(server.start)
    with Stdio(command, env) as server:
        time.sleep(1)
        idle = memory(server.child, "VmRSS")
        took = timed(lambda: server.ask("tools/list", {}), CALLS)
        begun = time.perf_counter()
        for number in range(CALLS + AT_ONCE):
            if number < CALLS:
                server.begin("tools/list", {})
            if number >= AT_ONCE:
                server.answer()
        rate = CALLS / (time.perf_counter() - begun)
        return {
            "start": 1000 * statistics.median(starts), "idle": idle, "loaded": memory(server.child, "VmHWM"),
            "p50": at(0.5, took), "p99": at(0.99, took), "rate": rate,
            "tools": len(server.tools), "schema": bytes_of(server.tools, FOR_A_MODEL), "listed": bytes_of(server.tools),
        }


def over_http(name, catalog, env, runbooks):
    with stack.http_server(name, catalog, env, runbooks) as url:
        port = int(url.split(":")[2].split("/")[0])
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}})
        headers = {
            "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
            "Authorization": f"Bearer {stack.TOKEN}", "MCP-Protocol-Version": "2025-11-25",
        }

        def caller():
            connection = http.client.HTTPConnection("127.0.0.1", port)

            def call():
                connection.request("POST", "/mcp", body, headers)
                answer = connection.getresponse()
                if answer.status != 200 or b'"tools"' not in answer.read():
                    raise SystemExit(f"{name} answered {answer.status} over HTTP")

            return call

        took = timed(caller(), CALLS)
        callers = [caller() for _ in range(AT_ONCE)]
        begun = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(lambda call: timed(call, CALLS // AT_ONCE), callers))
        return {"p50": at(0.5, took), "p99": at(0.99, took), "rate": CALLS / (time.perf_counter() - begun)}


def handed_over(command, env, calls):
    """Bytes of content that the calls put before a model, and how long they took."""
    with Stdio(command, env) as server:
        size = 0
        begun = time.perf_counter()
        for tool, arguments in calls:
            answer = server.ask("tools/call", {"name": tool, "arguments": arguments})
            result = answer.get("result", {})
            if result.get("isError") or "error" in answer:
                print(f"  {tool} failed: {json.dumps(answer)[:300]}", file=sys.stderr)
                return None
            size += sum(len(block.get("text", "").encode()) for block in result["content"])
        return size, time.perf_counter() - begun


def main():
    with stack.world() as world:
        env = stack.aws_env(world.endpoint) | {
            "FASTMCP_LOG_LEVEL": "ERROR", "MIDWATCH_LOG": "off",
            # The peer keeps no rate towards AWS, and what would be measured is ours.
            "MIDWATCH_AWS_CALLS_PER_SECOND": "0",
        }
        rows = {}
        for name in stack.SERVERS:
            command = stack.server_command(name, world.catalog, world.runbooks)
            rows[name] = (over_stdio(command, env), over_http(name, world.catalog, env, world.runbooks))
        peer = over_stdio([PEER], env)

        print(f"{'':24}{'start':>9}{'idle':>8}{'loaded':>8}{'tools':>7}{'to model':>10}{'listed':>9}"
              f"{'stdio p50':>11}{'p99':>8}{'calls/s':>9}{'HTTP p50':>10}{'p99':>8}{'calls/s':>9}")

        def row(name, stdio, web=None):
            text = (f"{name:24}{stdio['start']:6.1f} ms{stdio['idle']:5.1f} MB{stdio['loaded']:5.1f} MB"
                    f"{stdio['tools']:7}{stdio['schema'] / 1000:7.1f} kB{stdio['listed'] / 1000:6.1f} kB"
                    f"{stdio['p50']:8.3f} ms{stdio['p99']:8.3f}{stdio['rate']:9.0f}")
            print(text + (f"{web['p50']:7.3f} ms{web['p99']:8.3f}{web['rate']:9.0f}" if web else f"{'-':>10}"))

        for name, (stdio, web) in rows.items():
            row(f"midwatch-{name}", stdio, web)
        row("awslabs.cloudwatch 0.3.1", peer)
        ours = [stdio for stdio, _ in rows.values()]
        print(f"\nall tools of ours put {sum(s['schema'] for s in ours) / 1000:.1f} kB before a model "
              f"(of {sum(s['listed'] for s in ours) / 1000:.1f} kB that tools/list sends, with the schemas of results), "
              f"the peer's {peer['schema'] / 1000:.1f} kB (of {peer['listed'] / 1000:.1f} kB)")
        print(f"the slowest of ours starts {peer['start'] / max(s['start'] for s in ours):.0f} times faster, the "
              f"largest idles in 1/{peer['idle'] / max(s['idle'] for s in ours):.0f} of the memory")

        # The same questions of an incident: what fires, what do the logs say, since when.
        alarm = world.alarm["detail"]["alarmName"]
        fired = datetime.datetime.fromisoformat(world.alarm["time"].replace("Z", "+00:00"))
        begin, end = ((fired + datetime.timedelta(minutes=m)).strftime("%Y-%m-%dT%H:%M:%SZ") for m in (-30, 0))
        services = tomllib.loads(world.catalog.read_text())["service"]
        groups = next(s for s in services if s["name"] == "checkout-api")["log_groups"]
        questions = {
            "which errors, since when": (
                ("logs", [("error_patterns", {"service": "checkout-api", "from": begin, "to": end})]),
                [("execute_log_insights_query", {
                    "log_group_names": groups, "start_time": begin, "end_time": end,
                    "query_string": "fields @timestamp, @message | filter @message like /ERROR/ | limit 100",
                })],
            ),
            "what is this alarm": (
                ("metrics", [("get_alarm", {"alarm_name": alarm})]),
                [("get_active_alarms", {})],
            ),
            "how did it come here": (
                ("metrics", [("alarm_history", {"alarm_name": alarm, "from": begin, "to": end})]),
                [("get_alarm_history", {"alarm_name": alarm, "start_time": begin, "end_time": end})],
            ),
        }
        print(f"\n{'the same question':28}{'ours':>10}{'tokens':>8}{'the peer':>11}{'tokens':>8}{'ratio':>7}"
              "   (tokens estimated as bytes / 4)")
        for question, ((name, own), theirs) in questions.items():
            mine = handed_over(stack.server_command(name, world.catalog, world.runbooks), env, own)
            other = handed_over([PEER], env, theirs)
            if mine and other:
                print(f"{question:28}{mine[0]:8} B{mine[0] // 4:8}{other[0]:9} B{other[0] // 4:8}"
                      f"{other[0] / mine[0]:7.1f}   in {mine[1]:.2f} s, {other[1]:.2f} s")


main()
