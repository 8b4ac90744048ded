//! From start to stop.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use midwatch_mcp::{Aws, AwsSettings, Turns};
use midwatch_policy::{Calendar, Clock, Service, Timestamp};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    sync::{Semaphore, mpsc, oneshot},
    task::JoinSet,
};
use tokio_util::sync::CancellationToken;

use crate::deliver::{Deliver, DeliverError};
use crate::intake::{
    door::Door,
    inbox::{Inbox, InboxError},
    queue::{Queue, Waiting},
    sources::{
        sns::{OverHttps, Sns},
        sqs,
    },
};
use crate::passed::Passed;

use super::{
    back::Back,
    company::CameIn,
    config::{Config, Over, QueueSource},
    crew::Crew,
    health::Health,
    http::{self, Desk},
    metrics::Metrics,
    money::Purse,
    outage::Outage,
    people::People,
    pulse::{Pulse, Telling},
    site::{Maker, SiteError, Sites, orders},
    upkeep::Upkeep,
};

/// Things to tell incidents that may wait.
const EFFECTS: usize = 4096;
/// How long notices may take to arrive once it is told to stop.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// How long a reload may read; who asks for one over HTTP is answered within half a minute.
const READING: Duration = Duration::from_secs(20);

/// Somebody asks for a reload, and wants to know what came of it.
pub(super) type Reload = oneshot::Sender<Result<(), String>>;

/// Why it does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// What incidents are handled with cannot be made.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// The inbox.
    #[error(transparent)]
    Inbox(#[from] InboxError),
    /// A queue cannot be reached at all.
    #[error("the queue `{queue}` cannot be read: {why}")]
    Queue {
        /// Which.
        queue: String,
        /// Why.
        why: String,
    },
    /// People cannot be told.
    #[error(transparent)]
    Deliver(#[from] DeliverError),
    /// The calendar.
    #[error("the calendar `{path}` cannot be used: {why}")]
    Calendar {
        /// Which file.
        path: String,
        /// What is wrong with it.
        why: String,
    },
    /// The address is taken, or not ours.
    #[error("cannot listen on {addr}")]
    Bind {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// Serving ended.
    #[error("serving failed")]
    Serve(#[source] tokio::task::JoinError),
    /// Something of the operating system.
    #[error("{what} cannot be set up")]
    Setup {
        /// What.
        what: &'static str,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// What it is started with.
#[derive(Debug)]
pub struct Start {
    /// What it is told.
    pub config: Config,
    /// The file that a reload reads again.
    pub file: Option<PathBuf>,
    /// What is over that file.
    pub over: Over,
    /// What came in, and what was decided.
    pub inbox: Inbox,
    /// Makes what incidents are handled with.
    pub maker: Arc<dyn Maker>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// AWS, for the queues.
    pub aws: Aws,
    /// How long reads waited for a turn at a server.
    pub turns: Turns,
    /// What leaves, until it has arrived.
    pub outbox: PathBuf,
}

/// Runs until SIGTERM or SIGINT. `listening` is told the address once alarms can come in.
pub async fn run(start: Start, listening: impl FnOnce(SocketAddr)) -> Result<(), ServeError> {
    let Start { config, file, over, inbox, maker, clock, aws, turns, outbox } = start;
    let mut signals = Signals::new()?;
    let bound = http::bind(config.listen).await?;
    // Files are read, and nobody elsewhere is waited for. Even so: who is told to stop stops.
    let sites = tokio::select! {
        sites = Sites::open(&config, (file, over), maker) => Arc::new(sites?),
        () = signals.stop.told() => return Ok(()),
    };
    let metrics = Arc::new(Metrics::new(clock.now()));
    let minds = Arc::clone(&sites.now().minds);
    metrics.show(Purse::new(Arc::clone(&minds.gates), minds.ledger.clone(), Arc::clone(&clock)));
    metrics.show(super::turns::Waits { aws: aws.turns(), servers: turns });
    let people = people(&config, &outbox, &clock, (&inbox, &sites)).await?;
    let queue = Queue::new(config.at_once, config.waiting);
    let (effects, told) = mpsc::channel(EFFECTS);
    let orders = orders(&config, &sites.now());
    let (door, porter) = Door::build(inbox.clone(), orders, queue, Arc::clone(&clock), effects).await?;
    resume(&inbox, &door, &sites, &people).await?;
    let passed = Passed::since(inbox.touched().await?, clock.now(), clock.running());

    // Alarms are let in until `closed`; what is at work may then take its time.
    let closed = CancellationToken::new();
    let (reload, mut reloads) = mpsc::channel::<Reload>(4);
    let health = Arc::new(Health::new(clock.running()));
    let upkeep = Upkeep { health: Arc::clone(&health), clock: Arc::clone(&clock) };
    let overhttps = OverHttps::new().map_err(|error| setup("the HTTPS client", error))?;
    let desk = Desk {
        door: door.clone(),
        inbox: inbox.clone(),
        clock: Arc::clone(&clock),
        sns: Arc::new(Sns::new(config.topics.clone(), Arc::new(overhttps), Arc::clone(&clock))),
        metrics: Arc::clone(&metrics),
        people: people.clone(),
        health: Arc::clone(&health),
        callers: config.callers.clone().into(),
        hosts: http::hosts(&config, bound.addr),
        long: Arc::new(Semaphore::new(http::LONG)),
        // What ends TLS in front of it calls from loopback, for anybody.
        open: config.listen.ip().is_loopback() && !config.behind_tls,
        tools: Arc::clone(&sites) as Arc<_>,
        strangers: Arc::new(Semaphore::new(http::STRANGERS)),
        reload,
    };
    let crew = Arc::new(Crew {
        door: door.clone(),
        sites: Arc::clone(&sites),
        metrics: Arc::clone(&metrics),
        health: Arc::clone(&health),
        clock: Arc::clone(&clock),
        inbox: inbox.clone(),
        people: people.clone(),
        sides: Mutex::default(),
    });
    let shut = CancellationToken::new();
    let mut telling = JoinSet::new();
    let state = (Arc::clone(&crew), told);
    telling.spawn(
        upkeep
            .clone()
            .keep("telling incidents", shut.clone(), state, |(crew, told)| Box::pin(crew.tell(told))),
    );
    let mut keeping = JoinSet::new();
    let state = (porter, shut.clone());
    keeping.spawn(
        upkeep.clone().keep("the door", shut.clone(), state, |(porter, shut)| Box::pin(porter.run(shut))),
    );
    let mut reading = JoinSet::new();
    let pulse = Pulse {
        door: door.clone(),
        inbox: inbox.clone(),
        sites: Arc::clone(&sites),
        people: people.clone(),
        health: Arc::clone(&health),
        metrics: Arc::clone(&metrics),
        clock: Arc::clone(&clock),
        outage: Outage::default(),
        telling: Telling::default(),
        keep_days: config.keep_days,
        pruned: Timestamp::UNIX_EPOCH,
        passed,
    };
    let state = (pulse, closed.clone());
    reading.spawn(
        upkeep
            .clone()
            .keep("the pulse", closed.clone(), state, |(pulse, closed)| Box::pin(pulse.run(closed))),
    );
    for source in &config.queues {
        let queue = self::queue(source, &aws).await?;
        let state = (queue, door.clone(), Arc::clone(&clock), Arc::clone(&metrics), closed.clone());
        reading.spawn(upkeep.clone().keep("reading a queue", closed.clone(), state, |state| {
            let (queue, door, clock, count, closed) = state;
            Box::pin(queue.run(door, clock, &**count, closed))
        }));
    }
    let state = (Back::new(Arc::clone(&crew)), closed.clone());
    reading.spawn(
        upkeep.clone().keep("what people gave back", closed.clone(), state, |(back, closed)| {
            Box::pin(back.run(closed))
        }),
    );
    let mut working = JoinSet::new();
    let state = (crew, closed.clone(), config.grace);
    working.spawn(upkeep.keep("work", closed.clone(), state, |(crew, closed, grace)| {
        Box::pin(Arc::clone(crew).work(closed, *grace))
    }));
    let addr = bound.addr;
    let mut serving = tokio::spawn(bound.run(desk, closed.clone()));
    health.set_up(true);
    listening(addr);

    let ended = loop {
        let asked = tokio::select! {
            () = signals.stop.told() => break Ok(()),
            served = &mut serving => break served.map_err(ServeError::Serve),
            _ = signals.hang_up.recv() => None,
            asked = reloads.recv() => asked,
        };
        // Who asked was told that it took too long, and may have asked again.
        if asked.as_ref().is_some_and(Reload::is_closed) {
            continue;
        }
        let result = tokio::select! {
            result = reloaded(&sites, &door, &people, &config) => result,
            () = signals.stop.told() => break Ok(()),
        };
        metrics.reloaded(if result.is_ok() { "good" } else { "bad" });
        match &result {
            Ok(()) => tracing::info!("reloaded"),
            Err(why) => tracing::error!(why, "not reloaded: everything is as it was before"),
        }
        if let Some(asked) = asked {
            let _ = asked.send(result);
        }
    };
    // First nothing more comes in, then work comes to its end, then what it said is written down.
    health.set_up(false);
    closed.cancel();
    while reading.join_next().await.is_some() {}
    while working.join_next().await.is_some() {}
    if !serving.is_finished() {
        let _ = serving.await;
    }
    shut.cancel();
    while keeping.join_next().await.is_some() {}
    while telling.join_next().await.is_some() {}
    people.drain(LAST_WORDS).await;
    ended
}

/// What was opened and has not ended goes before everything else.
async fn resume(inbox: &Inbox, door: &Door, sites: &Sites, people: &People) -> Result<(), ServeError> {
    let open = inbox.unfinished().await?;
    let site = sites.now();
    for open in open {
        people.watch(&open.incident, &open.alarm, &site.catalog, open.at);
        let service = crate::intake::service_of(&open.alarm, &site.catalog);
        let waiting = Waiting::new(open.incident, open.alarm, open.salt, service, open.at);
        door.queue(|queue| queue.push(Waiting { interrupted: true, ..waiting }));
    }
    door.wake();
    Ok(())
}

async fn reloaded(sites: &Sites, door: &Door, people: &People, began: &Config) -> Result<(), String> {
    // Nothing is changed until all of it is there, and then without a pause.
    let read = tokio::time::timeout(READING, sites.reload(began)).await;
    let late = |_| format!("it was not read within {} s: nothing was reloaded", READING.as_secs());
    let (config, fresh) = read.map_err(late)?.map_err(|error| error.to_string())?;
    let calendar = calendar(&config).map_err(|error| error.to_string())?;
    door.order(orders(&config, fresh.site())).await.map_err(|error| error.to_string())?;
    if let Some(notify) = config.notify {
        people.reload(notify, Arc::new(calendar));
    }
    sites.replace(fresh);
    Ok(())
}

/// Those who are told; people are told first of what was left too long.
async fn people(
    config: &Config,
    outbox: &Path,
    clock: &Arc<dyn Clock>,
    (inbox, sites): (&Inbox, &Arc<Sites>),
) -> Result<People, ServeError> {
    let deliver = match &config.notify {
        None => {
            tracing::warn!("no `[notify]`: nobody is told of anything, and reports lie in the store only");
            None
        }
        Some(notify) => {
            let calendar = Arc::new(calendar(config)?);
            Some(Deliver::open(notify.clone(), outbox, Arc::clone(clock), calendar).await?)
        }
    };
    let people = People::new(deliver.clone(), Arc::clone(clock));
    people.settle_ended(inbox).await?;
    if let Some(deliver) = deliver {
        deliver.ask(Arc::new(CameIn { inbox: inbox.clone(), sites: Arc::clone(sites) }));
        deliver.begin().await?;
    }
    Ok(people)
}

fn calendar(config: &Config) -> Result<Calendar, ServeError> {
    let Some(path) = &config.calendar else { return Ok(Calendar::default()) };
    let failed = |why: String| ServeError::Calendar { path: path.display().to_string(), why };
    let text = std::fs::read_to_string(path).map_err(|error| failed(error.to_string()))?;
    Calendar::parse(&text).map_err(|error| failed(error.to_string()))
}

async fn queue(source: &QueueSource, aws: &Aws) -> Result<sqs::Queue, ServeError> {
    let failed = |why: String| ServeError::Queue { queue: source.name.clone(), why };
    let config = match (&source.region, &source.role_arn) {
        (None, None) => aws.base().await,
        (region, role) => aws.for_service(&stand_in(region.clone(), role.as_deref()).map_err(failed)?).await,
    };
    let config = config.map_err(|error| failed(format!("{}; {}", error.message, error.mend)))?;
    Ok(sqs::Queue::new(&config, &source.name, source.url.clone(), source.dead_letter.clone()))
}

/// A service that is nothing but a place, for who asks for clients by service.
fn stand_in(region: Option<String>, role: Option<&str>) -> Result<Service, String> {
    let text = "name = \"queue\"\ntier = 0\nenvironment = \"production\"";
    let service: Service = toml::from_str(text).map_err(|error| error.to_string())?;
    let role_arn = role.map(str::parse).transpose().map_err(|error| format!("`role_arn`: {error}"))?;
    Ok(Service { region, role_arn, ..service })
}

/// The ordinary AWS access of the daemon.
pub fn aws(config: &Config) -> Aws {
    Aws::new(AwsSettings {
        session_name: "midwatch-serve".to_owned(),
        calls_per_second: config.aws_calls_per_second,
        ..AwsSettings::default()
    })
}

fn setup(what: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> ServeError {
    ServeError::Setup { what, source: Box::new(error) }
}

struct Signals {
    stop: Stop,
    hang_up: Signal,
}

struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    /// Somebody tells it to stop.
    async fn told(&mut self) {
        tokio::select! { _ = self.terminate.recv() => {}, _ = self.interrupt.recv() => {} }
    }
}

impl Signals {
    fn new() -> Result<Self, ServeError> {
        let handler = |kind| signal(kind).map_err(|error| setup("a signal handler", error));
        Ok(Self {
            stop: Stop {
                terminate: handler(SignalKind::terminate())?,
                interrupt: handler(SignalKind::interrupt())?,
            },
            hang_up: handler(SignalKind::hangup())?,
        })
    }
}
