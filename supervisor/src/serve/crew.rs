//! Works on incidents: so many at once, the most urgent first.
//!
//! INVARIANT: an incident that was opened is worked on until it has ended or the process has: one
//! that cannot be begun is tried again, one that fails ends with a person. What is cut off when
//! the process stops is gone on with at the next start, from its journal.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use midwatch_policy::{Clock, IncidentId};
use tokio::{sync::mpsc, task::JoinSet};
use tokio_util::sync::CancellationToken;

use crate::{
    incident::{self, OpenError, ResumeError},
    intake::{
        door::{AGAIN, Door, Effect, Refusal},
        inbox::Inbox,
        queue::Waiting,
    },
    journal::JournalError,
    record::SideDoor,
    run::{Outcome, Run},
};

use super::{late, metrics::Metrics, people::People, site::Sites};

/// Things to tell incidents that are dealt with at once.
const BATCH: usize = 64;
/// How often, and after how long, an incident is told again that is just being begun or ended.
const TRIES: u32 = 20;
const SOON: Duration = Duration::from_millis(100);

/// Everybody who works.
#[derive(Debug)]
pub struct Crew {
    door: Door,
    sites: Arc<Sites>,
    metrics: Arc<Metrics>,
    clock: Arc<dyn Clock>,
    inbox: Inbox,
    people: People,
    /// Ways into the journals of incidents at work. INVARIANT: never locked across an await.
    doors: Mutex<BTreeMap<IncidentId, SideDoor>>,
}

/// Why an incident could not be begun or gone on with.
#[derive(Debug, thiserror::Error)]
enum Stuck {
    /// It has its report.
    #[error("it has ended before")]
    Ended,
    /// Try again.
    #[error("{0}")]
    Later(String),
    /// It will never go on.
    #[error("{0}")]
    Never(String),
}

impl Crew {
    /// A crew without work.
    pub fn new(
        door: Door,
        sites: Arc<Sites>,
        metrics: Arc<Metrics>,
        clock: Arc<dyn Clock>,
        (inbox, people): (Inbox, People),
    ) -> Self {
        Self { door, sites, metrics, clock, inbox, people, doors: Mutex::default() }
    }

    /// Works until it is told to stop, and then at most `grace` longer.
    pub async fn work(self: Arc<Self>, stop: CancellationToken, grace: Duration) {
        let mut at_work = JoinSet::new();
        loop {
            while let Some(next) = self.door.queue(|queue| queue.next(self.clock.now())) {
                let crew = Arc::clone(&self);
                at_work.spawn(async move { Box::pin(crew.one(next)).await });
            }
            tokio::select! {
                () = stop.cancelled() => break,
                () = self.door.woken() => {}
                Some(_) = at_work.join_next() => {}
            }
        }
        let all = async { while at_work.join_next().await.is_some() {} };
        if tokio::time::timeout(grace, all).await.is_err() {
            tracing::info!(
                open = at_work.len(),
                "incidents are put down; they are gone on with at the next start"
            );
        }
        at_work.shutdown().await;
    }

    /// One incident, until it has ended.
    async fn one(&self, waiting: Waiting) {
        let incident = waiting.incident.clone();
        let since = waiting.since;
        let ended = loop {
            let worked = std::panic::AssertUnwindSafe(Box::pin(self.try_one(&waiting))).catch_unwind().await;
            match worked {
                Ok(Ok(run)) => break (Some(run), None),
                Ok(Err(Stuck::Ended)) => {
                    break (late::run(self.sites.now().journal.as_ref(), &incident).await, None);
                }
                Ok(Err(Stuck::Never(why))) => break (None, Some(why)),
                Ok(Err(Stuck::Later(why))) => {
                    tracing::error!(%incident, why, "an incident cannot be worked on yet");
                    self.clock.sleep(AGAIN).await;
                }
                Err(_) => break (None, Some("a defect in Midwatch: its work broke off".to_owned())),
            }
        };
        self.doors().remove(&incident);
        let (run, why) = ended;
        let outcome = run.as_ref().map(|run| run.outcome);
        if let Some(why) = &why {
            tracing::error!(%incident, why, "an incident has ended without a report");
        }
        self.tell_people(&waiting, run.as_deref()).await;
        let seconds = self.clock.now().duration_since(since).as_secs_f64();
        self.metrics.ended(named(outcome), seconds.max(0.0));
        while let Err(refusal) = self.door.finished(incident.clone(), outcome, why.clone()).await {
            if refusal == Refusal::Stopping {
                break;
            }
            self.clock.sleep(AGAIN).await;
        }
        self.door.queue(|queue| queue.done(&incident));
    }

    /// Of the end, before it counts as one.
    async fn tell_people(&self, waiting: &Waiting, run: Option<&Run>) {
        let catalog = Arc::clone(&self.sites.now().catalog);
        let told = Box::pin(self.people.ended(&waiting.incident, &waiting.alarm, &catalog, run)).await;
        if let Err(error) = told {
            // Where it could not be kept it was sent at once; once more would only wake people twice.
            tracing::error!(incident = %waiting.incident, %error, "the end of an incident is not in the outbox");
        }
    }

    async fn try_one(&self, waiting: &Waiting) -> Result<Box<Run>, Stuck> {
        let site = self.sites.now();
        let begun = site.journal.head(&waiting.incident).await;
        let begun = begun.map_err(|error| Stuck::Later(error.to_string()))?.is_some();
        let view = self.people.herald(&waiting.incident, &waiting.alarm, &site.catalog);
        let ready = if begun {
            incident::resume(&waiting.incident, &site, view).await.map_err(|error| match error {
                ResumeError::Ended(_) => Stuck::Ended,
                // What was altered does not mend itself.
                ResumeError::Headless(_) | ResumeError::Journal(JournalError::Broken { .. }) => {
                    Stuck::Never(error.to_string())
                }
                ResumeError::Journal(_) => Stuck::Later(error.to_string()),
            })?
        } else {
            let opened = incident::open(waiting.alarm.clone(), &site, view, waiting.salt).await;
            opened.map_err(|error: OpenError| Stuck::Never(error.to_string()))?
        };
        ready.durable().map_err(|error| Stuck::Later(error.to_string()))?;
        let side = ready.side_door();
        self.doors().insert(waiting.incident.clone(), side.clone());
        if !begun {
            // What came in while it waited.
            match self.inbox.of_incident(waiting.incident.clone()).await {
                Ok(rows) => drop(late::through(&side, late::before(rows)).await),
                Err(error) => tracing::warn!(%error, "what came in earlier is in the inbox only"),
            }
        }
        Ok(Box::new(Box::pin(ready.run(&site)).await))
    }

    /// Tells incidents what came in for them, until nobody brings anything any more.
    pub async fn tell(self: Arc<Self>, mut effects: mpsc::Receiver<Effect>) {
        let mut batch = Vec::with_capacity(BATCH);
        while effects.recv_many(&mut batch, BATCH).await > 0 {
            let mut told: BTreeMap<IncidentId, Vec<Effect>> = BTreeMap::new();
            for effect in batch.drain(..) {
                match &effect {
                    Effect::Tell { incident, .. } => told.entry(incident.clone()).or_default().push(effect),
                    Effect::Opened { incident, alarm, at } => {
                        let catalog = Arc::clone(&self.sites.now().catalog);
                        self.people.watch(incident, alarm, &catalog, *at).await;
                    }
                    Effect::Absorbed { incident, into } => {
                        tracing::info!(%incident, %into, "an incident is part of another one");
                    }
                }
            }
            for (incident, effects) in told {
                self.tell_one(&incident, effects).await;
            }
        }
    }

    /// An incident at work is told through its side door; one that has ended has its journal
    /// added to; one that waits is not begun. Nobody else writes into a journal that has a writer.
    async fn tell_one(&self, incident: &IncidentId, effects: Vec<Effect>) {
        let mut events = late::events(effects);
        for _ in 0..TRIES {
            let side = self.doors().get(incident).cloned();
            if let Some(side) = side {
                events = late::through(&side, events).await;
            } else if self.door.queue(|queue| queue.has_ended(incident)) {
                let journal = Arc::clone(&self.sites.now().journal);
                late::add(journal.as_ref(), incident, &events, self.clock.now()).await;
                return;
            }
            if events.is_empty() || self.door.queue(|queue| queue.waits(incident)) {
                return;
            }
            self.clock.sleep(SOON).await;
        }
        tracing::warn!(%incident, "what came in later is in the inbox only");
    }

    fn doors(&self) -> std::sync::MutexGuard<'_, BTreeMap<IncidentId, SideDoor>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn named(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        None => "without_report",
        Some(Outcome::ClosedTransient) => "closed_transient",
        Some(Outcome::Resolved) => "resolved",
        Some(Outcome::Recovered) => "recovered",
        Some(Outcome::Escalated) => "escalated",
        Some(Outcome::TakenOver) => "taken_over",
    }
}
