//! What `midwatch` can be told to do.

mod alarms;
#[cfg(feature = "demo")]
mod apart;
mod approvals;
mod approvers;
mod args;
mod catalog;
#[cfg(feature = "demo")]
mod demo;
mod desk;
mod doctor;
#[cfg(feature = "demo")]
mod eval;
mod guests;
mod incidents;
mod keys;
mod kill_switch;
mod mcp;
mod model;
mod models;
mod notify;
mod policy;
mod probe;
mod runbook;
#[cfg(feature = "demo")]
mod seat;
mod serve;
mod spend;
mod store;
mod triage;
#[cfg(feature = "demo")]
mod world;

use std::process::ExitCode;

pub use args::{Arguments, Command, Format};

/// What is logged; `None` where the command sees to it itself. The desk's audit lines are, whatever
/// else is asked for.
pub fn log_filter(arguments: &Arguments) -> Option<String> {
    Some(match arguments.command {
        Command::Mcp(_) => return None,
        Command::Desk(_) => format!("{},midwatch::audit=info", arguments.log),
        // A daemon says what it does, unless it is told not to.
        Command::Serve(_) if arguments.log == "error" => "warn,midwatch=info".to_owned(),
        _ => arguments.log.clone(),
    })
}

/// Does what the arguments say.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => Box::pin(demo::run(arguments)).await,
        Command::Triage(triage) => Box::pin(triage::run(triage)).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        #[cfg(feature = "demo")]
        Command::Eval(eval) => eval::run(eval).await,
        Command::Incidents(incidents) => incidents::run(incidents).await,
        Command::Catalog(arguments) => catalog::run(arguments).await,
        Command::Doctor(doctor) => doctor::run(doctor).await,
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Runbook(arguments) => runbook::run(&arguments),
        Command::Approvals(approvals) => approvals::run(approvals).await,
        Command::Approve(approve) => approvals::approve(approve).await,
        Command::Decline(decline) => approvals::decline(decline).await,
        Command::Raise(raise) => approvals::raise(raise).await,
        Command::Permits(permits) => approvals::permits(permits).await,
        Command::Desk(desk) => desk::run(desk).await,
        Command::Approvers(approvers) => approvers::run(approvers),
        Command::Keys(keys) => keys::run(keys),
        Command::Store(store) => store::run(store).await,
        Command::Notify(notify) => notify::run(notify).await,
        Command::Mcp(arguments) => Ok(mcp::run(arguments).await),
        Command::Probe(arguments) => probe::run(arguments).await,
        Command::KillSwitch(switch) => kill_switch::run(&switch),
        Command::Models(arguments) => models::run(arguments),
        Command::Spend(spend) => spend::run(&spend),
    }
}
