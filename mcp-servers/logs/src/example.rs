//! An event as an example of its pattern: what stands beside it is not told once more.
//!
//! Of JSON the message comes first, then the stack, then as JSON whatever no field of the example tells. Time
//! and level are the event's own and the pattern's. Where an example goes on as one before it did but for
//! numbers, as stacks do, that is said instead. `log_context` has the event as it was logged.
//!
//! INVARIANT: as with fields, what leaves was redacted twice: within its whole line, and by itself.

use std::collections::BTreeMap;

use midwatch_mcp::{Clean, clean_with};
use midwatch_policy::{Redactor, Timestamp};
use serde_json::{Map, Value};

use crate::{
    events::Event,
    fields::{self, Elsewhere, VALUE_BYTES},
    line::json_in,
};

/// Stands in place of what an example before it says as well.
const AS_ABOVE: &str = "[goes on as above, but for numbers]";

/// The texts of one pattern's examples, in their order.
pub(crate) struct Examples<'a> {
    redactor: &'a Redactor,
    /// How the first one goes on that has more than one line, without its digits.
    goes_on: Option<String>,
}

impl<'a> Examples<'a> {
    pub(crate) const fn new(redactor: &'a Redactor) -> Self {
        Self { redactor, goes_on: None }
    }

    /// The text of the next one, in at most so many bytes.
    pub(crate) fn text(&mut self, event: &Event, max: usize) -> Clean {
        let whole = said(self.redactor, event);
        match whole.split_once('\n') {
            Some((first, rest)) if rest.len() > AS_ABOVE.len() && self.is_known(rest) => {
                clean_with(self.redactor, &format!("{first}\n{AS_ABOVE}"), max)
            }
            _ => clean_with(self.redactor, &whole, max),
        }
    }

    fn is_known(&mut self, rest: &str) -> bool {
        let shape: String = rest.chars().filter(|c| !c.is_ascii_digit()).collect();
        if let Some(known) = &self.goes_on {
            return *known == shape;
        }
        self.goes_on = Some(shape);
        false
    }
}

/// All that an event says, redacted.
fn said(redactor: &Redactor, event: &Event) -> String {
    let whole = redactor.redact(event.message.trim_end()).text;
    of_json(whole.trim(), event.at)
        .or_else(|| of_json(&fields::quoted(whole.trim()), event.at))
        .unwrap_or(whole)
}

fn of_json(text: &str, at: Timestamp) -> Option<String> {
    let map = json_in(text)?;
    let mut parts =
        Parts { at, told: fields::of(text), said: Vec::new(), stack: Vec::new(), rest: Map::new() };
    let head = text.split_once('{').map_or("", |(head, _)| head).trim();
    if head.parse::<Timestamp>().is_err() {
        parts.said.extend(Some(head.to_owned()).filter(|head| !head.is_empty()));
    }
    let of_head = parts.said.len();
    parts.take(map, true);
    if parts.said.len() == of_head {
        return None;
    }
    let mut all = vec![parts.said.join(" ")];
    all.append(&mut parts.stack);
    if !parts.rest.is_empty() {
        all.push(Value::Object(parts.rest).to_string());
    }
    Some(all.join("\n"))
}

struct Parts {
    at: Timestamp,
    /// What the fields of the example tell.
    told: BTreeMap<String, String>,
    said: Vec<String>,
    stack: Vec<String>,
    rest: Map<String, Value>,
}

impl Parts {
    fn take(&mut self, map: Map<String, Value>, is_outer: bool) {
        for (key, value) in map {
            let kind = fields::elsewhere(&key);
            match (kind, value) {
                (kind, Value::String(text))
                    if is_outer && (kind == Some(Elsewhere::Message) || key == "log") =>
                {
                    match json_in(text.trim()) {
                        // What a container runtime wrapped.
                        Some(inner) => self.take(inner, false),
                        None if key == "log" => self.leave(key, Value::String(text)),
                        None => self.said.push(text.trim_end().to_owned()),
                    }
                }
                (Some(Elsewhere::Message), Value::String(text)) => self.said.push(text.trim_end().to_owned()),
                (Some(Elsewhere::Stack), Value::String(text)) => self.stack.push(text.trim_end().to_owned()),
                (Some(Elsewhere::Level), Value::String(_) | Value::Number(_)) => {}
                (Some(Elsewhere::Time), value) if self.is_its_time(&value) => {}
                (_, value) => self.leave(key, value),
            }
        }
    }

    /// Whether it says when the event was, which the event says itself: not another time.
    fn is_its_time(&self, value: &Value) -> bool {
        match value {
            Value::String(text) => {
                text.parse::<Timestamp>().map_or(true, |at| at.duration_since(self.at).as_secs().abs() <= 1)
            }
            other => other.is_number(),
        }
    }

    fn leave(&mut self, key: String, value: Value) {
        if let Some(value) = self.untold(&key, value) {
            self.rest.insert(key, value);
        }
    }

    /// What of a value no field tells.
    fn untold(&self, name: &str, value: Value) -> Option<Value> {
        match value {
            Value::Null => None,
            Value::Object(map) => {
                let left: Map<String, Value> = map
                    .into_iter()
                    .filter_map(|(key, value)| {
                        let value = self.untold(&format!("{name}.{key}"), value)?;
                        Some((key, value))
                    })
                    .collect();
                (!left.is_empty()).then_some(Value::Object(left))
            }
            Value::Array(items) => (!items.is_empty()).then_some(Value::Array(items)),
            scalar => {
                let text = fields::scalar(&scalar).unwrap_or_default();
                let is_told =
                    self.told.get(name).is_some_and(|told| *told == text && text.len() <= VALUE_BYTES);
                (!is_told && !text.trim().is_empty()).then_some(scalar)
            }
        }
    }
}

#[cfg(test)]
#[path = "example_tests.rs"]
mod tests;
