//! Which calls could still change the conclusion.

use serde_json::{Map, Value, json};

use super::reading::Reading;
use crate::{
    causes,
    signals::{Scene, Signals},
    task::Task,
};

/// After this many calls the playbook concludes with what it has.
const MOST_CALLS: usize = 8;

/// The next calls, all independent of each other; empty when it is time to conclude.
pub(super) fn calls(
    task: &Task,
    reading: &Reading,
    offers: &impl Fn(&str) -> bool,
) -> Vec<(&'static str, Value)> {
    if reading.calls_made >= MOST_CALLS {
        return Vec::new();
    }
    let signals = Signals::read(&Scene::from(task), &reading.observations);
    let mut wanted: Vec<(&'static str, Value)> = Vec::new();
    if let Some(service) = task.service.as_ref().map(ToString::to_string) {
        wanted.extend(unread(task, reading, &service));
        wanted.extend(about_deployments(&signals, reading, &service));
        wanted.extend(about_workflow(task, &signals, reading, &service));
        wanted.extend(about_logs(&signals, reading, &service));
    }
    wanted.extend(about_dependencies(task, &signals, reading));
    wanted.retain(|(tool, args)| {
        offers(tool) && !args.as_object().is_some_and(|args| reading.was_asked(tool, args))
    });
    // A tool that has failed once for this incident is not asked the same thing again in other
    // words: what it failed for is reported.
    wanted.retain(|(tool, _)| reading.missing.iter().filter(|part| part.tool == *tool).count() < 3);
    wanted.truncate(4);
    wanted
}

fn window(task: &Task, rest: Value) -> Value {
    let mut args = Map::new();
    if let Value::Object(rest) = rest {
        args.extend(rest);
    }
    args.insert("from".to_owned(), json!(task.from));
    args.insert("to".to_owned(), json!(task.to));
    Value::Object(args)
}

/// What the sweep should have read and did not.
fn unread(task: &Task, reading: &Reading, service: &str) -> Vec<(&'static str, Value)> {
    let mut wanted = Vec::new();
    let mut want = |tool: &'static str, args: Value| {
        if !reading.has(tool, Some(service)) {
            wanted.push((tool, args));
        }
    };
    want("error_patterns", window(task, json!({ "service": service })));
    want("service_health", window(task, json!({ "service": service })));
    want("list_deployments", window(task, json!({ "service": service })));
    if !reading.has("get_alarm", None) {
        wanted.push(("get_alarm", json!({ "alarm_name": task.alarm.name, "service": service })));
    }
    if !reading.has("alarm_history", None) {
        let args = json!({ "alarm_name": task.alarm.name, "service": service });
        wanted.push(("alarm_history", window(task, args)));
    }
    if !reading.has("metric_window", Some(service)) {
        wanted.push(("metric_window", window(task, json!({ "service": service, "role": "traffic" }))));
    }
    wanted
}

fn about_deployments(signals: &Signals, reading: &Reading, service: &str) -> Vec<(&'static str, Value)> {
    let mut wanted = Vec::new();
    let Some(onset) = signals.onset else { return wanted };
    if !reading.has("correlate", Some(service)) {
        wanted.push(("correlate", json!({ "service": service, "onset": onset })));
    }
    let before = signals
        .deployments
        .iter()
        .filter(|d| d.own && d.changed.is_none())
        .filter(|d| d.started_at().is_some_and(|at| onset.duration_since(at).as_secs() >= -60));
    for deployment in before.take(2) {
        let id = &deployment.deployment.deployment_id;
        wanted.push(("what_changed", json!({ "service": service, "deployment_id": id })));
    }
    wanted
}

/// Why executions fail and what differs from the last good one, where more fail than before.
fn about_workflow(
    task: &Task,
    signals: &Signals,
    reading: &Reading,
    service: &str,
) -> Vec<(&'static str, Value)> {
    let mut wanted = Vec::new();
    if !signals.executions.as_ref().is_some_and(crate::view::Executions::failing) {
        return wanted;
    }
    for tool in ["explain_failure", "compare_executions"] {
        if !reading.has(tool, Some(service)) {
            wanted.push((tool, window(task, json!({ "service": service }))));
        }
    }
    wanted
}

fn about_logs(signals: &Signals, reading: &Reading, service: &str) -> Vec<(&'static str, Value)> {
    let mut wanted = Vec::new();
    let Some(top) = signals.patterns.first() else { return wanted };
    if !reading.has("log_context", None)
        && let Some((group, stream, at)) = &top.example
    {
        let args = json!({
            "log_group": group, "service": service, "log_stream": stream, "at": at, "before": 5, "after": 5
        });
        wanted.push(("log_context", args));
    }
    let searched = reading.asked.iter().any(|(tool, _)| tool == "search_runbooks");
    if !signals.runbooks.iter().any(|r| r.matched.is_some()) && !searched {
        let query: String = top.text.lines().next().unwrap_or_default().chars().take(200).collect();
        wanted.push(("search_runbooks", json!({ "query": query.trim(), "service": service })));
    }
    let contractless = signals
        .runbooks
        .first()
        .filter(|r| r.hit.contract.is_none() && r.matched.is_none() && r.hit.score > 0.0);
    if let Some(runbook) = contractless {
        wanted.push(("get_runbook", json!({ "runbook_id": runbook.hit.runbook_id })));
    }
    wanted
}

/// Whoever is suspected and can be asked about, is asked about.
fn about_dependencies(task: &Task, signals: &Signals, reading: &Reading) -> Vec<(&'static str, Value)> {
    let mut wanted = Vec::new();
    let ranked = causes::rank(signals);
    let suspected = |name: &str| {
        signals.patterns.iter().any(|p| p.names.iter().any(|n| n == name))
            || ranked.iter().any(|cause| cause.reference.as_deref() == Some(name) && cause.score > 0.2)
    };
    for name in task.known_dependencies.iter().map(ToString::to_string).filter(|name| suspected(name)) {
        if !reading.has("error_patterns", Some(&name)) {
            wanted.push(("error_patterns", window(task, json!({ "service": name }))));
        }
        if !reading.has("service_health", Some(&name)) {
            wanted.push(("service_health", window(task, json!({ "service": name }))));
        }
        if !reading.has("list_alarms", Some(&name)) {
            wanted.push(("list_alarms", json!({ "service": name })));
        }
    }
    wanted
}
