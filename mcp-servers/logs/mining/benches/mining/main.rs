//! Accuracy and speed of the miner on log samples with known templates.
//!
//! `cargo bench -p midwatch-mining -- DIR [--drain3 PYTHON] [--only A,B] [--diff SYSTEM]`
//!
//! Paths are absolute: cargo runs a benchmark in its own folder. DIR holds a folder for each system with a `*.log_structured.csv` as LOGHUB makes them: columns
//! `Content`, `EventId`, `EventTemplate`. One configuration for all of them: there is none.
//!
//! - GA, grouping accuracy: the share of lines whose group holds exactly the lines of their true one.
//! - FTA, F1 of template accuracy (Loghub-2.0): a template is right if all of its lines are of one
//!   true template and its text is that template's. Every variable is written `<*>`; no other
//!   normalisation but that of blanks.
//! - lines/s: of one core's time, from the first line to settled templates; the median of three.

#![allow(clippy::print_stdout, clippy::print_stderr, clippy::disallowed_methods, reason = "a benchmark")]

mod busy;
mod drain3;
mod measure;
mod samples;
mod strain;

use std::{path::PathBuf, process::ExitCode};

use samples::System;

#[derive(Default)]
struct Args {
    dir: Option<PathBuf>,
    drain3: Option<PathBuf>,
    only: Vec<String>,
    diff: Option<String>,
}

fn args() -> Result<Args, String> {
    let mut out = Args::default();
    let mut given = std::env::args().skip(1);
    while let Some(arg) = given.next() {
        let mut value = || given.next().ok_or(format!("{arg} needs a value"));
        match arg.as_str() {
            "--drain3" => out.drain3 = Some(value()?.into()),
            "--only" => out.only = value()?.split(',').map(str::to_owned).collect(),
            "--diff" => out.diff = Some(value()?),
            // Cargo's own.
            "--bench" => {}
            other if !other.starts_with('-') && out.dir.is_none() => out.dir = Some(other.into()),
            other => return Err(format!("unknown argument {other}")),
        }
    }
    Ok(out)
}

fn run() -> Result<(), String> {
    let args = args()?;
    let Some(dir) = args.dir else {
        eprintln!("no data: cargo bench -p midwatch-mining -- DIR (a folder of LOGHUB samples)");
        return Ok(());
    };
    // A copy of LOGHUB, or the folder above it.
    let below = dir.join("loghub-2k");
    let systems: Vec<System> = samples::read(if below.is_dir() { &below } else { &dir })?
        .into_iter()
        .filter(|system| args.only.is_empty() || args.only.contains(&system.name))
        .collect();
    if systems.is_empty() {
        return Err(format!("no *.log_structured.csv below {}", dir.display()));
    }
    if let Some(name) = args.diff {
        for system in systems.iter().filter(|system| system.name == name) {
            measure::differences(system);
        }
        return Ok(());
    }
    measure::table(&systems);
    strain::table();
    if let Some(python) = args.drain3 {
        drain3::table(&python, &systems)?;
    }
    Ok(())
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mining: {error}");
            ExitCode::FAILURE
        }
    }
}
