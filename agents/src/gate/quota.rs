//! The account's quota for one model in one region, kept on our side: waiting here is cheaper than
//! being throttled there.

use std::{num::NonZeroU32, time::Duration};

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter, clock::Clock as _};
use serde::{Deserialize, Serialize};

use super::Closed;

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

/// The account's quota, and how much of it is used.
#[derive(Debug)]
pub(super) struct Limited {
    limits: Limits,
    requests: DefaultDirectRateLimiter,
    tokens: Option<(DefaultDirectRateLimiter, NonZeroU32)>,
}

impl Limited {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            limits,
            requests: RateLimiter::direct(Quota::per_minute(limits.requests_per_minute)),
            tokens: limits.tokens_per_minute.map(|most| (RateLimiter::direct(Quota::per_minute(most)), most)),
        }
    }

    /// One of which everything is used.
    pub(super) fn used(limits: Limits) -> Self {
        let limited = Self::new(limits);
        let _ = limited.requests.check_n(limits.requests_per_minute);
        if let Some((tokens, most)) = &limited.tokens {
            let _ = tokens.check_n(*most);
        }
        limited
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Waits for a request of so many tokens, and says how long that took.
    pub(super) async fn turn(&self, tokens: u64) -> Result<Duration, Closed> {
        let most_wait = Duration::from_secs(u64::from(self.limits.max_wait_seconds));
        let mut waited = Duration::ZERO;
        while let Err(not_yet) = self.requests.check() {
            let wait = not_yet.wait_time_from(self.requests.clock().now());
            pause(wait, &mut waited, most_wait).await?;
        }
        if let Some((limiter, most)) = &self.tokens {
            // What is larger than a whole minute's quota waits for a whole minute's quota.
            let tokens =
                NonZeroU32::new(u32::try_from(tokens).unwrap_or(u32::MAX)).unwrap_or(NonZeroU32::MIN);
            let tokens = tokens.min(*most);
            while let Ok(Err(not_yet)) = limiter.check_n(tokens) {
                pause(not_yet.wait_time_from(limiter.clock().now()), &mut waited, most_wait).await?;
            }
        }
        Ok(waited)
    }
}

async fn pause(wait: Duration, waited: &mut Duration, most: Duration) -> Result<(), Closed> {
    let wait = wait.max(Duration::from_millis(1));
    let after = waited.saturating_add(wait);
    if after > most {
        return Err(Closed::Quota(most));
    }
    tokio::time::sleep(wait).await;
    *waited = after;
    Ok(())
}
