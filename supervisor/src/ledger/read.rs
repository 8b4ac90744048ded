//! The books, read: what was spent, by what. Another process may be writing them.

use std::path::{Path, PathBuf};

use midwatch_policy::Timestamp;
use rusqlite::{Connection, Row, params};
use serde::Serialize;

use super::{
    LedgerError, Savings, forget, savings,
    store::{count, explain, open_to_read},
};

/// What lines stand for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// Days, in UTC.
    Day,
    /// Services.
    Service,
    /// Models, and what is no model.
    Model,
    /// Specialists.
    Specialist,
    /// Incidents.
    Incident,
}

impl By {
    const fn column(self) -> &'static str {
        match self {
            Self::Day => "strftime('%Y-%m-%d', at / 1000, 'unixepoch')",
            Self::Service => "coalesce(service, '')",
            Self::Model => "coalesce(model, kind)",
            Self::Specialist => "coalesce(specialist, kind)",
            Self::Incident => "incident",
        }
    }
}

/// From and to, in the milliseconds that calls are stamped with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Period {
    /// The first moment in it.
    pub from: Timestamp,
    /// The first moment after it.
    pub to: Timestamp,
}

impl Period {
    /// All of time.
    pub const ALL: Self = Self { from: Timestamp::MIN, to: Timestamp::MAX };

    pub(super) fn bounds(self) -> (i64, i64) {
        (self.from.as_millisecond(), self.to.as_millisecond())
    }
}

/// What was spent on one thing.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Line {
    /// The day, service, model, …
    pub key: String,
    /// Calls that could cost something.
    pub calls: u64,
    /// Input tokens at the full price.
    pub input_tokens: u64,
    /// Input tokens that were read from the provider's cache.
    pub cache_read_tokens: u64,
    /// Input tokens that were written to it.
    pub cache_write_tokens: u64,
    /// Output tokens.
    pub output_tokens: u64,
    /// Bytes scanned, or queries, of what is no model.
    pub units: u64,
    /// Cost.
    pub cost_micro_usd: u64,
    /// Of that, assumed in full because nobody said what was used.
    pub assumed_micro_usd: u64,
    /// Cost beyond what was reserved: a defect of the bound.
    pub beyond_micro_usd: u64,
    /// Set aside for calls that are under way.
    pub reserved_micro_usd: u64,
    /// Calls that a crash left open.
    pub left_open: u64,
}

/// What is known of days whose calls were taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Earlier {
    /// From here on every call is there.
    pub complete_from: Timestamp,
    /// What was spent on each day before, in order.
    pub days: Vec<Day>,
    /// All of those days together.
    pub cost_micro_usd: u64,
}

/// One day's sum.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// The day, in UTC, such as `2026-03-09`.
    pub day: String,
    /// Cost.
    pub cost_micro_usd: u64,
}

/// A ledger that is only read.
#[derive(Debug)]
pub struct Books {
    connection: Connection,
    path: PathBuf,
}

impl Books {
    /// The books of a file.
    pub fn open(path: &Path) -> Result<Self, LedgerError> {
        Ok(Self { connection: open_to_read(path)?, path: path.to_owned() })
    }

    /// Lines of a period: days in order, everything else dearest first.
    pub fn lines(&self, by: By, period: Period) -> Result<Vec<Line>, LedgerError> {
        let order = if by == By::Day { "key" } else { "cost DESC, key" };
        self.query(by.column(), order, period).map_err(|error| explain(&self.path, &error))
    }

    /// The sum of a period.
    pub fn total(&self, period: Period) -> Result<Line, LedgerError> {
        let all = self.query("'total'", "key", period).map_err(|error| explain(&self.path, &error))?;
        Ok(all.into_iter().next().unwrap_or_else(|| Line { key: "total".to_owned(), ..Line::default() }))
    }

    /// What caching, first light and early routing saved in a period.
    pub fn savings(&self, period: Period) -> Result<Savings, LedgerError> {
        savings::read(&self.connection, period).map_err(|error| explain(&self.path, &error))
    }

    /// What is known of the days of a period whose calls were taken away; nothing where all are there.
    pub fn earlier(&self, period: Period) -> Result<Option<Earlier>, LedgerError> {
        let read = || {
            let Some(complete_from) = forget::forgotten(&self.connection)?.filter(|at| period.from < *at)
            else {
                return Ok(None);
            };
            let days = forget::days(&self.connection, (period.from, period.to.min(complete_from)))?;
            let of = |(at, amount): (Timestamp, i64)| Day {
                day: at.strftime("%Y-%m-%d").to_string(),
                cost_micro_usd: count(amount),
            };
            let days: Vec<Day> = days.into_iter().map(of).collect();
            let cost_micro_usd = days.iter().fold(0, |sum: u64, day| sum.saturating_add(day.cost_micro_usd));
            Ok(Some(Earlier { complete_from, days, cost_micro_usd }))
        };
        read().map_err(|error| explain(&self.path, &error))
    }

    fn query(&self, key: &str, order: &str, period: Period) -> Result<Vec<Line>, rusqlite::Error> {
        let sql = format!(
            "SELECT {key} AS key, count(*), sum(input), sum(cache_read), sum(cache_write), sum(output),
                sum(units), sum(cost) AS cost, sum(iif(assumed, cost, 0)),
                sum(iif(state = 0, 0, max(cost - reserved, 0))), sum(iif(state = 0, reserved, 0)),
                sum(state = 2)
             FROM calls WHERE at >= ? AND at < ? GROUP BY 1 ORDER BY {order}"
        );
        let (from, to) = period.bounds();
        self.connection.prepare(&sql)?.query_map(params![from, to], line)?.collect()
    }
}

fn line(row: &Row<'_>) -> Result<Line, rusqlite::Error> {
    let number = |at: usize| row.get::<_, i64>(at).map(count);
    Ok(Line {
        key: row.get(0)?,
        calls: number(1)?,
        input_tokens: number(2)?,
        cache_read_tokens: number(3)?,
        cache_write_tokens: number(4)?,
        output_tokens: number(5)?,
        units: number(6)?,
        cost_micro_usd: number(7)?,
        assumed_micro_usd: number(8)?,
        beyond_micro_usd: number(9)?,
        reserved_micro_usd: number(10)?,
        left_open: number(11)?,
    })
}
