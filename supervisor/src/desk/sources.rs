//! What the desk decides by, besides plan and facts: the same files that the remediation server
//! has, read anew for each request, so that a rule that was tightened counts at once.

use std::{fmt, sync::Arc};

use midwatch_mcp::Contracts;
use midwatch_policy::{Calendar, Rules};

use super::error::{DeskError, Trouble};

type Read<T> = dyn Fn() -> Result<T, String> + Send + Sync;

/// Something that is given once, or read each time.
pub enum Source<T> {
    /// This.
    Given(Arc<T>),
    /// Whatever this returns, or why it cannot be had.
    Read(Box<Read<T>>),
}

/// Everything of that kind.
#[derive(Debug)]
pub struct Sources {
    /// The policy.
    pub rules: Source<Rules>,
    /// Change freezes and business hours.
    pub calendar: Source<Calendar>,
    /// The runbooks' contracts.
    pub contracts: Source<Contracts>,
}

impl<T> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Given(_) => "Given(…)",
            Self::Read(_) => "Read(…)",
        })
    }
}

impl<T> Source<T> {
    /// Reads it each time.
    pub fn read(how: impl Fn() -> Result<T, String> + Send + Sync + 'static) -> Self {
        Self::Read(Box::new(how))
    }

    /// As it is now. What cannot be read is an error: nothing is decided without it.
    pub(super) fn now(&self) -> Result<Arc<T>, DeskError> {
        match self {
            Self::Given(given) => Ok(Arc::clone(given)),
            Self::Read(how) => how().map(Arc::new).map_err(|why| {
                tracing::error!(why, "nothing can be asked");
                DeskError::new(
                    Trouble::Internal,
                    format!("the desk cannot decide: {why}"),
                    "mend the file; it is read again with the next request",
                )
            }),
        }
    }
}

impl<T> From<T> for Source<T> {
    fn from(given: T) -> Self {
        Self::Given(Arc::new(given))
    }
}

impl<T> From<Arc<T>> for Source<T> {
    fn from(given: Arc<T>) -> Self {
        Self::Given(given)
    }
}
