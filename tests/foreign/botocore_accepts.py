"""botocore accepts what the world answers, for every operation it has.

botocore skips what it does not know, so acceptance alone says little: each raw answer is also held
against botocore's model of the operation. Every field has to be one of the shape's, of its type.
"""

import datetime
import json
import tomllib

import boto3
import botocore.exceptions
import cbor2
from botocore.config import Config

import stack

check = stack.Checks("botocore")
seen = set()


def hold(shape, value, path):
    """Whether a raw value has the form that the model gives it."""
    kind = shape.type_name
    if value is None:
        return
    if kind == "structure":
        if shape.metadata.get("document") or getattr(shape, "is_document_type", False):
            return
        if not check(isinstance(value, dict), f"{path} is a structure, got {type(value).__name__}"):
            return
        names = {m.serialization.get("name", n): m for n, m in shape.members.items()}
        for key, inner in value.items():
            if key == "__type":
                continue
            if check(key in names, f"{path}.{key} is in the model of `{shape.name}`"):
                hold(names[key], inner, f"{path}.{key}")
        for required in shape.required_members:
            check(required in value, f"{path}.{required} is required")
    elif kind == "list":
        if check(isinstance(value, list), f"{path} is a list"):
            for inner in value[:50]:
                hold(shape.member, inner, f"{path}[]")
    elif kind == "map":
        if check(isinstance(value, dict), f"{path} is a map"):
            for inner in value.values():
                hold(shape.value, inner, f"{path}{{}}")
    elif kind in ("string", "character"):
        if check(isinstance(value, str), f"{path} is a string, got {value!r}") and shape.enum:
            check(value in shape.enum, f"{path} is one of {shape.enum}, got {value!r}")
    elif kind in ("integer", "long", "short"):
        check(isinstance(value, int) and not isinstance(value, bool), f"{path} is an integer, got {value!r}")
    elif kind in ("float", "double"):
        check(isinstance(value, (int, float)), f"{path} is a number, got {value!r}")
    elif kind == "boolean":
        check(isinstance(value, bool), f"{path} is a boolean, got {value!r}")
    elif kind == "timestamp":
        check(isinstance(value, (int, float, str, datetime.datetime)), f"{path} is a time, got {value!r}")


def raw_answer(response_dict, operation_model, **_):
    body = response_dict["body"]
    if response_dict["status_code"] >= 300 or not body or operation_model.output_shape is None:
        return
    protocol = operation_model.service_model.resolved_protocol
    if protocol == "smithy-rpc-v2-cbor":
        value = cbor2.loads(body)
    elif protocol in ("json", "rest-json"):
        value = json.loads(body)
    else:
        return
    seen.add(operation_model.name)
    hold(operation_model.output_shape, value, operation_model.name)


def client(world, service, **more):
    made = boto3.client(
        service, endpoint_url=world.endpoint, region_name="us-east-1", aws_access_key_id="AKIAIOSFODNN7EXAMPLE",
        aws_secret_access_key="x" * 40, config=Config(retries={"total_max_attempts": 1}, **more),
    )
    made.meta.events.register("before-parse", raw_answer)
    return made


def call(client, operation, **arguments):
    name = f"{client.meta.service_model.service_name}:{operation}"
    try:
        answer = getattr(client, operation)(**arguments)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        check(False, f"{name} is answered: {error}")
        return {}
    check(answer["ResponseMetadata"]["HTTPStatusCode"] == 200, f"{name} is 200")
    return answer


def first(answer, *path):
    """The value at a path of keys and indices, or None."""
    for step in path:
        try:
            answer = answer[step]
        except (KeyError, IndexError, TypeError):
            return check(False, f"answer has no {path}") or None
    return answer


with stack.world() as world:
    service = next(s for s in tomllib.loads(world.catalog.read_text())["service"] if s["name"] == "checkout-api")
    alarm = world.alarm["detail"]["alarmName"]
    at = datetime.datetime.fromisoformat(world.alarm["time"].replace("Z", "+00:00"))
    begin, end = at - datetime.timedelta(minutes=30), at
    ms = lambda t: int(t.timestamp() * 1000)
    group = service["log_groups"][0]

    logs = client(world, "logs")
    call(logs, "describe_log_groups")
    streams = call(logs, "describe_log_streams", logGroupName=group)
    call(logs, "describe_metric_filters")
    call(logs, "filter_log_events", logGroupName=group, startTime=ms(begin), endTime=ms(end), limit=20)
    if stream := first(streams, "logStreams", 0, "logStreamName"):
        call(logs, "get_log_events", logGroupName=group, logStreamName=stream, limit=5)
    query = call(
        logs, "start_query", logGroupNames=[group], startTime=int(begin.timestamp()), endTime=int(end.timestamp()),
        queryString="fields @timestamp, @message, @ptr | sort @timestamp desc | limit 5",
    )
    if query_id := query.get("queryId"):
        for _ in range(20):
            results = call(logs, "get_query_results", queryId=query_id)
            if results.get("status") == "Complete":
                break
        check(results.get("status") == "Complete", f"query ends: {results.get('status')}")
        pointer = next((f["value"] for f in first(results, "results", 0) or [] if f["field"] == "@ptr"), None)
        if check(pointer, "raw rows carry @ptr"):
            call(logs, "get_log_record", logRecordPointer=pointer)
    call(logs, "describe_queries")
    try:
        logs.start_query(logGroupNames=[group], startTime=0, endTime=1, queryString="fieldz @message")
        check(False, "a malformed query is refused")
    except logs.exceptions.MalformedQueryException as error:
        check("queryCompileError" in error.response, f"a malformed query says where: {error.response}")
    try:
        logs.filter_log_events(logGroupName="/no/such/group")
        check(False, "a missing group is refused")
    except logs.exceptions.ResourceNotFoundException:
        check(True, "a missing group is refused")

    cloudwatch = client(world, "cloudwatch")
    alarms = call(cloudwatch, "describe_alarms", AlarmNames=[alarm])
    metric = first(alarms, "MetricAlarms", 0) or {}
    call(cloudwatch, "describe_alarm_history", AlarmName=alarm, StartDate=begin, EndDate=end)
    call(cloudwatch, "list_metrics")
    traffic = service["traffic"]
    dimensions = [{"Name": n, "Value": v} for n, v in traffic["dimensions"].items()]
    stat = {
        "Metric": {"Namespace": traffic["namespace"], "MetricName": traffic["name"], "Dimensions": dimensions},
        "Period": 60, "Stat": traffic["stat"],
    }
    data = call(
        cloudwatch, "get_metric_data", MetricDataQueries=[{"Id": "m1", "MetricStat": stat}], StartTime=begin, EndTime=end
    )
    check(first(data, "MetricDataResults", 0, "Values"), "the traffic metric has values")
    call(
        cloudwatch, "get_metric_statistics", Namespace=traffic["namespace"], MetricName=traffic["name"],
        Dimensions=dimensions, StartTime=begin, EndTime=end, Period=60, Statistics=["Sum"],
    )
    call(
        cloudwatch, "describe_alarms_for_metric", Namespace=traffic["namespace"], MetricName=traffic["name"],
        Dimensions=dimensions,
    )

    sts = client(world, "sts")
    call(sts, "get_caller_identity")
    call(sts, "assume_role", RoleArn="arn:aws:iam::123456789012:role/reader", RoleSessionName="foreign")

    codedeploy = client(world, "codedeploy")
    target = {"applicationName": service["codedeploy"]["application"]}
    both = target | {"deploymentGroupName": service["codedeploy"]["deployment_group"]}
    call(codedeploy, "list_applications")
    call(codedeploy, "get_application", **target)
    call(codedeploy, "list_deployment_groups", **target)
    call(codedeploy, "get_deployment_group", **both)
    window = {"start": at - datetime.timedelta(hours=24), "end": at}
    deployments = call(codedeploy, "list_deployments", createTimeRange=window, **both)
    if deployment := first(deployments, "deployments", 0):
        got = call(codedeploy, "get_deployment", deploymentId=deployment)
        call(codedeploy, "batch_get_deployments", deploymentIds=[deployment])
        revision = first(got, "deploymentInfo", "revision")
        again = call(codedeploy, "create_deployment", revision=revision, description="foreign", **both)
        if started := again.get("deploymentId"):
            call(codedeploy, "stop_deployment", deploymentId=started)

    ecs = client(world, "ecs")
    cluster = service["ecs"]["cluster"]
    name = {"cluster": cluster, "service": service["ecs"]["service"]}
    call(ecs, "list_clusters")
    call(ecs, "list_services", cluster=cluster)
    described = call(ecs, "describe_services", cluster=cluster, services=[name["service"]])
    tasks = call(ecs, "list_tasks", cluster=cluster, serviceName=name["service"])
    if task := first(tasks, "taskArns", 0):
        call(ecs, "describe_tasks", cluster=cluster, tasks=[task])
    if definition := first(described, "services", 0, "taskDefinition"):
        call(ecs, "describe_task_definition", taskDefinition=definition)
    rolled = call(ecs, "list_service_deployments", **name)
    if arn := first(rolled, "serviceDeployments", 0, "serviceDeploymentArn"):
        one = call(ecs, "describe_service_deployments", serviceDeploymentArns=[arn])
        if revision := first(one, "serviceDeployments", 0, "targetServiceRevision", "arn"):
            call(ecs, "describe_service_revisions", serviceRevisionArns=[revision])
    call(ecs, "update_service", forceNewDeployment=True, **name)

    runtime = client(world, "bedrock-runtime")
    call(
        runtime, "converse", modelId="global.anthropic.claude-sonnet-4-5-20250929-v1:0",
        messages=[{"role": "user", "content": [{"text": "hello"}]}], inferenceConfig={"maxTokens": 64},
    )
    agent = client(world, "bedrock-agent-runtime")
    call(agent, "retrieve", knowledgeBaseId="KB12345678", retrievalQuery={"text": "connection pool exhausted"})

    check(len(seen) >= 30, f"raw answers of {len(seen)} operations were held against the model")
    mutations = world.stop_and_list_mutations()
    check(
        {m["api"] for m in mutations} >= {"codedeploy:CreateDeployment", "ecs:UpdateService"},
        f"the world notes what was changed: {mutations}",
    )
with stack.world(stack.WORKFLOW) as world:
    service = next(s for s in tomllib.loads(world.catalog.read_text())["service"] if "state_machine" in s)
    machine = service["state_machine"]
    states = client(world, "stepfunctions")
    named = {"stateMachineArn": machine}
    listed = call(states, "list_state_machines")
    check(machine in [m["stateMachineArn"] for m in listed["stateMachines"]], f"{machine} is listed")
    call(states, "describe_state_machine", **named)
    call(states, "list_state_machine_versions", **named)
    newest = call(states, "list_executions", maxResults=5, **named)
    older = call(states, "list_executions", maxResults=5, nextToken=newest["nextToken"], **named)
    begun = [e["startDate"] for e in newest["executions"] + older["executions"]]
    check(begun == sorted(begun, reverse=True) and len(begun) == 10, f"executions come newest first: {begun}")
    for status in ["FAILED", "SUCCEEDED", "RUNNING"]:
        found = call(states, "list_executions", statusFilter=status, **named)["executions"]
        check(all(e["status"] == status for e in found), f"{status} is what is listed")
        if status == "RUNNING":
            continue
        one = {"executionArn": first(found, 0, "executionArn")}
        described = call(states, "describe_execution", **one)
        check(described["status"] == status and "customer" in described["input"], f"{status} is described: {described}")
        call(states, "describe_execution", includedData="METADATA_ONLY", **one)
        call(states, "describe_state_machine_for_execution", **one)
        history = call(states, "get_execution_history", **one)["events"]
        names = [e["type"] for e in history]
        check(names[0] == "ExecutionStarted" and names[-1] == f"Execution{status.title()}", f"{status}: {names}")
        check([e["previousEventId"] for e in history] == list(range(len(history))), f"{status}: each follows the one before")
        paged, token = [], {}
        while True:
            page = call(states, "get_execution_history", reverseOrder=True, maxResults=3, includeExecutionData=False, **one, **token)
            paged += page["events"]
            if "nextToken" not in page:
                break
            token = {"nextToken": page["nextToken"]}
        check([e["type"] for e in reversed(paged)] == names, f"{status}: pages from the end are the same history")
        check("customer" not in str(paged), f"{status}: data stays out where it is not wanted")
    for arguments, error in [
        ({"executionArn": machine.replace(":stateMachine:", ":execution:") + ":nobody"}, "ExecutionDoesNotExist"),
        ({"executionArn": "arn:aws:nonsense"}, "InvalidArn"),
    ]:
        try:
            states.describe_execution(**arguments)
            check(False, f"{error} is answered")
        except botocore.exceptions.ClientError as refused:
            check(refused.response["Error"]["Code"] == error, f"{error}: {refused}")
    cloudwatch = client(world, "cloudwatch")
    at = datetime.datetime.fromisoformat(world.alarm["time"].replace("Z", "+00:00"))
    failed = call(
        cloudwatch, "get_metric_statistics", Namespace="AWS/States", MetricName="ExecutionsFailed",
        Dimensions=[{"Name": "StateMachineArn", "Value": machine}], StartTime=at - datetime.timedelta(minutes=15),
        EndTime=at, Period=60, Statistics=["Sum"],
    )
    check(sum(p["Sum"] for p in failed["Datapoints"]) > 5, f"failed executions are a metric: {failed}")
    metric = world.alarm["detail"]["configuration"]["metrics"][0]["metricStat"]["metric"]
    check(metric["dimensions"] == {"StateMachineArn": machine}, f"the alarm names the state machine: {metric}")
with stack.world(stack.COMPOSITE) as world:
    name = world.alarm["detail"]["alarmName"]
    detail = world.alarm["detail"]
    rule = detail["configuration"]["alarmRule"]
    triggering = json.loads(detail["state"]["reasonData"])["triggeringAlarms"]
    check("metrics" not in detail["configuration"] and rule.startswith('ALARM("'), f"the event has the rule: {detail}")
    cloudwatch = client(world, "cloudwatch")
    check(call(cloudwatch, "describe_alarms", AlarmNames=[name])["MetricAlarms"] == [], "composite alarms come only where asked for")
    both = ["MetricAlarm", "CompositeAlarm"]
    found = call(cloudwatch, "describe_alarms", AlarmNames=[name], AlarmTypes=both)
    composite = first(found, "CompositeAlarms", 0)
    check(composite["AlarmRule"] == rule and composite["StateValue"] == "ALARM", f"it is described: {composite}")
    children = call(cloudwatch, "describe_alarms", ChildrenOfAlarmName=name)["MetricAlarms"]
    check(len(children) == 3 and set(children[0]) == {"AlarmName", "AlarmArn", "StateValue", "StateUpdatedTimestamp"}, f"children: {children}")
    firing = [c["AlarmArn"] for c in children if c["StateValue"] == "ALARM"]
    check(firing == [t["arn"] for t in triggering], f"those in ALARM triggered it: {firing} {triggering}")
    child = firing[0].split(":alarm:")[1]
    parents = call(cloudwatch, "describe_alarms", ParentsOfAlarmName=child)["CompositeAlarms"]
    check([p["AlarmName"] for p in parents] == [name] and set(parents[0]) == {"AlarmName", "AlarmArn"}, f"parents: {parents}")
    try:
        cloudwatch.describe_alarms(ChildrenOfAlarmName=name, AlarmTypes=both)
        check(False, "children are asked for by themselves")
    except botocore.exceptions.ClientError as refused:
        check(refused.response["Error"]["Code"] == "ValidationError", f"children by themselves: {refused}")
    items = call(cloudwatch, "describe_alarm_history", AlarmName=name, AlarmTypes=both)["AlarmHistoryItems"]
    check([i["AlarmType"] for i in items] == ["CompositeAlarm"], f"its history: {items}")
    logs = client(world, "logs")
    metric = first(call(cloudwatch, "describe_alarms", AlarmNames=[child]), "MetricAlarms", 0)
    named = {"metricName": metric["MetricName"], "metricNamespace": metric["Namespace"]}
    by_metric = call(logs, "describe_metric_filters", **named)["metricFilters"]
    by_group = call(logs, "describe_metric_filters", logGroupName=by_metric[0]["logGroupName"])["metricFilters"]
    made = by_metric[0]["metricTransformations"][0]
    check(by_metric == by_group and made["metricValue"] == "1" and made["defaultValue"] == 0, f"its metric filter: {by_metric}")
check.end()
