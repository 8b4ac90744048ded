//! Whole incidents from the alarm to the report, with the world's latencies: sweep, routing,
//! specialists (the playbook's), decision, report; nobody is asked and nothing is done. Journal and
//! ledger are on a disk. The incidents are those of many accounts, each reached by a role of its own and read at
//! the rates that are kept for an account: those of one would be the bound otherwise.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use midwatch::{
    alarm::{self, Alarm},
    event::NoView,
    incident,
    journal::{Journal, SqliteJournal},
    ledger::Ledger,
    memory::Memory,
    replay::Replay,
    servers,
    site::{Minds, Site},
};
use midwatch_agents::{budget::Ceilings, playbook::PlaybookModel, prices::Prices};
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

async fn site(world: &Apart, dir: &Path, ledger: &Ledger) -> Site {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let catalog = Arc::new(catalog(world));
    let prices = Arc::new(Prices::embedded().unwrap());
    let rules = || Arc::new(PlaybookModel);
    let minds = Minds::new(rules(), rules(), prices).unwrap();
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
        minds: Arc::new(Minds { ledger: ledger.clone(), ..minds }),
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
    let ceilings = Ceilings {
        incident_micro_usd: 500_000,
        service_hour_micro_usd: u64::MAX >> 1,
        hour_micro_usd: u64::MAX >> 1,
        day_micro_usd: u64::MAX >> 1,
    };
    let ledger = Ledger::open(&dir.path().join("ledger.db"), ceilings).unwrap();
    let site = Arc::new(site(&world, dir.path(), &ledger).await);
    let salt = AtomicUsize::new(1);
    // What is set up at the first use of an account is no incident's cost.
    play(&site, &world, (ACCOUNTS, 2), &salt).await;
    for (count, active) in plays.into_iter().filter(|(_, active)| *active > 0) {
        play(&site, &world, (count, active), &salt).await;
    }
    replayed(site.journal.as_ref()).await;
}

/// Plays so many incidents, so many at once.
async fn play(site: &Arc<Site>, world: &Apart, (count, active): (usize, usize), salt: &AtomicUsize) {
    let alarm = alarm::parse(&world.alarm.to_string()).unwrap();
    let (process, room) = (Process::own(), Arc::new(Semaphore::new(active)));
    let (cpu, memory, begun) = (process.cpu(), process.memory().0, Instant::now());
    let peak = Arc::new(AtomicUsize::new(0));
    let mut at_work = Vec::new();
    for number in 0..count {
        let leave = Arc::clone(&room).acquire_owned().await.unwrap();
        let (site, peak) = (Arc::clone(site), Arc::clone(&peak));
        let alarm = Alarm { account: Some(account(number)), ..alarm.clone() };
        let salt = u32::try_from(salt.fetch_add(1, Ordering::Relaxed)).unwrap();
        at_work.push(tokio::spawn(async move {
            let ready = incident::open(alarm, &site, Box::new(NoView), salt).await.unwrap();
            assert!(ready.opened().service.is_some(), "the catalog knows it");
            let run = Box::pin(ready.run(&site)).await.run;
            peak.fetch_max(process.memory().0 as usize, Ordering::Relaxed);
            drop(leave);
            (run.timings_ms.first_summary as f64, run.problems)
        }));
    }
    let (mut summaries, mut problems) = (Vec::new(), 0);
    for one in at_work {
        let (summary, of_run) = one.await.unwrap();
        summaries.push(summary);
        problems += of_run.len();
    }
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = (process.cpu() - cpu).as_secs_f64();
    let each = cpu * 1e3 / count as f64;
    let peak = peak.load(Ordering::Relaxed) as f64;
    let memory = (peak - memory).max(0.0);
    let (half, late) = (percentile(&mut summaries, 50), percentile(&mut summaries, 99));
    row(
        &format!("{count} whole incidents, {active} at once"),
        &format!(
            "{:.0} an hour beside the world; {each:.1} ms CPU an incident, so {:.0} an hour on 2 cores; \
             first summary {half:.0} ms (p50), {late:.0} ms (p99); {peak:.0} MB, {memory:.0} MB more than before, \
             {:.2} MB an active incident; {problems} problems in reports",
            count as f64 / seconds * 3600.0,
            2.0 * 3600.0 / (each / 1e3),
            memory / active as f64,
        ),
    );
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
