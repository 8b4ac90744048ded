//! The endpoint's answer as ours. Endpoints leave out what they like, so nothing but the first
//! choice is required.

use serde::Deserialize;
use serde_json::Value;

use crate::model::{Content, Message, ModelResponse, StopReason, ToolUse, Usage};

#[derive(Deserialize)]
struct Completion {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Counted>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(default)]
    message: Said,
    finish_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct Said {
    /// A text, or a list of parts.
    #[serde(default)]
    content: Value,
    refusal: Option<String>,
    tool_calls: Option<Vec<Call>>,
    /// The form before `tool_calls`.
    function_call: Option<Function>,
}

#[derive(Deserialize)]
struct Call {
    #[serde(default)]
    id: Option<String>,
    function: Function,
}

#[derive(Deserialize)]
struct Function {
    #[serde(default)]
    name: String,
    /// A JSON text; small servers send the object itself.
    #[serde(default)]
    arguments: Value,
}

#[derive(Deserialize)]
struct Counted {
    prompt_tokens: Option<u64>,
    completion_tokens: Option<u64>,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

pub(super) fn read(bytes: &[u8]) -> Result<ModelResponse, String> {
    let completion: Completion = serde_json::from_slice(bytes)
        .map_err(|error| format!("its answer is no chat completion: {error}"))?;
    let Some(choice) = completion.choices.into_iter().next() else {
        return Err("its answer has no choice in it".to_owned());
    };
    let Choice { message, finish_reason } = choice;
    let mut content = Vec::new();
    let text = text(&message.content);
    if !text.trim().is_empty() {
        content.push(Content::Text(text));
    }
    let older = message.function_call.map(|function| Call { id: None, function });
    let calls = message.tool_calls.unwrap_or_default().into_iter().chain(older);
    content.extend(calls.filter(|call| !call.function.name.is_empty()).map(|call| {
        // Arguments that are no JSON stay a text: the agent loop says so to the model.
        let input = match call.function.arguments {
            Value::String(text) if text.trim().is_empty() => Value::Null,
            Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
            other => other,
        };
        Content::ToolUse(ToolUse {
            tool_use_id: call.id.unwrap_or_default(),
            name: call.function.name,
            input,
        })
    }));
    let is_call = content.iter().any(|block| matches!(block, Content::ToolUse(_)));
    let mut stop_reason = stop(finish_reason.as_deref(), is_call);
    if let Some(refusal) = message.refusal.filter(|text| !text.is_empty()) {
        stop_reason = StopReason::ContentFiltered;
        content.push(Content::Text(refusal));
    }
    let usage = completion.usage.as_ref().and_then(usage);
    Ok(ModelResponse {
        message: Message::assistant(content),
        stop_reason,
        usage,
        latency_ms: 0,
        guardrail: None,
    })
}

fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> = parts.iter().filter_map(|part| part.get("text")?.as_str()).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

fn stop(finish: Option<&str>, is_call: bool) -> StopReason {
    match finish {
        Some("stop" | "eos" | "end_turn") | None if is_call => StopReason::ToolUse,
        Some("stop" | "eos" | "end_turn") | None => StopReason::EndTurn,
        Some("tool_calls" | "function_call") => StopReason::ToolUse,
        Some("length" | "max_tokens") => StopReason::MaxTokens,
        Some("content_filter") => StopReason::ContentFiltered,
        Some(other) => StopReason::Other(other.to_owned()),
    }
}

/// Half a count is none.
fn usage(counted: &Counted) -> Option<Usage> {
    let read = counted.prompt_tokens.filter(|tokens| *tokens > 0)?;
    let written = counted.completion_tokens?;
    let cached =
        counted.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens).unwrap_or(0);
    let cached = cached.min(read);
    Some(Usage {
        input_tokens: read - cached,
        output_tokens: written,
        cache_read_tokens: cached,
        cache_write_tokens: 0,
    })
}
