//! `midwatch serve`: the daemon, put together.

use std::{collections::BTreeMap, io::Write as _, path::Path, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use futures::future::BoxFuture;
use midwatch_agents::gate::Gates;
use midwatch_mcp::{Aws, Ctx, Remote, SdkConfig, SystemClock, Turns, connect_in_process};
use midwatch_policy::{Clock, ServiceName};
use midwatch_remediation::{RemediationConfig, RemediationServer, SpendStore};

use crate::{
    approve::AtTheDesk,
    deliver::outbox_of,
    desk::{DeskOverHttp, read_secret},
    intake::inbox::Inbox,
    journal::{Journal, SqliteJournal},
    ledger::Ledger,
    memory::Memory,
    serve::{self, Config, Maker, Over, Place, SiteError, Start},
    servers,
    site::{Hands, Minds, Site},
    terminal::style::{STRONG, WARN},
};

use super::{
    args::{ModelChoice, ServeArgs},
    guests::guests,
    incidents::store,
    model::{config as money, gates, minds_of},
    triage::catalog,
};

/// How the remediation server is called in messages.
const REMEDIATION: &str = "remediation";

pub(super) async fn run(arguments: ServeArgs) -> anyhow::Result<ExitCode> {
    let over = over(&arguments);
    let config = match &arguments.config {
        Some(file) => Config::read(file)?,
        None => Config::default(),
    };
    let config = config.under(&over);
    config.check()?;
    let at = store(config.store.clone());
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    if arguments.check {
        return check(&config);
    }
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::open(&at)?);
    let inbox = Inbox::open(&inbox_beside(&at))?;
    let aws = serve::aws(&config);
    // What models cost has to be kept: without a ledger the daemon does not begin.
    let money = money(config.money.as_ref(), Some(&at))?;
    let ledger = Ledger::open(&Ledger::beside(&at), money.ceilings)?;
    let memory = Memory::open(&at);
    let gates = Arc::new(gates(&money));
    let turns = Turns::default();
    let maker = Product {
        journal,
        memory,
        ledger,
        gates,
        clock: Arc::clone(&clock),
        aws: aws.clone(),
        turns: turns.clone(),
    };
    let outbox = outbox_of(&at);
    let file = arguments.config;
    let start = Start { config, file, over, inbox, maker: Arc::new(maker), clock, aws, turns, outbox };
    Box::pin(serve::run(start, |addr| {
        let _ = writeln!(anstream::stdout(), "{STRONG}serve{STRONG:#}  http://{addr}");
    }))
    .await?;
    Ok(ExitCode::SUCCESS)
}

/// Where what came in is kept, beside the journal.
pub(super) fn inbox_beside(store: &Path) -> std::path::PathBuf {
    store.with_extension("inbox.db")
}

fn over(arguments: &ServeArgs) -> Over {
    Over {
        listen: arguments.listen,
        store: arguments.store.clone(),
        catalog: arguments.catalog.clone(),
        runbooks: arguments.runbooks.clone(),
        mcp_servers: arguments.mcp_servers.clone(),
        policy: arguments.policy.clone(),
        model: arguments.model,
    }
}

/// Says that it is good, and what may surprise. What is wrong is an error before.
fn check(config: &Config) -> anyhow::Result<ExitCode> {
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::in_memory()?);
    let (clock, aws) = (Arc::new(SystemClock), serve::aws(config));
    let money = money(config.money.as_ref(), config.store.as_deref())?;
    let ledger = Ledger::in_memory(money.ceilings);
    let gates = Arc::new(gates(&money));
    let product =
        Product { journal, memory: Memory::default(), ledger, gates, clock, aws, turns: Turns::default() };
    // Nothing is called: what it names on this machine is read.
    let catalog = product.files(config)?;
    let mut out = anstream::stdout();
    writeln!(out, "the configuration is good: {} services", catalog.services().count())?;
    for (absent, what) in [
        (
            config.catalog.is_none(),
            "no catalog: alarms are grouped by themselves only, and nothing says what a service is",
        ),
        (config.notify.is_none(), "no `[notify]`: nobody is told of anything; see docs/notify.md"),
        (config.desk.is_none(), "no desk: Midwatch reads and reports, and proposes nothing to anybody"),
        (
            config.queues.iter().any(|queue| queue.dead_letter.is_none()),
            "a queue without `dead_letter`: what is no alarm is left to its redrive policy",
        ),
    ] {
        if absent {
            writeln!(out, "{WARN}{what}{WARN:#}")?;
        }
    }
    for service in catalog.services() {
        let absent: Vec<&ServiceName> =
            service.depends_on.iter().filter(|name| catalog.get(name).is_none()).collect();
        for name in absent {
            writeln!(out, "`{}` depends on `{name}`, which the catalog does not describe", service.name)?;
        }
    }
    for (by, name) in config.quiet.named().filter(|(_, name)| catalog.get(name).is_none()) {
        let text =
            format!("{by} names `{name}`, which the catalog does not describe: it keeps nothing quiet");
        writeln!(out, "{WARN}{text}{WARN:#}")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes sites of what this binary has.
#[derive(Debug)]
struct Product {
    journal: Arc<dyn Journal>,
    memory: Memory,
    ledger: Ledger,
    /// What stands before each model: made once, whatever is reloaded.
    gates: Arc<Gates>,
    clock: Arc<dyn Clock>,
    aws: Aws,
    /// How long reads waited at the servers, counted on whatever is reloaded.
    turns: Turns,
}

impl Product {
    /// The catalog, with everything else that is a file read once, so that what is wrong is said now.
    fn files(&self, config: &Config) -> anyhow::Result<midwatch_policy::Catalog> {
        let services = catalog(config.catalog.as_deref())?;
        if let Some(directory) = config.runbooks.as_ref().filter(|directory| !directory.is_dir()) {
            anyhow::bail!(
                "there is no directory `{}`: give the runbooks' with `runbooks`",
                directory.display()
            );
        }
        let readers = config.readers.iter().map(|reader| &reader.place);
        for place in [&config.desk, &config.remediation].into_iter().flatten().chain(readers) {
            remote(place)?;
        }
        self.minds(config, ModelChoice::Playbook, None)?;
        guests(config.mcp_servers.as_deref(), config.policy.as_deref())?;
        Ok(services)
    }

    fn minds(&self, config: &Config, choice: ModelChoice, sdk: Option<&SdkConfig>) -> anyhow::Result<Minds> {
        let money = money(config.money.as_ref(), config.store.as_deref())?;
        minds_of(money, choice, sdk, self.ledger.clone(), Arc::clone(&self.gates))
    }

    async fn site(&self, config: &Config) -> anyhow::Result<Site> {
        let services = Arc::new(self.files(config)?);
        let sdk = match config.model {
            ModelChoice::Playbook => None,
            _ => Some(self.aws.base().await.map_err(|e| anyhow::anyhow!("{}; {}", e.message, e.mend))?),
        };
        let ctx = Ctx::new(self.aws.clone(), Arc::clone(&services), Arc::clone(&self.clock));
        let elsewhere: anyhow::Result<BTreeMap<_, _>> =
            config.readers.iter().map(|there| Ok((there.reader, remote(&there.place)?))).collect();
        let mut tools =
            servers::readers_at(&ctx, config.runbooks.clone(), elsewhere?, config.redact.clone()).await;
        tools = tools.counting(self.turns.clone());
        tools.attach_guests(guests(config.mcp_servers.as_deref(), config.policy.as_deref())?);
        if let Some(place) = &config.remediation {
            tools.attach_elsewhere(REMEDIATION, remote(place)?);
        } else {
            // It plans and cannot act: it has neither desk nor keys.
            let planning = RemediationConfig::planning_only(SpendStore::in_memory()?);
            let server = Box::pin(connect_in_process(RemediationServer::new(ctx, planning))).await;
            servers::attach(&mut tools, REMEDIATION, server).await;
        }
        let hands = match &config.desk {
            None => None,
            Some(place) => {
                let desk = Arc::new(DeskOverHttp::at(remote(place)?));
                Some(Hands { desk, channel: Arc::new(AtTheDesk) })
            }
        };
        Ok(Site {
            catalog: services,
            clock: Arc::clone(&self.clock),
            wall: Arc::clone(&self.clock),
            tools: Arc::new(tools),
            minds: Arc::new(self.minds(config, config.model, sdk.as_ref())?),
            hands,
            journal: Arc::clone(&self.journal),
            memory: self.memory.clone(),
        })
    }
}

impl Maker for Product {
    fn make<'a>(&'a self, config: &'a Config) -> BoxFuture<'a, Result<Site, SiteError>> {
        Box::pin(
            async move { self.site(config).await.map_err(|error| SiteError::Made(format!("{error:#}"))) },
        )
    }
}

fn remote(place: &Place) -> anyhow::Result<Remote> {
    let token = read_secret(&place.token_file)
        .with_context(|| format!("the token file `{}`", place.token_file.display()))?;
    Ok(Remote::over(place.network, &place.url, token.trim())?)
}
