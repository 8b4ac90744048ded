//! CodeDeploy: applications, groups, deployments; create and stop, as AWS does them.

use serde_json::{Value, json};

use super::{
    WireBody, WireError,
    input::{needed, page, text, texts, time_ms},
    timestamp,
};
use crate::{
    scenario::spec::{DeployKind, DeploymentStatus, ServiceSpec},
    world::{State, codedeploy::Deployment},
};

/// The account's GitHub organisation in revisions.
const ORGANISATION: &str = "example-org";

/// Answers one call.
pub(crate) fn handle(state: &mut State, op: &str, input: &Value) -> Result<WireBody, WireError> {
    match op {
        "ListApplications" => Ok(list_applications(state)),
        "GetApplication" => get_application(state, input),
        "ListDeploymentGroups" => list_groups(state, input),
        "GetDeploymentGroup" => get_group(state, input),
        "ListDeployments" => list_deployments(state, input),
        "GetDeployment" => {
            let id = needed(input, "deploymentId", "DeploymentIdRequiredException")?;
            Ok(json!({"deploymentInfo": info(state, find(state, id)?)}))
        }
        "BatchGetDeployments" => batch_get(state, input),
        "CreateDeployment" => create(state, input),
        "StopDeployment" => stop(state, input),
        _ => return Err(WireError::unknown_operation(op)),
    }
    .map(WireBody::Json)
}

fn deployed(state: &State) -> impl Iterator<Item = (usize, &ServiceSpec)> {
    state.spec.services.iter().enumerate().filter(|(_, s)| s.deploys_with == DeployKind::CodeDeploy)
}

fn application<'a>(state: &'a State, input: &Value) -> Result<(usize, &'a ServiceSpec), WireError> {
    let name = needed(input, "applicationName", "ApplicationNameRequiredException")?;
    deployed(state).find(|(_, s)| s.name == name).ok_or_else(|| {
        WireError::client(
            "ApplicationDoesNotExistException",
            format!("No application found for name: {name}"),
        )
    })
}

fn group<'a>(state: &'a State, input: &Value, member: &str) -> Result<(usize, &'a ServiceSpec), WireError> {
    let (index, service) = application(state, input)?;
    let name = needed(input, member, "DeploymentGroupNameRequiredException")?;
    if service.deployment_group == name {
        return Ok((index, service));
    }
    Err(WireError::client(
        "DeploymentGroupDoesNotExistException",
        format!("No Deployment Group found for name: {name}"),
    ))
}

fn find<'a>(state: &'a State, id: &str) -> Result<&'a Deployment, WireError> {
    state.codedeploy.deployments.iter().find(|d| d.id == id).ok_or_else(|| {
        WireError::client(
            "DeploymentDoesNotExistException",
            format!("The deployment {id} could not be found"),
        )
    })
}

fn list_applications(state: &State) -> Value {
    json!({"applications": deployed(state).map(|(_, s)| s.name.as_str()).collect::<Vec<_>>()})
}

fn get_application(state: &State, input: &Value) -> Result<Value, WireError> {
    let (_, service) = application(state, input)?;
    Ok(json!({"application": {
        "applicationName": service.name,
        "computePlatform": "Server",
        "linkedToGitHub": true,
    }}))
}

fn list_groups(state: &State, input: &Value) -> Result<Value, WireError> {
    let (_, service) = application(state, input)?;
    Ok(json!({
        "applicationName": service.name,
        "deploymentGroups": [service.deployment_group],
    }))
}

fn revision(service: &ServiceSpec, commit: &str) -> Value {
    json!({
        "revisionType": "GitHub",
        "gitHubLocation": {"repository": format!("{ORGANISATION}/{}", service.name), "commitId": commit},
    })
}

fn get_group(state: &State, input: &Value) -> Result<Value, WireError> {
    let (index, service) = group(state, input, "deploymentGroupName")?;
    let now = state.now_ms();
    let brief = |d: &Deployment| {
        json!({
            "deploymentId": d.id,
            "status": d.status(now),
            "createTime": timestamp(d.created_ms),
            "endTime": (!d.active(now)).then(|| timestamp(d.ends_ms)),
        })
    };
    let success = state.codedeploy.last_success(index, now);
    let attempted = state.codedeploy.deployments.iter().rfind(|d| d.service == index);
    Ok(json!({"deploymentGroupInfo": {
        "applicationName": service.name,
        "deploymentGroupId": format!("{:016x}", crate::random::hash(1, &service.deployment_group)),
        "deploymentGroupName": service.deployment_group,
        "deploymentConfigName": "CodeDeployDefault.OneAtATime",
        "computePlatform": "Server",
        "serviceRoleArn": format!("arn:aws:iam::{}:role/codedeploy-service", state.account()),
        "targetRevision": success.map(|d| revision(service, &d.commit)),
        "autoRollbackConfiguration": {"enabled": false, "events": []},
        "deploymentStyle": {
            "deploymentType": "IN_PLACE", "deploymentOption": "WITH_TRAFFIC_CONTROL",
        },
        "lastSuccessfulDeployment": success.map(brief),
        "lastAttemptedDeployment": attempted.map(brief),
    }}))
}

fn list_deployments(state: &State, input: &Value) -> Result<Value, WireError> {
    const STATES: [&str; 8] =
        ["Created", "Queued", "InProgress", "Baking", "Succeeded", "Failed", "Stopped", "Ready"];
    let wanted = match (text(input, "applicationName"), text(input, "deploymentGroupName")) {
        (None, None) => None,
        (Some(_), None) => {
            return Err(WireError::client(
                "DeploymentGroupNameRequiredException",
                "deploymentGroupName is needed together with applicationName",
            ));
        }
        _ => Some(group(state, input, "deploymentGroupName")?.0),
    };
    let statuses = texts(input, "includeOnlyStatuses");
    if let Some(bad) = statuses.iter().find(|s| !STATES.contains(s)) {
        return Err(WireError::client("InvalidDeploymentStatusException", format!("invalid status {bad}")));
    }
    let range = input.get("createTimeRange").unwrap_or(&Value::Null);
    let from = time_ms(range, "start").unwrap_or(i64::MIN);
    let to = time_ms(range, "end").unwrap_or(i64::MAX);
    if from > to {
        return Err(WireError::client("InvalidTimeRangeException", "start lies after end"));
    }
    let now = state.now_ms();
    let mut found: Vec<&Deployment> = state
        .codedeploy
        .deployments
        .iter()
        .filter(|d| wanted.is_none_or(|index| d.service == index))
        .filter(|d| (from..=to).contains(&d.created_ms) && d.created_ms <= now)
        .filter(|d| statuses.is_empty() || statuses.contains(&d.status(now)))
        .collect();
    found.sort_by_key(|d| std::cmp::Reverse(d.created_ms));
    let ids = found.into_iter().map(|d| d.id.clone()).collect();
    let (ids, next) = page(ids, text(input, "nextToken"), None, 100)
        .map_err(|()| WireError::client("InvalidNextTokenException", "the next token is invalid"))?;
    Ok(json!({"deployments": ids, "nextToken": next}))
}

fn batch_get(state: &State, input: &Value) -> Result<Value, WireError> {
    let ids = texts(input, "deploymentIds");
    if ids.is_empty() || ids.len() > 25 {
        return Err(WireError::client("BatchLimitExceededException", "between 1 and 25 deployment ids"));
    }
    let infos: Vec<Value> =
        ids.iter().filter_map(|id| find(state, id).ok()).map(|d| info(state, d)).collect();
    Ok(json!({"deploymentsInfo": infos}))
}

fn info(state: &State, d: &Deployment) -> Value {
    let now = state.now_ms();
    let Some(service) = state.spec.services.get(d.service) else { return Value::Null };
    let status = d.status(now);
    let tasks = u64::from(service.tasks);
    let done = if status == "Succeeded" {
        tasks
    } else {
        let whole = (d.ends_ms - d.created_ms).max(1);
        u64::try_from((now.min(d.ends_ms) - d.created_ms).max(0)).unwrap_or(0) * tasks
            / u64::try_from(whole).unwrap_or(1).max(1)
    };
    let left = tasks.saturating_sub(done);
    let (pending, running, failed, skipped) = match status {
        "Succeeded" => (0, 0, 0, 0),
        "Failed" => (0, 0, left, 0),
        "Stopped" => (0, 0, 0, left),
        _ => (left.saturating_sub(1), left.min(1), 0, 0),
    };
    let rollback = (d.rolls_back.is_some() || d.rolled_back_by.is_some()).then(|| {
        json!({
            "rollbackDeploymentId": d.rolled_back_by,
            "rollbackTriggeringDeploymentId": d.rolls_back,
            "rollbackMessage": d.rolled_back_by.as_ref().map(|by|
                format!("The deployment was stopped, and deployment {by} takes it back.")),
        })
    });
    let error = match status {
        "Failed" => Some(json!({
            "code": "HEALTH_CONSTRAINTS",
            "message": "The overall deployment failed because too many individual instances failed deployment",
        })),
        "Stopped" => Some(json!({"code": "MANUAL_STOP", "message": "The deployment was stopped manually"})),
        _ => None,
    };
    json!({
        "applicationName": service.name,
        "deploymentGroupName": service.deployment_group,
        "deploymentConfigName": "CodeDeployDefault.OneAtATime",
        "deploymentId": d.id,
        "previousRevision": d.previous_commit.as_ref().map(|c| revision(service, c)),
        "revision": revision(service, &d.commit),
        "status": status,
        "errorInformation": error,
        "createTime": timestamp(d.created_ms),
        "startTime": (now >= d.created_ms + 3000).then(|| timestamp(d.created_ms + 3000)),
        "completeTime": (!d.active(now)).then(|| timestamp(d.ends_ms)),
        "deploymentOverview": {
            "Pending": pending, "InProgress": running, "Succeeded": done, "Failed": failed,
            "Skipped": skipped, "Ready": 0,
        },
        "description": d.description,
        "creator": d.creator,
        "ignoreApplicationStopFailures": false,
        "rollbackInfo": rollback,
        "deploymentStyle": {
            "deploymentType": "IN_PLACE", "deploymentOption": "WITH_TRAFFIC_CONTROL",
        },
        "computePlatform": "Server",
    })
}

fn create(state: &mut State, input: &Value) -> Result<Value, WireError> {
    let (index, service) = group(state, input, "deploymentGroupName")?;
    let (takes, group_name) = (service.replaced_in_ms, service.deployment_group.clone());
    let now = state.now_ms();
    let revision = input.get("revision").ok_or_else(|| {
        WireError::client("RevisionRequiredException", "The revision ID was not specified.")
    })?;
    if text(revision, "revisionType") != Some("GitHub") {
        return Err(WireError::client("InvalidRevisionException", "This group is deployed from GitHub."));
    }
    let commit = revision.get("gitHubLocation").and_then(|l| text(l, "commitId")).unwrap_or_default();
    let known = state.codedeploy.deployments.iter().any(|d| d.service == index && d.commit == commit);
    if !known {
        return Err(WireError::client(
            "RevisionDoesNotExistException",
            format!("The named revision does not exist: {commit}"),
        ));
    }
    if let Some(busy) = state
        .codedeploy
        .deployments
        .iter()
        .find(|d| d.service == index && d.active(now) && d.created_ms <= now)
    {
        return Err(WireError::client(
            "DeploymentLimitExceededException",
            format!("The Deployment Group '{group_name}' already has an active Deployment '{}'", busy.id),
        ));
    }
    let description = text(input, "description").unwrap_or_default().to_owned();
    let id = begin(state, index, commit.to_owned(), description, "user", takes, None);
    Ok(json!({"deploymentId": id}))
}

/// Begins a deployment: tasks are replaced, and the faults of what it takes away are cured.
fn begin(
    state: &mut State,
    index: usize,
    commit: String,
    description: String,
    creator: &'static str,
    takes_ms: i64,
    rolls_back: Option<String>,
) -> String {
    let now = state.now_ms();
    let brings: Vec<usize> = state
        .spec
        .deployments
        .iter()
        .enumerate()
        .filter(|(_, d)| d.service == index && d.commit == commit)
        .map(|(n, _)| n)
        .collect();
    state.faults.deployed(index, now + 3000, now + takes_ms, |d| brings.contains(&d));
    if let Some(service) = state.ecs.services.get_mut(index) {
        let primary = service.primary(now).map(|r| r.deployment_id.clone()).unwrap_or_default();
        let revision = service.revisions.iter().find(|r| r.commit == commit).map_or(1, |r| r.number);
        service.replace_tasks(revision, &primary, now + 3000, takes_ms - 3000);
    }
    let deployment = state.codedeploy.create(index, commit, description, creator, now, takes_ms);
    deployment.rolls_back = rolls_back;
    deployment.id.clone()
}

fn stop(state: &mut State, input: &Value) -> Result<Value, WireError> {
    let id = needed(input, "deploymentId", "DeploymentIdRequiredException")?;
    let now = state.now_ms();
    let found = find(state, id)?;
    if !found.active(now) {
        return Err(WireError::client(
            "DeploymentAlreadyCompletedException",
            format!("The deployment {id} has already completed"),
        ));
    }
    let (index, previous) = (found.service, found.previous_commit.clone());
    if let Some(d) = state.codedeploy.deployments.iter_mut().find(|d| d.id == id) {
        d.ends_ms = now;
        d.ending = DeploymentStatus::Stopped;
    }
    let back = input.get("autoRollbackEnabled").and_then(Value::as_bool) == Some(true);
    if let (true, Some(commit)) = (back, previous) {
        let takes = state.spec.services.get(index).map_or(50_000, |s| s.replaced_in_ms);
        let text = format!("Rollback of deployment {id}");
        let by = begin(state, index, commit, text, "codeDeployRollback", takes, Some(id.to_owned()));
        if let Some(d) = state.codedeploy.deployments.iter_mut().find(|d| d.id == id) {
            d.rolled_back_by = Some(by);
        }
    }
    Ok(json!({"status": "Succeeded", "statusMessage": "Deployment stopped"}))
}
