//! Services and their deployments, as `DescribeServices` shows them.

use serde_json::{Value, json};

use super::{
    super::{
        WireError,
        input::{page, text, texts},
        timestamp,
    },
    arn, cluster, invalid, last,
};
use crate::world::{
    State,
    ecs::{Rollout, Service},
};

pub(super) fn list_services(state: &State, input: &Value) -> Result<Value, WireError> {
    let cluster = cluster(state, input)?;
    let arns = state
        .ecs
        .services
        .iter()
        .filter(|s| s.cluster == cluster)
        .map(|s| arn(state, "service", &format!("{cluster}/{}", s.name)))
        .collect();
    let size = input.get("maxResults").and_then(Value::as_u64);
    let (arns, next) =
        page(arns, text(input, "nextToken"), size, 100).map_err(|()| invalid("Invalid token."))?;
    Ok(json!({"serviceArns": arns, "nextToken": next}))
}

pub(super) fn definition_arn(state: &State, service: &Service, revision: u32) -> String {
    arn(state, "task-definition", &format!("{}:{revision}", service.name))
}

pub(super) fn describe_services(state: &State, input: &Value) -> Result<Value, WireError> {
    let cluster = cluster(state, input)?;
    let names = texts(input, "services");
    if names.is_empty() || names.len() > 10 {
        return Err(invalid("Between 1 and 10 services are described at once."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in names {
        match state.ecs.services.iter().find(|s| s.cluster == cluster && s.name == last(name)) {
            Some(service) => found.push(describe_service(state, service)),
            None => failures.push(json!({
                "arn": arn(state, "service", &format!("{cluster}/{}", last(name))), "reason": "MISSING",
            })),
        }
    }
    Ok(json!({"services": found, "failures": failures}))
}

pub(super) fn describe_service(state: &State, service: &Service) -> Value {
    let now = state.now_ms();
    let count = |status: &str| service.tasks.iter().filter(|t| t.status(now) == Some(status)).count();
    let primary = service.primary(now);
    let revision = primary.map_or(1, |r| r.revision);
    let mut events: Vec<(usize, &(i64, String))> =
        service.events.iter().enumerate().filter(|(_, (at, _))| *at <= now).collect();
    events.sort_by_key(|(n, (at, _))| std::cmp::Reverse((*at, *n)));
    let events: Vec<Value> = events
        .into_iter()
        .take(100)
        .map(|(n, (at, message))| {
            let id = crate::random::hash(u64::try_from(*at).unwrap_or(0), &format!("{}{n}", service.name));
            json!({
                "id": format!("{:08x}-0000-4000-8000-{:012x}", id >> 32, id & 0xffff_ffff_ffff),
                "createdAt": timestamp(*at),
                "message": message,
            })
        })
        .collect();
    json!({
        "serviceArn": arn(state, "service", &format!("{}/{}", service.cluster, service.name)),
        "serviceName": service.name,
        "clusterArn": arn(state, "cluster", &service.cluster),
        "status": "ACTIVE",
        "desiredCount": service.desired,
        "runningCount": count("RUNNING"),
        "pendingCount": count("PENDING"),
        "launchType": "FARGATE",
        "taskDefinition": definition_arn(state, service, revision),
        "deploymentConfiguration": {
            "deploymentCircuitBreaker": {"enable": true, "rollback": true},
            "maximumPercent": 200, "minimumHealthyPercent": 100,
        },
        "deploymentController": {"type": "ECS"},
        "schedulingStrategy": "REPLICA",
        "createdAt": timestamp(state.spec.begin_ms - 300 * 86_400_000),
        "deployments": deployments(state, service, now),
        "events": events,
    })
}

/// The primary deployment, and those that still have tasks while it rolls out.
fn deployments(state: &State, service: &Service, now: i64) -> Vec<Value> {
    let Some(primary) = service.primary(now) else { return Vec::new() };
    let of = |r: &Rollout, status: &str| {
        let count = |wanted: &str| {
            service
                .tasks
                .iter()
                .filter(|t| t.deployment == r.deployment_id && t.status(now) == Some(wanted))
                .count()
        };
        let done = now >= r.ends_ms;
        let failed =
            service.tasks.iter().filter(|t| t.deployment == r.deployment_id && t.failed(now)).count();
        json!({
            "id": r.deployment_id,
            "status": status,
            "taskDefinition": definition_arn(state, service, r.revision),
            "desiredCount":
                if status == "PRIMARY" { service.desired as usize } else { count("RUNNING") },
            "pendingCount": count("PENDING"),
            "runningCount": count("RUNNING"),
            "failedTasks": failed,
            "createdAt": timestamp(r.created_ms),
            "updatedAt": timestamp(r.ends_ms.min(now)),
            "launchType": "FARGATE",
            "rolloutState": if r.failed && done { "FAILED" } else if done { "COMPLETED" } else { "IN_PROGRESS" },
            "rolloutStateReason":
                format!("ECS deployment {} {}.", r.deployment_id, if done { "completed" } else { "in progress" }),
        })
    };
    let mut list = vec![of(primary, "PRIMARY")];
    let others = service.rollouts.iter().rev().filter(|r| {
        r.deployment_id != primary.deployment_id
            && r.created_ms <= now
            && service
                .tasks
                .iter()
                .any(|t| t.deployment == r.deployment_id && t.status(now).is_some_and(|s| s != "STOPPED"))
    });
    list.extend(others.map(|r| of(r, "ACTIVE")));
    list
}
