//! Rows of the inbox, as SQLite keeps them.

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Connection, Row as SqlRow, params, params_from_iter};

use crate::intake::board::Decision;

use super::{Noted, Open, Row};

pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Row(i64, String),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

const COLUMNS: &str = "seq, at, source, message, ruling";
/// Incidents that were opened and have not ended.
const UNFINISHED: &str = "SELECT incident FROM intake o WHERE kind = 'opened' AND NOT EXISTS
    (SELECT 1 FROM intake f WHERE f.incident = o.incident AND f.kind = 'finished')";

pub(super) fn insert(connection: &Connection, row: &Row) -> Result<(), Failure> {
    let (kind, incident) = match &row.noted {
        Noted::Alarm { ruling, .. } => (ruling.decision.kind(), ruling.decision.incident()),
        Noted::Finished { incident, .. } => ("finished", Some(incident)),
    };
    let ruling = serde_json::to_string(&row.noted).map_err(|error| Failure::Row(0, error.to_string()))?;
    connection
        .prepare_cached(
            "INSERT INTO intake (at, source, message, kind, incident, ruling) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            row.at.as_millisecond(),
            row.source,
            row.message,
            kind,
            incident.map(IncidentId::as_str),
            ruling
        ])?;
    Ok(())
}

pub(super) fn since(connection: &Connection, since: Timestamp) -> Result<Vec<Row>, Failure> {
    let sql =
        format!("SELECT {COLUMNS} FROM intake WHERE at >= ?1 OR incident IN ({UNFINISHED}) ORDER BY seq");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query([since.as_millisecond()]).map_err(Failure::from).and_then(all)
}

pub(super) fn of_incident(connection: &Connection, incident: &IncidentId) -> Result<Vec<Row>, Failure> {
    let sql = format!("SELECT {COLUMNS} FROM intake WHERE incident = ?1 ORDER BY seq");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query([incident.as_str()]).map_err(Failure::from).and_then(all)
}

pub(super) fn newest(connection: &Connection, kinds: &[&str], most: u32) -> Result<Vec<Row>, Failure> {
    let marks = vec!["?"; kinds.len()].join(", ");
    let sql = format!("SELECT {COLUMNS} FROM intake WHERE kind IN ({marks}) ORDER BY seq DESC LIMIT {most}");
    let mut statement = connection.prepare(&sql)?;
    statement.query(params_from_iter(kinds)).map_err(Failure::from).and_then(all)
}

pub(super) fn unfinished(connection: &Connection) -> Result<Vec<Open>, Failure> {
    let sql = format!(
        "SELECT {COLUMNS} FROM intake WHERE kind = 'opened' AND incident IN ({UNFINISHED}) ORDER BY seq"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query([]).map_err(Failure::from).and_then(all)?;
    let open = rows.into_iter().filter_map(|row| match row.noted {
        Noted::Alarm { alarm, ruling } => match ruling.decision {
            Decision::Opened { incident, salt, .. } => {
                Some(Open { incident, alarm: *alarm, salt, at: row.at })
            }
            _ => None,
        },
        Noted::Finished { .. } => None,
    });
    Ok(open.collect())
}

pub(super) fn forget(connection: &Connection, before: Timestamp) -> Result<usize, Failure> {
    let sql =
        format!("DELETE FROM intake WHERE at < ?1 AND (incident IS NULL OR incident NOT IN ({UNFINISHED}))");
    Ok(connection.execute(&sql, [before.as_millisecond()])?)
}

fn all(mut rows: rusqlite::Rows<'_>) -> Result<Vec<Row>, Failure> {
    let mut read = Vec::new();
    while let Some(row) = rows.next()? {
        read.push(one(row)?);
    }
    Ok(read)
}

fn one(row: &SqlRow<'_>) -> Result<Row, Failure> {
    let seq: i64 = row.get(0)?;
    let broken = |problem: String| Failure::Row(seq, problem);
    let at = Timestamp::from_millisecond(row.get(1)?).map_err(|error| broken(error.to_string()))?;
    let ruling: String = row.get(4)?;
    let noted = serde_json::from_str(&ruling).map_err(|error| broken(error.to_string()))?;
    Ok(Row { at, source: row.get(2)?, message: row.get(3)?, noted })
}
