//! What a model is shown of a document: enough to reason with, and not what it would only pay for.
//!
//! Every turn pays for the sweep again, so each part is cut to what its kind of result says about
//! an incident: what has changed before what is as ever, the last points of a series, one example
//! where ten say the same; of other services less than of the one the alarm is about. The evidence
//! book keeps every byte, and whatever is left out can be asked for.

use serde_json::{Map, Value, json};

use super::cap::cap;

/// Bytes of one part of the sweep that a model is shown.
const PART: u64 = 6_000;
/// Points of a series: the last ones.
const POINTS: usize = 5;
/// Patterns that did not change, as a background.
const STEADY: usize = 1;
/// Arguments that say what a part is about; its window stands in the result.
const ARGUMENTS: [&str; 5] = ["service", "role", "alarm_name", "query", "onset"];
/// Fields that say nothing about the incident, or say again what stands elsewhere.
const NOISE: [&str; 10] = [
    "ref",
    "spent",
    "lines_read",
    "log_groups",
    "warnings",
    "inputs",
    "period_s",
    "headings",
    "source",
    "task_definition",
];

/// A document as it is shown: of a sweep each part by itself, so that one huge part does not cost
/// the others. `own` is the service that the task is about.
pub(super) fn document(document: &Value, own: Option<&Value>) -> Value {
    let mut document = document.clone();
    if let Some(parts) = document.get_mut("parts").and_then(Value::as_array_mut) {
        for part in parts {
            let foreign = own.is_some() && part.get("service").is_some_and(|service| Some(service) != own);
            let tool = part.get("tool").and_then(Value::as_str).unwrap_or_default().to_owned();
            if let Some(args) = part.get_mut("args").and_then(Value::as_object_mut) {
                args.retain(|name, _| ARGUMENTS.contains(&name.as_str()));
            }
            if let Some(result) = part.get_mut("result") {
                of_tool(&tool, result, foreign);
                plain(result);
                *result = cap(result, PART);
            }
        }
    }
    document
}

/// A tool's result as it is shown: somebody asked for it, so only what says nothing is left out.
pub(super) fn result(result: &Value) -> Value {
    let mut result = result.clone();
    plain(&mut result);
    result
}

/// What each kind of result is cut to.
fn of_tool(tool: &str, result: &mut Value, foreign: bool) {
    match tool {
        "error_patterns" => patterns(result, foreign),
        "alarm_history" => {
            last(result, "transitions", 4);
            each(result, "transitions", |one| texts(one, 160));
        }
        "list_alarms" => {
            first(result, "alarms", 8);
            each(result, "alarms", |one| keep(one, &["evidence", "name", "service", "state", "state_since"]));
        }
        "list_deployments" => first(result, "deployments", 5),
        "list_executions" => first(result, "executions", 2),
        "correlate" => first(result, "candidates", 3),
        "service_health" => {
            // A rollout stops the old tasks: one of them says it.
            let mut replaced = 0;
            if let Some(tasks) = list(result, "stopped_tasks") {
                tasks.retain(|task| {
                    let by_rollout = task.get("kind").is_some_and(|kind| kind == "deployment");
                    replaced += usize::from(by_rollout);
                    !by_rollout || replaced == 1
                });
            }
            first(result, "stopped_tasks", if foreign { 2 } else { 5 });
            first(result, "events", if foreign { 1 } else { 3 });
            texts(result, 240);
        }
        "search_runbooks" => {
            first(result, "hits", 3);
            texts(result, 400);
        }
        _ => texts(result, 600),
    }
    series(result, foreign);
}

/// Of patterns those that changed, or that try to instruct; of the rest a few, to compare with.
fn patterns(result: &mut Value, foreign: bool) {
    let Some(all) = result.get_mut("patterns").and_then(Value::as_array_mut) else { return };
    let found = all.len();
    let changed = |one: &Value| {
        let screened = one.get("screened").and_then(Value::as_array).is_some_and(|marks| !marks.is_empty());
        let chance = one.get("chance").and_then(Value::as_f64).is_some_and(|chance| chance > 0.05)
            && one.get("onset").is_none_or(Value::is_null);
        let as_ever = matches!(one.get("change").and_then(Value::as_str), Some("steady" | "shrank" | "gone"));
        screened || !(as_ever || chance)
    };
    let (most, mut steady) = if foreign { (3, 0) } else { (6, STEADY) };
    let mut kept = 0;
    all.retain(|one| {
        if changed(one) {
            kept += 1;
            kept <= most
        } else if steady > 0 {
            steady -= 1;
            true
        } else {
            false
        }
    });
    for (at, one) in all.iter_mut().enumerate() {
        let examples = if changed(one) && at < 2 && !foreign { 2 } else { usize::from(changed(one)) };
        first(one, "examples", examples);
        each(one, "examples", |example| texts(example, 300));
        texts(one, 400);
    }
    let left = found - all.len();
    if left > 0 {
        all.push(json!({ "shortened": format!("{left} more patterns") }));
    }
}

/// Series are shown with their last points; of other services their sums have to do.
fn series(value: &mut Value, foreign: bool) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| series(item, foreign)),
        Value::Object(object) => {
            for (key, child) in object.iter_mut() {
                match (key.as_str(), &mut *child) {
                    ("per_minute" | "points", Value::Array(items)) => {
                        let most = if foreign { 1 } else { POINTS };
                        let left = items.len().saturating_sub(most);
                        if left > 1 {
                            items.drain(..left);
                            items.insert(0, json!({ "shortened": format!("{left} earlier") }));
                        }
                    }
                    _ => series(child, foreign),
                }
            }
        }
        _ => {}
    }
}

/// Takes out what says nothing: noise, nulls, and lists without anything in them.
fn plain(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(plain),
        Value::Object(object) => {
            let cited = object.contains_key("evidence");
            object.retain(|name, child| {
                let noise = NOISE.contains(&name.as_str()) && (cited || name != "ref");
                let empty = child.is_null()
                    || (matches!(name.as_str(), "notes" | "screened")
                        && child.as_array().is_some_and(Vec::is_empty));
                !noise && !empty
            });
            object.values_mut().for_each(plain);
        }
        _ => {}
    }
}

/// Cuts the texts of an object, and of the objects in it.
fn texts(value: &mut Value, most: usize) {
    match value {
        Value::String(text) if text.chars().count() > most => {
            let head: String = text.chars().take(most).collect();
            *text = format!("{head}…");
        }
        Value::Array(items) => items.iter_mut().for_each(|item| texts(item, most)),
        Value::Object(object) => object.values_mut().for_each(|child| texts(child, most)),
        _ => {}
    }
}

fn list<'v>(value: &'v mut Value, name: &str) -> Option<&'v mut Vec<Value>> {
    value.get_mut(name).and_then(Value::as_array_mut)
}

fn each(value: &mut Value, name: &str, change: impl Fn(&mut Value)) {
    list(value, name).into_iter().flatten().for_each(change);
}

fn first(value: &mut Value, name: &str, most: usize) {
    if let Some(items) = list(value, name).filter(|items| items.len() > most) {
        let left = items.len() - most;
        items.truncate(most);
        items.push(json!({ "shortened": format!("{left} more") }));
    }
}

fn last(value: &mut Value, name: &str, most: usize) {
    if let Some(items) = list(value, name).filter(|items| items.len() > most) {
        let left = items.len() - most;
        items.drain(..left);
        items.insert(0, json!({ "shortened": format!("{left} earlier") }));
    }
}

fn keep(value: &mut Value, names: &[&str]) {
    if let Some(object) = value.as_object_mut() {
        object.retain(|name, _| names.contains(&name.as_str()));
    }
}

/// A schema without what only generators of code read: a model that is shown a tool pays for every
/// byte of it, in every turn.
pub(super) fn schema(schema: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            let mut slim = Map::new();
            for (name, child) in object {
                match (name.as_str(), child) {
                    ("$schema" | "title" | "format", Value::String(_)) | ("default", Value::Null) => {}
                    ("type", Value::Array(types)) => {
                        let mut named: Vec<Value> = types.iter().filter(|t| *t != "null").cloned().collect();
                        let one = if named.len() == 1 { named.pop() } else { None };
                        slim.insert(name.clone(), one.unwrap_or(Value::Array(named)));
                    }
                    ("anyOf", Value::Array(ways)) => {
                        let real: Vec<&Value> =
                            ways.iter().filter(|w| **w != json!({"type": "null"})).collect();
                        match real.as_slice() {
                            [Value::Object(only)] => {
                                slim.extend(only.iter().map(|(k, v)| (k.clone(), self::schema(v))));
                            }
                            many => {
                                let many = many.iter().map(|way| self::schema(way)).collect();
                                slim.insert(name.clone(), Value::Array(many));
                            }
                        }
                    }
                    // A property may be called `title`.
                    ("properties" | "$defs", Value::Object(named)) => {
                        let named = named.iter().map(|(k, v)| (k.clone(), self::schema(v))).collect();
                        slim.insert(name.clone(), Value::Object(named));
                    }
                    _ => {
                        slim.insert(name.clone(), self::schema(child));
                    }
                }
            }
            Value::Object(slim)
        }
        Value::Array(items) => Value::Array(items.iter().map(self::schema).collect()),
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests;
