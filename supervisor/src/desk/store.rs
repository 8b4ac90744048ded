//! The desk's store: requests, permits on their way, holds and seals, in one SQLite file.
//!
//! INVARIANTS:
//! - whatever is answered or handed out was committed before, synced to disk;
//! - one process has the file; a second one is refused;
//! - a signed token lies here only until it was used, voided or ran out;
//! - time does not go back: the latest time seen is kept, and an earlier clock is refused.

mod rows;

use std::{
    cell::Cell,
    path::Path,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use midwatch_policy::Timestamp;
use rusqlite::{Connection, ErrorCode, OpenFlags, Transaction, TransactionBehavior};

use super::error::{DeskError, Trouble};
pub(super) use rows::Record;

const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS requests (
        seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, filed_ms INTEGER NOT NULL,
        expires_ms INTEGER NOT NULL, incident TEXT NOT NULL, subject TEXT NOT NULL, asker TEXT NOT NULL,
        audience TEXT NOT NULL, service TEXT NOT NULL, action TEXT NOT NULL, state TEXT NOT NULL,
        permit TEXT UNIQUE, until_ms INTEGER, record TEXT NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS requests_by_state ON requests (state);
    CREATE INDEX IF NOT EXISTS requests_by_incident ON requests (incident);
    CREATE INDEX IF NOT EXISTS requests_by_action ON requests (subject, action);
    CREATE INDEX IF NOT EXISTS requests_by_time ON requests (filed_ms);
    CREATE TABLE IF NOT EXISTS tokens (permit TEXT PRIMARY KEY, token TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS holds (incident TEXT PRIMARY KEY, hold TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS seals (
        incident TEXT PRIMARY KEY, asker TEXT NOT NULL, entries INTEGER NOT NULL, head TEXT NOT NULL,
        signature TEXT NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS seen (only INTEGER PRIMARY KEY CHECK (only = 1), latest_ms INTEGER NOT NULL) STRICT;
    INSERT OR IGNORE INTO seen VALUES (1, 0);
    PRAGMA user_version = 1;
";
const SCHEMA_VERSION: i64 = 1;
/// How long a desk that is just ending is waited for.
const BUSY: Duration = Duration::from_secs(1);
/// How far the clock may be behind what was seen before: clocks are corrected by a little.
const SLACK_MS: i64 = 5_000;

/// The store.
#[derive(Debug)]
pub(super) struct Store(Mutex<Connection>);

/// One transaction: the time it happens at, and what can be read and written in it.
pub(super) struct Tx<'a> {
    inner: Transaction<'a>,
    now: Timestamp,
    wiped: Cell<bool>,
}

/// Why the store cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another desk has it.
    #[error("another desk holds `{0}`: stop it first, or give this one a directory of its own")]
    Held(String),
    /// A newer desk wrote it.
    #[error("`{path}` was written by a newer midwatch (schema {found}, known {SCHEMA_VERSION})")]
    Newer {
        /// The file.
        path: String,
        /// Its version.
        found: i64,
    },
    /// Everybody can write it.
    #[error(transparent)]
    Exposed(#[from] midwatch_mcp::Exposed),
    /// It does not open.
    #[error("the desk's store `{path}` cannot be opened: make its directory writable for this user only")]
    Open {
        /// The file.
        path: String,
        /// Why.
        source: rusqlite::Error,
    },
}

impl Store {
    /// Opens or creates the store, and keeps it to this process.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let name = path.display().to_string();
        let open = |source: rusqlite::Error| match source.sqlite_error_code() {
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Held(name.clone()),
            _ => StoreError::Open { path: name.clone(), source },
        };
        midwatch_mcp::private_store(path)?;
        let connection = Connection::open(path).map_err(open)?;
        connection.busy_timeout(BUSY).map_err(open)?;
        // Before anything else: in WAL mode under this lock the file belongs to one process.
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE").map_err(open)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(open)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(open)?;
        // What is wiped is overwritten, not only unlinked.
        connection.pragma_update_and_check(None, "secure_delete", "ON", |_| Ok(())).map_err(open)?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(open)?;
        if found > SCHEMA_VERSION {
            return Err(StoreError::Newer { path: name, found });
        }
        connection.execute_batch(&format!("BEGIN IMMEDIATE;{SCHEMA}COMMIT;")).map_err(open)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// A store that ends with this value: for the embedded world, which nothing outlives.
    pub(super) fn in_memory() -> Result<Self, StoreError> {
        let open = |source| StoreError::Open { path: "in memory".to_owned(), source };
        let connection = Connection::open_in_memory_with_flags(OpenFlags::default()).map_err(open)?;
        connection.execute_batch(SCHEMA).map_err(open)?;
        Ok(Self(Mutex::new(connection)))
    }

    /// Reads and writes in one transaction. Nothing of it stays if `work` fails; everything of it
    /// is on disk when this returns.
    ///
    /// A commit takes a few milliseconds and is made where it is called: the desk answers a
    /// handful of people.
    pub(super) fn write<T>(
        &self,
        clock_says: Timestamp,
        work: impl FnOnce(&Tx<'_>) -> Result<T, DeskError>,
    ) -> Result<T, DeskError> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let now = latest(&inner, clock_says)?;
        inner.execute("UPDATE seen SET latest_ms = max(latest_ms, ?1)", [now.as_millisecond()])?;
        let tx = Tx { inner, now, wiped: Cell::new(false) };
        let done = work(&tx)?;
        let wiped = tx.wiped.get();
        tx.commit()?;
        if wiped {
            // What was wiped is wiped from the log of writes as well; if not now, with the next.
            let _ = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        }
        Ok(done)
    }

    /// Reads, at one moment.
    pub(super) fn read<T>(
        &self,
        clock_says: Timestamp,
        work: impl FnOnce(&Tx<'_>) -> Result<T, DeskError>,
    ) -> Result<T, DeskError> {
        let mut connection = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let inner = connection.transaction()?;
        let now = latest(&inner, clock_says)?;
        work(&Tx { inner, now, wiped: Cell::new(false) })
    }
}

impl Tx<'_> {
    fn commit(self) -> Result<(), rusqlite::Error> {
        self.inner.commit()
    }
}

/// The time by the clock, or by what was seen before where the clock is a little behind it.
fn latest(tx: &Transaction<'_>, clock_says: Timestamp) -> Result<Timestamp, DeskError> {
    let seen: i64 = tx.query_row("SELECT latest_ms FROM seen", [], |row| row.get(0))?;
    let behind = seen - clock_says.as_millisecond();
    if behind > SLACK_MS {
        return Err(DeskError::new(
            Trouble::Internal,
            format!(
                "the clock is {} s behind what this desk has seen: nothing is done until it is right",
                behind / 1000
            ),
            "mend the clock of the desk's machine",
        ));
    }
    Ok(Timestamp::from_millisecond(seen).map_or(clock_says, |seen| seen.max(clock_says)))
}
