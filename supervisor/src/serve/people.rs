//! Telling people: what leaves by which event, and what is watched so that nothing is left too long.
//!
//! INVARIANTS:
//! - an incident is watched as soon as its alarm is durable, or as the outbox can be written;
//! - an incident counts as ended only after what people are to hear of its end is in the outbox;
//!   what is handed over twice leaves once.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::FutureExt as _;
use midwatch_policy::{Calendar, Catalog, Clock, IncidentId, Timestamp};
use tokio::sync::{mpsc, oneshot};

use crate::{
    alarm::Alarm,
    deliver::{About, Accepted, Deliver, DeliverError, Notice, NotifyConfig, Organ, Taken, Unheard},
    event::{Event, Noted, View},
    intake::{
        board::{How, News},
        inbox::Inbox,
        service_of,
    },
    others::Gathered,
    record::millis_between,
    run::Run,
    terminal::text::took,
};

use super::{outage::Say, waits::Waits};

/// Those who are told. Without a configuration for it, nobody is.
#[derive(Debug, Clone)]
pub(super) struct People {
    deliver: Option<Deliver>,
    clock: Arc<dyn Clock>,
    sender: mpsc::UnboundedSender<Heard>,
    waits: Waits,
    /// What was not told because telling broke off.
    untold: Arc<AtomicU64>,
}

/// What heralds bring. Not bounded here: an incident at work brings a handful.
#[derive(Debug)]
enum Heard {
    Event(Box<(About, Event, Timestamp, u32)>),
    Notice(Box<Notice>),
    /// Everything before it has been told.
    Told(oneshot::Sender<()>),
}

/// Shows what happens in an incident to those who are told of it.
#[derive(Debug)]
struct Herald {
    about: About,
    gathered: Gathered,
    catalog: Arc<Catalog>,
    /// How often it went on after its end: what is said then is said anew.
    nth: u32,
    sender: mpsc::UnboundedSender<Heard>,
}

impl View for Herald {
    fn show(&mut self, noted: &Noted) {
        if matches!(noted.event, Event::Reopened { .. }) {
            self.nth = self.nth.saturating_add(1);
        }
        if let Event::Joined { alarm, .. } = &noted.event {
            self.gathered.take(alarm, &self.catalog);
        }
        let tells =
            matches!(noted.event, Event::Escalated { .. } | Event::Asked { .. } | Event::Answered { .. });
        let heard = || {
            Heard::Event(Box::new((
                self.about.clone().with(self.gathered.others()),
                noted.event.clone(),
                noted.at,
                self.nth,
            )))
        };
        if tells && self.sender.send(heard()).is_err() {
            tracing::warn!("people are told at the end of the incident only");
        }
    }

    /// A crash may have come between the journal and the outbox; what is there already leaves once.
    fn again(&mut self, noted: &Noted) {
        self.show(noted);
    }
}

impl People {
    /// Those that `deliver` reaches.
    pub(super) fn new(deliver: Option<Deliver>, clock: Arc<dyn Clock>) -> Self {
        let (sender, mut heard) = mpsc::unbounded_channel::<Heard>();
        let untold = Arc::<AtomicU64>::default();
        let lost = Arc::clone(&untold);
        if let Some(deliver) = deliver.clone() {
            tokio::spawn(async move {
                // The request that was asked last, by incident, until it is answered.
                let mut asked = BTreeMap::new();
                while let Some(heard) = heard.recv().await {
                    match heard {
                        Heard::Event(event) => {
                            let telling = Box::pin(tell(&deliver, *event, &mut asked));
                            if AssertUnwindSafe(telling).catch_unwind().await.is_err() {
                                tracing::error!("a defect in Midwatch: telling people broke off");
                                lost.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Heard::Notice(notice) => {
                            if AssertUnwindSafe(deliver.notify(*notice))
                                .catch_unwind()
                                .await
                                .map(|done| told(done.map(drop)))
                                .is_err()
                            {
                                tracing::error!("a defect in Midwatch: telling people broke off");
                                lost.fetch_add(1, Ordering::Relaxed);
                            }
                        }
                        Heard::Told(done) => {
                            let _ = done.send(());
                        }
                    }
                }
            });
        }
        let waits = Waits::new(deliver.clone(), Arc::clone(&clock));
        Self { deliver, clock, sender, waits, untold }
    }

    /// Waits until everything that heralds brought so far is in the outbox.
    async fn told(&self) {
        let (done, told) = oneshot::channel();
        if self.sender.send(Heard::Told(done)).is_ok() {
            // Without anybody to tell, nobody answers.
            let _ = told.await;
        }
    }

    /// What shows an incident as it happens.
    pub(super) fn herald(
        &self,
        incident: &IncidentId,
        alarm: &Alarm,
        catalog: &Arc<Catalog>,
    ) -> Box<dyn View> {
        Box::new(Herald {
            about: about(incident, alarm, catalog),
            gathered: Gathered::beside(alarm),
            catalog: Arc::clone(catalog),
            nth: 0,
            sender: self.sender.clone(),
        })
    }

    /// An alarm came in for an incident that a person has, and is news to them.
    pub(super) fn more(&self, incident: &IncidentId, alarm: &Alarm, what: (How, News), catalog: &Catalog) {
        self.say_soon(Notice::more(about(incident, alarm, catalog), alarm, what, self.clock.now()));
    }

    /// No alarm of an incident that has ended fires any more.
    pub(super) fn over(&self, incident: &IncidentId, alarm: &Alarm, catalog: &Catalog) {
        self.say_soon(Notice::quiet(about(incident, alarm, catalog), alarm, self.clock.now()));
    }

    fn say_soon(&self, notice: Notice) {
        // Without anybody to tell, nobody listens.
        let _ = self.sender.send(Heard::Notice(Box::new(notice)));
    }

    /// Begins to wait for an outcome. Tried until it is durable; the caller does not wait for that.
    pub(super) fn watch(&self, incident: &IncidentId, alarm: &Alarm, catalog: &Catalog, since: Timestamp) {
        self.waits.begin(about(incident, alarm, catalog), alarm, since);
    }

    /// There is nothing to wait for any more, whatever was begun before. Tried until it is durable.
    pub(super) fn settle(&self, incident: &IncidentId) {
        self.waits.end(incident);
    }

    /// Ends the waiting for outcomes of incidents that had ended when the process did.
    pub(super) async fn settle_ended(&self, inbox: &Inbox) -> Result<(), DeliverError> {
        let Some(deliver) = &self.deliver else { return Ok(()) };
        match inbox.ended_among(deliver.watched().await?).await {
            Ok(ended) => {
                for incident in ended {
                    deliver.settle(&incident).await?;
                }
            }
            Err(error) => tracing::warn!(%error, "it is not known which incidents have ended"),
        }
        Ok(())
    }

    /// A person looks after it; says how many notices that ends.
    pub(super) async fn acknowledge(&self, incident: &IncidentId, by: &str) -> Result<usize, DeliverError> {
        match &self.deliver {
            Some(deliver) => deliver.acknowledge(incident, by).await,
            None => Ok(0),
        }
    }

    /// Who has which incident at PagerDuty, if a message of its says so.
    pub(super) fn heard_of_pagerduty(&self, signatures: &str, body: &[u8]) -> Result<Option<Taken>, Unheard> {
        let deliver = self.deliver.as_ref().ok_or(Unheard::NotConfigured)?;
        deliver.heard_of_pagerduty(signatures, body)
    }

    /// Passes an alarm on as it came that no incident could be opened for. False where that has to
    /// be tried again.
    pub(super) async fn pass_on(&self, alarm: &Alarm, since: Timestamp, catalog: &Catalog) -> bool {
        let Some(deliver) = &self.deliver else { return true };
        // The same each time it is passed on, so that it leaves once.
        let key = crate::journal::digest(format!("{} {}", alarm.fingerprint(), alarm.at).as_bytes());
        let Ok(incident) = IncidentId::parse(format!("alarm-{}", key.get(..12).unwrap_or_default())) else {
            return true;
        };
        let now = self.clock.now();
        let waited = took(millis_between(since, now));
        let why = format!("Midwatch could not take it for {waited}: nobody works on it");
        let notice = Notice::raw_alarm(about(&incident, alarm, catalog), alarm, &why, now);
        heard(deliver.notify(notice).await)
    }

    /// Tells of Midwatch's own troubles, and of their end. False where that has to be tried again.
    pub(super) async fn say(&self, say: Say) -> bool {
        let Some(deliver) = &self.deliver else { return true };
        let now = self.clock.now();
        match say {
            Say::Broken { outage, why, nth, .. } => {
                let notice = Notice::broken(outage, &why, now);
                let notice = if nth == 0 { notice } else { notice.again(nth) };
                heard(deliver.notify(notice).await)
            }
            Say::Mended(outage) => {
                let notice = Notice::mended(outage, now);
                match deliver.notify(notice.clone()).await {
                    // Nothing could be kept when they were told.
                    Ok(Accepted::NobodyToTell) => drop(deliver.follow_up_at_once(&notice).await),
                    done => drop(heard(done)),
                }
                // Nobody has to get up for it: said once.
                true
            }
        }
    }

    /// Tells of the end; says whether that is durable.
    pub(super) async fn ended(
        &self,
        incident: &IncidentId,
        alarm: &Alarm,
        catalog: &Catalog,
        run: Option<&Run>,
    ) -> Result<(), DeliverError> {
        let Some(deliver) = &self.deliver else { return Ok(()) };
        // The end is the last thing that is said.
        self.told().await;
        let about = about(incident, alarm, catalog);
        let now = self.clock.now();
        let Some(run) = run else {
            // Nobody knows what it came to: the team's own alarm is all there is.
            let why = "Midwatch could not work on it: see its log";
            let about = about.with(deliver.others(incident, alarm).await.unwrap_or_default());
            deliver.notify(Notice::raw_alarm(about, alarm, why, now)).await?;
            return deliver.settle(incident).await;
        };
        let about = about.with(run.others.clone());
        let nth = u32::try_from(run.raised.len()).unwrap_or(u32::MAX);
        // Whoever was paged early hears that it is over.
        if !run.outcome.needs_a_person() {
            let closed = Event::Closed { outcome: run.outcome };
            if let Some(notice) = Notice::of_event(about.clone(), &closed, None, now) {
                deliver.notify(nth_time(notice, nth)).await?;
            }
        } else if let Some(escalation) = &run.escalation {
            deliver.notify(nth_time(Notice::escalation(about.clone(), escalation, now), nth)).await?;
        }
        deliver.notify(nth_time(Notice::report(about, run, now), nth)).await?;
        deliver.settle(incident).await
    }

    /// A part of the daemon did its work.
    pub(super) fn alive(&self, organ: Organ) {
        if let Some(deliver) = &self.deliver {
            deliver.pulse().beat(organ);
        }
    }

    /// Routes and channels of a reload.
    pub(super) fn reload(&self, config: NotifyConfig, calendar: Arc<Calendar>) {
        if let Some(deliver) = &self.deliver {
            deliver.reload(config, calendar);
        }
    }

    /// Lets what is on its way arrive.
    pub(super) async fn drain(&self, grace: Duration) {
        if let Some(deliver) = &self.deliver {
            if tokio::time::timeout(grace, self.told()).await.is_err() {
                tracing::warn!("not everything that people are to hear is in the outbox yet");
            }
            deliver.drain(grace).await;
        }
    }

    /// Notices by state. Nothing where they cannot be counted: that shows among the troubles.
    pub(super) async fn notices(&self) -> Vec<(&'static str, u64)> {
        match &self.deliver {
            Some(deliver) => deliver.counts().await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// What did not reach people.
    pub(super) async fn troubles(&self) -> Vec<String> {
        let Some(deliver) = &self.deliver else { return Vec::new() };
        let health = deliver.health().await;
        let mut troubles: Vec<String> = health.problem.into_iter().collect();
        let untold = self.untold.load(Ordering::Relaxed);
        if untold > 0 {
            troubles.push(format!("{untold} notices were not made, by a defect in Midwatch: see its log"));
        }
        if !health.failed.is_empty() {
            troubles
                .push(format!("{} notices reached nobody: see `midwatch notify list`", health.failed.len()));
        }
        if health.unheard > 0 {
            troubles.push(format!(
                "{} notices that are to wake somebody have reached nobody for minutes: see `midwatch notify list`",
                health.unheard
            ));
        }
        if health.stuck > 0 {
            troubles.push(format!("{} notices should have left some time ago", health.stuck));
        }
        troubles
    }
}

async fn tell(
    deliver: &Deliver,
    (about, event, at, nth): (About, Event, Timestamp, u32),
    asked: &mut BTreeMap<IncidentId, String>,
) {
    if let Event::Asked { request, .. } = &event {
        asked.insert(about.incident.clone(), request.clone());
    }
    // Where others still have to approve, they still have to hear of it.
    if matches!(event, Event::Answered { partly: false, .. })
        && let Some(request) = asked.remove(&about.incident)
    {
        told(deliver.answered(&about.incident, &request).await.map(drop));
    }
    if let Some(notice) = Notice::of_event(about, &event, None, at) {
        let notice = if matches!(event, Event::Escalated { .. }) { nth_time(notice, nth) } else { notice };
        told(deliver.notify(notice).await.map(drop));
    }
}

/// What is said once in an incident is said once more each time it went on after its end.
fn nth_time(notice: Notice, nth: u32) -> Notice {
    if nth == 0 { notice } else { notice.again(nth) }
}

fn about(incident: &IncidentId, alarm: &Alarm, catalog: &Catalog) -> About {
    About::new(incident, alarm, service_of(alarm, catalog))
}

/// Whether people hear of it: it is kept, or was sent at once.
fn heard(result: Result<Accepted, DeliverError>) -> bool {
    let heard = !matches!(&result, Err(DeliverError::Outbox(_) | DeliverError::NotKept { told: None, .. }));
    told(result.map(drop));
    heard
}

fn told(result: Result<(), DeliverError>) {
    if let Err(error) = result {
        tracing::error!(%error, "people could not be told");
    }
}
