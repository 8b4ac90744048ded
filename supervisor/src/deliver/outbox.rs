//! The outbox: notices that have to leave, and alarms that have to have an outcome, in one SQLite
//! file.
//!
//! INVARIANTS:
//! - whatever a call here returns was committed before, synced to disk;
//! - every change of a notice is one step of its chain, made in one transaction on what is stored,
//!   so that a person's command line and the daemon cannot undo each other's;
//! - of one incident, one notice at a time is on its way to one channel: an all-clear cannot
//!   overtake the page that it ends;
//! - one process sends from it; others may look and acknowledge.

mod file;
mod rows;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    collections::BTreeSet,
    fs::File,
    sync::{Arc, Mutex},
    time::Duration,
};

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use file::Failure;
pub use file::{OutboxError, hold_outbox, outbox_of};
pub(super) use rows::{Claimed, Scope};
pub(super) use watch::Watch;

use super::{
    chain::{Delivery, Effect, Input, Link},
    notice::{Kind, Notice},
    view::NoticeView,
};
use rows::Row;

/// Attempts of a follow-up: those who were told have to hear how it went on.
const FOLLOW_UP_ATTEMPTS: u32 = 30;
/// How long what has ended is kept.
const KEPT_MS: i64 = 30 * 86_400_000;

/// One chain that a notice goes on: the route's name and its links.
pub(super) type Leg = (String, Vec<Link>);

/// The outbox.
#[derive(Debug, Clone)]
pub(super) struct Outbox {
    connection: Arc<Mutex<Connection>>,
    path: Arc<str>,
    /// Held as long as this process sends; the system releases it with the process.
    _lock: Option<Arc<File>>,
}

impl Outbox {
    /// After a start: what was on its way is sent again.
    pub(super) async fn restart(&self, now: Timestamp) -> Result<(), OutboxError> {
        self.write(move |tx| {
            for mut row in rows::select(tx, "flight IS NOT NULL OR phase = 'sending'", [])? {
                row.flight = None;
                rows::step(tx, row, Input::Restarted, now)?;
            }
            Ok(())
        })
        .await
    }

    /// Takes away what ended long ago, by the time that has passed in fact.
    pub(super) async fn prune(&self, passed: Timestamp) -> Result<(), OutboxError> {
        let old = passed.as_millisecond().saturating_sub(KEPT_MS);
        self.write(move |tx| Ok(forget(tx, old)?)).await
    }

    /// Keeps a notice, once for each leg. What is known already is left as it is. Returns how many
    /// legs are new.
    pub(super) async fn put(
        &self,
        notice: Notice,
        legs: Vec<Leg>,
        now: Timestamp,
    ) -> Result<usize, OutboxError> {
        self.write(move |tx| put(tx, &notice, legs, now)).await
    }

    /// Takes up to `most` notices for a channel that are due, the most urgent first.
    pub(super) async fn claim(
        &self,
        channel: &str,
        most: usize,
        now: Timestamp,
    ) -> Result<Vec<Claimed>, OutboxError> {
        let channel = channel.to_owned();
        self.write(move |tx| rows::claim(tx, &channel, most, now)).await
    }

    /// Channels that have something due.
    pub(super) async fn due_channels(&self, now: Timestamp) -> Result<Vec<String>, OutboxError> {
        self.write(move |tx| {
            let sql = "SELECT DISTINCT channel FROM deliveries WHERE phase = 'trying' AND due_ms <= ?1";
            let mut statement = tx.prepare_cached(sql)?;
            let rows = statement.query_map([now.as_millisecond()], |row| row.get(0))?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
        .await
    }

    /// Writes down what became of an attempt.
    pub(super) async fn result(
        &self,
        seq: i64,
        input: Input,
        now: Timestamp,
    ) -> Result<Vec<Effect>, OutboxError> {
        self.write(move |tx| {
            let mut effects = Vec::new();
            for mut row in rows::select(tx, "seq = ?1", [seq])? {
                row.flight = None;
                effects.extend(rows::step(tx, row, input.clone(), now)?);
            }
            Ok(effects)
        })
        .await
    }

    /// Lets time pass: who did not acknowledge is passed over, and waits that a clock which went
    /// back has made too long begin anew.
    pub(super) async fn pass(&self, now: Timestamp) -> Result<Vec<Effect>, OutboxError> {
        self.write(move |tx| {
            let condition = "(phase = 'waiting' AND due_ms <= ?1) OR \
                             (phase IN ('waiting', 'trying') AND set_ms > ?1)";
            let mut effects = Vec::new();
            for row in rows::select(tx, condition, [now.as_millisecond()])? {
                effects.extend(rows::step(tx, row, Input::Tick, now)?);
            }
            watch::clamp(tx, now)?;
            Ok(effects)
        })
        .await
    }

    /// When something is due next.
    pub(super) async fn next_due(&self) -> Result<Option<Timestamp>, OutboxError> {
        self.write(|tx| {
            let sql = "SELECT min(due) FROM (SELECT min(due_ms) AS due FROM deliveries WHERE phase IN ('trying', 'waiting') \
                       UNION ALL SELECT min(due_ms) FROM watches)";
            let due: Option<i64> = tx.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
            Ok(due.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
        })
        .await
    }

    /// A person has the incident. Those who were told hear of it. Returns how many notices it ends.
    pub(super) async fn acknowledge(
        &self,
        incident: &IncidentId,
        by: &str,
        now: Timestamp,
    ) -> Result<usize, OutboxError> {
        let (incident, by) = (incident.clone(), by.to_owned());
        self.write(move |tx| {
            let mut ended = 0;
            let mut about = None;
            for row in rows::of_incident(tx, &incident)? {
                if !row.notice.kind.wants_a_person()
                    || matches!(row.delivery.phase().as_str(), "acknowledged" | "cancelled")
                {
                    continue;
                }
                about.get_or_insert_with(|| row.notice.about.clone());
                rows::step(tx, row, Input::Acknowledge { by: by.clone() }, now)?;
                ended += 1;
            }
            watch::forget(tx, &incident)?;
            // Also for what is not known yet: the alarm may still be on its way here.
            tx.execute(
                "INSERT INTO acknowledged VALUES (?1, ?2, ?3) ON CONFLICT (incident) DO NOTHING",
                params![incident.as_str(), by, now.as_millisecond()],
            )?;
            if let Some(about) = about {
                put(tx, &Notice::acknowledged(about, &by, now), Vec::new(), now)?;
            }
            Ok(ended)
        })
        .await
    }

    /// Notices of an incident are not wanted any more. Returns how many it ends.
    pub(super) async fn cancel(
        &self,
        incident: &IncidentId,
        scope: Scope,
        now: Timestamp,
    ) -> Result<usize, OutboxError> {
        let incident = incident.clone();
        self.write(move |tx| {
            if matches!(scope, Scope::Incident) {
                watch::forget(tx, &incident)?;
            }
            cancel(tx, &incident, &scope, now)
        })
        .await
    }

    /// Begins to wait for an outcome.
    pub(super) async fn arm(&self, watch: Watch) -> Result<(), OutboxError> {
        self.write(move |tx| watch::arm(tx, &watch)).await
    }

    /// Incidents whose outcome is waited for.
    pub(super) async fn watched(&self) -> Result<Vec<IncidentId>, OutboxError> {
        self.write(watch::all).await
    }

    /// Shows that it can be written, by writing the time that has passed in fact.
    pub(super) async fn touch(&self, passed: Timestamp) -> Result<(), OutboxError> {
        self.write(move |tx| {
            let sql = "INSERT INTO pulse VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET at_ms = ?1";
            tx.execute(sql, [passed.as_millisecond()])?;
            Ok(())
        })
        .await
    }

    /// The time of the last [`Outbox::touch`].
    pub(super) async fn touched(&self) -> Result<Option<Timestamp>, OutboxError> {
        self.write(|tx| {
            let at: Option<i64> = tx.query_row("SELECT at_ms FROM pulse", [], |row| row.get(0)).optional()?;
            Ok(at.and_then(|ms| Timestamp::from_millisecond(ms).ok()))
        })
        .await
    }

    /// There is an outcome.
    pub(super) async fn settle(&self, incident: &IncidentId) -> Result<(), OutboxError> {
        let incident = incident.clone();
        self.write(move |tx| watch::forget(tx, &incident)).await
    }

    /// Incidents that have waited for an outcome for too long.
    pub(super) async fn overdue(&self, now: Timestamp) -> Result<Vec<Watch>, OutboxError> {
        self.write(move |tx| watch::overdue(tx, now)).await
    }

    /// Tells people of one, and waits on: one commit, so that neither is lost nor doubled.
    pub(super) async fn fire(
        &self,
        watch: Watch,
        notice: Notice,
        legs: Vec<Leg>,
        again: Duration,
        now: Timestamp,
    ) -> Result<(), OutboxError> {
        self.write(move |tx| {
            if watch::advance(tx, &watch, again, now)? {
                put(tx, &notice, legs, now)?;
            }
            Ok(())
        })
        .await
    }

    /// What there is, newest first: all, or of one incident.
    pub(super) async fn views(
        &self,
        incident: Option<&IncidentId>,
        most: u32,
    ) -> Result<Vec<NoticeView>, OutboxError> {
        let incident = incident.map(ToString::to_string);
        self.write(move |tx| {
            let condition = "(?1 IS NULL OR incident = ?1) ORDER BY seq DESC LIMIT ?2";
            Ok(rows::views(tx, condition, params![incident, most])?)
        })
        .await
    }

    /// What failed and nobody has acknowledged, oldest first.
    pub(super) async fn failed(&self) -> Result<Vec<NoticeView>, OutboxError> {
        self.write(|tx| Ok(rows::views(tx, "phase = 'failed' ORDER BY seq LIMIT 1000", [])?)).await
    }

    /// How many are to wake somebody, were made before `since`, are still tried, and have reached nobody.
    pub(super) async fn unheard(&self, since: Timestamp) -> Result<u64, OutboxError> {
        self.write(move |tx| {
            let condition = "phase IN ('trying', 'sending') AND made_ms < ?1 ORDER BY seq LIMIT 1000";
            let rows = rows::select(tx, condition, [since.as_millisecond()])?;
            let unheard = |row: &&Row| row.notice.kind.wants_a_person() && row.delivery.told().is_empty();
            Ok(u64::try_from(rows.iter().filter(unheard).count()).unwrap_or(u64::MAX))
        })
        .await
    }

    /// How many have not ended, and how many of those are due since before `since`.
    pub(super) async fn pending(&self, since: Timestamp) -> Result<(u64, u64), OutboxError> {
        self.write(move |tx| {
            let sql = "SELECT count(*), count(*) FILTER (WHERE phase = 'trying' AND due_ms < ?1) \
                       FROM deliveries WHERE phase IN ('trying', 'sending', 'waiting')";
            let row = tx.prepare_cached(sql)?.query_row([since.as_millisecond()], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))
            })?;
            Ok((u64::try_from(row.0).unwrap_or(0), u64::try_from(row.1).unwrap_or(0)))
        })
        .await
    }
}

const STATES: [(&str, &[&str]); 4] = [
    ("waiting", &["trying", "sending", "waiting"]),
    ("delivered", &["delivered", "acknowledged"]),
    ("cancelled", &["cancelled"]),
    ("failed", &["failed"]),
];

impl Outbox {
    /// Deliveries by state.
    pub(super) async fn counts(&self) -> Result<Vec<(&'static str, u64)>, OutboxError> {
        self.write(|tx| {
            let mut statement = tx.prepare_cached("SELECT phase, count(*) FROM deliveries GROUP BY phase")?;
            let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?;
            let phases = rows.collect::<Result<Vec<(String, i64)>, _>>()?;
            let sum = |of: &[&str]| {
                let of_these = phases.iter().filter(|(phase, _)| of.contains(&phase.as_str()));
                u64::try_from(of_these.map(|(_, count)| count).sum::<i64>()).unwrap_or(0)
            };
            Ok(STATES.map(|(state, of)| (state, sum(of))).to_vec())
        })
        .await
    }
}

fn forget(tx: &Transaction<'_>, before_ms: i64) -> Result<(), rusqlite::Error> {
    tx.execute("DELETE FROM deliveries WHERE ended_ms < ?1 AND phase <> 'failed'", [before_ms])?;
    tx.execute("DELETE FROM acknowledged WHERE at_ms < ?1", [before_ms]).map(drop)
}

fn put(tx: &Transaction<'_>, notice: &Notice, mut legs: Vec<Leg>, now: Timestamp) -> Result<usize, Failure> {
    let incident = &notice.about.incident;
    if notice.kind.is_follow_up() {
        let link = |channel: String| Link { channel, ack_within: None, attempts: FOLLOW_UP_ATTEMPTS };
        legs = told(tx, incident)?.into_iter().map(|c| (format!("told by {c}"), vec![link(c)])).collect();
    }
    if notice.kind == Kind::AllClear {
        watch::forget(tx, incident)?;
        cancel(tx, incident, &Scope::Incident, now)?;
    }
    let mut new = 0;
    for (route, links) in legs {
        let key = format!("{}@{route}", notice.key());
        let row = Row {
            seq: 0,
            key,
            route,
            flight: None,
            notice: notice.clone(),
            delivery: Delivery::begin(links, now),
        };
        new += rows::insert(tx, &row, now)?;
    }
    Ok(new)
}

/// Channels by which people heard of an incident that they have to look at, or may have.
fn told(tx: &Transaction<'_>, incident: &IncidentId) -> Result<BTreeSet<String>, Failure> {
    let rows = rows::of_incident(tx, incident)?;
    let waking = rows.into_iter().filter(|row| row.notice.kind.wants_a_person());
    Ok(waking
        .flat_map(|row| row.delivery.told().iter().cloned().chain(row.flight).collect::<Vec<_>>())
        .collect())
}

fn cancel(
    tx: &Transaction<'_>,
    incident: &IncidentId,
    scope: &Scope,
    now: Timestamp,
) -> Result<usize, Failure> {
    let mut ended = 0;
    for row in rows::of_incident(tx, incident)? {
        if scope.covers(&row.notice) && !row.delivery.phase().has_ended() {
            rows::step(tx, row, Input::Cancel, now)?;
            ended += 1;
        }
    }
    Ok(ended)
}
