//! Rows of the inbox, as SQLite keeps them.

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Row as SqlRow, params, params_from_iter};

use crate::intake::board::Decision;

use super::{Heard, Noted, Open, Row, Said};

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
/// Incidents that were opened and have not ended, or not since they last went on after their end.
const UNFINISHED: &str = "SELECT incident FROM intake o WHERE kind = 'opened' AND NOT EXISTS
    (SELECT 1 FROM intake f WHERE f.incident = o.incident AND f.kind = 'finished' AND f.seq > coalesce(
        (SELECT max(seq) FROM intake r WHERE r.incident = o.incident AND r.kind = 'reopened'), 0))";

pub(super) fn insert(connection: &Connection, row: &Row) -> Result<(), Failure> {
    let (kind, incident) = match &row.noted {
        Noted::Alarm { ruling, .. } => (ruling.decision.kind(), ruling.decision.incident()),
        Noted::Finished { incident, .. } => ("finished", Some(incident)),
        Noted::Reopened { incident, .. } => ("reopened", Some(incident)),
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

pub(super) fn touch(connection: &Connection, now: Timestamp) -> Result<(), rusqlite::Error> {
    let sql = "INSERT INTO pulse VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET at = ?1";
    connection.prepare_cached(sql)?.execute([now.as_millisecond()]).map(drop)
}

pub(super) fn touched(connection: &Connection) -> Result<Option<Timestamp>, Failure> {
    let at: Option<i64> = connection.query_row("SELECT at FROM pulse", [], |row| row.get(0)).optional()?;
    at.map(Timestamp::from_millisecond).transpose().map_err(|error| Failure::Row(0, error.to_string()))
}

pub(super) fn since(connection: &Connection, since: Timestamp) -> Result<Vec<Row>, Failure> {
    // What is of no incident may be held back for weeks.
    let sql = format!(
        "SELECT {COLUMNS} FROM intake WHERE at >= ?1 OR incident IN ({UNFINISHED}) OR kind IN ('suppressed', 'noted') \
         ORDER BY seq"
    );
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
        "SELECT {COLUMNS} FROM intake WHERE kind IN ('opened', 'reopened') AND incident IN ({UNFINISHED}) \
         ORDER BY seq"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let rows = statement.query([]).map_err(Failure::from).and_then(all)?;
    let mut unfinished: Vec<Open> = Vec::new();
    for row in rows {
        match row.noted {
            Noted::Alarm { alarm, ruling } => {
                if let Decision::Opened { incident, salt, .. } = ruling.decision {
                    unfinished.push(Open { incident, alarm: *alarm, salt, at: row.at });
                }
            }
            Noted::Reopened { incident, .. } => {
                if let Some(open) = unfinished.iter_mut().find(|open| open.incident == incident) {
                    open.at = row.at;
                }
            }
            Noted::Finished { .. } => {}
        }
    }
    Ok(unfinished)
}

pub(super) fn forget(connection: &Connection, before: Timestamp, now: Timestamp) -> Result<usize, Failure> {
    // What is silenced for longer than rows are kept is looked at when the silence is over.
    let sql = format!(
        "DELETE FROM intake WHERE at < ?1 AND (incident IS NULL OR incident NOT IN ({UNFINISHED})) AND NOT \
         (kind = 'suppressed' AND coalesce(json_extract(ruling, '$.ruling.until'), '') > ?2)"
    );
    connection.execute("DELETE FROM said WHERE journaled = 1 AND at < ?1", [before.as_millisecond()])?;
    Ok(connection.execute(&sql, params![before.as_millisecond(), now.to_string()])?)
}

pub(super) fn say(
    connection: &Connection,
    incident: &IncidentId,
    said: &Said,
    now: Timestamp,
) -> Result<(), Failure> {
    let said = serde_json::to_string(said).map_err(|error| Failure::Row(0, error.to_string()))?;
    connection
        .prepare_cached("INSERT INTO said (at, incident, said) VALUES (?1, ?2, ?3)")?
        .execute(params![now.as_millisecond(), incident.as_str(), said])?;
    Ok(())
}

pub(super) fn unheard(connection: &Connection, most: usize) -> Result<Vec<Heard>, Failure> {
    let sql = "SELECT seq, incident, said FROM said WHERE journaled = 0 ORDER BY seq LIMIT ?1";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([i64::try_from(most).unwrap_or(i64::MAX)])?;
    let mut heard = Vec::new();
    while let Some(row) = rows.next()? {
        let seq: i64 = row.get(0)?;
        let (incident, said): (String, String) = (row.get(1)?, row.get(2)?);
        let incident = IncidentId::parse(incident).map_err(|error| Failure::Row(seq, error.to_string()))?;
        let said = serde_json::from_str(&said).map_err(|error| Failure::Row(seq, error.to_string()))?;
        heard.push(Heard { seq, incident, said });
    }
    Ok(heard)
}

pub(super) fn heard(connection: &Connection, seq: i64) -> Result<(), rusqlite::Error> {
    connection.prepare_cached("UPDATE said SET journaled = 1 WHERE seq = ?1")?.execute([seq]).map(drop)
}

pub(super) fn ended_among(
    connection: &Connection,
    incidents: Vec<IncidentId>,
) -> Result<Vec<IncidentId>, rusqlite::Error> {
    let sql =
        "SELECT EXISTS (SELECT 1 FROM intake WHERE incident = ?1 AND kind = 'finished' AND seq > coalesce(
        (SELECT max(seq) FROM intake WHERE incident = ?1 AND kind = 'reopened'), 0))";
    let mut statement = connection.prepare_cached(sql)?;
    let mut ended = Vec::new();
    for incident in incidents {
        if statement.query_row([incident.as_str()], |row| row.get(0))? {
            ended.push(incident);
        }
    }
    Ok(ended)
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
