//! What is old enough to go, a little at a time.
//!
//! INVARIANTS:
//! - no ceiling is made wider: an incident that is not over, or that is worked on again, keeps
//!   everything; hours go only with whole days that are past, and the sums of days stay;
//! - what is asked for from before is answered with what is known of it, and with the day from which
//!   everything is there.

use std::{collections::HashSet, sync::Arc};

use midwatch_policy::Timestamp;
use rusqlite::{Connection, OptionalExtension, Transaction, params};

const HOUR: i64 = 3_600;
const DAY: i64 = 24 * HOUR;

/// The midnight, in UTC, of the day that a moment is in.
pub(super) fn midnight(at: Timestamp) -> Timestamp {
    let start = at.as_second().div_euclid(DAY).saturating_mul(DAY);
    Timestamp::from_second(start).unwrap_or(Timestamp::MIN)
}

/// Takes away incidents that were over before, with their calls and sums, and as many hours. `live`
/// are those that are worked on anew. Returns how many incidents, or lots of hours, went: fewer than
/// `most` when nothing is left.
pub(super) fn forget(
    on: &Transaction<'_>,
    before: Timestamp,
    most: u32,
    live: &HashSet<Arc<str>>,
) -> Result<u32, rusqlite::Error> {
    let before_ms = before.as_millisecond();
    let at_once = i64::from(most).saturating_add(i64::try_from(live.len()).unwrap_or(i64::MAX));
    let old = on
        .prepare_cached(
            "SELECT incident FROM incidents WHERE at < ?1 AND NOT EXISTS (SELECT 1 FROM calls
                 WHERE calls.incident = incidents.incident AND (calls.at >= ?1 OR calls.state = 0))
             ORDER BY at LIMIT ?2",
        )?
        .query_map(params![before_ms, at_once], |row| row.get::<_, String>(0))?
        .collect::<Result<Vec<String>, _>>()?;
    let mut gone = 0_u32;
    for incident in
        old.iter().filter(|id| !live.contains(id.as_str())).take(usize::try_from(most).unwrap_or(0))
    {
        on.prepare_cached("DELETE FROM calls WHERE incident = ?1")?.execute([incident])?;
        on.prepare_cached("DELETE FROM incidents WHERE incident = ?1")?.execute([incident])?;
        // All of its specialists: `0` is the sign after `/`.
        on.prepare_cached(
            "DELETE FROM sums WHERE scope = 'incident/' || ?1
                 OR (scope >= 'specialist/' || ?1 || '/' AND scope < 'specialist/' || ?1 || '0')",
        )?
        .execute([incident])?;
        gone = gone.saturating_add(1);
    }
    // Hours have six digits from 1981 to 2084: they are in order as text.
    let hour = before.as_second().div_euclid(HOUR);
    for of in ["hour", "service-hour"] {
        let hours = on
            .prepare_cached(
                "DELETE FROM sums WHERE scope IN (SELECT scope FROM sums
                     WHERE scope >= ?1 AND scope < ?2 ORDER BY scope LIMIT ?3)",
            )?
            .execute(params![format!("{of}/"), format!("{of}/{hour:06}"), most])?;
        gone = gone.max(u32::try_from(hours).unwrap_or(most));
    }
    if gone > 0 {
        on.execute(
            "INSERT INTO forgotten (one, before) VALUES (1, ?1)
             ON CONFLICT (one) DO UPDATE SET before = max(before, excluded.before)",
            [before_ms],
        )?;
    }
    Ok(gone)
}

/// From when on everything is there, if something was taken away.
pub(super) fn forgotten(connection: &Connection) -> Result<Option<Timestamp>, rusqlite::Error> {
    let version: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if version < 2 {
        return Ok(None);
    }
    let before: Option<i64> =
        connection.query_row("SELECT before FROM forgotten", [], |row| row.get(0)).optional()?;
    Ok(before.and_then(|before| Timestamp::from_millisecond(before).ok()))
}

/// What was spent on each day of a period, as midnights, from the sums that stay.
pub(super) fn days(
    connection: &Connection,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<(Timestamp, i64)>, rusqlite::Error> {
    let mut find = connection.prepare(
        "SELECT CAST(substr(scope, 5) AS INTEGER) AS day, amount FROM sums
                  WHERE scope >= 'day/' AND scope < 'day0' ORDER BY day",
    )?;
    let days = find.query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get(1)?)))?;
    let mut all = Vec::new();
    for found in days {
        let (day, amount) = found?;
        if let Ok(at) = Timestamp::from_second(day.saturating_mul(DAY))
            && at >= midnight(from)
            && at < to
        {
            all.push((at, amount));
        }
    }
    Ok(all)
}
