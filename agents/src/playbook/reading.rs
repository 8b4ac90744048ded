//! What stands in a request: documents, calls made, what they brought and what they failed to.

use serde_json::{Map, Value};

use crate::{
    brief::Brief,
    json::Json,
    model::{Content, Message, ModelRequest, ToolResult, ToolResultContent, ToolStatus, ToolUse},
    sweep::{MissingPart, Sweep},
    task::Task,
    view::Observation,
};

/// A request, read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) task: Option<Task>,
    pub(super) brief: Option<Brief>,
    /// Of the sweep, then of the calls so far.
    pub(super) observations: Vec<Observation>,
    /// What the sweep or a call could not read.
    pub(super) missing: Vec<MissingPart>,
    /// Every call so far, answered or not.
    pub(super) asked: Vec<(String, Map<String, Value>)>,
    /// How many.
    pub(super) calls_made: usize,
}

impl Reading {
    /// Whether a call was made before.
    pub(super) fn was_asked(&self, tool: &str, args: &Map<String, Value>) -> bool {
        self.asked.iter().any(|(known, with)| known == tool && with == args)
    }

    /// Whether any result of a tool about a service is there.
    pub(super) fn has(&self, tool: &str, service: Option<&str>) -> bool {
        self.observations
            .iter()
            .any(|o| o.tool == tool && (service.is_none() || o.service().as_deref() == service))
    }

    /// The error of the last call of a tool, if it failed.
    pub(super) fn failure_of(&self, tool: &str) -> Option<&str> {
        self.missing.iter().rev().find(|part| part.tool == tool).map(|part| part.why.as_str())
    }
}

pub(super) fn read(request: &ModelRequest) -> Reading {
    let mut reading = Reading::default();
    for message in &request.messages {
        for block in &message.content {
            if let Some(document) = block.as_document() {
                take_document(&mut reading, document);
            } else if let Content::ToolResult(result) = block {
                take_result(&mut reading, &request.messages, result);
            }
        }
    }
    let calls = || request.messages.iter().flat_map(Message::tool_uses);
    reading.calls_made = calls().count();
    reading.asked = calls().map(|call| (call.name.clone(), arguments(call))).collect();
    reading
}

fn arguments(call: &ToolUse) -> Map<String, Value> {
    call.input.as_object().cloned().unwrap_or_default()
}

fn take_document(reading: &mut Reading, document: Value) {
    match document.get("kind").and_then(Value::as_str) {
        Some("task") => reading.task = serde_json::from_value(document).ok().or(reading.task.take()),
        Some("brief") => reading.brief = serde_json::from_value(document).ok().or(reading.brief.take()),
        Some("sweep") => {
            if let Ok(sweep) = serde_json::from_value::<Sweep>(document) {
                reading.observations.extend(sweep.observations());
                reading.missing.extend(sweep.missing);
            }
        }
        _ => {}
    }
}

fn take_result(reading: &mut Reading, messages: &[Message], result: &ToolResult) {
    let call = messages.iter().flat_map(Message::tool_uses).find(|c| c.tool_use_id == result.tool_use_id);
    let Some(call) = call else { return };
    let body = result.content.iter().find_map(|content| match content {
        ToolResultContent::Json(json) => Some(json.value()),
        ToolResultContent::Text(text) => serde_json::from_str(text).ok(),
    });
    let Some(body) = body else { return };
    let failed = result.status == Some(ToolStatus::Error) || body.get("error").is_some_and(Value::is_object);
    if failed {
        let part = |name: &str| body.get("error").and_then(|e| e.get(name)).and_then(Value::as_str);
        reading.missing.push(MissingPart {
            tool: call.name.clone(),
            service: call.input.get("service").and_then(Value::as_str).and_then(|s| s.parse().ok()),
            why: format!("{}: {}", part("kind").unwrap_or("error"), part("message").unwrap_or("no message")),
        });
        return;
    }
    // The loop wraps results with their origin; a bare result is one, too.
    let inner = match body.get("result") {
        Some(inner) if body.get("origin").is_some() => inner,
        _ => &body,
    };
    reading.observations.push(Observation {
        tool: call.name.clone(),
        args: arguments(call),
        result: Json::of(inner),
    });
}
