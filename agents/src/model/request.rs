//! A request to a model.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::message::{CachePoint, Message, SystemBlock};
use crate::json::Json;

/// Everything a model is asked with. Self-describing: whoever holds the request needs nothing else
/// to answer it, which is what lets the playbook be a pure function of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ModelRequest {
    /// The model asked. On the wire it stands in the path, not in the body.
    #[serde(default)]
    pub model_id: String,
    /// System prompt: only texts of this crate and of the operator.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub system: Vec<SystemBlock>,
    /// The conversation so far; begins and ends with our side.
    pub messages: Vec<Message>,
    /// Limits and sampling.
    #[serde(default, rename = "inferenceConfig")]
    pub inference: Inference,
    /// The tools the model may call.
    #[serde(default, rename = "toolConfig", skip_serializing_if = "Option::is_none")]
    pub tools: Option<ToolConfig>,
    /// The guardrail the provider applies.
    #[serde(default, rename = "guardrailConfig", skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<Guardrail>,
    /// Written to the provider's invocation log: incident, specialist.
    #[serde(default, rename = "requestMetadata", skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
}

impl ModelRequest {
    /// The names of the tools on offer.
    pub fn tool_names(&self) -> impl Iterator<Item = &str> {
        self.tools.iter().flat_map(|config| &config.tools).filter_map(|entry| match entry {
            ToolEntry::ToolSpec(spec) => Some(spec.name.as_str()),
            ToolEntry::CachePoint(_) => None,
        })
    }

    /// UTF-8 bytes of everything the provider will read: an upper bound of the input tokens, since
    /// a token is at least one byte. Overhead of the provider's own framing is not in it.
    pub fn bytes(&self) -> u64 {
        super::size::json_bytes(self)
    }
}

/// Limits and sampling.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Inference {
    /// Most output tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tokens: Option<u32>,
    /// 0 is the most repeatable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f32>,
    /// Nucleus sampling; not together with `temperature` on newer models.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f32>,
    /// Texts that end the answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stop_sequences: Vec<String>,
}

/// The tools on offer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolConfig {
    /// Tools, and where the list may be cached.
    pub tools: Vec<ToolEntry>,
    /// Whether the model must call one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_choice: Option<ToolChoice>,
}

/// One entry of the tool list.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolEntry {
    /// A tool.
    ToolSpec(ToolSpec),
    /// Everything before this may be cached by the provider.
    CachePoint(CachePoint),
}

/// A tool as the model sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolSpec {
    /// Name.
    pub name: String,
    /// What it does.
    #[serde(default)]
    pub description: String,
    /// JSON Schema of its arguments, as `{"json": schema}` on the wire.
    #[serde(with = "schema_as_json")]
    pub input_schema: Json,
}

/// Whether the model must call a tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolChoice {
    /// As it likes.
    Auto {},
    /// Some tool.
    Any {},
    /// This tool.
    Tool {
        /// Its name.
        name: String,
    },
}

/// The guardrail the provider applies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Guardrail {
    /// Id or ARN.
    pub guardrail_identifier: String,
    /// A number, or `DRAFT`.
    pub guardrail_version: String,
    /// `enabled`, `disabled` or `enabled_full`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<String>,
}

mod schema_as_json {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    use crate::json::Json;

    #[derive(Serialize, Deserialize)]
    struct Wrapped<T> {
        json: T,
    }

    pub(super) fn serialize<S: Serializer>(schema: &Json, serializer: S) -> Result<S::Ok, S::Error> {
        Wrapped { json: schema }.serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        Wrapped::deserialize(deserializer).map(|wrapped| wrapped.json)
    }
}
