//! The journal: one append-only, hash-chained list of entries for each incident.
//!
//! INVARIANT: an entry is never changed, and goes only with its whole incident, when that is old and
//! over (`forget`). Every entry carries the SHA-256 of the
//! canonical JSON (RFC 8785) of itself and of the hash before it, so that a changed byte anywhere
//! breaks the chain from there on. Appending names the version (number of entries) that the
//! writer has seen; another number means that somebody else wrote, and nothing is written.
//! The incident's state is read from here and nowhere else; a table of current state beside it
//! was rejected, since the two would disagree one day.

mod chain;
pub mod export;
mod sqlite;

use std::{future::Future, pin::Pin};

use midwatch_policy::{IncidentId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

pub use chain::verify;
pub use sqlite::{SqliteJournal, default_store};

/// Future of a journal call.
pub type JournalFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, JournalError>> + Send + 'a>>;

/// What is to be appended.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// When it happened, on the incident's clock.
    pub at: Timestamp,
    /// What kind of event it is, such as `proposed`.
    pub kind: String,
    /// The event.
    pub body: Value,
}

/// What was appended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// The incident it belongs to.
    pub incident: IncidentId,
    /// Position, from 1.
    pub seq: u32,
    /// When it happened, on the incident's clock.
    pub at: Timestamp,
    /// What kind of event it is.
    pub kind: String,
    /// The event.
    pub body: Value,
    /// Hash of the entry before it.
    pub prev: String,
    /// SHA-256 of the canonical JSON of everything above.
    pub hash: String,
}

/// Where an incident's chain ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// The incident.
    pub incident: IncidentId,
    /// How many entries it has.
    pub entries: u32,
    /// Hash of the last one.
    pub hash: String,
}

/// An incident at a glance. Its chain is not verified for that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Overview {
    /// Where its chain ends.
    #[serde(flatten)]
    pub head: Head,
    /// When it was opened.
    #[serde(rename = "opened_at")]
    pub opened: Timestamp,
    /// The alarm it was opened for.
    pub alarm: Option<String>,
    /// The service it is about.
    pub service: Option<String>,
    /// How it ended, if it has.
    pub outcome: Option<String>,
}

/// Why the journal did not do it.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Somebody else appended meanwhile.
    #[error("incident `{incident}` has {found} entries, {expected} were expected: another writer was there")]
    Conflict {
        /// The incident.
        incident: IncidentId,
        /// The version the writer had seen.
        expected: u32,
        /// The version there is.
        found: u32,
    },
    /// The chain does not hold.
    #[error("journal of `{incident}` does not hold, it was altered at entry {seq}: {problem}")]
    Broken {
        /// The incident.
        incident: String,
        /// The first entry that does not hold.
        seq: u32,
        /// What does not.
        problem: String,
    },
    /// An entry that cannot be written as canonical JSON.
    #[error("entry cannot be written as canonical JSON")]
    Canonical(#[source] serde_json::Error),
    /// The store itself.
    #[error("journal store {path} failed: {problem}")]
    Store {
        /// Where it is.
        path: String,
        /// What it says, and how to mend it where that is known.
        problem: String,
    },
}

/// Where journals are kept.
pub trait Journal: Send + Sync + std::fmt::Debug {
    /// Appends, if the incident has exactly `expected` entries. Returns the new number.
    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        expected: u32,
        drafts: Vec<Draft>,
    ) -> JournalFuture<'a, u32>;

    /// Shows that it can be written, by writing.
    fn touch(&self, now: Timestamp) -> JournalFuture<'_, ()>;

    /// All entries of an incident in order, with the chain verified.
    fn read<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Vec<Entry>>;

    /// Where an incident's chain ends, if there is one.
    fn head<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Option<Head>>;

    /// All incidents, newest first.
    fn heads(&self) -> JournalFuture<'_, Vec<Head>>;

    /// The newest incidents at a glance, newest first, however long their journals are.
    fn overview(&self, most: u32) -> JournalFuture<'_, Vec<Overview>>;

    /// Takes away whole incidents that were opened and reported before, `most` of them at a time,
    /// with evidence that nothing refers to any more. Returns how many.
    fn forget(&self, before: Timestamp, most: u32) -> JournalFuture<'_, u32>;

    /// Incidents that have begun and have no entry of kind `end` yet, oldest first.
    fn open<'a>(&'a self, end: &'a str) -> JournalFuture<'a, Vec<IncidentId>>;

    /// Keeps pieces of bytes beside the journal, each under its SHA-256, in one commit. The
    /// digests are returned in hex and in order.
    fn keep(&self, pieces: Vec<Vec<u8>>) -> JournalFuture<'_, Vec<String>>;

    /// The bytes of a digest, checked against it.
    fn kept<'a>(&'a self, digest: &'a str) -> JournalFuture<'a, Option<Vec<u8>>>;
}

/// SHA-256 in lower-case hex.
pub fn digest(bytes: &[u8]) -> String {
    hex::encode(Sha256::digest(bytes))
}

/// Checks the bytes of every piece of evidence that the entries refer to against its digest, and
/// returns how many there are.
pub async fn verify_evidence(journal: &dyn Journal, entries: &[Entry]) -> Result<usize, JournalError> {
    let text = |value: &Value, field: &str| value.get(field).and_then(Value::as_str).map(str::to_owned);
    let mut checked = std::collections::BTreeSet::new();
    for entry in entries {
        let listed = entry.body.pointer("/run/evidence").and_then(Value::as_array);
        let kept = (entry.kind == "evidence_kept").then_some(&entry.body);
        for piece in kept.into_iter().chain(listed.into_iter().flatten()) {
            let id = text(piece, "id").unwrap_or_default();
            let broken = |problem: &str| JournalError::Broken {
                incident: entry.incident.to_string(),
                seq: entry.seq,
                problem: format!("evidence {id} {problem}"),
            };
            let Some(sha256) = text(piece, "sha256") else { return Err(broken("has no digest")) };
            if checked.contains(&sha256) {
                continue;
            }
            match journal.kept(&sha256).await {
                Ok(Some(_)) => checked.insert(sha256),
                Ok(None) => return Err(broken("is missing from the store")),
                Err(JournalError::Broken { .. }) => {
                    return Err(broken("was altered: its bytes do not match their digest"));
                }
                Err(error) => return Err(error),
            };
        }
    }
    Ok(checked.len())
}

#[cfg(test)]
mod tests;
