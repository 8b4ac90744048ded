//! The entries of the record, each bound to the one before it.
//!
//! The chain shows an altered or shortened middle, not a copy of an earlier whole: that is what the
//! desk is asked for (`PermitSource::stands`).

use std::collections::BTreeMap;

use midwatch_policy::Digest;
use rusqlite::{Connection, OptionalExtension, params};
use serde::Serialize;
use serde_json::Value;

use super::SpendError;

/// One entry.
#[derive(Debug)]
pub(super) struct Entry {
    seq: i64,
    pub(super) permit: String,
    state: String,
    pub(super) service: String,
    pub(super) at_ms: i64,
    body: String,
    digest: String,
}

/// What an entry's digest is of.
#[derive(Serialize)]
struct Bound<'a> {
    before: &'a str,
    seq: i64,
    permit: &'a str,
    state: &'a str,
    service: &'a str,
    /// As text: a number of milliseconds may be beyond what canonical JSON holds exactly.
    at: String,
    body: &'a str,
}

impl Entry {
    fn sealed(&self, before: &str) -> Result<String, SpendError> {
        let Self { seq, permit, state, service, at_ms, body, .. } = self;
        let bound = Bound { before, seq: *seq, permit, state, service, at: at_ms.to_string(), body };
        Ok(Digest::of_json(&bound).map_err(|_| SpendError::Altered(*seq))?.to_string())
    }
}

/// Adds an entry after the last one.
pub(super) fn append(
    connection: &Connection,
    permit: &str,
    state: &str,
    service: &str,
    at_ms: i64,
    body: &Value,
) -> Result<(), SpendError> {
    let last: Option<(i64, String)> = connection
        .query_row("SELECT seq, digest FROM entries ORDER BY seq DESC LIMIT 1", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })
        .optional()?;
    let (seq, before) = last.map_or((1, String::new()), |(seq, digest)| (seq + 1, digest));
    let mut entry = Entry {
        seq,
        permit: permit.to_owned(),
        state: state.to_owned(),
        service: service.to_owned(),
        at_ms,
        body: body.to_string(),
        digest: String::new(),
    };
    entry.digest = entry.sealed(&before)?;
    let Entry { seq, permit, state, service, at_ms, body, digest } = entry;
    connection.execute(
        "INSERT INTO entries (seq, permit, state, service, at_ms, body, digest) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        params![seq, permit, state, service, at_ms, body, digest],
    )?;
    Ok(())
}

/// When a permit was spent, and what has become of it since.
pub(super) fn of(connection: &Connection, permit: &str) -> Result<Option<(i64, String)>, rusqlite::Error> {
    connection
        .query_row(
            "SELECT min(at_ms), (SELECT state FROM entries WHERE permit = ?1 ORDER BY seq DESC LIMIT 1)
             FROM entries WHERE permit = ?1 HAVING count(*) > 0",
            [permit],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
}

/// Checks every entry; gives the intents that have no end.
pub(super) fn verified(connection: &Connection) -> Result<Vec<Entry>, SpendError> {
    let mut find = connection
        .prepare("SELECT seq, permit, state, service, at_ms, body, digest FROM entries ORDER BY seq")?;
    let mut rows = find.query([])?;
    let (mut before, mut next) = (String::new(), 1);
    let mut open: BTreeMap<String, Entry> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let entry = Entry {
            seq: row.get(0)?,
            permit: row.get(1)?,
            state: row.get(2)?,
            service: row.get(3)?,
            at_ms: row.get(4)?,
            body: row.get(5)?,
            digest: row.get(6)?,
        };
        let begins = entry.state == "intent";
        let known = open.remove(&entry.permit).is_some();
        if entry.seq != next || begins == known || entry.digest != entry.sealed(&before)? {
            return Err(SpendError::Altered(entry.seq));
        }
        (before, next) = (entry.digest.clone(), next + 1);
        if begins {
            open.insert(entry.permit.clone(), entry);
        }
    }
    Ok(open.into_values().collect())
}
