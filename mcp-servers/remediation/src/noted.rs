//! Telling the desk what came of an act.

use std::time::Duration;

use midwatch_policy::{Outcome as Known, PermitId};

use crate::permits::PermitSource;

/// How long the desk may take to note it.
const NOTED: Duration = Duration::from_secs(3);

/// Tells the desk what came of an act, twice at most. Our own record stands already; the desk's lets
/// people see it, and is the second place that knows a permit was used.
pub(crate) async fn noted(source: &dyn PermitSource, permit: &PermitId, outcome: Known) {
    for attempt in 1..=2 {
        match tokio::time::timeout(NOTED, source.used(permit, outcome)).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => tracing::warn!(%error, %permit, attempt, "the desk did not note the outcome"),
            Err(_) => tracing::warn!(%permit, attempt, "the desk did not note the outcome in time"),
        }
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
