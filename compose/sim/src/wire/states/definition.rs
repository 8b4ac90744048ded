//! A state machine's definition in the Amazon States Language.

use serde_json::{Map, Value, json};

use crate::{
    scenario::spec::{Called, MachineSpec, StateSpec},
    world::{State, flows::BACKOFF_S},
};

/// The definition as text.
pub(super) fn text(state: &State, machine: &MachineSpec, states: &[StateSpec]) -> String {
    let mut all = Map::new();
    for (n, planned) in states.iter().enumerate() {
        let mut one = Map::new();
        let mut say = |name: &str, value: Value| one.insert(name.to_owned(), value);
        match &planned.calls {
            None => say("Type", json!("Pass")),
            Some(called) => {
                say("Type", json!("Task"));
                say("Resource", json!(format!("arn:aws:states:::{}", resource(called))));
                say("Parameters", parameters(state, called))
            }
        };
        if planned.retries > 0 && planned.calls.is_some() {
            let retry = json!([{
                "ErrorEquals": ["States.ALL"], "IntervalSeconds": BACKOFF_S, "MaxAttempts": planned.retries,
                "BackoffRate": 2.0,
            }]);
            say("Retry", retry);
        }
        match states.get(n + 1) {
            Some(next) => say("Next", json!(next.name)),
            None => say("End", json!(true)),
        };
        all.insert(planned.name.clone(), Value::Object(one));
    }
    let first = states.first().map(|state| state.name.as_str());
    json!({"Comment": machine.name, "StartAt": first, "States": all}).to_string()
}

/// Integration and operation, as they stand behind `arn:aws:states:::`.
pub(super) fn resource(called: &Called) -> &'static str {
    match called {
        Called::Lambda(_) => "lambda:invoke",
        Called::Ecs(_) => "ecs:runTask.sync",
        Called::Http(_) => "http:invoke",
        Called::Table(_) => "dynamodb:putItem",
    }
}

/// What it is called with, without the input.
pub(super) fn parameters(state: &State, called: &Called) -> Value {
    let arn = |service: &str, rest: String| {
        format!("arn:aws:{service}:{}:{}:{rest}", state.region(), state.account())
    };
    let cluster = state.spec.services.first().map_or("default", |s| s.cluster.as_str());
    match called {
        Called::Lambda(name) => json!({"FunctionName": arn("lambda", format!("function:{name}"))}),
        Called::Ecs(family) => json!({
            "Cluster": arn("ecs", format!("cluster/{cluster}")),
            "TaskDefinition": arn("ecs", format!("task-definition/{family}")),
            "LaunchType": "FARGATE",
        }),
        Called::Http(host) => json!({"ApiEndpoint": format!("https://{host}/run"), "Method": "POST"}),
        Called::Table(table) => json!({"TableName": table}),
    }
}
