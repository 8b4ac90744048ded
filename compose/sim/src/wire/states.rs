//! Step Functions: state machines, their executions, and what happened in one.

mod definition;
mod history;

use serde_json::{Value, json};

use super::{
    WireBody, WireError,
    input::{needed, page, text},
    timestamp,
};
use crate::{
    random,
    scenario::spec::MachineSpec,
    world::{State, flows::Execution},
};

/// Answers one call.
pub(crate) fn handle(state: &mut State, op: &str, input: &Value) -> Result<WireBody, WireError> {
    match op {
        "ListStateMachines" => list_machines(state, input),
        "DescribeStateMachine" => describe_machine(state, input),
        "ListStateMachineVersions" => machine(state, input).map(|_| json!({"stateMachineVersions": []})),
        "ListExecutions" => list_executions(state, input),
        "DescribeExecution" => describe_execution(state, input),
        "DescribeStateMachineForExecution" => machine_for_execution(state, input),
        "GetExecutionHistory" => history(state, input),
        _ => return Err(WireError::unknown_operation(op)),
    }
    .map(WireBody::Json)
}

fn machine<'a>(state: &'a State, input: &Value) -> Result<(usize, &'a MachineSpec), WireError> {
    let arn = needed(input, "stateMachineArn", "InvalidArn")?;
    state.spec.machines.iter().enumerate().find(|(_, m)| state.spec.machine_arn(m) == arn).ok_or_else(|| {
        WireError::client("StateMachineDoesNotExist", format!("State Machine Does Not Exist: '{arn}'"))
    })
}

fn execution<'a>(state: &'a State, input: &Value) -> Result<(&'a MachineSpec, &'a Execution), WireError> {
    let arn = needed(input, "executionArn", "InvalidArn")?;
    let gone = || WireError::client("ExecutionDoesNotExist", format!("Execution Does Not Exist: '{arn}'"));
    if !arn.starts_with("arn:aws:states:") || arn.split(':').count() != 8 {
        return Err(WireError::client("InvalidArn", format!("Invalid Arn: '{arn}'")));
    }
    let found = state.spec.machines.iter().zip(&state.flows.executions).find_map(|(machine, all)| {
        let name = arn.strip_prefix(&arn_of(state, machine, ""))?;
        all.iter().find(|e| e.name == name && e.started_ms <= state.now_ms()).map(|e| (machine, e))
    });
    found.ok_or_else(gone)
}

fn arn_of(state: &State, machine: &MachineSpec, name: &str) -> String {
    let (region, account) = (state.region(), state.account());
    format!("arn:aws:states:{region}:{account}:execution:{}:{name}", machine.name)
}

fn invalid_token() -> WireError {
    WireError::client("InvalidToken", "Invalid Token: the next token is not valid")
}

fn list_machines(state: &State, input: &Value) -> Result<Value, WireError> {
    let all: Vec<Value> = state
        .spec
        .machines
        .iter()
        .map(|machine| {
            json!({
                "stateMachineArn": state.spec.machine_arn(machine),
                "name": machine.name,
                "type": "STANDARD",
                "creationDate": timestamp(created(state)),
            })
        })
        .collect();
    let (all, next) = paged(all, input, 1000)?;
    Ok(json!({"stateMachines": all, "nextToken": next}))
}

fn created(state: &State) -> i64 {
    state.spec.begin_ms - 120 * 86_400_000
}

fn paged<T>(all: Vec<T>, input: &Value, most: usize) -> Result<(Vec<T>, Option<String>), WireError> {
    let size = input.get("maxResults").and_then(Value::as_u64);
    page(all, text(input, "nextToken"), size, most).map_err(|()| invalid_token())
}

/// The id of a definition; the first has none.
fn revision_id(machine: &MachineSpec, revision: usize) -> Option<String> {
    let place = i64::try_from(revision).unwrap_or(0);
    (revision > 0).then(|| random::uuid(&mut random::generator(7, &machine.name, place)))
}

fn describe_machine(state: &State, input: &Value) -> Result<Value, WireError> {
    let (_, machine) = machine(state, input)?;
    let (revision, states) = machine.revision(state.now_ms());
    Ok(json!({
        "stateMachineArn": state.spec.machine_arn(machine),
        "name": machine.name,
        "status": "ACTIVE",
        "definition": definition::text(state, machine, states),
        "roleArn": role(state),
        "type": "STANDARD",
        "creationDate": timestamp(created(state)),
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": false},
        "tracingConfiguration": {"enabled": false},
        "revisionId": revision_id(machine, revision),
    }))
}

fn role(state: &State) -> String {
    format!("arn:aws:iam::{}:role/workflows", state.account())
}

fn list_executions(state: &State, input: &Value) -> Result<Value, WireError> {
    const STATES: [&str; 6] = ["RUNNING", "SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED", "PENDING_REDRIVE"];
    let (index, machine) = machine(state, input)?;
    let wanted = text(input, "statusFilter");
    if let Some(bad) = wanted.filter(|status| !STATES.contains(status)) {
        return Err(WireError::invalid(format!("Value '{bad}' at 'statusFilter' is no status")));
    }
    let now = state.now_ms();
    let all = state.flows.executions.get(index).map_or(&[][..], Vec::as_slice);
    let found: Vec<Value> = all
        .iter()
        .rev()
        .filter(|e| e.started_ms <= now && wanted.is_none_or(|status| e.status(now) == status))
        .map(|e| {
            json!({
                "executionArn": arn_of(state, machine, &e.name),
                "stateMachineArn": state.spec.machine_arn(machine),
                "name": e.name,
                "status": e.status(now),
                "startDate": timestamp(e.started_ms),
                "stopDate": (e.ends_ms <= now).then(|| timestamp(e.ends_ms)),
            })
        })
        .collect();
    let (found, next) = paged(found, input, 1000)?;
    Ok(json!({"executions": found, "nextToken": next}))
}

fn describe_execution(state: &State, input: &Value) -> Result<Value, WireError> {
    let (machine, e) = execution(state, input)?;
    let now = state.now_ms();
    let data = text(input, "includedData") != Some("METADATA_ONLY");
    let ended = e.ends_ms <= now;
    let failure = e.failure().filter(|_| ended);
    let output = (ended && failure.is_none() && data).then_some(history::OUTPUT);
    Ok(json!({
        "executionArn": arn_of(state, machine, &e.name),
        "stateMachineArn": state.spec.machine_arn(machine),
        "name": e.name,
        "status": e.status(now),
        "startDate": timestamp(e.started_ms),
        "stopDate": ended.then(|| timestamp(e.ends_ms)),
        "input": data.then(|| e.input()),
        "inputDetails": {"included": data},
        "output": output,
        "outputDetails": output.map(|_| json!({"included": true})),
        "error": failure.map(|(error, _)| error),
        "cause": failure.map(|(_, cause)| cause),
        "redriveCount": 0,
    }))
}

fn machine_for_execution(state: &State, input: &Value) -> Result<Value, WireError> {
    let (machine, e) = execution(state, input)?;
    let (since, states) =
        machine.revisions.get(e.revision).map_or((0, &[][..]), |(at, s)| (*at, s.as_slice()));
    let updated = if e.revision == 0 { created(state) } else { since };
    Ok(json!({
        "stateMachineArn": state.spec.machine_arn(machine),
        "name": machine.name,
        "definition": definition::text(state, machine, states),
        "roleArn": role(state),
        "updateDate": timestamp(updated),
        "loggingConfiguration": {"level": "OFF", "includeExecutionData": false},
        "tracingConfiguration": {"enabled": false},
        "revisionId": revision_id(machine, e.revision),
    }))
}

fn history(state: &State, input: &Value) -> Result<Value, WireError> {
    let (machine, e) = execution(state, input)?;
    let data = input.get("includeExecutionData").and_then(Value::as_bool) != Some(false);
    let mut events = history::events(state, machine, e, data);
    if input.get("reverseOrder").and_then(Value::as_bool) == Some(true) {
        events.reverse();
    }
    let size = input.get("maxResults").and_then(Value::as_u64).filter(|n| *n > 0).unwrap_or(100);
    let (events, next) =
        page(events, text(input, "nextToken"), Some(size), 1000).map_err(|()| invalid_token())?;
    Ok(json!({"events": events, "nextToken": next}))
}
