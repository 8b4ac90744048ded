"""The servers' AWS calls against emulators that this project did not write, as far as those go.

moto: CodeDeploy, ECS and Step Functions. ministack: CloudWatch (which speaks CBOR), CloudWatch Logs without
Insights, and Step Functions. What an emulator cannot do has to come back as a clear error of a known kind, never as a
hang or a crash.
"""

import asyncio
import datetime
import json
import pathlib
import tempfile
import time
import urllib.request

import boto3
from botocore.config import Config
from mcp import ClientSession, StdioServerParameters
from mcp.client.stdio import stdio_client

import stack

check = stack.Checks("emulators")
KINDS = {
    "invalid", "not_found", "access_denied", "expired_credentials", "throttled", "timeout", "unavailable",
    "refused", "internal",
}
NOW = datetime.datetime.now(datetime.timezone.utc)
stamp = lambda minutes: (NOW + datetime.timedelta(minutes=minutes)).strftime("%Y-%m-%dT%H:%M:%SZ")
WINDOW = {"from": stamp(-60), "to": stamp(5)}
CATALOG = """
[[service]]
name = "orders"
tier = 1
environment = "staging"
log_groups = ["/ecs/orders"]
alarms = ["orders-*"]
autonomy = "ask"
scale = { min = 1, max = 4 }
ecs = { cluster = "shop", service = "orders" }
codedeploy = { application = "orders", deployment_group = "live" }
traffic = { namespace = "Shop", name = "Requests", stat = "Sum", dimensions = { Service = "orders" } }
errors = { namespace = "Shop", name = "Errors", stat = "Sum", dimensions = { Service = "orders" } }
"""


def client(endpoint, service):
    return boto3.client(
        service, endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="x" * 40, config=Config(retries={"total_max_attempts": 1}),
    )


async def session(server, env, use):
    with tempfile.TemporaryDirectory() as work:
        catalog = pathlib.Path(work, "catalog.toml")
        catalog.write_text(CATALOG)
        runbooks = pathlib.Path(work, "runbooks")
        runbooks.mkdir()
        command, *arguments = stack.server_command(server, catalog, runbooks)
        parameters = StdioServerParameters(command=command, args=arguments, env=env)
        async with stdio_client(parameters) as (read, write), ClientSession(read, write) as opened:
            await opened.initialize()

            async def call(tool, **arguments):
                begun = time.monotonic()
                result = await asyncio.wait_for(opened.call_tool(tool, arguments), 120)
                took = time.monotonic() - begun
                content = result.structured_content or {}
                if result.is_error:
                    kind = content.get("error", {}).get("kind")
                    check(kind in KINDS, f"{server} {tool}: an error of a known kind, got {content or result.content}")
                check(took < 90, f"{server} {tool}: answered in {took:.1f} s")
                return content

            await use(call)


async def attempt(server, env, use):
    try:
        await session(server, env, use)
    except BaseExceptionGroup as group:
        check(False, f"{server}: {group.exceptions}")


def good(content, where):
    return check("error" not in content, f"{where}: {str(content)[:300]}")


def fill_moto(endpoint):
    codedeploy, ecs = client(endpoint, "codedeploy"), client(endpoint, "ecs")
    codedeploy.create_application(applicationName="orders", computePlatform="Server")
    codedeploy.create_deployment_group(
        applicationName="orders", deploymentGroupName="live", serviceRoleArn="arn:aws:iam::123456789012:role/deploy"
    )
    revision = {"revisionType": "S3", "s3Location": {"bucket": "builds", "key": "orders-7.zip", "bundleType": "zip"}}
    ids = [
        codedeploy.create_deployment(
            applicationName="orders", deploymentGroupName="live", revision=revision, description=f"release {n}"
        )["deploymentId"]
        for n in (6, 7)
    ]
    ecs.create_cluster(clusterName="shop")
    task = {"name": "app", "image": "orders:7", "memory": 256, "essential": True}
    for _ in range(2):
        ecs.register_task_definition(family="orders", containerDefinitions=[task])
    ecs.create_service(
        cluster="shop", serviceName="orders", taskDefinition="orders:2", desiredCount=2, launchType="EC2"
    )
    return ids


def fill_states(endpoint):
    """A workflow that ends well once, is changed, and then fails in a branch of a parallel state."""
    states = client(endpoint, "stepfunctions")
    branch = lambda name, **state: {"StartAt": name, "States": {name: state}}
    good = {"Type": "Pass", "End": True}
    bad = {"Type": "Fail", "Error": "Order.Invalid", "Cause": "no items, password=hunter2hunter2"}
    definition = lambda last: json.dumps({"StartAt": "Prepare", "States": {
        "Prepare": {"Type": "Pass", "Next": "Both"},
        "Both": {"Type": "Parallel", "Branches": [branch("Left", **good), branch("Check", **last)], "End": True},
    }})
    role = "arn:aws:iam::123456789012:role/workflows"
    machine = states.create_state_machine(name="orders", definition=definition(good), roleArn=role)["stateMachineArn"]
    for name, last in (("run-good", good), ("run-bad", bad)):
        states.update_state_machine(stateMachineArn=machine, definition=definition(last))
        run = states.start_execution(stateMachineArn=machine, name=name, input='{"customer": "pat@example.com"}')
        for _ in range(50):
            if states.describe_execution(executionArn=run["executionArn"])["status"] != "RUNNING":
                break
            time.sleep(0.1)
        # Emulators write the events of branches from threads of their own, also after the end.
        count = 0
        while count < (count := len(states.get_execution_history(executionArn=run["executionArn"])["events"])):
            time.sleep(0.3)
    return machine


async def workflows(endpoint, emulator, state):
    machine = fill_states(endpoint)

    async def use(call):
        listed = await call("list_executions", state_machine=machine, **WINDOW)
        if good(listed, f"{emulator} list_executions"):
            counted = [listed["window"][key] for key in ("started", "succeeded", "failed")]
            check(counted == [2, 1, 1], f"{emulator}: one of two failed: {listed}")
            check([e["execution"] for e in listed["executions"]] == ["run-bad"], f"{emulator}: it is listed: {listed}")
        told = await call("explain_failure", state_machine=machine, **WINDOW)
        # Its `error` is the execution's own; a failed call has an object there.
        if check(isinstance(told.get("error"), str), f"{emulator} explain_failure: {str(told)[:300]}"):
            found = (told.get("state"), told.get("error"), told["execution"])
            check(found == (state, "Order.Invalid", "run-bad"), f"{emulator}: the failing state is named: {told}")
            check("no items" in told["cause"] and "hunter2" not in str(told), f"{emulator}: the cause is redacted: {told}")
            check("pat@" not in str(told) and told["input_bytes"] > 20, f"{emulator}: the input stays there: {told}")
        compared = await call("compare_executions", state_machine=machine, **WINDOW)
        if good(compared, f"{emulator} compare_executions"):
            ran = (compared["failed"]["execution"], compared["good"]["execution"])
            check(ran == ("run-bad", "run-good"), f"{emulator}: the good run was found: {compared}")
            check(compared["states"][0]["state"] == "Prepare", f"{emulator}: states stand side by side: {compared}")

    await attempt("workflows", stack.aws_env(endpoint), use)


async def against_moto(endpoint):
    ids = fill_moto(endpoint)
    env = stack.aws_env(endpoint, AWS_MAX_ATTEMPTS="1")

    async def deployments(call):
        listed = await call("list_deployments", service="orders", **WINDOW)
        if good(listed, "moto list_deployments"):
            found = {d["deployment_id"] for d in listed["deployments"] if d["kind"] == "codedeploy"}
            check(found == set(ids), f"moto: both deployments are listed, got {found}")
        changed = await call("what_changed", service="orders", deployment_id=ids[1])
        good(changed, "moto what_changed")
        correlated = await call("correlate", service="orders", onset=stamp(1))
        if good(correlated, "moto correlate"):
            check(
                ids[1] in {c["deployment_id"] for c in correlated["candidates"]},
                f"moto: the newest deployment is a candidate: {correlated}",
            )
        health = await call("service_health", service="orders")
        if good(health, "moto service_health"):
            check(health.get("known") and health.get("desired") == 2, f"moto: two tasks are wanted: {health}")

    async def remediation(call):
        for action in (
            {"action": "restart_service"},
            {"action": "scale_service", "desired_count": 3},
            {"action": "rollback_deployment", "deployment_id": ids[1]},
        ):
            await call("plan", service="orders", **action)
        before = client(endpoint, "ecs").describe_services(cluster="shop", services=["orders"])["services"][0]
        for tool, arguments in (
            ("restart_service", {}), ("scale_service", {"desired_count": 3}),
            ("rollback_deployment", {"deployment_id": ids[1]}),
        ):
            answer = await call(tool, service="orders", **arguments)
            check(answer.get("outcome") == "refused" or "error" in answer, f"moto {tool}: refused, got {answer}")
        after = client(endpoint, "ecs").describe_services(cluster="shop", services=["orders"])["services"][0]
        check(before["desiredCount"] == after["desiredCount"] == 2, "moto: nothing was scaled")
        left = client(endpoint, "codedeploy").list_deployments()["deployments"]
        check(set(left) == set(ids), f"moto: nothing was deployed: {left}")

    await attempt("deployments", env, deployments)
    await attempt("remediation", env, remediation)
    settings = json.dumps({"stepfunctions": {"execute_state_machine": True}}).encode()
    headers = {"Content-Type": "application/json"}
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/moto-api/config", settings, headers), timeout=10).close()
    # Its engine tells the branch that failed.
    await workflows(endpoint, "moto", "Check")


def fill_ministack(endpoint):
    logs, cloudwatch = client(endpoint, "logs"), client(endpoint, "cloudwatch")
    logs.create_log_group(logGroupName="/ecs/orders")
    logs.create_log_stream(logGroupName="/ecs/orders", logStreamName="orders/1")
    start = int(NOW.timestamp() * 1000) - 20 * 60_000
    events = [
        {"timestamp": start + n * 20_000, "message": f"INFO request {n} took {n % 17} ms"} for n in range(40)
    ] + [
        {
            "timestamp": start + 800_000 + n * 4_000,
            "message": f"ERROR OrderStoreException: connection {n} to orders-db refused after {n * 3} ms",
        }
        for n in range(30)
    ]
    logs.put_log_events(logGroupName="/ecs/orders", logStreamName="orders/1", logEvents=events)
    dimensions = [{"Name": "Service", "Value": "orders"}]
    for minute in range(30):
        at = NOW - datetime.timedelta(minutes=30 - minute)
        values = {"Requests": 100.0, "Errors": 0.0 if minute < 20 else 25.0}
        cloudwatch.put_metric_data(
            Namespace="Shop",
            MetricData=[
                {"MetricName": name, "Dimensions": dimensions, "Timestamp": at, "Value": value}
                for name, value in values.items()
            ],
        )
    cloudwatch.put_metric_alarm(
        AlarmName="orders-errors", Namespace="Shop", MetricName="Errors", Dimensions=dimensions, Statistic="Sum",
        Period=60, EvaluationPeriods=3, Threshold=5.0, ComparisonOperator="GreaterThanThreshold",
    )
    cloudwatch.set_alarm_state(AlarmName="orders-errors", StateValue="ALARM", StateReason="set by the test")


async def against_ministack(endpoint):
    fill_ministack(endpoint)
    env = stack.aws_env(endpoint)

    async def metrics(call):
        alarm = await call("get_alarm", alarm_name="orders-errors")
        if good(alarm, "ministack get_alarm"):
            check(alarm["state"] == "ALARM" and alarm["threshold"] == 5.0, f"ministack: the alarm as it was set: {alarm}")
        good(await call("list_alarms", service="orders"), "ministack list_alarms")
        await call("alarm_history", alarm_name="orders-errors", **WINDOW)
        window = await call("metric_window", service="orders", role="errors", **WINDOW)
        if good(window, "ministack metric_window"):
            check(window["stats"]["sum"] >= 200, f"ministack: the errors are summed: {window['stats']}")
        missing = await call("get_alarm", alarm_name="no-such-alarm")
        check(missing.get("error", {}).get("kind") == "not_found", f"ministack: a missing alarm: {missing}")

    async def logs(call):
        patterns = await call("error_patterns", service="orders", **WINDOW)
        if good(patterns, "ministack error_patterns"):
            text = " ".join(p["template"] for p in patterns["patterns"])
            check("OrderStoreException" in text, f"ministack: the pattern is found: {text}")
            check(patterns["lines_read"] >= 30, f"ministack: it says how many lines were read: {patterns}")
            top = max(patterns["patterns"], key=lambda p: p["count"])
            check(top["count"] == 30 and top["level"].upper() == "ERROR", f"ministack: it counts them: {top}")
        context = await call(
            "log_context", log_group="/ecs/orders", log_stream="orders/1", at=stamp(-5)
        )
        good(context, "ministack log_context")
        await call("log_query", service="orders", query="stats count(*) by bin(1m)", **WINDOW)

    await attempt("metrics", env, metrics)
    await attempt("logs", env, logs)
    # Its events name no event before them: the state that did not end is what failed.
    await workflows(endpoint, "ministack", "Both")


async def main():
    with stack.moto() as endpoint:
        await against_moto(endpoint)
    with stack.ministack() as endpoint:
        await against_ministack(endpoint)


asyncio.run(main())
check.end()
