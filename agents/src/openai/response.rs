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
    #[serde(default)]
    prompt_tokens: u64,
    #[serde(default)]
    completion_tokens: u64,
    prompt_tokens_details: Option<Details>,
}

#[derive(Deserialize)]
struct Details {
    #[serde(default)]
    cached_tokens: Option<u64>,
}

/// `worst` is what is taken to be used where the endpoint does not say.
pub(super) fn read(worst: Usage, bytes: &[u8]) -> Result<ModelResponse, String> {
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
    let usage = match completion.usage {
        Some(counted) if counted.prompt_tokens > 0 => usage(&counted),
        // An answer without usage may have cost all that was allowed.
        _ => worst,
    };
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

fn usage(counted: &Counted) -> Usage {
    let cached =
        counted.prompt_tokens_details.as_ref().and_then(|details| details.cached_tokens).unwrap_or(0);
    let cached = cached.min(counted.prompt_tokens);
    Usage {
        input_tokens: counted.prompt_tokens - cached,
        output_tokens: counted.completion_tokens,
        cache_read_tokens: cached,
        cache_write_tokens: 0,
    }
}
