//! Our request as chat completions have it.

use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::Calling;
use crate::model::{
    Content, Message, ModelRequest, Role, SystemBlock, ToolChoice, ToolEntry, ToolResult, ToolResultContent,
    ToolSpec, ToolUse,
};

/// The host whose newer models refuse `max_tokens`.
const NEWER: &str = "api.openai.com";

pub(super) fn body(model: &str, host: Option<&str>, calling: Calling, request: &ModelRequest) -> Value {
    let tools = specs(request);
    let mut system: Vec<&str> = request
        .system
        .iter()
        .filter_map(|block| match block {
            SystemBlock::Text(text) => Some(text.as_str()),
            SystemBlock::CachePoint(_) => None,
        })
        .collect();
    let told = (calling == Calling::Schema && !tools.is_empty()).then(|| described(&tools));
    system.extend(told.as_deref());
    let mut messages = vec![json!({ "role": "system", "content": system.join("\n\n") })];
    for message in &request.messages {
        self::messages(message, calling, &mut messages);
    }
    let mut body = Map::new();
    body.insert("model".to_owned(), json!(model));
    body.insert("messages".to_owned(), Value::Array(messages));
    if let Some(most) = request.inference.max_tokens {
        let name = if host == Some(NEWER) { "max_completion_tokens" } else { "max_tokens" };
        body.insert(name.to_owned(), json!(most));
    }
    if let Some(temperature) = request.inference.temperature {
        body.insert("temperature".to_owned(), json!(temperature));
    }
    if let Some(top_p) = request.inference.top_p {
        body.insert("top_p".to_owned(), json!(top_p));
    }
    if !request.inference.stop_sequences.is_empty() {
        body.insert("stop".to_owned(), json!(request.inference.stop_sequences));
    }
    let choice = request.tools.as_ref().and_then(|config| config.tool_choice.as_ref());
    match calling {
        _ if tools.is_empty() => {}
        Calling::Tools => {
            body.insert("tools".to_owned(), tools.iter().map(|tool| function(tool)).collect());
            if let Some(choice) = choice {
                body.insert("tool_choice".to_owned(), tool_choice(choice));
            }
        }
        Calling::Schema => {
            body.insert("response_format".to_owned(), format(&tools, choice));
        }
    }
    Value::Object(body)
}

fn specs(request: &ModelRequest) -> Vec<&ToolSpec> {
    let entries = request.tools.iter().flat_map(|config| &config.tools);
    entries
        .filter_map(|entry| match entry {
            ToolEntry::ToolSpec(spec) => Some(spec),
            ToolEntry::CachePoint(_) => None,
        })
        .collect()
}

fn function(tool: &ToolSpec) -> Value {
    json!({ "type": "function", "function": {
        "name": tool.name, "description": tool.description, "parameters": tool.input_schema } })
}

fn tool_choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto {} => json!("auto"),
        ToolChoice::Any {} => json!("required"),
        ToolChoice::Tool { name } => json!({ "type": "function", "function": { "name": name } }),
    }
}

/// Tools as text, for a model that is not given `tools`.
fn described(tools: &[&ToolSpec]) -> String {
    let mut text = "Answer with one JSON object and nothing else: \
                    {\"name\": the tool you call, \"arguments\": its arguments}. The tools:"
        .to_owned();
    for tool in tools {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "\n- `{}`: {} Arguments: {}",
            tool.name,
            tool.description,
            tool.input_schema.as_str()
        );
    }
    text
}

/// One call of one of the tools, or of the one that must be called.
fn format(tools: &[&ToolSpec], choice: Option<&ToolChoice>) -> Value {
    let must = match choice {
        Some(ToolChoice::Tool { name }) => Some(name.as_str()),
        Some(ToolChoice::Auto {} | ToolChoice::Any {}) | None => None,
    };
    let calls: Vec<Value> = tools
        .iter()
        .filter(|tool| must.is_none_or(|name| tool.name == name))
        .map(|tool| {
            json!({ "type": "object", "required": ["name", "arguments"], "additionalProperties": false,
                "properties": { "name": { "const": tool.name }, "arguments": tool.input_schema } })
        })
        .collect();
    let schema = match calls.as_slice() {
        [only] => only.clone(),
        _ => json!({ "anyOf": calls }),
    };
    json!({ "type": "json_schema", "json_schema": { "name": "call", "schema": schema } })
}

/// One message of ours is several of theirs: each tool result is one.
fn messages(message: &Message, calling: Calling, all: &mut Vec<Value>) {
    match message.role {
        Role::User => {
            let mut text = Vec::new();
            for block in &message.content {
                match block {
                    Content::Text(part) => text.push(part.clone()),
                    Content::ToolResult(result) => match calling {
                        Calling::Tools => all.push(json!({
                            "role": "tool", "tool_call_id": result.tool_use_id, "content": answer(result) })),
                        Calling::Schema => text.push(format!("Result: {}", answer(result))),
                    },
                    Content::ToolUse(_) | Content::ReasoningContent(_) | Content::CachePoint(_) => {}
                }
            }
            if !text.is_empty() {
                all.push(json!({ "role": "user", "content": text.join("\n\n") }));
            }
        }
        Role::Assistant => {
            let uses: Vec<&ToolUse> = message.tool_uses().collect();
            let text = message.text();
            if calling == Calling::Schema {
                let calls = uses.iter().map(|c| json!({"name": c.name, "arguments": c.input}).to_string());
                let said: Vec<String> =
                    Some(text).filter(|t| !t.is_empty()).into_iter().chain(calls).collect();
                all.push(json!({ "role": "assistant", "content": said.join("\n") }));
                return;
            }
            let mut said = Map::new();
            said.insert("role".to_owned(), json!("assistant"));
            // Some endpoints refuse an empty text, and others its absence.
            said.insert("content".to_owned(), if text.is_empty() { Value::Null } else { json!(text) });
            if !uses.is_empty() {
                said.insert("tool_calls".to_owned(), uses.iter().map(|c| call(c)).collect());
            }
            all.push(Value::Object(said));
        }
    }
}

fn call(call: &ToolUse) -> Value {
    json!({ "id": call.tool_use_id, "type": "function",
        "function": { "name": call.name, "arguments": call.input.to_string() } })
}

fn answer(result: &ToolResult) -> String {
    let parts: Vec<String> = result
        .content
        .iter()
        .map(|content| match content {
            ToolResultContent::Json(json) => json.as_str().to_owned(),
            ToolResultContent::Text(text) => text.clone(),
        })
        .collect();
    parts.join("\n")
}
