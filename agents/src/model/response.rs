//! What a model answers.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::{Value, json};

use super::{guardrail::GuardrailTrace, message::Message};

/// An answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelResponse {
    /// What the model said and which tools it calls.
    pub message: Message,
    /// Why it stopped.
    pub stop_reason: StopReason,
    /// What it used, as the provider counts. Absent where the provider did not say: then it may
    /// have cost all that was set aside.
    #[serde(default)]
    pub usage: Option<Usage>,
    /// How long the provider says it took.
    #[serde(default)]
    pub latency_ms: u64,
    /// What a guardrail did, where one had something to say and was asked for its trace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<GuardrailTrace>,
}

impl ModelResponse {
    /// The body of a Converse response.
    pub fn to_wire(&self) -> Value {
        let mut wire = json!({
            "output": { "message": self.message },
            "stopReason": self.stop_reason,
            "metrics": { "latencyMs": self.latency_ms },
        });
        if let (Some(usage), Some(wire)) = (self.usage, wire.as_object_mut()) {
            let usage = json!({
                "inputTokens": usage.input_tokens,
                "outputTokens": usage.output_tokens,
                "totalTokens": usage.total(),
                "cacheReadInputTokens": usage.cache_read_tokens,
                "cacheWriteInputTokens": usage.cache_write_tokens,
            });
            wire.insert("usage".to_owned(), usage);
        }
        wire
    }
}

/// Tokens of one or more calls. Cached tokens are not part of `input_tokens`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Read at the full price.
    pub input_tokens: u64,
    /// Written by the model.
    pub output_tokens: u64,
    /// Read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Written to the provider's cache.
    pub cache_write_tokens: u64,
}

impl Usage {
    /// All tokens.
    pub fn total(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.output_tokens)
            .saturating_add(self.cache_read_tokens)
            .saturating_add(self.cache_write_tokens)
    }

    /// The same tokens as if nothing had been cached: what the provider's cache saved is measured
    /// against it.
    #[must_use]
    pub const fn uncached(&self) -> Self {
        Self {
            input_tokens: self
                .input_tokens
                .saturating_add(self.cache_read_tokens)
                .saturating_add(self.cache_write_tokens),
            output_tokens: self.output_tokens,
            cache_read_tokens: 0,
            cache_write_tokens: 0,
        }
    }

    /// Adds the tokens of another call.
    pub fn add(&mut self, other: Self) {
        self.input_tokens = self.input_tokens.saturating_add(other.input_tokens);
        self.output_tokens = self.output_tokens.saturating_add(other.output_tokens);
        self.cache_read_tokens = self.cache_read_tokens.saturating_add(other.cache_read_tokens);
        self.cache_write_tokens = self.cache_write_tokens.saturating_add(other.cache_write_tokens);
    }
}

/// Why a model stopped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StopReason {
    /// It had said everything.
    EndTurn,
    /// It wants tool results.
    ToolUse,
    /// The output limit cut it off.
    MaxTokens,
    /// A stop sequence was met.
    StopSequence,
    /// The guardrail stepped in: the text is the guardrail's.
    GuardrailIntervened,
    /// The provider's content filter removed the answer.
    ContentFiltered,
    /// The answer was not well formed.
    MalformedModelOutput,
    /// The tool call was not well formed.
    MalformedToolUse,
    /// The conversation no longer fits.
    ModelContextWindowExceeded,
    /// Something newer than this program.
    Other(String),
}

impl StopReason {
    /// As it is on the wire.
    pub fn as_str(&self) -> &str {
        match self {
            Self::EndTurn => "end_turn",
            Self::ToolUse => "tool_use",
            Self::MaxTokens => "max_tokens",
            Self::StopSequence => "stop_sequence",
            Self::GuardrailIntervened => "guardrail_intervened",
            Self::ContentFiltered => "content_filtered",
            Self::MalformedModelOutput => "malformed_model_output",
            Self::MalformedToolUse => "malformed_tool_use",
            Self::ModelContextWindowExceeded => "model_context_window_exceeded",
            Self::Other(name) => name,
        }
    }

    /// From the wire; what is not known is kept as it is.
    pub fn parse(text: &str) -> Self {
        match text {
            "end_turn" => Self::EndTurn,
            "tool_use" => Self::ToolUse,
            "max_tokens" => Self::MaxTokens,
            "stop_sequence" => Self::StopSequence,
            "guardrail_intervened" => Self::GuardrailIntervened,
            "content_filtered" => Self::ContentFiltered,
            "malformed_model_output" => Self::MalformedModelOutput,
            "malformed_tool_use" => Self::MalformedToolUse,
            "model_context_window_exceeded" => Self::ModelContextWindowExceeded,
            other => Self::Other(other.to_owned()),
        }
    }
}

impl Serialize for StopReason {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for StopReason {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::parse(&String::deserialize(deserializer)?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        json::Json,
        model::{Content, ModelRequest, Role, ToolEntry, ToolResultContent},
    };

    #[test]
    fn a_converse_request_reads_as_it_is_on_the_wire() {
        let wire = json!({
            "system": [{"text": "s"}, {"cachePoint": {"type": "default", "ttl": "1h"}}],
            "messages": [
                {"role": "user", "content": [{"text": "hi"}]},
                {"role": "assistant", "content": [
                    {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "x"}}},
                    {"toolUse": {"toolUseId": "t1", "name": "q", "input": {"a": 1}}}]},
                {"role": "user", "content": [{"toolResult": {"toolUseId": "t1",
                    "content": [{"json": {"b": 2}}, {"text": "t"}], "status": "success"}}]}],
            "inferenceConfig": {"maxTokens": 100},
            "toolConfig": {"tools": [
                {"toolSpec": {"name": "q", "description": "d", "inputSchema": {"json": {"type": "object"}}}},
                {"cachePoint": {"type": "default"}}], "toolChoice": {"any": {}}},
            "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
            "requestMetadata": {"incident": "inc-1"}
        });
        let request: ModelRequest = serde_json::from_value(wire.clone()).unwrap();
        assert_eq!(request.tool_names().collect::<Vec<_>>(), ["q"]);
        assert!(matches!(&request.tools.as_ref().unwrap().tools[0],
            ToolEntry::ToolSpec(spec) if spec.input_schema.value() == json!({"type": "object"})));
        let Content::ToolResult(result) = &request.messages[2].content[0] else { panic!("tool result") };
        assert_eq!(result.content[0], ToolResultContent::Json(Json::of(&json!({"b": 2}))));
        let mut again = serde_json::to_value(&request).unwrap();
        again.as_object_mut().unwrap().remove("modelId");
        assert_eq!(again, wire);
    }

    #[test]
    fn a_response_is_converse_json_and_every_stop_reason_survives() {
        for reason in ["end_turn", "malformed_tool_use", "model_context_window_exceeded", "brand_new"] {
            let response = ModelResponse {
                message: Message { role: Role::Assistant, content: vec![Content::Text("x".into())] },
                stop_reason: StopReason::parse(reason),
                usage: Some(Usage {
                    input_tokens: 1,
                    output_tokens: 2,
                    cache_read_tokens: 3,
                    cache_write_tokens: 4,
                }),
                latency_ms: 5,
                guardrail: None,
            };
            let wire = response.to_wire();
            assert_eq!(wire["stopReason"], reason);
            assert_eq!(wire["usage"]["totalTokens"], 10);
            assert_eq!(wire["output"]["message"]["content"][0]["text"], "x");
        }
    }
}
