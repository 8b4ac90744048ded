//! `midwatch desk`: requests, approvers and the signing key, as a process of its own.

use std::{io::Write as _, path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use midwatch_mcp::{Contracts, Network, Remote, Standing, SystemClock};
use midwatch_policy::{Calendar, Rules};
use tokio_util::sync::CancellationToken;

use crate::{
    desk::{
        ApiSettings, KeyRing, Known, Limits, McpPlanner, MemberKind, Office, OfficeConfig, Roster, Sources,
        bind, make_private_dir,
    },
    terminal::style::{STRONG, WARN},
};

use super::{
    approvals::secret,
    args::DeskArgs,
    keys::{directory, keys_of},
};

pub(super) async fn run(arguments: DeskArgs) -> anyhow::Result<ExitCode> {
    let dir = directory(arguments.dir);
    make_private_dir(&dir)
        .with_context(|| format!("the desk's directory `{}` cannot be made", dir.display()))?;
    let keys = keys_of(&dir);
    // Before anything is served: without a key nothing could be approved, and nobody would know.
    keys.signing()?;
    let roster = Roster::new(&dir);
    let (sources, unknown) =
        sources(arguments.catalog, arguments.policy, arguments.calendar, arguments.runbooks)?;
    let Some(token) = secret("MIDWATCH_REMEDIATION_TOKEN", "MIDWATCH_REMEDIATION_TOKEN_FILE")? else {
        bail!(
            "set MIDWATCH_REMEDIATION_TOKEN, or MIDWATCH_REMEDIATION_TOKEN_FILE to a file, with the desk's token at \
             the remediation server"
        );
    };
    let network = Network::private_if(arguments.private_network);
    let planner = Arc::new(McpPlanner::remote(Remote::over(network, &arguments.remediation, token)?));
    let clock = Arc::new(SystemClock);
    let config = OfficeConfig {
        keys: KeyRing::Kept(keys),
        sources,
        clock: Arc::clone(&clock) as Arc<_>,
        planner: Arc::clone(&planner) as Arc<_>,
        audience: arguments.audience,
        known: Known::Roster(roster.clone()),
        limits: Limits::default(),
        ask_for: None,
    };
    let office = Arc::new(Office::open(&dir.join("desk.db"), config)?);
    let settings = ApiSettings {
        listen: arguments.listen,
        hosts: arguments.allow_host,
        behind_tls: arguments.behind_tls,
        network,
    };
    let mut warnings = missing(&roster, office.audience())?;
    warnings.extend(unknown);
    let bound = bind(office, roster, settings).await?;
    let mut out = anstream::stdout();
    writeln!(out, "{STRONG}desk{STRONG:#}  http://{}", bound.local_addr())?;
    out.flush()?;
    for warning in warnings {
        writeln!(anstream::stderr(), "{WARN}{warning}{WARN:#}")?;
    }
    tokio::spawn(async move {
        if let Err(error) = planner.reach().await {
            let _ = writeln!(anstream::stderr(), "{WARN}{error}; {}{WARN:#}", error.mend());
        }
    });
    let stop = CancellationToken::new();
    tokio::spawn(midwatch_mcp::stop_on_signal(stop.clone()));
    bound.run(clock, stop).await?;
    Ok(ExitCode::SUCCESS)
}

/// Who is missing for an approval to come about.
fn missing(roster: &Roster, audience: &str) -> anyhow::Result<Vec<String>> {
    let members = roster.members()?;
    let has = |kind| members.iter().any(|member| member.kind == kind);
    let mut missing = Vec::new();
    if !has(MemberKind::Person) {
        missing.push("nobody can approve: `midwatch approvers add NAME --role oncall`".to_owned());
    }
    if !members.iter().any(|member| member.kind == MemberKind::Server && member.name == audience) {
        missing
            .push(format!("no server can fetch a permit: `midwatch approvers add {audience} --kind server`"));
    }
    if !has(MemberKind::Asker) {
        missing.push("no supervisor can ask: `midwatch approvers add midwatch --kind asker`".to_owned());
    }
    Ok(missing)
}

/// Catalog, policy, calendar and runbooks, each read once now, so that what is wrong is said at the start;
/// and what the calendar names that there is not.
fn sources(
    catalog: PathBuf,
    policy: Option<PathBuf>,
    calendar: Option<PathBuf>,
    runbooks: Option<PathBuf>,
) -> anyhow::Result<(Sources, Vec<String>)> {
    let rules = match policy {
        Some(file) => Standing::rules_in(file),
        None => Rules::embedded()?.into(),
    };
    let calendar = calendar.map_or_else(|| Calendar::default().into(), Standing::calendar_in);
    let contracts = runbooks.map_or_else(|| Contracts::default().into(), Standing::runbooks_in);
    let catalog = Standing::catalog_in(catalog);
    let services = catalog.now().map_err(anyhow::Error::msg).context("the catalog")?;
    rules.now().map_err(anyhow::Error::msg).context("the policy")?;
    let unknown = calendar.now().map_err(anyhow::Error::msg).context("the calendar")?.unknown(&services);
    contracts.now().map_err(anyhow::Error::msg).context("the runbooks")?;
    Ok((Sources { catalog, rules, calendar, contracts }, unknown))
}
