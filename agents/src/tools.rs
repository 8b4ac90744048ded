//! What an agent can call. The supervisor implements [`Tools`] over its MCP clients.

use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{CallLimits, ToolSpec};

/// A tool that exists, and what the caller's policy says it is.
#[derive(Debug, Clone, PartialEq)]
pub struct ToolDef {
    /// The server it lives on.
    pub server: String,
    /// Name, description, schema.
    pub spec: ToolSpec,
    /// What it does to the world. INVARIANT: set by policy, never from the server's own hints.
    pub class: ToolClass,
}

/// What a tool does to the world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToolClass {
    /// Looks.
    Read,
    /// Changes something.
    Mutate,
    /// Nobody has said.
    Unknown,
}

/// One call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolCall {
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub args: Map<String, Value>,
}

/// Why a tool did not do what it was asked; the error object of the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {message}", .kind.as_str())]
pub struct ToolFailure {
    /// What class of failure.
    pub kind: FailureKind,
    /// What went wrong.
    pub message: String,
    /// What would help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mend: Option<String>,
}

impl ToolFailure {
    /// A failure without advice.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), mend: None }
    }

    /// The same with advice.
    #[must_use]
    pub fn mend(mut self, advice: impl Into<String>) -> Self {
        self.mend = Some(advice.into());
        self
    }
}

/// The classes of tool failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The arguments are not acceptable.
    Invalid,
    /// What was asked for does not exist.
    NotFound,
    /// No permission.
    AccessDenied,
    /// Credentials have expired.
    ExpiredCredentials,
    /// Too many requests.
    Throttled,
    /// No answer in time.
    Timeout,
    /// The server or what it reads from is not reachable.
    Unavailable,
    /// Refused by a rule.
    Refused,
    /// A defect.
    #[serde(other)]
    Internal,
}

impl FailureKind {
    /// As it is on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::NotFound => "not_found",
            Self::AccessDenied => "access_denied",
            Self::ExpiredCredentials => "expired_credentials",
            Self::Throttled => "throttled",
            Self::Timeout => "timeout",
            Self::Unavailable => "unavailable",
            Self::Refused => "refused",
            Self::Internal => "internal",
        }
    }
}

/// The tools of this incident.
pub trait Tools: Send + Sync + std::fmt::Debug {
    /// Every tool there is, classed by policy.
    fn list(&self) -> Vec<ToolDef>;

    /// Calls one. The result is the tool's structured content.
    fn call<'a>(
        &'a self,
        call: &'a ToolCall,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<Value, ToolFailure>>;
}
