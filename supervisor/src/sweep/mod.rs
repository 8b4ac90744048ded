//! First light: everything is read at once, and no model is asked.
//!
//! Two waves. The first needs nothing but the alarm and the catalog. The second follows what the
//! first found: deployments are correlated with the onset, and runbooks searched for the errors.
//! Every call has a deadline of its own, on the incident's clock; what is late or fails is named.
//! The first summary is given when what the service itself says is in (its alarm, errors,
//! deployments and health, or that they cannot be read), or at its deadline with what there is.

mod line;
mod plan;
mod summary;

use std::time::Duration;

use futures::{StreamExt, stream::FuturesUnordered};
use midwatch_agents::{
    signals::{Scene, Signals},
    sweep::{MissingPart, Sweep, SweepPart},
};
use midwatch_policy::ServiceName;

use crate::{case::Case, event::Event, record::millis_between};

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

/// What is known about an incident without reading anything.
pub fn scene(case: &Case) -> Scene {
    let service = case.opened.service.as_ref();
    Scene {
        service: service.map(|s| s.name.to_string()),
        alarm: case.opened.alarm.name.clone(),
        depends_on: service
            .map(|s| s.depends_on.iter().map(ServiceName::to_string).collect())
            .unwrap_or_default(),
        fired_at: case.opened.alarm.at,
        now: case.now(),
    }
}

/// Reads everything that can be read.
pub async fn sweep(case: &Case, known: &[ServiceName]) -> Swept {
    let mut sweep = Sweep {
        kind: midwatch_agents::sweep::SweepTag::default(),
        incident: case.opened.id.clone(),
        at: case.now(),
        parts: Vec::new(),
        missing: Vec::new(),
    };
    let first = plan::first(&case.opened, known, case.now());
    let own = case.opened.service.as_ref().map(|s| s.name.clone());
    let needed = |tool: &str, about: &Option<ServiceName>| *about == own && NEEDED.contains(&tool);
    let mut awaited = first.iter().filter(|ask| needed(ask.tool, &ask.service)).count();
    let mut summary = None;
    // Until most of it is in, nothing waits on the incident's clock: a stepped world would take
    // the work of setting up connections for idleness.
    let most = first.len().div_ceil(2);
    let mut wave: FuturesUnordered<_> = first.into_iter().map(|ask| read(case, ask)).collect();
    loop {
        let in_time = sweep.parts.len() + sweep.missing.len() >= most && summary.is_none();
        let passed = Duration::from_millis(case.recorder.elapsed_ms().0);
        let left = FIRST_SUMMARY.saturating_sub(passed);
        tokio::select! {
            biased;
            part = wave.next() => match part {
                Some(part) => {
                    let (tool, about) = match &part {
                        Ok(part) => (&part.tool, &part.service),
                        Err(part) => (&part.tool, &part.service),
                    };
                    awaited = awaited.saturating_sub(usize::from(needed(tool, about)));
                    take(&mut sweep, part);
                    if awaited == 0 && summary.is_none() {
                        summary = Some(summarise(case, &sweep, wave.len()));
                    }
                }
                None => break,
            },
            () = case.clock.sleep(left), if in_time => {
                summary = Some(summarise(case, &sweep, wave.len()));
            }
            () = tokio::time::sleep(LOOK), if summary.is_none() => {
                if left.is_zero() && !sweep.parts.is_empty() {
                    summary = Some(summarise(case, &sweep, wave.len()));
                }
            }
        }
    }
    drop(wave);
    let given = summary.unwrap_or_else(|| summarise(case, &sweep, 0));

    let signals = Signals::read(&scene(case), &sweep.observations());
    let mut wave: FuturesUnordered<_> =
        plan::second(&case.opened, &signals, case.now()).into_iter().map(|ask| read(case, ask)).collect();
    while let Some(part) = wave.next().await {
        take(&mut sweep, part);
    }
    drop(wave);
    sweep.at = case.now();
    case.keep_evidence().await;
    let signals = Signals::read(&scene(case), &sweep.observations());
    Swept { sweep, signals, summary: given.0, summary_ms: given.1 }
}

fn summarise(case: &Case, sweep: &Sweep, late: usize) -> (Vec<String>, (u64, u64)) {
    let signals = Signals::read(&scene(case), &sweep.observations());
    let lines = summary::lines(&case.opened, &signals, &sweep.missing, late);
    let elapsed = case.recorder.elapsed_ms();
    case.recorder.note(Event::FirstSummary { lines: lines.clone() });
    (lines, elapsed)
}

fn take(sweep: &mut Sweep, part: Result<SweepPart, MissingPart>) {
    match part {
        Ok(part) => sweep.parts.push(part),
        Err(part) => sweep.missing.push(part),
    }
}

async fn read(case: &Case, ask: Ask) -> Result<SweepPart, MissingPart> {
    let Ask { part, server, tool, service, args, deadline } = ask;
    let begun = case.now();
    match case.read(server, tool, args.clone(), deadline).await {
        Ok(admitted) => {
            let sweep_part = SweepPart {
                server: server.to_owned(),
                tool: tool.to_owned(),
                service,
                args,
                result: admitted.result,
            };
            let ms = millis_between(begun, case.now());
            let line = line::of(&sweep_part);
            case.recorder.note(Event::PartRead { part, line, evidence: admitted.evidence, ms });
            Ok(sweep_part)
        }
        Err(failure) => {
            let why = match &failure.mend {
                Some(mend) => format!("{failure}; {mend}"),
                None => failure.to_string(),
            };
            let ms = millis_between(begun, case.now());
            case.recorder.note(Event::PartMissing { part, why: why.clone(), ms });
            Err(MissingPart { tool: tool.to_owned(), service, why })
        }
    }
}
