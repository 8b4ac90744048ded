//! Incidents that have to come to an outcome: a timer each, in the same file as what is sent when
//! it runs out, and on its own: whether anything still works on the incident makes no difference.

use std::time::Duration;

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Transaction, params};

use super::{super::notice::About, Failure};
use crate::alarm::Alarm;

/// How many overdue incidents are told of at a time.
const AT_A_TIME: u32 = 200;

/// An incident without an outcome.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::deliver) struct Watch {
    /// What it is about.
    pub(in crate::deliver) about: About,
    /// Its alarm, to be passed on.
    pub(in crate::deliver) alarm: Alarm,
    /// Since when.
    pub(in crate::deliver) since: Timestamp,
    /// When people are told.
    pub(in crate::deliver) due: Timestamp,
    /// How often they were told already.
    pub(in crate::deliver) nth: u32,
}

/// Begins to wait; one that waits already waits on as it did, and one that a person has is not
/// waited for.
pub(super) fn arm(tx: &Transaction<'_>, watch: &Watch) -> Result<(), Failure> {
    tx.prepare_cached(
        "INSERT INTO watches (incident, nth, since_ms, set_ms, due_ms, about, alarm) \
         SELECT ?1, ?2, ?3, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM acknowledged WHERE incident = ?1) \
         ON CONFLICT (incident) DO NOTHING",
    )?
    .execute(params![
        watch.about.incident.as_str(),
        watch.nth,
        watch.since.as_millisecond(),
        watch.due.as_millisecond(),
        serde_json::to_string(&watch.about)?,
        serde_json::to_string(&watch.alarm)?,
    ])?;
    Ok(())
}

/// There is an outcome, or a person has it.
pub(super) fn forget(tx: &Transaction<'_>, incident: &IncidentId) -> Result<(), Failure> {
    tx.execute("DELETE FROM watches WHERE incident = ?1", [incident.as_str()])?;
    Ok(())
}

/// Incidents that are waited for.
pub(super) fn all(tx: &Transaction<'_>) -> Result<Vec<IncidentId>, Failure> {
    let mut statement = tx.prepare_cached("SELECT incident FROM watches")?;
    let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
    let incidents = rows.collect::<Result<Vec<String>, _>>()?;
    Ok(incidents.into_iter().filter_map(|incident| IncidentId::parse(incident).ok()).collect())
}

/// A timer that a clock set which has gone back since begins anew, in its length.
pub(super) fn clamp(tx: &Transaction<'_>, now: Timestamp) -> Result<(), Failure> {
    tx.execute(
        "UPDATE watches SET due_ms = ?1 + (due_ms - set_ms), set_ms = ?1 WHERE set_ms > ?1",
        [now.as_millisecond()],
    )?;
    Ok(())
}

/// Those whose time is over, the longest first.
pub(super) fn overdue(tx: &Transaction<'_>, now: Timestamp) -> Result<Vec<Watch>, Failure> {
    let sql =
        "SELECT nth, since_ms, due_ms, about, alarm FROM watches WHERE due_ms <= ?1 ORDER BY due_ms LIMIT ?2";
    let mut statement = tx.prepare_cached(sql)?;
    let rows = statement.query_map(params![now.as_millisecond(), AT_A_TIME], |row| {
        Ok((
            row.get::<_, u32>(0)?,
            row.get::<_, i64>(1)?,
            row.get::<_, i64>(2)?,
            row.get::<_, String>(3)?,
            row.get::<_, String>(4)?,
        ))
    })?;
    let time = |ms| Timestamp::from_millisecond(ms).unwrap_or(now);
    let mut watches = Vec::new();
    for row in rows {
        let (nth, since, due, about, alarm) = row?;
        if let (Ok(about), Ok(alarm)) = (serde_json::from_str(&about), serde_json::from_str(&alarm)) {
            watches.push(Watch { about, alarm, since: time(since), due: time(due), nth });
        } else {
            // The others must not wait for it.
            tracing::error!("an alarm in the outbox cannot be read");
        }
    }
    Ok(watches)
}

/// Counts that people are told, and begins to wait for the next time. False where that was done
/// already, or there is an outcome meanwhile.
pub(super) fn advance(
    tx: &Transaction<'_>,
    watch: &Watch,
    again: Duration,
    now: Timestamp,
) -> Result<bool, Failure> {
    let now_ms = now.as_millisecond();
    let due = now_ms.saturating_add(i64::try_from(again.as_millis()).unwrap_or(i64::MAX));
    let changed = tx.execute(
        "UPDATE watches SET nth = nth + 1, set_ms = ?3, due_ms = ?4 WHERE incident = ?1 AND nth = ?2",
        params![watch.about.incident.as_str(), watch.nth, now_ms, due],
    )?;
    Ok(changed == 1)
}
