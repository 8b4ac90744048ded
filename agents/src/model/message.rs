//! Messages and their content blocks.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::Json;

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Our side: tasks, tool results, corrections.
    User,
    /// The model.
    Assistant,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// Who said it.
    pub role: Role,
    /// What was said, in order.
    pub content: Vec<Content>,
}

impl Message {
    /// A message from our side.
    pub fn user(content: Vec<Content>) -> Self {
        Self { role: Role::User, content }
    }

    /// A message from the model.
    pub fn assistant(content: Vec<Content>) -> Self {
        Self { role: Role::Assistant, content }
    }

    /// The tool calls in it.
    pub fn tool_uses(&self) -> impl Iterator<Item = &ToolUse> {
        self.content.iter().filter_map(|block| match block {
            Content::ToolUse(call) => Some(call),
            _ => None,
        })
    }

    /// The tool results in it.
    pub fn tool_results(&self) -> impl Iterator<Item = &ToolResult> {
        self.content.iter().filter_map(|block| match block {
            Content::ToolResult(result) => Some(result),
            _ => None,
        })
    }

    /// All its text blocks, joined by line breaks.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self
            .content
            .iter()
            .filter_map(|block| match block {
                Content::Text(text) => Some(text.as_str()),
                _ => None,
            })
            .collect();
        texts.join("\n")
    }
}

/// One block of a message.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Content {
    /// Text. Structured documents (task, sweep, brief) are JSON objects with a `kind`, as text.
    Text(String),
    /// The model calls a tool.
    ToolUse(ToolUse),
    /// What the tool answered.
    ToolResult(ToolResult),
    /// The model's reasoning, to be sent back unchanged.
    ReasoningContent(Reasoning),
    /// Everything before this may be cached by the provider.
    CachePoint(CachePoint),
}

impl Content {
    /// A JSON document as a text block.
    pub fn document(value: &impl Serialize) -> Self {
        // Our documents have string keys and finite numbers only, so this cannot fail for them.
        Self::Text(serde_json::to_string(value).unwrap_or_else(|_| "{}".to_owned()))
    }

    /// The JSON object in a text block, if that is all the block holds.
    pub fn as_document(&self) -> Option<Value> {
        let Self::Text(text) = self else { return None };
        let text = text.trim();
        if !text.starts_with('{') {
            return None;
        }
        serde_json::from_str(text).ok()
    }
}

/// One block of the system prompt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SystemBlock {
    /// Text. INVARIANT: nothing from outside ever stands in a system prompt.
    Text(String),
    /// Everything before this may be cached by the provider.
    CachePoint(CachePoint),
}

/// A place up to which the provider may cache the request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CachePoint {
    /// Always `default`.
    #[serde(rename = "type", default = "default_type")]
    pub kind: String,
    /// `5m` or `1h`; absent means five minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl: Option<String>,
}

fn default_type() -> String {
    "default".to_owned()
}

impl Default for CachePoint {
    fn default() -> Self {
        Self { kind: default_type(), ttl: None }
    }
}

/// A tool call by the model. Both name and input are the model's words: nothing about them is
/// known to be right.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolUse {
    /// Ties the result to the call.
    pub tool_use_id: String,
    /// The tool.
    pub name: String,
    /// Its arguments.
    #[serde(default)]
    pub input: Value,
}

/// The answer to a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ToolResult {
    /// The call it answers.
    pub tool_use_id: String,
    /// What came back.
    pub content: Vec<ToolResultContent>,
    /// Whether the tool did what it was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ToolStatus>,
}

/// One block of a tool result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolResultContent {
    /// Structured.
    Json(Json),
    /// Text.
    Text(String),
}

/// Whether a tool did what it was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ToolStatus {
    /// It did.
    Success,
    /// It did not.
    Error,
}

/// What the model thought before it answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Reasoning {
    /// Readable, with the provider's signature.
    ReasoningText(ReasoningText),
    /// Encrypted by the provider, base64.
    RedactedContent(String),
}

/// Readable reasoning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasoningText {
    /// The text.
    pub text: String,
    /// The provider's signature over it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}
