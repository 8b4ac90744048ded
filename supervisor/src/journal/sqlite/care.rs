//! Care of the store: what is in it at a glance, and what is old enough to go.

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Connection, params};

use super::Failure;
use crate::journal::{Head, JournalError, Overview};

/// One query for all of them: an entry or two of each, and not its whole journal.
const OVERVIEW: &str = "
    SELECT h.incident, h.entries, h.hash, h.opened,
        json_extract(o.body, '$.alarm.name'), json_extract(o.body, '$.service'),
        (SELECT json_extract(r.body, '$.run.outcome') FROM entries r
            WHERE r.kind = 'reported' AND r.incident = h.incident ORDER BY r.seq DESC LIMIT 1)
    FROM heads h LEFT JOIN entries o ON o.incident = h.incident AND o.seq = 1
    ORDER BY h.opened DESC, h.incident LIMIT ?1";

pub(super) fn overview(connection: &Connection, most: u32) -> Result<Vec<Overview>, Failure> {
    let mut statement = connection.prepare_cached(OVERVIEW)?;
    let mut rows = statement.query([most])?;
    let mut all = Vec::new();
    while let Some(row) = rows.next()? {
        let (incident, opened): (String, String) = (row.get(0)?, row.get(3)?);
        let broken = |problem: String| JournalError::Broken { incident: incident.clone(), seq: 1, problem };
        all.push(Overview {
            head: Head {
                incident: IncidentId::parse(incident.clone()).map_err(|error| broken(error.to_string()))?,
                entries: row.get(1)?,
                hash: row.get(2)?,
            },
            opened: opened.parse().map_err(|error: jiff::Error| broken(error.to_string()))?,
            alarm: row.get(4)?,
            service: row.get(5)?,
            outcome: row.get(6)?,
        });
    }
    Ok(all)
}

/// Takes away incidents that ended before, all of each or nothing, and evidence that no other
/// incident refers to. Bytes that were kept lately stay: the entry that refers to them may be on
/// its way.
pub(super) fn forget(connection: &Connection, before: Timestamp, most: u32) -> Result<u32, rusqlite::Error> {
    let before = before.to_string();
    let old = connection
        .prepare_cached(
            "SELECT incident FROM heads WHERE opened < ?1 AND EXISTS (SELECT 1 FROM entries
                 WHERE kind = 'reported' AND entries.incident = heads.incident AND at < ?1)
                 AND NOT EXISTS (SELECT 1 FROM entries
                     WHERE kind = 'reopened' AND entries.incident = heads.incident AND at >= ?1)
             ORDER BY opened LIMIT ?2",
        )?
        .query_map(params![before, most], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<String>, _>>()?;
    for incident in &old {
        let digests = connection
            .prepare_cached(
                "SELECT DISTINCT json_extract(body, '$.sha256') FROM entries
                 WHERE incident = ?1 AND kind = 'evidence_kept'",
            )?
            .query_map([incident], |row| row.get::<_, Option<String>>(0))?
            .collect::<Result<Vec<Option<String>>, _>>()?;
        connection.prepare_cached("DELETE FROM entries WHERE incident = ?1")?.execute([incident])?;
        connection.prepare_cached("DELETE FROM heads WHERE incident = ?1")?.execute([incident])?;
        for digest in digests.iter().flatten() {
            connection
                .prepare_cached(
                    "DELETE FROM blobs WHERE digest = ?1 AND at < unixepoch() - 86400
                     AND NOT EXISTS (SELECT 1 FROM entries
                         WHERE kind = 'evidence_kept' AND json_extract(body, '$.sha256') = ?1)",
                )?
                .execute([digest])?;
        }
    }
    Ok(u32::try_from(old.len()).unwrap_or(u32::MAX))
}
