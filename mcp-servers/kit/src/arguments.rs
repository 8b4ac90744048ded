//! What is wrong with the arguments of a call, said so that the caller can mend them.
//!
//! A server's own parser says only where it stopped. Here the same arguments are held against the
//! schema that the tool was listed with: the argument is named, with what came and what is taken.
//! It explains a refusal that was made already; it refuses nothing itself.

use rmcp::model::{JsonObject, Tool};
use serde_json::Value;

use crate::{
    error::ToolError,
    output::{clip, nearest},
    time::Time,
};

/// What `rmcp` says before the parser's own words.
const PREFIX: &str = "failed to deserialize parameters:";
/// So many faults are told at once.
const MOST: usize = 3;

/// The error in place of `rmcp`'s bare text.
pub(crate) fn explained(text: &str, tool: Option<&Tool>, given: Option<&JsonObject>) -> ToolError {
    let mut faults = Vec::new();
    if let Some(tool) = tool.filter(|_| text.starts_with(PREFIX)) {
        let schema = Value::Object((*tool.input_schema).clone());
        let given = Value::Object(given.cloned().unwrap_or_default());
        Walk { root: &schema, faults: &mut faults }.object(&schema, &given, "");
    }
    if faults.is_empty() {
        let said = text.strip_prefix(PREFIX).map_or(text, str::trim);
        let said = clip(said, 500);
        return ToolError::invalid(said, "correct the arguments; the tool's schema says what it takes");
    }
    let more = faults.len().saturating_sub(MOST);
    faults.truncate(MOST);
    let (mut messages, mends): (Vec<_>, Vec<_>) = faults.into_iter().unzip();
    if more > 0 {
        messages.push(format!("{more} more"));
    }
    ToolError::invalid(messages.join("; "), mends.join("; "))
}

struct Walk<'a> {
    root: &'a Value,
    faults: &'a mut Vec<(String, String)>,
}

impl<'a> Walk<'a> {
    /// The part of the schema that says what is taken, and whether null will do.
    fn resolve(&self, mut part: &'a Value) -> (&'a Value, bool) {
        let mut nullable = false;
        for _ in 0..8 {
            if let Some(name) = part.get("$ref").and_then(Value::as_str) {
                let Some(found) = name.strip_prefix('#').and_then(|path| self.root.pointer(path)) else {
                    break;
                };
                part = found;
            } else if let Some(ways) = part.get("anyOf").and_then(Value::as_array) {
                let is_null = |way: &&Value| way.get("type").and_then(Value::as_str) == Some("null");
                nullable |= ways.iter().any(|way| is_null(&way));
                let Some(way) = ways.iter().find(|way| !is_null(way)) else { break };
                part = way;
            } else {
                break;
            }
        }
        (part, nullable || types(part).contains(&"null"))
    }

    fn object(&mut self, part: &'a Value, given: &Value, path: &str) {
        let (Some(takes), Some(given)) =
            (part.get("properties").and_then(Value::as_object), given.as_object())
        else {
            return;
        };
        let closed = part.get("additionalProperties") == Some(&Value::Bool(false));
        for name in given.keys().filter(|name| closed && !takes.contains_key(*name)) {
            let meant = nearest(name, takes.keys().map(String::as_str))
                .map_or_else(String::new, |near| format!("did you mean `{path}{near}`? "));
            let all: Vec<_> = takes.keys().map(|name| format!("`{path}{name}`")).collect();
            self.faults.push((
                format!("there is no argument `{path}{}`", clip(name, 60)),
                format!("{meant}arguments are: {}", all.join(", ")),
            ));
        }
        let required = part.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str).filter(|name| !given.contains_key(*name)) {
            let about = takes.get(name).map(|part| self.about(part)).unwrap_or_default();
            self.faults.push((format!("`{path}{name}` is missing"), format!("`{path}{name}` is {about}")));
        }
        for (name, value) in given {
            if let Some(part) = takes.get(name) {
                self.value(part, value, &format!("{path}{name}"));
            }
        }
    }

    fn value(&mut self, outer: &'a Value, given: &Value, path: &str) {
        let (part, nullable) = self.resolve(outer);
        if given.is_null() && nullable {
            return;
        }
        let taken = types(part);
        let fits = taken.is_empty() || taken.iter().any(|name| is(name, given));
        let allowed = constants(part);
        let low = |bound: f64| given.as_f64().is_some_and(|value| value < bound);
        let too_low = part.get("minimum").and_then(Value::as_f64).is_some_and(low);
        let no_time = part.get("format").and_then(Value::as_str) == Some("date-time")
            && given.as_str().is_some_and(|text| Time::parse(text).is_err());
        let not_allowed = !allowed.is_empty() && !given.as_str().is_some_and(|text| allowed.contains(&text));
        if !fits || too_low || no_time || not_allowed {
            let came = given.to_string();
            let meant = given.as_str().and_then(|text| nearest(text, allowed.iter().copied()));
            let meant = meant.map_or_else(String::new, |near| format!("did you mean `{near}`? "));
            self.faults.push((
                format!("`{path}` cannot be {}", clip(&came, 60)),
                format!("{meant}`{path}` is {}", self.about(outer)),
            ));
        } else if given.is_object() {
            self.object(part, given, &format!("{path}."));
        } else if let (Some(item), Some(values)) = (part.get("items"), given.as_array()) {
            for (at, value) in values.iter().enumerate() {
                self.value(item, value, &format!("{path}[{at}]"));
            }
        }
    }

    /// What is taken there: the kind of value, the allowed ones, and the schema's own words.
    fn about(&self, outer: &'a Value) -> String {
        let (part, _) = self.resolve(outer);
        let allowed = constants(part);
        let kind = if !allowed.is_empty() {
            let all: Vec<_> = allowed.iter().map(|value| format!("`{value}`")).collect();
            format!("one of {}", all.join(", "))
        } else if part.get("format").and_then(Value::as_str) == Some("date-time") {
            "a time as RFC 3339 in UTC, such as `2026-11-21T02:04:00Z`".to_owned()
        } else {
            let names = types(part).into_iter().filter(|name| *name != "null").map(|name| match name {
                "integer" => "a whole number",
                "number" => "a number",
                "string" => "a string",
                "boolean" => "`true` or `false`",
                "array" => "a list",
                _ => "an object",
            });
            names.collect::<Vec<_>>().join(" or ")
        };
        let said = outer.get("description").or_else(|| part.get("description")).and_then(Value::as_str);
        said.map_or(kind.clone(), |said| format!("{kind}: {}", clip(said, 240)))
    }
}

fn types(part: &Value) -> Vec<&str> {
    match part.get("type") {
        Some(Value::String(name)) => vec![name],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn constants(part: &Value) -> Vec<&str> {
    let several = part.get("oneOf").and_then(Value::as_array).into_iter().flatten();
    let several = several.filter_map(|way| way.get("const").and_then(Value::as_str));
    let listed = part.get("enum").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
    several.chain(listed).collect()
}

fn is(name: &str, value: &Value) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        _ => true,
    }
}
