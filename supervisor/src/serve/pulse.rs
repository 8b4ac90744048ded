//! Looks whether the daemon can do its work, by doing a little of it: the door answers, inbox and
//! journal can be written.
//!
//! INVARIANT: a store that cannot be written is red within a quarter of a minute, gives no
//! heartbeat, and after two minutes people are told; so they are of every alarm that could not be
//! taken meanwhile.

use std::{sync::Arc, time::Duration};

use futures::{FutureExt as _, StreamExt as _, stream};
use midwatch_policy::{Clock, SignedDuration, Timestamp};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    deliver::Organ,
    intake::{
        door::Door,
        inbox::{Inbox, InboxError},
    },
    passed::Passed,
};

use super::{
    health::Health,
    metrics::Metrics,
    outage::{Outage, Say},
    people::People,
    site::Sites,
};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(15);
/// How long a store may take to answer. Real time, since it is for I/O.
const LONGEST: Duration = Duration::from_secs(20);

/// Alarms that are passed on side by side.
const SIDE_BY_SIDE: usize = 16;
/// How often old incidents are taken away, and how many at most.
const PRUNE: SignedDuration = SignedDuration::from_mins(10);
const AT_A_TIME: u32 = 100;

/// What is looked at.
#[derive(Debug)]
pub(super) struct Pulse {
    pub(super) door: Door,
    pub(super) inbox: Inbox,
    pub(super) sites: Arc<Sites>,
    pub(super) people: People,
    pub(super) health: Arc<Health>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) outage: Outage,
    pub(super) telling: Telling,
    /// How many days incidents are kept.
    pub(super) keep_days: Option<u32>,
    /// When old ones were last looked for.
    pub(super) pruned: Timestamp,
    /// The time that counts for that.
    pub(super) passed: Passed,
}

/// What people are being told. Beside the looking: a channel that is slow must not hold it up.
#[derive(Debug, Default)]
pub(super) struct Telling {
    /// Gives back what people heard.
    saying: Option<JoinHandle<Option<Say>>>,
    passing_on: Option<JoinHandle<()>>,
}

impl Pulse {
    /// Looks until it is told to stop.
    pub(super) async fn run(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            Box::pin(self.look()).await;
            tokio::select! { () = stop.cancelled() => return, () = self.clock.sleep(EVERY) => {} }
        }
    }

    async fn look(&mut self) {
        let passed = self.passed.now(self.clock.now(), self.clock.running());
        let inbox = in_time(self.inbox(passed)).await;
        let journal = in_time(self.journal()).await;
        for (organ, part, result) in
            [(Organ::Intake, "the inbox", inbox), (Organ::Journal, "the journal", journal)]
        {
            match &result {
                Ok(()) => self.people.alive(organ),
                Err(why) => tracing::error!(part, why, "a store does not work"),
            }
            self.health.seen(part, result);
        }
        let full = self.door.queue(|queue| queue.room()) == 0;
        let room = if full { Err("no more incidents may wait".to_owned()) } else { Ok(()) };
        self.health.seen("incidents that wait", room);
        let now = self.clock.now();
        let running = self.clock.running();
        self.health.looked(running);

        let mut troubles = self.health.troubles(running);
        troubles.extend(self.metrics.broken_queues());
        self.say(&troubles, (now, running)).await;
        self.pass_on(now);
        if let Err(why) = in_time(self.prune(passed).map(Ok)).await {
            tracing::warn!(why, "old incidents could not be taken away");
        }
    }

    /// Tells people of troubles, unless they are just being told.
    async fn say(&mut self, troubles: &[String], now: (Timestamp, Duration)) {
        if let Some(done) = self.telling.saying.take_if(|saying| saying.is_finished())
            && let Ok(Some(said)) = done.await
        {
            self.outage.said(said);
        }
        let say = self.outage.step(troubles, now);
        if let Some(say) = say
            && self.telling.saying.is_none()
        {
            let people = self.people.clone();
            self.telling.saying = Some(tokio::spawn(async move {
                let heard = Box::pin(people.say(say.clone())).await;
                heard.then_some(say)
            }));
        }
    }

    /// Passes on alarms that could not be taken, unless some just are. Those of which nobody could
    /// be told are tried again.
    fn pass_on(&mut self, now: Timestamp) {
        if self.telling.passing_on.as_ref().is_some_and(|passing| !passing.is_finished()) {
            return;
        }
        let left_out = self.door.left_out(now);
        if left_out.is_empty() {
            return;
        }
        let (door, people) = (self.door.clone(), self.people.clone());
        let catalog = Arc::clone(&self.sites.now().catalog);
        self.telling.passing_on = Some(tokio::spawn(async move {
            let each = |(alarm, since)| {
                let (door, people, catalog) = (&door, &people, &catalog);
                async move {
                    if Box::pin(people.pass_on(&alarm, since, catalog)).await {
                        door.passed_on(&alarm);
                    }
                }
            };
            stream::iter(left_out).for_each_concurrent(SIDE_BY_SIDE, each).await;
        }));
    }

    /// Takes away what is older than it is to be kept, a little at a time.
    async fn prune(&mut self, now: Timestamp) {
        let Some(days) = self.keep_days.filter(|_| now.duration_since(self.pruned).abs() >= PRUNE) else {
            return;
        };
        let Ok(before) = now.checked_sub(SignedDuration::from_hours(24 * i64::from(days))) else { return };
        let journal = Arc::clone(&self.sites.now().journal);
        match journal.forget(before, AT_A_TIME).await {
            // There may be more: the next look goes on.
            Ok(gone) if gone >= AT_A_TIME => return,
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, days, "old incidents were taken away"),
            Err(error) => tracing::warn!(%error, "old incidents could not be taken away"),
        }
        let ledger = self.sites.now().minds.ledger.clone();
        match ledger.forget(before, AT_A_TIME).await {
            Ok(gone) if gone >= AT_A_TIME => return,
            Ok(0) => {}
            Ok(gone) => tracing::info!(gone, days, "what old incidents cost was taken away"),
            Err(error) => tracing::warn!(error, "what old incidents cost could not be taken away"),
        }
        self.pruned = now;
    }

    /// The door answers, and what comes through it can be written down.
    async fn inbox(&self, passed: Timestamp) -> Result<(), String> {
        let touched = self.inbox.touch(passed).await;
        self.door.tried(&touched);
        touched.map_err(|error: InboxError| error.to_string())?;
        self.door.bring(Vec::new(), "pulse", None).await.map(drop).map_err(|refusal| refusal.to_string())
    }

    async fn journal(&self) -> Result<(), String> {
        let journal = Arc::clone(&self.sites.now().journal);
        journal.touch(self.clock.now()).await.map_err(|error| error.to_string())
    }
}

async fn in_time(work: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    match tokio::time::timeout(LONGEST, work).await {
        Ok(done) => done,
        Err(_) => Err(format!("no answer within {} s", LONGEST.as_secs())),
    }
}
