//! What goes between the desk and those who ask, approve and act.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Cited, RequestState, Shown};
use crate::{
    action::Action,
    id::{IncidentId, RequestId},
    permit::Digest,
    rules::{Ask, Claimed},
};

/// Somebody asks for approval. The desk fetches plan and facts itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asking {
    /// For whom; only a server may ask for another, its caller. Absent: for who asks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The incident; a caller without one gets one of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentId>,
    /// What would be done.
    pub action: Action,
    /// What the asker says of itself: can only count against it. Policy may want it of a supervisor.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Claimed>,
    /// Why, in a sentence or two.
    #[serde(default)]
    pub reason: String,
    /// What speaks for it.
    #[serde(default)]
    pub evidence: Vec<Cited>,
    /// Id of the runbook it follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

/// A request with what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestView {
    /// What a person is shown.
    pub shown: Shown,
    /// Its digest: what an approval has to name.
    pub digest: Digest,
    /// What became of it.
    pub state: RequestState,
    /// Who still has to approve.
    pub wanted: Vec<Ask>,
    /// Where a person raised it again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raised: Option<Raised>,
}

/// A request that a person raised again after another one had ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Raised {
    /// The request that had ended.
    pub from: RequestId,
    /// The person.
    pub by: String,
}

/// What people gave a supervisor back to see through, of the last day, oldest first. The desk does
/// not know what was seen through: the supervisor's journals do.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GivenBack {
    /// Requests that it had filed and a person raised again.
    pub raised: Vec<RequestView>,
    /// Its incidents that a person had taken over and handed back.
    pub returned: Vec<Hold>,
}

/// A permit on its way from the desk to the server that acts on it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fetched {
    /// The request that it answers.
    pub request: RequestId,
    /// The signed token; never logged.
    pub token: String,
}

impl std::fmt::Debug for Fetched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetched").field("request", &self.request).finish_non_exhaustive()
    }
}

/// What came of an act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// AWS accepted it.
    Done,
    /// AWS refused it; nothing was changed.
    Failed,
    /// It was sent and may have been made.
    Ambiguous,
}

/// Whose an incident is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HoldState {
    /// Midwatch works on it.
    Working,
    /// A person has taken it over: Midwatch only reads and notes.
    Taken,
    /// A person has stopped it: Midwatch ends with a report.
    Stopped,
}

/// Who holds an incident. Without an entry at the desk Midwatch works on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Hold {
    /// The incident.
    pub incident: IncidentId,
    /// Whose it is.
    pub state: HoldState,
    /// The person who said so last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// What they said.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Timestamp>,
}

/// An error of the desk: what, and how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
#[serde(deny_unknown_fields)]
pub struct WireError {
    /// `unauthenticated`, `not_allowed`, `not_found`, `forbidden` (by policy), `plan` (the server
    /// would not plan it), `limit`, `declined_before`, `held`, `ended`, `invalid` or `internal`.
    pub kind: String,
    /// What happened.
    pub message: String,
    /// What to do about it.
    pub mend: String,
}
