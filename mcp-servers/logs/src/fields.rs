//! What a JSON event says besides its message: the request, the tenant, the status. Pure.
//!
//! Nested fields have dotted names, as Logs Insights names them, so that `log_query` takes them as they
//! stand. Only scalars of one line are fields; a stack is not. An event has at most [`MOST`], those first
//! that tell whose and which request it was.
//!
//! INVARIANT: what leaves was redacted twice: within its whole line, where neighbours and keys tell what
//! it is, and by itself, where an escape had hidden it.

use std::{cmp::Reverse, collections::BTreeMap};

use midwatch_mcp::{Clean, Redactions, clean_with};
use midwatch_policy::{MarkKind, Redactor};
use serde_json::{Map, Value};

use crate::{line::json_in, shapes::SharedField};

/// Fields of one event, bytes of a name, of a value, and of all values of an event.
const MOST: usize = 16;
const NAME_BYTES: usize = 64;
pub(crate) const VALUE_BYTES: usize = 120;
const EVENT_BYTES: usize = 1000;
/// Bytes of a value, and of all values, that are kept of an event that is cut.
const KEPT_VALUE: usize = 2048;
const KEPT: usize = 8192;
/// How deep it is looked for them.
const DEPTH: usize = 4;
/// A longer event has no fields.
const LONGEST: usize = 64 * 1024;

/// Parts of a name that make a field worth keeping before others.
const TELLING: [&str; 24] = [
    "request",
    "trace",
    "correlation",
    "tenant",
    "customer",
    "account",
    "user",
    "order",
    "session",
    "status",
    "code",
    "path",
    "route",
    "url",
    "method",
    "operation",
    "host",
    "upstream",
    "table",
    "queue",
    "duration",
    "version",
    "release",
    "region",
];

/// An event as it goes out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Told {
    /// Its text, redacted and clipped.
    pub(crate) text: String,
    /// Its other fields, where it is JSON.
    pub(crate) fields: BTreeMap<String, String>,
    /// What screening found in either.
    pub(crate) marks: Vec<MarkKind>,
    /// Where: `message 3-40 instruction`, `fields.note 0-32 instruction`.
    pub(crate) places: Vec<String>,
    /// What was redacted.
    pub(crate) redacted: Redactions,
}

/// Cleans an event: its text is clipped to so many bytes, its fields stay.
pub(crate) fn told(redactor: &Redactor, message: &str, max: usize) -> Told {
    told_beside(redactor, message, message, max)
}

/// The same of an event whose fields were kept when its message was cut.
pub(crate) fn told_beside(redactor: &Redactor, message: &str, fields: &str, max: usize) -> Told {
    let cleaned_text = clean_with(redactor, message, max);
    let mut places = cleaned_text.places_in("message");
    let Clean { text, mut marks, kinds: mut redacted, .. } = cleaned_text;
    let (all, of_all) = cleaned(redactor, fields);
    // The text was counted above; what was cut off it is told by the fields.
    redacted.at_least(&of_all);
    let mut fields = BTreeMap::new();
    for (name, value) in all {
        places.extend(value.places_in(&format!("fields.{name}")));
        marks.extend(value.marks);
        fields.insert(name, value.text);
    }
    marks.sort_unstable();
    marks.dedup();
    Told { text, fields, marks, places, redacted }
}

/// The fields of an event, clean, and what was redacted in all of it.
fn cleaned(redactor: &Redactor, message: &str) -> (BTreeMap<String, Clean>, Redactions) {
    let mut fields = BTreeMap::new();
    if message.len() > LONGEST || json_in(message.trim()).is_none() {
        return (fields, Redactions::default());
    }
    let whole = redactor.redact(message.trim());
    let mut redacted = Redactions::of(&whole);
    let mut found = of(&whole.text);
    if found.is_empty() {
        // A number that was redacted left a placeholder without quotes.
        found = of(&quoted(&whole.text));
    }
    for (name, value) in found {
        let name = clean_with(redactor, &name, NAME_BYTES);
        let mut value = clean_with(redactor, &value, VALUE_BYTES);
        redacted.add(&name.kinds);
        redacted.add(&value.kinds);
        value.marks.extend(name.marks);
        fields.insert(name.text, value);
    }
    (fields, redacted)
}

/// Puts quotes around placeholders that stand in place of a whole value.
pub(crate) fn quoted(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    let mut rest = json;
    while let Some((before, after)) = rest.split_once("[redacted:") {
        out.push_str(before);
        let (kind, tail) = after.split_once(']').unwrap_or((after, ""));
        let whole = before.trim_end().ends_with(':') && tail.trim_start().starts_with([',', '}']);
        let quote = if whole { "\"" } else { "" };
        out.extend([quote, "[redacted:", kind, "]", quote]);
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// What is kept of a message for its fields, as JSON. A value is kept whole, or it could no longer be told that it
/// is a secret; one that is longer than secrets are is left out.
pub(crate) fn kept(message: &str) -> String {
    if message.len() > LONGEST {
        return String::new();
    }
    let mut room = KEPT;
    let mut fields = Map::new();
    for (name, value) in of(message) {
        let bytes = name.len() + value.len();
        if value.len() <= KEPT_VALUE && bytes <= room {
            room -= bytes;
            fields.insert(name, Value::String(value));
        }
    }
    if fields.is_empty() { String::new() } else { Value::Object(fields).to_string() }
}

/// The fields of an event by name, as they were logged: nothing of a text that is not JSON.
pub(crate) fn of(message: &str) -> BTreeMap<String, String> {
    let Some(map) = json_in(message.trim()) else { return BTreeMap::new() };
    let mut all = Vec::new();
    walk(&map, "", 0, &mut all);
    if let Some(inner) = wrapped(&map) {
        walk(&inner, "", 0, &mut all);
    }
    all.sort_by_cached_key(|(name, _)| (!is_telling(name), name.matches('.').count(), name.clone()));
    let mut bytes = 0;
    all.retain(|(name, value)| {
        bytes += name.len() + value.len().min(VALUE_BYTES);
        bytes <= EVENT_BYTES
    });
    all.truncate(MOST);
    all.into_iter().collect()
}

/// The line that a container runtime wrapped; where both have a field, the line's own counts.
fn wrapped(map: &Map<String, Value>) -> Option<Map<String, Value>> {
    ["log", "message", "msg"].iter().find_map(|key| json_in(map.get(*key)?.as_str()?.trim()))
}

fn walk(map: &Map<String, Value>, prefix: &str, depth: usize, all: &mut Vec<(String, String)>) {
    for (key, value) in map {
        let name = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        if name.len() > NAME_BYTES || elsewhere(key).is_some() {
            continue;
        }
        if let Value::Object(inner) = value
            && depth < DEPTH
        {
            walk(inner, &name, depth + 1, all);
            continue;
        }
        let Some(text) = scalar(value) else { continue };
        let is_one = !text.trim().is_empty() && !text.contains(['\n', '\r']) && !text.starts_with('{');
        if is_one {
            all.push((name, text));
        }
    }
}

/// The text of a value that can be a field.
pub(crate) fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(yes) => Some(yes.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What is no field, since an event has it in its own, in its text or in its pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Elsewhere {
    Time,
    Level,
    Message,
    Stack,
}

/// Whether what has this name is told elsewhere than in a field.
pub(crate) fn elsewhere(key: &str) -> Option<Elsewhere> {
    let key: String =
        key.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
    Some(match key.as_str() {
        "timestamp" | "time" | "ts" | "datetime" => Elsewhere::Time,
        "level" | "severity" | "loglevel" | "lvl" | "levelname" | "severitytext" => Elsewhere::Level,
        "message" | "msg" | "errormessage" => Elsewhere::Message,
        "stack" | "stacktrace" => Elsewhere::Stack,
        _ => return None,
    })
}

fn is_telling(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with("id") || TELLING.iter().any(|part| name.contains(part))
}

/// Lines of a pattern that are looked at for what they share, and fields that are told.
const LINES: usize = 200;
const SHARED: usize = 6;

/// What lines have in common: fields of which one value is in at least two of them and in a fifth. Each
/// with its value as it was cleaned.
pub(crate) fn shared(redactor: &Redactor, lines: &[&str]) -> Vec<(SharedField, Clean)> {
    let step = lines.len().div_ceil(LINES).max(1);
    let looked_at: Vec<&str> = lines.iter().step_by(step).copied().collect();
    let mut counts: BTreeMap<String, BTreeMap<String, (u64, &str)>> = BTreeMap::new();
    for line in looked_at.iter().filter(|line| line.len() <= LONGEST) {
        for (name, value) in of(line) {
            counts.entry(name).or_default().entry(value).or_insert((0, line)).0 += 1;
        }
    }
    let of = looked_at.len() as u64;
    let mut frequent: Vec<(String, u64, u64, &str)> = counts
        .into_iter()
        .filter_map(|(name, values)| {
            let (lines, line) = values.values().copied().max_by_key(|(lines, _)| *lines)?;
            (lines >= 2 && lines * 5 >= of).then_some((name, lines, values.len() as u64, line))
        })
        .collect();
    frequent.sort_by_cached_key(|(name, lines, ..)| (!is_telling(name), Reverse(*lines), name.clone()));
    let found = frequent.into_iter().filter_map(|(name, lines, values, line)| {
        // As it stands in a line that has it: what it is may be told by what stands around it.
        let value = cleaned(redactor, line).0.remove(&name)?;
        Some((SharedField { name, value: value.text.clone(), lines, of, values }, value))
    });
    found.take(SHARED).collect()
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
