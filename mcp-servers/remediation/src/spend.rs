//! What was spent: the durable record that makes a permit good for one act.
//!
//! INVARIANTS:
//! - a permit's intent is on disk before its act begins; a second one fails;
//! - the record only grows: intent, then at most one of done, failed, ambiguous. Each entry carries
//!   the digest of the one before it, and a record that does not add up is not opened;
//! - the store remembers the latest time it has seen and refuses to act at an earlier one, so that
//!   a clock set back makes no expired permit good;
//! - one process at a time, and only on the file it opened;
//! - what was begun and not finished when the process ended is ambiguous, never done again.

mod entry;
mod error;
mod place;

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use midwatch_policy::{Authorised, PermitId, ServiceName};
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use serde_json::json;

use entry::Entry;
pub use error::SpendError;
use place::Place;

/// How often may be acted, whatever permits say, and asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// On one service within an hour.
    pub per_service_and_hour: u32,
    /// Altogether within an hour.
    pub per_hour: u32,
    /// How often one caller may ask for approval within an hour, by calling without a permit.
    pub asks_per_caller_and_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_service_and_hour: 3, per_hour: 12, asks_per_caller_and_hour: 30 }
    }
}

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// AWS accepted it.
    Done,
    /// AWS refused it; nothing was changed.
    Failed,
    /// It was sent, and what became of it is not known.
    Ambiguous,
}

impl Ending {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// The store of spent permits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpendStore(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    connection: Mutex<Connection>,
    /// None in memory.
    place: Option<Place>,
}

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS entries (
        seq INTEGER PRIMARY KEY, permit TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('intent', 'done', 'failed', 'ambiguous')),
        service TEXT NOT NULL, at_ms INTEGER NOT NULL, body TEXT NOT NULL, digest TEXT NOT NULL) STRICT;
    CREATE UNIQUE INDEX IF NOT EXISTS one_intent ON entries (permit) WHERE state = 'intent';
    CREATE UNIQUE INDEX IF NOT EXISTS one_end ON entries (permit) WHERE state <> 'intent';
    CREATE INDEX IF NOT EXISTS entries_by_time ON entries (at_ms);
    CREATE TRIGGER IF NOT EXISTS never_rewritten BEFORE UPDATE ON entries
        BEGIN SELECT RAISE(ABORT, 'an entry is never rewritten'); END;
    CREATE TRIGGER IF NOT EXISTS never_removed BEFORE DELETE ON entries
        BEGIN SELECT RAISE(ABORT, 'an entry is never removed'); END;
    CREATE TABLE IF NOT EXISTS seen (only INTEGER PRIMARY KEY CHECK (only = 1), latest_ms INTEGER NOT NULL) STRICT;
    INSERT OR IGNORE INTO seen VALUES (1, 0);
    CREATE TABLE IF NOT EXISTS told (permit TEXT PRIMARY KEY) STRICT;
    CREATE TABLE IF NOT EXISTS named (only INTEGER PRIMARY KEY CHECK (only = 1), id TEXT NOT NULL) STRICT;
    INSERT OR IGNORE INTO named VALUES (1, lower(hex(randomblob(16))));
";

/// The mark of the latest time is written when it has moved by this much.
const MARK_MS: i64 = 1000;

impl SpendStore {
    /// Opens the store in a file and keeps it to itself.
    pub fn open(path: &Path) -> Result<Self, SpendError> {
        let place = Place::take(path)?;
        midwatch_mcp::private_store(path)?;
        let connection = Connection::open(path)?;
        // Set before anything else: a store in WAL mode under this lock belongs to one process.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(held)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        Self::begin(connection, Some(place))
    }

    /// A store that ends with the process. For the embedded world only: nothing there outlives it.
    pub fn in_memory() -> Result<Self, SpendError> {
        Self::begin(Connection::open_in_memory()?, None)
    }

    fn begin(mut connection: Connection, mut place: Option<Place>) -> Result<Self, SpendError> {
        connection.execute_batch(SCHEMA).map_err(held)?;
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(held)?;
        for Entry { permit, service, at_ms, .. } in entry::verified(&transaction)? {
            let detail = json!({ "detail": "the server ended while it acted" });
            let now_ms = seen(&transaction)?.max(at_ms);
            entry::append(&transaction, &permit, Ending::Ambiguous.as_str(), &service, now_ms, &detail)?;
            tracing::warn!(permit, service, "what was begun before is ambiguous: read the target");
        }
        transaction.commit()?;
        if let Some(place) = &mut place {
            place.remember()?;
        }
        Ok(Self(Arc::new(Inner { connection: Mutex::new(connection), place })))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.connection.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spends a permit. When this returns, the intent is on disk and the act may begin.
    pub fn spend(&self, authorised: &Authorised, now: Timestamp, limits: Limits) -> Result<(), SpendError> {
        let mut connection = self.lock();
        if let Some(place) = &self.0.place {
            place.unchanged()?;
        }
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (seen, now_ms) = (seen(&transaction)?, now.as_millisecond());
        if now_ms < seen {
            return Err(SpendError::Clock { now, seen: stamp(seen) });
        }
        let permit = authorised.permit().as_str();
        if let Some((at_ms, state)) = entry::of(&transaction, permit)? {
            return Err(SpendError::Spent { permit: permit.to_owned(), at: stamp(at_ms), state });
        }
        let service = authorised.action().service();
        within(limits, count(&transaction, Some(service), now)?, count(&transaction, None, now)?, service)?;
        let claims = authorised.claims();
        let body = json!({
            "request": claims.request, "incident": claims.incident, "subject": claims.subject,
            "action": authorised.action(), "claims": claims,
        });
        entry::append(&transaction, permit, "intent", service.as_str(), now_ms, &body)?;
        transaction.execute("UPDATE seen SET latest_ms = ?1", [now_ms])?;
        Ok(transaction.commit()?)
    }

    /// Records how the act of a spent permit ended. What has an end keeps it.
    pub fn finish(
        &self,
        permit: &str,
        ending: Ending,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), SpendError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let open = entry::of(&transaction, permit)?.filter(|(_, state)| state == "intent");
        let service: Option<String> = transaction
            .query_row(
                "SELECT service FROM entries WHERE permit = ?1 AND state = 'intent'",
                [permit],
                |row| row.get(0),
            )
            .optional()?;
        let (Some(_), Some(service)) = (open, service) else {
            tracing::warn!(
                permit,
                ?ending,
                detail,
                "a late end was not recorded: the act has one, or no intent"
            );
            return Ok(());
        };
        let body = json!({ "detail": detail });
        entry::append(&transaction, permit, ending.as_str(), &service, now.as_millisecond(), &body)?;
        Ok(transaction.commit()?)
    }

    /// Acts that have an end of which the desk has not heard: permit and end, oldest first. Beside the
    /// chain, since it is about the desk: what is lost of it is told once more.
    pub fn untold(&self) -> Result<Vec<(PermitId, String)>, SpendError> {
        let connection = self.lock();
        let mut find = connection.prepare_cached(
            "SELECT permit, state FROM entries
             WHERE state <> 'intent' AND permit NOT IN (SELECT permit FROM told) ORDER BY seq",
        )?;
        let rows = find.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?)))?;
        let rows = rows.collect::<Result<Vec<_>, _>>()?;
        Ok(rows
            .into_iter()
            .filter_map(|(permit, state)| Some((PermitId::parse(permit).ok()?, state)))
            .collect())
    }

    /// Notes that the desk has heard.
    pub fn told(&self, permit: &PermitId) -> Result<(), SpendError> {
        self.lock().execute("INSERT OR IGNORE INTO told VALUES (?1)", [permit.as_str()])?;
        Ok(())
    }

    /// Remembers a time as seen. Called for reads, too, so that the mark moves while nothing is done.
    pub fn see(&self, now: Timestamp) -> Result<(), SpendError> {
        let (connection, now_ms) = (self.lock(), now.as_millisecond());
        if now_ms >= seen(&connection)?.saturating_add(MARK_MS) {
            connection.execute("UPDATE seen SET latest_ms = ?1 WHERE latest_ms < ?1", [now_ms])?;
        }
        Ok(())
    }

    /// How often was acted within the last hour, on one service or altogether.
    pub fn acted(&self, service: Option<&ServiceName>, now: Timestamp) -> Result<u32, SpendError> {
        Ok(count(&self.lock(), service, now)?)
    }

    /// What tells this store from every other: the desk lets a permit be spent in one store only.
    pub fn id(&self) -> Result<String, SpendError> {
        Ok(self.lock().query_row("SELECT id FROM named", [], |row| row.get(0))?)
    }

    /// Whether the permit was never spent here; an error that says what became of it where it was.
    pub fn unspent(&self, permit: &PermitId) -> Result<(), SpendError> {
        match entry::of(&self.lock(), permit.as_str())? {
            Some((at_ms, state)) => {
                Err(SpendError::Spent { permit: permit.to_string(), at: stamp(at_ms), state })
            }
            None => Ok(()),
        }
    }

    /// What became of a permit: `intent`, `done`, `failed`, `ambiguous`, or nothing.
    pub fn state_of(&self, permit: &str) -> Result<Option<String>, SpendError> {
        Ok(entry::of(&self.lock(), permit)?.map(|(_, state)| state))
    }
}

fn seen(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("SELECT latest_ms FROM seen", [], |row| row.get(0))
}

fn within(limits: Limits, on_service: u32, altogether: u32, service: &ServiceName) -> Result<(), SpendError> {
    if on_service >= limits.per_service_and_hour {
        return Err(SpendError::Limit(format!(
            "`{service}` was changed {on_service} times within an hour; more does not help, a person has to look"
        )));
    }
    if altogether >= limits.per_hour {
        return Err(SpendError::Limit(format!(
            "{altogether} changes were made within an hour, which is the limit; a person has to look"
        )));
    }
    Ok(())
}

/// Acts that failed changed nothing and do not count.
fn count(
    connection: &Connection,
    service: Option<&ServiceName>,
    now: Timestamp,
) -> Result<u32, rusqlite::Error> {
    let hour = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN).as_millisecond();
    connection.query_row(
        "SELECT count(*) FROM entries AS begun
         WHERE state = 'intent' AND at_ms > ?1 AND (?2 IS NULL OR service = ?2)
           AND NOT EXISTS (SELECT 1 FROM entries WHERE permit = begun.permit AND state = 'failed')",
        params![hour, service.map(ServiceName::as_str)],
        |row| row.get(0),
    )
}

fn held(error: rusqlite::Error) -> SpendError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SpendError::Held(String::new()),
        _ => SpendError::Store(error),
    }
}

fn stamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
