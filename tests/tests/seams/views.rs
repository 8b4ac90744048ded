//! Agents read every server's results with types of their own, which take what they know and leave
//! the rest. So a field that a server renames would only be missing: this test says which. The
//! shapes of the results are kept as files; a server that changes them changes these.

use std::time::Duration;

use midwatch_agents::{
    brief::DeploymentStatus,
    json::Json,
    model::CallLimits,
    signals::{Scene, Signals},
    tools::{ToolCall, Tools},
    view::Observation,
};
use midwatch_policy::SignedDuration;
use serde_json::{Value, json};

use crate::{shape::shape, stage::Stage};

struct Reader {
    stage: Stage,
    tools: midwatch::tools::Toolbox,
    seen: Vec<Observation>,
}

impl Reader {
    async fn new(scenario: &str) -> Self {
        let stage = Stage::new(scenario).await;
        let tools = stage.readers().await;
        Self { stage, tools, seen: Vec::new() }
    }

    fn scene(&self) -> Scene {
        let now = self.stage.world.clock().now();
        let event = self.stage.world.alarm_event();
        let alarm = event["detail"]["alarmName"].as_str().unwrap().to_owned();
        let service =
            self.stage.world.catalog().service_of_alarm(&alarm, &std::collections::BTreeMap::new()).unwrap();
        Scene {
            service: Some(service.name.to_string()),
            alarm,
            depends_on: service.depends_on.iter().map(ToString::to_string).collect(),
            fired_at: now,
            now,
        }
    }

    /// Calls a tool; the half hour up to now is filled in where the tool wants a window.
    async fn read(&mut self, server: &str, tool: &str, args: Value) -> Value {
        let now = self.stage.world.clock().now();
        let mut args = args.as_object().cloned().unwrap();
        if args.remove("window").is_some() {
            args.insert("from".into(), json!(now - SignedDuration::from_mins(30)));
            args.insert("to".into(), json!(now));
        }
        let call = ToolCall { server: server.into(), tool: tool.into(), args };
        let limits = CallLimits::within(Duration::from_mins(1));
        let result = self.tools.call(&call, &limits).await.unwrap_or_else(|e| panic!("{tool}: {e}"));
        // As evidence does it: everything that can be cited has an id.
        let result = cited(result);
        self.seen.push(Observation { tool: tool.into(), args: call.args, result: Json::of(&result) });
        result
    }
}

/// Gives every object with a `ref` an evidence id.
fn cited(mut value: Value) -> Value {
    match &mut value {
        Value::Array(items) => items.iter_mut().for_each(|item| *item = cited(item.take())),
        Value::Object(object) => {
            for child in object.values_mut() {
                *child = cited(child.take());
            }
            if object.contains_key("ref") {
                object.insert("evidence".into(), json!("E1"));
            }
        }
        _ => {}
    }
    value
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_read_every_servers_results() {
    let mut reader = Reader::new("pool-exhaustion-after-deploy").await;
    let scene = reader.scene();
    let service = scene.service.clone().unwrap();
    let of_service = json!({"service": service, "window": true});
    let alarm = json!({"alarm_name": scene.alarm, "service": service});
    let mut shapes: Vec<(&str, Value)> = Vec::new();

    let found = reader.read("logs", "error_patterns", of_service.clone()).await;
    let pattern = &found["patterns"][0];
    let example = &pattern["examples"][0];
    let around = json!({"log_group": pattern["log_group"], "log_stream": example["log_stream"], "at": example["timestamp"]});
    let onset = found["errors"]["onset"].clone();
    shapes.push(("error_patterns", found.clone()));
    shapes.push(("log_context", reader.read("logs", "log_context", around).await));
    let counted = json!({"service": service, "window": true, "query": "stats count(*) as n by bin(5m)"});
    shapes.push(("log_query", reader.read("logs", "log_query", counted).await));
    shapes.push(("get_alarm", reader.read("metrics", "get_alarm", alarm.clone()).await));
    let mut history = alarm;
    history["window"] = json!(true);
    shapes.push(("alarm_history", reader.read("metrics", "alarm_history", history).await));
    shapes.push(("list_alarms", reader.read("metrics", "list_alarms", json!({"service": service})).await));
    for role in ["errors", "traffic"] {
        let args = json!({"service": service, "role": role, "window": true});
        let window = reader.read("metrics", "metric_window", args).await;
        if role == "traffic" {
            shapes.push(("metric_window", window));
        }
    }
    let listed = reader.read("deployments", "list_deployments", of_service.clone()).await;
    let deployment = listed["deployments"][0]["deployment_id"].clone();
    shapes.push(("list_deployments", listed));
    let changed = json!({"service": service, "deployment_id": deployment});
    shapes.push(("what_changed", reader.read("deployments", "what_changed", changed).await));
    let correlate = json!({"service": service, "onset": onset});
    shapes.push(("correlate", reader.read("deployments", "correlate", correlate).await));
    shapes.push(("service_health", reader.read("deployments", "service_health", of_service).await));
    let search = json!({"query": "connection pool exhausted", "service": service});
    let hits = reader.read("runbooks", "search_runbooks", search).await;
    let runbook = json!({"runbook_id": hits["hits"][0]["runbook_id"]});
    shapes.push(("search_runbooks", hits));
    shapes.push(("get_runbook", reader.read("runbooks", "get_runbook", runbook).await));
    for (tool, result) in &shapes {
        insta::assert_snapshot!(format!("result_of_{tool}"), shape(result));
    }

    let signals = Signals::read(&scene, &reader.seen);
    logs_are_read(&signals);
    metrics_are_read(&signals);
    deployments_are_read(&signals);
    let runbook = signals.runbooks.iter().find(|r| r.matched.is_some()).expect("a runbook matches");
    let contract = runbook.hit.contract.as_ref().expect("its contract");
    assert!(contract.cause.is_some() && contract.action.is_some() && !contract.signatures.is_empty());
    assert!(runbook.hit.evidence.is_some() && !runbook.hit.title.is_empty() && runbook.hit.score > 0.0);
}

fn logs_are_read(signals: &Signals) {
    let errors = signals.errors.as_ref().expect("errors");
    assert_eq!((errors.total, errors.baseline_total), (73, 0));
    assert!(errors.onset.is_some() && errors.last_seen.is_some() && !errors.per_minute.is_empty());
    assert!(errors.evidence.is_some(), "errors can be cited");
    let activity = signals.activity.as_ref().expect("activity");
    assert!(activity.lines > 0 && activity.last_line.is_some() && !activity.quiet);
    let top = &signals.patterns[0];
    assert_eq!((top.count, top.baseline_count, top.is_new, top.ongoing), (73, 0, true, true));
    assert!(top.witness && top.first_seen.is_some() && top.onset.is_some() && top.example.is_some());
    assert!(!top.evidence.is_empty() && !top.template.is_empty());
    assert!((signals.window_minutes.unwrap() - 30.0).abs() < 0.1);
}

fn metrics_are_read(signals: &Signals) {
    let alarm = signals.alarm.as_ref().expect("the alarm");
    assert!(alarm.state == "ALARM" && alarm.state_since.is_some() && alarm.evidence.is_some());
    assert!(!alarm.metric_name().is_empty(), "{alarm:?}");
    let history = signals.history.as_ref().expect("its history");
    assert!(history.times_in_alarm >= 1 && !history.transitions.is_empty());
    assert!(history.transitions.iter().all(|t| t.at.is_some() && !t.from.is_empty() && !t.to.is_empty()));
    let traffic = signals.traffic.as_ref().expect("traffic");
    assert!(traffic.points.len() > 10 && traffic.ratio.is_some() && traffic.evidence.is_some());
    assert!(traffic.stats.as_ref().is_some_and(|s| s.avg.is_some() && s.count > 10));
    assert!(traffic.baseline.as_ref().is_some_and(|s| s.avg.is_some()) && !traffic.metric_name().is_empty());
    let errors = signals.error_metric.as_ref().expect("errors as a metric");
    assert!(errors.change == "up" && errors.onset.is_some(), "{errors:?}");
}

fn deployments_are_read(signals: &Signals) {
    assert!(signals.deployments_read);
    let newest = signals.deployments.iter().find(|d| d.own).expect("a deployment");
    let deployment = &newest.deployment;
    assert_eq!(deployment.status, DeploymentStatus::Succeeded);
    assert!(deployment.created_at.is_some() && deployment.completed_at.is_some());
    assert!(!deployment.revision.is_empty() && deployment.previous_revision.is_some());
    assert!(deployment.description.is_some() && deployment.evidence.is_some(), "{deployment:?}");
    let candidate = newest.candidate.as_ref().expect("a correlation");
    assert!(candidate.score > 0.0 && candidate.seconds_before_onset.is_some());
    assert!(candidate.started_at.is_some() && candidate.evidence.is_some());
    let changed = newest.changed.as_ref().expect("what it changed");
    assert!(changed.changes.iter().all(|c| !c.field.is_empty()) && !changed.changes.is_empty());
    let health = signals.health.as_ref().expect("health");
    assert!(health.running.is_some() && health.desired.is_some() && health.evidence.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_read_why_tasks_stopped() {
    let mut reader = Reader::new("memory-leak-oom").await;
    let scene = reader.scene();
    let args = json!({"service": scene.service, "window": true});
    let health = reader.read("deployments", "service_health", args).await;
    insta::assert_snapshot!("result_of_service_health_with_stopped_tasks", shape(&health));
    let signals = Signals::read(&scene, &reader.seen);
    assert!(signals.oom_kills() > 0, "{health:#}");
    let stopped = &signals.health.as_ref().unwrap().stopped_tasks;
    assert!(stopped.iter().all(|t| t.evidence.is_some() && t.stopped_at.is_some() && !t.reason.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn agents_read_why_executions_fail() {
    let mut reader = Reader::new("workflow-downstream-throttled").await;
    let scene = reader.scene();
    let of_service = json!({"service": scene.service, "window": true});
    for tool in ["list_executions", "explain_failure", "compare_executions"] {
        reader.read("workflows", tool, of_service.clone()).await;
    }
    let signals = Signals::read(&scene, &reader.seen);
    let executions = signals.executions.as_ref().expect("executions");
    assert!(executions.failing() && signals.workflow_fails() && executions.evidence.is_some());
    assert!(executions.window.failed > 10 && executions.window.started > executions.window.failed);
    assert_eq!((executions.baseline.failed, executions.name()), (0, "refund-posting"));
    assert_eq!(signals.onset, executions.first_failure_at);
    let failure = signals.workflow_failure.as_ref().expect("a failure");
    assert_eq!((failure.class.as_str(), failure.state.as_deref()), ("throttling", Some("Post to ledger")));
    assert_eq!(failure.called.as_ref().and_then(|called| called.name.as_deref()), Some("ledger-post"));
    assert!(failure.cause.is_some() && failure.state_input_bytes.is_some() && failure.evidence.is_some());
    let compared = signals.workflow_compared.as_ref().expect("a comparison");
    assert_eq!(
        (compared.same_definition, compared.diverges_at.as_deref()),
        (Some(true), Some("Post to ledger"))
    );
}
