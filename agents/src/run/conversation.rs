//! The conversation of a run: a pinned head (task, sweep or brief), then a window of calls and
//! results. What falls out of the window keeps its evidence ids, so it can still be cited.

use serde_json::{Value, json};

use super::{cap::cap, lean};
use crate::{
    json::Json,
    model::{
        CachePoint, Content, Inference, Message, ModelRequest, Role, SystemBlock, ToolChoice, ToolConfig,
        ToolEntry, ToolResult, ToolResultContent, ToolSpec, ToolStatus, json_bytes,
    },
    specialist::Specialist,
};

/// Bytes of one tool result that a model is shown.
const RESULT: u64 = 10_000;
/// Bytes of all tool results in the window.
const WINDOW: u64 = 60_000;

/// What is sent, turn after turn.
#[derive(Debug)]
pub(super) struct Conversation {
    /// One request that grows: nothing of it is written anew for a turn.
    request: ModelRequest,
    window: u64,
}

impl Conversation {
    pub(super) fn new(specialist: &Specialist, documents: &[Value], tools: Vec<ToolSpec>) -> Self {
        let own = documents.iter().find(|d| d.get("kind").is_some_and(|kind| kind == "task"));
        let own = own.and_then(|task| task.get("service")).filter(|service| service.is_string());
        let mut head: Vec<Content> =
            documents.iter().map(|d| Content::document(&lean::document(d, own))).collect();
        // Who can look at nothing answers in one turn: what is cached for it is never read again.
        let several_turns = !specialist.tools.is_empty();
        if several_turns {
            head.push(Content::CachePoint(CachePoint::default()));
        }
        let entries = tools.into_iter().map(|tool| {
            let input_schema = Json::of(&lean::schema(&tool.input_schema.value()));
            ToolEntry::ToolSpec(ToolSpec { input_schema, ..tool })
        });
        let request = ModelRequest {
            // The provider reads tools, then system, then messages: this point is for both.
            system: vec![
                SystemBlock::Text(specialist.prompt.clone()),
                SystemBlock::CachePoint(CachePoint::default()),
            ],
            messages: vec![Message::user(head)],
            inference: Inference {
                max_tokens: Some(specialist.max_output_tokens),
                temperature: Some(0.0),
                ..Inference::default()
            },
            tools: Some(ToolConfig { tools: entries.collect(), tool_choice: None }),
            ..ModelRequest::default()
        };
        Self { request, window: WINDOW }
    }

    /// The next request; `must` is the tool the model has to call, if it has to.
    pub(super) fn request(&mut self, model: &str, must: Option<&str>) -> &mut ModelRequest {
        let request = &mut self.request;
        model.clone_into(&mut request.model_id);
        if let Some(tools) = &mut request.tools {
            tools.tool_choice = must.map(|name| ToolChoice::Tool { name: name.to_owned() });
        }
        for message in request.messages.iter_mut().skip(1) {
            message.content.retain(|block| !matches!(block, Content::CachePoint(_)));
        }
        // The results so far are read again in the next turn, if there is one.
        if let (None, Some(last)) = (must, request.messages.iter_mut().skip(1).last()) {
            last.content.push(Content::CachePoint(CachePoint::default()));
        }
        request
    }

    /// What the model said.
    pub(super) fn said(&mut self, message: Message) {
        self.request.messages.push(message);
    }

    /// What our side says; joined to what it said last, since two messages of one side in a row are
    /// refused.
    pub(super) fn tell(&mut self, content: Vec<Content>) {
        let messages = &mut self.request.messages;
        match messages.last_mut() {
            Some(last) if last.role == Role::User => last.content.extend(content),
            _ => messages.push(Message::user(content)),
        }
        self.slide();
    }

    /// Leaves out what only the model that thought it can read again.
    pub(super) fn forget_reasoning(&mut self) {
        for message in &mut self.request.messages {
            message.content.retain(|block| !matches!(block, Content::ReasoningContent(_)));
        }
    }

    /// Makes room after the provider said that the conversation does not fit. False when there is
    /// nothing left to leave out.
    pub(super) fn shrink(&mut self) -> bool {
        let before = self.window;
        self.window /= 3;
        self.slide();
        before > 6_000
    }

    /// Leaves out the oldest results until the rest fits the window.
    fn slide(&mut self) {
        let messages = &mut self.request.messages;
        let mut bytes: u64 = messages.iter().flat_map(Message::tool_results).map(json_bytes).sum();
        let newest = messages.len().saturating_sub(1);
        for message in messages.iter_mut().take(newest) {
            for block in &mut message.content {
                let Content::ToolResult(result) = block else { continue };
                if bytes <= self.window {
                    return;
                }
                let before = json_bytes(result);
                let small = left_out(result);
                let after = json_bytes(&small);
                if after < before {
                    bytes = bytes - before + after;
                    *result = small;
                }
            }
        }
    }
}

fn left_out(result: &ToolResult) -> ToolResult {
    let evidence = result.content.iter().find_map(|content| match content {
        ToolResultContent::Json(body) => body.value().get("result")?.get("evidence").cloned(),
        ToolResultContent::Text(_) => None,
    });
    let note = json!({ "left_out": "an older result, left out to save room", "evidence": evidence });
    ToolResult { content: vec![ToolResultContent::Json(Json::of(&note))], ..result.clone() }
}

/// A result for the model, marked as what it is: data from outside.
pub(super) fn outside(id: &str, server: &str, tool: &str, result: &Value, note: Option<&str>) -> Content {
    let mut body = json!({
        "origin": { "server": server, "tool": tool },
        "untrusted": true,
        "result": cap(&lean::result(result), RESULT),
    });
    if let (Some(note), Some(body)) = (note, body.as_object_mut()) {
        body.insert("note".to_owned(), json!(note));
    }
    tool_result(id, &body, ToolStatus::Success)
}

/// An error for the model.
pub(super) fn error(id: &str, kind: &str, message: &str, mend: Option<&str>) -> Content {
    let mut error = json!({ "kind": kind, "message": cap(&json!(message), 1_000) });
    if let (Some(mend), Some(error)) = (mend, error.as_object_mut()) {
        error.insert("mend".to_owned(), json!(mend));
    }
    tool_result(id, &json!({ "error": error }), ToolStatus::Error)
}

fn tool_result(id: &str, body: &Value, status: ToolStatus) -> Content {
    Content::ToolResult(ToolResult {
        tool_use_id: id.to_owned(),
        content: vec![ToolResultContent::Json(Json::of(body))],
        status: Some(status),
    })
}
