//! The shape of JSON: every path in it with the kinds of what stands there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// `patterns[].count: number`, a line for each path, sorted.
pub(crate) fn shape(value: &Value) -> String {
    let mut paths: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    walk("", value, &mut paths);
    let lines = paths
        .into_iter()
        .map(|(path, kinds)| format!("{path}: {}\n", kinds.into_iter().collect::<Vec<_>>().join(" or ")));
    lines.collect()
}

fn walk(path: &str, value: &Value, paths: &mut BTreeMap<String, BTreeSet<&'static str>>) {
    let kind = match value {
        Value::Null => "nothing",
        Value::Bool(_) => "yes or no",
        Value::Number(_) => "number",
        Value::String(text) if text.parse::<midwatch_policy::Timestamp>().is_ok() => "time",
        Value::String(_) => "text",
        Value::Array(items) => {
            for item in items {
                walk(&format!("{path}[]"), item, paths);
            }
            return;
        }
        Value::Object(object) => {
            for (name, child) in object {
                let inner = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                walk(&inner, child, paths);
            }
            return;
        }
    };
    paths.entry(path.to_owned()).or_default().insert(kind);
}
