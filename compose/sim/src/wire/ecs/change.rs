//! What changes a service.

use serde_json::{Value, json};

use super::{
    super::{
        WireError,
        input::{needed, text},
    },
    cluster,
    definitions::definition,
    invalid, last,
    rollouts::find_rollout,
    service,
    services::describe_service,
    tasks::describe_task,
};
use crate::world::State;

pub(super) fn update_service(state: &mut State, input: &Value) -> Result<Value, WireError> {
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

pub(super) fn stop_task(state: &mut State, input: &Value) -> Result<Value, WireError> {
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

pub(super) fn stop_service_deployment(state: &mut State, input: &Value) -> Result<Value, WireError> {
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
