//! What came in and what was decided about it: durable before any sender is told.
//!
//! One row for each alarm, and one for each incident that ended; many of them in one commit.
//! INVARIANT: rows are only added, and taken away again when they are old and their incident has
//! ended. The board is made from them at the start. It is a file of its own beside the journal:
//! an alarm that belongs to no incident has no journal to stand in.

mod rows;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeSet,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use midwatch_policy::{IncidentId, RequestId, Timestamp};
use rusqlite::{Connection, TransactionBehavior};
use serde::{Deserialize, Serialize};

use crate::{alarm::Alarm, run::Outcome};

use super::board::{Decision, How, Ruling};

const SCHEMA_VERSION: i64 = 2;
/// What each version adds to the one before.
const SCHEMA: [&str; 2] = [
    "
    CREATE TABLE intake (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, source TEXT NOT NULL, message TEXT,
        kind TEXT NOT NULL, incident TEXT, ruling TEXT NOT NULL
    );
    CREATE INDEX intake_incident ON intake (incident, kind);
    CREATE INDEX intake_at ON intake (at);",
    "
    CREATE TABLE pulse (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL);
    CREATE TABLE said (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, at INTEGER NOT NULL, incident TEXT NOT NULL,
        said TEXT NOT NULL, journaled INTEGER NOT NULL DEFAULT 0
    );
    CREATE INDEX said_open ON said (seq) WHERE journaled = 0;",
];

/// Why the inbox did not do it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum InboxError {
    /// The store itself.
    #[error("the inbox {path} failed: {problem}")]
    Store {
        /// Where it is.
        path: String,
        /// What it says.
        problem: String,
    },
    /// A row that is not what was written.
    #[error("row {seq} of the inbox {path} cannot be read: {problem}")]
    Row {
        /// Where it is.
        path: String,
        /// Which.
        seq: i64,
        /// What is wrong with it.
        problem: String,
    },
}

/// Something that is written down.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Noted {
    /// An alarm came in.
    Alarm {
        /// The alarm.
        alarm: Box<Alarm>,
        /// What it means.
        ruling: Ruling,
    },
    /// An incident that had ended goes on: a person raised a request of it again.
    Reopened {
        /// Which.
        incident: IncidentId,
        /// The request.
        request: RequestId,
        /// Who raised it.
        by: String,
    },
    /// An incident ended.
    Finished {
        /// Which.
        incident: IncidentId,
        /// How; nothing where its work could not even be begun, or it is part of another now.
        outcome: Option<Outcome>,
        /// Why, where there is no outcome.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        why: Option<String>,
    },
}

/// Longest note, in characters.
const NOTE: usize = 2000;

/// What a person says: one to two thousand characters, without control characters but line ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remark(String);

/// Why something cannot be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a note has 1 to {NOTE} characters")]
pub struct RemarkError;

impl Remark {
    /// Parses it.
    pub fn parse(text: &str) -> Result<Self, RemarkError> {
        let text: String = text.chars().filter(|c| !c.is_control() || *c == '\n').collect();
        let length = text.chars().count();
        if text.trim().is_empty() || length > NOTE { Err(RemarkError) } else { Ok(Self(text)) }
    }

    /// Parses what may be left out: nothing stays nothing.
    pub fn or_nothing(text: &str) -> Result<String, RemarkError> {
        if text.is_empty() { Ok(String::new()) } else { Self::parse(text).map(Into::into) }
    }
}

impl From<Remark> for String {
    fn from(remark: Remark) -> Self {
        remark.0
    }
}

/// What a person said of an incident.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum Said {
    /// They look after it.
    Acknowledged {
        /// Who.
        by: String,
    },
    /// This.
    Note {
        /// Who.
        by: String,
        /// What.
        text: String,
    },
    /// They take it over: Midwatch reports and does nothing more.
    Took {
        /// Who.
        by: String,
        /// What others should know.
        note: String,
    },
    /// Midwatch's work on it ends, for good.
    Stopped {
        /// Who.
        by: String,
        /// What others should know.
        note: String,
    },
}

impl Said {
    /// Who, if it makes the incident somebody's: nobody else has to be woken then.
    pub fn holder(&self) -> Option<&str> {
        match self {
            Self::Acknowledged { by } | Self::Took { by, .. } | Self::Stopped { by, .. } => Some(by),
            Self::Note { .. } => None,
        }
    }
}

/// What a person said, until it is in the journal.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// Its place in the inbox.
    pub seq: i64,
    /// The incident.
    pub incident: IncidentId,
    /// What.
    pub said: Said,
}

impl Noted {
    /// The incident it is about.
    pub const fn incident(&self) -> Option<&IncidentId> {
        match self {
            Self::Alarm { ruling, .. } => ruling.decision.incident(),
            Self::Finished { incident, .. } | Self::Reopened { incident, .. } => Some(incident),
        }
    }

    /// Whether an incident that ended so is with a person.
    pub fn with_a_person(outcome: Option<Outcome>) -> bool {
        outcome.is_none_or(Outcome::needs_a_person)
    }
}

/// A row.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// When it came in, by our clock.
    pub at: Timestamp,
    /// Where it came from: `webhook grafana`, or the queue's name.
    pub source: String,
    /// The message's id there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// What.
    #[serde(flatten)]
    pub noted: Noted,
}

impl Row {
    /// An alarm of an incident that is part of another one, as one of that.
    fn into_joined(self, into: &IncidentId, how: How) -> Option<Self> {
        let Noted::Alarm { alarm, ruling: Ruling { service, decision } } = self.noted else { return None };
        let (Decision::Opened { .. } | Decision::Joined { .. }) = decision else { return None };
        let decision = Decision::Joined { incident: into.clone(), how, leads: false, absorbs: Vec::new() };
        Some(Self { noted: Noted::Alarm { alarm, ruling: Ruling { service, decision } }, ..self })
    }
}

/// Incidents that became part of another one by these rows, and why.
fn absorbed(rows: &[Row]) -> Vec<(IncidentId, How)> {
    let mut absorbed = Vec::new();
    for row in rows {
        if let Noted::Alarm {
            ruling: Ruling { decision: Decision::Joined { absorbs, how, .. }, .. }, ..
        } = &row.noted
        {
            absorbed.extend(absorbs.iter().map(|other| (other.clone(), *how)));
        }
    }
    absorbed
}

/// An incident that was opened and has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// Its id.
    pub incident: IncidentId,
    /// The alarm it was opened for.
    pub alarm: Alarm,
    /// What its id was made with.
    pub salt: u32,
    /// When it came in, or last went on after its end.
    pub at: Timestamp,
}

/// The inbox. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Inbox {
    connection: Arc<Mutex<Connection>>,
    path: Arc<str>,
}

impl Inbox {
    /// Opens or creates it at `path`.
    pub fn open(path: &Path) -> Result<Self, InboxError> {
        let name: Arc<str> = format!("`{}`", path.display()).into();
        let failed = |problem: String| InboxError::Store { path: name.to_string(), problem };
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent)
                .map_err(|error| failed(format!("its directory cannot be created ({error})")))?;
        }
        midwatch_mcp::private_store(path).map_err(|error| failed(error.to_string()))?;
        let connection = Connection::open(path).map_err(|error| failed(error.to_string()))?;
        Self::prepare(connection, Arc::clone(&name))
    }

    /// One that lasts as long as this value.
    pub fn in_memory() -> Result<Self, InboxError> {
        let connection = Connection::open_in_memory()
            .map_err(|e| InboxError::Store { path: "in memory".to_owned(), problem: e.to_string() })?;
        Self::prepare(connection, "in memory".into())
    }

    fn prepare(connection: Connection, path: Arc<str>) -> Result<Self, InboxError> {
        let set_up = || -> Result<i64, rusqlite::Error> {
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
            for (step, sql) in (1_i64..).zip(SCHEMA).filter(|(step, _)| *step > version) {
                let sql = format!("BEGIN IMMEDIATE;{sql}PRAGMA user_version = {step};COMMIT;");
                connection.execute_batch(&sql)?;
            }
            Ok(version)
        };
        let problem = match set_up() {
            Ok(version) if version <= SCHEMA_VERSION => None,
            Ok(version) => Some(format!("written by a newer midwatch (schema {version})")),
            Err(error) => Some(error.to_string()),
        };
        match problem {
            None => Ok(Self { connection: Arc::new(Mutex::new(connection)), path }),
            Some(problem) => Err(InboxError::Store { path: path.to_string(), problem }),
        }
    }

    /// Adds rows, all or none of them. Durable when it returns.
    pub async fn append(&self, rows: impl Into<Arc<[Row]>>) -> Result<(), InboxError> {
        let rows = rows.into();
        self.on_store(move |connection| {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            for row in rows.iter() {
                rows::insert(&transaction, row)?;
            }
            Ok(transaction.commit()?)
        })
        .await
    }

    /// Shows that it can be written, by writing.
    pub async fn touch(&self, now: Timestamp) -> Result<(), InboxError> {
        self.on_store(move |connection| Ok(rows::touch(connection, now)?)).await
    }

    /// The time of the last [`Inbox::touch`].
    pub async fn touched(&self) -> Result<Option<Timestamp>, InboxError> {
        self.on_store(|connection| rows::touched(connection)).await
    }

    /// What the board is made of: everything since then, everything about incidents that have not ended, and
    /// what was silenced or needed nothing however long ago, in order.
    pub async fn since(&self, since: Timestamp) -> Result<Vec<Row>, InboxError> {
        self.on_store(move |connection| rows::since(connection, since)).await
    }

    /// Incidents that were opened and have not ended, oldest first.
    pub async fn unfinished(&self) -> Result<Vec<Open>, InboxError> {
        self.on_store(|connection| rows::unfinished(connection)).await
    }

    /// What came in for an incident, in order.
    pub async fn of_incident(&self, incident: IncidentId) -> Result<Vec<Row>, InboxError> {
        self.on_store(move |connection| rows::of_incident(connection, &incident)).await
    }

    /// What came in for an incident, and for those that turned out to be part of it: these as if they had joined it.
    pub async fn all_of(&self, incident: IncidentId) -> Result<Vec<Row>, InboxError> {
        let mut rows = self.of_incident(incident.clone()).await?;
        let mut parts = absorbed(&rows);
        let mut known = BTreeSet::from([incident.clone()]);
        while let Some((part, how)) = parts.pop() {
            if !known.insert(part.clone()) {
                continue;
            }
            let came = self.of_incident(part).await?;
            parts.extend(absorbed(&came));
            rows.extend(came.into_iter().filter_map(|row| row.into_joined(&incident, how)));
        }
        rows.sort_by_key(|row| row.at);
        Ok(rows)
    }

    /// The newest rows of some kinds (see `Decision::kind`, and `finished`), newest first.
    pub async fn newest(&self, kinds: &'static [&'static str], most: u32) -> Result<Vec<Row>, InboxError> {
        self.on_store(move |connection| rows::newest(connection, kinds, most)).await
    }

    /// Keeps what a person said of an incident, for whoever writes its journal. Durable when it
    /// returns.
    pub async fn say(&self, incident: IncidentId, said: Said, now: Timestamp) -> Result<(), InboxError> {
        self.on_store(move |connection| rows::say(connection, &incident, &said, now)).await
    }

    /// What people said and is not in a journal yet, oldest first.
    pub async fn unheard(&self, most: usize) -> Result<Vec<Heard>, InboxError> {
        self.on_store(move |connection| rows::unheard(connection, most)).await
    }

    /// Something that a person said is in the journal.
    pub async fn heard(&self, seq: i64) -> Result<(), InboxError> {
        self.on_store(move |connection| Ok(rows::heard(connection, seq)?)).await
    }

    /// Which of these incidents have ended.
    pub async fn ended_among(&self, incidents: Vec<IncidentId>) -> Result<Vec<IncidentId>, InboxError> {
        self.on_store(move |connection| Ok(rows::ended_among(connection, incidents)?)).await
    }

    /// Takes away what is older, not about an incident that has not ended, and not silenced still; returns how many
    /// rows.
    pub async fn forget(&self, before: Timestamp, now: Timestamp) -> Result<usize, InboxError> {
        self.on_store(move |connection| rows::forget(connection, before, now)).await
    }

    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> Result<T, rows::Failure> + Send + 'static,
    ) -> Result<T, InboxError> {
        let (connection, path) = (Arc::clone(&self.connection), self.path.to_string());
        let done = tokio::task::spawn_blocking(move || {
            work(&mut connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match done.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(rows::Failure::Sqlite(error))) => {
                Err(InboxError::Store { path, problem: error.to_string() })
            }
            Ok(Err(rows::Failure::Row(seq, problem))) => Err(InboxError::Row { path, seq, problem }),
            Err(error) => Err(InboxError::Store { path, problem: format!("its thread ended: {error}") }),
        }
    }
}
