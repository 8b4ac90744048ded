//! What the desk decides by, besides plan and facts: the same files that the remediation server
//! has, read anew for each request, so that a rule that was tightened counts at once.

use std::sync::Arc;

use midwatch_mcp::{Contracts, Standing};
use midwatch_policy::{Calendar, Catalog, Rules};

use super::error::{DeskError, Trouble};

/// Everything of that kind.
#[derive(Debug)]
pub struct Sources {
    /// The service catalog.
    pub catalog: Standing<Catalog>,
    /// The policy.
    pub rules: Standing<Rules>,
    /// Change freezes and business hours.
    pub calendar: Standing<Calendar>,
    /// The runbooks' contracts.
    pub contracts: Standing<Contracts>,
}

impl Sources {
    pub(super) fn catalog(&self) -> Result<Arc<Catalog>, DeskError> {
        now(&self.catalog)
    }

    pub(super) fn rules(&self) -> Result<Arc<Rules>, DeskError> {
        now(&self.rules)
    }

    pub(super) fn calendar(&self) -> Result<Arc<Calendar>, DeskError> {
        now(&self.calendar)
    }

    pub(super) fn contracts(&self) -> Result<Arc<Contracts>, DeskError> {
        now(&self.contracts)
    }
}

/// As it is now. What cannot be read is an error: nothing is decided without it.
fn now<T>(standing: &Standing<T>) -> Result<Arc<T>, DeskError> {
    standing.now().map_err(|why| {
        tracing::error!(why, "nothing can be asked");
        DeskError::new(
            Trouble::Internal,
            format!("the desk cannot decide: {why}"),
            "mend the file; it is read again with the next request",
        )
    })
}
