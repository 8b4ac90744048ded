//! What a call of a mutating tool is answered.

use jiff::Timestamp;
use midwatch_mcp::Time;
use midwatch_policy::{PermitError, Plan, RequestView};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{act::Call, difference::difference, spend::SpendError};

/// How a call of a mutating tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// AWS accepted the change.
    Done,
    /// Nothing was sent; `reason` says why.
    Refused,
    /// AWS refused the change; nothing was changed.
    Failed,
    /// It was sent and may have been made. Read the target; do not call again.
    Ambiguous,
}

/// What stood in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Obstacle {
    /// Nobody has approved this action for this caller; `request` says who is asked.
    NoPermit,
    /// A permit was found, and it is no leave for this.
    BadPermit,
    /// The target has changed since it was approved, or cannot be read, or it makes no sense now.
    Stale,
    /// The permit was used before.
    Spent,
    /// The catalog or a policy forbids it, whoever approved.
    Policy,
    /// A runbook's contract forbids it, or is not met.
    Contract,
    /// All changes are stopped.
    KillSwitch,
    /// No approvals are set up.
    NoKeys,
    /// Too many changes, or requests, lately.
    Limit,
    /// A person has declined this.
    Declined,
    /// The permit was taken back, or a person holds the incident.
    Withdrawn,
    /// The desk gave no answer.
    NoDesk,
}

/// Why nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Refused {
    /// What stood in the way.
    pub kind: Obstacle,
    /// For people.
    pub message: String,
    /// What can be done about it.
    pub mend: String,
}

impl Obstacle {
    /// What is done about it, where nobody says it more exactly.
    const fn mend(self) -> &'static str {
        match self {
            Self::NoPermit => "once a person has approved, call again with the same arguments",
            Self::BadPermit => "ask for approval again: what was permitted is not this",
            Self::Stale => "call `plan` to see what is there now, and ask for approval of that",
            Self::Spent => "look at the target; for a further change ask for approval again",
            Self::Policy => "do not call again: only who owns the catalog and the policy can allow it",
            Self::Contract => "read the runbook, and do what it says or leave it to a person",
            Self::KillSwitch => "do not call again: a person has stopped all changes",
            Self::NoKeys => "an operator sets approvals up (--desk, --keys)",
            Self::Limit => "wait, and do not call again meanwhile",
            Self::Declined => "do not ask again: a person decides what else is done",
            Self::Withdrawn => "leave it to the person who holds it",
            Self::NoDesk => "ask once more; if it stays, an operator looks at the desk",
        }
    }
}

impl Refused {
    pub(crate) fn new(kind: Obstacle, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), mend: kind.mend().to_owned() }
    }

    /// The same, with what can be done said more exactly.
    pub(crate) fn mended(self, mend: impl Into<String>) -> Self {
        Self { mend: mend.into(), ..self }
    }
}

impl From<&PermitError> for Refused {
    fn from(error: &PermitError) -> Self {
        match error {
            PermitError::Stale { approved, live } => Self::new(
                Obstacle::Stale,
                format!("the target has changed since it was approved: {}", difference(approved, live)),
            ),
            other => Self::new(Obstacle::BadPermit, other.to_string()),
        }
    }
}

impl From<&SpendError> for Refused {
    fn from(error: &SpendError) -> Self {
        tracing::warn!(%error, "a permit could not be spent");
        let kind = match error {
            SpendError::Limit(_) => Obstacle::Limit,
            _ => Obstacle::Spent,
        };
        Self::new(kind, error.to_string())
    }
}

/// A request for approval at the desk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Requested {
    /// Its id: `midwatch approve ID`.
    pub id: String,
    /// `open`, `approved`, `declined`, `expired`, `withdrawn`, `revoked` or `used`.
    pub state: String,
    /// Who still has to approve, such as `1 oncall`.
    pub whom: String,
    /// From then on it counts as declined.
    #[schemars(with = "Time")]
    pub expires: Timestamp,
}

impl From<&RequestView> for Requested {
    fn from(view: &RequestView) -> Self {
        let whom: Vec<String> = view.wanted.iter().map(ToString::to_string).collect();
        Self {
            id: view.shown.request.to_string(),
            state: view.state.as_str().to_owned(),
            whom: whom.join(" and "),
            expires: Time(view.shown.expires_at).to_the_second().0,
        }
    }
}

/// Result of a mutating tool.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Receipt {
    /// How it ended.
    pub outcome: Outcome,
    /// Why nothing was sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<Refused>,
    /// The request that waits for approval. Once it is approved, the same caller calls again with
    /// the same arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Requested>,
    /// What would be done, as those who are asked see it: in the form that `plan` gives.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<serde_json::Map<String, serde_json::Value>>")]
    pub plan: Option<Box<Plan>>,
    /// The permit that was used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permit_id: Option<String>,
    /// The deployment that was started, where AWS named one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deployment_id: Option<String>,
    /// The AWS calls that were made.
    pub calls: Vec<Call>,
    /// When the act began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub started_at: Option<Timestamp>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Time>")]
    pub finished_at: Option<Timestamp>,
}

impl Receipt {
    pub(crate) fn refused(stop: Stop, permit_id: Option<String>) -> Self {
        let Stop { reason, request, plan } = stop;
        Self {
            outcome: Outcome::Refused,
            reason: Some(reason),
            request: request.map(|request| *request),
            plan,
            permit_id,
            deployment_id: None,
            calls: Vec::new(),
            started_at: None,
            finished_at: None,
        }
    }
}

/// Why nothing is sent, with the request that was filed instead.
#[derive(Debug)]
pub(crate) struct Stop {
    pub(crate) reason: Refused,
    pub(crate) request: Option<Box<Requested>>,
    pub(crate) plan: Option<Box<Plan>>,
}

impl From<Refused> for Stop {
    fn from(reason: Refused) -> Self {
        Self { reason, request: None, plan: None }
    }
}
