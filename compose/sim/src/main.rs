//! `midwatch-sim`: serves a scenario as a process of its own, stands and plays what it is told, or
//! checks scenarios.

mod fire;

use std::{
    collections::BTreeMap,
    io::Write as _,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use midwatch_sim::{Scenario, World};

/// A world that plays incident scenarios behind the wire protocols of AWS.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a scenario until the process is ended; prints its endpoint and the alarm.
    Serve {
        /// Directory with a scenario.toml.
        dir: PathBuf,
        /// Port to listen on; 0 takes a free one.
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// Write the catalog of the scenario to this file, for servers that run beside the world.
        #[arg(long)]
        catalog: Option<PathBuf>,
        /// Let the world run at the speed of real time instead of moving when its callers wait.
        #[arg(long)]
        real_time: bool,
    },
    /// Check scenarios: errors with file, line and remedy, and warnings about what would surprise.
    Check {
        /// Directories with a scenario.toml, or directories above several.
        #[arg(required = true)]
        dirs: Vec<PathBuf>,
    },
    #[command(flatten)]
    Standing(fire::Standing),
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    tracing_subscriber::fmt().with_writer(std::io::stderr).init();
    match Arguments::parse().command {
        Command::Serve { dir, port, catalog, real_time } => serve(&dir, port, catalog, real_time).await,
        Command::Check { dirs } => check(&dirs),
        Command::Standing(standing) => standing.run().await,
    }
}

async fn serve(
    dir: &std::path::Path,
    port: u16,
    catalog: Option<PathBuf>,
    real_time: bool,
) -> anyhow::Result<ExitCode> {
    let world = World::start_on(Scenario::load(dir)?, SocketAddr::from((Ipv4Addr::LOCALHOST, port))).await?;
    let _pace = real_time.then(|| world.run_at_real_time());
    if let Some(path) = catalog {
        let services: Vec<_> = world.catalog().services().collect();
        std::fs::write(path, toml::to_string(&BTreeMap::from([("service", services)]))?)?;
    }
    let hello = serde_json::json!({
        "endpoint": world.endpoint(), "alarm": world.alarm_event(), "runbooks": world.runbooks(),
        // For whoever judges what is made of it.
        "expected": world.expected(),
    });
    writeln!(std::io::stdout(), "{hello}")?;
    tokio::signal::ctrl_c().await?;
    // What was changed in the world, for whoever has to know that nothing was; and what was called.
    let end = serde_json::json!({"mutations": world.mutations(), "operations": world.operations()});
    writeln!(std::io::stdout(), "{end}")?;
    Ok(ExitCode::SUCCESS)
}

fn check(dirs: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    let mut code = ExitCode::SUCCESS;
    let (mut right, mut wrong, mut warned) = (0, 0, 0);
    let mut all = Vec::new();
    for dir in dirs {
        let before = all.len();
        below(dir, 4, &mut all);
        if all.len() == before {
            // Nothing there: loading it says what is missing.
            all.push(dir.clone());
        }
    }
    for dir in &all {
        match Scenario::load(dir) {
            Ok(scenario) => {
                let warnings = scenario.warnings();
                right += 1;
                warned += warnings.len();
                writeln!(out, "{}: ok, {}", scenario.id(), scenario.title())?;
                for warning in warnings {
                    writeln!(out, "  warning: {warning}")?;
                }
            }
            Err(error) => {
                code = ExitCode::FAILURE;
                wrong += 1;
                writeln!(out, "{error}")?;
            }
        }
    }
    writeln!(out, "{} scenarios: {right} ok, {wrong} with errors; {warned} warnings", right + wrong)?;
    Ok(code)
}

/// The scenarios in a directory: itself, or those below it, in order.
fn below(dir: &std::path::Path, levels: u32, found: &mut Vec<PathBuf>) {
    if dir.is_file() || dir.join("scenario.toml").is_file() {
        found.push(dir.to_owned());
        return;
    }
    if levels == 0 {
        return;
    }
    let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    dirs.sort();
    for dir in dirs {
        below(&dir, levels - 1, found);
    }
}
