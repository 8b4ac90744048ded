//! The chain: what the hash of an entry is of, and whether entries follow one another.

use midwatch_policy::{IncidentId, Timestamp};
use serde::Serialize;
use serde_json::Value;

use super::{Entry, Head, JournalError, digest};

/// `prev` of the first entry.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";
/// Version of the entry's form, part of what is hashed.
const FORM: u32 = 1;

/// Canonical JSON (RFC 8785).
pub(super) fn canonical<T: Serialize>(value: &T) -> Result<String, JournalError> {
    serde_json_canonicalizer::to_string(value).map_err(JournalError::Canonical)
}

/// What is hashed of an entry.
pub(super) struct Link<'a> {
    pub(super) incident: &'a IncidentId,
    pub(super) seq: u32,
    pub(super) at: Timestamp,
    pub(super) kind: &'a str,
    /// The body in canonical JSON, as it is stored. What that cannot tell apart (integers past
    /// 2^53, -0) does not enter the hash.
    pub(super) body: &'a str,
    /// Hash of the entry before it.
    pub(super) prev: &'a str,
}

impl Link<'_> {
    /// SHA-256 of the canonical JSON of all this. It is put together from parts that are canonical,
    /// in the order of RFC 8785, so that a long body is not brought into that form again.
    pub(super) fn hash(&self) -> Result<String, JournalError> {
        let Self { incident, seq, at, kind, body, prev } = self;
        // Of a text, serde_json's form is the canonical one.
        let kind = serde_json::to_string(kind).map_err(JournalError::Canonical)?;
        let whole = format!(
            r#"{{"at":"{at}","body":{body},"form":{FORM},"incident":"{incident}","kind":{kind},"prev":"{prev}","seq":{seq}}}"#
        );
        Ok(digest(whole.as_bytes()))
    }
}

/// A chain that is checked from its first entry to its head.
pub(super) struct Chain<'a> {
    head: &'a Head,
    prev: String,
    /// Position of the next entry.
    next: u32,
}

impl<'a> Chain<'a> {
    pub(super) fn to(head: &'a Head) -> Self {
        Self { head, prev: GENESIS.to_owned(), next: 1 }
    }

    /// Goes on to an entry; `body` is its body in canonical JSON.
    pub(super) fn follow(&mut self, entry: &Entry, body: &str) -> Result<(), JournalError> {
        if entry.seq != self.next || entry.incident != self.head.incident {
            return Err(self.broken("an entry is missing or belongs elsewhere"));
        }
        let Entry { incident, seq, at, kind, .. } = entry;
        let link = Link { incident, seq: *seq, at: *at, kind, body, prev: &self.prev };
        let hash = link.hash()?;
        if entry.prev != self.prev || entry.hash != hash {
            return Err(self.broken("its hash does not match its content"));
        }
        self.prev = hash;
        self.next += 1;
        Ok(())
    }

    /// Whether that was all.
    pub(super) fn end(self) -> Result<(), JournalError> {
        if self.next != self.head.entries.saturating_add(1) || self.prev != self.head.hash {
            return Err(self.broken("entries are missing at the end"));
        }
        Ok(())
    }

    fn broken(&self, problem: &str) -> JournalError {
        let incident = self.head.incident.to_string();
        JournalError::Broken { incident, seq: self.next, problem: problem.to_owned() }
    }
}

/// Checks a whole chain, from its first entry to its head.
pub fn verify(entries: &[Entry], head: &Head) -> Result<(), JournalError> {
    let mut chain = Chain::to(head);
    for entry in entries {
        let body = canonical(&entry.body)?;
        // A body that is not as it was stored may have the same canonical form.
        if serde_json::from_str::<Value>(&body).ok().as_ref() != Some(&entry.body) {
            return Err(chain.broken("its hash does not match its content"));
        }
        chain.follow(entry, &body)?;
    }
    chain.end()
}
