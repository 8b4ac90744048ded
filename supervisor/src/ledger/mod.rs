//! The ledger: every micro-dollar that models and queries cost, held against every ceiling above a
//! call before the call is made.
//!
//! INVARIANT: no call is made before its worst case is durable, and no order of calls passes a
//! ceiling by a micro-dollar; a crash settles what it left open in full at the next start. Sums are
//! decided in memory, under one lock, and written by one thread that commits whatever waits in one
//! transaction: a call waits for one sync, shared with all others that wait. What costs nothing is
//! not written. A database as the place of decision was rejected: it would sync once for each
//! reservation.

mod forget;
mod paid;
mod read;
mod savings;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use midwatch_agents::{
    budget::{Ceilings, InMemory, Keeper, Spend, Total},
    prices::Prices,
};
use midwatch_policy::Timestamp;
use serde::Serialize;

use crate::run::Run;

pub use paid::Paid;
pub use read::{Books, By, Earlier, Line, Period};
pub use savings::Savings;
use writer::Durable;

/// Why a ledger cannot be used.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LedgerError {
    /// Another process writes it.
    #[error("the ledger `{path}` is in use by another midwatch: stop it, or give another store")]
    InUse {
        /// The file.
        path: String,
    },
    /// There is none.
    #[error("there is no ledger `{path}`: nothing was spent with this store yet")]
    Absent {
        /// The file.
        path: String,
    },
    /// It cannot be read or written.
    #[error("the ledger `{path}`: {problem}")]
    Store {
        /// The file.
        path: String,
        /// What is wrong.
        problem: String,
    },
}

/// An incident that is over, for what it says about how much was needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Over {
    /// The incident.
    pub incident: String,
    /// When it was over.
    pub at: Timestamp,
    /// Its service.
    pub service: Option<String>,
    /// What it cost, and how often models were asked.
    pub total: Total,
    /// How it ended, as in the report.
    pub outcome: String,
}

/// Sums of one ceiling, for metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Level {
    /// What it is a ceiling of, such as `hour/497000`.
    pub scope: String,
    /// Spent, in micro-dollars.
    pub settled_micro_usd: u64,
    /// Set aside for calls under way.
    pub reserved_micro_usd: u64,
}

/// The ledger; cheap to clone, all clones are one.
#[derive(Debug, Clone)]
pub struct Ledger {
    keeper: Arc<dyn Keeper>,
    durable: Option<Arc<Durable>>,
}

impl Ledger {
    /// One that lasts as long as this value.
    pub fn in_memory(ceilings: Ceilings) -> Self {
        Self { keeper: Arc::new(InMemory::new(ceilings)), durable: None }
    }

    /// Opens or creates the ledger of a file, alone: what an earlier process left open is settled
    /// in full.
    pub fn open(path: &Path, ceilings: Ceilings) -> Result<Self, LedgerError> {
        let durable = Arc::new(Durable::open(path, ceilings)?);
        Ok(Self { keeper: Arc::clone(&durable) as Arc<_>, durable: Some(durable) })
    }

    /// The file beside a journal's.
    pub fn beside(journal: &Path) -> PathBuf {
        journal.with_extension("ledger.db")
    }

    /// The purse of an incident. What was spent on it before a restart counts.
    pub fn purse(&self, prices: Arc<Prices>, incident: &str, service: Option<&str>) -> Spend {
        let before = match &self.durable {
            // What cannot be read is not shown; the ceilings look for themselves.
            Some(durable) => durable.begun(incident).unwrap_or_default(),
            None => Total::default(),
        };
        Spend::kept_by(Arc::clone(&self.keeper), prices, incident, service, before)
    }

    /// An incident is over and reported.
    pub fn closed(&self, run: &Run, total: Total, at: Timestamp) {
        self.over(Over {
            incident: run.incident.to_string(),
            at,
            service: run.service.as_ref().map(ToString::to_string),
            total,
            outcome: run.outcome.as_str().to_owned(),
        });
    }

    /// An incident is over: its sums leave memory once they are written.
    pub fn over(&self, over: Over) {
        if let Some(durable) = &self.durable {
            durable.over(over);
        }
    }

    /// Takes away what is of days before, of this many incidents at most, and says how many of those
    /// are gone. Ceilings hold as before: sums of days stay, and all of an incident that is not over.
    pub async fn forget(&self, before: Timestamp, most: u32) -> Result<u32, String> {
        match &self.durable {
            Some(durable) => durable.forget(before, most).await,
            None => Ok(0),
        }
    }

    /// Other ceilings from now on, such as after a reload. Only a durable ledger takes them.
    pub fn set_ceilings(&self, ceilings: Ceilings) {
        if let Some(durable) = &self.durable {
            durable.set_ceilings(ceilings);
        }
    }

    /// Sums of the hours, days and services that are in memory, for metrics.
    pub fn levels(&self) -> Vec<Level> {
        self.durable.as_ref().map(|durable| durable.levels()).unwrap_or_default()
    }

    /// Why it cannot be written now; then no model that costs something is asked.
    pub fn trouble(&self) -> Option<String> {
        self.durable.as_ref()?.trouble()
    }

    /// Returns once everything settled so far is written, or cannot be.
    pub async fn flush(&self) {
        if let Some(durable) = &self.durable {
            durable.flush().await;
        }
    }
}
