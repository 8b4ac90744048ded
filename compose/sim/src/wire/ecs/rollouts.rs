//! Service deployments and service revisions.

use serde_json::{Value, json};

use super::{
    super::{
        WireError,
        input::{page, text, texts, time_ms},
        timestamp,
    },
    arn,
    definitions::image,
    invalid, service,
    services::definition_arn,
};
use crate::world::{
    State,
    ecs::{Revision, Rollout, Service},
};

fn service_deployment_arn(state: &State, service: &Service, rollout: &Rollout) -> String {
    arn(state, "service-deployment", &format!("{}/{}/{}", service.cluster, service.name, rollout.id))
}

fn service_revision_arn(state: &State, service: &Service, revision: u32) -> String {
    let number = 4_000_000_000_000_000_000 + u64::from(revision);
    arn(state, "service-revision", &format!("{}/{}/{number}", service.cluster, service.name))
}

pub(super) fn list_service_deployments(state: &State, input: &Value) -> Result<Value, WireError> {
    let index = service(state, input)?;
    let Some(service) = state.ecs.services.get(index) else { return Ok(json!({})) };
    let now = state.now_ms();
    let statuses = texts(input, "status");
    let range = input.get("createdAt").unwrap_or(&Value::Null);
    let after = time_ms(range, "after").unwrap_or(i64::MIN);
    let before = time_ms(range, "before").unwrap_or(i64::MAX);
    let found: Vec<Value> = service
        .rollouts
        .iter()
        .rev()
        .filter(|r| !r.within && r.created_ms <= now && (after..=before).contains(&r.created_ms))
        .filter(|r| statuses.is_empty() || statuses.contains(&r.status(now)))
        .map(|r| {
            let status = r.status(now);
            json!({
                "serviceDeploymentArn": service_deployment_arn(state, service, r),
                "serviceArn": arn(state, "service", &format!("{}/{}", service.cluster, service.name)),
                "clusterArn": arn(state, "cluster", &service.cluster),
                "createdAt": timestamp(r.created_ms),
                "startedAt": (now >= r.created_ms + 1000).then(|| timestamp(r.created_ms + 1000)),
                "finishedAt": (!r.running(now)).then(|| timestamp(finished(r))),
                "targetServiceRevisionArn": service_revision_arn(state, service, r.revision),
                "status": status,
                "statusReason": r.reason,
            })
        })
        .collect();
    let size = input.get("maxResults").and_then(Value::as_u64);
    let (found, next) =
        page(found, text(input, "nextToken"), size, 100).map_err(|()| invalid("Invalid token."))?;
    Ok(json!({"serviceDeployments": found, "nextToken": next}))
}

fn finished(r: &Rollout) -> i64 {
    r.rollback.map(|(_, ends)| ends).or(r.cut_ms).unwrap_or(r.ends_ms)
}

pub(super) fn find_rollout(state: &State, name: &str) -> Option<(usize, usize)> {
    state.ecs.services.iter().enumerate().find_map(|(n, service)| {
        let found = service.rollouts.iter().position(|r| service_deployment_arn(state, service, r) == name);
        found.map(|r| (n, r))
    })
}

pub(super) fn describe_service_deployments(state: &State, input: &Value) -> Result<Value, WireError> {
    let arns = texts(input, "serviceDeploymentArns");
    if arns.is_empty() || arns.len() > 20 {
        return Err(invalid("Between 1 and 20 service deployments are described at once."));
    }
    let now = state.now_ms();
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in arns {
        let rollout = find_rollout(state, name).and_then(|(n, r)| {
            let service = state.ecs.services.get(n)?;
            Some((service, service.rollouts.get(r)?))
        });
        let Some((service, r)) = rollout else {
            failures.push(json!({"arn": name, "reason": "MISSING"}));
            continue;
        };
        let count = |wanted: &str| {
            service
                .tasks
                .iter()
                .filter(|t| t.deployment == r.deployment_id && t.status(now) == Some(wanted))
                .count()
        };
        found.push(json!({
            "serviceDeploymentArn": name,
            "serviceArn": arn(state, "service", &format!("{}/{}", service.cluster, service.name)),
            "clusterArn": arn(state, "cluster", &service.cluster),
            "createdAt": timestamp(r.created_ms),
            "startedAt": timestamp(r.created_ms + 1000),
            "finishedAt": (!r.running(now)).then(|| timestamp(finished(r))),
            "updatedAt": timestamp(now.min(finished(r))),
            "status": r.status(now),
            "statusReason": r.reason,
            "sourceServiceRevisions": [{
                "arn": service_revision_arn(state, service, r.from_revision),
                "requestedTaskCount": service.desired,
                "runningTaskCount": service
                    .tasks
                    .iter()
                    .filter(|t| t.revision == r.from_revision && r.from_revision != r.revision)
                    .filter(|t| t.status(now) == Some("RUNNING"))
                    .count(),
                "pendingTaskCount": 0,
            }],
            "targetServiceRevision": {
                "arn": service_revision_arn(state, service, r.revision),
                "requestedTaskCount": service.desired,
                "runningTaskCount": count("RUNNING"),
                "pendingTaskCount": count("PENDING"),
            },
            "rollback": r.rollback.map(|(asked, _)| json!({
                "reason": "Service deployment was stopped with a rollback.",
                "startedAt": timestamp(asked),
                "serviceRevisionArn": service_revision_arn(state, service, r.from_revision),
            })),
            "deploymentConfiguration": {
                "deploymentCircuitBreaker": {"enable": true, "rollback": true},
                "maximumPercent": 200, "minimumHealthyPercent": 100,
            },
        }));
    }
    Ok(json!({"serviceDeployments": found, "failures": failures}))
}

pub(super) fn describe_service_revisions(state: &State, input: &Value) -> Result<Value, WireError> {
    let arns = texts(input, "serviceRevisionArns");
    if arns.is_empty() || arns.len() > 20 {
        return Err(invalid("Between 1 and 20 service revisions are described at once."));
    }
    let (mut found, mut failures) = (Vec::new(), Vec::new());
    for name in arns {
        let hit = state.ecs.services.iter().find_map(|s| {
            let of = |r: &&Revision| service_revision_arn(state, s, r.number) == name;
            s.revisions.iter().find(of).map(|r| (s, r))
        });
        match hit {
            Some((service, revision)) => found.push(json!({
                "serviceRevisionArn": name,
                "serviceArn": arn(state, "service", &format!("{}/{}", service.cluster, service.name)),
                "clusterArn": arn(state, "cluster", &service.cluster),
                "taskDefinition": definition_arn(state, service, revision.number),
                "launchType": "FARGATE",
                "createdAt": timestamp(revision.registered_ms),
                "containerImages": [{
                    "containerName": service.name,
                    "image": image(state, service, &revision.commit),
                }],
            })),
            None => failures.push(json!({"arn": name, "reason": "MISSING"})),
        }
    }
    Ok(json!({"serviceRevisions": found, "failures": failures}))
}
