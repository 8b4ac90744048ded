//! What stands before a provider's model: the kill switch, the circuit breaker, and the account's
//! quota. One gate for all incidents of a process; waiting for quota is bounded and told.

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock as _};
use midwatch_policy::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    breaker::{Breaker, BreakerSettings, Leave, Phase, Seen, Transition},
    model::ModelErrorKind,
    switch::ModelSwitch,
};

/// What the account allows of one model in one region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Requests a minute.
    pub requests_per_minute: NonZeroU32,
    /// Tokens a minute, input and output limit together; an estimate is held against it. Absent:
    /// not limited here.
    pub tokens_per_minute: Option<NonZeroU32>,
    /// Longest wait for either, in seconds; after that the next model is asked.
    pub max_wait_seconds: u32,
}

impl Default for Limits {
    fn default() -> Self {
        let requests_per_minute = NonZeroU32::MIN.saturating_add(239);
        Self { requests_per_minute, tokens_per_minute: None, max_wait_seconds: 20 }
    }
}

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

/// The gate.
pub struct Gate {
    name: String,
    switch: Arc<ModelSwitch>,
    breaker: Mutex<Breaker>,
    requests: DefaultDirectRateLimiter,
    tokens: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
    max_wait: Duration,
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
            breaker: Mutex::new(Breaker::new(name.clone(), breaker)),
            name,
            requests: RateLimiter::direct(Quota::per_minute(limits.requests_per_minute)),
            tokens: limits.tokens_per_minute.map(|most| (RateLimiter::direct(Quota::per_minute(most)), most)),
            max_wait: Duration::from_secs(u64::from(limits.max_wait_seconds)),
            counters: Counters::default(),
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
        let (leave, changed) = self.lock().admit(now);
        let changed = self.count(changed);
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
        let mut waited = Duration::ZERO;
        while let Err(not_yet) = self.requests.check() {
            self.pause(not_yet.wait_time_from(self.requests.clock().now()), &mut waited).await?;
        }
        if let Some((limiter, most)) = &self.tokens {
            // What is larger than a whole minute's quota waits for a whole minute's quota.
            let tokens =
                NonZeroU32::new(u32::try_from(tokens).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
            let tokens = tokens.min(*most);
            while let Ok(Err(not_yet)) = limiter.check_n(tokens) {
                self.pause(not_yet.wait_time_from(limiter.clock().now()), &mut waited).await?;
            }
        }
        if !waited.is_zero() {
            self.counters.waited.fetch_add(1, Ordering::Relaxed);
            let ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            self.counters.waited_ms.fetch_add(ms, Ordering::Relaxed);
        }
        Ok(waited)
    }

    async fn pause(&self, wait: Duration, waited: &mut Duration) -> Result<(), Closed> {
        let wait = wait.max(Duration::from_millis(1));
        let after = waited.saturating_add(wait);
        if after > self.max_wait {
            return Err(Closed::Quota(self.max_wait));
        }
        tokio::time::sleep(wait).await;
        *waited = after;
        Ok(())
    }

    fn count(&self, changed: Option<Transition>) -> Option<Transition> {
        if let Some(Transition { name, to, why, .. }) = &changed {
            self.counters.transitions.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(name, to = to.as_str(), why, "circuit breaker changed");
        }
        changed
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;

    fn gate(requests: u32, tokens: Option<u32>, max_wait_seconds: u32) -> Gate {
        let limits = Limits {
            requests_per_minute: NonZeroU32::new(requests).unwrap(),
            tokens_per_minute: tokens.and_then(NonZeroU32::new),
            max_wait_seconds,
        };
        let settings = BreakerSettings { min_calls: 1, ..BreakerSettings::default() };
        Gate::new("bedrock us-east-1 m", Arc::default(), settings, limits)
    }

    #[tokio::test]
    async fn waiting_for_quota_is_counted_and_bounded() {
        // One a second, and a burst of sixty.
        let it = gate(60, None, 2);
        for _ in 0..60 {
            assert_eq!(it.turn(1).await, Ok(Duration::ZERO));
        }
        let waited = it.turn(1).await.unwrap();
        assert!(waited > Duration::ZERO && waited <= Duration::from_secs(1), "{waited:?}");
        assert_eq!(it.counts().waited, 1);
        // Two a minute: the third would wait for half a minute.
        let it = gate(2, None, 2);
        for _ in 0..2 {
            assert_eq!(it.turn(1).await, Ok(Duration::ZERO));
        }
        assert_eq!(it.turn(1).await, Err(Closed::Quota(Duration::from_secs(2))));
    }

    #[tokio::test]
    async fn tokens_have_a_quota_of_their_own() {
        let it = gate(1_000, Some(600), 2);
        assert_eq!(it.turn(500).await, Ok(Duration::ZERO));
        assert_eq!(it.turn(500).await, Err(Closed::Quota(Duration::from_secs(2))));
        // More than a minute's quota is asked for as a minute's.
        let it = gate(1_000, Some(600), 2);
        assert_eq!(it.turn(9_000).await, Ok(Duration::ZERO));
    }

    #[test]
    fn the_switch_comes_before_the_breaker_and_changes_are_counted() {
        let switch = Arc::new(ModelSwitch::default());
        let settings = BreakerSettings { min_calls: 1, ..BreakerSettings::default() };
        let it = Gate::new("m", Arc::clone(&switch), settings, Limits::default());
        let leave = it.admit(at("02:00")).0.unwrap();
        assert_eq!(leave.report(at("02:00"), seen(ModelErrorKind::Unavailable), 0).unwrap().to, Phase::Open);
        assert!(matches!(it.admit(at("02:00")).0, Err(Closed::Breaker { .. })));
        switch.stop("drill");
        assert_eq!(it.admit(at("02:00")).0.unwrap_err(), Closed::Switch("drill".to_owned()));
        switch.resume();
        assert_eq!(it.close(at("02:00"), "first-on-call").unwrap().to, Phase::Closed);
        drop(it.admit(at("02:00")).0.unwrap());
        let counts = it.counts();
        assert_eq!((counts.admitted, counts.refused, counts.transitions), (2, 2, 2));
        assert_eq!(seen(ModelErrorKind::Validation), Seen::Nothing);
    }
}
