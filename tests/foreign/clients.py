"""The Python MCP client lists and calls every tool of every server, over stdio and over HTTP with a
bearer token, with the world as its AWS. Mutating tools have to refuse, and nothing may change. What was
called at AWS is held against the IAM policy that each binary prints.
"""

import asyncio
import datetime
import json
import subprocess
import tomllib
import urllib.error
import urllib.request

import httpx2
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

import stack

check = stack.Checks("python mcp client")
SERVICE = "checkout-api"
ALARM = None
FROM = TO = ONSET = None


def calls(server, deployment, group):
    """Every tool with arguments that make sense in the scenario."""
    window = {"from": FROM, "to": TO}
    return {
        "logs": {
            "error_patterns": {"service": SERVICE, **window},
            "log_query": {"log_groups": [group], "query": "fields @timestamp, @message | limit 5", **window},
            "log_context": None,
            "log_groups": {"service": SERVICE},
        },
        "metrics": {
            "get_alarm": {"alarm_name": ALARM},
            "alarm_history": {"alarm_name": ALARM, **window},
            "metric_window": {"service": SERVICE, "role": "traffic", **window},
            "list_alarms": {"service": SERVICE},
        },
        "deployments": {
            "list_deployments": {"service": SERVICE, **window},
            "what_changed": {"service": SERVICE, "deployment_id": deployment},
            "correlate": {"service": SERVICE, "onset": ONSET},
            "service_health": {"service": SERVICE},
        },
        "runbooks": {
            "search_runbooks": {"query": "connection pool exhausted"},
            "get_runbook": None,
        },
        "workflows": {
            "list_executions": {"service": SERVICE, **window},
            "explain_failure": {"service": SERVICE, **window},
            "compare_executions": {"service": SERVICE, **window},
        },
        "remediation": {
            "plan": {"action": "rollback_deployment", "service": SERVICE, "deployment_id": deployment},
            "rollback_deployment": {"service": SERVICE, "deployment_id": deployment},
            "restart_service": {"service": SERVICE},
            "scale_service": {"service": SERVICE, "desired_count": 5},
        },
    }[server]


MUTATING = {"rollback_deployment", "restart_service", "scale_service"}


def plain_identifiers(name, result):
    """What one tool's result gives the next: the first thing that has these fields."""
    def walk(value):
        if isinstance(value, dict):
            yield value
            for inner in value.values():
                yield from walk(inner)
        elif isinstance(value, list):
            for inner in value:
                yield from walk(inner)

    items = list(walk(result))
    if name == "error_patterns":
        for item in items:
            if {"log_group", "log_stream", "timestamp"} <= item.keys():
                return {"log_group": item["log_group"], "log_stream": item["log_stream"], "at": item["timestamp"]}
    if name == "search_runbooks":
        for item in items:
            if "runbook_id" in item:
                return {"runbook_id": item["runbook_id"]}
    return None


async def use(session, server, way, deployment, group):
    listed = (await session.list_tools()).tools
    names = {tool.name for tool in listed}
    wanted = calls(server, deployment, group)
    check(set(wanted) <= names, f"{server} {way}: lists {sorted(names)}, wanted {sorted(wanted)}")
    for tool in listed:
        where = f"{server} {way} {tool.name}"
        check(bool(tool.description), f"{where}: has a description")
        check(tool.output_schema is not None, f"{where}: declares an output schema")
        check(tool.annotations is not None, f"{where}: has annotations")
        if tool.annotations is not None:
            reads = tool.name not in MUTATING
            check(tool.annotations.read_only_hint is reads, f"{where}: read-only hint is {reads}")
    following = None
    for tool, arguments in wanted.items():
        where = f"{server} {way} {tool}"
        arguments = arguments or following
        if not check(arguments is not None, f"{where}: an earlier tool gives its arguments"):
            continue
        steps = []

        async def told(progress, total, message, steps=steps):
            steps.append(progress)

        # The client checks the result against the tool's output schema and raises if it differs.
        try:
            result = await session.call_tool(tool, arguments, progress_callback=told)
        except Exception as error:
            check(False, f"{where}: {error}")
            continue
        content = result.structured_content
        if tool in MUTATING:
            refused = isinstance(content, dict) and (
                content.get("outcome") == "refused" or content.get("error", {}).get("kind") == "refused"
            )
            check(refused, f"{where}: refuses without a permit: {str(content)[:200]}")
            continue
        check(not result.is_error and isinstance(content, dict), f"{where}: answers: {str(content)[:300]}")
        # Runbooks are files here; all else asks AWS, and each answer of it is a step.
        check(bool(steps) is (server != "runbooks"), f"{where}: tells its progress: {steps}")
        check(steps == sorted(set(steps)), f"{where}: its progress only rises: {steps}")
        following = plain_identifiers(tool, content) or following
    wrong = await session.call_tool(sorted(names)[0], {"no_such_argument": 1})
    check(wrong.is_error, f"{server} {way}: an unknown argument is an error")


async def over_stdio(world, server, deployment, group):
    command, *arguments = stack.server_command(server, world.catalog, world.runbooks)
    parameters = StdioServerParameters(command=command, args=arguments, env=stack.aws_env(world.endpoint))
    async with stdio_client(parameters) as (read, write):
        async with ClientSession(read, write) as session:
            hello = await session.initialize()
            check(hello.server_info.name.startswith("midwatch"), f"{server} stdio: says its name")
            declared = set(hello.capabilities.model_dump(exclude_none=True))
            there = {"tools", "prompts"} | ({"resources", "completions"} if server == "runbooks" else set())
            check(declared == there, f"{server}: declares {sorted(declared)}, has {sorted(there)}")
            await use(session, server, "stdio", deployment, group)


async def over_http(world, server, deployment, group):
    env = stack.aws_env(world.endpoint)
    with stack.http_server(server, world.catalog, env, world.runbooks) as url:
        for token in (None, "wrong", stack.TOKEN + "x"):
            headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
            if token:
                headers["Authorization"] = f"Bearer {token}"
            request = urllib.request.Request(url, b'{"jsonrpc":"2.0","id":1,"method":"tools/list"}', headers)
            try:
                urllib.request.urlopen(request, timeout=5).close()
                status = 200
            except urllib.error.HTTPError as error:
                status = error.code
            check(status == 401, f"{server} http: token {token!r} is answered {status}")
        client = httpx2.AsyncClient(headers={"Authorization": f"Bearer {stack.TOKEN}"}, timeout=60)
        async with client, streamable_http_client(url, http_client=client) as streams:
            async with ClientSession(streams[0], streams[1]) as session:
                await session.initialize()
                await use(session, server, "http", deployment, group)


# What a server may do and this incident gives no occasion for.
NO_OCCASION = {
    "logs": {
        "logs:StopQuery": "a call that is cancelled",
        "cloudwatch:GetMetricStatistics": "a group whose stored bytes nobody knows",
        "logs:DescribeMetricFilters": "a service whose errors are a metric of its own",
    },
    "metrics": {"logs:DescribeMetricFilters": "an alarm on a metric that is not AWS's own"},
    "deployments": {"ecs:DescribeTaskDefinition": "a deployment that changes the task definition"},
    "runbooks": {
        "bedrock:Retrieve": "a knowledge base",
        "bedrock:Rerank": "a knowledge base and a reranking model",
        "bedrock:InvokeModel": "the same: Bedrock asks the model on the caller's behalf",
    },
}
# Where IAM calls an operation otherwise than the wire.
IAM_NAMES = {"bedrock-agent:Retrieve": "bedrock:Retrieve", "bedrock-agent:Rerank": "bedrock:Rerank"}


def least_privilege(server, operations):
    """The policy that the binary prints allows what was called, and not much that was not."""
    printed = subprocess.run(
        [stack.BIN / f"midwatch-{server}", "--iam-policy"], capture_output=True, text=True, check=True, timeout=20
    )
    allowed = set()
    for statement in json.loads(printed.stdout)["Statement"]:
        actions = statement["Action"]
        allowed |= set([actions] if isinstance(actions, str) else actions)
    called = {IAM_NAMES.get(name, name) for name in operations}
    check(called <= allowed, f"{server}: calls what its policy does not allow: {sorted(called - allowed)}")
    check(not any("*" in action for action in allowed), f"{server}: its policy allows by wildcard")
    # What acts is called behind a permit only: tests/tests/remediation.
    if server != "remediation":
        idle = allowed - called - NO_OCCASION.get(server, {}).keys()
        check(not idle, f"{server}: its policy allows what nothing calls: {sorted(idle)}")


def registry_entry(server):
    """What the registry would list is this server: its version, and settings that it has."""
    binary = stack.BIN / f"midwatch-{server}"
    entry = json.loads((stack.ROOT / "mcp-servers" / server / "server.json").read_text())
    say = lambda flag: subprocess.run([binary, flag], capture_output=True, text=True, check=True, timeout=20).stdout
    check(say("--version").split()[-1] == entry["version"], f"{server}: server.json has another version")
    check(len(entry["description"]) <= 100, f"{server}: the registry takes 100 characters of description")
    for package in entry["packages"]:
        # The registry holds the label of the image against the name, so each name has an image of its own.
        image = f"ghcr.io/midwatch/midwatch-{server}:{entry['version']}"
        check(package["identifier"] == image, f"{server}: another image, {package['identifier']}")
        label = f'io.modelcontextprotocol.server.name="{entry["name"].removesuffix(server)}${{SERVER}}"'
        check(label in (stack.ROOT / "compose" / "Dockerfile").read_text(), f"{server}: no image has {label}")
        check([a["value"] for a in package["packageArguments"]] == ["midwatch", "mcp", server], f"{server}: arguments")
        for variable in package["environmentVariables"]:
            name = variable["name"]
            check(name.startswith("AWS_") or name in say("--help"), f"{server}: {name} is not a setting of it")


async def in_a_world_of_its_own(server):
    global ALARM, FROM, TO, ONSET, SERVICE
    # Executions there are in a scenario with a state machine only.
    scenario, SERVICE = (stack.WORKFLOW, "risk-scorer") if server == "workflows" else (stack.SCENARIO, "checkout-api")
    with stack.world(scenario) as world:
        detail = world.alarm["detail"]
        ALARM = detail["alarmName"]
        at = datetime.datetime.fromisoformat(world.alarm["time"].replace("Z", "+00:00"))
        stamp = lambda minutes: (at + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
        FROM, TO, ONSET = stamp(-30), stamp(0), stamp(-3)
        catalog = tomllib.loads(world.catalog.read_text())
        group = next(s for s in catalog["service"] if s["name"] == SERVICE)["log_groups"][0]
        for way in (over_stdio, over_http):
            try:
                await way(world, server, "d-8K2LQ7XVN", group)
            except (BaseExceptionGroup, RuntimeError) as error:
                check(False, f"{server} {way.__name__}: {getattr(error, 'exceptions', error)}")
        done = world.stop()
        check(done["mutations"] == [], f"{server}: nothing was changed: {done['mutations']}")
        least_privilege(server, done["operations"])


async def main():
    for server in stack.SERVERS:
        if check((stack.BIN / f"midwatch-{server}").exists(), f"midwatch-{server} is built"):
            registry_entry(server)
            await in_a_world_of_its_own(server)


asyncio.run(main())
check.end()
