//! Telling the desk what came of an act, and of what can be done no more.

use std::time::Duration;

use midwatch_policy::{Outcome as Known, PermitId, RequestId};

use crate::permits::{PermitSource, SourceError};

/// How long the desk may take to note it.
const NOTED: Duration = Duration::from_secs(3);

/// Tells the desk what came of an act, twice at most. Our own record stands already; the desk's lets
/// people see it, and is the second place that knows a permit was used. Whether it has heard: a desk
/// that says no has, and its own log says why.
pub(crate) async fn noted(source: &dyn PermitSource, permit: &PermitId, outcome: Known) -> bool {
    for attempt in 1..=2 {
        match tokio::time::timeout(NOTED, source.used(permit, outcome)).await {
            Ok(Ok(())) => return true,
            Ok(Err(error @ SourceError::Desk(_))) if attempt == 2 => {
                tracing::error!(%error, %permit, "the desk does not take the outcome");
                return true;
            }
            Ok(Err(error)) => tracing::warn!(%error, %permit, attempt, "the desk did not note the outcome"),
            Err(_) => tracing::warn!(%permit, attempt, "the desk did not note the outcome in time"),
        }
    }
    false
}

/// Takes back what can be done no more, so that people can be asked for what is now. A desk that does not
/// hear it offers the permit until it ends, and it stays of no use here.
pub(crate) async fn withdrawn(source: &dyn PermitSource, request: &RequestId, why: &str) {
    match tokio::time::timeout(NOTED, source.withdraw(request, why)).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(%error, %request, "the desk does not take a stale permit back"),
        Err(_) => tracing::warn!(%request, "the desk did not take a stale permit back in time"),
    }
}

/// What the record says, for the desk. What was never finished is not known.
pub(crate) fn known(state: &str) -> Known {
    match state {
        "done" => Known::Done,
        "failed" => Known::Failed,
        _ => Known::Ambiguous,
    }
}
