"""The official MCP conformance suite, in both eras of the protocol, on every server.

What needs no tool, resource or prompt of a given name has to pass on each product server. The rest has to
pass on a server that has those and is served by the same code (mcp-servers/kit/examples/conformance.rs).
What no Midwatch server offers is named below with its reason; a scenario that is in none of the lists fails.
"""

import json
import os
import pathlib
import re
import subprocess
import tempfile

import stack

check = stack.Checks("mcp conformance")
NODE = os.environ["MIDWATCH_NODE"]
SUITE = os.environ["MIDWATCH_CONFORMANCE"]
ERAS = ["2025-11-25", "2026-07-28"]

GENERAL = {
    "server-initialize", "ping", "completion-complete", "tools-list", "resources-list", "prompts-list",
    "server-sse-multiple-streams", "server-session-lifecycle", "server-sse-polling", "caching",
    "sep-2164-resource-not-found", "dns-rebinding-protection", "http-header-validation", "server-stateless",
}
FIXTURES = {
    "tools-call-simple-text", "tools-call-image", "tools-call-audio", "tools-call-embedded-resource",
    "tools-call-mixed-content", "tools-call-error", "tools-call-with-progress", "resources-read-text",
    "resources-read-binary", "resources-templates-read", "prompts-get-simple", "prompts-get-with-args",
    "prompts-get-embedded-resource", "prompts-get-with-image",
}
# What an era has; the suite runs everything else in both.
ONLY = {
    "2025-11-25": {"ping", "server-initialize", "server-session-lifecycle", "server-sse-polling"},
    "2026-07-28": {"caching", "http-header-validation", "sep-2164-resource-not-found", "server-stateless"},
}
# Beginnings of names. None of these is a "not yet".
NOT_OFFERED = {
    "logging-set-level": "deprecated; an operator's log goes to stderr",
    "tools-call-with-logging": "the same",
    "resources-subscribe": "runbooks are read anew with each call",
    "resources-unsubscribe": "the same",
    "tools-call-sampling": "a server never asks the client's model",
    "tools-call-elicitation": "a server never asks through the client: an answer from there unlocks nothing",
    "elicitation-": "the same",
    "input-required-result-": "the same, in the newer era",
    "tasks-": "an extension; calls end within two minutes",
    "json-schema-2020-12": "wants a tool with a schema of its own",
    "http-custom-header-server-validation": "wants a tool with header arguments; no tool has any",
}


def run_suite(url, era):
    """What the suite found: the checks by scenario."""
    with tempfile.TemporaryDirectory() as out:
        done = subprocess.run(
            [NODE, SUITE, "server", "--url", url, "--requirements", era, "-o", out],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        )
        found = {}
        for checks in pathlib.Path(out).glob("server-*/checks.json"):
            # The directory is named server-SCENARIO-TIME, the time as in 2026-11-21T23-45-16-209Z.
            scenario = re.sub(r"-\d{4}-\d\d-\d\dT.*$", "", checks.parent.name.removeprefix("server-"))
            found[scenario] = json.loads(checks.read_text())
    check(len(found) > 20, f"{era}: the suite ran {len(found)} scenarios: {done.stderr[-400:]}")
    return found


def passes(where, checks, diagnostics):
    """Diagnostics: whether the server has the tools that some checks of a general scenario call."""
    failed = []
    for one in checks:
        untestable = (one.get("details") or {}).get("untestable")
        if one["status"] == "FAILURE" and (diagnostics or not untestable):
            failed.append(f"{one['id']}: {one.get('errorMessage')}")
    check(not failed, f"{where}: {'; '.join(failed)}")


def held_to(name, url, wanted, diagnostics):
    for era in ERAS:
        found = run_suite(url, era)
        others = set().union(*(only for of, only in ONLY.items() if of != era))
        lost = wanted - others - found.keys()
        check(not lost, f"{name} {era}: the suite no longer runs {sorted(lost)}: renamed, dropped, or broken?")
        for scenario in sorted(wanted & found.keys()):
            passes(f"{name} {era} {scenario}", found[scenario], diagnostics)
        if diagnostics:
            for scenario in sorted(found.keys() - wanted):
                known = any(scenario.startswith(begin) for begin in NOT_OFFERED)
                check(known, f"{scenario} of {era} is new: is it general, a fixture, or not offered?")


with stack.world() as world:
    env = stack.aws_env(world.endpoint)
    for server in stack.SERVERS:
        # The suite cannot present a token; on the loopback none is needed.
        with stack.http_server(server, world.catalog, env, world.runbooks, token=None) as url:
            held_to(server, url, GENERAL, diagnostics=False)

port = stack.free_port()
fixture = [stack.BIN / "examples" / "conformance", f"127.0.0.1:{port}"]
with tempfile.TemporaryDirectory() as work:
    with stack.process(fixture, dict(os.environ), pathlib.Path(work, "log")) as child:
        url = f"http://127.0.0.1:{port}/mcp"
        stack.wait_for(url, child)
        held_to("fixtures", url, GENERAL | FIXTURES, diagnostics=True)
check.end()
