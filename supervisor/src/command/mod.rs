//! What `midwatch` can be told to do.

mod args;
#[cfg(feature = "demo")]
mod demo;
mod doctor;
#[cfg(feature = "demo")]
mod eval;
mod incidents;
mod model;
mod policy;
mod runbook;
mod triage;
#[cfg(feature = "demo")]
mod world;

use std::process::ExitCode;

pub use args::{Arguments, Command, Format, ModelChoice};

/// Does what the arguments say.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        #[cfg(feature = "demo")]
        Command::Demo(arguments) => demo::run(arguments).await,
        Command::Triage(triage) => triage::run(triage).await,
        #[cfg(feature = "demo")]
        Command::Eval(eval) => eval::run(eval).await,
        Command::Incidents(incidents) => incidents::run(incidents).await,
        Command::Doctor(doctor) => doctor::run(doctor).await,
        Command::Policy(arguments) => policy::run(&arguments),
        Command::Runbook(arguments) => runbook::run(&arguments),
    }
}
