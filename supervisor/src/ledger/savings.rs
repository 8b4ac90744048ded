//! What was not spent, measured from the books.
//!
//! Caching is exact: each call keeps what it would have cost uncached. What an incident that no
//! specialist looked at would have cost is not known; the mean of those that were looked at stands
//! for it, and where there are none, nothing is claimed.

use rusqlite::{Connection, params};
use serde::Serialize;

use super::{Period, store::count};

/// Outcomes that needed no person.
const CLOSED: &str = "('closed_transient', 'recovered', 'resolved')";

/// What was not spent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Savings {
    /// Cached tokens at the full price, less what they cost; below zero where writing the cache
    /// cost more than reading it saved.
    pub caching_micro_usd: i64,
    /// Share of input tokens that were read from the cache, in percent.
    pub cache_hit_percent: u64,
    /// Incidents that are over.
    pub incidents: u64,
    /// Incidents that specialists on a paid model looked at.
    pub investigated: u64,
    /// Mean cost of those.
    pub investigated_mean_micro_usd: Option<u64>,
    /// Incidents that closed without a paid model: first light was enough.
    pub closed_by_first_light: u64,
    /// What they would have cost at that mean.
    pub first_light_micro_usd: Option<u64>,
    /// Incidents that closed after the router alone.
    pub closed_by_routing: u64,
    /// What they would have cost at that mean, less what they did cost.
    pub routing_micro_usd: Option<u64>,
}

pub(super) fn read(connection: &Connection, period: Period) -> Result<Savings, rusqlite::Error> {
    let (from, to) = period.bounds();
    let (caching_micro_usd, cached, all): (i64, i64, i64) = connection.query_row(
        "SELECT coalesce(sum(uncached - cost), 0), coalesce(sum(cache_read), 0),
            coalesce(sum(input + cache_read + cache_write), 0)
         FROM calls WHERE at >= ? AND at < ? AND state <> 0",
        params![from, to],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)),
    )?;
    let sql = format!(
        "WITH each AS (
            SELECT i.outcome IN {CLOSED} AS closed, coalesce(sum(c.cost), 0) AS cost,
                count(c.id) AS calls, coalesce(max(c.specialist <> 'router'), 0) AS looked
            FROM incidents i LEFT JOIN calls c ON c.incident = i.incident AND c.kind = 'model'
            WHERE i.at >= ? AND i.at < ? GROUP BY i.incident)
         SELECT count(*), coalesce(sum(looked), 0), coalesce(sum(iif(looked, cost, 0)), 0),
            coalesce(sum(closed AND calls = 0), 0),
            coalesce(sum(closed AND calls > 0 AND NOT looked), 0),
            coalesce(sum(iif(closed AND calls > 0 AND NOT looked, cost, 0)), 0)
         FROM each"
    );
    connection.query_row(&sql, params![from, to], |row| {
        let number = |at: usize| row.get::<_, i64>(at).map(count);
        let (investigated, cost) = (number(1)?, number(2)?);
        let mean = cost.checked_div(investigated);
        let (first_light, routing, routing_cost) = (number(3)?, number(4)?, number(5)?);
        Ok(Savings {
            caching_micro_usd,
            cache_hit_percent: count(cached).saturating_mul(100).checked_div(count(all)).unwrap_or(0),
            incidents: number(0)?,
            investigated,
            investigated_mean_micro_usd: mean,
            closed_by_first_light: first_light,
            first_light_micro_usd: mean.map(|mean| mean.saturating_mul(first_light)),
            closed_by_routing: routing,
            routing_micro_usd: mean.map(|mean| mean.saturating_mul(routing).saturating_sub(routing_cost)),
        })
    })
}
