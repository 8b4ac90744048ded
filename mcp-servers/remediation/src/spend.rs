//! What was spent: the durable record that makes a permit good for one act.
//!
//! INVARIANTS:
//! - a permit's id is inserted, durably, before its act begins; a second insert fails;
//! - the store remembers the latest time it has seen and refuses to act at an earlier one, so that
//!   a clock set back makes no expired permit good;
//! - one process at a time: the file stays locked for as long as it is open;
//! - what was begun and not finished when the process ended is ambiguous, never done again.

use std::{
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use midwatch_policy::{Authorised, ServiceName};
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;

/// How often may be acted, whatever permits say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// On one service within an hour.
    pub per_service_and_hour: u32,
    /// Altogether within an hour.
    pub per_hour: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { per_service_and_hour: 3, per_hour: 12 }
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
    #[error("another remediation server holds the store of spent permits")]
    Held,
    /// The store does not work.
    #[error("the store of spent permits does not work")]
    Store(#[from] rusqlite::Error),
}

/// The store of spent permits. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SpendStore(Arc<Mutex<Connection>>);

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS spent (
        permit TEXT PRIMARY KEY, request TEXT NOT NULL, incident TEXT NOT NULL, subject TEXT NOT NULL,
        service TEXT NOT NULL, action TEXT NOT NULL, claims TEXT NOT NULL,
        spent_ms INTEGER NOT NULL, state TEXT NOT NULL, ended_ms INTEGER, detail TEXT) STRICT;
    CREATE INDEX IF NOT EXISTS spent_by_time ON spent (spent_ms);
    CREATE TABLE IF NOT EXISTS seen (only INTEGER PRIMARY KEY CHECK (only = 1), latest_ms INTEGER NOT NULL) STRICT;
    INSERT OR IGNORE INTO seen VALUES (1, 0);
    UPDATE spent SET state = 'ambiguous', detail = 'the server ended while it acted' WHERE state = 'intent';
";

impl SpendStore {
    /// Opens the store in a file and keeps it to itself.
    pub fn open(path: &Path) -> Result<Self, SpendError> {
        let connection = Connection::open(path)?;
        // Set before anything else: a store in WAL mode under this lock belongs to one process.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(held)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.execute_batch(SCHEMA).map_err(held)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    /// A store that ends with the process. For the embedded world only: nothing there outlives it.
    pub fn in_memory() -> Result<Self, SpendError> {
        let connection = Connection::open_in_memory()?;
        connection.execute_batch(SCHEMA)?;
        Ok(Self(Arc::new(Mutex::new(connection))))
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Spends a permit. When this returns, the intent is on disk and the act may begin.
    pub fn spend(&self, authorised: &Authorised, now: Timestamp, limits: Limits) -> Result<(), SpendError> {
        let mut connection = self.lock();
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let seen: i64 = transaction.query_row("SELECT latest_ms FROM seen", [], |row| row.get(0))?;
        let now_ms = now.as_millisecond();
        if now_ms < seen {
            return Err(SpendError::Clock { now, seen: stamp(seen) });
        }
        let permit = authorised.permit().as_str();
        let before = transaction
            .query_row("SELECT spent_ms, state FROM spent WHERE permit = ?1", [permit], |row| {
                Ok(SpendError::Spent {
                    permit: permit.to_owned(),
                    at: stamp(row.get(0)?),
                    state: row.get(1)?,
                })
            })
            .optional()?;
        if let Some(spent) = before {
            return Err(spent);
        }
        let service = authorised.action().service();
        within(limits, count(&transaction, Some(service), now)?, count(&transaction, None, now)?, service)?;
        let claims = authorised.claims();
        transaction.execute(
            "INSERT INTO spent (permit, request, incident, subject, service, action, claims, spent_ms, state)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 'intent')",
            params![
                permit,
                claims.request.as_str(),
                claims.incident.as_str(),
                claims.subject,
                service.as_str(),
                json(authorised.action()),
                json(claims),
                now_ms,
            ],
        )?;
        transaction.execute("UPDATE seen SET latest_ms = ?1", [now_ms])?;
        Ok(transaction.commit()?)
    }

    /// Records how the act of a spent permit ended.
    pub fn finish(
        &self,
        permit: &str,
        ending: Ending,
        detail: &str,
        now: Timestamp,
    ) -> Result<(), SpendError> {
        self.lock().execute(
            "UPDATE spent SET state = ?2, detail = ?3, ended_ms = ?4 WHERE permit = ?1 AND state = 'intent'",
            params![permit, ending.as_str(), detail, now.as_millisecond()],
        )?;
        Ok(())
    }

    /// Remembers a time as seen. Called for reads, too, so that the mark moves while nothing is done.
    pub fn see(&self, now: Timestamp) -> Result<(), SpendError> {
        let now_ms = now.as_millisecond();
        self.lock().execute("UPDATE seen SET latest_ms = ?1 WHERE latest_ms < ?1", [now_ms])?;
        Ok(())
    }

    /// How often was acted within the last hour, on one service or altogether.
    pub fn acted(&self, service: Option<&ServiceName>, now: Timestamp) -> Result<u32, SpendError> {
        Ok(count(&self.lock(), service, now)?)
    }

    /// What became of a permit: `intent`, `done`, `failed`, `ambiguous`, or nothing.
    pub fn state_of(&self, permit: &str) -> Result<Option<String>, SpendError> {
        let find = "SELECT state FROM spent WHERE permit = ?1";
        Ok(self.lock().query_row(find, [permit], |row| row.get(0)).optional()?)
    }
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
        "SELECT count(*) FROM spent WHERE spent_ms > ?1 AND state <> 'failed' AND (?2 IS NULL OR service = ?2)",
        params![hour, service.map(ServiceName::as_str)],
        |row| row.get(0),
    )
}

fn held(error: rusqlite::Error) -> SpendError {
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => SpendError::Held,
        _ => SpendError::Store(error),
    }
}

fn stamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::MAX)
}

/// For the record only; what cannot be written is recorded as that.
fn json<T: Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| format!("unwritable: {error}"))
}

#[cfg(test)]
mod tests;
