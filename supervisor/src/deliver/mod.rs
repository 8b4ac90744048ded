//! Reaching people: escalations, requests for approval, reports and, where there is no outcome,
//! the team's own alarm leave by the channels that the configuration names.
//!
//! INVARIANTS:
//! - what [`Deliver::notify`] has returned for is on disk, and is sent whatever crashes after that;
//! - a notice ends delivered, acknowledged, cancelled, or failed; what failed shows in
//!   [`Deliver::health`] until a person acknowledges it;
//! - Midwatch is never the only way to the pager: an alarm whose incident has no outcome in time
//!   is passed on by a timer of its own, and the heartbeat stops when Midwatch does not work.
//!
//! The way of a notice: `notice` says what, `route` to whom, `chain` what becomes of it (a pure
//! step function), `outbox` keeps it, `pump` sends it by a `channel`.
//!
//! A queue in memory with a journal entry after sending was rejected: between the two lies every
//! crash that matters.

mod account;
mod chain;
mod channel;
mod config;
#[cfg(test)]
pub(crate) mod double;
mod heartbeat;
mod notice;
mod outbox;
mod pump;
mod route;
mod secret;
mod sign;
#[cfg(test)]
mod tests;
mod text;
mod trial;
mod view;

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
    time::Duration,
};

use midwatch_mcp::RemoteError;
use midwatch_policy::{Calendar, Clock, IncidentId, Timestamp};
use tokio::sync::{Notify, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use channel::{SIGNATURES, Taken};
pub use config::{NotifyConfig, NotifyError, RawNotify};
pub use heartbeat::{Organ, Pulse};
pub use notice::{About, Kind, Line, Notice, Origin, Over, Severity};
pub use outbox::{OutboxError, hold_outbox, outbox_of};
pub use sign::{NOTICE, SIGNATURE, SignatureError, TIMESTAMP, WINDOW_S, sign, verify};
pub use trial::{Tried, try_route};
pub use view::{DeliveryHealth, NoticeView};

use chain::Link;
use channel::{Http, Parcel, Said, answer};
use config::Way;
use outbox::{Leg, Outbox, Scope, Watch};

use crate::{
    alarm::Alarm,
    others::{Company, Others},
};

/// How long a notice may be due before it counts as stuck.
const STUCK: Duration = Duration::from_mins(2);
/// How long it may take until somebody has heard of a notice that is to wake them.
const UNHEARD: Duration = Duration::from_mins(3);
/// How long it may take to say what else came in for an incident. Real time, since it is for I/O.
const ASKED: Duration = Duration::from_secs(1);
/// Most notices that are shown at once.
const SHOWN: u32 = 500;

/// Why delivering cannot begin, or a notice is not kept.
#[derive(Debug, thiserror::Error)]
pub enum DeliverError {
    /// The outbox.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The HTTP client.
    #[error(transparent)]
    Client(#[from] RemoteError),
    /// The outbox could not keep it, so it was sent at once, without a second try.
    #[error("a notice could not be kept, and {}", match .told { Some(channel) => format!("was sent once, by `{channel}`"), None => "nobody could be told".to_owned() })]
    NotKept {
        /// The channels that took it, one of each of its chains that could be used.
        told: Option<String>,
        /// Why it was not kept.
        source: OutboxError,
    },
}

/// What became of a notice that was handed over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is kept, and leaves on this many chains.
    Kept(usize),
    /// It was handed over before; nothing is sent twice.
    Known,
    /// It is a follow-up, and nobody was told of anything before.
    NobodyToTell,
}

/// How notices leave: the configuration, and how many may leave at a time.
#[derive(Debug)]
struct Setup {
    config: NotifyConfig,
    calendar: Arc<Calendar>,
    gates: BTreeMap<String, Arc<Semaphore>>,
}

impl Setup {
    fn new(config: NotifyConfig, calendar: Arc<Calendar>) -> Self {
        let gate =
            |(name, way): (&String, &Arc<Way>)| (name.clone(), Arc::new(Semaphore::new(way.at_a_time)));
        let gates = config.channels.iter().map(gate).collect();
        Self { config, calendar, gates }
    }

    fn legs(&self, notice: &Notice, now: Timestamp) -> Vec<Leg> {
        let picked = self.config.routes.pick(notice, &self.calendar, now);
        picked.into_iter().map(|route| (route.name.clone(), route.chain(notice.kind))).collect()
    }
}

/// Why a message of a channel is not heard.
#[derive(Debug, thiserror::Error)]
pub enum Unheard {
    /// No channel hears any.
    #[error("no channel of kind `pagerduty` has a `webhook_secret`")]
    NotConfigured,
    /// It may be anybody's.
    #[error("it is not signed with the `webhook_secret` of a channel")]
    NotSigned,
    /// Signed, and no message of version 3.
    #[error("it is no webhook message of version 3: {0}")]
    Unreadable(#[from] serde_json::Error),
}

/// Reaching people. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Deliver(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    outbox: Outbox,
    clock: Arc<dyn Clock>,
    http: Http,
    /// INVARIANT: never locked across an await.
    setup: RwLock<Arc<Setup>>,
    /// Something new is there to be sent.
    wake: Notify,
    pulse: Pulse,
    /// No new notice is taken to be sent.
    stop: CancellationToken,
    tasks: TaskTracker,
    /// What is wrong with the outbox, as last seen.
    problem: RwLock<Option<String>>,
    /// What was sent at once, by its key and route, and the channel that took it; until the outbox
    /// keeps something again. INVARIANT: never locked across an await.
    at_once: Mutex<BTreeMap<String, String>>,
    /// Who knows what else came in for an incident.
    company: OnceLock<Arc<dyn Company>>,
}

impl Deliver {
    /// Opens. `outbox` is the file that it keeps to itself; see [`outbox_of`]. Nothing leaves before
    /// [`Deliver::begin`].
    pub async fn open(
        config: NotifyConfig,
        outbox: &Path,
        clock: Arc<dyn Clock>,
        calendar: Arc<Calendar>,
    ) -> Result<Self, DeliverError> {
        Self::open_with(config, outbox, clock, calendar, Http::new()?).await
    }

    async fn open_with(
        config: NotifyConfig,
        outbox: &Path,
        clock: Arc<dyn Clock>,
        calendar: Arc<Calendar>,
        http: Http,
    ) -> Result<Self, DeliverError> {
        let outbox = Outbox::open(outbox)?;
        let inner = Arc::new(Inner {
            outbox,
            http,
            setup: RwLock::new(Arc::new(Setup::new(config, calendar))),
            wake: Notify::new(),
            pulse: Pulse::new(Arc::clone(&clock)),
            clock,
            stop: CancellationToken::new(),
            tasks: TaskTracker::new(),
            problem: RwLock::default(),
            at_once: Mutex::default(),
            company: OnceLock::new(),
        });
        inner.outbox.restart(inner.clock.now()).await?;
        Ok(Self(inner))
    }

    /// What is passed on from now on names the other alarms of its incident as well.
    pub fn ask(&self, company: Arc<dyn Company>) {
        let _ = self.0.company.set(company);
    }

    /// The other alarms of an incident, as far as they can be read at once.
    pub async fn others(&self, incident: &IncidentId, lead: &Alarm) -> Option<Others> {
        self.0.others(incident, lead).await
    }

    /// Begins. Returns once people were told, durably, of incidents that were left too long
    /// meanwhile.
    pub async fn begin(&self) -> Result<(), DeliverError> {
        let inner = &self.0;
        inner.outbox.pass(inner.clock.now()).await?;
        inner.overdue("Midwatch was not running, or did not get to it").await?;
        if let Some(beats) = inner.setup().config.heartbeat.clone() {
            let (http, pulse, stop) = (inner.http.clone(), inner.pulse.clone(), inner.stop.clone());
            inner.tasks.spawn(heartbeat::run(beats, http, pulse, stop));
        }
        inner.tasks.spawn(pump::run(Arc::clone(inner)));
        Ok(())
    }

    /// Incidents whose outcome is waited for.
    pub async fn watched(&self) -> Result<Vec<IncidentId>, DeliverError> {
        Ok(self.0.outbox.watched().await?)
    }

    /// Hands a notice over. When this returns it is on disk, and will be sent.
    ///
    /// Where it cannot be kept (a full disk), it is sent at once by the first channel of each of its
    /// chains that takes it, and the error says so. Handed over again, it is sent only where nobody
    /// took it before; once it can be kept it goes its whole way.
    pub async fn notify(&self, notice: Notice) -> Result<Accepted, DeliverError> {
        let now = self.0.clock.now();
        let legs = self.0.setup().legs(&notice, now);
        let follows = notice.kind.is_follow_up();
        match self.0.outbox.put(notice.clone(), legs.clone(), now).await {
            Ok(0) if follows => Ok(Accepted::NobodyToTell),
            Ok(0) => Ok(Accepted::Known),
            Ok(new) => {
                self.0.well();
                self.0.at_once().clear();
                self.0.wake.notify_one();
                Ok(Accepted::Kept(new))
            }
            Err(source) => {
                self.0.unwell(&source);
                let told = self.0.send_at_once(&notice, &legs).await;
                Err(DeliverError::NotKept { told, source })
            }
        }
    }

    /// Hands a follow-up over for those who were told of an escalation while the outbox did not work,
    /// so that it does not know them: it is sent once, by the channel that would be first.
    pub async fn follow_up_at_once(&self, notice: &Notice) -> Option<String> {
        let asked_of = Notice { kind: Kind::Escalation, ..notice.clone() };
        let legs = self.0.setup().legs(&asked_of, self.0.clock.now());
        self.0.send_at_once(notice, &legs).await
    }

    /// A person has the incident: nobody else is woken for it, those who were told hear of it, and
    /// what failed stops being red. Returns how many notices that ends.
    pub async fn acknowledge(&self, incident: &IncidentId, by: &str) -> Result<usize, DeliverError> {
        let by = text::line(by, 80);
        let ended = self.0.outbox.acknowledge(incident, &by, self.0.clock.now()).await?;
        self.0.wake.notify_one();
        Ok(ended)
    }

    /// What PagerDuty sent to our webhook: who has which incident now, if it says so. Acknowledging is
    /// up to the caller.
    pub fn heard_of_pagerduty(&self, signatures: &str, body: &[u8]) -> Result<Option<Taken>, Unheard> {
        let setup = self.0.setup();
        let mut secrets = setup.config.pagerduty_secrets().peekable();
        secrets.peek().ok_or(Unheard::NotConfigured)?;
        if !secrets.any(|secret| answer::is_signed(secret, signatures, body)) {
            return Err(Unheard::NotSigned);
        }
        Ok(answer::read(body)?)
    }

    /// Nobody has to look at the incident any more. Those who were told are told so by
    /// [`Notice::all_clear`], which cancels as well. Returns how many notices that ends.
    pub async fn cancel(&self, incident: &IncidentId) -> Result<usize, DeliverError> {
        Ok(self.0.outbox.cancel(incident, Scope::Incident, self.0.clock.now()).await?)
    }

    /// A request was answered, expired or withdrawn: nobody is asked about it any more.
    pub async fn answered(&self, incident: &IncidentId, request: &str) -> Result<usize, DeliverError> {
        let scope = Scope::Request(request.to_owned());
        Ok(self.0.outbox.cancel(incident, scope, self.0.clock.now()).await?)
    }

    /// Begins to wait for an outcome of an incident, from the time it was opened. If there is none
    /// in time, its alarm is passed on as it came, whatever became of the incident's own task.
    pub async fn watch(&self, about: About, alarm: &Alarm, since: Timestamp) -> Result<(), DeliverError> {
        let after = self.0.setup().config.raw_alarm_after;
        // A clock that was ahead when the incident was opened must not put the timer off.
        let since = since.min(self.0.clock.now());
        let due = since.saturating_add(after).unwrap_or(since);
        self.0.outbox.arm(Watch { about, alarm: alarm.clone(), since, due, nth: 0 }).await?;
        self.0.wake.notify_one();
        Ok(())
    }

    /// An incident has come to an outcome.
    pub async fn settle(&self, incident: &IncidentId) -> Result<(), DeliverError> {
        Ok(self.0.outbox.settle(incident).await?)
    }

    /// Whether people can be reached, and what did not reach them.
    pub async fn health(&self) -> DeliveryHealth {
        let mut health =
            health(&self.0.outbox, self.0.clock.now()).await.unwrap_or_else(|error| broken(&error));
        let problem = self.0.problem.read().unwrap_or_else(PoisonError::into_inner).clone();
        health.problem = health.problem.or(problem);
        health.ok &= health.problem.is_none();
        health
    }

    /// Notices by state: `waiting`, `delivered`, `cancelled`, `failed`.
    pub async fn counts(&self) -> Result<Vec<(&'static str, u64)>, DeliverError> {
        Ok(self.0.outbox.counts().await?)
    }

    /// Notices of an incident, newest first.
    pub async fn notices(&self, incident: &IncidentId) -> Result<Vec<NoticeView>, DeliverError> {
        Ok(self.0.outbox.views(Some(incident), SHOWN).await?)
    }

    /// Where others show that they are alive, for the heartbeat.
    pub fn pulse(&self) -> Pulse {
        self.0.pulse.clone()
    }

    /// New routes and channels, from now on. What is under way keeps its chain; a channel that is
    /// gone is left for the next link.
    pub fn reload(&self, config: NotifyConfig, calendar: Arc<Calendar>) {
        let setup = Arc::new(Setup::new(config, calendar));
        *self.0.setup.write().unwrap_or_else(PoisonError::into_inner) = setup;
        self.0.wake.notify_one();
    }

    /// Ends: what is on its way has `grace` to arrive; the rest stays in the outbox and is sent
    /// after the next start. Real time, since it is for I/O.
    pub async fn drain(&self, grace: Duration) {
        self.0.stop.cancel();
        self.0.tasks.close();
        if tokio::time::timeout(grace, self.0.tasks.wait()).await.is_err() {
            tracing::warn!("notices were still on their way: they are sent again after the next start");
        }
    }
}

impl Inner {
    fn setup(&self) -> Arc<Setup> {
        Arc::clone(&self.setup.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn well(&self) {
        *self.problem.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn unwell(&self, error: &OutboxError) {
        let source = std::error::Error::source(error).map(|s| format!(": {s}")).unwrap_or_default();
        tracing::error!(error = format!("{error}{source}"), "the outbox does not work");
        *self.problem.write().unwrap_or_else(PoisonError::into_inner) = Some(format!("{error}{source}"));
    }

    /// Passes on the alarms of incidents that have been without an outcome for too long.
    async fn overdue(&self, why: &str) -> Result<(), OutboxError> {
        let now = self.clock.now();
        let mut may_ask = true;
        for watch in self.outbox.overdue(now).await? {
            let setup = self.setup();
            let mut about = watch.about.clone();
            if may_ask {
                // Nothing holds the pager up: who does not answer is not asked again in this turn.
                let others = self.others(&about.incident, &watch.alarm).await;
                may_ask = others.is_some();
                about.others = others.unwrap_or_default();
            }
            let open_ms = crate::record::millis_between(watch.since, now);
            let took = crate::terminal::text::took(open_ms);
            let notice = if watch.nth == 0 {
                let why = format!("no outcome after {took}: {why}");
                Notice::raw_alarm(about, &watch.alarm, &why, now)
            } else {
                let what = "its alarm was passed on, and there is still no outcome";
                Notice::reminder(about, watch.nth, open_ms, what, now)
            };
            let legs = setup.legs(&notice, now);
            self.outbox.fire(watch, notice, legs, setup.config.remind_every, now).await?;
        }
        Ok(())
    }

    async fn others(&self, incident: &IncidentId, lead: &Alarm) -> Option<Others> {
        let Some(company) = self.company.get() else { return Some(Others::default()) };
        tokio::time::timeout(ASKED, company.of(incident, lead)).await.ok()
    }

    /// Tries every link of each chain once, until one takes it. Names those that did, now or when
    /// the same was handed over before.
    async fn send_at_once(&self, notice: &Notice, legs: &[Leg]) -> Option<String> {
        let key = notice.key();
        let mut told = Vec::new();
        for (route, links) in legs {
            let leg = format!("{key}@{route}");
            let before = self.at_once().get(&leg).cloned();
            let taken = match before {
                Some(channel) => Some(channel),
                None => self.first_taker(notice, &key, links).await,
            };
            if let Some(channel) = taken {
                self.at_once().insert(leg, channel.clone());
                told.push(channel);
            }
        }
        if told.is_empty() { None } else { Some(told.join("`, `")) }
    }

    async fn first_taker(&self, notice: &Notice, key: &str, links: &[Link]) -> Option<String> {
        let setup = self.setup();
        for link in links {
            let Some(way) = setup.config.channels.get(&link.channel) else { continue };
            let parcel = Parcel { notice, key, now: self.clock.now() };
            if way.channel.send(&self.http, parcel).await == Said::Taken {
                return Some(link.channel.clone());
            }
        }
        None
    }

    fn at_once(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.at_once.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn health(outbox: &Outbox, now: Timestamp) -> Result<DeliveryHealth, OutboxError> {
    let failed = outbox.failed().await?;
    let (pending, stuck) = outbox.pending(now.saturating_sub(STUCK).unwrap_or(now)).await?;
    let unheard = outbox.unheard(now.saturating_sub(UNHEARD).unwrap_or(now)).await?;
    let ok = failed.is_empty() && stuck == 0 && unheard == 0;
    Ok(DeliveryHealth { ok, failed, pending, stuck, unheard, problem: None })
}

fn broken(error: &OutboxError) -> DeliveryHealth {
    let problem = Some(error.to_string());
    DeliveryHealth { ok: false, failed: Vec::new(), pending: 0, stuck: 0, unheard: 0, problem }
}

/// The outbox as others see it, beside the daemon: to look, and to acknowledge.
#[derive(Debug)]
pub struct Beside(Outbox, Arc<dyn Clock>);

impl Beside {
    /// Opens the outbox.
    pub fn open(outbox: &Path, clock: Arc<dyn Clock>) -> Result<Self, DeliverError> {
        Ok(Self(Outbox::look(outbox)?, clock))
    }

    /// Whether people can be reached, as far as the outbox shows.
    pub async fn health(&self) -> Result<DeliveryHealth, DeliverError> {
        Ok(health(&self.0, self.1.now()).await?)
    }

    /// Notices, newest first: all, or of one incident.
    pub async fn notices(&self, incident: Option<&IncidentId>) -> Result<Vec<NoticeView>, DeliverError> {
        Ok(self.0.views(incident, SHOWN).await?)
    }

    /// As [`Deliver::acknowledge`]; the daemon follows within seconds.
    pub async fn acknowledge(&self, incident: &IncidentId, by: &str) -> Result<usize, DeliverError> {
        Ok(self.0.acknowledge(incident, &text::line(by, 80), self.1.now()).await?)
    }
}
