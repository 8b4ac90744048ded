//! ECS: services, tasks, task definitions, service deployments; update and stop.

use serde_json::{Value, json};

use super::{
    WireBody, WireError,
    input::{needed, page, text, texts, time_ms},
    timestamp,
};
use crate::world::{
    State,
    ecs::{Revision, Rollout, Service, Task},
};

/// Answers one call.
pub(crate) fn handle(state: &mut State, op: &str, input: &Value) -> Result<WireBody, WireError> {
    match op {
        "ListClusters" => Ok(json!({"clusterArns": [arn(state, "cluster", &cluster_name(state))]})),
        "ListServices" => list_services(state, input),
        "DescribeServices" => describe_services(state, input),
        "ListTasks" => list_tasks(state, input),
        "DescribeTasks" => describe_tasks(state, input),
        "DescribeTaskDefinition" => describe_task_definition(state, input),
        "ListServiceDeployments" => list_service_deployments(state, input),
        "DescribeServiceDeployments" => describe_service_deployments(state, input),
        "DescribeServiceRevisions" => describe_service_revisions(state, input),
        "UpdateService" => update_service(state, input),
        "StopTask" => stop_task(state, input),
        "StopServiceDeployment" => stop_service_deployment(state, input),
        _ => return Err(WireError::unknown_operation(op)),
    }
    .map(WireBody::Json)
}

fn arn(state: &State, kind: &str, rest: &str) -> String {
    format!("arn:aws:ecs:{}:{}:{kind}/{rest}", state.region(), state.account())
}

fn cluster_name(state: &State) -> String {
    state.ecs.services.first().map_or_else(|| "default".to_owned(), |s| s.cluster.clone())
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn invalid(message: impl Into<String>) -> WireError {
    WireError::client("InvalidParameterException", message)
}

fn cluster(state: &State, input: &Value) -> Result<String, WireError> {
    let name = last(text(input, "cluster").unwrap_or("default"));
    if state.ecs.services.iter().any(|s| s.cluster == name) {
        return Ok(name.to_owned());
    }
    Err(WireError::client("ClusterNotFoundException", "Cluster not found."))
}

fn service(state: &State, input: &Value) -> Result<usize, WireError> {
    let cluster = cluster(state, input)?;
    let name = last(needed(input, "service", "InvalidParameterException")?);
    state
        .ecs
        .services
        .iter()
        .position(|s| s.cluster == cluster && s.name == name)
        .ok_or_else(|| WireError::client("ServiceNotFoundException", "Service not found."))
}

fn list_services(state: &State, input: &Value) -> Result<Value, WireError> {
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

fn describe_services(state: &State, input: &Value) -> Result<Value, WireError> {
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

fn definition_arn(state: &State, service: &Service, revision: u32) -> String {
    arn(state, "task-definition", &format!("{}:{revision}", service.name))
}

fn describe_service(state: &State, service: &Service) -> Value {
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

fn list_tasks(state: &State, input: &Value) -> Result<Value, WireError> {
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

fn task_arn(state: &State, service: &Service, task: &Task) -> String {
    arn(state, "task", &format!("{}/{}", service.cluster, task.id))
}

fn describe_tasks(state: &State, input: &Value) -> Result<Value, WireError> {
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

fn describe_task(state: &State, service: &Service, task: &Task, status: &str) -> Value {
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

fn image(state: &State, service: &Service, commit: &str) -> String {
    let tag = commit.get(..7).unwrap_or(commit);
    format!("{}.dkr.ecr.{}.amazonaws.com/{}:{tag}", state.account(), state.region(), service.name)
}

/// The service and revision that a task definition names: `family:revision`, an ARN, or a family.
fn definition<'a>(state: &'a State, name: &str) -> Result<(&'a Service, &'a Revision), WireError> {
    let short = last(name);
    let (family, number) = short.split_once(':').map_or((short, None), |(f, n)| (f, n.parse::<u32>().ok()));
    state
        .ecs
        .services
        .iter()
        .find(|s| s.name == family)
        .and_then(|s| {
            let revision = match number {
                Some(n) => s.revision(n),
                None if short.contains(':') => None,
                None => s.revisions.last(),
            };
            Some((s, revision?))
        })
        .ok_or_else(|| WireError::client("ClientException", "Unable to describe task definition."))
}

fn describe_task_definition(state: &State, input: &Value) -> Result<Value, WireError> {
    let name = needed(input, "taskDefinition", "InvalidParameterException")?;
    let (service, revision) = definition(state, name)?;
    let group =
        state.spec.services.iter().find(|s| s.name == service.name).map_or("", |s| s.log_group.as_str());
    let mut env = vec![json!({"name": "SERVICE_NAME", "value": service.name})];
    env.extend(revision.env.iter().map(|(k, v)| json!({"name": k, "value": v})));
    let tags = texts(input, "include").contains(&"TAGS").then(|| {
        json!([
            {"key": "commit", "value": revision.commit},
            {"key": "author", "value": revision.author},
            {"key": "pull_request", "value": revision.pull_request.to_string()},
            {"key": "message", "value": revision.message},
        ])
    });
    Ok(json!({
        "taskDefinition": {
            "taskDefinitionArn": definition_arn(state, service, revision.number),
            "family": service.name,
            "revision": revision.number,
            "status": "ACTIVE",
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "512", "memory": "1024",
            "registeredAt": timestamp(revision.registered_ms),
            "containerDefinitions": [{
                "name": service.name,
                "image": image(state, service, &revision.commit),
                "essential": true,
                "environment": env,
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": group,
                        "awslogs-region": state.region(),
                        "awslogs-stream-prefix": "ecs",
                    },
                },
            }],
        },
        "tags": tags,
    }))
}

fn service_deployment_arn(state: &State, service: &Service, rollout: &Rollout) -> String {
    arn(state, "service-deployment", &format!("{}/{}/{}", service.cluster, service.name, rollout.id))
}

fn service_revision_arn(state: &State, service: &Service, revision: u32) -> String {
    let number = 4_000_000_000_000_000_000 + u64::from(revision);
    arn(state, "service-revision", &format!("{}/{}/{number}", service.cluster, service.name))
}

fn list_service_deployments(state: &State, input: &Value) -> Result<Value, WireError> {
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

fn find_rollout(state: &State, name: &str) -> Option<(usize, usize)> {
    state.ecs.services.iter().enumerate().find_map(|(n, service)| {
        let found = service.rollouts.iter().position(|r| service_deployment_arn(state, service, r) == name);
        found.map(|r| (n, r))
    })
}

fn describe_service_deployments(state: &State, input: &Value) -> Result<Value, WireError> {
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

fn describe_service_revisions(state: &State, input: &Value) -> Result<Value, WireError> {
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

fn update_service(state: &mut State, input: &Value) -> Result<Value, WireError> {
    let index = service(state, input)?;
    let now = state.now_ms();
    let count = input.get("desiredCount").and_then(Value::as_u64);
    let force = input.get("forceNewDeployment").and_then(Value::as_bool) == Some(true);
    let current = state.ecs.services.get(index).and_then(|s| s.primary(now)).map_or(1, |r| r.revision);
    let wanted = match text(input, "taskDefinition") {
        Some(name) => definition(state, name)?.1.number,
        None => current,
    };
    let before = state.spec.services.get(index).map_or(1, |s| s.tasks);
    let Some(service) = state.ecs.services.get_mut(index) else { return Ok(json!({})) };
    if let Some(count) = count.and_then(|c| u32::try_from(c).ok()) {
        service.scale(count, now);
        state.faults.scaled(index, now + 15_000, now + 30_000, before, count);
    }
    if wanted != current || force {
        let takes = service.replaced_in_ms();
        let reason = if wanted == current { "forced new deployment" } else { "deployment" };
        service.roll_out(None, wanted, now, takes, reason);
        let brought = service.revision(wanted).and_then(|r| r.brought_by);
        if wanted == current {
            state.faults.restarted(index, now + 3000, now + takes);
        } else {
            state.faults.deployed(index, now + 3000, now + takes, |d| Some(d) == brought);
        }
    }
    let described = state.ecs.services.get(index).map(|s| describe_service(state, s));
    Ok(json!({"service": described}))
}

fn stop_task(state: &mut State, input: &Value) -> Result<Value, WireError> {
    cluster(state, input)?;
    let id = last(needed(input, "task", "InvalidParameterException")?).to_owned();
    let reason = text(input, "reason").unwrap_or("Task stopped by user").to_owned();
    let now = state.now_ms();
    let found = state.ecs.services.iter().position(|s| {
        s.tasks.iter().any(|t| t.id == id && t.status(now).is_some_and(|status| status != "STOPPED"))
    });
    let Some(index) = found else {
        return Err(invalid("The referenced task was not found."));
    };
    if let Some(service) = state.ecs.services.get_mut(index) {
        service.stop_task(&id, now, reason);
    }
    let described = state.ecs.services.get(index).and_then(|s| {
        let task = s.tasks.iter().find(|t| t.id == id)?;
        Some(describe_task(state, s, task, "STOPPED"))
    });
    Ok(json!({"task": described}))
}

fn stop_service_deployment(state: &mut State, input: &Value) -> Result<Value, WireError> {
    let name = needed(input, "serviceDeploymentArn", "InvalidParameterException")?;
    let back = text(input, "stopType") != Some("ABORT");
    let now = state.now_ms();
    let missing = || WireError::client("ServiceDeploymentNotFoundException", "Service deployment not found.");
    let (index, at) = find_rollout(state, name).ok_or_else(missing)?;
    let service = state.ecs.services.get_mut(index).ok_or_else(missing)?;
    let rollout = service.rollouts.get_mut(at).ok_or_else(missing)?;
    if !rollout.running(now) || rollout.rollback.is_some() {
        return Err(WireError::client(
            "ConflictException",
            "The service deployment is not in progress and cannot be stopped.",
        ));
    }
    let from = rollout.from_revision;
    if !back {
        rollout.cut_ms = Some(now);
        return Ok(json!({"serviceDeploymentArn": name}));
    }
    let takes = service.replaced_in_ms();
    if let Some(rollout) = service.rollouts.get_mut(at) {
        rollout.rollback = Some((now, now + takes));
    }
    let brought = service.revision(from).and_then(|r| r.brought_by);
    service.go_back(at, from, now, takes);
    state.faults.deployed(index, now + 3000, now + takes, |d| Some(d) == brought);
    Ok(json!({"serviceDeploymentArn": name}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arns_are_the_same_thing() {
        assert_eq!(last("arn:aws:ecs:us-east-1:1:service/production/cart"), "cart");
        assert_eq!(last("cart"), "cart");
    }
}
