"""The MCP inspector, an independent client on Node, lists and calls the tools of one server."""

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


with stack.world() as world:
    # The inspector has a --catalog of its own, so ours is named by the environment.
    env = stack.aws_env(world.endpoint) | {
        "PATH": os.path.dirname(NODE) + ":" + os.environ["PATH"],
        "MIDWATCH_CATALOG": str(world.catalog),
        "MIDWATCH_RUNBOOKS": world.runbooks,
    }
    command = [str(stack.BIN / "midwatch-runbooks")]
    listed = inspect(*command, "--method", "tools/list", "--format", "json", env=env)
    names = {tool["name"] for tool in listed.get("tools", listed.get("result", {}).get("tools", []))}
    check({"search_runbooks", "get_runbook"} <= names, f"stdio lists {names}")
    with stack.http_server("runbooks", world.catalog, env, world.runbooks) as url:
        found = inspect(
            url, "--header", f"Authorization: Bearer {stack.TOKEN}", "--protocol-era", "auto",
            "--method", "tools/call", "--tool-name", "search_runbooks",
            "--tool-arg", "query=connection pool exhausted", "--format", "json", env=env,
        )
        text = json.dumps(found)
        check('"hits"' in text and "runbook_id" in text, f"http finds runbooks: {text[:300]}")
check.end()
