//! Works on incidents: so many at once, the most urgent first.
//!
//! INVARIANT: an incident that was opened is worked on until it has ended or the process has: one
//! that cannot be begun is tried again, one whose journal could not be written to its end is gone
//! on with, one that fails ends with a person. What is cut off when the process stops is gone on
//! with at the next start, from its journal.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures::FutureExt as _;
use midwatch_policy::{Clock, IncidentId};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::{
    event::{Event, Noted, View},
    incident::{self, OpenError, ResumeError},
    intake::{
        door::{AGAIN, Door, Refusal},
        inbox::Inbox,
        queue::{Queue, Waiting},
    },
    journal::JournalError,
    record::SideDoor,
    run::{Outcome, Run},
};

use super::{health::Health, late, metrics::Metrics, people::People, site::Sites};

/// Everybody who works, and what they have in common.
#[derive(Debug)]
pub(super) struct Crew {
    pub(super) door: Door,
    pub(super) sites: Arc<Sites>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) health: Arc<Health>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) inbox: Inbox,
    pub(super) people: People,
    /// Ways into the journals of incidents at work. INVARIANT: never locked across an await.
    pub(super) sides: Mutex<BTreeMap<IncidentId, SideDoor>>,
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

/// Shows what happens, and lets go of the incident's place once it asks people, or needed not to.
struct GivesWay {
    view: Box<dyn View>,
    door: Door,
    incident: IncidentId,
}

impl GivesWay {
    fn look(&self, noted: &Noted) {
        let asks = matches!(noted.event, Event::Asked { .. } | Event::Answered { .. });
        if asks && self.door.queue(|queue| queue.park(&self.incident)) {
            self.door.wake();
        }
    }
}

impl View for GivesWay {
    fn show(&mut self, noted: &Noted) {
        self.look(noted);
        self.view.show(noted);
    }

    fn again(&mut self, noted: &Noted) {
        self.look(noted);
        self.view.again(noted);
    }
}

impl Crew {
    /// Works until it is told to stop, and then at most `grace` longer.
    pub(super) async fn work(self: Arc<Self>, stop: &CancellationToken, grace: Duration) {
        let mut at_work = JoinSet::new();
        // Where this broke off before, what was at work is not any more.
        self.door.queue(Queue::put_back);
        loop {
            while let Some(next) = self.door.queue(|queue| queue.next(self.clock.now())) {
                let crew = Arc::clone(&self);
                at_work.spawn(async move { crew.until_it_ends(next).await });
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

    /// Whatever breaks off is seen, and begun anew: what was done before is done.
    async fn until_it_ends(&self, waiting: Waiting) {
        while AssertUnwindSafe(Box::pin(self.one(&waiting))).catch_unwind().await.is_err() {
            tracing::error!(incident = %waiting.incident, "a defect in Midwatch: the end of an incident broke off");
            let why = "a defect in Midwatch: the end of an incident broke off; see the log".to_owned();
            self.health.broke("incidents", why, self.clock.running());
            self.clock.sleep(AGAIN).await;
        }
    }

    /// One incident, until it has ended.
    async fn one(&self, waiting: &Waiting) {
        let incident = &waiting.incident;
        let (run, why) = loop {
            let worked = AssertUnwindSafe(Box::pin(self.try_one(waiting))).catch_unwind().await;
            match worked {
                Ok(Ok(run)) => break (Some(run), None),
                Ok(Err(Stuck::Ended)) => {
                    let site = self.sites.now();
                    incident::seal_end(incident, &site).await;
                    match late::run(site.journal.as_ref(), incident).await {
                        Ok(run) => break (run, None),
                        Err(error) => {
                            tracing::error!(%incident, %error, "a report cannot be read yet");
                            self.clock.sleep(AGAIN).await;
                        }
                    }
                }
                Ok(Err(Stuck::Never(why))) => break (None, Some(why)),
                Ok(Err(Stuck::Later(why))) => {
                    tracing::error!(%incident, why, "an incident cannot be worked on yet");
                    self.clock.sleep(AGAIN).await;
                }
                Err(_) => break (None, Some("a defect in Midwatch: its work broke off".to_owned())),
            }
        };
        self.sides().remove(incident);
        let outcome = run.as_ref().map(|run| run.outcome);
        if let Some(why) = &why {
            tracing::error!(%incident, why, "an incident has ended without a report");
        }
        self.tell_people(waiting, run.as_deref()).await;
        let seconds = self.clock.now().duration_since(waiting.since).as_secs_f64();
        self.metrics.ended(named(outcome), seconds.max(0.0));
        while let Err(refusal) = self.door.finished(incident.clone(), outcome, why.clone()).await {
            if refusal == Refusal::Stopping {
                break;
            }
            self.clock.sleep(AGAIN).await;
        }
        self.door.queue(|queue| queue.done(incident));
        self.door.wake();
        // Whoever began to wait for its outcome only now need not.
        self.people.settle(incident);
    }

    /// Of the end, before it counts as one: as often as it takes until the outbox has it. What was
    /// sent at once meanwhile is not sent at once again. Others do not wait for that.
    async fn tell_people(&self, waiting: &Waiting, run: Option<&Run>) {
        let incident = &waiting.incident;
        loop {
            let catalog = Arc::clone(&self.sites.now().catalog);
            let told = Box::pin(self.people.ended(incident, &waiting.alarm, &catalog, run)).await;
            let Err(error) = told else { return };
            tracing::error!(%incident, %error, "the end of an incident is not in the outbox yet");
            if self.door.queue(|queue| queue.park(incident)) {
                self.door.wake();
            }
            self.clock.sleep(AGAIN).await;
        }
    }

    async fn try_one(&self, waiting: &Waiting) -> Result<Box<Run>, Stuck> {
        let (incident, site) = (&waiting.incident, self.sites.now());
        site.tools.settled().await;
        let later = |error: JournalError| Stuck::Later(error.to_string());
        let begun = site.journal.head(incident).await.map_err(later)?.is_some();
        let view = Box::new(GivesWay {
            view: self.people.herald(incident, &waiting.alarm, &site.catalog),
            door: self.door.clone(),
            incident: incident.clone(),
        });
        let ready = if begun {
            incident::resume(incident, &site, view).await.map_err(|error| match error {
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
        // What came in while it waited, or a crash kept from its journal. Before others have the
        // side door: what they bring is not missing.
        match self.came_in(incident, &site).await {
            Ok(events) => drop(late::through(&side, events).await),
            Err(why) => tracing::warn!(%incident, why, "what came in earlier is in the inbox only"),
        }
        self.sides().insert(incident.clone(), side);
        let ended = Box::pin(ready.run(&site)).await;
        ended.journal.map_err(|error| Stuck::Later(error.to_string()))?;
        Ok(Box::new(ended.run))
    }

    /// What came in for an incident and is not in its journal.
    pub(super) async fn came_in(
        &self,
        incident: &IncidentId,
        site: &crate::site::Site,
    ) -> Result<Vec<Event>, String> {
        let rows = self.inbox.all_of(incident.clone()).await.map_err(|error| error.to_string())?;
        let entries = site.journal.read(incident).await.map_err(|error| error.to_string())?;
        Ok(late::missing(&rows, &entries))
    }

    pub(super) fn sides(&self) -> MutexGuard<'_, BTreeMap<IncidentId, SideDoor>> {
        self.sides.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

const fn named(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        None => "without_report",
        Some(outcome) => outcome.as_str(),
    }
}
