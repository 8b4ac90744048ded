//! A request for approval: what a person is shown, and what becomes of it.
//!
//! Pure: the desk stores a request and its state and performs what follows; every change of state
//! goes through [`RequestState::step`], which takes the time as input.
//!
//! INVARIANTS:
//! - [`Shown`] never changes once it was filed; its digest is what a person approves and what the
//!   permit carries, so that nobody can be shown one thing and sign another;
//! - a request ends once; what ended is never approved, and only a person files it anew. One change is
//!   left to what was voided after it was approved: that the server had acted on it all the same;
//! - an approval that comes at or after the deadline is none.

mod step;
#[cfg(test)]
mod tests;
mod wire;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use step::{RequestEvent, StepError};
pub use wire::{Asking, Fetched, GivenBack, Hold, HoldState, Outcome, Raised, RequestView, WireError};

use crate::{
    action::Plan,
    id::{EvidenceId, IncidentId, PermitId, RequestId},
    permit::{Approver, Digest, DigestError},
    rules::{Ask, Attested, CallerKind, Claimed},
};

/// One fact that speaks for an action, as its asker worded it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cited {
    /// Where it is kept in the incident's journal.
    pub id: EvidenceId,
    /// One line.
    pub text: String,
}

/// A runbook whose contract the action is held to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunbookRef {
    /// The contract's id.
    pub id: String,
    /// Of the runbook's bytes, so that both sides hold the action to the same text.
    pub digest: Digest,
}

/// A runbook's contract that the desk found itself to be about an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Applicable {
    /// Which one.
    pub runbook: RunbookRef,
    /// Whether the action is held to it.
    pub held: Held,
    /// What it wants where it is followed.
    pub demands: Vec<String>,
    /// What it would have against the action; empty where the action is held to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub against: Vec<String>,
}

/// Whether an action is held to a contract that its asker does not cite.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Held {
    /// It names the service, or an error that the asker names: it holds.
    To,
    /// It may be about this, and is shown.
    Beside,
}

/// Everything that a person is shown before they answer. The plan and the facts were read by the
/// desk itself; `reason`, `evidence` and `claimed` are the asker's words and are shown as such.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shown {
    /// The request.
    pub request: RequestId,
    /// The incident it is for.
    pub incident: IncidentId,
    /// Who asks, and may then act: the authenticated name of the caller.
    pub subject: String,
    /// What kind of caller that is.
    pub caller: CallerKind,
    /// The server that would act.
    pub audience: String,
    /// What would be done, to whom, how it is undone, and what must still hold.
    pub plan: Plan,
    /// What policy was asked with.
    pub facts: Attested,
    /// Why, in the asker's words.
    pub reason: String,
    /// What speaks for it, in the asker's words.
    pub evidence: Vec<Cited>,
    /// How certain it says it is, and by what; nothing of a caller that has made no diagnosis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Claimed>,
    /// The runbook that the asker follows, whose contract it is held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<RunbookRef>,
    /// Other contracts that are about this, found by the desk.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contracts: Vec<Applicable>,
    /// Who has to approve: all of it.
    pub asks: Vec<Ask>,
    /// The rules that ask.
    pub rules: Vec<String>,
    /// When it was filed.
    pub filed_at: Timestamp,
    /// From then on it counts as declined.
    pub expires_at: Timestamp,
}

impl Shown {
    /// What a person approves, and what the permit carries.
    pub fn digest(&self) -> Result<Digest, DigestError> {
        Digest::of_json(self)
    }

    /// The contracts that it is held to besides the one that the asker cites.
    pub fn held_to(&self) -> Vec<RunbookRef> {
        let held = self.contracts.iter().filter(|contract| contract.held == Held::To);
        held.map(|contract| contract.runbook.clone()).collect()
    }

    /// Who has to approve, in words.
    pub fn whom(&self) -> String {
        self.asks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
    }
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case", deny_unknown_fields)]
pub enum RequestState {
    /// People are asked.
    Open {
        /// Those who have approved so far.
        approvers: Vec<Approver>,
    },
    /// All who had to have approved; a permit was signed.
    Approved {
        /// The permit.
        permit: PermitId,
        /// Who approved.
        approvers: Vec<Approver>,
        /// When.
        at: Timestamp,
        /// When the permit ends.
        until: Timestamp,
    },
    /// The server has acted on the permit, or tried to.
    Used {
        /// The permit.
        permit: PermitId,
        /// Who approved.
        approvers: Vec<Approver>,
        /// What came of it.
        outcome: Outcome,
        /// When.
        at: Timestamp,
        /// Where it was void by then: the act happened, and should not have.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        void: Option<Void>,
    },
    /// A person declined.
    Declined {
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
    /// Nobody, or not everybody, approved in time.
    Expired {
        /// When.
        at: Timestamp,
    },
    /// It is not wanted any more: the alarm cleared, or the asker ended.
    Withdrawn {
        /// Why.
        why: String,
        /// When.
        at: Timestamp,
        /// The permit that was out by then, and is void.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        permit: Option<PermitId>,
        /// Who had approved it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvers: Vec<Approver>,
    },
    /// A person took the permit back before it was used.
    Revoked {
        /// The permit.
        permit: PermitId,
        /// Who had approved it.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        approvers: Vec<Approver>,
        /// Who.
        by: String,
        /// Why.
        reason: String,
        /// When.
        at: Timestamp,
    },
}

/// That a permit was void before its act was told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Void {
    /// Why it was void.
    pub why: String,
    /// Since when.
    pub since: Timestamp,
}

impl RequestState {
    /// A request that was just filed.
    pub const fn filed() -> Self {
        Self::Open { approvers: Vec::new() }
    }

    /// As it is written in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Open { .. } => "open",
            Self::Approved { .. } => "approved",
            Self::Used { .. } => "used",
            Self::Declined { .. } => "declined",
            Self::Expired { .. } => "expired",
            Self::Withdrawn { .. } => "withdrawn",
            Self::Revoked { .. } => "revoked",
        }
    }

    /// Who has approved so far, or approved in the end.
    pub fn approvers(&self) -> &[Approver] {
        match self {
            Self::Open { approvers } | Self::Approved { approvers, .. } | Self::Used { approvers, .. } => {
                approvers
            }
            Self::Declined { .. } | Self::Expired { .. } | Self::Withdrawn { .. } | Self::Revoked { .. } => {
                &[]
            }
        }
    }

    /// Whether an act was made, or may have been, on a permit that was void by then.
    pub const fn acted_though_void(&self) -> Option<&Void> {
        match self {
            Self::Used { void, .. } => void.as_ref(),
            _ => None,
        }
    }

    /// Whether people are still asked.
    pub const fn is_open(&self) -> bool {
        matches!(self, Self::Open { .. })
    }
}
