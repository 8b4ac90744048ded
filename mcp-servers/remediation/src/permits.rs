//! Where permits come from: the desk.

use std::fmt;

use futures::future::BoxFuture;
use midwatch_policy::{Action, PermitId, RequestId, RequestView, WireError};

/// A permit that the desk holds for a caller and an action: the request it answers, and the signed
/// token, which is never printed.
pub use midwatch_policy::Fetched as Offer;

/// The desk did not give what it was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// It answered with an error of its own.
    #[error("the desk says: {0}")]
    Desk(#[from] WireError),
    /// It did not answer, or answered something that cannot be read.
    #[error("the desk gave no answer: {0}")]
    Silent(String),
}

/// The desk, as a server sees it. A permit enters no tool argument, no model context and no log.
pub trait PermitSource: Send + Sync + fmt::Debug {
    /// The permit that was given to this caller for exactly this action, if there is one. What is
    /// offered is believed in nothing: every claim is checked.
    fn permit_for<'a>(
        &'a self,
        subject: &'a str,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<Option<Offer>, SourceError>>;

    /// Files a request for a caller that has no permit; what became of it.
    fn ask<'a>(
        &'a self,
        subject: &'a str,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<RequestView, SourceError>>;

    /// Whether the permit still stands: not revoked, withdrawn or used, its incident not taken over
    /// or stopped. Asked just before it is spent, in the store of that id; anything but a clear yes is a no.
    /// The first store that asks is the only one in which the permit may ever be spent.
    fn stands<'a>(&'a self, permit: &'a PermitId, store: &'a str)
    -> BoxFuture<'a, Result<bool, SourceError>>;

    /// Tells the desk what came of the act, for its record.
    fn used<'a>(
        &'a self,
        permit: &'a PermitId,
        outcome: midwatch_policy::Outcome,
    ) -> BoxFuture<'a, Result<(), SourceError>>;

    /// Tells the desk that what was approved can be done no more, and why, so that it can be asked for anew.
    fn withdraw<'a>(&'a self, request: &'a RequestId, why: &'a str)
    -> BoxFuture<'a, Result<(), SourceError>>;
}
