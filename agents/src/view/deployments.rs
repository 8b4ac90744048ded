//! Results of the deployments and runbooks servers.

use midwatch_policy::{ActionKind, CauseKind, Timestamp};
use serde::Deserialize;
use serde_json::Value;

use super::{count, lenient, lenient_vec};
use crate::brief::DeploymentStatus;

/// Result of `list_deployments`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct DeploymentList {
    /// Evidence id of the whole.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// The deployments.
    #[serde(deserialize_with = "lenient_vec")]
    pub deployments: Vec<Deployment>,
}

/// One deployment.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Deployment {
    /// Evidence id.
    #[serde(default, deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// Its id.
    pub deployment_id: String,
    /// Whose it is.
    #[serde(default, deserialize_with = "lenient")]
    pub service: Option<String>,
    /// Where it stands.
    #[serde(default = "unknown")]
    pub status: DeploymentStatus,
    /// When it began.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
    /// When it ended.
    #[serde(default, deserialize_with = "lenient")]
    pub completed_at: Option<Timestamp>,
    /// What it brought.
    #[serde(default, deserialize_with = "lenient")]
    pub revision: String,
    /// What ran before.
    #[serde(default, deserialize_with = "lenient")]
    pub previous_revision: Option<String>,
    /// Who or what made it.
    #[serde(default, deserialize_with = "lenient")]
    pub creator: Option<String>,
    /// What its author wrote.
    #[serde(default, deserialize_with = "lenient")]
    pub description: Option<String>,
}

const fn unknown() -> DeploymentStatus {
    DeploymentStatus::Unknown
}

/// Result of `what_changed`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ChangedFields {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// The deployment.
    #[serde(deserialize_with = "lenient")]
    pub deployment_id: String,
    /// The changes.
    #[serde(deserialize_with = "lenient_vec")]
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Change {
    /// What.
    #[serde(deserialize_with = "lenient")]
    pub field: String,
    /// Before.
    #[serde(deserialize_with = "lenient")]
    pub from: Value,
    /// After.
    #[serde(deserialize_with = "lenient")]
    pub to: Value,
}

impl Change {
    /// The change as one text.
    pub fn text(&self) -> String {
        let text = |value: &Value| match value {
            Value::Null => String::new(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        format!("{} {} {}", self.field, text(&self.from), text(&self.to))
    }
}

/// Result of `correlate`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Correlation {
    /// Evidence id of the whole.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// Deployments with a score.
    #[serde(deserialize_with = "lenient_vec")]
    pub candidates: Vec<Candidate>,
}

/// A deployment with a score.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Candidate {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// The deployment.
    #[serde(deserialize_with = "lenient")]
    pub deployment_id: String,
    /// Whose it is.
    #[serde(deserialize_with = "lenient")]
    pub service: Option<String>,
    /// Where it stands.
    #[serde(deserialize_with = "lenient")]
    pub status: Option<DeploymentStatus>,
    /// When it began.
    #[serde(deserialize_with = "lenient")]
    pub started_at: Option<Timestamp>,
    /// Negative: it began after the onset.
    #[serde(deserialize_with = "lenient")]
    pub seconds_before_onset: Option<i64>,
    /// 0 to 1.
    #[serde(deserialize_with = "lenient")]
    pub score: f64,
}

/// Result of `service_health`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Health {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// The service.
    #[serde(deserialize_with = "lenient")]
    pub service: Option<String>,
    /// Whether the server can know.
    #[serde(deserialize_with = "lenient")]
    pub known: bool,
    /// Tasks wanted.
    #[serde(deserialize_with = "lenient")]
    pub desired: Option<u32>,
    /// Tasks running.
    #[serde(deserialize_with = "lenient")]
    pub running: Option<u32>,
    /// Tasks starting.
    #[serde(deserialize_with = "lenient")]
    pub pending: Option<u32>,
    /// The server's own judgement.
    #[serde(deserialize_with = "lenient")]
    pub healthy: Option<bool>,
    /// Deployments under way.
    #[serde(deserialize_with = "lenient")]
    pub deployments_in_progress: u32,
    /// Tasks that stopped.
    #[serde(deserialize_with = "lenient_vec")]
    pub stopped_tasks: Vec<StoppedTask>,
    /// Tasks that were replaced.
    #[serde(deserialize_with = "count")]
    pub restarts: u64,
    /// What the scheduler said.
    #[serde(deserialize_with = "lenient_vec")]
    pub events: Vec<ServiceEvent>,
}

/// A task that stopped.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct StoppedTask {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// When.
    #[serde(deserialize_with = "lenient")]
    pub stopped_at: Option<Timestamp>,
    /// Why, in the scheduler's words.
    #[serde(deserialize_with = "lenient")]
    pub reason: String,
    /// `oom`, `health_check`, `image_pull`, `capacity`, `crash`, `deployment`, `other`.
    #[serde(deserialize_with = "lenient")]
    pub kind: String,
}

/// What the scheduler said.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ServiceEvent {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// When.
    #[serde(deserialize_with = "lenient")]
    pub at: Option<Timestamp>,
    /// What.
    #[serde(deserialize_with = "lenient")]
    pub message: String,
}

/// Result of `search_runbooks`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RunbookHits {
    /// Evidence id of the whole.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// Best first.
    #[serde(deserialize_with = "lenient_vec")]
    pub hits: Vec<RunbookHit>,
}

/// A runbook that may fit. Also the result of `get_runbook`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct RunbookHit {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// Its id.
    #[serde(deserialize_with = "lenient")]
    pub runbook_id: String,
    /// Its title.
    #[serde(deserialize_with = "lenient")]
    pub title: String,
    /// Retrieval score.
    #[serde(deserialize_with = "lenient")]
    pub score: f64,
    /// Its contract, if it has one.
    #[serde(deserialize_with = "lenient")]
    pub contract: Option<Contract>,
}

/// What agents read of a runbook's contract.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Contract {
    /// Services it is for; empty means any.
    #[serde(deserialize_with = "lenient_vec")]
    pub services: Vec<String>,
    /// Texts that occur in the error messages it is for.
    #[serde(deserialize_with = "lenient_vec")]
    pub signatures: Vec<String>,
    /// The cause it treats.
    #[serde(deserialize_with = "lenient")]
    pub cause: Option<CauseKind>,
    /// The action it allows.
    #[serde(deserialize_with = "lenient")]
    pub action: Option<ActionKind>,
    /// Whether that action is safe while a deployment is under way.
    #[serde(deserialize_with = "lenient")]
    pub safe_during_deployment: bool,
}
