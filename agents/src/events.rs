//! What happens during a run, for the terminal and the journal.

use midwatch_policy::EvidenceId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    breaker::Transition,
    model::{GuardrailTrace, Usage},
    run::Ended,
    tools::FailureKind,
};

/// Something that happened during a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum AgentEvent {
    /// A specialist began.
    Started {
        /// Which.
        specialist: String,
        /// On which model.
        model: String,
    },
    /// The model answered.
    Turn {
        /// Which specialist.
        specialist: String,
        /// Counted from 1.
        turn: u32,
        /// Why it stopped.
        stop_reason: String,
        /// Tokens of this call.
        usage: Usage,
        /// Cost of this call.
        cost_micro_usd: u64,
        /// How long it took, by the incident's clock.
        ms: u64,
    },
    /// The model did not answer.
    ModelFailed {
        /// Which specialist.
        specialist: String,
        /// Counted from 1.
        turn: u32,
        /// The class of the error and what was said.
        error: String,
        /// What was settled for the call.
        cost_micro_usd: u64,
    },
    /// A tool call began.
    ToolStarted {
        /// Which specialist.
        specialist: String,
        /// Unique within the run.
        call: u32,
        /// The server.
        server: String,
        /// The tool.
        tool: String,
        /// Its arguments.
        args: Map<String, Value>,
    },
    /// A tool call ended.
    ToolFinished {
        /// Which specialist.
        specialist: String,
        /// Unique within the run.
        call: u32,
        /// The tool.
        tool: String,
        /// The evidence it brought.
        evidence: Vec<EvidenceId>,
        /// The class of its error, if it failed.
        error: Option<FailureKind>,
        /// How long it took, by the incident's clock.
        ms: u64,
    },
    /// The loop refused something the model wanted, or corrected it.
    Corrected {
        /// Which specialist.
        specialist: String,
        /// What, for the operator.
        what: String,
    },
    /// The provider's guardrail or content filter stepped in.
    Guarded {
        /// Which specialist's answer.
        specialist: String,
        /// Counted from 1.
        turn: u32,
        /// `guardrail_intervened` or `content_filtered`.
        stop_reason: String,
        /// What the guardrail says of it.
        trace: Option<GuardrailTrace>,
    },
    /// A call waited for the account's quota.
    Waited {
        /// Which specialist.
        specialist: String,
        /// For which provider and model.
        model: String,
        /// How long, in real time.
        ms: u64,
    },
    /// A model could not answer, and the next one is asked.
    FellThrough {
        /// Which specialist.
        specialist: String,
        /// From which model.
        from: String,
        /// To which.
        to: String,
        /// Why.
        why: String,
    },
    /// A circuit breaker changed its phase at a call of this specialist.
    Breaker {
        /// Which specialist.
        specialist: String,
        /// The change.
        change: Transition,
    },
    /// A specialist is done.
    Finished {
        /// Which.
        specialist: String,
        /// How.
        ended: Ended,
        /// Turns taken.
        turns: u32,
        /// Tool calls made.
        tool_calls: u32,
        /// All tokens.
        usage: Usage,
        /// All cost.
        cost_micro_usd: u64,
        /// How long it took, by the incident's clock.
        ms: u64,
    },
}

/// Takes events. Must not block: it is called between steps of a run.
pub trait Events: Send + Sync {
    /// Something happened.
    fn event(&self, event: AgentEvent);
}

impl<F: Fn(AgentEvent) + Send + Sync> Events for F {
    fn event(&self, event: AgentEvent) {
        self(event);
    }
}

/// For callers that do not care.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoEvents;

impl Events for NoEvents {
    fn event(&self, _: AgentEvent) {}
}
