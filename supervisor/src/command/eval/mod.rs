//! `midwatch eval`: every scenario below a directory is played, and what came of it is checked.

mod check;
mod people;
mod table;
mod totals;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
};

use anyhow::{Context as _, bail};
use futures::{StreamExt as _, stream};
use midwatch_sim::Scenario;
use serde::Serialize;

use crate::{
    event::NoView,
    incident::handle,
    journal::{Journal, SqliteJournal},
    memory::Memory,
    run::Run,
};

use super::{
    args::{EvalArgs, Format, ModelChoice},
    world,
};

/// What came of one scenario.
#[derive(Debug, Serialize)]
struct Played {
    /// Its id.
    id: String,
    /// Whether nothing failed.
    passed: bool,
    /// What failed.
    failures: Vec<String>,
    /// Whether verdict and cause are the expected ones; absent where neither is expected.
    #[serde(skip_serializing_if = "Option::is_none")]
    correct: Option<bool>,
    /// Whether it was closed as transient though it was not.
    closed_early: bool,
    /// The run, if there was one.
    run: Option<Run>,
}

pub(super) async fn run(arguments: EvalArgs) -> anyhow::Result<ExitCode> {
    let directories = scenarios(&arguments.directory)?;
    let mut all: Vec<(String, Result<Scenario, String>)> = Vec::new();
    for directory in &directories {
        let name = directory.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        match Scenario::load(directory) {
            Ok(scenario) => {
                for number in 1..=arguments.variants {
                    let variant = scenario.variant(u64::from(number));
                    all.push((format!("{name}~{number}"), variant.map_err(|e| e.to_string())));
                }
                all.push((name, Ok(scenario)));
            }
            Err(error) => all.push((name, Err(error.to_string()))),
        }
    }
    let jobs = usize::try_from(arguments.jobs).unwrap_or(1);
    let model = arguments.model;
    let mut played: Vec<Played> = stream::iter(all)
        .map(|(id, scenario)| async move {
            match tokio::spawn(play(id.clone(), scenario, model)).await {
                Ok(played) => played,
                Err(error) => broken(id, format!("a defect in Midwatch: {error}")),
            }
        })
        .buffer_unordered(jobs)
        .collect()
        .await;
    played.sort_by(|a, b| a.id.cmp(&b.id));
    let totals = totals::totals(&played);
    let mut out = anstream::stdout();
    match arguments.format {
        Format::Json => {
            let all = serde_json::json!({ "scenarios": played, "totals": totals });
            writeln!(out, "{}", crate::terminal::text::escaped(&serde_json::to_string_pretty(&all)?))?;
        }
        Format::Text => table::write(&mut out, &played, &totals)?,
    }
    let failed = played.iter().any(|p| !p.passed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn broken(id: String, failure: String) -> Played {
    Played { id, passed: false, failures: vec![failure], correct: None, closed_early: false, run: None }
}

/// Directories with a `scenario.toml`, below this one or itself.
fn scenarios(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        if directory.join("scenario.toml").is_file() {
            found.push(directory);
            continue;
        }
        let entries = std::fs::read_dir(&directory)
            .with_context(|| format!("cannot read the directory `{}`", directory.display()))?;
        open.extend(entries.filter_map(|e| e.ok().map(|e| e.path())).filter(|p| p.is_dir()));
    }
    if found.is_empty() {
        bail!("there is no scenario.toml below `{}`", root.display());
    }
    found.sort();
    Ok(found)
}

async fn play(id: String, scenario: Result<Scenario, String>, model: ModelChoice) -> Played {
    match scenario {
        Err(error) => broken(id, error),
        Ok(scenario) => Box::pin(play_one(&id, scenario, model))
            .await
            .unwrap_or_else(|error| broken(id, format!("{error:#}"))),
    }
}

async fn play_one(id: &str, scenario: Scenario, model: ModelChoice) -> anyhow::Result<Played> {
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::in_memory()?);
    let stage = world::set(
        scenario,
        model,
        (Arc::clone(&journal), Memory::none()),
        world::Gate::Embedded(None),
        people::scripted,
    )
    .await?;
    let run = handle(stage.alarm.clone(), &stage.site, Box::new(NoView), salt(id)).await?;
    let entries = journal.read(&run.incident).await;
    let bytes = check::cited(&run, journal.as_ref()).await;
    let world = &stage.world;
    let mut failures = check::always(&run, &world.mutations(), entries.as_deref(), &bytes);
    let judged = check::expected(&run, world.expected(), &bytes);
    failures.extend(judged.failures);
    Ok(Played {
        id: id.to_owned(),
        passed: failures.is_empty(),
        failures,
        correct: judged.correct,
        closed_early: judged.closed_early,
        run: Some(run),
    })
}

/// The same scenario gets the same incident id.
fn salt(id: &str) -> u32 {
    id.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}
