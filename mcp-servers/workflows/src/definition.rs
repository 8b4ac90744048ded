//! What differs between two definitions of a state machine: which states and which of their
//! fields. Values stay inside, but for those that name what is called or what comes next. Pure.

use std::collections::{BTreeMap, BTreeSet};

use midwatch_mcp::clean;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::called::{Called, named};

/// Fields whose values are shown: words of the language, names and numbers.
const SHOWN: [&str; 8] = [
    "Type",
    "Resource",
    "Next",
    "Default",
    "TimeoutSeconds",
    "HeartbeatSeconds",
    "MaxConcurrency",
    "QueryLanguage",
];

/// A field of a definition that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct FieldChange {
    /// The state, or `(machine)`.
    pub state: String,
    /// The field.
    pub field: String,
    /// What stood there; `(a value)` where that is not shown, absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// What stands there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
}

/// What differs from one definition to another, in the order of state names. `None` where one of
/// them cannot be read.
pub(crate) fn changes(from: &str, to: &str) -> Option<Vec<FieldChange>> {
    let (from, to) = (fields(from)?, fields(to)?);
    let keys: BTreeSet<&(String, String)> = from.keys().chain(to.keys()).collect();
    let changed = keys.into_iter().filter_map(|key| {
        let (before, after) = (from.get(key), to.get(key));
        if before == after {
            return None;
        }
        let (state, field) = key;
        let (mut told_before, mut told_after) =
            (before.map(|v| told(field, v)), after.map(|v| told(field, v)));
        if told_before == told_after {
            (told_before, told_after) = (Some("(a value)".to_owned()), Some("(another value)".to_owned()));
        }
        Some(FieldChange { state: text(state), field: text(field), from: told_before, to: told_after })
    });
    Some(changed.collect())
}

fn text(text: &str) -> String {
    clean(text, 128).text
}

fn told(field: &str, value: &Value) -> String {
    match value {
        Value::String(word) if field.ends_with(CALLED) => text(word),
        Value::String(word) if SHOWN.contains(&field) => text(word),
        Value::Number(number) if SHOWN.contains(&field) => number.to_string(),
        _ => "(a value)".to_owned(),
    }
}

/// The field under which stands what a state calls.
const CALLED: &str = "calls";

/// Each field of each state, states of branches and iterators among them.
fn fields(definition: &str) -> Option<BTreeMap<(String, String), Value>> {
    let definition: Value = serde_json::from_str(definition).ok()?;
    let mut all = BTreeMap::new();
    for (field, value) in definition.as_object()? {
        if field != "States" && field != "Comment" {
            all.insert(("(machine)".to_owned(), field.clone()), value.clone());
        }
    }
    states(&definition, &mut all, 0);
    Some(all)
}

fn states(scope: &Value, all: &mut BTreeMap<(String, String), Value>, depth: usize) {
    const DEEPEST: usize = 8;
    let Some(found) = scope.get("States").and_then(Value::as_object).filter(|_| depth < DEEPEST) else {
        return;
    };
    for (name, state) in found {
        for (field, value) in state.as_object().into_iter().flatten() {
            match field.as_str() {
                "Comment" => {}
                "Branches" => {
                    value.as_array().into_iter().flatten().for_each(|branch| states(branch, all, depth + 1));
                }
                "Iterator" | "ItemProcessor" => states(value, all, depth + 1),
                _ => {
                    all.insert((name.clone(), field.clone()), value.clone());
                }
            }
        }
        let parameters = state.get("Parameters").or_else(|| state.get("Arguments")).unwrap_or(&Value::Null);
        if let Some((_, value)) = named(parameters) {
            let resource = state.get("Resource").and_then(Value::as_str).unwrap_or_default();
            let kind =
                resource.rsplit(":::").next().and_then(|rest| rest.split(':').next()).unwrap_or_default();
            let called = Called::by_task(kind, "", &serde_json::json!({ "FunctionName": value }).to_string());
            let name_of = called.name.unwrap_or_default();
            all.insert((name.clone(), CALLED.to_owned()), Value::String(name_of));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: &str = r#"{"Comment":"x","StartAt":"A","States":{
        "A":{"Type":"Task","Resource":"arn:aws:states:::lambda:invoke","TimeoutSeconds":30,
             "Parameters":{"FunctionName":"arn:aws:lambda:us-east-1:1:function:score:3","Payload":{"key":"s3cret"}},"Next":"B"},
        "B":{"Type":"Map","ItemProcessor":{"StartAt":"C","States":{"C":{"Type":"Pass","End":true}}},"End":true}}}"#;

    #[test]
    fn states_and_fields_are_named_and_values_stay_inside() {
        assert_eq!(changes(FIRST, &FIRST.replace("\"x\"", "\"another comment\"")), Some(Vec::new()));
        let second = FIRST
            .replace("score:3", "score:4")
            .replace("s3cret", "0ther")
            .replace(":30", ":5")
            .replace(r#""Type":"Pass","#, r#""Type":"Wait","Seconds":3,"#);
        let found = changes(FIRST, &second).unwrap();
        let told: Vec<String> = found
            .iter()
            .map(|c| {
                let or = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
                format!("{}.{} {} {}", c.state, c.field, or(&c.from), or(&c.to))
            })
            .collect();
        assert_eq!(
            told,
            [
                "A.Parameters (a value) (another value)",
                "A.TimeoutSeconds 30 5",
                "A.calls score:3 score:4",
                "C.Seconds - (a value)",
                "C.Type Pass Wait",
            ]
        );
        assert_eq!(changes("{", FIRST), None);
        assert_eq!(changes("[]", FIRST), None);
    }
}
