//! The one way in which a request changes.

use jiff::{SignedDuration, Timestamp};

use super::{Outcome, RequestState, Shown, Void};
use crate::{
    id::PermitId,
    permit::{Approver, Digest},
    rules::{Ask, unmet},
};

/// How long a signed permit is good for.
const GOOD_FOR: SignedDuration = SignedDuration::from_mins(10);

/// What happens to a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RequestEvent {
    /// A person approves what they were shown.
    Approve {
        /// The person, authenticated by the desk, in one of their roles.
        approver: Approver,
        /// Digest of what they were shown.
        shown: Digest,
        /// The id that a permit gets if this was the last approval wanted.
        permit: PermitId,
    },
    /// A person declines.
    Decline {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// It is not wanted any more.
    Withdraw {
        /// Why.
        why: String,
    },
    /// A person takes the permit back.
    Revoke {
        /// Who.
        by: String,
        /// Why.
        reason: String,
    },
    /// The server says what came of the act.
    Use {
        /// What came of it.
        outcome: Outcome,
    },
    /// Somebody is known no longer as a person in the role in which they approved.
    Leave {
        /// Who.
        name: String,
    },
    /// Time passes.
    Tick,
}

/// Why an event does not change a request.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StepError {
    /// It has ended, or has not come so far.
    #[error("the request is {state}: {what}")]
    Not {
        /// What it is.
        state: &'static str,
        /// What can be done.
        what: &'static str,
    },
    /// Nobody answered in time.
    #[error("the request expired at {0}: raise it again to have it planned and asked anew")]
    Late(Timestamp),
    /// The approver looked at something else.
    #[error("what you were shown is not what this request holds: look at it again")]
    OtherShown,
    /// Who asks cannot approve.
    #[error("`{0}` asked for this and cannot approve it")]
    SelfApproval(String),
    /// An approval has a name.
    #[error("an approval needs the name of a person")]
    Nameless,
    /// The person has approved already.
    #[error("`{0}` has approved this already; another person has to")]
    Twice(String),
    /// The role is not asked for.
    #[error("`{role}` is not asked: still to approve are {wanted}")]
    Role {
        /// The role that was offered.
        role: String,
        /// Whom it waits for.
        wanted: String,
    },
    /// It has no canonical form, so that it cannot be approved.
    #[error("the request cannot be digested")]
    Digest,
}

impl RequestState {
    /// What becomes of a request when something happens to it.
    pub fn step(
        &self,
        shown: &Shown,
        event: &RequestEvent,
        now: Timestamp,
    ) -> Result<RequestState, StepError> {
        match (self, event) {
            (Self::Open { .. }, RequestEvent::Tick) if now >= shown.expires_at => {
                Ok(Self::Expired { at: shown.expires_at })
            }
            (_, RequestEvent::Tick) => Ok(self.clone()),
            (_, RequestEvent::Leave { name }) => Ok(self.without(name, now)),
            (Self::Open { .. }, _) if now >= shown.expires_at => Err(StepError::Late(shown.expires_at)),
            (Self::Open { approvers }, RequestEvent::Approve { approver, shown: seen, permit }) => {
                approve(shown, approvers, approver, (*seen, permit), now)
            }
            (Self::Open { .. }, RequestEvent::Decline { by, reason }) => {
                Ok(Self::Declined { by: by.clone(), reason: reason.clone(), at: now })
            }
            (Self::Open { .. } | Self::Approved { .. }, RequestEvent::Withdraw { why }) => {
                Ok(self.withdrawn(why.clone(), now))
            }
            (Self::Approved { permit, approvers, .. }, RequestEvent::Revoke { by, reason }) => {
                let (permit, approvers) = (permit.clone(), approvers.clone());
                Ok(Self::Revoked { permit, approvers, by: by.clone(), reason: reason.clone(), at: now })
            }
            (_, RequestEvent::Use { outcome }) => self.used(*outcome, now),
            (state, RequestEvent::Revoke { .. }) => {
                Err(not(state, "only a permit that was not used can be revoked"))
            }
            (state, RequestEvent::Withdraw { .. }) => Err(not(state, "there is nothing to withdraw")),
            (state, RequestEvent::Approve { .. } | RequestEvent::Decline { .. }) => {
                Err(not(state, "raise it again to have it planned and asked anew"))
            }
        }
    }
}

impl RequestState {
    /// Without the approval of somebody who has left. A permit that stood on it stands no longer;
    /// what was used was used.
    fn without(&self, name: &str, now: Timestamp) -> Self {
        let left = |approver: &Approver| approver.name == name;
        match self {
            Self::Open { approvers } => {
                Self::Open { approvers: approvers.iter().filter(|a| !left(a)).cloned().collect() }
            }
            Self::Approved { approvers, .. } if approvers.iter().any(left) => self.withdrawn(
                format!("`{name}` approved it and is no longer known at the desk in that role"),
                now,
            ),
            other => other.clone(),
        }
    }

    /// Not wanted any more. A permit that is out is remembered: the server may be acting on it.
    fn withdrawn(&self, why: String, at: Timestamp) -> Self {
        let (permit, approvers) = match self {
            Self::Approved { permit, approvers, .. } => (Some(permit.clone()), approvers.clone()),
            _ => (None, Vec::new()),
        };
        Self::Withdrawn { why, at, permit, approvers }
    }

    /// The server has acted. What was done was done, also where the permit was void by then: then that
    /// stands beside it.
    fn used(&self, outcome: Outcome, at: Timestamp) -> Result<Self, StepError> {
        let (permit, approvers, void) = match self {
            Self::Approved { permit, approvers, .. } => (permit, approvers, None),
            Self::Withdrawn { why, at: since, permit: Some(permit), approvers } => {
                let why = format!("withdrawn: {why}");
                (permit, approvers, Some(Void { why, since: *since }))
            }
            Self::Revoked { permit, approvers, by, reason, at: since } => {
                let why = format!("`{by}` took it back: {reason}");
                (permit, approvers, Some(Void { why, since: *since }))
            }
            state => return Err(not(state, "there is no permit to use")),
        };
        Ok(Self::Used { permit: permit.clone(), approvers: approvers.clone(), outcome, at, void })
    }
}

const fn not(state: &RequestState, what: &'static str) -> StepError {
    StepError::Not { state: state.as_str(), what }
}

fn approve(
    shown: &Shown,
    before: &[Approver],
    approver: &Approver,
    (seen, permit): (Digest, &PermitId),
    now: Timestamp,
) -> Result<RequestState, StepError> {
    let name = approver.name.trim().to_lowercase();
    let same = |other: &str| other.trim().to_lowercase() == name;
    if name.is_empty() {
        return Err(StepError::Nameless);
    }
    if shown.digest().map_err(|_| StepError::Digest)? != seen {
        return Err(StepError::OtherShown);
    }
    if same(&shown.subject) {
        return Err(StepError::SelfApproval(approver.name.clone()));
    }
    if before.iter().any(|other| same(&other.name)) {
        return Err(StepError::Twice(approver.name.clone()));
    }
    let wanted = unmet(&shown.asks, before);
    if !wanted.iter().any(|ask| ask.role == approver.role) {
        let wanted = wanted.iter().map(Ask::to_string).collect::<Vec<_>>().join(" and ");
        return Err(StepError::Role { role: approver.role.clone(), wanted });
    }
    let approvers: Vec<Approver> = before.iter().chain([approver]).cloned().collect();
    if unmet(&shown.asks, &approvers).is_empty() {
        let until = now.saturating_add(GOOD_FOR).unwrap_or(now);
        Ok(RequestState::Approved { permit: permit.clone(), approvers, at: now, until })
    } else {
        Ok(RequestState::Open { approvers })
    }
}
