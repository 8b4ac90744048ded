//! Why the desk does not do it, in the one form that goes over the wire.

use midwatch_policy::{StepError, WireError};

/// What kind of trouble it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// No token, or one that nobody has.
    Unauthenticated,
    /// Not for this principal.
    NotAllowed,
    /// There is none, or none that this principal may see.
    NotFound,
    /// Policy, the catalog or a runbook's contract forbids it, whoever approves.
    Forbidden,
    /// The remediation server would not plan it.
    Plan,
    /// Too many requests.
    Limit,
    /// A person declined the same before.
    DeclinedBefore,
    /// A person holds the incident.
    Held,
    /// The request has ended, or has not come so far.
    Ended,
    /// The desk cannot read what it was sent.
    Invalid,
    /// A defect, a broken store, a missing key.
    Internal,
    /// The desk itself cannot be reached; said by its clients only.
    Unreachable,
}

impl Trouble {
    /// As it is written on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unauthenticated => "unauthenticated",
            Self::NotAllowed => "not_allowed",
            Self::NotFound => "not_found",
            Self::Forbidden => "forbidden",
            Self::Plan => "plan",
            Self::Limit => "limit",
            Self::DeclinedBefore => "declined_before",
            Self::Held => "held",
            Self::Ended => "ended",
            Self::Invalid => "invalid",
            Self::Internal => "internal",
            Self::Unreachable => "unreachable",
        }
    }

    /// The status of an HTTP answer.
    pub const fn status(self) -> u16 {
        match self {
            Self::Unauthenticated => 401,
            Self::NotAllowed | Self::Forbidden => 403,
            Self::NotFound => 404,
            Self::Plan | Self::DeclinedBefore | Self::Held | Self::Ended => 409,
            Self::Invalid => 400,
            Self::Limit => 429,
            Self::Internal => 500,
            Self::Unreachable => 503,
        }
    }
}

/// Why the desk does not do it. Its text is what happened; [`mend`](Self::mend) is what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .wire.message)]
pub struct DeskError {
    wire: WireError,
}

impl DeskError {
    /// An error: what happened, and what to do about it.
    pub fn new(trouble: Trouble, message: impl Into<String>, mend: impl Into<String>) -> Self {
        let kind = trouble.as_str().to_owned();
        Self { wire: WireError { kind, message: message.into(), mend: mend.into() } }
    }

    /// Something is wrong with the desk itself; the log says what.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Trouble::Internal, message, "whoever runs the desk finds the details in its log")
    }

    /// What goes over the wire.
    pub const fn wire(&self) -> &WireError {
        &self.wire
    }

    /// What goes over the wire.
    pub fn into_wire(self) -> WireError {
        self.wire
    }

    /// What kind of trouble it is, as it is written on the wire.
    pub fn kind(&self) -> &str {
        &self.wire.kind
    }

    /// Whether it is of this kind.
    pub fn is(&self, trouble: Trouble) -> bool {
        self.wire.kind == trouble.as_str()
    }

    /// What to do about it.
    pub fn mend(&self) -> &str {
        &self.wire.mend
    }

    /// The status of an HTTP answer.
    pub fn status(&self) -> u16 {
        use Trouble as T;
        [T::Unauthenticated, T::NotAllowed, T::NotFound, T::Forbidden, T::Plan, T::Limit, T::DeclinedBefore]
            .into_iter()
            .chain([T::Held, T::Ended, T::Invalid, T::Unreachable])
            .find(|trouble| self.is(*trouble))
            .unwrap_or(T::Internal)
            .status()
    }
}

impl From<WireError> for DeskError {
    fn from(wire: WireError) -> Self {
        Self { wire }
    }
}

impl From<StepError> for DeskError {
    fn from(error: StepError) -> Self {
        let (trouble, mend) = match error {
            StepError::Not { .. } | StepError::Late(_) => {
                (Trouble::Ended, "`midwatch approvals show ID` says what became of it")
            }
            StepError::OtherShown => {
                (Trouble::Invalid, "`midwatch approvals show ID` shows it as it is; answer that")
            }
            StepError::SelfApproval(_) | StepError::Nameless | StepError::Twice(_) => {
                (Trouble::NotAllowed, "another person has to approve it")
            }
            StepError::Role { .. } => {
                (Trouble::NotAllowed, "somebody with a role that is asked has to approve it")
            }
            _ => (Trouble::Internal, "whoever runs the desk finds the details in its log"),
        };
        Self::new(trouble, error.to_string(), mend)
    }
}

impl From<rusqlite::Error> for DeskError {
    fn from(error: rusqlite::Error) -> Self {
        tracing::error!(%error, "the desk's store failed");
        Self::internal("the desk's store does not work, so nothing was changed")
    }
}
