//! Signals as claims that the evidence book can check: one short sentence of what is there, with
//! the values it states quoted as `field=value`.

use midwatch_policy::{Timestamp, screen};

use crate::{
    finding::{Citation, ClaimDraft},
    signals::{DependencySignal, DeploymentSignal, PatternSignal, RunbookSignal, Signals},
    view::{Alarm, Feed, Health, ListedAlarm, MetricWindow, WorkflowFailure},
};

/// A claim about one piece of evidence.
fn claim<const N: usize>(
    evidence: Option<&str>,
    text: String,
    quotes: [Option<String>; N],
) -> Option<ClaimDraft> {
    let evidence = evidence.filter(|id| !id.is_empty())?;
    let citations: Vec<Citation> =
        quotes.into_iter().flatten().map(|quote| Citation::new(evidence, quote)).collect();
    (!citations.is_empty()).then_some(ClaimDraft { text, citations })
}

fn field(name: &str, value: impl std::fmt::Display) -> String {
    format!("{name}={value}")
}

fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// A text short enough for a sentence, cut at a space.
pub(crate) fn short(text: &str) -> String {
    const MOST: usize = 120;
    let text = text.trim();
    if text.chars().count() <= MOST {
        return text.to_owned();
    }
    let head: String = text.chars().take(MOST).collect();
    head.rsplit_once(' ').map_or(head.clone(), |(head, _)| head.to_owned())
}

pub(super) fn pattern(signal: &PatternSignal) -> Option<ClaimDraft> {
    let since = signal.first_seen.map(|at| format!(" since {}", clock(at))).unwrap_or_default();
    claim(
        Some(&signal.evidence),
        format!(
            "`{}` was logged {} times{since}, {} times in the baseline.",
            // Between marks that it cannot close.
            short(&signal.template).replace('`', "'"),
            signal.count,
            signal.baseline_count
        ),
        [
            Some(field("count", signal.count)),
            Some(field("baseline_count", signal.baseline_count)),
            signal.first_seen.map(|at| field("first_seen", at)),
        ],
    )
}

pub(super) fn deployment(signal: &DeploymentSignal) -> Option<ClaimDraft> {
    let found = &signal.deployment;
    let began = found.created_at?;
    claim(
        found.evidence.as_deref(),
        format!("Deployment {} began at {}.", found.deployment_id, clock(began)),
        [Some(field("deployment_id", &found.deployment_id)), Some(field("created_at", began))],
    )
}

pub(super) fn correlation(signal: &DeploymentSignal) -> Option<ClaimDraft> {
    let candidate = signal.candidate.as_ref()?;
    let seconds = candidate.seconds_before_onset?;
    let (amount, side) = if seconds < 0 { (-seconds, "after") } else { (seconds, "before") };
    claim(
        candidate.evidence.as_deref(),
        format!("Deployment {} began {amount} seconds {side} the onset.", candidate.deployment_id),
        [
            Some(field("deployment_id", &candidate.deployment_id)),
            Some(field("seconds_before_onset", seconds)),
        ],
    )
}

pub(super) fn change(signal: &DeploymentSignal, changed: &str) -> Option<ClaimDraft> {
    let found = signal.changed.as_ref()?;
    claim(
        found.evidence.as_deref(),
        format!("Deployment {} changed `{changed}`.", found.deployment_id),
        [Some(field("deployment_id", &found.deployment_id)), Some(field("field", changed))],
    )
}

pub(super) fn runbook(signal: &RunbookSignal) -> Option<ClaimDraft> {
    let (_, signature) = signal.matched.as_ref()?;
    claim(
        signal.hit.evidence.as_deref(),
        format!("Runbook `{}` is for errors with `{}`.", signal.hit.runbook_id, short(signature)),
        [Some(field("runbook_id", &signal.hit.runbook_id)), Some(signature.clone())],
    )
}

pub(super) fn dependency_errors(signal: &DependencySignal) -> Option<ClaimDraft> {
    let errors = signal.errors.as_ref()?;
    claim(
        errors.evidence.as_deref(),
        format!("{} logged {} errors, {} in the baseline.", signal.name, errors.total, errors.baseline_total),
        [Some(field("total", errors.total)), Some(field("baseline_total", errors.baseline_total))],
    )
}

pub(super) fn dependency_alarm(signal: &DependencySignal) -> Option<ClaimDraft> {
    let alarm = signal.alarms.iter().find(|alarm| alarm.state == "ALARM")?;
    let since = alarm.state_since?;
    claim(
        alarm.evidence.as_deref(),
        format!("Alarm {} of {} went to ALARM at {}.", alarm.name, signal.name, clock(since)),
        [Some(field("name", &alarm.name)), Some(field("state", "ALARM")), Some(field("state_since", since))],
    )
}

pub(super) fn tasks(name: &str, health: &Health) -> Option<ClaimDraft> {
    let (running, desired) = (health.running?, health.desired?);
    claim(
        health.evidence.as_deref(),
        format!("{running} of {desired} tasks of {name} are running."),
        [Some(field("running", running)), Some(field("desired", desired))],
    )
}

pub(super) fn stopped(health: &Health, kind: &str, words: &str) -> Option<ClaimDraft> {
    let tasks: Vec<&str> = health
        .stopped_tasks
        .iter()
        .filter(|task| task.kind == kind)
        .filter_map(|task| task.evidence.as_deref())
        .collect();
    let text = match tasks.len() {
        0 => return None,
        1 => format!("A task {words}."),
        n => format!("{n} tasks {words}."),
    };
    let citations = tasks.into_iter().map(|id| Citation::new(id, format!("kind={kind}"))).collect();
    Some(ClaimDraft { text, citations })
}

/// A ratio in per cent, as the evidence book recomputes it: whole, or with a decimal where that
/// would say nothing.
fn percent(ratio: f64) -> f64 {
    if ratio.abs() < 0.1 { (ratio * 1000.0).round() / 10.0 } else { (ratio * 100.0).round() }
}

pub(super) fn ratio(what: &str, metric: &MetricWindow) -> Option<ClaimDraft> {
    let ratio = metric.ratio?;
    claim(
        metric.evidence.as_deref(),
        format!("{what} is at {} % of its baseline.", percent(ratio)),
        [
            Some(field("ratio", ratio)),
            (!metric.change.is_empty()).then(|| format!("change={}", metric.change)),
        ],
    )
}

pub(super) fn metric_stopped(what: &str, metric: &MetricWindow) -> Option<ClaimDraft> {
    claim(
        metric.evidence.as_deref(),
        format!("{what}: `{}`.", metric.change),
        [Some(field("change", &metric.change))],
    )
}

pub(super) fn silence(signals: &Signals) -> Option<ClaimDraft> {
    let activity = signals.activity.as_ref().filter(|a| a.quiet)?;
    let since = activity.last_line.map(|at| format!(" since {}", clock(at))).unwrap_or_default();
    claim(
        activity.evidence.as_deref(),
        format!(
            "No line was logged{since}; {} in the window, {} in the baseline.",
            activity.lines, activity.baseline_lines
        ),
        [
            Some(field("quiet", true)),
            Some(field("lines", activity.lines)),
            Some(field("baseline_lines", activity.baseline_lines)),
            activity.last_line.map(|at| field("last_line", at)),
        ],
    )
}

pub(super) fn alarm(signals: &Signals) -> Option<ClaimDraft> {
    let alarm = signals.alarm.as_ref()?;
    // What stays true when the alarm has moved on.
    let text = match alarm.state_since {
        Some(at) => format!("Alarm {} went to {} at {}.", alarm.name, alarm.state, clock(at)),
        None => format!("Alarm {} was in {}.", alarm.name, alarm.state),
    };
    claim(
        alarm.evidence.as_deref(),
        text,
        [
            Some(field("name", &alarm.name)),
            Some(field("state", &alarm.state)),
            alarm.state_since.map(|at| field("state_since", at)),
        ],
    )
}

/// What a composite alarm is computed from.
fn children(alarm: &Alarm) -> Option<ClaimDraft> {
    const MOST: usize = 5;
    let shown = alarm.children.iter().take(MOST);
    let named: Vec<String> = shown.clone().map(ListedAlarm::as_child).collect();
    let more = match alarm.children.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let text = format!("Alarm {} is computed from {}{more}.", alarm.name, named.join(", "));
    // Whoever named them may have meant the reader.
    let text = Some(text).filter(|text| screen(text).is_empty())?;
    let evidence = alarm.evidence.as_deref().filter(|id| !id.is_empty() && !named.is_empty())?;
    let citations = shown.map(|child| Citation::new(evidence, field("name", &child.name))).collect();
    Some(ClaimDraft { text, citations })
}

/// Out of which logs what it reads is counted.
fn feed(alarm: &Alarm, feed: &Feed) -> Option<ClaimDraft> {
    if feed.filter.is_empty() || feed.log_group.is_empty() {
        return None;
    }
    let text = format!(
        "The metric {} is counted by the metric filter {} out of the log group {}.",
        feed.metric, feed.filter, feed.log_group
    );
    // As above.
    let text = Some(text).filter(|text| screen(text).is_empty())?;
    let quotes = [Some(field("filter", &feed.filter)), Some(field("log_group", &feed.log_group))];
    claim(alarm.evidence.as_deref(), text, quotes)
}

pub(super) fn history(signals: &Signals) -> Option<ClaimDraft> {
    let history = signals.history.as_ref()?;
    claim(
        history.evidence.as_deref(),
        format!("The alarm went into ALARM {} times in the window.", history.times_in_alarm),
        [Some(field("times_in_alarm", history.times_in_alarm))],
    )
}

pub(super) fn errors(signals: &Signals) -> Option<ClaimDraft> {
    let errors = signals.errors.as_ref()?;
    let last = errors.last_seen.map(|at| format!(", the last at {}", clock(at))).unwrap_or_default();
    claim(
        errors.evidence.as_deref(),
        format!("{} errors in the window{last}; {} in the baseline.", errors.total, errors.baseline_total),
        [
            Some(field("total", errors.total)),
            Some(field("baseline_total", errors.baseline_total)),
            errors.last_seen.map(|at| field("last_seen", at)),
        ],
    )
}

pub(super) fn executions(signals: &Signals) -> Option<ClaimDraft> {
    let found = signals.executions.as_ref()?;
    let (now, before) = (&found.window, &found.baseline);
    let late = if now.timed_out > 0 { format!(", {} timed out", now.timed_out) } else { String::new() };
    claim(
        found.evidence.as_deref(),
        format!(
            "{} of {} executions of {} failed{late}; {} of {} in the baseline.",
            now.failed,
            now.started,
            found.name(),
            before.failed,
            before.started
        ),
        [
            Some(field("failed", now.failed)),
            Some(field("started", now.started)),
            (now.timed_out > 0).then(|| field("timed_out", now.timed_out)),
            Some(field("change", &found.change)),
        ],
    )
}

pub(super) fn workflow_failure(failure: &WorkflowFailure) -> Option<ClaimDraft> {
    let error = failure.error.as_deref()?;
    let place =
        failure.state.as_ref().map_or("The execution".to_owned(), |s| format!("State `{}`", short(s)));
    let called = failure.called.as_ref().and_then(|called| called.name.as_deref());
    let whom = called.map(|name| format!(", which calls {name},")).unwrap_or_default();
    let said = failure.cause.as_deref().filter(|_| failure.screened.is_empty());
    let first = said.and_then(|cause| cause.lines().next()).map(str::trim).filter(|line| !line.is_empty());
    let said = first.map(|line| format!(": `{}`", short(line))).unwrap_or_default();
    claim(
        failure.evidence.as_deref(),
        format!("{place}{whom} failed with `{}`{said}.", short(error)),
        [
            failure.state.as_ref().map(|state| field("state", state)),
            Some(field("error", error)),
            called.map(|name| field("name", name)),
            // As it stands there: what is said in the sentence may have other marks.
            first.map(|line| line.chars().take(100).collect()),
        ],
    )
}

pub(super) fn definition_changed(signals: &Signals) -> Option<ClaimDraft> {
    let compared = signals.workflow_compared.as_ref()?;
    let changed = compared.definition_changes.first()?;
    claim(
        compared.evidence.as_deref(),
        format!(
            "The workflow's definition changed: `{}` of state `{}`.",
            changed.field,
            short(&changed.state)
        ),
        [Some(field("same_definition", false)), Some(field("field", &changed.field))],
    )
}

/// What every report should say, whatever the cause: the alarm, the errors, the tasks, the traffic.
pub fn context_facts(signals: &Signals) -> Vec<ClaimDraft> {
    let name = signals.scene.service.as_deref().unwrap_or("the service");
    let feeds =
        signals.alarm.iter().flat_map(|alarm| alarm.fed_by.iter().take(2).map(|one| feed(alarm, one)));
    let own = [alarm(signals), signals.alarm.as_ref().and_then(children)];
    let rest = [
        errors(signals),
        signals.patterns.first().and_then(pattern),
        executions(signals),
        signals.workflow_failure.as_ref().and_then(workflow_failure),
        definition_changed(signals),
        signals.health.as_ref().and_then(|health| tasks(name, health)),
        signals.traffic.as_ref().and_then(|traffic| ratio("Traffic", traffic)),
        silence(signals),
    ];
    own.into_iter().chain(feeds).chain(rest).flatten().collect()
}

/// Texts that try to instruct were found: a person should know, and nobody should obey.
pub fn screened_facts(signals: &Signals) -> Vec<ClaimDraft> {
    let mut seen: Vec<&str> = Vec::new();
    let mut facts = Vec::new();
    for found in &signals.screened {
        if seen.contains(&found.evidence.as_str()) {
            continue;
        }
        seen.push(&found.evidence);
        facts.extend(claim(
            Some(&found.evidence),
            "Log lines of this pattern carry text that tries to instruct the reader; it was not followed."
                .to_owned(),
            [Some(found.finding.clone())],
        ));
    }
    facts
}
