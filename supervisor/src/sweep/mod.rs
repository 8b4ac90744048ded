//! First light: everything is read at once, and no model is asked.
//!
//! Two waves. The first needs nothing but the alarm and the catalog. The second follows what the
//! first found: deployments are correlated with the onset, and runbooks searched for the errors.
//! Every call has a deadline of its own, on the incident's clock; what is late or fails is named.
//! Evidence ids follow the plan and not the arrival, as far as nothing has to wait for it: two
//! sweeps of the same trouble give the same ids.
//! The first summary is given when what the service itself says is in (its alarm, errors,
//! deployments and health, or that they cannot be read), or at its deadline with what there is.

mod arrival;
mod line;
mod plan;
mod summary;

use std::time::Duration;

use futures::{StreamExt, future::join_all, stream::FuturesUnordered};
use midwatch_agents::{
    json::Json,
    signals::{Scene, Signals},
    sweep::{MissingPart, Sweep, SweepPart},
    tools::FailureKind,
};
use midwatch_policy::{ServiceName, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{case::Case, event::Event, record::millis_between};

use arrival::{Arrivals, Arrived};
pub(crate) use line::clock;
pub use plan::Ask;
pub(crate) use summary::headline;

/// After which the first summary is given, whatever is still missing.
const FIRST_SUMMARY: Duration = Duration::from_millis(1_800);

/// What the first summary waits for, where it is about the service itself.
const NEEDED: [&str; 4] = ["get_alarm", "error_patterns", "list_deployments", "service_health"];
/// How often it is looked whether the deadline has passed on the incident's clock, in real time.
const LOOK: Duration = Duration::from_millis(100);

/// What the sweep came to.
#[derive(Debug, Clone)]
pub struct Swept {
    /// What was read and what was not, as models are shown it.
    pub sweep: Sweep,
    /// What it says.
    pub signals: Signals,
    /// The first useful summary.
    pub summary: Vec<String>,
    /// When it was given: milliseconds on the incident's clock and on the wall's.
    pub summary_ms: (u64, u64),
}

/// What a sweep read, as it is journaled; what it says follows from that.
#[derive(Debug, Serialize, Deserialize)]
struct Read {
    sweep: Sweep,
    summary: Vec<String>,
    summary_ms: (u64, u64),
}

/// What is known about an incident at a moment without reading anything.
pub fn scene(case: &Case, now: Timestamp) -> Scene {
    let service = case.opened.service.as_ref();
    Scene {
        service: service.map(|s| s.name.to_string()),
        alarm: case.opened.alarm.name.clone(),
        depends_on: service
            .map(|s| s.depends_on.iter().map(ServiceName::to_string).collect())
            .unwrap_or_default(),
        fired_at: case.opened.alarm.at,
        now,
    }
}

/// Reads everything that can be read.
pub async fn sweep(case: &Case, known: &[ServiceName]) -> Swept {
    let Read { sweep, summary, summary_ms } = case.step("sweep", read_all(case, known)).await;
    let signals = Signals::read(&scene(case, sweep.at), &sweep.observations());
    Swept { sweep, signals, summary, summary_ms }
}

async fn read_all(case: &Case, known: &[ServiceName]) -> Read {
    let mut sweep = Sweep {
        kind: midwatch_agents::sweep::SweepTag::default(),
        incident: case.opened.id.clone(),
        at: case.now(),
        parts: Vec::new(),
        missing: Vec::new(),
    };
    let mut first = plan::first(&case.opened, known, case.now());
    let own = case.opened.service.as_ref().map(|s| s.name.clone());
    let needed = |tool: &str, about: &Option<ServiceName>| *about == own && NEEDED.contains(&tool);
    // What the first summary waits for gets the first ids, and waits for nothing else.
    first.sort_by_key(|ask| !needed(ask.tool, &ask.service));
    let mut awaited = first.iter().filter(|ask| needed(ask.tool, &ask.service)).count();
    let mut summary = None;
    // Until most of it is in, nothing waits on the incident's clock: a stepped world would take
    // the work of setting up connections for idleness.
    let most = first.len().div_ceil(2);
    let mut arrivals = Arrivals::default();
    let mut wave: FuturesUnordered<_> =
        first.into_iter().enumerate().map(|(at, ask)| read(case, at, ask)).collect();
    loop {
        let in_time = arrivals.count() >= most && summary.is_none();
        let passed = Duration::from_millis(case.recorder.elapsed_ms().0);
        let left = FIRST_SUMMARY.saturating_sub(passed);
        tokio::select! {
            biased;
            part = wave.next() => match part {
                Some((at, arrived)) => {
                    awaited = awaited.saturating_sub(usize::from(needed(arrived.ask.tool, &arrived.ask.service)));
                    arrivals.hold(at, arrived);
                    arrivals.in_order().into_iter().for_each(|one| take(case, &mut sweep, one));
                    if awaited == 0 && summary.is_none() {
                        summary = Some(summarise(case, &sweep, wave.len() + arrivals.held()));
                    }
                }
                None => break,
            },
            () = case.clock.sleep(left), if in_time => {
                arrivals.all().into_iter().for_each(|one| take(case, &mut sweep, one));
                summary = Some(summarise(case, &sweep, wave.len()));
            }
            () = tokio::time::sleep(LOOK), if summary.is_none() => {
                if left.is_zero() && arrivals.count() > 0 {
                    arrivals.all().into_iter().for_each(|one| take(case, &mut sweep, one));
                    summary = Some(summarise(case, &sweep, wave.len()));
                }
            }
        }
    }
    drop(wave);
    arrivals.all().into_iter().for_each(|one| take(case, &mut sweep, one));
    let (summary, summary_ms) = summary.unwrap_or_else(|| summarise(case, &sweep, 0));

    let signals = Signals::read(&scene(case, case.now()), &sweep.observations());
    let second = plan::second(&case.opened, &signals, case.now());
    for arrived in join_all(second.into_iter().enumerate().map(|(at, ask)| read(case, at, ask))).await {
        take(case, &mut sweep, arrived.1);
    }
    sweep.at = case.now();
    Read { sweep, summary, summary_ms }
}

fn summarise(case: &Case, sweep: &Sweep, late: usize) -> (Vec<String>, (u64, u64)) {
    let signals = Signals::read(&scene(case, case.now()), &sweep.observations());
    let lines = summary::lines(&case.opened, &signals, &sweep.missing, late);
    let elapsed = case.recorder.elapsed_ms();
    case.recorder.note(Event::FirstSummary { lines: lines.clone() });
    (lines, elapsed)
}

/// Takes what arrived: gives its evidence ids, and says that it is there or is not.
fn take(case: &Case, sweep: &mut Sweep, arrived: Arrived) {
    let Arrived { ask: Ask { part, server, tool, service, args, .. }, ms, outcome } = arrived;
    match outcome {
        Ok((origin, result)) => {
            let admitted = case.book.admit(&origin, &result);
            let (server, tool) = (server.to_owned(), tool.to_owned());
            let sweep_part = SweepPart { server, tool, service, args, result: Json::of(&admitted.result) };
            let line = line::of(&sweep_part);
            case.recorder.note(Event::PartRead { part, line, evidence: admitted.evidence, ms });
            sweep.parts.push(sweep_part);
        }
        Err(failure) => {
            let mut why = match &failure.mend {
                Some(mend) => format!("{failure}; {mend}"),
                None => failure.to_string(),
            };
            // An alarm that is not where it was looked for says itself where it is.
            if let (FailureKind::NotFound, "get_alarm", Some(region)) =
                (failure.kind, tool, &case.opened.alarm.region)
            {
                why = format!(
                    "{why}; the alarm came from {region}: set AWS_REGION={region} if that is not where was looked"
                );
            }
            case.recorder.note(Event::PartMissing { part, why: why.clone(), ms });
            sweep.missing.push(MissingPart { tool: tool.to_owned(), service, why });
        }
    }
}

async fn read(case: &Case, at: usize, ask: Ask) -> (usize, Arrived) {
    let begun = case.now();
    let outcome = case.fetch(ask.server, ask.tool, ask.args.clone(), ask.deadline).await;
    let ms = millis_between(begun, case.now());
    (at, Arrived { ask, ms, outcome })
}
