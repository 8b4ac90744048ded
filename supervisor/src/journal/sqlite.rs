//! The journal in SQLite: WAL, every commit synced, one writer.
//!
//! One thread writes. What waits when it is free goes into one transaction (group commit), so that
//! many incidents share the time a disk takes to sync; whoever appended is answered only after
//! that. Reads have a connection of their own and do not wait for writers.

mod care;
mod rows;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc as queue},
    time::Duration,
};

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Connection, ErrorCode, OptionalExtension};
use tokio::sync::oneshot;

use super::{Draft, Entry, Head, Journal, JournalError, JournalFuture, Overview, digest};

use rows::{head_of, read};
use writer::{Write, write_all};

const SCHEMA_VERSION: i64 = 4;
/// What each version adds to the one before.
const SCHEMA: [&str; 4] = [
    "CREATE TABLE entries (
        incident TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL,
        body TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL,
        PRIMARY KEY (incident, seq)
    ) WITHOUT ROWID;
    CREATE TABLE heads (
        incident TEXT PRIMARY KEY, entries INTEGER NOT NULL, hash TEXT NOT NULL, opened TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;",
    "CREATE INDEX ends ON entries (kind, incident) WHERE kind = 'reported';",
    "CREATE TABLE pulse (one INTEGER PRIMARY KEY CHECK (one = 1), at TEXT NOT NULL);
    CREATE INDEX evidence ON entries (json_extract(body, '$.sha256')) WHERE kind = 'evidence_kept';",
    "CREATE INDEX opened ON heads (opened);
    ALTER TABLE blobs ADD COLUMN at INTEGER NOT NULL DEFAULT 0;",
];
/// Appends that may wait for the writer.
const WAITING: usize = 1024;

/// A journal in one SQLite file, or in memory.
#[derive(Debug, Clone)]
pub struct SqliteJournal {
    writer: queue::SyncSender<Write>,
    reader: Shared,
    path: Arc<str>,
}

impl SqliteJournal {
    /// Opens or creates the store at `path`, with its directories.
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let name: Arc<str> = format!("`{}`", path.display()).into();
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|e| JournalError::Store {
                path: name.to_string(),
                problem: format!("its directory cannot be created ({e}); give another with --store"),
            })?;
        }
        midwatch_mcp::private_store(path)
            .map_err(|e| JournalError::Store { path: name.to_string(), problem: e.to_string() })?;
        let connect = || Connection::open(path).map_err(|e| explain(&name, &e));
        Self::start(share(connect()?), share(connect()?), name)
    }

    /// A store that lasts as long as this value.
    pub fn in_memory() -> Result<Self, JournalError> {
        let name: Arc<str> = "in memory".into();
        let connection = share(Connection::open_in_memory().map_err(|e| explain(&name, &e))?);
        Self::start(Arc::clone(&connection), connection, name)
    }

    fn start(writing: Shared, reader: Shared, path: Arc<str>) -> Result<Self, JournalError> {
        let version = prepare(&writing).and_then(|version| prepare(&reader).map(|_| version));
        let version = version.map_err(|e| explain(&path, &e))?;
        if version > SCHEMA_VERSION {
            return Err(JournalError::Store {
                path: path.to_string(),
                problem: format!("written by a newer midwatch (schema {version}, known {SCHEMA_VERSION})"),
            });
        }
        let (writer, work) = queue::sync_channel(WAITING);
        let name = Arc::clone(&path);
        let thread = std::thread::Builder::new().name("journal".to_owned());
        thread.spawn(move || write_all(&writing, &work, &name)).map_err(|e| JournalError::Store {
            path: path.to_string(),
            problem: format!("its thread cannot be started: {e}"),
        })?;
        Ok(Self { writer, reader, path })
    }

    async fn write<T>(
        &self,
        work: Write,
        done: oneshot::Receiver<Result<T, JournalError>>,
    ) -> Result<T, JournalError> {
        let ended = || JournalError::Store {
            path: self.path.to_string(),
            problem: "its writer has ended".to_owned(),
        };
        // A full queue is waited for where waiting blocks nobody else.
        if let Err(queue::TrySendError::Full(work)) = self.writer.try_send(work) {
            let writer = self.writer.clone();
            let sent = tokio::task::spawn_blocking(move || writer.send(work)).await;
            sent.map_err(|_| ended())?.map_err(|_| ended())?;
        }
        done.await.map_err(|_| ended())?
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (reader, path) = (Arc::clone(&self.reader), Arc::clone(&self.path));
        let done = tokio::task::spawn_blocking(move || work(&lock(&reader))).await;
        match done {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(Failure::Journal(error))) => Err(error),
            Ok(Err(Failure::Sqlite(error))) => Err(explain(&path, &error)),
            Err(error) => Err(JournalError::Store {
                path: path.to_string(),
                problem: format!("its thread ended: {error}"),
            }),
        }
    }
}

/// A store in memory has one connection for both ends.
type Shared = Arc<Mutex<Connection>>;

fn share(connection: Connection) -> Shared {
    Arc::new(Mutex::new(connection))
}

fn lock(shared: &Shared) -> MutexGuard<'_, Connection> {
    // A transaction that a panic left open is rolled back when it is dropped.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets the store up, or brings it to this version's schema. Returns the version found.
fn prepare(shared: &Shared) -> Result<i64, rusqlite::Error> {
    let connection = lock(shared);
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    for (step, sql) in (1_i64..).zip(SCHEMA).filter(|(step, _)| *step > version) {
        connection.execute_batch(&format!("BEGIN IMMEDIATE;{sql}PRAGMA user_version = {step};COMMIT;"))?;
    }
    Ok(version)
}

enum Failure {
    Sqlite(rusqlite::Error),
    Journal(JournalError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Self::Journal(error)
    }
}

fn explain(path: &str, error: &rusqlite::Error) -> JournalError {
    let mend = match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => "; free some space",
        Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen | ErrorCode::PermissionDenied) => {
            "; make it writable or give another with --store"
        }
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            "; it is not a midwatch store: give another with --store"
        }
        Some(ErrorCode::DatabaseBusy) => "; another process holds it",
        _ => "",
    };
    JournalError::Store { path: path.to_owned(), problem: format!("{error}{mend}") }
}

impl Journal for SqliteJournal {
    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        expected: u32,
        drafts: Vec<Draft>,
    ) -> JournalFuture<'a, u32> {
        // An empty append would make a head without entries.
        if drafts.is_empty() {
            return Box::pin(async move { Ok(expected) });
        }
        let (done, written) = oneshot::channel();
        let append = Write::Append { incident: incident.clone(), expected, drafts, done };
        Box::pin(self.write(append, written))
    }

    fn touch(&self, now: Timestamp) -> JournalFuture<'_, ()> {
        let (done, written) = oneshot::channel();
        Box::pin(self.write(Write::Touch { now, done }, written))
    }

    fn read<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Vec<Entry>> {
        let incident = incident.clone();
        Box::pin(self.read(move |connection| read(connection, &incident)))
    }

    fn head<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Option<Head>> {
        let incident = incident.clone();
        Box::pin(self.read(move |connection| Ok(head_of(connection, &incident)?)))
    }

    fn heads(&self) -> JournalFuture<'_, Vec<Head>> {
        Box::pin(self.read(|connection| {
            let mut statement = connection
                .prepare_cached("SELECT incident, entries, hash FROM heads ORDER BY opened DESC, incident")?;
            let rows =
                statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get(1)?, row.get(2)?)))?;
            let mut heads = Vec::new();
            for row in rows {
                let (incident, entries, hash) = row?;
                let parsed = IncidentId::parse(incident.clone()).map_err(|error| JournalError::Broken {
                    incident,
                    seq: 0,
                    problem: error.to_string(),
                })?;
                heads.push(Head { incident: parsed, entries, hash });
            }
            Ok(heads)
        }))
    }

    fn overview(&self, most: u32) -> JournalFuture<'_, Vec<Overview>> {
        Box::pin(self.read(move |connection| care::overview(connection, most)))
    }

    fn forget(&self, before: Timestamp, most: u32) -> JournalFuture<'_, u32> {
        let (done, written) = oneshot::channel();
        Box::pin(self.write(Write::Forget { before, most, done }, written))
    }

    fn open<'a>(&'a self, end: &'a str) -> JournalFuture<'a, Vec<IncidentId>> {
        let end = end.to_owned();
        Box::pin(self.read(move |connection| {
            let mut statement = connection.prepare_cached(
                "SELECT incident FROM heads WHERE NOT EXISTS (
                     SELECT 1 FROM entries WHERE kind = ?1 AND entries.incident = heads.incident
                 ) ORDER BY opened, incident",
            )?;
            let rows = statement.query_map([&end], |row| row.get::<_, String>(0))?;
            let mut open = Vec::new();
            for row in rows {
                let incident = row?;
                let parsed = IncidentId::parse(incident.clone()).map_err(|error| JournalError::Broken {
                    incident,
                    seq: 0,
                    problem: error.to_string(),
                })?;
                open.push(parsed);
            }
            Ok(open)
        }))
    }

    fn keep(&self, pieces: Vec<Vec<u8>>) -> JournalFuture<'_, Vec<String>> {
        let (done, written) = oneshot::channel();
        Box::pin(self.write(Write::Keep { pieces, done }, written))
    }

    fn kept<'a>(&'a self, wanted: &'a str) -> JournalFuture<'a, Option<Vec<u8>>> {
        let wanted = wanted.to_owned();
        Box::pin(self.read(move |connection| {
            let bytes: Option<Vec<u8>> = connection
                .prepare_cached("SELECT bytes FROM blobs WHERE digest = ?1")?
                .query_row([&wanted], |row| row.get(0))
                .optional()?;
            match bytes {
                Some(bytes) if digest(&bytes) != wanted => Err(JournalError::Broken {
                    incident: "evidence".to_owned(),
                    seq: 0,
                    problem: format!("bytes kept under {wanted} were altered"),
                }
                .into()),
                bytes => Ok(bytes),
            }
        }))
    }
}

/// Where the store is unless said otherwise: `$XDG_STATE_HOME/midwatch/incidents.db`, or below
/// `~/.local/state`, or below the temporary directory where there is no home.
pub fn default_store(variable: impl Fn(&str) -> Option<String>) -> PathBuf {
    let state = variable("XDG_STATE_HOME").filter(|v| v.starts_with('/')).map(PathBuf::from);
    let home = || variable("HOME").filter(|v| !v.is_empty()).map(|h| PathBuf::from(h).join(".local/state"));
    state.or_else(home).unwrap_or_else(std::env::temp_dir).join("midwatch").join("incidents.db")
}
