//! What stands before a provider's model: the kill switch, the circuit breaker, and the account's
//! quota. One gate for all incidents of a process; waiting for quota is bounded and told.

mod all;
mod orders;
mod quota;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use midwatch_policy::Timestamp;
use serde::Serialize;

pub use all::{Gates, Wanted};
pub use orders::{Order, Ordered, Orders};
use quota::Limited;
pub use quota::Limits;

use crate::{
    breaker::{Breaker, BreakerSettings, Leave, Phase, Seen, Transition},
    model::ModelErrorKind,
    switch::ModelSwitch,
};

/// Why a call may not be made now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The kill switch for models is on.
    #[error("the use of models is switched off: {0}")]
    Switch(String),
    /// The circuit breaker is open.
    #[error("its circuit breaker is open: {why}")]
    Breaker {
        /// Why.
        why: String,
        /// When it tries again by itself.
        until: Option<Timestamp>,
    },
    /// The wait for the account's quota would be too long.
    #[error("the wait for the account's quota is longer than {0:?}")]
    Quota(Duration),
}

/// Counts for metrics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct GateCounts {
    /// Calls that were let through.
    pub admitted: u64,
    /// Calls that were not.
    pub refused: u64,
    /// Calls that waited for quota.
    pub waited: u64,
    /// Milliseconds that they waited.
    pub waited_ms: u64,
    /// Changes of the breaker's phase.
    pub transitions: u64,
}

#[derive(Debug, Default)]
struct Counters {
    admitted: AtomicU64,
    refused: AtomicU64,
    waited: AtomicU64,
    waited_ms: AtomicU64,
    transitions: AtomicU64,
}

/// What a gate did of people's orders.
#[derive(Debug, Default)]
struct Obeyed {
    /// The order that was carried out last: itself and not its place, since files are rotated.
    last: Option<Order>,
    /// What it changed, until a call tells it.
    untold: Option<Transition>,
}

/// The gate.
pub struct Gate {
    name: String,
    switch: Arc<ModelSwitch>,
    orders: Arc<Orders>,
    obeyed: Mutex<Obeyed>,
    breaker: Mutex<Breaker>,
    quota: RwLock<Arc<Limited>>,
    counters: Counters,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gate").field("name", &self.name).field("phase", &self.phase()).finish_non_exhaustive()
    }
}

impl Gate {
    /// A gate before the provider and model of this name.
    pub fn new(
        name: impl Into<String>,
        switch: Arc<ModelSwitch>,
        breaker: BreakerSettings,
        limits: Limits,
    ) -> Self {
        let name = name.into();
        Self {
            switch,
            orders: Arc::default(),
            obeyed: Mutex::default(),
            breaker: Mutex::new(Breaker::new(name.clone(), breaker)),
            name,
            quota: RwLock::new(Arc::new(Limited::new(limits))),
            counters: Counters::default(),
        }
    }

    /// The same, obeying these orders.
    #[must_use]
    fn ordered(self, orders: Arc<Orders>) -> Self {
        Self { orders, ..self }
    }

    /// Other settings from now on. Another quota counts as used: what was sent before still counts
    /// at the provider.
    pub fn set(&self, breaker: BreakerSettings, limits: Limits) {
        self.lock().set(breaker);
        let mut quota = self.quota.write().unwrap_or_else(PoisonError::into_inner);
        if quota.limits() != limits {
            *quota = Arc::new(Limited::used(limits));
        }
    }

    /// Carries out what a person ordered since the last look. What that changed is told by the next
    /// call, whoever looked.
    pub fn obey(&self, now: Timestamp) {
        // Held while the orders are read: an older one must not come after a newer one.
        let mut obeyed = self.obeyed();
        let Some(order) = self.orders.of(&self.name).filter(|order| obeyed.last.as_ref() != Some(order))
        else {
            return;
        };
        let changed = match order.to {
            Ordered::Open => self.hold_open(now, &order.whose()),
            Ordered::Close => self.close(now, &order.whose()),
        };
        obeyed.last = Some(order);
        if changed.is_some() {
            obeyed.untold = changed;
        }
    }

    /// The provider, region and model.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the breaker stands.
    pub fn phase(&self) -> Phase {
        self.lock().phase()
    }

    /// Counts so far.
    pub fn counts(&self) -> GateCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { admitted, refused, waited, waited_ms, transitions } = &self.counters;
        GateCounts {
            admitted: read(admitted),
            refused: read(refused),
            waited: read(waited),
            waited_ms: read(waited_ms),
            transitions: read(transitions),
        }
    }

    /// A person opens the breaker; it stays open until a person closes it.
    pub fn hold_open(&self, now: Timestamp, by: &str) -> Option<Transition> {
        let changed = self.lock().hold_open(now, by);
        self.count(changed)
    }

    /// A person closes the breaker.
    pub fn close(&self, now: Timestamp, by: &str) -> Option<Transition> {
        let changed = self.lock().close(now, by);
        self.count(changed)
    }

    /// Leave for one call: from the switch, then from the breaker.
    pub fn admit(&self, now: Timestamp) -> (Result<Admitted<'_>, Closed>, Option<Transition>) {
        let bump = |counter: &AtomicU64| counter.fetch_add(1, Ordering::Relaxed);
        if let Some(why) = self.switch.off() {
            bump(&self.counters.refused);
            return (Err(Closed::Switch(why)), None);
        }
        self.obey(now);
        let (leave, changed) = self.lock().admit(now);
        let changed = self.count(changed).or_else(|| self.obeyed().untold.take());
        match leave {
            Ok(leave) => {
                bump(&self.counters.admitted);
                (Ok(Admitted { gate: self, leave, at: now, is_reported: false }), changed)
            }
            Err(blocked) => {
                bump(&self.counters.refused);
                (Err(Closed::Breaker { why: blocked.why, until: blocked.until }), changed)
            }
        }
    }

    /// Waits until the account's quota allows a request of so many tokens. Returns how long that
    /// took, in real time: quotas are the provider's and know no other.
    pub async fn turn(&self, tokens: u64) -> Result<Duration, Closed> {
        let quota = Arc::clone(&self.quota.read().unwrap_or_else(PoisonError::into_inner));
        let waited = quota.turn(tokens).await?;
        if !waited.is_zero() {
            self.counters.waited.fetch_add(1, Ordering::Relaxed);
            let ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            self.counters.waited_ms.fetch_add(ms, Ordering::Relaxed);
        }
        Ok(waited)
    }

    fn count(&self, changed: Option<Transition>) -> Option<Transition> {
        if let Some(Transition { name, to, why, .. }) = &changed {
            self.counters.transitions.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(name, to = to.as_str(), why, "circuit breaker changed");
        }
        changed
    }

    fn obeyed(&self) -> MutexGuard<'_, Obeyed> {
        self.obeyed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Leave for one call. Dropped unreported, it says nothing of the provider.
#[derive(Debug)]
pub struct Admitted<'a> {
    gate: &'a Gate,
    leave: Leave,
    at: Timestamp,
    is_reported: bool,
}

impl Admitted<'_> {
    /// What came of the call.
    pub fn report(mut self, now: Timestamp, seen: Seen, cost: u64) -> Option<Transition> {
        self.is_reported = true;
        let changed = self.gate.lock().report(now, self.leave, seen, cost);
        self.gate.count(changed)
    }
}

impl Drop for Admitted<'_> {
    fn drop(&mut self) {
        if !self.is_reported {
            self.gate.lock().report(self.at, self.leave, Seen::Nothing, 0);
        }
    }
}

/// What an error says of the provider.
pub const fn seen(kind: ModelErrorKind) -> Seen {
    match kind {
        ModelErrorKind::Throttled
        | ModelErrorKind::Timeout
        | ModelErrorKind::Unavailable
        | ModelErrorKind::AccessDenied
        | ModelErrorKind::NotFound
        | ModelErrorKind::Quota
        | ModelErrorKind::Other => Seen::Failed,
        ModelErrorKind::Validation | ModelErrorKind::ContextTooLong | ModelErrorKind::Cancelled => {
            Seen::Nothing
        }
    }
}
