//! Who keeps the sums: in memory here; durable in the supervisor's ledger.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use futures::future::BoxFuture;
use midwatch_policy::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    SpendError,
    accounts::{Accounts, Scope, Short, Want},
    ceilings::Ceilings,
};
use crate::model::Usage;

/// What is paid for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A call of a model.
    Model {
        /// The model's id.
        model: String,
        /// Who asks.
        specialist: String,
    },
    /// Something else, counted in units of its own.
    Charge(Charge),
}

/// What is paid for beside models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Charge {
    /// Bytes that Logs Insights scans.
    LogsInsights,
    /// Queries of a knowledge base.
    Retrieval,
    /// Queries of a reranking model.
    Rerank,
}

impl Charge {
    /// As it is written in files and tables.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LogsInsights => "logs_insights",
            Self::Retrieval => "retrieval",
            Self::Rerank => "rerank",
        }
    }
}

impl Item {
    /// The specialist whose tokens it counts as.
    pub fn specialist(&self) -> Option<&str> {
        match self {
            Self::Model { specialist, .. } => Some(specialist),
            Self::Charge(_) => None,
        }
    }
}

/// One call that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask {
    /// When, by the incident's clock: it decides the hour and the day.
    pub at: Timestamp,
    /// The incident.
    pub incident: Arc<str>,
    /// Its service, if one is known.
    pub service: Option<Arc<str>>,
    /// What for.
    pub item: Item,
    /// Most that it can cost, in micro-dollars.
    pub worst_micro_usd: u64,
    /// Most tokens that it can use.
    pub tokens: u64,
    /// Tokens that its specialist may use in this incident.
    pub token_budget: u64,
}

/// A reservation, as its keeper knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The keeper's number for it.
    pub id: u64,
    /// What it is for.
    pub ask: Ask,
    /// What was set aside where.
    pub wants: Arc<[Want]>,
}

/// What a call came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bill {
    /// Micro-dollars.
    pub cost_micro_usd: u64,
    /// What it would have cost without the provider's cache.
    pub uncached_micro_usd: u64,
    /// Tokens, where a provider reported them.
    pub usage: Usage,
    /// Tokens that count against the specialist's budget.
    pub tokens: u64,
    /// Bytes or queries, for what is not a model.
    pub units: u64,
    /// Whether it is the full reservation, because nobody knows better.
    pub assumed: bool,
}

/// Keeps the sums of everything that is spent.
pub trait Keeper: Send + Sync + std::fmt::Debug {
    /// Sets the worst case of a call aside under every ceiling above it, or under none. When this
    /// returns, the reservation survives whatever the keeper promises to survive.
    fn reserve(&self, ask: Ask) -> BoxFuture<'_, Result<Held, SpendError>>;

    /// Books what a call came to. Never blocks and never fails: what could not be booked stays
    /// reserved, and is settled in full later.
    fn settle(&self, held: &Held, bill: &Bill);

    /// So much was spent on an incident before this keeper began. One that remembers by itself
    /// knows better.
    fn carried(&self, _incident: &Arc<str>, _micro_usd: u64) {}
}

/// Sums that last as long as the process.
#[derive(Debug)]
pub struct InMemory {
    ceilings: Ceilings,
    pub(super) state: Mutex<(Accounts, u64)>,
}

impl InMemory {
    /// Nothing spent yet.
    pub fn new(ceilings: Ceilings) -> Self {
        Self { ceilings, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, (Accounts, u64)> {
        // Plain numbers, and each change is complete: a poisoned lock is still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper for InMemory {
    fn reserve(&self, ask: Ask) -> BoxFuture<'_, Result<Held, SpendError>> {
        let wants = Scope::of(&ask, &self.ceilings);
        let mut state = self.lock();
        let Ok(taken) = state.0.reserve(&wants, |_| Ok::<u64, Infallible>(0));
        let held = taken.map_err(|short| refusal(&short)).map(|()| {
            state.1 += 1;
            Held { id: state.1, ask, wants: wants.into() }
        });
        Box::pin(std::future::ready(held))
    }

    fn settle(&self, held: &Held, bill: &Bill) {
        self.lock().0.settle(&held.wants, bill.cost_micro_usd, bill.tokens);
    }

    fn carried(&self, incident: &Arc<str>, micro_usd: u64) {
        self.lock().0.begin(Scope::Incident(Arc::clone(incident)), micro_usd);
    }
}

/// The error for a ceiling that a call would pass.
pub fn refusal(short: &Short) -> SpendError {
    let Short { scope, wants, left } = short;
    match scope {
        Scope::Specialist(_, specialist) => {
            SpendError::Tokens { specialist: specialist.to_string(), worst: *wants, left: *left }
        }
        scope => SpendError::Ceiling { of: scope.to_string(), worst: *wants, left: *left },
    }
}
