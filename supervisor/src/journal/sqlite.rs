//! The journal in SQLite: WAL, every commit synced, one writer at a time.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use midwatch_policy::IncidentId;
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use super::{
    Draft, Entry, GENESIS, Head, Journal, JournalError, JournalFuture, canonical, chain, digest, verify,
};

const SCHEMA_VERSION: i64 = 1;
const SCHEMA: &str = "
    CREATE TABLE entries (
        incident TEXT NOT NULL, seq INTEGER NOT NULL, at TEXT NOT NULL, kind TEXT NOT NULL,
        body TEXT NOT NULL, prev TEXT NOT NULL, hash TEXT NOT NULL,
        PRIMARY KEY (incident, seq)
    ) WITHOUT ROWID;
    CREATE TABLE heads (
        incident TEXT PRIMARY KEY, entries INTEGER NOT NULL, hash TEXT NOT NULL, opened TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE blobs (digest TEXT PRIMARY KEY, bytes BLOB NOT NULL) WITHOUT ROWID;
    PRAGMA user_version = 1;
";

/// A journal in one SQLite file, or in memory.
#[derive(Debug, Clone)]
pub struct SqliteJournal {
    connection: Arc<Mutex<Connection>>,
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
        let connection = Connection::open(path).map_err(|e| explain(&name, &e))?;
        Self::prepare(connection, name)
    }

    /// A store that lasts as long as this value.
    pub fn in_memory() -> Result<Self, JournalError> {
        let name: Arc<str> = "in memory".into();
        let connection = Connection::open_in_memory().map_err(|e| explain(&name, &e))?;
        Self::prepare(connection, name)
    }

    fn prepare(connection: Connection, path: Arc<str>) -> Result<Self, JournalError> {
        let set_up = || -> Result<i64, rusqlite::Error> {
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            if version == 0 {
                connection.execute_batch(&format!("BEGIN IMMEDIATE;{SCHEMA}COMMIT;"))?;
            }
            Ok(version)
        };
        let version = set_up().map_err(|e| explain(&path, &e))?;
        if version > SCHEMA_VERSION {
            return Err(JournalError::Store {
                path: path.to_string(),
                problem: format!("written by a newer midwatch (schema {version}, known {SCHEMA_VERSION})"),
            });
        }
        Ok(Self { connection: Arc::new(Mutex::new(connection)), path })
    }

    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, JournalError> {
        let (connection, path) = (Arc::clone(&self.connection), Arc::clone(&self.path));
        let done = tokio::task::spawn_blocking(move || {
            let mut guard: MutexGuard<'_, Connection> =
                connection.lock().unwrap_or_else(PoisonError::into_inner);
            work(&mut guard)
        })
        .await;
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

fn head_of(connection: &Connection, incident: &IncidentId) -> Result<Option<Head>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT entries, hash FROM heads WHERE incident = ?1")?
        .query_row([incident.as_str()], |row| {
            Ok(Head { incident: incident.clone(), entries: row.get(0)?, hash: row.get(1)? })
        })
        .optional()
}

fn append(
    connection: &mut Connection,
    incident: &IncidentId,
    expected: u32,
    drafts: Vec<Draft>,
) -> Result<u32, Failure> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let head = head_of(&transaction, incident)?;
    let (mut version, mut prev) = head.map_or((0, GENESIS.to_owned()), |h| (h.entries, h.hash));
    if version != expected {
        let incident = incident.clone();
        return Err(JournalError::Conflict { incident, expected, found: version }.into());
    }
    for draft in drafts {
        version += 1;
        let entry = chain(incident, version, &prev, draft)?;
        transaction.prepare_cached("INSERT INTO entries VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)")?.execute(
            params![
                incident.as_str(),
                version,
                entry.at.to_string(),
                entry.kind,
                canonical(&entry.body)?,
                prev,
                entry.hash
            ],
        )?;
        transaction
            .prepare_cached(
                "INSERT INTO heads VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (incident) DO UPDATE SET entries = ?2, hash = ?3",
            )?
            .execute(params![incident.as_str(), version, entry.hash, entry.at.to_string()])?;
        prev = entry.hash;
    }
    transaction.commit()?;
    Ok(version)
}

fn read(connection: &Connection, incident: &IncidentId) -> Result<Vec<Entry>, Failure> {
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
        entries.push(Entry { incident: incident.clone(), seq, at, kind, body, prev, hash });
    }
    match head_of(connection, incident)? {
        Some(head) => verify(&entries, &head)?,
        None if entries.is_empty() => {}
        None => {
            return Err(JournalError::Broken {
                incident: incident.to_string(),
                seq: 0,
                problem: "its head is missing".to_owned(),
            }
            .into());
        }
    }
    Ok(entries)
}

impl Journal for SqliteJournal {
    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        expected: u32,
        drafts: Vec<Draft>,
    ) -> JournalFuture<'a, u32> {
        let incident = incident.clone();
        Box::pin(self.on_store(move |connection| append(connection, &incident, expected, drafts)))
    }

    fn read<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Vec<Entry>> {
        let incident = incident.clone();
        Box::pin(self.on_store(move |connection| read(connection, &incident)))
    }

    fn head<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Option<Head>> {
        let incident = incident.clone();
        Box::pin(self.on_store(move |connection| Ok(head_of(connection, &incident)?)))
    }

    fn heads(&self) -> JournalFuture<'_, Vec<Head>> {
        Box::pin(self.on_store(|connection| {
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

    fn keep(&self, pieces: Vec<Vec<u8>>) -> JournalFuture<'_, Vec<String>> {
        Box::pin(self.on_store(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut digests = Vec::with_capacity(pieces.len());
            for bytes in pieces {
                let digest = digest(&bytes);
                transaction
                    .prepare_cached("INSERT INTO blobs VALUES (?1, ?2) ON CONFLICT (digest) DO NOTHING")?
                    .execute(params![digest, bytes])?;
                digests.push(digest);
            }
            transaction.commit()?;
            Ok(digests)
        }))
    }

    fn kept<'a>(&'a self, wanted: &'a str) -> JournalFuture<'a, Option<Vec<u8>>> {
        let wanted = wanted.to_owned();
        Box::pin(self.on_store(move |connection| {
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
