//! Notices as rows. What is searched by stands in columns; the rest is JSON.

use std::collections::BTreeSet;

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Params, Transaction, params};

use super::{
    super::{
        chain::{Delivery, Effect, Input, Try},
        notice::{Kind, Notice},
        view::NoticeView,
    },
    Failure,
};

/// One notice on one chain.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) key: String,
    pub(super) route: String,
    /// The channel it is on its way to. Not always in its phase: what is cancelled may still be.
    pub(super) flight: Option<String>,
    pub(super) notice: Notice,
    pub(super) delivery: Delivery,
}

/// A notice that was taken to be sent.
#[derive(Debug)]
pub(in crate::deliver) struct Claimed {
    pub(in crate::deliver) seq: i64,
    pub(in crate::deliver) channel: String,
    pub(in crate::deliver) attempt: Try,
    pub(in crate::deliver) notice: Notice,
    /// The same on every attempt at this link.
    pub(in crate::deliver) key: String,
}

/// Which notices of an incident are meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::deliver) enum Scope {
    /// All that want a person.
    Incident,
    /// The request with this id.
    Request(String),
}

impl Scope {
    pub(super) fn covers(&self, notice: &Notice) -> bool {
        match self {
            Self::Incident => notice.kind.wants_a_person(),
            Self::Request(id) => notice.kind == Kind::Approval && notice.subject == *id,
        }
    }
}

/// Rows that meet a condition. One that cannot be read has failed, visibly, and holds nothing up.
pub(super) fn select(
    tx: &Transaction<'_>,
    condition: &str,
    values: impl Params,
) -> Result<Vec<Row>, rusqlite::Error> {
    let sql = format!("SELECT seq, key, route, flight, notice, delivery FROM deliveries WHERE {condition}");
    let mut statement = tx.prepare_cached(&sql)?;
    let raw = statement.query_map(values, |row| {
        Ok((
            row.get::<_, i64>(0)?,
            row.get::<_, String>(1)?,
            row.get::<_, String>(2)?,
            row.get::<_, Option<String>>(3)?,
            row.get::<_, String>(4)?,
            row.get::<_, String>(5)?,
        ))
    })?;
    let mut rows = Vec::new();
    for raw in raw {
        let (seq, key, route, flight, notice, delivery) = raw?;
        if let (Ok(notice), Ok(delivery)) = (serde_json::from_str(&notice), serde_json::from_str(&delivery)) {
            rows.push(Row { seq, key, route, flight, notice, delivery });
            continue;
        }
        tracing::error!(key, "a notice in the outbox cannot be read");
        let problem = "the outbox holds it in a form that cannot be read";
        tx.execute(
            "UPDATE deliveries SET phase = 'failed', flight = NULL, problem = ?2 WHERE seq = ?1",
            params![seq, problem],
        )?;
    }
    Ok(rows)
}

/// All rows of an incident, oldest first.
pub(super) fn of_incident(tx: &Transaction<'_>, incident: &IncidentId) -> Result<Vec<Row>, rusqlite::Error> {
    select(tx, "incident = ?1 ORDER BY seq", [incident.as_str()])
}

/// Takes what is due for a channel, but nothing of an incident that has something on its way to it.
pub(super) fn claim(
    tx: &Transaction<'_>,
    channel: &str,
    most: usize,
    now: Timestamp,
) -> Result<Vec<Claimed>, Failure> {
    let condition = "phase = 'trying' AND channel = ?1 AND due_ms <= ?2 AND flight IS NULL AND NOT EXISTS \
                     (SELECT 1 FROM deliveries other WHERE other.flight = ?1 \
                      AND other.incident = deliveries.incident) \
                     ORDER BY priority, due_ms, seq LIMIT ?3";
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut busy = BTreeSet::new();
    let mut claimed = Vec::new();
    for mut row in select(tx, condition, params![channel, now.as_millisecond(), most])? {
        // Columns hold milliseconds; the chain is exact.
        let is_due = row.delivery.phase().due().is_some_and(|(due, _)| due <= now);
        if !is_due || !busy.insert(row.notice.about.incident.clone()) {
            continue;
        }
        row.flight = Some(channel.to_owned());
        let (seq, notice) = (row.seq, row.notice.clone());
        let key = row.key.clone();
        for effect in step(tx, row, Input::Tick, now)? {
            if let Effect::Send { channel, attempt } = effect {
                let key = format!("{key}#{}", attempt.link);
                claimed.push(Claimed { seq, channel, attempt, notice: notice.clone(), key });
            }
        }
    }
    Ok(claimed)
}

/// Makes one step and keeps what came of it.
pub(super) fn step(
    tx: &Transaction<'_>,
    row: Row,
    input: Input,
    now: Timestamp,
) -> Result<Vec<Effect>, Failure> {
    let had_ended = row.delivery.phase().has_ended();
    let (delivery, effects) = row.delivery.step(input, now);
    for effect in &effects {
        match effect {
            Effect::Send { .. } => {}
            Effect::Left { channel, why } => {
                tracing::warn!(key = row.key, channel, why, "a channel was left for the next");
            }
            Effect::Exhausted { why } => {
                tracing::error!(key = row.key, why, "nobody could be told");
            }
        }
    }
    let (set_ms, due_ms) = times(&delivery);
    let ends = delivery.phase().has_ended() && !had_ended;
    tx.prepare_cached(
        "UPDATE deliveries SET channel = ?2, phase = ?3, set_ms = ?4, due_ms = ?5, flight = ?6, \
         ended_ms = CASE WHEN ?7 THEN ?8 ELSE ended_ms END, problem = ?9, delivery = ?10 WHERE seq = ?1",
    )?
    .execute(params![
        row.seq,
        delivery.channel(),
        delivery.phase().as_str(),
        set_ms,
        due_ms,
        row.flight,
        ends,
        now.as_millisecond(),
        delivery.problem(),
        serde_json::to_string(&delivery)?,
    ])?;
    Ok(effects)
}

/// When something is due, and when that was set: what lies ahead of the clock was set by one that
/// has gone back since.
fn times(delivery: &Delivery) -> (Option<i64>, Option<i64>) {
    match delivery.phase().due() {
        Some((due, wait)) => {
            let due = due.as_millisecond();
            (Some(due.saturating_sub(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX))), Some(due))
        }
        None => (None, None),
    }
}

/// Keeps a new row; none is written where there is one of its key. Returns how many were written.
pub(super) fn insert(tx: &Transaction<'_>, row: &Row, now: Timestamp) -> Result<usize, Failure> {
    let (set_ms, due_ms) = times(&row.delivery);
    let now_ms = now.as_millisecond();
    let written = tx
        .prepare_cached(
            "INSERT INTO deliveries (key, route, incident, kind, priority, channel, phase, set_ms, due_ms, \
             made_ms, ended_ms, problem, notice, delivery) \
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14) \
             ON CONFLICT (key) DO NOTHING",
        )?
        .execute(params![
            row.key,
            row.route,
            row.notice.about.incident.as_str(),
            row.notice.kind.as_str(),
            row.notice.kind.priority(),
            row.delivery.channel(),
            row.delivery.phase().as_str(),
            set_ms,
            due_ms,
            now_ms,
            row.delivery.phase().has_ended().then_some(now_ms),
            row.delivery.problem(),
            serde_json::to_string(&row.notice)?,
            serde_json::to_string(&row.delivery)?,
        ])?;
    Ok(written)
}

/// What people are shown of rows; read from columns, so that a damaged row shows as well.
pub(super) fn views(
    tx: &Transaction<'_>,
    condition: &str,
    values: impl Params,
) -> Result<Vec<NoticeView>, rusqlite::Error> {
    let sql = format!(
        "SELECT key, route, incident, kind, channel, phase, due_ms, made_ms, ended_ms, problem, \
         CASE WHEN json_valid(notice) THEN notice ->> '$.headline' END FROM deliveries WHERE {condition}"
    );
    let time = |ms: Option<i64>| ms.and_then(|ms| Timestamp::from_millisecond(ms).ok());
    let mut statement = tx.prepare_cached(&sql)?;
    let rows = statement.query_map(values, |row| {
        Ok(NoticeView {
            key: row.get(0)?,
            route: row.get(1)?,
            incident: row.get(2)?,
            kind: row.get(3)?,
            channel: row.get(4)?,
            phase: row.get(5)?,
            due: time(row.get(6)?),
            made_at: time(row.get(7)?).unwrap_or_default(),
            ended_at: time(row.get(8)?),
            problem: row.get(9)?,
            headline: row.get::<_, Option<String>>(10)?.unwrap_or_default(),
        })
    })?;
    rows.collect()
}
