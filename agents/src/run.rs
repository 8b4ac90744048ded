//! The agent loop: a specialist, a model and tools, within limits, to a checked conclusion.
//!
//! A run never fails: whatever the model, the tools or the limits do, it ends with a conclusion
//! and says how it ended. What a model did not conclude is concluded from the evidence by rules.

mod ask;
mod calls;
mod cap;
mod conclude;
mod conversation;
mod drive;
mod entry;
mod lean;
mod schema;
mod turn;

use std::time::Duration;

use midwatch_policy::{Action, Clock, EvidenceId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use crate::{
    budget::Spend,
    events::Events,
    evidence::EvidenceBook,
    model::{Guardrail, Model, ModelErrorKind, Usage},
    tools::Tools,
    view::Observation,
};

pub use entry::{investigate, remediate, route};

/// What a run works with.
#[derive(Clone)]
pub struct RunContext<'a> {
    /// The model to ask.
    pub model: &'a dyn Model,
    /// The tools of the incident; the run shows the model only those that its specialist names
    /// *and* that are classed [`ToolClass::Read`](crate::tools::ToolClass::Read).
    pub tools: &'a dyn Tools,
    /// Where evidence is kept; shared by all runs of the incident.
    pub book: &'a EvidenceBook,
    /// Who pays; shared by all runs of the incident.
    pub spend: &'a Spend,
    /// The incident's clock.
    pub clock: &'a dyn Clock,
    /// Who is told.
    pub events: &'a dyn Events,
    /// When the run has to be over, by `clock`.
    pub deadline: Timestamp,
    /// Real time that one model or tool call may take.
    pub call_timeout: Duration,
    /// Ends the run at once.
    pub cancel: CancellationToken,
    /// The provider's guardrail, if one is configured.
    pub guardrail: Option<Guardrail>,
}

impl std::fmt::Debug for RunContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContext")
            .field("model", &self.model.id())
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "how", content = "why", rename_all = "snake_case")]
pub enum Ended {
    /// The model concluded.
    Concluded,
    /// It used all its turns.
    Turns,
    /// It used its token budget.
    Tokens,
    /// It used all its tool calls.
    ToolCalls,
    /// Its time was up.
    Deadline,
    /// The next call did not fit under a cost ceiling, or has no known price.
    Spend,
    /// Every model it may ask is behind an open circuit breaker.
    BreakerOpen,
    /// The use of models is switched off.
    SwitchedOff,
    /// The incident was taken from it.
    Cancelled,
    /// It kept asking the same.
    Repeats,
    /// It stopped without concluding, also when reminded.
    NoConclusion,
    /// What it said was not usable, also when reminded.
    Malformed,
    /// The provider's guardrail or content filter stepped in.
    Filtered,
    /// The conversation no longer fitted.
    ContextFull,
    /// The model did not answer.
    ModelError(ModelErrorKind),
}

impl Ended {
    /// Whether the conclusion is the model's own.
    pub const fn is_concluded(self) -> bool {
        matches!(self, Self::Concluded)
    }
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunOutcome<T> {
    /// The conclusion.
    pub output: T,
    /// Who concluded: the model's id, or `playbook` where rules had to.
    pub concluded_by: String,
    /// How it ended.
    pub ended: Ended,
    /// What a reader of the report should know about it, where the model did not conclude.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remark: Option<String>,
    /// What its tools answered, with evidence ids. Journals of before this was kept have none.
    #[serde(default)]
    pub observed: Vec<Observation>,
    /// Model calls that were answered.
    pub turns: u32,
    /// Model calls made.
    pub model_calls: u32,
    /// Tool calls made.
    pub tool_calls: u32,
    /// Tokens.
    pub usage: Usage,
    /// Cost.
    pub cost_micro_usd: u64,
    /// How long it took, by the incident's clock.
    pub ms: u64,
}

/// The one action the remediator would put to a person, if any.
///
/// INVARIANT: `action` is about the brief's service, and names a deployment of the brief.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The action.
    pub action: Option<Action>,
    /// Why, or why not.
    pub reason: String,
    /// What it rests on.
    pub evidence: Vec<EvidenceId>,
}

/// The virtual tool that ends an investigation or a remediation.
pub const CONCLUDE: &str = "conclude";
/// The virtual tool that ends routing.
pub const ROUTE: &str = "route";

#[cfg(test)]
mod tests;
