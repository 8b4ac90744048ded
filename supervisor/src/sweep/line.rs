//! One line for people about each thing that was read.

use std::fmt::Write as _;

use midwatch_agents::{
    sweep::SweepPart,
    view::{
        Alarm, AlarmHistory, AlarmList, Correlation, DeploymentList, ErrorPatterns, Executions, Health,
        ListedAlarm, MetricWindow, RunbookHits, WorkflowFailure,
    },
};
use midwatch_policy::Timestamp;
use serde::de::DeserializeOwned;

/// What a part says, in a line.
pub(crate) fn of(part: &SweepPart) -> String {
    match part.tool.as_str() {
        "get_alarm" => read(part, alarm),
        "alarm_history" => read(part, history),
        "error_patterns" => read(part, errors),
        "metric_window" => read(part, metric),
        "list_deployments" => read(part, deployments),
        "service_health" => read(part, health),
        "list_alarms" => read(part, alarms),
        "list_executions" => read(part, executions),
        "explain_failure" => read(part, workflow_failure),
        "correlate" => read(part, correlation),
        "search_runbooks" => read(part, runbooks),
        _ => "read".to_owned(),
    }
}

fn read<T: DeserializeOwned>(part: &SweepPart, line: impl Fn(&T) -> String) -> String {
    part.result.read().map_or_else(|_| "read".to_owned(), |view| line(&view))
}

/// `02:04:10`, in UTC.
pub(crate) fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

fn since(at: Option<Timestamp>) -> String {
    at.map(|at| format!(" since {}", clock(at))).unwrap_or_default()
}

fn alarm(alarm: &Alarm) -> String {
    let mut line = format!("{}{}", alarm.state, since(alarm.state_since));
    line.push_str(&fed(alarm));
    line
}

/// What an alarm stands on, where that is more than a metric of AWS.
pub(super) fn fed(alarm: &Alarm) -> String {
    const MOST: usize = 4;
    let mut text = String::new();
    if !alarm.children.is_empty() {
        let named: Vec<String> = alarm.children.iter().take(MOST).map(ListedAlarm::as_child).collect();
        let _ = write!(text, "; of {}", named.join(", "));
        let more = alarm.children.len().saturating_sub(MOST);
        if more > 0 {
            let _ = write!(text, " and {more} more");
        }
    }
    if let Some(feed) = alarm.fed_by.first() {
        let _ = write!(text, "; counted by metric filter {} out of {}", feed.filter, feed.log_group);
    }
    text
}

fn history(history: &AlarmHistory) -> String {
    let times = history.times_in_alarm;
    let flapping = if history.flapping { ", flapping" } else { "" };
    format!("in ALARM {times} time{} in 24 hours{flapping}", plural(times))
}

fn errors(found: &ErrorPatterns) -> String {
    let (total, before) = found.errors.as_ref().map_or((0, 0), |e| (e.total, e.baseline_total));
    let mut line = format!("{total} error line{} ({before} before)", plural(total));
    if let Some(onset) = found.errors.as_ref().and_then(|e| e.onset) {
        let _ = write!(line, " since {}", clock(onset));
    }
    if found.activity.as_ref().is_some_and(|a| a.quiet) {
        line.push_str("; the log went quiet");
    }
    if let Some(worst) = found.patterns.iter().find(|p| matches!(p.change.as_str(), "new" | "grew")) {
        let _ = write!(line, ": {}", worst.template);
    }
    line
}

fn metric(window: &MetricWindow) -> String {
    let number = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), short);
    let now = window.stats.as_ref().and_then(|s| s.avg);
    let usual = window.baseline.as_ref().and_then(|s| s.avg);
    let change = match window.change.as_str() {
        "" => "read",
        "none" => "unchanged",
        change => change,
    };
    format!("{change}: {} a period, usually {}{}", number(now), number(usual), since(window.onset))
}

fn short(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

fn deployments(list: &DeploymentList) -> String {
    let count = list.deployments.len() as u64;
    let Some(newest) = list.deployments.iter().max_by_key(|d| d.created_at) else {
        return "none in 24 hours".to_owned();
    };
    let at = newest.created_at.map(|at| format!(" at {}", clock(at))).unwrap_or_default();
    let status = serde_json::to_value(newest.status).ok();
    let status = status.as_ref().and_then(|s| s.as_str()).unwrap_or("unknown").replace('_', " ");
    format!("{count} in 24 hours, newest {}{at}, {status}", newest.deployment_id)
}

fn health(health: &Health) -> String {
    let (Some(running), Some(desired)) = (health.running, health.desired) else {
        return "not known".to_owned();
    };
    let mut line = format!("{running} of {desired} tasks run");
    let stopped = health.stopped_tasks.len() as u64;
    if let Some(last) = health.stopped_tasks.first() {
        let _ = write!(line, ", {stopped} stopped ({})", last.kind.replace('_', " "));
    }
    match health.deployments_in_progress {
        0 => {}
        _ => line.push_str(", a deployment is in progress"),
    }
    line
}

fn alarms(list: &AlarmList) -> String {
    let firing: Vec<&str> =
        list.alarms.iter().filter(|a| a.state == "ALARM").map(|a| a.name.as_str()).collect();
    match firing.as_slice() {
        [] => format!("{} alarms, none in ALARM", list.alarms.len()),
        names => format!("in ALARM: {}", names.join(", ")),
    }
}

fn executions(found: &Executions) -> String {
    let bad = |ran: &midwatch_agents::view::Ran| ran.failed + ran.timed_out;
    let mut line = format!(
        "{} of {} executions failed ({} of {} before)",
        bad(&found.window),
        found.window.started,
        bad(&found.baseline),
        found.baseline.started
    );
    if found.failing() {
        line.push_str(&since(found.first_failure_at));
    }
    line
}

fn workflow_failure(found: &WorkflowFailure) -> String {
    let state = found.state.as_deref().unwrap_or("a state");
    format!("`{state}` fails with {}", found.error.as_deref().unwrap_or("an error without a name"))
}

fn correlation(found: &Correlation) -> String {
    let best = found.candidates.iter().max_by(|a, b| a.score.total_cmp(&b.score));
    let Some(best) = best else { return "no deployment to correlate".to_owned() };
    let seconds = best.seconds_before_onset.unwrap_or_default();
    let side = if seconds >= 0 { "before" } else { "after" };
    format!("{} began {} {side} the onset, score {:.2}", best.deployment_id, span(seconds), best.score)
}

fn span(seconds: i64) -> String {
    match seconds.unsigned_abs() {
        s @ 0..120 => format!("{s} s"),
        s @ 120..7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

fn runbooks(found: &RunbookHits) -> String {
    match found.hits.first() {
        Some(best) => format!("best of {}: {}", found.hits.len(), best.title),
        None => "none fits".to_owned(),
    }
}

pub(crate) fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}
