//! The circuit breaker of one provider and model. Pure: `now` is an input, and every change of
//! phase is an output that the caller journals and counts.
//!
//! ```text
//! closed ── too many errors, too slow, too dear ──▶ open ── after a while ──▶ half-open
//!    ▲                                               ▲                          │   │
//!    └────────────── enough probes answered ─────────┼──────────────────────────┘   │
//!                                                    └──── a probe failed ──────────┘
//! ```
//! INVARIANT: half-open lets no more than `probes` calls through at once, and an open breaker none.

use std::collections::VecDeque;

use midwatch_policy::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

#[cfg(test)]
mod tests;

/// Longest time it stays open, however often probes failed.
const LONGEST: i64 = 30 * 60;

/// When it opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BreakerSettings {
    /// Calls of the last so many seconds count.
    pub window_seconds: u32,
    /// With fewer calls in the window, neither errors nor latency open it.
    pub min_calls: u32,
    /// Share of failed calls that opens it, in percent.
    pub error_percent: u32,
    /// A call that takes longer is slow, in milliseconds.
    pub slow_ms: u64,
    /// Share of slow calls that opens it, in percent.
    pub slow_percent: u32,
    /// Cost in the window that opens it, in micro-dollars.
    pub spend_micro_usd: u64,
    /// Seconds that it stays open the first time; twice as long each time its probes fail.
    pub open_seconds: u32,
    /// Calls that may try it while it is half-open, and have to succeed to close it.
    pub probes: u32,
}

impl Default for BreakerSettings {
    fn default() -> Self {
        Self {
            window_seconds: 60,
            min_calls: 6,
            error_percent: 50,
            slow_ms: 40_000,
            slow_percent: 80,
            spend_micro_usd: 5_000_000,
            open_seconds: 60,
            probes: 2,
        }
    }
}

/// Where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Calls pass.
    Closed,
    /// None do.
    Open,
    /// A few try whether it is better.
    HalfOpen,
}

impl Phase {
    /// As it is written in events and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// A change of phase.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// When.
    pub at: Timestamp,
    /// Which provider and model.
    pub name: String,
    /// From.
    pub from: Phase,
    /// To.
    pub to: Phase,
    /// Why, for people.
    pub why: String,
}

/// Leave for one call. Whoever has it reports what came of the call, once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Leave {
    round: u64,
    is_probe: bool,
}

/// No leave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Blocked {
    /// Why it is open.
    pub why: String,
    /// When it tries again by itself; never, where a person holds it open.
    pub until: Option<Timestamp>,
}

/// What came of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// It was answered after so many milliseconds.
    Answered(u64),
    /// The provider failed.
    Failed,
    /// It says nothing of the provider: cancelled, or refused for what was asked.
    Nothing,
}

#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Timestamp,
    is_failed: bool,
    is_slow: bool,
    cost: u64,
}

/// The breaker.
#[derive(Debug)]
pub struct Breaker {
    name: String,
    settings: BreakerSettings,
    phase: Phase,
    why: String,
    until: Option<Timestamp>,
    samples: VecDeque<Sample>,
    /// Counts phases: what was let through in an earlier one says nothing about this one.
    round: u64,
    probing: u32,
    good: u32,
    opened: u32,
}

impl Breaker {
    /// A closed one.
    pub fn new(name: impl Into<String>, settings: BreakerSettings) -> Self {
        Self {
            name: name.into(),
            settings,
            phase: Phase::Closed,
            why: String::new(),
            until: None,
            samples: VecDeque::new(),
            round: 0,
            probing: 0,
            good: 0,
            opened: 0,
        }
    }

    /// The provider and model it is for.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Other settings from now on; what was seen counts by them.
    pub const fn set(&mut self, settings: BreakerSettings) {
        self.settings = settings;
    }

    /// Where it stands.
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Whether a call may be made. An open one becomes half-open when its time has come.
    pub fn admit(&mut self, now: Timestamp) -> (Result<Leave, Blocked>, Option<Transition>) {
        let mut changed = None;
        if self.phase == Phase::Open && self.until.is_some_and(|until| until <= now) {
            changed = Some(self.go(now, Phase::HalfOpen, "its time is up: a few calls try it".to_owned()));
        }
        let leave = match self.phase {
            Phase::Closed => Ok(Leave { round: self.round, is_probe: false }),
            Phase::HalfOpen if self.probing.saturating_add(self.good) < self.settings.probes.max(1) => {
                self.probing = self.probing.saturating_add(1);
                Ok(Leave { round: self.round, is_probe: true })
            }
            Phase::Open | Phase::HalfOpen => Err(Blocked { why: self.why.clone(), until: self.until }),
        };
        (leave, changed)
    }

    /// What came of a call, and what it cost.
    pub fn report(&mut self, now: Timestamp, leave: Leave, seen: Seen, cost: u64) -> Option<Transition> {
        if leave.round != self.round {
            return None;
        }
        let slow = matches!(seen, Seen::Answered(ms) if ms > self.settings.slow_ms);
        if leave.is_probe {
            self.probing = self.probing.saturating_sub(1);
            return match seen {
                Seen::Nothing => None,
                Seen::Failed => Some(self.open(now, "a probe failed".to_owned())),
                Seen::Answered(_) if slow => Some(self.open(now, "a probe was slow".to_owned())),
                Seen::Answered(_) => {
                    self.good = self.good.saturating_add(1);
                    (self.good >= self.settings.probes.max(1)).then(|| {
                        self.opened = 0;
                        self.go(now, Phase::Closed, "its probes were answered".to_owned())
                    })
                }
            };
        }
        if seen == Seen::Nothing && cost == 0 {
            return None;
        }
        self.samples.push_back(Sample { at: now, is_failed: seen == Seen::Failed, is_slow: slow, cost });
        let oldest = now
            .checked_sub(SignedDuration::from_secs(i64::from(self.settings.window_seconds)))
            .unwrap_or(Timestamp::MIN);
        while self.samples.front().is_some_and(|sample| sample.at < oldest) {
            self.samples.pop_front();
        }
        let why = self.too_much()?;
        Some(self.open(now, why))
    }

    /// A person opens it; it stays open until a person closes it.
    pub fn hold_open(&mut self, now: Timestamp, by: &str) -> Option<Transition> {
        if self.phase == Phase::Open && self.until.is_none() {
            return None;
        }
        let why = format!("opened by {by}");
        let changed = self.go(now, Phase::Open, why);
        self.until = None;
        Some(changed)
    }

    /// A person closes it; what was seen before is forgotten.
    pub fn close(&mut self, now: Timestamp, by: &str) -> Option<Transition> {
        if self.phase == Phase::Closed {
            return None;
        }
        self.opened = 0;
        Some(self.go(now, Phase::Closed, format!("closed by {by}")))
    }

    fn too_much(&self) -> Option<String> {
        let (mut calls, mut failed, mut slow, mut cost) = (0u32, 0u32, 0u32, 0u64);
        for sample in &self.samples {
            calls = calls.saturating_add(1);
            failed = failed.saturating_add(u32::from(sample.is_failed));
            slow = slow.saturating_add(u32::from(sample.is_slow));
            cost = cost.saturating_add(sample.cost);
        }
        let BreakerSettings { window_seconds, min_calls, slow_ms, spend_micro_usd, .. } = self.settings;
        let reaches =
            |part: u32, percent: u32| u64::from(part) * 100 >= u64::from(calls) * u64::from(percent);
        if cost > spend_micro_usd {
            return Some(format!("{cost} micro-dollars within {window_seconds} s"));
        }
        if calls < min_calls.max(1) {
            return None;
        }
        if failed > 0 && reaches(failed, self.settings.error_percent) {
            return Some(format!("{failed} of {calls} calls failed within {window_seconds} s"));
        }
        if slow > 0 && reaches(slow, self.settings.slow_percent) {
            return Some(format!("{slow} of {calls} calls took longer than {slow_ms} ms"));
        }
        None
    }

    fn open(&mut self, now: Timestamp, why: String) -> Transition {
        let longer = 1i64.checked_shl(self.opened.min(20)).unwrap_or(i64::MAX);
        let seconds = i64::from(self.settings.open_seconds.max(1)).saturating_mul(longer).min(LONGEST);
        self.opened = self.opened.saturating_add(1);
        let changed = self.go(now, Phase::Open, why);
        let until = now.checked_add(SignedDuration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        self.until = Some(until);
        changed
    }

    fn go(&mut self, at: Timestamp, to: Phase, why: String) -> Transition {
        let from = std::mem::replace(&mut self.phase, to);
        if to != Phase::HalfOpen {
            self.why.clone_from(&why);
        }
        self.samples.clear();
        self.round = self.round.wrapping_add(1);
        (self.probing, self.good) = (0, 0);
        Transition { at, name: self.name.clone(), from, to, why }
    }
}
