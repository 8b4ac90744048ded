//! `midwatch notify`: try routes, see what is pending and what failed, acknowledge.

use std::{io::Write as _, path::Path, process::ExitCode, sync::Arc};

use anyhow::{Context as _, bail};
use midwatch_mcp::{AwsSettings, SystemClock};
use midwatch_policy::{Clock as _, IncidentId};
use serde_json::json;

use crate::{
    deliver::{Beside, NoticeView, NotifyConfig, outbox_of, try_route},
    intake::inbox::Said,
    terminal::{
        style::{FAINT, STRONG},
        text::{clean, escaped, fit},
    },
};

use super::{
    args::{Format, NotifyArgs, NotifyCommand},
    incidents::{say, store},
};

pub(super) async fn run(arguments: NotifyArgs) -> anyhow::Result<ExitCode> {
    let NotifyArgs { what, format } = arguments;
    match what {
        NotifyCommand::Test { route, config } => test(route.as_deref(), &config, format).await,
        NotifyCommand::List { all, store: path } => list(&beside(&store(path))?, all, format).await,
        NotifyCommand::Ack { incident, by, store: path } => {
            beside(&store(path.clone()))?;
            say(&store(path), incident, Said::Acknowledged { by }, format).await
        }
    }
}

fn beside(store: &Path) -> anyhow::Result<Beside> {
    let outbox = outbox_of(store);
    if !outbox.exists() {
        bail!(
            "there is no outbox at `{}`: `midwatch serve` has not run with this store; give its place with --store",
            outbox.display()
        );
    }
    Ok(Beside::open(&outbox, Arc::new(SystemClock))?)
}

async fn test(route: Option<&str>, config: &Path, format: Format) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(config)
        .with_context(|| format!("the configuration `{}` cannot be read", config.display()))?;
    let variable = |name: &str| std::env::var(name).ok();
    let config = NotifyConfig::parse(&text, &AwsSettings::default(), &variable)?;
    let names = match route {
        Some(name) => vec![name.to_owned()],
        None => config.route_names(),
    };
    let trial = IncidentId::parse(format!("trial-{:08x}", rand::random::<u32>()))?;
    let mut out = anstream::stdout();
    let (mut all, mut works) = (Vec::new(), true);
    for name in names {
        let Some(tried) = try_route(&config, &name, &trial, &SystemClock).await? else {
            bail!("there is no route `{}`; there are: {}", clean(&name), config.route_names().join(", "));
        };
        works &= tried.iter().all(|tried| tried.problem.is_none());
        if format == Format::Text {
            writeln!(out, "{STRONG}{}{STRONG:#}", clean(&name))?;
            for tried in &tried {
                let said = tried.problem.as_deref().unwrap_or("took it");
                let place = clean(&tried.leads_to);
                writeln!(out, "  {:<20} {} {FAINT}({place}){FAINT:#}", tried.channel, clean(said))?;
            }
        }
        all.push(json!({ "route": name, "channels": tried }));
    }
    if format == Format::Json {
        let text = serde_json::to_string_pretty(&json!({ "routes": all, "ok": works }))?;
        writeln!(out, "{}", escaped(&text))?;
    }
    Ok(if works { ExitCode::SUCCESS } else { ExitCode::from(1) })
}

async fn list(beside: &Beside, all: bool, format: Format) -> anyhow::Result<ExitCode> {
    let health = beside.health().await?;
    let mut notices = beside.notices(None).await?;
    let ended =
        |notice: &NoticeView| matches!(notice.phase.as_str(), "delivered" | "acknowledged" | "cancelled");
    notices.retain(|notice| notice.phase != "failed" && (all || !ended(notice)));
    let mut out = anstream::stdout();
    match format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&json!({ "health": health, "notices": notices }))?;
            writeln!(out, "{}", escaped(&text))?;
        }
        Format::Text => {
            for notice in health.failed.iter().chain(&notices) {
                let (phase, headline) = (&notice.phase, fit(&clean(&notice.headline), 60));
                let at = notice.made_at.strftime("%Y-%m-%d %H:%M:%S");
                let due = match notice.due {
                    Some(due) => {
                        format!(", due in {} s", due.duration_since(SystemClock.now()).as_secs().max(0))
                    }
                    None => String::new(),
                };
                let channel = clean(&notice.channel);
                writeln!(out, "{FAINT}{at}{FAINT:#}  {STRONG}{phase:<12}{STRONG:#} {headline}")?;
                writeln!(out, "  {}, {} by {channel}{due}", notice.incident, notice.kind)?;
                if let Some(problem) = &notice.problem {
                    writeln!(out, "  {}", clean(problem))?;
                }
            }
            match (health.failed.len(), health.pending) {
                (0, 0) => writeln!(out, "nothing is pending and nothing has failed")?,
                (0, pending) => writeln!(out, "{pending} pending, nothing has failed")?,
                (failed, pending) => writeln!(
                    out,
                    "{failed} failed, {pending} pending; `midwatch notify ack INCIDENT --by NAME` once a person has it"
                )?,
            }
        }
    }
    Ok(if health.ok { ExitCode::SUCCESS } else { ExitCode::from(1) })
}
