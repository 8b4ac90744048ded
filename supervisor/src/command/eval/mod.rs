//! `midwatch eval`: every scenario below a directory is played, and what came of it is checked.

mod check;
mod interrupt;
mod people;
mod table;
mod tokens;
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
use tokio::sync::oneshot;

use crate::{
    event::NoView,
    incident::{handle, resume},
    journal::{Entry, Journal, SqliteJournal},
    ledger::Ledger,
    memory::Memory,
    run::Run,
    site::Site,
};

use super::{
    args::{EvalArgs, Format, ModelChoice},
    model::config,
    world::{self, Stage},
};

use interrupt::{Cut, Mortal};

/// How scenarios are played.
#[derive(Debug, Clone, Copy)]
struct How {
    model: ModelChoice,
    /// How often each is also played with an interruption.
    interruptions: u32,
}

/// Threads of one scenario; most of the time it waits.
const THREADS: usize = 2;

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
    let how = How { model: arguments.model, interruptions: arguments.interruptions };
    let played: Vec<Vec<Played>> = stream::iter(all.into_iter().enumerate())
        .map(|(number, (id, scenario))| async move {
            let played = apart(number, play(id.clone(), scenario, how)).await;
            played.unwrap_or_else(|error| vec![broken(id, format!("a defect in Midwatch: {error}"))])
        })
        .buffer_unordered(jobs)
        .collect()
        .await;
    let mut played: Vec<Played> = played.into_iter().flatten().collect();
    played.sort_by(|a, b| a.id.cmp(&b.id));
    let recorded = tokens::file(&arguments.directory);
    if arguments.record_tokens {
        tokens::record(&recorded, &played)?;
    } else if arguments.model == ModelChoice::Bedrock {
        tokens::compare(&recorded, &mut played)?;
    }
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

/// Does work for one world on threads of its own. The world stands still while they compute, and
/// would otherwise stand still while those of any other world do.
async fn apart<T: Send + 'static>(
    number: usize,
    work: impl Future<Output = T> + Send + 'static,
) -> Result<T, String> {
    let name = midwatch_sim::thread_name(number);
    let (done, ended) = oneshot::channel();
    let run = move || {
        let threads = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .thread_name(midwatch_sim::thread_name(number))
            .enable_all()
            .build();
        let came = match &threads {
            Ok(threads) => threads.block_on(async { tokio::spawn(work).await }).map_err(|e| e.to_string()),
            Err(error) => Err(error.to_string()),
        };
        // Whoever does not wait any more need not be told.
        let _ = done.send(came);
        threads.into_iter().for_each(tokio::runtime::Runtime::shutdown_background);
    };
    std::thread::Builder::new().name(name).spawn(run).map_err(|error| error.to_string())?;
    ended.await.unwrap_or_else(|_| Err("its thread ended".to_owned()))
}

async fn play(id: String, scenario: Result<Scenario, String>, how: How) -> Vec<Played> {
    let scenario = match scenario {
        Ok(scenario) => scenario,
        Err(error) => return vec![broken(id, error)],
    };
    let (whole, entries) = match Box::pin(play_whole(&id, scenario.clone(), how.model)).await {
        Ok(whole) => whole,
        Err(error) => return vec![broken(id, format!("{error:#}"))],
    };
    let mut played = Vec::new();
    if let Some(run) = &whole.run {
        for cut in Cut::spread(u32::try_from(entries.len()).unwrap_or(u32::MAX), how.interruptions) {
            let id = format!("{id}!{cut}");
            let resumed = Box::pin(play_interrupted(&id, scenario.clone(), how.model, (run, cut))).await;
            played.push(resumed.unwrap_or_else(|error| broken(id, format!("{error:#}"))));
        }
    }
    played.push(whole);
    played
}

async fn set(scenario: Scenario, model: ModelChoice, journal: Arc<dyn Journal>) -> anyhow::Result<Stage> {
    let money = (model, Ledger::in_memory(config(None, None)?.ceilings));
    world::set(scenario, money, (journal, Memory::none()), world::Gate::Embedded(None), people::scripted)
        .await
}

/// Plays it from beginning to end.
async fn play_whole(
    id: &str,
    scenario: Scenario,
    model: ModelChoice,
) -> anyhow::Result<(Played, Vec<Entry>)> {
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::in_memory()?);
    let stage = set(scenario, model, Arc::clone(&journal)).await?;
    let run = handle(stage.alarm.clone(), &stage.site, Box::new(NoView), salt(id)).await?;
    let entries = journal.read(&run.incident).await;
    let bytes = check::cited(&run, journal.as_ref()).await;
    let world = &stage.world;
    let mut failures = check::always(&run, &world.mutations(), entries.as_deref(), &bytes);
    let judged = check::expected(&run, world.expected(), &bytes);
    failures.extend(judged.failures);
    let played = Played {
        id: id.to_owned(),
        passed: failures.is_empty(),
        failures,
        correct: judged.correct,
        closed_early: judged.closed_early,
        run: Some(run),
    };
    Ok((played, entries.unwrap_or_default()))
}

/// Plays it until a cut, drops everything that was at work, and goes on from the journal.
async fn play_interrupted(
    id: &str,
    scenario: Scenario,
    model: ModelChoice,
    (whole, cut): (&Run, Cut),
) -> anyhow::Result<Played> {
    let journal: Arc<dyn Journal> = Arc::new(SqliteJournal::in_memory()?);
    let mortal = Mortal::new(Arc::clone(&journal), cut);
    let stage = set(scenario, model, Arc::clone(&mortal) as Arc<dyn Journal>).await?;
    let run = tokio::select! {
        run = handle(stage.alarm.clone(), &stage.site, Box::new(NoView), salt(id)) => Some(run?),
        () = mortal.ended() => None,
    };
    let site = Site { journal: Arc::clone(&journal), ..stage.site.clone() };
    let open = journal.open("reported").await?;
    let run = match (run, open.first()) {
        (Some(run), _) => run,
        (None, Some(incident)) => resume(incident, &site, Box::new(NoView)).await?.run(&site).await.run,
        // It had written its report: nothing is left to do.
        (None, None) => reported(journal.as_ref()).await?,
    };
    let entries = journal.read(&run.incident).await;
    let bytes = check::cited(&run, journal.as_ref()).await;
    let mut failures = check::always(&run, &stage.world.mutations(), entries.as_deref(), &bytes);
    let in_doubt = interrupt::in_doubt(entries.as_deref().unwrap_or_default(), cut);
    failures.extend(interrupt::differences(whole, &run, in_doubt));
    Ok(Played {
        id: id.to_owned(),
        passed: failures.is_empty(),
        failures,
        correct: None,
        closed_early: false,
        run: Some(run),
    })
}

/// The report of the one incident that the journal holds.
async fn reported(journal: &dyn Journal) -> anyhow::Result<Run> {
    let heads = journal.heads().await?;
    let head = heads.first().context("the journal is empty")?;
    let entries = journal.read(&head.incident).await?;
    let report = entries.iter().rev().find(|entry| entry.kind == "reported");
    let run = report.and_then(|entry| entry.body.get("run")).context("there is no report")?;
    Ok(serde_json::from_value(run.clone())?)
}

/// The same scenario gets the same incident id.
fn salt(id: &str) -> u32 {
    id.bytes().fold(0x811c_9dc5, |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

#[cfg(test)]
mod tests;
