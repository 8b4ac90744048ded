//! How many executions began and how they ended, in a window and in its baseline. Pure.

use jiff::Timestamp;
use midwatch_mcp::{Time, Window};
use schemars::JsonSchema;
use serde::Serialize;

/// How an execution stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// It goes on, or waits to be redriven.
    Running,
    /// It ended well.
    Succeeded,
    /// A state failed and nothing caught it.
    Failed,
    /// It ran longer than it may.
    TimedOut,
    /// Somebody stopped it.
    Aborted,
}

impl Status {
    /// As the API writes it; what is new to us counts as running.
    pub(crate) fn of(status: &str) -> Self {
        match status {
            "SUCCEEDED" => Self::Succeeded,
            "FAILED" => Self::Failed,
            "TIMED_OUT" => Self::TimedOut,
            "ABORTED" => Self::Aborted,
            _ => Self::Running,
        }
    }

    /// Whether it ended by itself, and badly.
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::TimedOut)
    }
}

/// One execution, as it is listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Its ARN.
    pub arn: String,
    /// Its name.
    pub name: String,
    /// How it stands.
    pub status: Status,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
}

impl Run {
    /// How long it took, in seconds to a tenth.
    pub fn seconds(&self) -> Option<f64> {
        Some(tenths(self.ended_at?.duration_since(self.started_at).as_secs_f64()))
    }
}

/// Seconds to a tenth.
pub(crate) fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}

/// The executions that began in a window.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Counts {
    /// Begin of the window.
    pub from: Time,
    /// End of the window, exclusive.
    pub to: Time,
    /// Began in it.
    pub started: u64,
    /// Of those: still running.
    pub running: u64,
    /// Ended well.
    pub succeeded: u64,
    /// Failed in a state.
    pub failed: u64,
    /// Ran longer than they may.
    pub timed_out: u64,
    /// Were stopped by somebody.
    pub aborted: u64,
    /// Failed and timed out, of those that ended by themselves, 0 to 1. Absent where none ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_share: Option<f64>,
    /// Median duration of those that succeeded, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub median_seconds: Option<f64>,
}

/// How failures stand against the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Failures where the baseline had none.
    New,
    /// A clearly larger share fails.
    More,
    /// About as many as before, or too few to tell.
    Steady,
    /// A clearly smaller share fails.
    Less,
    /// Nothing began any more, where some had begun in the baseline.
    Stopped,
    /// Nothing failed, before or now.
    None,
}

/// Counts the executions that began in a window.
pub fn count<'a>(runs: impl IntoIterator<Item = &'a Run>, window: Window) -> Counts {
    let mut counts = Counts {
        from: window.from.into(),
        to: window.to.into(),
        started: 0,
        running: 0,
        succeeded: 0,
        failed: 0,
        timed_out: 0,
        aborted: 0,
        failed_share: None,
        median_seconds: None,
    };
    let mut seconds: Vec<f64> = Vec::new();
    for run in runs.into_iter().filter(|run| window.contains(run.started_at)) {
        counts.started += 1;
        match run.status {
            Status::Running => counts.running += 1,
            Status::Succeeded => {
                counts.succeeded += 1;
                seconds.extend(run.seconds());
            }
            Status::Failed => counts.failed += 1,
            Status::TimedOut => counts.timed_out += 1,
            Status::Aborted => counts.aborted += 1,
        }
    }
    let bad = counts.failed + counts.timed_out;
    let ended = bad + counts.succeeded;
    counts.failed_share = (ended > 0).then(|| (bad as f64 / ended as f64 * 1000.0).round() / 1000.0);
    seconds.sort_by(f64::total_cmp);
    counts.median_seconds = seconds.get(seconds.len() / 2).copied();
    counts
}

/// Compares the shares that fail. Two of very few say nothing: the difference has to be larger
/// than twice its standard error.
pub fn compare(window: &Counts, baseline: &Counts) -> Change {
    let bad = |counts: &Counts| (counts.failed + counts.timed_out) as f64;
    let ended = |counts: &Counts| bad(counts) + counts.succeeded as f64;
    if window.started == 0 && baseline.started >= 3 {
        return Change::Stopped;
    }
    let (now, before) = (bad(window), bad(baseline));
    if now + before == 0.0 {
        return Change::None;
    }
    let (all, all_before) = (ended(window), ended(baseline));
    if before == 0.0 && now > 0.0 && all_before >= 3.0 {
        return Change::New;
    }
    if all == 0.0 || all_before == 0.0 {
        return Change::Steady;
    }
    let pooled = (now + before) / (all + all_before);
    let error = (pooled * (1.0 - pooled) * (1.0 / all + 1.0 / all_before)).sqrt();
    let difference = now / all - before / all_before;
    match () {
        () if difference > 2.0 * error && difference > 0.0 => Change::More,
        () if difference < -2.0 * error => Change::Less,
        () => Change::Steady,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(from: i64, to: i64) -> Window {
        let at = |second| Timestamp::from_second(second).unwrap();
        Window { from: at(from), to: at(to) }
    }

    fn runs(from: i64, statuses: &[(Status, usize)]) -> Vec<Run> {
        let all = statuses.iter().flat_map(|(status, n)| std::iter::repeat_n(*status, *n));
        all.enumerate()
            .map(|(n, status)| {
                let started_at = Timestamp::from_second(from + i64::try_from(n).unwrap()).unwrap();
                let ended_at = started_at.checked_add(jiff::SignedDuration::from_millis(2_340)).unwrap();
                Run {
                    arn: String::new(),
                    name: n.to_string(),
                    status,
                    started_at,
                    ended_at: (status != Status::Running).then_some(ended_at),
                }
            })
            .collect()
    }

    #[test]
    fn only_what_began_in_the_window_counts() {
        let all = runs(100, &[(Status::Failed, 2), (Status::Succeeded, 5), (Status::Running, 3)]);
        let counts = count(&all, window(101, 109));
        assert_eq!((counts.started, counts.failed, counts.succeeded, counts.running), (8, 1, 5, 2));
        assert_eq!((counts.failed_share, counts.median_seconds), (Some(0.167), Some(2.3)));
        let none = count(&all, window(0, 1));
        assert_eq!((none.started, none.failed_share, none.median_seconds), (0, None, None));
    }

    #[test]
    fn a_few_more_failures_are_no_change_and_many_are() {
        type Runs = &'static [(Status, usize)];
        use Status::{Aborted, Failed, Succeeded, TimedOut};
        let of = |statuses: &[(Status, usize)]| count(&runs(0, statuses), window(0, 10_000));
        let table: [(Runs, Runs, Change); 9] = [
            (&[(Succeeded, 9)], &[(Succeeded, 9)], Change::None),
            (&[(Succeeded, 3), (Failed, 6)], &[(Succeeded, 9)], Change::New),
            (&[(TimedOut, 6)], &[(Succeeded, 9)], Change::New),
            (&[(Succeeded, 40), (Failed, 3)], &[(Succeeded, 40), (Failed, 2)], Change::Steady),
            (&[(Succeeded, 20), (Failed, 20)], &[(Succeeded, 40), (Failed, 2)], Change::More),
            (&[(Succeeded, 40), (Failed, 2)], &[(Succeeded, 20), (Failed, 20)], Change::Less),
            (&[], &[(Succeeded, 9)], Change::Stopped),
            (&[(Failed, 1)], &[], Change::Steady),
            (&[(Aborted, 9)], &[(Succeeded, 9)], Change::None),
        ];
        for (now, before, expected) in table {
            assert_eq!(compare(&of(now), &of(before)), expected, "{now:?} {before:?}");
        }
    }
}
