//! Rows, read and written.

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::Failure;
use crate::journal::{
    Draft, Entry, Head, JournalError,
    chain::{Chain, GENESIS, Link, canonical},
    digest,
};

pub(super) fn head_of(
    connection: &Connection,
    incident: &IncidentId,
) -> Result<Option<Head>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT entries, hash FROM heads WHERE incident = ?1")?
        .query_row([incident.as_str()], |row| {
            Ok(Head { incident: incident.clone(), entries: row.get(0)?, hash: row.get(1)? })
        })
        .optional()
}

pub(super) fn append(
    connection: &Connection,
    incident: &IncidentId,
    expected: u32,
    drafts: Vec<Draft>,
) -> Result<u32, Failure> {
    let head = head_of(connection, incident)?;
    let (mut version, mut prev) = head.map_or((0, GENESIS.to_owned()), |h| (h.entries, h.hash));
    if version != expected {
        let incident = incident.clone();
        return Err(JournalError::Conflict { incident, expected, found: version }.into());
    }
    let mut opened = None;
    for draft in drafts {
        version += 1;
        let Draft { at, kind, body } = draft;
        let body = canonical(&body)?;
        let link = Link { incident, seq: version, at, kind: &kind, body: &body, prev: &prev };
        let hash = link.hash()?;
        let at = at.to_string();
        connection
            .prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?
            .execute(params![incident.as_str(), version, at, kind, body, prev, hash])?;
        opened.get_or_insert(at);
        prev = hash;
    }
    connection
        .prepare_cached(
            "INSERT INTO heads VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (incident) DO UPDATE SET entries = ?2, hash = ?3",
        )?
        .execute(params![incident.as_str(), version, prev, opened])?;
    Ok(version)
}

pub(super) fn touch(connection: &Connection, now: Timestamp) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO pulse VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET at = ?1";
    connection.prepare_cached(sql)?.execute([now.to_string()]).map(drop)
}

pub(super) fn keep(connection: &Connection, pieces: Vec<Vec<u8>>) -> Result<Vec<String>, Failure> {
    let mut digests = Vec::with_capacity(pieces.len());
    for bytes in pieces {
        let digest = digest(&bytes);
        connection
            .prepare_cached(
                // When it was kept, by SQLite's clock: it is only held against that clock again.
                "INSERT INTO blobs (digest, bytes, at) VALUES (?1, ?2, unixepoch())
                 ON CONFLICT (digest) DO UPDATE SET at = unixepoch() WHERE at < unixepoch() - 43200",
            )?
            .execute(params![digest, bytes])?;
        digests.push(digest);
    }
    Ok(digests)
}

pub(super) fn read(connection: &Connection, incident: &IncidentId) -> Result<Vec<Entry>, Failure> {
    // Entries and head from one moment, whoever appends meanwhile.
    let _snapshot = connection.unchecked_transaction()?;
    let mut statement = connection.prepare_cached(
        "SELECT seq, at, kind, body, prev, hash FROM entries WHERE incident = ?1 ORDER BY seq",
    )?;
    let rows = statement.query_map([incident.as_str()], |row| {
        Ok((
            row.get(0)?,
            row.get::<_, String>(1)?,
            row.get(2)?,
            row.get::<_, String>(3)?,
            row.get(4)?,
            row.get(5)?,
        ))
    })?;
    let head = head_of(connection, incident)?;
    let mut chain = head.as_ref().map(Chain::to);
    let mut entries = Vec::new();
    for row in rows {
        let (seq, at, kind, text, prev, hash) = row?;
        let broken = |problem: &str| JournalError::Broken {
            incident: incident.to_string(),
            seq,
            problem: problem.to_owned(),
        };
        let at: jiff::Timestamp = at
            .parse()
            .ok()
            .filter(|parsed: &jiff::Timestamp| parsed.to_string() == at)
            .ok_or_else(|| broken("its time is not as it was written"))?;
        let body: serde_json::Value =
            serde_json::from_str(&text).map_err(|_| broken("its body is not JSON"))?;
        if canonical(&body)? != text {
            return Err(broken("its body is not as it was written").into());
        }
        let entry = Entry { incident: incident.clone(), seq, at, kind, body, prev, hash };
        let Some(chain) = &mut chain else { return Err(broken("its head is missing").into()) };
        chain.follow(&entry, &text)?;
        entries.push(entry);
    }
    chain.map_or(Ok(()), Chain::end)?;
    Ok(entries)
}
