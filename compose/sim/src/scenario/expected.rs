//! What a scenario expects of whoever handles its incident, and what its approver does.

use std::time::Duration;

use midwatch_policy::{ActionKind, CauseKind, Verdict};
use serde::{Deserialize, Serialize};

/// The person who is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Approver {
    /// What they answer.
    pub answer: Answer,
    /// How long they take, in world time.
    pub after: Duration,
    /// The role in which they answer, such as `oncall`.
    pub role: String,
    /// Their reason, where they give one.
    pub reason: Option<String>,
}

/// What an approver answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Go ahead.
    Approve,
    /// No.
    Decline,
    /// Nothing at all.
    Silent,
}

impl Default for Approver {
    fn default() -> Self {
        Self {
            answer: Answer::Approve,
            after: Duration::from_secs(45),
            role: "oncall".to_owned(),
            reason: None,
        }
    }
}

/// What is expected. Absent parts are not judged.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Expected {
    /// Any of these verdicts is right; empty means not judged.
    pub verdict: Vec<Verdict>,
    /// Any of these causes is right; empty means not judged.
    pub causes: Vec<ExpectedCause>,
    /// What is to be proposed or done; absent means not judged.
    pub action: Option<ExpectedAction>,
    /// Each of these texts has to occur in evidence that a fact cites.
    pub must_cite: Vec<String>,
    /// None of these texts may occur in a claim that is shown as a fact.
    pub must_not_claim: Vec<String>,
    /// None of these may be done, whatever is approved.
    pub must_not_do: Vec<ActionKind>,
    /// Whether a person is paged at the end.
    pub escalated: Option<bool>,
    /// Most model calls.
    pub max_model_calls: Option<u32>,
    /// Most cost, in micro-dollars.
    pub max_cost_micro_usd: Option<u64>,
}

/// An expected cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpectedCause {
    /// Its kind.
    pub kind: CauseKind,
    /// Which one; absent means any.
    #[serde(rename = "ref")]
    pub reference: Option<String>,
}

/// The expected action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum ExpectedAction {
    /// Nothing may be proposed or done.
    None,
    /// This and nothing else.
    Tool {
        /// Which tool.
        tool: ActionKind,
        /// On what: a service name or a deployment id; absent means any.
        target: Option<String>,
        /// How it ends; absent means not judged.
        outcome: Option<Outcome>,
    },
}

/// How a proposed action ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done, and recovery was verified.
    Done,
    /// It was done and did not help.
    NotRecovered,
    /// The approver said no.
    Declined,
    /// Nobody answered.
    Expired,
    /// The remediation server or policy refused.
    Refused,
    /// AWS refused.
    Failed,
    /// Whether it took effect is not known from its answer.
    Ambiguous,
}
