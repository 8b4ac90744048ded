//! The outbox's file: its schema, its lock, its transactions.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::Outbox;

const SCHEMA_VERSION: i64 = 2;
const SCHEMA: &str = "
    CREATE TABLE IF NOT EXISTS deliveries (
        seq INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, route TEXT NOT NULL, incident TEXT NOT NULL,
        kind TEXT NOT NULL, priority INTEGER NOT NULL, channel TEXT NOT NULL, phase TEXT NOT NULL,
        set_ms INTEGER, due_ms INTEGER, flight TEXT, made_ms INTEGER NOT NULL, ended_ms INTEGER,
        problem TEXT, notice TEXT NOT NULL, delivery TEXT NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS deliveries_by_due ON deliveries (phase, channel, due_ms);
    CREATE INDEX IF NOT EXISTS deliveries_by_incident ON deliveries (incident);
    CREATE INDEX IF NOT EXISTS deliveries_in_flight ON deliveries (flight) WHERE flight IS NOT NULL;
    CREATE TABLE IF NOT EXISTS watches (
        incident TEXT PRIMARY KEY, nth INTEGER NOT NULL, since_ms INTEGER NOT NULL,
        set_ms INTEGER NOT NULL, due_ms INTEGER NOT NULL, about TEXT NOT NULL, alarm TEXT NOT NULL) STRICT;
    CREATE INDEX IF NOT EXISTS watches_by_due ON watches (due_ms);
    CREATE TABLE IF NOT EXISTS acknowledged (
        incident TEXT PRIMARY KEY, by TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT;
    CREATE TABLE IF NOT EXISTS pulse (one INTEGER PRIMARY KEY CHECK (one = 1), at_ms INTEGER NOT NULL) STRICT;
    PRAGMA user_version = 2;
";
/// How long another process that writes is waited for.
const BUSY: Duration = Duration::from_secs(5);
/// Why the outbox does not work.
#[derive(Debug, thiserror::Error)]
pub enum OutboxError {
    /// Another process sends from it.
    #[error("another midwatch sends from `{0}`: stop it first, or give this one a store of its own")]
    Held(String),
    /// A newer midwatch wrote it.
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
    /// The directory or the lock.
    #[error("`{path}` cannot be opened: make its directory writable for this user")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// SQLite.
    #[error("the outbox `{path}` failed")]
    Store {
        /// The file.
        path: String,
        /// Why.
        source: rusqlite::Error,
    },
    /// Its thread ended.
    #[error("the outbox's thread ended: {0}")]
    Thread(String),
    /// Something cannot be written as JSON.
    #[error("a notice cannot be written as JSON")]
    Json(#[from] serde_json::Error),
}

/// What a transaction may fail with.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Json(serde_json::Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error)
    }
}

/// Where the outbox of a store is: beside it.
pub fn outbox_of(store: &Path) -> PathBuf {
    store.with_extension("outbox.db")
}

/// Holds an outbox as long as the value lives: nobody sends from it meanwhile, so that no daemon
/// runs with its store.
pub fn hold_outbox(path: &Path) -> Result<File, OutboxError> {
    let name = path.display().to_string();
    let file = |source| OutboxError::File { path: name.clone(), source };
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        std::fs::create_dir_all(parent).map_err(file)?;
    }
    let lock = midwatch_mcp::open_lock(&path.with_extension("lock")).map_err(file)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(std::fs::TryLockError::WouldBlock) => Err(OutboxError::Held(name)),
        Err(std::fs::TryLockError::Error(source)) => Err(file(source)),
    }
}

impl Outbox {
    /// Opens or creates it, to send from it.
    pub(in crate::deliver) fn open(path: &Path) -> Result<Self, OutboxError> {
        let lock = hold_outbox(path)?;
        Self::with(path, Some(Arc::new(lock)))
    }

    /// Opens it beside the process that sends: to look, to acknowledge.
    pub(in crate::deliver) fn look(path: &Path) -> Result<Self, OutboxError> {
        Self::with(path, None)
    }

    fn with(path: &Path, lock: Option<Arc<File>>) -> Result<Self, OutboxError> {
        let name = path.display().to_string();
        let open = |source| OutboxError::Store { path: name.clone(), source };
        midwatch_mcp::private_store(path)?;
        let connection = Connection::open(path).map_err(open)?;
        connection.busy_timeout(BUSY).map_err(open)?;
        connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(())).map_err(open)?;
        connection.pragma_update(None, "synchronous", "FULL").map_err(open)?;
        let found: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(open)?;
        if found > SCHEMA_VERSION {
            return Err(OutboxError::Newer { path: name, found });
        }
        if found < SCHEMA_VERSION {
            connection.execute_batch(&format!("BEGIN IMMEDIATE;{SCHEMA}COMMIT;")).map_err(open)?;
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path: name.into(), _lock: lock })
    }

    /// Does its work in one transaction; it is on disk when this returns.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, OutboxError> {
        let (connection, path) = (Arc::clone(&self.connection), Arc::clone(&self.path));
        let done = tokio::task::spawn_blocking(move || {
            let mut connection = connection.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let done = work(&transaction)?;
            transaction.commit()?;
            Ok::<T, Failure>(done)
        });
        match done.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(Failure::Json(error))) => Err(error.into()),
            Ok(Err(Failure::Sqlite(source))) => Err(OutboxError::Store { path: path.to_string(), source }),
            Err(error) => Err(OutboxError::Thread(error.to_string())),
        }
    }
}
