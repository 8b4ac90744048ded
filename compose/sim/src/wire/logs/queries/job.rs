//! One query on its way.

use crate::{
    insights::{Outcome, Query, Record},
    world::State,
};

/// Time in the queue, and the time after which a query is given up.
const QUEUED_MS: i64 = 60;
const TIMEOUT_MS: i64 = 60 * 60_000;

#[derive(Debug)]
pub(super) struct Job {
    pub(super) order: usize,
    pub(super) text: String,
    pub(super) query: Query,
    pub(super) limit: Option<usize>,
    pub(super) groups: Vec<String>,
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
    pub(super) started_ms: i64,
    /// How long it takes, from its start.
    pub(super) takes_ms: i64,
    pub(super) cancelled_ms: Option<i64>,
    pub(super) finished: Option<Outcome>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Status {
    Scheduled,
    Running,
    Complete,
    Cancelled,
    Timeout,
}

impl Status {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "Scheduled",
            Self::Running => "Running",
            Self::Complete => "Complete",
            Self::Cancelled => "Cancelled",
            Self::Timeout => "Timeout",
        }
    }

    pub(super) const fn under_way(self) -> bool {
        matches!(self, Self::Scheduled | Self::Running)
    }
}

impl Job {
    pub(super) fn status(&self, now_ms: i64) -> Status {
        let age = now_ms.saturating_sub(self.started_ms);
        match self.cancelled_ms {
            Some(_) => Status::Cancelled,
            None if age < QUEUED_MS => Status::Scheduled,
            None if age < self.takes_ms.min(TIMEOUT_MS) => Status::Running,
            None if self.takes_ms > TIMEOUT_MS => Status::Timeout,
            None => Status::Complete,
        }
    }

    /// How much of the records has been read, from 0 to 1.
    pub(super) fn progress(&self, now_ms: i64) -> f64 {
        let at = self.cancelled_ms.unwrap_or(now_ms);
        let age = at.saturating_sub(self.started_ms).clamp(0, TIMEOUT_MS);
        let working = (age - QUEUED_MS).max(0) as f64;
        (working / (self.takes_ms - QUEUED_MS).max(1) as f64).clamp(0.0, 1.0)
    }

    /// The outcome over the part that has been read.
    pub(super) fn evaluate(&self, state: &State, progress: f64) -> Outcome {
        let all: Vec<Record<'_>> = records(state, &self.groups, self.from_ms, self.until_ms, self.started_ms);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share of a length")]
        let read = (all.len() as f64 * progress).floor() as usize;
        self.query.run(all.into_iter().take(read), self.limit)
    }
}

/// What had arrived in some groups at a time. A huge group charges more than its lines have.
pub(super) fn records<'s>(
    state: &'s State,
    groups: &[String],
    from: i64,
    until: i64,
    visible: i64,
) -> Vec<Record<'s>> {
    let mut all = Vec::new();
    for group in groups {
        let factor = state.logs.scan_factor(group);
        all.extend(state.logs.events(group, from, until, visible).map(|event| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "bytes, not negative"
            )]
            let bytes = (event.message.len() as f64 * factor) as u64;
            Record {
                account: state.account(),
                group: &event.group,
                stream: &event.stream,
                timestamp_ms: event.timestamp_ms,
                ingestion_ms: event.ingestion_ms,
                message: &event.message,
                id: event.id,
                bytes,
            }
        }));
    }
    all
}
