//! The desk, as the supervisor sees it: it asks, waits and withdraws. It never sees a permit.

use futures::future::BoxFuture;
use midwatch_policy::{Asking, Digest, GivenBack, Hold, IncidentId, RequestId, RequestState, RequestView};

use super::error::DeskError;

/// A desk, in this process or elsewhere.
pub trait Desk: Send + Sync + std::fmt::Debug {
    /// Files a request, or finds the same one open. The desk plans it and asks policy itself.
    fn file(&self, asking: Asking) -> BoxFuture<'_, Result<RequestView, DeskError>>;

    /// The request, once its state is another than `seen`. An open request always becomes another
    /// in the end: it expires.
    fn wait<'a>(
        &'a self,
        id: &'a RequestId,
        seen: &'a RequestState,
    ) -> BoxFuture<'a, Result<RequestView, DeskError>>;

    /// Takes a request back, or a permit that was not used.
    fn withdraw<'a>(
        &'a self,
        id: &'a RequestId,
        why: &'a str,
    ) -> BoxFuture<'a, Result<RequestView, DeskError>>;

    /// Whose an incident is.
    fn hold<'a>(&'a self, incident: &'a IncidentId) -> BoxFuture<'a, Result<Hold, DeskError>>;

    /// What people gave back to see through: requests raised again, incidents handed back.
    fn given_back(&self) -> BoxFuture<'_, Result<GivenBack, DeskError>>;

    /// The desk's signature under the head of an incident's journal.
    fn seal<'a>(
        &'a self,
        incident: &'a IncidentId,
        entries: u32,
        head: Digest,
    ) -> BoxFuture<'a, Result<String, DeskError>>;
}
