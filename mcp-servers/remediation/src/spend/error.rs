//! Why a permit could not be spent.

use jiff::Timestamp;

/// Why a permit could not be spent.
#[derive(Debug, thiserror::Error)]
pub enum SpendError {
    /// It was spent before.
    #[error("permit `{permit}` was spent at {at}, and that act is {state}")]
    Spent {
        /// The permit.
        permit: String,
        /// When.
        at: Timestamp,
        /// What became of it: `intent`, `done`, `failed` or `ambiguous`.
        state: String,
    },
    /// Too much was done lately.
    #[error("{0}")]
    Limit(String),
    /// Time went backwards.
    #[error("the clock says {now}, but {seen} was seen before: nothing is done until it has passed")]
    Clock {
        /// Now.
        now: Timestamp,
        /// The latest time seen.
        seen: Timestamp,
    },
    /// Another process has the store.
    #[error("another remediation server holds the store of spent permits{0}: only one may act")]
    Held(String),
    /// The file was exchanged while it was open.
    #[error("the store of spent permits at `{0}` is not the file that was opened: start the server again")]
    Exchanged(String),
    /// The record does not add up.
    #[error(
        "the store of spent permits does not add up at entry {0}: it was altered. Keep it for an investigation, \
         revoke every permit, and start with a new one"
    )]
    Altered(i64),
    /// Everybody can write it.
    #[error("the store of spent permits: {0}")]
    Exposed(#[from] midwatch_mcp::Exposed),
    /// The file cannot be locked.
    #[error("the store of spent permits cannot be locked: {0}")]
    Lock(std::io::Error),
    /// The store does not work.
    #[error("the store of spent permits does not work")]
    Store(#[from] rusqlite::Error),
}
