//! What the sweep asks for.

use std::time::Duration;

use midwatch_agents::{
    signals::Signals,
    view::{Alarm, ListedAlarm},
};
use midwatch_policy::{ServiceName, SignedDuration, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    case::{args, time},
    intake::Opened,
};

/// Deadline of a call that runs a query.
const QUERY: Duration = Duration::from_secs(25);
/// Deadline of every other call.
const LOOK: Duration = Duration::from_secs(10);
/// Children of a composite alarm whose metrics are looked at.
const CHILDREN: usize = 3;
/// Dependencies that are looked at; the others are named as not checked.
const DEPENDENCIES: usize = 6;

/// One thing to read.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    /// What people call it.
    pub part: String,
    /// The server.
    pub server: &'static str,
    /// The tool.
    pub tool: &'static str,
    /// The service it is about.
    pub service: Option<ServiceName>,
    /// Its arguments.
    pub args: Map<String, Value>,
    /// How long it may take, on the incident's clock.
    pub deadline: Duration,
}

fn before(at: Timestamp, minutes: i64) -> Timestamp {
    at.saturating_sub(SignedDuration::from_mins(minutes)).unwrap_or(at)
}

/// What can be asked knowing only the alarm and the catalog. `known` are the dependencies that
/// the catalog has.
pub(crate) fn first(opened: &Opened, known: &[ServiceName], now: Timestamp) -> Vec<Ask> {
    let (from, to) = opened.window(now);
    let service = opened.service.as_ref().map(|s| s.name.clone());
    let name = json!(opened.alarm.name);
    let about = |service: &Option<ServiceName>| service.as_ref().map_or(Value::Null, |s| json!(s));
    let ask = |part: &str, server, tool, service: &Option<ServiceName>, args, deadline| Ask {
        part: part.to_owned(),
        server,
        tool,
        service: service.clone(),
        args,
        deadline,
    };
    let window = || [("from", time(from)), ("to", time(to))];
    let day = time(before(from, 24 * 60));

    let mut all = vec![
        ask(
            "alarm",
            "metrics",
            "get_alarm",
            &service,
            args([("alarm_name", name.clone()), ("service", about(&service))]),
            LOOK,
        ),
        ask(
            "alarm history",
            "metrics",
            "alarm_history",
            &service,
            args([
                ("alarm_name", name),
                ("service", about(&service)),
                ("from", day.clone()),
                ("to", time(to)),
            ]),
            LOOK,
        ),
    ];
    let Some(entry) = &opened.service else { return all };
    if !entry.log_groups.is_empty() || entry.ecs.is_some() {
        all.push(of(entry.name.clone(), "errors in logs", "logs", "error_patterns", window(), QUERY));
    }
    for (role, metric) in [("traffic", &entry.traffic), ("errors", &entry.errors)] {
        if metric.is_some() {
            all.push(metric_window(opened, &entry.name, role, to));
        }
    }
    if entry.codedeploy.is_some() || entry.ecs.is_some() {
        let window = [("from", day.clone()), ("to", time(to))];
        all.push(of(entry.name.clone(), "deployments", "deployments", "list_deployments", window, LOOK));
    }
    if entry.ecs.is_some() || entry.codedeploy.is_some() {
        all.push(of(entry.name.clone(), "health", "deployments", "service_health", window(), LOOK));
    }
    if entry.state_machine.is_some() {
        all.push(of(entry.name.clone(), "workflow", "workflows", "list_executions", window(), LOOK));
    }
    all.push(of(entry.name.clone(), "other alarms", "metrics", "list_alarms", [], LOOK));
    for dependency in known.iter().take(DEPENDENCIES) {
        let errors = format!("{dependency} errors");
        let health = format!("{dependency} health");
        let alarms = format!("{dependency} alarms");
        all.push(of(dependency.clone(), &errors, "logs", "error_patterns", window(), QUERY));
        all.push(of(dependency.clone(), &health, "deployments", "service_health", window(), LOOK));
        all.push(of(dependency.clone(), &alarms, "metrics", "list_alarms", [], LOOK));
    }
    all
}

fn of<const N: usize>(
    service: ServiceName,
    part: &str,
    server: &'static str,
    tool: &'static str,
    pairs: [(&str, Value); N],
    deadline: Duration,
) -> Ask {
    let mut args = args(pairs);
    args.insert("service".to_owned(), json!(service));
    Ask { part: part.to_owned(), server, tool, service: Some(service), args, deadline }
}

/// Ten minutes before the alarm, against the hour before that.
fn around(opened: &Opened, to: Timestamp) -> [(&'static str, Value); 4] {
    let from = before(opened.alarm.at.min(to), 10);
    [
        ("from", time(from)),
        ("to", time(to)),
        ("baseline_from", time(before(from, 60))),
        ("baseline_to", time(from)),
    ]
}

/// A composite alarm has no metric of its own: those of the alarms in it that fire say what is wrong.
fn metric_of_child(opened: &Opened, child: &ListedAlarm, to: Timestamp) -> Ask {
    let [from, to, baseline_from, baseline_to] = around(opened, to);
    let mut args = args([("alarm_name", json!(child.name)), from, to, baseline_from, baseline_to]);
    // It lives where the composite alarm does, whosever it is.
    let own = opened.service.as_ref().map(|service| service.name.clone());
    let about = child.service.as_ref().and_then(|name| ServiceName::parse(name.as_str()).ok()).or(own);
    if let Some(service) = &about {
        args.insert("service".to_owned(), json!(service));
    }
    let part = format!("metric of {}", child.name);
    Ask { part, server: "metrics", tool: "metric_window", service: about, args, deadline: LOOK }
}

/// A metric of a service around the alarm.
fn metric_window(opened: &Opened, service: &ServiceName, role: &str, to: Timestamp) -> Ask {
    let [from, to, baseline_from, baseline_to] = around(opened, to);
    let window = [("role", json!(role)), from, to, baseline_from, baseline_to];
    let part = if role == "errors" { "error metric" } else { role };
    of(service.clone(), part, "metrics", "metric_window", window, LOOK)
}

/// What follows from what the first wave found.
pub(crate) fn second(opened: &Opened, signals: &Signals, now: Timestamp) -> Vec<Ask> {
    let mut all = Vec::new();
    let (from, to) = opened.window(now);
    if let Some(service) = &opened.service {
        let onset = signals.onset.unwrap_or(opened.alarm.at);
        if service.codedeploy.is_some() || service.ecs.is_some() {
            let window = [("onset", time(onset)), ("from", time(before(from, 24 * 60))), ("to", time(to))];
            all.push(of(service.name.clone(), "correlation", "deployments", "correlate", window, LOOK));
        }
    }
    if let Some(service) = &opened.service
        && signals.executions.as_ref().is_some_and(|found| found.window.failed + found.window.timed_out > 0)
    {
        let window = [("from", time(from)), ("to", time(to))];
        all.push(of(service.name.clone(), "workflow failure", "workflows", "explain_failure", window, LOOK));
    }
    let firing = signals.alarm.iter().flat_map(Alarm::firing_children);
    all.extend(firing.take(CHILDREN).map(|child| metric_of_child(opened, child, to)));
    let mut search = args([("query", json!(query(opened, signals))), ("limit", json!(3))]);
    let service = opened.service.as_ref().map(|s| s.name.clone());
    if let Some(service) = &service {
        search.insert("service".to_owned(), json!(service));
    }
    all.push(Ask {
        part: "runbooks".to_owned(),
        server: "runbooks",
        tool: "search_runbooks",
        service,
        args: search,
        deadline: LOOK,
    });
    all
}

/// What to search runbooks for: the worst errors, else what the alarm says of itself.
fn query(opened: &Opened, signals: &Signals) -> String {
    const LONGEST: usize = 600;
    let mut words: Vec<String> =
        signals.patterns.iter().take(3).map(|p| p.template.replace("<*>", " ")).collect();
    if let Some(health) = &signals.health {
        words.extend(health.stopped_tasks.iter().take(1).map(|t| t.reason.clone()));
    }
    if words.is_empty() {
        words.extend(opened.alarm.description.clone());
    }
    words.push(opened.alarm.name.replace(['-', '_', '.'], " "));
    words.join(" ").chars().take(LONGEST).collect()
}
