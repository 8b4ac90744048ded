"""The MCP inspector, an independent client on Node, lists the tools of every server on both transports, and calls one."""

import json
import os
import subprocess

import stack

check = stack.Checks("mcp inspector")
NODE = os.environ["MIDWATCH_NODE"]
INSPECTOR = os.environ["MIDWATCH_INSPECTOR"]


def inspect(*arguments, env):
    done = subprocess.run(
        [NODE, INSPECTOR, "--cli", *arguments], env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        timeout=120,
    )
    check(done.returncode == 0, f"inspector {arguments[-4:]} ended with {done.returncode}: {done.stderr[-400:]}")
    try:
        return json.loads(done.stdout)
    except ValueError:
        check(False, f"inspector printed no JSON: {done.stdout[:300]!r}")
        return {}


def tools(*where, env):
    listed = inspect(*where, "--method", "tools/list", "--format", "json", env=env)
    return {tool["name"] for tool in listed.get("tools", listed.get("result", {}).get("tools", []))}


def own(binary, env):
    """What the server itself says that it has."""
    said = subprocess.run([binary, "--list-tools"], env=env, capture_output=True, text=True, check=True, timeout=30)
    return {tool["name"] for tool in json.loads(said.stdout)}


with stack.world() as world:
    # The inspector has a --catalog of its own, so ours is named by the environment.
    env = stack.aws_env(world.endpoint) | {
        "PATH": os.path.dirname(NODE) + ":" + os.environ["PATH"],
        "MIDWATCH_CATALOG": str(world.catalog),
        "MIDWATCH_RUNBOOKS": world.runbooks,
    }
    for server in stack.SERVERS:
        binary = str(stack.BIN / f"midwatch-{server}")
        there = own(binary, env)
        check(there, f"{server} has tools")
        listed = tools(binary, env=env)
        check(listed == there, f"{server}: stdio lists {sorted(listed)}, there are {sorted(there)}")
        with stack.http_server(server, world.catalog, env, world.runbooks) as url:
            http = [url, "--header", f"Authorization: Bearer {stack.TOKEN}", "--protocol-era", "auto"]
            listed = tools(*http, env=env)
            check(listed == there, f"{server}: http lists {sorted(listed)}, there are {sorted(there)}")
            if server != "runbooks":
                continue
            found = inspect(
                *http, "--method", "tools/call", "--tool-name", "search_runbooks",
                "--tool-arg", "query=connection pool exhausted", "--format", "json", env=env,
            )
            text = json.dumps(found)
            check('"hits"' in text and "runbook_id" in text, f"http finds runbooks: {text[:300]}")
check.end()
