//! What people and programs are shown of notices and of their delivery.

use midwatch_policy::Timestamp;
use serde::Serialize;

/// A notice on one chain, as it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NoticeView {
    /// What identifies it: incident, kind, subject and route.
    pub key: String,
    /// The route it takes.
    pub route: String,
    /// The incident.
    pub incident: String,
    /// What kind of thing it is.
    pub kind: String,
    /// The channel that is tried, or was last.
    pub channel: String,
    /// `trying`, `sending`, `waiting` (for somebody to acknowledge), `delivered`, `acknowledged`,
    /// `cancelled` or `failed`.
    pub phase: String,
    /// When it is tried again, or passed to the next.
    pub due: Option<Timestamp>,
    /// When it was made.
    pub made_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What went wrong last.
    pub problem: Option<String>,
    /// What it says.
    pub headline: String,
}

/// Whether people can be reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeliveryHealth {
    /// Whether all is well: nothing failed, nothing is stuck, the outbox works.
    pub ok: bool,
    /// Notices that nobody is known to have, until a person acknowledges them.
    pub failed: Vec<NoticeView>,
    /// Notices that have not ended.
    pub pending: u64,
    /// Of those, how many should have been sent some time ago.
    pub stuck: u64,
    /// Of those, how many are to wake somebody and have reached nobody for minutes.
    pub unheard: u64,
    /// What is wrong with the outbox itself.
    pub problem: Option<String>,
}
