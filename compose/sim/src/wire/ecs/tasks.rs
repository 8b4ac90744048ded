//! Tasks, running and stopped.

use serde_json::{Value, json};

use super::{
    super::{
        WireError,
        input::{page, text, texts},
        timestamp,
    },
    arn, cluster,
    definitions::image,
    invalid, last,
    services::definition_arn,
};
use crate::world::{
    State,
    ecs::{Service, Task},
};

pub(super) fn list_tasks(state: &State, input: &Value) -> Result<Value, WireError> {
    let cluster = cluster(state, input)?;
    let now = state.now_ms();
    let wanted = text(input, "desiredStatus").unwrap_or("RUNNING");
    let name = text(input, "serviceName").map(last);
    if let Some(name) = name
        && !state.ecs.services.iter().any(|s| s.name == name)
    {
        return Err(WireError::client("ServiceNotFoundException", "Service not found."));
    }
    let family = text(input, "family");
    let mut arns = Vec::new();
    for service in state.ecs.services.iter().filter(|s| s.cluster == cluster) {
        if name.is_some_and(|n| n != service.name) || family.is_some_and(|f| f != service.name) {
            continue;
        }
        for task in &service.tasks {
            let desired = match task.status(now) {
                Some("STOPPED") => "STOPPED",
                Some(_) => "RUNNING",
                None => continue,
            };
            if desired == wanted {
                arns.push(task_arn(state, service, task));
            }
        }
    }
    let size = input.get("maxResults").and_then(Value::as_u64);
    let (arns, next) =
        page(arns, text(input, "nextToken"), size, 100).map_err(|()| invalid("Invalid token."))?;
    Ok(json!({"taskArns": arns, "nextToken": next}))
}

pub(super) fn task_arn(state: &State, service: &Service, task: &Task) -> String {
    arn(state, "task", &format!("{}/{}", service.cluster, task.id))
}

pub(super) fn describe_tasks(state: &State, input: &Value) -> Result<Value, WireError> {
    let cluster = cluster(state, input)?;
    let now = state.now_ms();
    let wanted = texts(input, "tasks");
    if wanted.is_empty() || wanted.len() > 100 {
        return Err(invalid("Between 1 and 100 tasks are described at once."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in wanted {
        let task = state
            .ecs
            .services
            .iter()
            .filter(|s| s.cluster == cluster)
            .find_map(|s| s.tasks.iter().find(|t| t.id == last(name)).map(|t| (s, t)));
        match task.and_then(|(s, t)| Some((s, t, t.status(now)?))) {
            Some((service, task, status)) => found.push(describe_task(state, service, task, status)),
            None => failures.push(json!({
                "arn": arn(state, "task", &format!("{cluster}/{}", last(name))), "reason": "MISSING",
            })),
        }
    }
    Ok(json!({"tasks": found, "failures": failures}))
}

pub(super) fn describe_task(state: &State, service: &Service, task: &Task, status: &str) -> Value {
    let stop = task.stop.as_ref().filter(|_| status == "STOPPED");
    let commit = service.revision(task.revision).map_or("", |r| r.commit.as_str());
    json!({
        "taskArn": task_arn(state, service, task),
        "clusterArn": arn(state, "cluster", &service.cluster),
        "taskDefinitionArn": definition_arn(state, service, task.revision),
        "group": format!("service:{}", service.name),
        "startedBy": task.deployment,
        "availabilityZone": format!("{}{}", state.region(), task.zone),
        "launchType": "FARGATE",
        "cpu": "512", "memory": "1024",
        "lastStatus": status,
        "desiredStatus": if status == "STOPPED" { "STOPPED" } else { "RUNNING" },
        "healthStatus": if status == "RUNNING" { "HEALTHY" } else { "UNKNOWN" },
        "connectivity": "CONNECTED",
        "createdAt": timestamp(task.created_ms),
        "startedAt": task.started_ms.filter(|at| *at <= state.now_ms()).map(timestamp),
        "stoppingAt": stop.map(|s| timestamp(s.at_ms - 500)),
        "stoppedAt": stop.map(|s| timestamp(s.at_ms)),
        "stopCode": stop.map(|s| s.code),
        "stoppedReason": stop.map(|s| s.reason.as_str()),
        "containers": [{
            "name": service.name,
            "image": image(state, service, commit),
            "lastStatus": status,
            "exitCode": stop.and_then(|s| s.exit_code),
            "reason": stop.and_then(|s| s.container_reason.as_deref()),
            "healthStatus": if status == "RUNNING" { "HEALTHY" } else { "UNKNOWN" },
        }],
    })
}
