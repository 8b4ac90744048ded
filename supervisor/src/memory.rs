//! Memory of outcomes: whether an action helped the last times that a service failed in this way.
//!
//! It moves the confidence of the next diagnosis, up a little or down a lot, and is listed there
//! like every other factor. INVARIANT: only what was verified is remembered; an action that was
//! declined or refused says nothing about whether it would have helped.

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use midwatch_agents::signals::Signals;
use midwatch_policy::{ActionKind, CauseKind, IncidentId, ServiceName, Timestamp};
use rusqlite::{Connection, params};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::run::Factor;

/// What an action that helped before adds, each time and at most.
const HELPED: (f64, f64) = (0.03, 0.06);
/// What an action that did not help before takes, each time and at most.
const DID_NOT: (f64, f64) = (0.12, 0.36);
/// How many outcomes of a signature are recalled, newest first: what helped years ago says little.
const RECALLED: u32 = 10;

/// In what way a service failed: the service, the kind of cause, and what its errors look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    service: ServiceName,
    cause: CauseKind,
    /// SHA-256, since templates are text from outside.
    errors: String,
}

impl Signature {
    /// Of a diagnosed incident: the text that a runbook knows it by, or else its worst template.
    pub fn of(service: &ServiceName, cause: CauseKind, signals: &Signals) -> Self {
        let matched = signals.runbooks.iter().find_map(|r| r.matched.as_ref().map(|(_, text)| text.as_str()));
        let worst = || signals.patterns.iter().find(|p| p.witness).map(|p| p.template.as_str());
        let errors = matched.or_else(worst).unwrap_or_default();
        let errors = hex::encode(Sha256::digest(errors.as_bytes()));
        Self { service: service.clone(), cause, errors }
    }

    fn key(&self) -> String {
        format!("{}|{}|{}", self.service, self.cause.as_str(), self.errors)
    }
}

/// What came of an action once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    /// The incident.
    pub incident: IncidentId,
    /// What was done.
    pub action: ActionKind,
    /// Whether recovery was verified after it.
    pub helped: bool,
    /// When that was judged.
    pub at: Timestamp,
}

/// What the past says about the present diagnosis.
pub fn factors(past: &[Remembered]) -> Vec<Factor> {
    let mut factors = Vec::new();
    for kind in ActionKind::ALL {
        let (mut helped, mut not) = (0_u32, 0_u32);
        for outcome in past.iter().filter(|o| o.action == kind) {
            if outcome.helped {
                helped += 1;
            } else {
                not += 1;
            }
        }
        let name = kind.tool().replace('_', " ");
        if helped > 0 {
            let weight = (HELPED.0 * f64::from(helped)).min(HELPED.1);
            let text = format!("{name} helped {helped} of {} times this failed so before", helped + not);
            factors.push(Factor { text, weight });
        }
        if not > 0 {
            let weight = -(DID_NOT.0 * f64::from(not)).min(DID_NOT.1);
            let text = format!("{name} did not help {not} of {} times this failed so before", helped + not);
            factors.push(Factor { text, weight });
        }
    }
    factors
}

/// Where outcomes are remembered. A memory that fails is a memory without entries: it moves a
/// confidence and holds nothing up.
#[derive(Debug, Clone, Default)]
pub struct Memory(Option<Arc<Mutex<Connection>>>);

impl Memory {
    /// Remembers nothing.
    pub fn none() -> Self {
        Self::default()
    }

    /// Beside the journal, in the same file.
    pub fn open(store: &Path) -> Self {
        if let Err(error) = midwatch_mcp::private_store(store) {
            tracing::warn!(%error, "outcomes cannot be remembered");
            return Self(None);
        }
        let opened = Connection::open(store).and_then(|connection| {
            connection.busy_timeout(Duration::from_secs(5))?;
            Self::prepare(&connection)?;
            Ok(connection)
        });
        match opened {
            Ok(connection) => Self(Some(Arc::new(Mutex::new(connection)))),
            Err(error) => {
                tracing::warn!(%error, "outcomes cannot be remembered");
                Self(None)
            }
        }
    }

    fn prepare(connection: &Connection) -> Result<(), rusqlite::Error> {
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS outcomes (
                 signature TEXT NOT NULL, incident TEXT NOT NULL, action TEXT NOT NULL,
                 helped INTEGER NOT NULL, at_ms INTEGER NOT NULL,
                 PRIMARY KEY (signature, incident, action)) WITHOUT ROWID;",
        )
    }

    /// What came of actions when it failed in this way before, newest first.
    pub async fn recall(&self, signature: &Signature) -> Vec<Remembered> {
        let key = signature.key();
        self.on_store(move |connection| recall(connection, &key)).await.unwrap_or_default()
    }

    /// Remembers what came of an action.
    pub async fn remember(&self, signature: &Signature, outcome: Remembered) {
        let key = signature.key();
        let insert = "INSERT OR REPLACE INTO outcomes (signature, incident, action, helped, at_ms)
                      VALUES (?1, ?2, ?3, ?4, ?5)";
        self.on_store(move |connection| {
            let Remembered { incident, action, helped, at } = &outcome;
            let row = params![key, incident.as_str(), action.tool(), helped, at.as_millisecond()];
            connection.execute(insert, row).map(|_| ())
        })
        .await;
    }

    async fn on_store<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Option<T> {
        let connection = Arc::clone(self.0.as_ref()?);
        let done = tokio::task::spawn_blocking(move || {
            work(&connection.lock().unwrap_or_else(PoisonError::into_inner))
        });
        match done.await {
            Ok(Ok(value)) => Some(value),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the memory of outcomes failed");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "the memory of outcomes failed");
                None
            }
        }
    }
}

fn recall(connection: &Connection, key: &str) -> Result<Vec<Remembered>, rusqlite::Error> {
    let mut statement = connection.prepare_cached(
        "SELECT incident, action, helped, at_ms FROM outcomes WHERE signature = ?1 ORDER BY at_ms DESC LIMIT ?2",
    )?;
    let rows = statement.query_map(params![key, RECALLED], |row| {
        Ok((
            row.get::<_, String>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, bool>(2)?,
            row.get::<_, i64>(3)?,
        ))
    })?;
    let mut past = Vec::new();
    for row in rows {
        let (incident, action, helped, at_ms) = row?;
        let action = ActionKind::ALL.into_iter().find(|kind| kind.tool() == action);
        let (Ok(incident), Some(action), Ok(at)) =
            (IncidentId::parse(incident), action, Timestamp::from_millisecond(at_ms))
        else {
            continue;
        };
        past.push(Remembered { incident, action, helped, at });
    }
    Ok(past)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signature(cause: CauseKind) -> Signature {
        Signature::of(&ServiceName::parse("a").unwrap(), cause, &Signals::default())
    }

    fn outcome(number: u32, helped: bool) -> Remembered {
        Remembered {
            incident: IncidentId::parse(format!("inc-{number}")).unwrap(),
            action: ActionKind::RollbackDeployment,
            helped,
            at: Timestamp::from_second(1_795_000_000 + i64::from(number)).unwrap(),
        }
    }

    #[test]
    fn what_did_not_help_weighs_more_than_what_did() {
        assert_eq!(factors(&[]), []);
        let of = |past: &[Remembered]| factors(past).iter().map(|f| f.weight).sum::<f64>();
        assert!((of(&[outcome(1, true)]) - 0.03).abs() < 1e-9);
        assert!(of(&[outcome(1, true), outcome(2, false)]) < -0.08);
        let many: Vec<Remembered> = (0..9).map(|n| outcome(n, true)).collect();
        assert!((of(&many) - 0.06).abs() < 1e-9);
        assert!(factors(&[outcome(1, false)])[0].text.contains("did not help 1 of 1"));
    }

    #[tokio::test]
    async fn outcomes_are_kept_by_signature_across_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store.db");
        let memory = Memory::open(&path);
        memory.remember(&signature(CauseKind::Deployment), outcome(1, true)).await;
        memory.remember(&signature(CauseKind::Deployment), outcome(2, false)).await;
        drop(memory);
        let memory = Memory::open(&path);
        let past = memory.recall(&signature(CauseKind::Deployment)).await;
        assert_eq!(past, [outcome(2, false), outcome(1, true)]);
        assert_eq!(memory.recall(&signature(CauseKind::Saturation)).await, []);
        assert_eq!(Memory::open(directory.path()).recall(&signature(CauseKind::Deployment)).await, []);
        assert_eq!(Memory::none().recall(&signature(CauseKind::Deployment)).await, []);
    }
}
