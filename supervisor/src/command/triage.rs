//! `midwatch triage`: one alarm, looked at with whatever AWS is there. Only ever reads: nothing
//! here holds a key, and where an action would fit, its plan is shown.

use std::{
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::Context as _;
use midwatch_mcp::{Aws, AwsSettings, Ctx, SystemClock, connect_in_process};
use midwatch_policy::{Catalog, Clock};
use midwatch_remediation::{RemediationConfig, RemediationServer, SpendStore};

use crate::{
    alarm::{self, Alarm},
    event::{NoView, View},
    incident::handle,
    journal::{Journal, SqliteJournal},
    memory::Memory,
    run::Run,
    servers,
    site::Site,
    terminal::{self, Live},
};

use super::{
    args::{Format, ModelChoice, TriageArgs},
    guests::guests,
    incidents::store,
    model::{ledger, minds},
};

/// Longest alarm that is read.
const LONGEST: u64 = 1024 * 1024;

pub(super) async fn run(arguments: TriageArgs) -> anyhow::Result<ExitCode> {
    let alarm = read_alarm(&arguments.alarm)?;
    let catalog = Arc::new(catalog(arguments.catalog.as_deref())?);
    if let Some(directory) = &arguments.runbooks
        && !directory.is_dir()
    {
        anyhow::bail!("there is no directory `{}`: give the runbooks' with --runbooks", directory.display());
    }
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let aws = aws(&alarm);
    let (ledger, model, note) = ledger(arguments.model, &store(arguments.store.clone()))?;
    let config = match model {
        ModelChoice::Playbook | ModelChoice::OpenAi => None,
        ModelChoice::Bedrock => {
            Some(aws.base().await.map_err(|e| anyhow::anyhow!("{}; {}", e.message, e.mend))?)
        }
    };
    let ctx = Ctx::new(aws, Arc::clone(&catalog), Arc::clone(&clock));
    let guests = guests(arguments.mcp_servers.as_deref(), arguments.policy.as_deref())?;
    let memory = Memory::open(&store(arguments.store.clone()));
    let (journal, kept) = journal(arguments.store)?;
    let kept = note.or(kept);
    let mut tools = servers::readers(&ctx, arguments.runbooks).await;
    tools.attach_guests(guests);
    // It plans and cannot act: it has neither desk nor keys.
    let planning = RemediationServer::new(ctx, RemediationConfig::planning_only(SpendStore::in_memory()?));
    servers::attach(&mut tools, "remediation", Box::pin(connect_in_process(planning)).await).await;
    let site = Site {
        catalog,
        clock: Arc::clone(&clock),
        wall: clock,
        tools: Arc::new(tools),
        minds: Arc::new(minds(model, config.as_ref(), ledger)?),
        hands: None,
        journal,
        memory,
    };
    let run = handle(alarm, &site, view(arguments.format), rand::random()).await?;
    site.minds.ledger.flush().await;
    show(&run, arguments.format)?;
    if let (Some(note), Format::Text) = (kept, arguments.format) {
        writeln!(anstream::stderr(), "{note}")?;
    }
    Ok(if run.outcome.needs_a_person() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Where the alarm's region is known, and nothing else says one, that is where to look.
fn aws(alarm: &Alarm) -> Aws {
    let said = ["AWS_REGION", "AWS_DEFAULT_REGION"].iter().any(|name| std::env::var_os(name).is_some());
    let region = alarm.region.clone().filter(|_| !said);
    Aws::new(AwsSettings { region, ..AwsSettings::default() })
}

fn read_alarm(path: &Path) -> anyhow::Result<Alarm> {
    let (name, source): (String, Box<dyn std::io::Read>) = if path == Path::new("-") {
        ("stdin".to_owned(), Box::new(std::io::stdin()))
    } else {
        let name = format!("`{}`", path.display());
        let file = std::fs::File::open(path).with_context(|| format!("cannot read the alarm {name}"))?;
        (name, Box::new(file))
    };
    let mut text = String::new();
    let read = source.take(LONGEST + 1).read_to_string(&mut text);
    if text.len() as u64 > LONGEST {
        anyhow::bail!("{name} is longer than {LONGEST} bytes: that is no alarm");
    }
    read.with_context(|| format!("cannot read the alarm from {name}"))?;
    alarm::parse(&text).with_context(|| format!("in {name}"))
}

/// The catalog of a file; an empty one without.
pub(super) fn catalog(path: Option<&Path>) -> anyhow::Result<Catalog> {
    let Some(path) = path else { return Ok(Catalog::default()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the catalog `{}`", path.display()))?;
    Catalog::parse(&text).with_context(|| format!("in `{}`", path.display()))
}

/// The store; if it cannot be opened, one in memory and a note: an alarm is more important.
pub(super) fn journal(path: Option<PathBuf>) -> anyhow::Result<(Arc<dyn Journal>, Option<String>)> {
    let path = store(path);
    match SqliteJournal::open(&path) {
        Ok(journal) => Ok((Arc::new(journal), None)),
        Err(error) => {
            let note = format!("midwatch: this incident is not kept: {error}");
            Ok((Arc::new(SqliteJournal::in_memory()?), Some(note)))
        }
    }
}

/// What shows the incident as it happens.
pub(super) fn view(format: Format) -> Box<dyn View> {
    match format {
        Format::Text => Box::new(Live::new(Box::new(anstream::stdout()))),
        Format::Json => Box::new(NoView),
    }
}

/// Writes the result.
pub(super) fn show(run: &Run, format: Format) -> anyhow::Result<()> {
    match format {
        Format::Text => terminal::report(run, Box::new(anstream::stdout())),
        Format::Json => write!(anstream::stdout(), "{}", terminal::json(run)?)?,
    }
    Ok(())
}
