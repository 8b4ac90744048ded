//! Whole incidents from the alarm to the report, with the world's latencies: sweep, routing,
//! specialists (the playbook's), decision, report; nobody is asked and nothing is done. Journal and
//! ledger are on a disk. The incidents are those of many accounts, each reached by a role of its own and read at
//! the rates that are kept for an account: those of one would be the bound otherwise. What was not read is counted:
//! an incident that read less costs less.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::BoxFuture;

use midwatch::{
    alarm::{self, Alarm},
    event::NoView,
    incident,
    journal::{Journal, SqliteJournal},
    ledger::Ledger,
    memory::Memory,
    replay::Replay,
    run::Run,
    servers,
    site::{Minds, Site},
};
use midwatch_agents::{
    budget::Ceilings,
    model::{CallLimits, Model, ModelError, ModelRequest, ModelResponse},
    playbook::PlaybookModel,
    prices::Prices,
};
use midwatch_mcp::{Aws, AwsSettings, CALLS_PER_SECOND, Ctx, Roles, SystemClock, connect_in_process};
use midwatch_policy::{AwsName, Catalog, Clock, Service, ServiceName};
use midwatch_remediation::{RemediationConfig, RemediationServer, SpendStore};
use tokio::sync::Semaphore;

use crate::{
    process::{Process, percentile},
    row,
    world::Apart,
};

/// Accounts.
const ACCOUNTS: usize = 48;
/// Incidents that begin in an hour, of `steady`: those of the aim.
const HOURLY: f64 = 20_000.0;
/// For how long they go on beginning.
const FOR: Duration = Duration::from_mins(6);
/// What a model takes to answer, of `steady`: an incident then lasts some three minutes, and so a thousand are at work.
const THINKS_S: u64 = 30;

/// The playbook's answers, after so many seconds.
#[derive(Debug, Clone, Default)]
struct Thinking(Arc<AtomicU64>);

impl Model for Thinking {
    fn id(&self) -> &str {
        PlaybookModel.id()
    }

    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(self.0.load(Ordering::Relaxed))).await;
            PlaybookModel.converse(request, limits).await
        })
    }
}

fn account(number: usize) -> String {
    format!("{:012}", 100_000_000_000 + number % ACCOUNTS)
}

/// The services of the world in every account, each under a name of its own.
fn catalog(world: &Apart) -> Catalog {
    let one = Catalog::parse(&world.catalog).unwrap();
    let of = |number: usize| {
        let name = move |name: &ServiceName| ServiceName::parse(format!("{name}-{number}")).unwrap();
        one.services().map(move |service| Service {
            name: name(&service.name),
            depends_on: service.depends_on.iter().map(name).collect(),
            account: Some(account(number)),
            role_arn: AwsName::parse(format!("arn:aws:iam::{}:role/midwatch-read", account(number))).ok(),
            ..service.clone()
        })
    };
    Catalog::new((0..ACCOUNTS).flat_map(of).collect()).unwrap()
}

async fn site(world: &Apart, dir: &Path, model: Thinking) -> Site {
    let ceilings = Ceilings {
        incident_micro_usd: 500_000,
        service_hour_micro_usd: u64::MAX >> 1,
        hour_micro_usd: u64::MAX >> 1,
        day_micro_usd: u64::MAX >> 1,
    };
    let ledger = Ledger::open(&dir.join("ledger.db"), ceilings).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let catalog = Arc::new(catalog(world));
    let prices = Arc::new(Prices::embedded().unwrap());
    let model: Arc<dyn Model> = Arc::new(model);
    let minds = Minds::new(Arc::clone(&model), model, prices).unwrap();
    let settings = AwsSettings::local(&world.endpoint, "us-east-1");
    let aws = Aws::new(AwsSettings { roles: Roles::Assume, calls_per_second: CALLS_PER_SECOND, ..settings });
    let ctx = Ctx::new(aws, Arc::clone(&catalog), Arc::clone(&clock));
    let mut tools = servers::readers(&ctx, Some(world.runbooks.clone())).await;
    let planning = RemediationConfig::planning_only(SpendStore::in_memory().unwrap());
    let server = connect_in_process(RemediationServer::new(ctx, planning)).await.unwrap();
    tools.attach("remediation", server).await;
    Site {
        catalog,
        clock: Arc::clone(&clock),
        wall: clock,
        tools: Arc::new(tools),
        minds: Arc::new(Minds { ledger, ..minds }),
        hands: None,
        journal: Arc::new(SqliteJournal::open(&dir.join("incidents.db")).unwrap()),
        memory: Memory::default(),
    }
}

/// So many incidents altogether, so many at once.
pub type Plays = Vec<(usize, usize)>;

/// More and more at once, up to all of them.
pub fn rising(most: usize) -> Plays {
    vec![(most / 4, most / 8), (most / 2, most / 4), (most, most / 2), (most, most)]
}

pub async fn measure(dir: &Path, plays: Plays) {
    let world = Apart::start();
    let dir = tempfile::tempdir_in(dir).unwrap();
    let stage = Stage::set(&world, dir.path()).await;
    // What is set up at the first use of an account is no incident's cost.
    stage.play(ACCOUNTS, 2).await;
    for (count, active) in plays.into_iter().filter(|(_, active)| *active > 0) {
        stage.play(count, active).await;
    }
    replayed(stage.site.journal.as_ref()).await;
}

/// As many begin in every second as the aim says, and each lasts as long as its models take to answer.
pub async fn steady(dir: &Path) {
    let world = Apart::start();
    let dir = tempfile::tempdir_in(dir).unwrap();
    let stage = Stage::set(&world, dir.path()).await;
    stage.play(ACCOUNTS, 2).await;
    stage.model.0.store(THINKS_S, Ordering::Relaxed);
    let (meter, mut at_work) = (Meter::start(), Vec::new());
    let mut tick = tokio::time::interval(Duration::from_secs_f64(3600.0 / HOURLY));
    while meter.begun.elapsed() < FOR {
        tick.tick().await;
        at_work.push(tokio::spawn(stage.one()));
    }
    let (begun, cpu) = (at_work.len(), meter.cpu());
    let done = stage.done.load(Ordering::Relaxed) - ACCOUNTS;
    let active = stage.most.load(Ordering::Relaxed);
    let mut all = Played::default();
    for one in at_work {
        all.add(&one.await.unwrap());
    }
    let seconds = FOR.as_secs_f64();
    row(
        &format!("{HOURLY:.0} an hour begin, for {} minutes", FOR.as_secs() / 60),
        &format!(
            "{begun} begun, {done} done meanwhile, at most {active} active at once; {:.2} of 2 cores; {}; {}",
            cpu.as_secs_f64() / seconds,
            stage.memory(&meter, active),
            all.said(),
        ),
    );
}

/// Where incidents are played.
struct Stage {
    site: Arc<Site>,
    model: Thinking,
    alarm: Alarm,
    begun: AtomicUsize,
    active: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    done: Arc<AtomicUsize>,
    /// Most memory, in MB, that was seen when an incident ended.
    peak: Arc<AtomicUsize>,
}

impl Stage {
    async fn set(world: &Apart, dir: &Path) -> Self {
        let (model, zero) = (Thinking::default(), Arc::<AtomicUsize>::default);
        Self {
            site: Arc::new(site(world, dir, model.clone()).await),
            model,
            alarm: alarm::parse(&world.alarm.to_string()).unwrap(),
            begun: AtomicUsize::new(0),
            active: zero(),
            most: zero(),
            done: zero(),
            peak: zero(),
        }
    }

    /// The next incident, from its alarm to its report.
    fn one(&self) -> impl Future<Output = Ended> + Send + use<> {
        let number = self.begun.fetch_add(1, Ordering::Relaxed);
        let alarm = Alarm { account: Some(account(number)), ..self.alarm.clone() };
        let site = Arc::clone(&self.site);
        let [active, most, done, peak] = [&self.active, &self.most, &self.done, &self.peak].map(Arc::clone);
        async move {
            most.fetch_max(active.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            let salt = u32::try_from(number).unwrap();
            let ready = incident::open(alarm, &site, Box::new(NoView), salt).await.unwrap();
            assert!(ready.opened().service.is_some(), "the catalog knows it");
            let run = Box::pin(ready.run(&site)).await.run;
            peak.fetch_max(Process::own().memory().0 as usize, Ordering::Relaxed);
            active.fetch_sub(1, Ordering::Relaxed);
            done.fetch_add(1, Ordering::Relaxed);
            Ended::of(&run)
        }
    }

    /// So many, so many at once.
    async fn play(&self, count: usize, active: usize) {
        self.peak.store(0, Ordering::Relaxed);
        let (room, meter) = (Arc::new(Semaphore::new(active)), Meter::start());
        let mut at_work = Vec::new();
        for _ in 0..count {
            let leave = Arc::clone(&room).acquire_owned().await.unwrap();
            let one = self.one();
            at_work.push(tokio::spawn(async move {
                let run = one.await;
                drop(leave);
                run
            }));
        }
        let mut all = Played::default();
        for one in at_work {
            all.add(&one.await.unwrap());
        }
        let seconds = meter.begun.elapsed().as_secs_f64();
        let each = meter.cpu().as_secs_f64() * 1e3 / count as f64;
        row(
            &format!("{count} whole incidents, {active} at once"),
            &format!(
                "{:.0} an hour beside the world; {each:.1} ms CPU an incident, so {:.0} an hour on 2 cores; {}; {}",
                count as f64 / seconds * 3600.0,
                2.0 * 3600.0 / (each / 1e3),
                self.memory(&meter, active),
                all.said(),
            ),
        );
    }

    fn memory(&self, meter: &Meter, active: usize) -> String {
        let peak = self.peak.load(Ordering::Relaxed) as f64;
        let more = (peak - meter.memory).max(0.0);
        format!(
            "{peak:.0} MB, {more:.0} MB more than before, {:.2} MB an active incident",
            more / active as f64
        )
    }
}

/// What this process had used when it began.
struct Meter {
    cpu: Duration,
    memory: f64,
    begun: Instant,
}

impl Meter {
    fn start() -> Self {
        let process = Process::own();
        Self { cpu: process.cpu(), memory: process.memory().0, begun: Instant::now() }
    }

    fn cpu(&self) -> Duration {
        Process::own().cpu() - self.cpu
    }
}

/// What became of an incident: a report is not kept here, since the daemon keeps none either.
struct Ended {
    summary_ms: u64,
    report_ms: u64,
    entries: u32,
    problems: usize,
    unread: Vec<String>,
}

impl Ended {
    fn of(run: &Run) -> Self {
        Self {
            summary_ms: run.timings_ms.first_summary,
            report_ms: run.timings_ms.report,
            entries: run.journal_entries,
            problems: run.problems.len(),
            unread: run.not_checked.clone(),
        }
    }
}

/// What became of incidents.
#[derive(Default)]
struct Played {
    summaries: Vec<f64>,
    reports: Vec<f64>,
    entries: u64,
    problems: usize,
    /// What was not read, without what differs between incidents, and how often.
    unread: BTreeMap<String, usize>,
}

impl Played {
    fn add(&mut self, ended: &Ended) {
        self.summaries.push(ended.summary_ms as f64);
        self.reports.push(ended.report_ms as f64);
        self.entries += u64::from(ended.entries);
        self.problems += ended.problems;
        for text in &ended.unread {
            let text: String = text.chars().filter(|c| !c.is_ascii_digit()).take(70).collect();
            *self.unread.entry(text.replace('|', "/")).or_default() += 1;
        }
    }

    fn said(mut self) -> String {
        let count = self.summaries.len();
        let (half, late) = (percentile(&mut self.summaries, 50), percentile(&mut self.summaries, 99));
        let report = percentile(&mut self.reports, 50);
        let mut unread: Vec<_> = self.unread.into_iter().map(|(what, times)| (times, what)).collect();
        unread.sort_by(|a, b| b.cmp(a));
        let each = |times: usize| times as f64 / count as f64;
        let altogether = each(unread.iter().map(|(times, _)| times).sum());
        let most: Vec<String> =
            unread.iter().take(4).map(|(times, what)| format!("{:.2} x {what}", each(*times))).collect();
        format!(
            "first summary {half:.0} ms (p50), {late:.0} ms (p99), report {report:.0} ms (p50); {:.0} entries each; {} \
             problems in reports; {altogether:.2} things not read each: {}",
            self.entries as f64 / count as f64,
            self.problems,
            most.join("; "),
        )
    }
}

/// What going on with an interrupted incident reads first.
async fn replayed(journal: &dyn Journal) {
    let heads = journal.heads().await.unwrap();
    let (begun, cpu) = (Instant::now(), Process::own().cpu());
    let mut entries = 0;
    for head in &heads {
        let read = journal.read(&head.incident).await.unwrap();
        entries += read.len();
        let _ = Replay::of(&read);
    }
    let ms = begun.elapsed().as_secs_f64() * 1e3 / heads.len() as f64;
    let cpu = (Process::own().cpu() - cpu).as_secs_f64() * 1e3 / heads.len() as f64;
    row(
        "journals read, verified and replayed",
        &format!("{ms:.2} ms ({cpu:.2} ms CPU) each of {:.0} entries", entries as f64 / heads.len() as f64),
    );
}
