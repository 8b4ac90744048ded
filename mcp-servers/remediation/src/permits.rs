//! Where permits come from, and who is asking.

use std::{fmt, future::Future, pin::Pin};

use midwatch_policy::{Action, RequestId};

/// A permit that the desk holds for a caller and an action.
#[derive(Clone)]
pub struct Offer {
    /// The request for approval that it answers.
    pub request: RequestId,
    /// The signed token. Never printed.
    pub token: String,
}

impl fmt::Debug for Offer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offer").field("request", &self.request).finish_non_exhaustive()
    }
}

/// The desk could not be asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// The answer of the desk, later.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Result<Option<Offer>, SourceError>> + Send + 'a>>;

/// Where the server fetches permits from: the desk. A permit enters no tool argument, no model
/// context and no log.
pub trait PermitSource: Send + Sync + fmt::Debug {
    /// The permit that was given to this caller for exactly this action, if there is one. What is
    /// offered is believed in nothing: every claim is checked.
    fn permit_for<'a>(&'a self, subject: &'a str, action: &'a Action) -> Answer<'a>;
}

/// Who calls, by the way they came. A permit is for one caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Callers {
    /// Whoever is connected in this process or on stdio.
    pub local: Option<String>,
    /// Whoever presented the bearer token over HTTP.
    pub http: Option<String>,
}
