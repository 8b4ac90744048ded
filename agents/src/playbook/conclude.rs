//! The conclusion of an analyst, by rules.

use midwatch_policy::{CauseKind, Verdict};

use crate::{
    causes::{self, RankedCause},
    finding::{CauseDraft, ClaimDraft, FindingDraft},
    signals::{Scene, Signals},
    sweep::MissingPart,
    task::Task,
    view::Observation,
};

/// Claims beyond this number help nobody at night.
const MOST_CLAIMS: usize = 14;

/// Concludes from what was observed. Pure; also what a run falls back to when its model did not
/// conclude.
pub fn conclude(task: &Task, observations: &[Observation], missing: &[MissingPart]) -> FindingDraft {
    let signals = Signals::read(&Scene::from(task), observations);
    let ranked = causes::rank(&signals);
    let verdict = causes::verdict(&signals, &ranked);
    FindingDraft {
        summary: summary(task, &signals, &ranked, verdict),
        verdict,
        causes: ranked.iter().take(3).filter(|c| c.confidence >= 0.05).map(draft).collect(),
        claims: claims(&signals, &ranked),
        next_steps: next_steps(&signals, &ranked),
        not_checked: not_checked(&signals, missing),
    }
}

fn draft(cause: &RankedCause) -> CauseDraft {
    let named: Vec<&str> = cause.factors.iter().take(4).map(|factor| factor.name.as_str()).collect();
    CauseDraft {
        kind: cause.kind,
        reference: cause.reference.clone(),
        confidence: cause.confidence,
        why: named.join("; "),
    }
}

fn summary(task: &Task, signals: &Signals, ranked: &[RankedCause], verdict: Verdict) -> String {
    let service = task.service.as_ref().map_or_else(|| task.alarm.name.clone(), ToString::to_string);
    let what = match signals.patterns.first() {
        Some(pattern) => {
            let since =
                signals.onset.map(|at| format!(" since {}", at.strftime("%H:%M"))).unwrap_or_default();
            format!(
                "{service} logs {} new or more frequent error lines{since}, most of one pattern of {}",
                signals.lines(),
                pattern.count
            )
        }
        None if signals.silent() => format!("{service} went silent"),
        None => format!("{service} logs no new errors"),
    };
    let why = match ranked.first() {
        Some(cause) if cause.kind != CauseKind::Unknown => {
            let which = cause.reference.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
            let first = cause.factors.first().map(|f| format!(": {}", f.name)).unwrap_or_default();
            format!("Most probable cause: {}{which}{first}", cause.kind.as_str().replace('_', " "))
        }
        _ => "The evidence names no cause".to_owned(),
    };
    format!("{what}. {why}. Verdict: {verdict}.")
}

/// What speaks for the best cause, what speaks against the next, and what every report needs; each
/// once.
fn claims(signals: &Signals, ranked: &[RankedCause]) -> Vec<ClaimDraft> {
    let best = ranked.first().into_iter().flat_map(|cause| &cause.factors);
    let against = ranked.iter().skip(1).flat_map(|cause| cause.factors.iter().filter(|f| f.weight < -0.2));
    let mut claims: Vec<ClaimDraft> = Vec::new();
    let found = best
        .chain(against)
        .filter_map(|factor| factor.fact.clone())
        .chain(causes::screened_facts(signals))
        .chain(causes::context_facts(signals));
    for claim in found {
        if claims.len() < MOST_CLAIMS && !claims.iter().any(|known| known.text == claim.text) {
            claims.push(claim);
        }
    }
    claims
}

fn next_steps(signals: &Signals, ranked: &[RankedCause]) -> Vec<String> {
    let mut steps = Vec::new();
    if let Some(cause) = ranked.first() {
        let which = cause.reference.as_deref().unwrap_or("the service");
        steps.push(match cause.kind {
            CauseKind::Deployment => format!("Consider taking back deployment {which}; compare what it changed with the errors."),
            CauseKind::Dependency => format!("Look at {which} and tell whoever owns it; a change to this service would not help."),
            CauseKind::MemoryLeak => format!("A restart of {which} gives time; find what grows (heap dump, memory by task) before it fills again."),
            CauseKind::Saturation => format!("Add capacity to {which} or shed load; look at where the traffic comes from."),
            CauseKind::Throttling => format!("Raise the limit of {which} or spread the requests to it; check for a hot key or a retry storm."),
            CauseKind::Outage => format!("Find out why {which} does not run: stopped tasks, scheduler events, load balancer, network."),
            CauseKind::Transient => "Nothing to do now; watch whether it comes back.".to_owned(),
            CauseKind::Unknown => "A person should look: the evidence does not name a cause.".to_owned(),
        });
    }
    if let Some(runbook) = signals.runbooks.iter().find(|r| r.matched.is_some()) {
        steps.push(format!("Follow runbook `{}`.", runbook.hit.runbook_id));
    }
    if signals.flapping() {
        steps.push("The alarm comes and goes: review its threshold or what recurs.".to_owned());
    }
    steps
}

fn not_checked(signals: &Signals, missing: &[MissingPart]) -> Vec<String> {
    let mut list: Vec<String> = missing
        .iter()
        .map(|part| {
            let about = part.service.as_ref().map(|s| format!(" of {s}")).unwrap_or_default();
            format!("{}{about}: {}", part.tool, part.why)
        })
        .collect();
    for dependency in &signals.dependencies {
        let blind =
            dependency.errors.is_none() && dependency.health.is_none() && dependency.alarms.is_empty();
        if blind {
            list.push(format!("{}: nothing could be read about it", dependency.name));
        }
    }
    if signals.traffic.is_none() {
        list.push("traffic: no metric was read".to_owned());
    }
    list.dedup();
    list
}
