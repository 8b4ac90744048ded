//! The only thing the remediator is given: enums, ids, numbers, times and contract fields that code
//! filled in. INVARIANT: no text from outside and none written by a model, so nothing in a log line
//! or a runbook's prose can speak to the agent that proposes actions.

use midwatch_policy::{
    Action, ActionKind, AwsName, CauseKind, EvidenceId, IncidentId, RunbookContract, ScaleBounds,
    ServiceName, Timestamp, Verdict,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::task::kind;

kind!(BriefTag, "brief");

/// What the remediator is given.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Brief {
    /// Always `brief`.
    pub kind: BriefTag,
    /// The incident.
    pub incident: IncidentId,
    /// The service.
    pub service: ServiceName,
    /// Code's verdict.
    pub verdict: Verdict,
    /// Ranked causes, best first.
    pub causes: Vec<BriefCause>,
    /// When the errors began, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub onset: Option<Timestamp>,
    /// Whether the trouble is still going on.
    pub ongoing: bool,
    /// Deployments of the service in the window, newest first.
    #[serde(default)]
    pub deployments: Vec<BriefDeployment>,
    /// Live state of the service.
    #[serde(default)]
    pub health: Option<BriefHealth>,
    /// Contracts of the runbooks that matched, best first.
    #[serde(default)]
    pub runbooks: Vec<BriefRunbook>,
    /// Bounds for scaling, if the catalog has them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scale: Option<ScaleBounds>,
    /// Traffic of the last few periods as a multiple of the baseline, if it could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic_ratio: Option<f64>,
    /// Whether the catalog forbids touching it.
    pub protected: bool,
    /// Actions that were tried in this incident and did not help.
    #[serde(default)]
    pub tried: Vec<ActionKind>,
    /// Now.
    pub at: Timestamp,
}

/// A ranked cause, without its story.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BriefCause {
    /// What kind.
    pub kind: CauseKind,
    /// Which one, where that is an identifier.
    #[serde(default, rename = "ref", skip_serializing_if = "Option::is_none")]
    pub reference: Option<AwsName>,
    /// Computed confidence, 0 to 1.
    pub confidence: f64,
    /// What it rests on.
    #[serde(default)]
    pub evidence: Vec<EvidenceId>,
}

/// A deployment, by id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BriefDeployment {
    /// Its id.
    pub deployment_id: AwsName,
    /// `in_progress`, `succeeded`, `failed`, `stopped`, `rolled_back`.
    pub status: DeploymentStatus,
    /// When it began.
    pub started_at: Timestamp,
    /// Score of its correlation with the onset, 0 to 1.
    pub score: f64,
    /// Whether there is a revision to go back to.
    pub has_previous: bool,
    /// Evidence of it.
    #[serde(default)]
    pub evidence: Option<EvidenceId>,
}

/// Where a deployment stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeploymentStatus {
    /// Under way.
    InProgress,
    /// Finished well.
    Succeeded,
    /// Finished badly.
    Failed,
    /// Stopped by someone.
    Stopped,
    /// Taken back.
    RolledBack,
    /// Something newer than this program.
    #[serde(other)]
    Unknown,
}

/// Live state, in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefHealth {
    /// Tasks wanted.
    pub desired: u32,
    /// Tasks running.
    pub running: u32,
    /// Tasks killed for want of memory in the window.
    pub oom_kills: u32,
    /// Deployments under way.
    pub deployments_in_progress: u32,
}

/// The typed part of a runbook that matched. Prose fields of the contract (preconditions, never)
/// are left out: they are for people.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BriefRunbook {
    /// Evidence of the hit.
    #[serde(default)]
    pub evidence: Option<EvidenceId>,
    /// Retrieval score.
    pub score: f64,
    /// Whether one of its signatures occurs in an error of this incident.
    pub signature_matched: bool,
    /// The cause it treats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseKind>,
    /// The action it allows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionKind>,
    /// Whether that action is safe while a deployment is under way.
    pub safe_during_deployment: bool,
}

impl BriefRunbook {
    /// The typed part of a contract.
    pub fn new(contract: &RunbookContract, score: f64, signature_matched: bool) -> Self {
        Self {
            evidence: None,
            score,
            signature_matched,
            cause: contract.cause,
            action: contract.action,
            safe_during_deployment: contract.safe_during_deployment,
        }
    }
}

/// The arguments of the virtual tool `conclude` for the remediator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ProposalDraft {
    /// The one action to put to a person; absent when none is safe or none fits.
    #[serde(default)]
    pub action: Option<Action>,
    /// Why, in one or two sentences.
    pub reason: String,
    /// Evidence ids it rests on.
    #[serde(default)]
    pub evidence: Vec<String>,
}
