//! `midwatch models`: the models that are asked, and what people order of their circuit breakers.

use std::{
    collections::BTreeSet,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use midwatch_agents::gate::{Order, Ordered};
use midwatch_mcp::SystemClock;
use midwatch_policy::Clock as _;
use serde_json::json;

use crate::{
    models::MoneyConfig,
    serve::Config,
    terminal::{
        style::{FAINT, STRONG, WARN},
        text::clean,
    },
};

use super::{
    args::{Format, ModelChoice},
    model::{complete, config},
};

/// Arguments of `models`.
#[derive(Debug, Args)]
pub struct ModelsArgs {
    /// What to do.
    #[command(subcommand)]
    pub what: ModelsCommand,
}

/// What to do with models.
#[derive(Debug, Subcommand)]
pub enum ModelsCommand {
    /// Which models are asked, in which order, and what was ordered of them
    Status {
        /// How to write the result
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
        /// Where they are configured
        #[command(flatten)]
        from: FromArgs,
    },
    /// Hold circuit breakers open: these models are not asked until they are ordered closed
    Open(OrderArgs),
    /// Close circuit breakers, whoever opened them; they open by themselves again when they have to
    Close(OrderArgs),
}

/// An order.
#[derive(Debug, Args)]
pub struct OrderArgs {
    /// Part of the name, as `midwatch models status` shows it: a region, a model, an address
    pub name: String,
    /// Why, for whoever reads it later
    #[arg(long)]
    pub why: Option<String>,
    /// Who orders it
    #[arg(long, env = "USER", default_value = "somebody at this machine")]
    pub by: String,
    /// Where they are configured
    #[command(flatten)]
    pub from: FromArgs,
}

/// Where models are configured.
#[derive(Debug, Args)]
pub struct FromArgs {
    /// The daemon's configuration, where `[money]` stands in it
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The daemon's store, where it was told one by flag or environment: orders are kept beside it
    #[arg(long, value_name = "FILE", env = "MIDWATCH_STORE")]
    pub store: Option<PathBuf>,
    /// Which models reason, where there is no configuration
    #[arg(long, value_enum, default_value_t = ModelChoice::Bedrock)]
    pub model: ModelChoice,
}

pub(super) fn run(arguments: ModelsArgs) -> anyhow::Result<ExitCode> {
    match arguments.what {
        ModelsCommand::Status { format, from } => status(format, &from)?,
        ModelsCommand::Open(order) => ordered(order, Ordered::Open)?,
        ModelsCommand::Close(order) => ordered(order, Ordered::Close)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// What is configured, and the names of the gates that it makes. Nothing is built: the keys are the
/// daemon's.
fn known(from: &FromArgs) -> anyhow::Result<(MoneyConfig, BTreeSet<String>)> {
    let (money, choice) = match &from.config {
        None => (config(None, from.store.as_deref())?, from.model),
        Some(file) => {
            let daemon = Config::read(file)?;
            let store = from.store.as_ref().or(daemon.store.as_ref());
            (config(daemon.money.as_ref(), store.map(PathBuf::as_path))?, daemon.model)
        }
    };
    let money = complete(money, choice)?;
    let names = money.names();
    Ok((money, names))
}

fn file(money: &MoneyConfig) -> anyhow::Result<&Path> {
    money.orders_file.as_deref().context("there is no file for orders")
}

fn ordered(arguments: OrderArgs, to: Ordered) -> anyhow::Result<()> {
    let (money, gates) = known(&arguments.from)?;
    let order = Order {
        at: SystemClock.now(),
        gates: arguments.name,
        to,
        by: clean(&arguments.by),
        why: arguments.why.as_deref().map(clean),
    };
    let meant: Vec<&str> = gates.iter().map(String::as_str).filter(|name| order.is_for(name)).collect();
    if meant.is_empty() || order.gates.trim().is_empty() {
        bail!("no model is called like `{}`; there are: {}", clean(&order.gates), list(&gates));
    }
    let file = file(&money)?;
    if let Some(directory) = file.parent() {
        // Where it cannot be made, writing the file says so.
        let _ = std::fs::create_dir_all(directory);
    }
    order.append(file).with_context(|| format!("NOT ordered: `{}` cannot be written", file.display()))?;
    let mut out = anstream::stdout();
    let done = match to {
        Ordered::Open => "held open: not asked until it is closed",
        Ordered::Close => "closed: asked again",
    };
    for name in meant {
        writeln!(out, "{STRONG}{}{STRONG:#}  {done}", clean(name))?;
    }
    let shown = clean(&file.display().to_string());
    writeln!(out, "{FAINT}written to {shown}, which is read before each call{FAINT:#}")?;
    Ok(())
}

fn list(gates: &BTreeSet<String>) -> String {
    let names: Vec<String> = gates.iter().map(|name| format!("`{}`", clean(name))).collect();
    if names.is_empty() { "none, rules reason".to_owned() } else { names.join(", ") }
}

fn status(format: Format, from: &FromArgs) -> anyhow::Result<()> {
    let (money, gates) = known(from)?;
    let file = file(&money)?;
    let orders = Order::all(file)
        .with_context(|| format!("`{}` cannot be read", clean(&file.display().to_string())))?;
    let last = |name: &str| orders.iter().rev().find(|order| order.is_for(name));
    let mut out = anstream::stdout();
    if format == Format::Json {
        let all: Vec<_> = gates.iter().map(|name| json!({ "name": name, "ordered": last(name) })).collect();
        let text = serde_json::to_string_pretty(&json!({ "models": all, "orders": orders }))?;
        writeln!(out, "{}", crate::terminal::text::escaped(&text))?;
        return Ok(());
    }
    for name in &gates {
        let shown = clean(name);
        match last(name) {
            Some(order) if order.to == Ordered::Open => {
                let whose = clean(&order.whose());
                writeln!(
                    out,
                    "{STRONG}{shown}{STRONG:#}  {WARN}held open by {whose} since {}{WARN:#}",
                    order.at
                )?;
            }
            _ => writeln!(out, "{STRONG}{shown}{STRONG:#}  opens and closes by itself")?,
        }
    }
    if gates.is_empty() {
        writeln!(out, "no model is configured: rules reason")?;
    }
    writeln!(out, "{FAINT}/metrics of the daemon says how each stands now{FAINT:#}")?;
    Ok(())
}
