//! The Bedrock Converse API, with the playbook for a model.
//!
//! The wire is checked as strictly as Bedrock checks it: a conversation that is not well formed is
//! refused here and not for the first time in production. Failures of the service are injected
//! like those of every other API; what a model may do to its caller is [`Prank`].

mod hostile;
mod tokens;
mod validate;

#[cfg(test)]
mod tests;

use midwatch_agents::model::{Content, Guardrail, ModelRequest, ModelResponse, StopReason, Usage};
use serde_json::{Value, json};

pub use hostile::Prank;

use super::{WireBody, WireError};
use crate::world::State;
use tokens::Cache;

/// Tokens that a conversation may have.
const CONTEXT_TOKENS: u64 = 200_000;
/// Output tokens where the request names no limit.
const DEFAULT_OUTPUT: u64 = 4096;

/// Who answers behind Converse.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Mind {
    /// The playbook model: rules over the evidence in the request.
    #[default]
    Playbook,
    /// A model that does what it should not: one of these a call, in turn.
    Hostile(Vec<Prank>),
}

/// What this API keeps between calls.
#[derive(Debug, Default)]
pub(crate) struct BedrockApi {
    /// Who answers.
    pub(crate) mind: Mind,
    calls: usize,
    cache: Cache,
}

/// Answers one call.
pub(crate) fn handle(
    state: &mut State,
    op: &str,
    resource: &str,
    input: &Value,
) -> Result<WireBody, WireError> {
    match op {
        "Converse" => converse(state, resource, input).map(WireBody::Json),
        "CountTokens" => count_tokens(resource, input).map(WireBody::Json),
        _ => Err(WireError::unknown_operation(op)),
    }
}

fn count_tokens(model: &str, input: &Value) -> Result<Value, WireError> {
    validate::model_id(model)?;
    let conversation = input
        .pointer("/input/converse")
        .ok_or_else(|| WireError::invalid("CountTokens is played for the input `converse` only"))?;
    Ok(json!({ "inputTokens": tokens::count(conversation) }))
}

fn converse(state: &mut State, model: &str, input: &Value) -> Result<Value, WireError> {
    validate::model_id(model)?;
    if input.get("messages").is_none() {
        return Err(WireError::invalid(validate::NO_MESSAGE));
    }
    let mut request: ModelRequest = serde_json::from_value(input.clone())
        .map_err(|error| WireError::invalid(format!("Malformed input request: {error}")))?;
    model.clone_into(&mut request.model_id);
    validate::conversation(&request)?;
    if tokens::count(input) > CONTEXT_TOKENS {
        return Err(WireError::invalid("Input is too long for requested model."));
    }

    let call = state.bedrock_api.calls;
    state.bedrock_api.calls += 1;
    let mut response = match &state.bedrock_api.mind {
        Mind::Playbook => midwatch_agents::playbook::respond(&request),
        Mind::Hostile(pranks) => hostile::answer(pranks, call, &request),
    };
    let most = request.inference.max_tokens.map_or(DEFAULT_OUTPUT, u64::from);
    cut(&mut response, most);
    let now_ms = state.now_ms();
    let read = state.bedrock_api.cache.read(model, input, now_ms);
    response.usage = Some(Usage { output_tokens: tokens::of_content(&response.message.content), ..read });
    response.latency_ms = state.latency("bedrock:Converse").unsigned_abs();
    let mut answer = response.to_wire();
    if response.stop_reason == StopReason::GuardrailIntervened
        && let Some(trace) = request.guardrail.as_ref().and_then(guardrail_trace)
        && let Some(answer) = answer.as_object_mut()
    {
        answer.insert("trace".to_owned(), trace);
    }
    Ok(answer)
}

/// What the guardrail says it did, for those who asked for its trace.
fn guardrail_trace(guardrail: &Guardrail) -> Option<Value> {
    let wanted = guardrail.trace.as_deref().is_some_and(|trace| trace.starts_with("enabled"));
    let filter =
        json!({ "type": "PROMPT_ATTACK", "confidence": "HIGH", "action": "BLOCKED", "detected": true });
    let assessment = json!({ "contentPolicy": { "filters": [filter] } });
    wanted.then(|| {
        json!({ "guardrail": {
            "inputAssessment": { &guardrail.guardrail_identifier: assessment },
            "actionReason": "Guardrail blocked.",
        } })
    })
}

/// Ends an answer where the output limit is reached. A tool call that is cut off has lost its input.
fn cut(response: &mut ModelResponse, most: u64) {
    let content = &mut response.message.content;
    let mut left = most;
    for index in 0..content.len() {
        let Some(block) = content.get_mut(index) else { return };
        let size = tokens::of_content(std::slice::from_ref(block));
        if size <= left {
            left -= size;
            continue;
        }
        match block {
            Content::Text(text) => {
                let bytes = usize::try_from(left * tokens::BYTES_PER_TOKEN).unwrap_or(usize::MAX);
                text.truncate(text.floor_char_boundary(bytes));
            }
            Content::ToolUse(call) => call.input = json!({}),
            _ => {}
        }
        content.truncate(index + 1);
        response.stop_reason = StopReason::MaxTokens;
        return;
    }
}
