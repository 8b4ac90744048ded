//! What a tool answers when it cannot answer.

use rmcp::{
    ErrorData,
    handler::server::tool::IntoCallToolResult,
    model::{CallToolResponse, CallToolResult},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{output::clip, spent::Spent};

/// Bytes of a message: it may name what was asked for, however long that was.
const LONGEST: usize = 2000;

/// Why a tool call failed, in the terms of whoever has to do something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ErrorKind {
    /// The arguments are wrong: correct them.
    Invalid,
    /// What was asked about does not exist (in this account and region).
    NotFound,
    /// The credentials may not do this.
    AccessDenied,
    /// There are no credentials, or AWS does not accept them.
    ExpiredCredentials,
    /// AWS asks us to slow down.
    Throttled,
    /// No answer in time.
    Timeout,
    /// AWS, or the way to it, is not working.
    Unavailable,
    /// The server declined: too dear, too much, not permitted.
    Refused,
    /// A defect of the server.
    Internal,
}

/// An answer in place of a result. Reaches the model as an `isError` result whose structured
/// content is `{"error":{"kind","message","mend"}}`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct ToolError {
    /// Whose problem it is.
    pub kind: ErrorKind,
    /// What happened, short; names and numbers, nothing confidential.
    pub message: String,
    /// What to do about it.
    pub mend: String,
    /// What the call cost before it failed, where the server knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<Spent>,
}

impl ToolError {
    /// An error of this kind.
    pub fn new(kind: ErrorKind, message: impl Into<String>, mend: impl Into<String>) -> Self {
        let told = |text: String| clip(&text, LONGEST).into_owned();
        Self { kind, message: told(message.into()), mend: told(mend.into()), spent: None }
    }

    /// The same, with what the call cost before it failed.
    #[must_use]
    pub const fn after(mut self, spent: Option<Spent>) -> Self {
        self.spent = spent;
        self
    }

    /// The arguments are wrong.
    pub fn invalid(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message, mend)
    }

    /// What was asked about does not exist.
    pub fn not_found(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message, mend)
    }

    /// The server declines.
    pub fn refused(message: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message, mend)
    }

    /// A defect of the server.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(
            ErrorKind::Internal,
            message,
            "continue without this tool and say that it failed; details are in the server's log",
        )
    }

    /// The error as the result of a tool call.
    pub fn into_result(self) -> CallToolResult {
        CallToolResult::structured_error(serde_json::json!({ "error": self }))
    }

    /// Reads the error back from the structured content of a failed call.
    pub fn from_structured(content: &serde_json::Value) -> Option<Self> {
        serde_json::from_value(content.get("error")?.clone()).ok()
    }
}

impl IntoCallToolResult for ToolError {
    fn into_call_tool_result(self) -> Result<CallToolResponse, ErrorData> {
        Ok(self.into_result().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_survives_the_wire() {
        let error = ToolError::not_found("no service `a`", "services are: b");
        let result = error.clone().into_result();
        assert_eq!(result.is_error, Some(true));
        let content = result.structured_content.unwrap();
        assert_eq!(content["error"]["kind"], "not_found");
        assert_eq!(ToolError::from_structured(&content), Some(error));
        let long = ToolError::invalid("x".repeat(900_000), "y".repeat(900_000));
        assert!(long.message.len() + long.mend.len() < 5000);
    }
}
