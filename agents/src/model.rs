//! What a language model is to the rest of the house: a request in, a response or a classed error
//! out. The shapes mirror Bedrock Converse, and their JSON *is* Converse's JSON, so that the same
//! bytes can be journaled, replayed and served by a simulated endpoint. A neutral shape of our own
//! was rejected: every field of it would have needed a mapping in both directions.

mod error;
mod guardrail;
mod message;
mod request;
mod response;
mod size;

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::gate::Gate;

pub use error::{Charged, ModelError, ModelErrorKind};
pub use guardrail::{GuardedSide, GuardrailFinding, GuardrailTrace};
pub use message::{
    CachePoint, Content, Message, Reasoning, ReasoningText, Role, SystemBlock, ToolResult, ToolResultContent,
    ToolStatus, ToolUse,
};
pub use request::{Guardrail, Inference, ModelRequest, ToolChoice, ToolConfig, ToolEntry, ToolSpec};
pub use response::{ModelResponse, StopReason, Usage};
pub(crate) use size::json_bytes;

/// How long one call may take, and what ends it early.
#[derive(Debug, Clone)]
pub struct CallLimits {
    /// Time for the whole call, in real time: an I/O time-out, not domain time.
    pub timeout: Duration,
    /// Ends the call at once when cancelled.
    pub cancel: CancellationToken,
}

impl CallLimits {
    /// Limits with a time-out and a token that nobody cancels.
    pub fn within(timeout: Duration) -> Self {
        Self { timeout, cancel: CancellationToken::new() }
    }
}

/// A language model, or something that answers like one.
pub trait Model: Send + Sync + std::fmt::Debug {
    /// The model id that prices are kept under, such as `global.anthropic.claude-haiku-4-5-20251001-v1:0`.
    fn id(&self) -> &str;

    /// One attempt at one answer. Never retries by itself: every attempt is reserved and journaled
    /// by the caller.
    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>>;

    /// Most input tokens that the request can come to, the provider's own framing aside: the bytes
    /// of what is sent, since a token is at least one byte.
    fn input_bound(&self, request: &ModelRequest) -> u64 {
        request.bytes()
    }

    /// What a call has to pass before it is made; nothing for what is always there.
    fn gate(&self) -> Option<&Gate> {
        None
    }

    /// Models that are asked in its place when it cannot answer, in order.
    fn fallbacks(&self) -> &[Arc<dyn Model>] {
        &[]
    }
}
