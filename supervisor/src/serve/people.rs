//! Telling people: what leaves by which event, and what is watched so that nothing is left too long.
//!
//! INVARIANTS:
//! - an incident is watched as soon as its alarm is durable, before anybody works on it;
//! - an incident counts as ended only after what people are to hear of its end is in the outbox;
//!   what is handed over twice leaves once.

use std::{sync::Arc, time::Duration};

use midwatch_policy::{Calendar, Catalog, Clock, IncidentId, Timestamp};
use tokio::sync::mpsc;

use crate::{
    alarm::Alarm,
    deliver::{About, Deliver, DeliverError, Notice, NotifyConfig, Organ},
    event::{Event, Noted, View},
    intake::service_of,
    run::Run,
};

/// Events that may wait to be told. The end of an incident tells once more what matters.
const WAITING: usize = 1024;

/// Those who are told. Without a configuration for it, nobody is.
#[derive(Debug, Clone)]
pub struct People {
    deliver: Option<Deliver>,
    clock: Arc<dyn Clock>,
    sender: mpsc::Sender<(About, Event, Timestamp)>,
}

/// Shows what happens in an incident to those who are told of it.
#[derive(Debug)]
struct Herald {
    about: About,
    sender: mpsc::Sender<(About, Event, Timestamp)>,
}

impl View for Herald {
    fn show(&mut self, noted: &Noted) {
        let tells =
            matches!(noted.event, Event::Escalated { .. } | Event::Asked { .. } | Event::Answered { .. });
        if tells && self.sender.try_send((self.about.clone(), noted.event.clone(), noted.at)).is_err() {
            tracing::warn!("people are told at the end of the incident only");
        }
    }
}

impl People {
    /// Those that `deliver` reaches.
    pub fn new(deliver: Option<Deliver>, clock: Arc<dyn Clock>) -> Self {
        let (sender, mut events) = mpsc::channel::<(About, Event, Timestamp)>(WAITING);
        if let Some(deliver) = deliver.clone() {
            tokio::spawn(async move {
                // The request that was asked last, by incident, until it is answered.
                let mut asked = std::collections::BTreeMap::new();
                while let Some((about, event, at)) = events.recv().await {
                    if let Event::Asked { request, .. } = &event {
                        asked.insert(about.incident.clone(), request.clone());
                    }
                    if matches!(event, Event::Answered { .. })
                        && let Some(request) = asked.remove(&about.incident)
                    {
                        told(deliver.answered(&about.incident, &request).await.map(drop));
                    }
                    if let Some(notice) = Notice::of_event(about, &event, None, at) {
                        told(deliver.notify(notice).await.map(drop));
                    }
                }
            });
        }
        Self { deliver, clock, sender }
    }

    /// What shows an incident as it happens.
    pub fn herald(&self, incident: &IncidentId, alarm: &Alarm, catalog: &Catalog) -> Box<dyn View> {
        Box::new(Herald { about: about(incident, alarm, catalog), sender: self.sender.clone() })
    }

    /// Begins to wait for an outcome. Tried until it is durable or there is nobody to tell.
    pub async fn watch(&self, incident: &IncidentId, alarm: &Alarm, catalog: &Catalog, since: Timestamp) {
        let Some(deliver) = &self.deliver else { return };
        told(deliver.watch(about(incident, alarm, catalog), alarm, since).await);
    }

    /// Tells of the end; says whether that is durable.
    pub async fn ended(
        &self,
        incident: &IncidentId,
        alarm: &Alarm,
        catalog: &Catalog,
        run: Option<&Run>,
    ) -> Result<(), DeliverError> {
        let Some(deliver) = &self.deliver else { return Ok(()) };
        let about = about(incident, alarm, catalog);
        let now = self.clock.now();
        let Some(run) = run else {
            // Nobody knows what it came to: the team's own alarm is all there is.
            let why = "Midwatch could not work on it: see its log";
            deliver.notify(Notice::raw_alarm(about, alarm, why, now)).await?;
            return deliver.settle(incident).await;
        };
        if let Some(escalation) = &run.escalation {
            deliver.notify(Notice::escalation(about.clone(), escalation, now)).await?;
        } else if !run.outcome.needs_a_person() {
            let closed = Event::Closed { outcome: run.outcome };
            if let Some(notice) = Notice::of_event(about.clone(), &closed, None, now) {
                deliver.notify(notice).await?;
            }
        }
        deliver.notify(Notice::report(about, run, now)).await?;
        deliver.settle(incident).await
    }

    /// A part of the daemon did its work.
    pub fn alive(&self, organ: Organ) {
        if let Some(deliver) = &self.deliver {
            deliver.pulse().beat(organ);
        }
    }

    /// Routes and channels of a reload.
    pub fn reload(&self, config: NotifyConfig, calendar: Arc<Calendar>) {
        if let Some(deliver) = &self.deliver {
            deliver.reload(config, calendar);
        }
    }

    /// Lets what is on its way arrive.
    pub async fn drain(&self, grace: Duration) {
        if let Some(deliver) = &self.deliver {
            deliver.drain(grace).await;
        }
    }

    /// What did not reach people.
    pub async fn troubles(&self) -> Vec<String> {
        let Some(deliver) = &self.deliver else { return Vec::new() };
        let health = deliver.health().await;
        let mut troubles: Vec<String> = health.problem.into_iter().collect();
        if !health.failed.is_empty() {
            troubles
                .push(format!("{} notices reached nobody: see `midwatch notify list`", health.failed.len()));
        }
        if health.stuck > 0 {
            troubles.push(format!("{} notices should have left some time ago", health.stuck));
        }
        troubles
    }
}

fn about(incident: &IncidentId, alarm: &Alarm, catalog: &Catalog) -> About {
    About::new(incident, alarm, service_of(alarm, catalog))
}

fn told(result: Result<(), DeliverError>) {
    if let Err(error) = result {
        tracing::error!(%error, "people could not be told");
    }
}
