//! The events of an execution, as far as they have happened.

use serde_json::{Map, Value, json};

use super::{super::timestamp, definition};
use crate::{
    scenario::spec::{Called, MachineSpec},
    world::{
        State,
        flows::{Attempt, Execution},
    },
};

/// What every state puts out.
pub(super) const OUTPUT: &str = "{\"ok\":true}";

/// Collects events, each following the one before.
struct Events {
    list: Vec<Value>,
    now_ms: i64,
    data: bool,
}

impl Events {
    fn add(&mut self, at_ms: i64, kind: &str, details: &str, mut fields: Map<String, Value>) {
        if at_ms > self.now_ms {
            return;
        }
        if !self.data {
            for field in ["input", "inputDetails", "output", "outputDetails"] {
                fields.remove(field);
            }
        }
        let id = self.list.len() + 1;
        let mut event = Map::new();
        event.insert("timestamp".to_owned(), timestamp(at_ms));
        event.insert("type".to_owned(), kind.into());
        event.insert("id".to_owned(), id.into());
        event.insert("previousEventId".to_owned(), (id - 1).into());
        if !details.is_empty() {
            event.insert(details.to_owned(), Value::Object(fields));
        }
        self.list.push(Value::Object(event));
    }
}

fn fields(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// All of them, oldest first; without inputs and outputs if they are not wanted.
pub(super) fn events(state: &State, machine: &MachineSpec, e: &Execution, data: bool) -> Vec<Value> {
    let mut events = Events { list: Vec::new(), now_ms: state.now_ms(), data };
    let states = machine.revisions.get(e.revision).map_or(&[][..], |(_, states)| states.as_slice());
    let whole = json!({"truncated": false});
    let input = if data { e.input() } else { String::new() };
    events.add(
        e.started_ms,
        "ExecutionStarted",
        "executionStartedEventDetails",
        fields(json!({"input": input, "inputDetails": whole, "roleArn": super::role(state)})),
    );
    for step in &e.steps {
        let Some(planned) = states.get(step.state) else { continue };
        let kind = if planned.calls.is_some() { "Task" } else { "Pass" };
        let entered = step.attempts.first().map_or(e.started_ms, |first| first.starts_ms);
        events.add(
            entered,
            &format!("{kind}StateEntered"),
            "stateEnteredEventDetails",
            fields(json!({"name": planned.name, "input": input, "inputDetails": whole})),
        );
        if let Some(called) = &planned.calls {
            step.attempts.iter().for_each(|one| attempt(&mut events, state, called, one));
        }
        if let Some(last) = step.attempts.last().filter(|last| last.failure.is_none()) {
            events.add(
                last.ends_ms + 5,
                &format!("{kind}StateExited"),
                "stateExitedEventDetails",
                fields(json!({"name": planned.name, "output": OUTPUT, "outputDetails": whole})),
            );
        }
    }
    match e.failure() {
        Some((error, cause)) => events.add(
            e.ends_ms,
            "ExecutionFailed",
            "executionFailedEventDetails",
            fields(json!({"error": error, "cause": cause})),
        ),
        None => events.add(
            e.ends_ms,
            "ExecutionSucceeded",
            "executionSucceededEventDetails",
            fields(json!({"output": OUTPUT, "outputDetails": whole})),
        ),
    }
    events.list
}

fn attempt(events: &mut Events, state: &State, called: &Called, one: &Attempt) {
    let resource = definition::resource(called);
    let (kind, operation) = resource.split_once(':').unwrap_or((resource, ""));
    let about = || fields(json!({"resourceType": kind, "resource": operation}));
    let mut scheduled = about();
    scheduled.insert("region".to_owned(), state.region().into());
    scheduled.insert("parameters".to_owned(), definition::parameters(state, called).to_string().into());
    events.add(one.starts_ms + 5, "TaskScheduled", "taskScheduledEventDetails", scheduled);
    events.add(one.starts_ms + 10, "TaskStarted", "taskStartedEventDetails", about());
    let mut ended = about();
    if let Some((error, cause)) = &one.failure {
        ended.insert("error".to_owned(), error.as_str().into());
        ended.insert("cause".to_owned(), cause.as_str().into());
        events.add(one.ends_ms, "TaskFailed", "taskFailedEventDetails", ended);
    } else {
        ended.insert("output".to_owned(), OUTPUT.into());
        ended.insert("outputDetails".to_owned(), json!({"truncated": false}));
        events.add(one.ends_ms, "TaskSucceeded", "taskSucceededEventDetails", ended);
    }
}
