//! What becomes of one notice on its chain: a pure step function.
//!
//! A chain is a list of links, tried in order. A link is tried until its channel took the notice;
//! one that does not take it within its attempts, or says no for good, is left at once for the
//! next. Where somebody has to acknowledge, a link that was delivered is left for the next after
//! its time.
//!
//! INVARIANTS:
//! - every notice ends delivered, acknowledged, cancelled, or failed; what failed stays visible
//!   until a person acknowledges it;
//! - nothing is sent after a notice has ended;
//! - a crash while sending leads to sending again, never to silence;
//! - no wait is longer than it was meant to be, whatever the clock does: one that lies further
//!   ahead than its length was set by a clock that has gone back since, and begins anew.

use std::{collections::BTreeSet, time::Duration};

use midwatch_policy::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// Wait after the first attempt; it doubles from there.
const FIRST_WAIT: Duration = Duration::from_secs(2);
/// Longest wait between two attempts, unless the channel asks for more.
const LONGEST_WAIT: Duration = Duration::from_mins(1);
/// How long a channel may ask us to wait while there is another link: longer, and that is tried.
const PATIENCE: Duration = Duration::from_mins(1);
/// How long the last channel may ask us to wait.
const LAST_PATIENCE: Duration = Duration::from_mins(15);

/// One link of a chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    /// Name of the channel.
    pub channel: String,
    /// How long somebody has to acknowledge, once it is delivered. None: delivered is enough.
    pub ack_within: Option<Duration>,
    /// How often it is tried.
    pub attempts: u32,
}

/// How far a notice has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub(super) enum Phase {
    /// The link is tried at `due`.
    Trying {
        /// Attempts that failed.
        failed: u32,
        /// When.
        due: Timestamp,
        /// How long that was away when it was set.
        wait: Duration,
    },
    /// It is on its way.
    Sending {
        /// Attempts that failed before this one.
        failed: u32,
    },
    /// It is delivered; somebody has to acknowledge it before `due`.
    Waiting {
        /// Until when.
        due: Timestamp,
        /// How long that was away when it was set.
        wait: Duration,
    },
    /// It is delivered, and nobody has to acknowledge it.
    Delivered,
    /// A person has it.
    Acknowledged {
        /// Who.
        by: String,
    },
    /// It is not wanted any more.
    Cancelled,
    /// The chain is exhausted: nobody is known to have it.
    Failed {
        /// Why.
        why: String,
    },
}

impl Phase {
    /// As it is stored and shown.
    pub(super) const fn as_str(&self) -> &'static str {
        match self {
            Self::Trying { .. } => "trying",
            Self::Sending { .. } => "sending",
            Self::Waiting { .. } => "waiting",
            Self::Delivered => "delivered",
            Self::Acknowledged { .. } => "acknowledged",
            Self::Cancelled => "cancelled",
            Self::Failed { .. } => "failed",
        }
    }

    /// Whether nothing more will happen by itself.
    pub(super) const fn has_ended(&self) -> bool {
        matches!(self, Self::Delivered | Self::Acknowledged { .. } | Self::Cancelled | Self::Failed { .. })
    }

    /// When something is due, and how long that was away when it was set.
    pub(super) const fn due(&self) -> Option<(Timestamp, Duration)> {
        match self {
            Self::Trying { due, wait, .. } | Self::Waiting { due, wait } => Some((*due, *wait)),
            _ => None,
        }
    }
}

/// One notice on one chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Delivery {
    links: Vec<Link>,
    /// The link that is tried, or was last.
    at: usize,
    /// How far it has come.
    phase: Phase,
    /// Channels that took it, or may have.
    told: BTreeSet<String>,
    /// What went wrong last.
    problem: Option<String>,
}

/// What happens to a notice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Input {
    /// Time has passed.
    Tick,
    /// The channel took it.
    Taken(Try),
    /// The channel did not take it, and may later.
    NotNow {
        /// Which attempt.
        attempt: Try,
        /// Whether it may have it all the same: a time-out says nothing.
        perhaps: Perhaps,
        /// How long it asked us to wait.
        retry_after: Option<Duration>,
        /// Of a thousand: where in its range the wait lies.
        jitter: u16,
        /// What it said.
        problem: String,
    },
    /// The channel will not take it, or there is no such channel.
    Never {
        /// Which attempt.
        attempt: Try,
        /// What it said.
        problem: String,
    },
    /// A person has it.
    Acknowledge {
        /// Who.
        by: String,
    },
    /// It is not wanted any more.
    Cancel,
    /// The process was started anew.
    Restarted,
}

/// Whether a channel has a notice although it did not say so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Perhaps {
    /// It may.
    Has,
    /// It does not.
    HasNot,
}

/// One attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Try {
    /// Number of the link, from 0.
    pub link: usize,
    /// Attempts at it that failed before.
    pub failed: u32,
}

/// What has to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    /// Send it.
    Send {
        /// Over which channel.
        channel: String,
        /// Which attempt this is; its result names it.
        attempt: Try,
    },
    /// The link was left for the next.
    Left {
        /// The channel that was left.
        channel: String,
        /// Why.
        why: String,
    },
    /// The chain is exhausted.
    Exhausted {
        /// Why.
        why: String,
    },
}

impl Delivery {
    /// A notice at the beginning of its chain. A chain without links has failed.
    pub(super) fn begin(links: Vec<Link>, now: Timestamp) -> Self {
        let phase = if links.is_empty() {
            Phase::Failed { why: "the chain has no links".to_owned() }
        } else {
            Phase::Trying { failed: 0, due: now, wait: Duration::ZERO }
        };
        Self { links, at: 0, phase, told: BTreeSet::new(), problem: None }
    }

    /// How far it has come.
    pub(super) const fn phase(&self) -> &Phase {
        &self.phase
    }

    /// The channel of the link that is tried, or was last.
    pub(super) fn channel(&self) -> &str {
        self.links.get(self.at).map_or("", |link| link.channel.as_str())
    }

    /// Channels that took it, or may have.
    pub(super) const fn told(&self) -> &BTreeSet<String> {
        &self.told
    }

    /// What went wrong last.
    pub(super) fn problem(&self) -> Option<&str> {
        match &self.phase {
            Phase::Failed { why } => Some(why),
            _ => self.problem.as_deref(),
        }
    }

    /// The next state, and what has to be done.
    #[must_use]
    pub(super) fn step(mut self, input: Input, now: Timestamp) -> (Self, Vec<Effect>) {
        let effects = match input {
            Input::Tick => self.tick(now),
            Input::Taken(attempt) => self.taken(attempt, now),
            Input::NotNow { attempt, perhaps, retry_after, jitter, problem } => {
                if perhaps == Perhaps::Has {
                    self.tell(attempt);
                }
                self.not_now(attempt, retry_after, jitter, problem, now)
            }
            Input::Never { attempt, problem } => {
                if self.is_under_way(attempt) {
                    self.leave(problem, now)
                } else {
                    Vec::new()
                }
            }
            Input::Acknowledge { by } => {
                if !matches!(self.phase, Phase::Cancelled | Phase::Acknowledged { .. }) {
                    self.phase = Phase::Acknowledged { by };
                }
                Vec::new()
            }
            Input::Cancel => {
                if !self.phase.has_ended() {
                    self.phase = Phase::Cancelled;
                }
                Vec::new()
            }
            Input::Restarted => {
                if let Phase::Sending { failed } = self.phase {
                    // It may have arrived; sent again it has the same key.
                    self.tell(Try { link: self.at, failed });
                    self.phase = Phase::Trying { failed, due: now, wait: Duration::ZERO };
                }
                Vec::new()
            }
        };
        (self, effects)
    }

    fn tick(&mut self, now: Timestamp) -> Vec<Effect> {
        match &mut self.phase {
            Phase::Trying { failed, due, .. } if *due <= now => {
                let attempt = Try { link: self.at, failed: *failed };
                self.phase = Phase::Sending { failed: attempt.failed };
                vec![Effect::Send { channel: self.channel().to_owned(), attempt }]
            }
            Phase::Waiting { due, wait } if *due <= now => {
                let why = format!("nobody acknowledged within {}", minutes(*wait));
                self.leave(why, now)
            }
            Phase::Trying { due, wait, .. } | Phase::Waiting { due, wait } => {
                let longest = after(now, *wait);
                *due = (*due).min(longest);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn taken(&mut self, attempt: Try, now: Timestamp) -> Vec<Effect> {
        self.tell(attempt);
        if self.is_under_way(attempt) {
            self.problem = None;
            self.phase = match self.links.get(self.at).and_then(|link| link.ack_within) {
                Some(wait) => Phase::Waiting { due: after(now, wait), wait },
                None => Phase::Delivered,
            };
        }
        Vec::new()
    }

    fn not_now(
        &mut self,
        attempt: Try,
        retry_after: Option<Duration>,
        jitter: u16,
        problem: String,
        now: Timestamp,
    ) -> Vec<Effect> {
        if !self.is_under_way(attempt) {
            return Vec::new();
        }
        let failed = attempt.failed.saturating_add(1);
        let attempts = self.links.get(self.at).map_or(0, |link| link.attempts);
        let asked = retry_after.unwrap_or_default();
        let is_last = self.at + 1 >= self.links.len();
        if failed >= attempts || (asked > PATIENCE && !is_last) {
            return self.leave(problem, now);
        }
        let wait = backoff(failed, jitter).max(asked.min(LAST_PATIENCE));
        self.problem = Some(problem);
        self.phase = Phase::Trying { failed, due: after(now, wait), wait };
        Vec::new()
    }

    /// Goes to the next link at once, or fails.
    fn leave(&mut self, why: String, now: Timestamp) -> Vec<Effect> {
        let channel = self.channel().to_owned();
        let said = format!("{channel}: {why}");
        self.problem = Some(said.clone());
        let left = Effect::Left { channel, why };
        if self.at + 1 < self.links.len() {
            self.at += 1;
            self.phase = Phase::Trying { failed: 0, due: now, wait: Duration::ZERO };
            return vec![left];
        }
        self.phase = Phase::Failed { why: said.clone() };
        vec![left, Effect::Exhausted { why: said }]
    }

    fn is_under_way(&self, attempt: Try) -> bool {
        attempt.link == self.at && self.phase == Phase::Sending { failed: attempt.failed }
    }

    fn tell(&mut self, attempt: Try) {
        self.told.extend(self.links.get(attempt.link).map(|link| link.channel.clone()));
    }
}

/// `now` and `wait`; where time ends, the end of time.
fn after(now: Timestamp, wait: Duration) -> Timestamp {
    let wait = SignedDuration::try_from(wait).unwrap_or(SignedDuration::MAX);
    now.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// Between half of the exponential wait and all of it, so that notices that failed together do not
/// come again together.
fn backoff(failed: u32, jitter: u16) -> Duration {
    let full = FIRST_WAIT.saturating_mul(1 << failed.saturating_sub(1).min(16)).min(LONGEST_WAIT);
    full / 2 + full / 2 * u32::from(jitter.min(1000)) / 1000
}

fn minutes(wait: Duration) -> String {
    let seconds = wait.as_secs();
    if seconds >= 120 && seconds.is_multiple_of(60) {
        format!("{} min", seconds / 60)
    } else {
        format!("{seconds} s")
    }
}

#[cfg(test)]
mod tests;
