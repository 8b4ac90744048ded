//! `midwatch policy explain`: one call, decided, with every rule that had a say, and what the
//! runbooks' contracts say about it.

mod contracts;
mod show;

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use midwatch_mcp::{Contracts, SystemClock};
use midwatch_policy::{
    Action, ActionKind, Attested, Calendar, Caller, CallerKind, Catalog, Claimed, Clock as _, Service,
    ServiceName, Timestamp, ToolCall, ToolClass,
};
use serde_json::{Map, Value, json};

use crate::{
    command::{args::Format, guests, triage},
    guests::GATED_BY_THE_SUPERVISOR,
    terminal::text::escaped,
    tools,
};
pub(super) use show::asked;

/// Arguments of `policy explain`. What is not given is ordinary: nothing is in progress, nothing
/// was done.
#[derive(Debug, Args)]
pub struct ExplainArgs {
    /// The tool, such as rollback_deployment
    #[arg(value_name = "TOOL")]
    tool: String,
    /// Its arguments, such as service=checkout-api deployment_id=d-1
    #[arg(value_name = "NAME=VALUE", value_parser = pair)]
    arguments: Vec<(String, String)>,
    /// The policy (Cedar); without it the shipped rules
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The service catalog
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CATALOG")]
    catalog: Option<PathBuf>,
    /// The calendar of freezes and business hours
    #[arg(long, value_name = "FILE")]
    calendar: Option<PathBuf>,
    /// Runbooks, whose contracts are held against the call
    #[arg(long, value_name = "DIR", env = "MIDWATCH_RUNBOOKS")]
    runbooks: Option<PathBuf>,
    /// When; without it, now
    #[arg(long, value_name = "TIME", value_parser = |text: &str| super::moment(text).map_err(|e| e.to_string()))]
    at: Option<Timestamp>,
    /// Who calls
    #[arg(long, value_enum, default_value_t = Who::Supervisor)]
    caller: Who,
    /// The server that has the tool, where it is not one of ours
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Third-party MCP servers: what they are said to be decides the class of their tools
    #[arg(long, value_name = "FILE", env = "MIDWATCH_MCP_SERVERS")]
    mcp_servers: Option<PathBuf>,
    /// A change freeze is on, whatever the calendar says
    #[arg(long)]
    change_freeze: bool,
    /// Deployments of the service in progress
    #[arg(long, value_name = "N", default_value_t = 0)]
    deployments_in_progress: u32,
    /// Tasks that run
    #[arg(long, value_name = "N", default_value_t = 3)]
    tasks_running: u32,
    /// Tasks that the action replaces or stops [default: all that run]
    #[arg(long, value_name = "N")]
    tasks_affected: Option<u32>,
    /// Actions on the service within the last hour
    #[arg(long, value_name = "N", default_value_t = 0)]
    actions_last_hour: u32,
    /// How certain of the cause the caller says it is [default: certain, if it is a supervisor]
    #[arg(long, value_name = "PERCENT", value_parser = clap::value_parser!(u8).range(0..=100))]
    confidence: Option<u8>,
    /// Kinds of evidence that the caller says it has, such as pattern,deployment; none: ''
    #[arg(long, value_name = "KINDS", value_delimiter = ',')]
    evidence: Option<Vec<String>>,
    /// The caller says neither
    #[arg(long, conflicts_with_all = ["confidence", "evidence"])]
    no_claims: bool,
}

/// Kinds of callers, as policies write them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Who {
    /// Midwatch itself.
    Supervisor,
    /// Another agent client.
    AgentClient,
    /// A person.
    Person,
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() && !value.is_empty() => {
            Ok((name.to_owned(), value.to_owned()))
        }
        _ => Err("write it as NAME=VALUE, such as service=checkout-api".to_owned()),
    }
}

/// A call that makes sense, and what the decision rests on.
#[derive(Debug)]
pub(super) struct Question {
    server: String,
    class: ToolClass,
    map: Map<String, Value>,
    /// Where it is one of our actions.
    action: Option<Action>,
    service: Option<Service>,
    facts: Attested,
    freeze: Option<String>,
    warnings: Vec<String>,
    /// What there is to know of a tool of a third-party server.
    third_party: Option<String>,
}

pub(super) fn run(arguments: &ExplainArgs, format: Format) -> anyhow::Result<ExitCode> {
    let rules = super::loaded(arguments.policy.as_deref())?;
    let catalog = triage::catalog(arguments.catalog.as_deref())?;
    let calendar = calendar(arguments)?;
    let now = arguments.at.unwrap_or_else(|| SystemClock.now());
    let question = question(arguments, &catalog, &calendar, now)?;
    let explanation = rules.explain(&ToolCall {
        caller: Caller { kind: arguments.caller.kind(), name: "explain" },
        server: &question.server,
        tool: &arguments.tool,
        class: question.class,
        arguments: &question.map,
        service: question.service.as_ref(),
        attested: question.facts,
        claimed: arguments.claimed().as_ref(),
    });
    let runbooks = match (&arguments.runbooks, &question.action) {
        (Some(directory), Some(action)) => {
            let all = Contracts::load(directory).with_context(|| format!("in `{}`", directory.display()))?;
            contracts::about(&all, action, question.facts, &catalog)
        }
        _ => Vec::new(),
    };
    let mut out = anstream::stdout();
    match format {
        Format::Json => {
            let json = json!({
                "tool": arguments.tool, "server": question.server, "class": question.class,
                "service": question.service.as_ref().map(|service| &service.name), "at": now,
                "explanation": explanation, "facts": question.facts, "freeze": question.freeze,
                "warnings": question.warnings, "runbooks": runbooks, "third_party": question.third_party,
            });
            writeln!(out, "{}", escaped(&serde_json::to_string_pretty(&json)?))?;
        }
        Format::Text => show::show(&mut out, arguments, &question, &explanation, &runbooks)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn calendar(arguments: &ExplainArgs) -> anyhow::Result<Calendar> {
    let Some(path) = &arguments.calendar else { return Ok(Calendar::default()) };
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the calendar `{}`", path.display()))?;
    Calendar::parse(&text).with_context(|| format!("in `{}`", path.display()))
}

/// Makes sense of what was asked, or says what is missing.
pub(super) fn question(
    arguments: &ExplainArgs,
    catalog: &Catalog,
    calendar: &Calendar,
    now: Timestamp,
) -> anyhow::Result<Question> {
    let tool = arguments.tool.as_str();
    let (server, class) = match (&arguments.server, tools::known().find(|known| known.1 == tool)) {
        (Some(server), _) => (server.clone(), class_of(arguments, server, tool)?),
        (None, Some((server, _, of))) => (server.to_owned(), class(of)),
        (None, None) => {
            let known: Vec<&str> = tools::known().map(|known| known.1).collect();
            bail!(
                "there is no tool `{tool}`; known are {}. For a tool of another server give --server",
                known.join(", ")
            );
        }
    };
    let mut map = Map::new();
    for (name, value) in &arguments.arguments {
        let value = if name == "desired_count" { count(value)? } else { value.as_str().into() };
        if map.insert(name.clone(), value).is_some() {
            bail!("`{name}` is given twice: remove one");
        }
    }
    let mut action = None;
    if server == "remediation" && ActionKind::ALL.iter().any(|kind| kind.tool() == tool) {
        let mut tagged = map.clone();
        tagged.insert("tool".to_owned(), tool.into());
        action = Some(serde_json::from_value::<Action>(Value::Object(tagged)).map_err(|error| {
            anyhow::anyhow!("`{tool}` cannot be called like that: {error}; write arguments as NAME=VALUE")
        })?);
    }
    let service = service(arguments, &map, catalog)?;
    let on = service.as_ref().and_then(|service| calendar.freeze(now, service));
    let facts = Attested {
        change_freeze: arguments.change_freeze || on.is_some(),
        business_hours: service.as_ref().is_some_and(|service| calendar.business_hours(now, service)),
        deployments_in_progress: arguments.deployments_in_progress,
        tasks_running: arguments.tasks_running,
        tasks_affected: arguments.tasks_affected.unwrap_or(arguments.tasks_running),
        actions_last_hour: arguments.actions_last_hour,
    };
    let freeze = on.map(|freeze| format!("`{}` till {}: {}", freeze.id, freeze.to, freeze.reason));
    let is_ours = tools::known().any(|known| known.0 == server);
    let third_party = (!is_ours && class != ToolClass::Read).then(|| GATED_BY_THE_SUPERVISOR.to_owned());
    let warnings = calendar.unknown(catalog);
    Ok(Question { server, class, map, action, service, facts, freeze, warnings, third_party })
}

/// The class of a tool: by our own table, or by what the operator says of a third-party server.
fn class_of(arguments: &ExplainArgs, server: &str, tool: &str) -> anyhow::Result<ToolClass> {
    let Some(file) = &arguments.mcp_servers else { return Ok(class(tools::class_of(server, tool))) };
    let read = guests::read(file, None)?;
    let Some(config) = read.file.all().find(|config| config.name.as_str() == server) else {
        let names: Vec<&str> = read.file.all().map(|config| config.name.as_str()).collect();
        bail!("`{}` has no server `{server}`; it has {}", file.display(), names.join(", "));
    };
    Ok(match (config.reads.contains(tool), config.changes.contains(tool)) {
        (true, _) => ToolClass::Read,
        (false, true) => ToolClass::Mutate,
        (false, false) => ToolClass::Unknown,
    })
}

/// A number of tasks.
fn count(text: &str) -> anyhow::Result<Value> {
    match text.parse::<u32>() {
        Ok(count) => Ok(count.into()),
        Err(_) => {
            bail!("`desired_count` is a number of tasks, and `{text}` is none: write it like desired_count=4")
        }
    }
}

const fn class(class: midwatch_agents::tools::ToolClass) -> ToolClass {
    use midwatch_agents::tools::ToolClass as Known;
    match class {
        Known::Read => ToolClass::Read,
        Known::Mutate => ToolClass::Mutate,
        Known::Unknown => ToolClass::Unknown,
    }
}

fn service(
    arguments: &ExplainArgs,
    map: &Map<String, Value>,
    catalog: &Catalog,
) -> anyhow::Result<Option<Service>> {
    let Some(name) = map.get("service").and_then(Value::as_str) else { return Ok(None) };
    if arguments.catalog.is_none() {
        bail!("policy speaks about the service: give the service catalog with --catalog");
    }
    let name = ServiceName::parse(name)?;
    if let Some(service) = catalog.get(&name) {
        return Ok(Some(service.clone()));
    }
    let known: Vec<&str> = catalog.services().map(|service| service.name.as_str()).collect();
    bail!("the catalog has no service `{name}`; it has {}", known.join(", "))
}

impl ExplainArgs {
    fn claimed(&self) -> Option<Claimed> {
        // A supervisor that says nothing of itself is no ordinary one.
        let says = self.caller == Who::Supervisor || self.confidence.is_some() || self.evidence.is_some();
        if self.no_claims || !says {
            return None;
        }
        let evidence = self.evidence.clone().unwrap_or_else(|| vec!["pattern".to_owned()]);
        Some(Claimed {
            confidence_percent: self.confidence.unwrap_or(100),
            phase: "decide".to_owned(),
            severity: "high".to_owned(),
            evidence: evidence.into_iter().filter(|kind| !kind.is_empty()).collect(),
        })
    }
}

impl Who {
    const fn kind(self) -> CallerKind {
        match self {
            Self::Supervisor => CallerKind::Supervisor,
            Self::AgentClient => CallerKind::AgentClient,
            Self::Person => CallerKind::Person,
        }
    }
}
