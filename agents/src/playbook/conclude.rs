//! The conclusion of an analyst, by rules.

use std::fmt::Write as _;

use midwatch_policy::{CauseKind, Verdict};

use crate::{
    causes::{self, RankedCause},
    finding::{CauseDraft, ClaimDraft, FindingDraft},
    signals::{LineKind, Scene, Signals},
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
        summary: summary(task, &signals, missing, &ranked, verdict),
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

/// What this analyst was sent for: of changes the one, of what fails the others.
fn summary(
    task: &Task,
    signals: &Signals,
    missing: &[MissingPart],
    ranked: &[RankedCause],
    verdict: Verdict,
) -> String {
    let service = task.service.as_ref().map_or_else(|| task.alarm.name.clone(), ToString::to_string);
    let seen = match task.specialist.as_str() {
        crate::specialist::WORKFLOW_ANALYST => {
            format!("{} {}", executions(&service, signals, missing), why(signals, ranked))
        }
        "deploy_correlator" => changed(&service, signals, missing, ranked),
        _ => format!("{} {}", failing(&service, signals, missing), why(signals, ranked)),
    };
    format!("{seen} Verdict: {verdict}.")
}

/// How many executions fail, in which state and with what.
fn executions(service: &str, signals: &Signals, missing: &[MissingPart]) -> String {
    let Some(found) = &signals.executions else {
        return unread(&format!("the executions of {service}"), "list_executions", service, missing);
    };
    let (now, before) = (&found.window, &found.baseline);
    let mut text = format!(
        "{} of {} executions of {} failed, {} of {} before",
        now.failed + now.timed_out,
        now.started,
        found.name(),
        before.failed + before.timed_out,
        before.started
    );
    if let Some(failure) = signals.workflow_failure.as_ref().filter(|_| found.failing()) {
        if let Some(state) = &failure.state {
            let _ = write!(text, "; the failing state is `{}`", causes::short(state));
        }
        if let Some(error) = &failure.error {
            let _ = write!(text, ", its error `{}`", causes::short(error));
        }
        if let Some(name) = failure.called.as_ref().and_then(|called| called.name.as_ref()) {
            let _ = write!(text, ", and it calls {name}");
        }
    }
    match signals.workflow_compared.as_ref().and_then(|compared| compared.same_definition) {
        Some(true) => text.push_str("; the definition is the same as in the last good run."),
        Some(false) => text.push_str("; the definition is another than in the last good run."),
        None => text.push('.'),
    }
    text
}

/// What fails, since when, whom it names, and whether it goes on.
fn failing(service: &str, signals: &Signals, missing: &[MissingPart]) -> String {
    if signals.patterns.is_empty() {
        let logs = if signals.logs_read() {
            format!("{service} logs no new errors.")
        } else {
            unread(&format!("the logs of {service}"), "error_patterns", service, missing)
        };
        return if signals.silent() { format!("{service} went silent; {logs}") } else { logs };
    }
    let since = signals.onset.map(|at| format!(" since {}", at.strftime("%H:%M"))).unwrap_or_default();
    let mut text = format!("{service} logs {}{since}", counted(signals));
    // A line that tries to instruct is no witness, and is not repeated here.
    if let Some(top) = signals.patterns.iter().find(|p| p.witness) {
        let share = match signals.lines(top.kind) {
            all if all == top.count => "all of the".to_owned(),
            _ => format!("{} of the", top.count),
        };
        let _ = write!(text, "; {share} {} say `{}`", lines_of(top.kind), causes::short(&top.template));
        if !top.names.is_empty() {
            let names: Vec<&str> = top.names.iter().take(2).map(String::as_str).collect();
            let _ = write!(text, ", naming {}", names.join(" and "));
        }
    }
    match signals.errors_ongoing() {
        Some(true) => text.push_str("; they go on."),
        Some(false) => text.push_str("; they have ceased."),
        None => text.push('.'),
    }
    text
}

/// `73 new or more frequent error lines and 39 access-log lines of failed requests`: kinds that are
/// counted apart everywhere else are counted apart here.
fn counted(signals: &Signals) -> String {
    let [errors, warnings, requests] =
        [LineKind::Error, LineKind::Warning, LineKind::Request].map(|kind| (signals.lines(kind), kind));
    let some: Vec<String> = [errors, warnings, requests]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| match kind {
            LineKind::Request => format!("{count} access-log lines of failed requests"),
            kind => format!("{count} new or more frequent {}", lines_of(kind)),
        })
        .collect();
    match some.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, rest)) => format!("{} and {last}", rest.join(", ")),
        None => "no new errors".to_owned(),
    }
}

const fn lines_of(kind: LineKind) -> &'static str {
    match kind {
        LineKind::Error => "error lines",
        LineKind::Warning => "warning lines",
        LineKind::Request => "failed requests",
    }
}

fn why(signals: &Signals, ranked: &[RankedCause]) -> String {
    if signals.nothing_read() {
        return "Nothing could be read that would name a cause: no logs, metrics, tasks or deployments."
            .to_owned();
    }
    known(ranked).map_or_else(
        || "The evidence names no cause.".to_owned(),
        |cause| format!("Most probable cause: {}.", named(cause)),
    )
}

fn known(ranked: &[RankedCause]) -> Option<&RankedCause> {
    ranked.first().filter(|cause| cause.kind != CauseKind::Unknown)
}

fn named(cause: &RankedCause) -> String {
    let which = cause.reference.as_ref().map(|r| format!(" ({r})")).unwrap_or_default();
    format!("{}{which}", cause.kind.as_str().replace('_', " "))
}

/// Which deployment explains it, when it began and what it changed; or that none does.
fn changed(service: &str, signals: &Signals, missing: &[MissingPart], ranked: &[RankedCause]) -> String {
    let own: Vec<_> = signals.deployments.iter().filter(|d| d.own).collect();
    if !signals.deployments_read && own.is_empty() {
        return unread(&format!("the deployments of {service}"), "list_deployments", service, missing);
    }
    let top = known(ranked);
    let suspect = top
        .filter(|cause| cause.kind == CauseKind::Deployment)
        .and_then(|cause| own.iter().find(|d| Some(&d.deployment.deployment_id) == cause.reference.as_ref()));
    if let Some(suspect) = suspect {
        let mut text = format!("Deployment {}", suspect.deployment.deployment_id);
        if let Some(at) = suspect.started_at() {
            let _ = write!(text, " began at {}", at.strftime("%H:%M:%S"));
        }
        if let Some(seconds) = suspect.candidate.as_ref().and_then(|c| c.seconds_before_onset) {
            let side = if seconds < 0 { "after" } else { "before" };
            let _ = write!(text, ", {} s {side} the onset", seconds.abs());
        }
        let fields: Vec<String> = suspect
            .changed
            .iter()
            .flat_map(|c| &c.changes)
            .take(3)
            .map(|change| format!("`{}`", causes::short(&change.field)))
            .collect();
        if !fields.is_empty() {
            let _ = write!(text, "; it changed {}", fields.join(", "));
        }
        text.push_str(". It is the most probable cause.");
        return text;
    }
    let found = match own.len() {
        0 => format!("No deployment of {service} was found."),
        1 => format!("One deployment of {service} was found, and it does not explain what fails."),
        n => format!("{n} deployments of {service} were found, and none explains what fails."),
    };
    match top {
        Some(cause) => format!("{found} What speaks most is no change: {}.", named(cause)),
        None => found,
    }
}

/// That something could not be read, with the reason if it is known.
fn unread(what: &str, tool: &str, service: &str, missing: &[MissingPart]) -> String {
    let why = missing
        .iter()
        .rev()
        .filter(|part| part.tool == tool)
        .find(|part| part.service.as_ref().is_none_or(|s| s.as_str() == service))
        .map(|part| format!(" ({})", causes::short(&part.why)))
        .unwrap_or_default();
    let mut what = what.to_owned();
    if let Some(first) = what.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    format!("{what} could not be read{why}.")
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
            CauseKind::Unknown if signals.nothing_read() => {
                "A person should look: nothing could be read that would name a cause.".to_owned()
            }
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
        if dependency.is_blind() {
            list.push(format!("{}: nothing could be read about it", dependency.name));
        }
    }
    if signals.traffic.is_none() {
        list.push("traffic: no metric was read".to_owned());
    }
    list.dedup();
    list
}
