//! Logs Insights, politely: a few queries at once, polled slowly, stopped when nobody waits.

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use aws_sdk_cloudwatchlogs::{
    Client,
    operation::get_query_results::GetQueryResultsOutput,
    types::{QueryStatistics, QueryStatus, ResultField},
};
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use jiff::{SignedDuration, civil::DateTime};
use midwatch_mcp::{AwsResult, ErrorKind, Progress, ToolError, Turns, Window, Work};
use midwatch_policy::{Clock, Timestamp};

use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{meter::Meter, running::Running};

/// How long a query may run before it is stopped and what it found so far is taken.
const DEADLINE: SignedDuration = SignedDuration::from_secs(45);
const FIRST_POLL: Duration = Duration::from_millis(150);
const SLOWEST_POLL: Duration = Duration::from_millis(1200);
/// Queries at once: an account has 30 in a region, and its people need some.
const AT_ONCE: usize = 10;
/// Longest wait for a turn; then the caller is told that too much is asked at once.
const LONGEST_WAIT: Duration = Duration::from_secs(20);

/// Less is no wait.
const WORTH_COUNTING: Duration = Duration::from_millis(5);

/// The rates an account shares with its people: five requests a second, with a small burst.
#[derive(Debug)]
pub(crate) struct Rates {
    start: DefaultDirectRateLimiter,
    poll: DefaultDirectRateLimiter,
    read: DefaultDirectRateLimiter,
    queries: Semaphore,
    turns: Turns,
}

impl Rates {
    pub(crate) fn new(turns: Turns) -> Self {
        let rate = |per_second: u32, burst: u32| {
            let n = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
            RateLimiter::direct(Quota::per_second(n(per_second)).allow_burst(n(burst)))
        };
        Self {
            start: rate(5, 10),
            poll: rate(8, 16),
            read: rate(5, 10),
            queries: Semaphore::new(AT_ONCE),
            turns,
        }
    }

    /// Waits for leave to read events.
    pub(crate) async fn read(&self) -> Result<(), ToolError> {
        self.turn("logs:FilterLogEvents", self.read.until_ready()).await
    }

    async fn poll(&self) -> Result<(), ToolError> {
        self.turn("logs:GetQueryResults", self.poll.until_ready()).await
    }

    /// Leave to run a query, for as long as it runs.
    async fn start(&self) -> Result<SemaphorePermit<'_>, ToolError> {
        let both = async {
            let leave = self.queries.acquire().await;
            self.start.until_ready().await;
            leave
        };
        self.turn("logs:StartQuery", both)
            .await?
            .map_err(|_| ToolError::internal("no queries are run any more"))
    }

    /// A turn, within a bounded time.
    async fn turn<T>(&self, api: &str, ready: impl Future<Output = T>) -> Result<T, ToolError> {
        let asked = tokio::time::Instant::now();
        let had = tokio::time::timeout(LONGEST_WAIT, ready).await;
        let waited = asked.elapsed();
        if waited >= WORTH_COUNTING {
            self.turns.waited(api, waited);
        }
        had.map_err(|_| {
            tracing::warn!(api, seconds = LONGEST_WAIT.as_secs(), "no turn within the account's rate");
            ToolError::new(
                ErrorKind::Throttled,
                format!(
                    "there was no turn for `{api}` within {} s: too much is asked at once",
                    LONGEST_WAIT.as_secs()
                ),
                "wait a little, then ask once more for less",
            )
        })
    }
}

/// One row: values by field, all text.
pub(crate) type Row = BTreeMap<String, String>;

/// What a query found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Answer {
    pub(crate) rows: Vec<Row>,
    /// Columns in the order of the first row.
    pub(crate) columns: Vec<String>,
    pub(crate) matched: u64,
    pub(crate) scanned: u64,
    pub(crate) bytes: u64,
    /// The query at AWS, which keeps its rows for a while.
    pub(crate) id: Option<String>,
    /// Why this is not all there is to find.
    pub(crate) partial: Option<&'static str>,
}

/// Runs queries for one account and region.
#[derive(Debug, Clone)]
pub(crate) struct Insights {
    pub(crate) client: Client,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) rates: Arc<Rates>,
    pub(crate) progress: Progress,
    pub(crate) meter: Meter,
    pub(crate) work: Work,
}

impl Insights {
    /// The same for one call: its progress is told, and its queries count against its bound.
    pub(crate) fn of_call(self, progress: &Progress, meter: &Meter) -> Self {
        Self { progress: progress.clone(), meter: meter.clone(), ..self }
    }

    /// The rows of a query that has ended.
    pub(crate) async fn results(&self, id: &str) -> Result<Answer, ToolError> {
        self.rates.poll().await?;
        let results =
            self.client.get_query_results().query_id(id).send().await.aws("logs:GetQueryResults")?;
        let partial = match results.status() {
            Some(QueryStatus::Complete) => None,
            _ => Some("the query did not end by itself: these are the results up to then"),
        };
        Ok(answer_of(id, results, partial))
    }

    /// Runs one query to its end, to the deadline, or until the call has scanned what it may.
    pub(crate) async fn run(
        &self,
        groups: &[String],
        window: Window,
        query: &str,
    ) -> Result<Answer, ToolError> {
        let _running = self.rates.start().await?;
        let started = self
            .client
            .start_query()
            .set_log_group_names(Some(groups.to_vec()))
            .start_time(window.from.as_second())
            .end_time(last_second(window.to))
            .query_string(query)
            .send()
            .await
            .aws("logs:StartQuery")
            // It may have begun.
            .inspect_err(|error| {
                if error.kind == ErrorKind::Timeout {
                    self.meter.cut();
                }
            })?;
        let id = started.query_id().ok_or_else(|| ToolError::internal("StartQuery gave no query id"))?;
        let mut running = Running::new(self, id);
        let mut counted = 0;

        let begun = self.clock.now();
        let mut pause = FIRST_POLL;
        loop {
            self.clock.sleep(pause).await;
            pause = (pause * 3 / 2).min(SLOWEST_POLL);
            self.rates.poll().await?;
            let results =
                self.client.get_query_results().query_id(id).send().await.aws("logs:GetQueryResults")?;
            let scanned = results.statistics().map_or(0.0, QueryStatistics::bytes_scanned);
            let more = whole(scanned).saturating_sub(counted);
            counted = counted.saturating_add(more);
            let is_too_much = self.meter.scanned(more);
            self.progress.step(|| format!("Logs Insights has scanned {:.1} MB", scanned / 1e6)).await;
            let failed = |message: &str| {
                ToolError::new(ErrorKind::Unavailable, message, "ask once more, or for a narrower window")
            };
            let status = results.status().cloned();
            let answer = |partial| answer_of(id, results, partial);
            match status {
                Some(QueryStatus::Complete) => {
                    running.ended();
                    return Ok(answer(None));
                }
                Some(QueryStatus::Failed) => {
                    running.ended();
                    return Err(failed("the Logs Insights query failed"));
                }
                Some(QueryStatus::Cancelled) => {
                    running.ended();
                    return Err(failed("someone stopped the Logs Insights query"));
                }
                Some(QueryStatus::Timeout) => {
                    running.ended();
                    return Ok(answer(Some("the query timed out at AWS: these are the results up to then")));
                }
                _ if is_too_much => {
                    return Ok(answer(Some(
                        "the query was stopped, since it scanned more than was expected: these are the results up to then",
                    )));
                }
                _ if self.clock.now().duration_since(begun) > DEADLINE => {
                    // `running` stops the query when it is dropped.
                    return Ok(answer(Some(
                        "the query was stopped after 45 s: these are the results up to then",
                    )));
                }
                _ => {}
            }
        }
    }
}

fn answer_of(id: &str, results: GetQueryResultsOutput, partial: Option<&'static str>) -> Answer {
    let statistic = |of: fn(&QueryStatistics) -> f64| whole(results.statistics().map_or(0.0, of));
    Answer {
        columns: results.results().first().map(|row| columns_of(row)).unwrap_or_default(),
        matched: statistic(QueryStatistics::records_matched),
        scanned: statistic(QueryStatistics::records_scanned),
        bytes: statistic(QueryStatistics::bytes_scanned),
        id: Some(id.to_owned()),
        partial,
        // Moved, not copied: these may be many megabytes.
        rows: results.results.unwrap_or_default().into_iter().map(row_of).collect(),
    }
}

/// The range of StartQuery is inclusive and counts whole seconds. Rather one second too many, which
/// whoever reads single events leaves out again, than the last one lost.
fn last_second(to: Timestamp) -> i64 {
    if to.subsec_nanosecond() == 0 { to.as_second() } else { to.as_second() + 1 }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped; counts are whole")]
pub(crate) fn whole(count: f64) -> u64 {
    count.clamp(0.0, 9e15) as u64
}

fn row_of(fields: Vec<ResultField>) -> Row {
    fields.into_iter().filter_map(|f| Some((f.field?, f.value.unwrap_or_default()))).collect()
}

fn columns_of(fields: &[ResultField]) -> Vec<String> {
    fields.iter().filter_map(|f| f.field()).filter(|name| *name != "@ptr").map(str::to_owned).collect()
}

/// A time as Insights writes it: `2026-11-21 06:25:00.796`, or milliseconds since 1970.
pub(crate) fn time_of(text: &str) -> Option<Timestamp> {
    if let Ok(millis) = text.parse::<f64>() {
        #[allow(clippy::cast_possible_truncation, reason = "out of range is refused by jiff")]
        return Timestamp::from_millisecond(millis as i64).ok();
    }
    let civil: DateTime = text.trim_end_matches('Z').parse().ok()?;
    civil.to_zoned(jiff::tz::TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_insights_are_utc() {
        let expected: Timestamp = "2026-11-21T06:25:00.796Z".parse().unwrap();
        assert_eq!(time_of("2026-11-21 06:25:00.796"), Some(expected));
        assert_eq!(time_of("1795242300796"), Some(expected));
        assert_eq!(time_of("1.795242300796E12"), Some(expected));
        assert_eq!(time_of("soon"), None);
    }

    #[test]
    fn the_last_second_of_a_window_is_asked_for() {
        assert_eq!(last_second("1970-01-01T00:01:00Z".parse().unwrap()), 60);
        assert_eq!(last_second("1970-01-01T00:01:00.5Z".parse().unwrap()), 61);
    }
}
