//! Hand-made incidents for tests: results as the servers answer them, admitted to a book.

use midwatch_policy::{ServiceName, Timestamp};
use serde_json::{Map, Value, json};

use crate::{
    evidence::{EvidenceBook, Origin},
    json::Json,
    sweep::{Sweep, SweepPart, SweepTag},
    task::{AlarmFacts, Task, TaskTag},
};

pub(crate) const SERVICE: &str = "basket";

/// `HH:MM` or `HH:MM:SS` of the night in question.
pub(crate) fn at(clock: &str) -> Timestamp {
    let clock = if clock.len() == 5 { format!("{clock}:00") } else { clock.to_owned() };
    format!("2026-03-09T{clock}Z").parse().unwrap()
}

/// An incident under construction: an alarm at 02:10, looked at from 02:12.
pub(crate) struct Incident {
    parts: Vec<(&'static str, String, Value)>,
    depends_on: Vec<&'static str>,
    pub(crate) book: EvidenceBook,
}

impl Incident {
    pub(crate) fn new() -> Self {
        Self { parts: Vec::new(), depends_on: vec!["prices-api", "basket-store"], book: EvidenceBook::new() }
    }

    pub(crate) fn part(mut self, tool: &'static str, service: &str, result: Value) -> Self {
        self.parts.push((tool, service.to_owned(), result));
        self
    }

    pub(crate) fn alarm(self, state: &str, since: &str) -> Self {
        let result = json!({"ref": "alarm:a", "name": "basket-5xx", "state": state, "state_since": at(since),
            "reason": "Threshold Crossed", "metric": {"namespace": "AWS/ApplicationELB", "name": "HTTPCode_Target_5XX_Count"},
            "evaluation_periods": 3});
        self.part("get_alarm", SERVICE, result)
    }

    pub(crate) fn history(self, times: u32, flapping: bool) -> Self {
        let result = json!({"ref": "history:a", "alarm_name": "basket-5xx", "transitions": [], "times_in_alarm": times, "flapping": flapping});
        self.part("alarm_history", SERVICE, result)
    }

    /// Executions of the service's state machine, and why the newest failed: class, state, error, callee.
    pub(crate) fn workflow(
        self,
        failed: u64,
        before: u64,
        (class, state, error, callee): (&str, &str, &str, &str),
    ) -> Self {
        let change = if before == 0 { "new" } else { "steady" };
        let list = json!({"ref": "executions:sums", "state_machine": "arn:aws:states:us-east-1:1:stateMachine:sums",
            "window": {"started": 60, "failed": failed, "timed_out": 0}, "baseline": {"started": 61, "failed": before, "timed_out": 0},
            "change": change, "first_failure_at": at("02:05"), "last_failure_at": at("02:11:30"), "executions": []});
        let why = json!({"ref": "failure:x", "execution": "x", "state": state, "error": error, "class": class,
            "cause": "it said no", "called": {"kind": "http", "name": callee}, "attempts": 1});
        self.part("list_executions", SERVICE, list).part("explain_failure", SERVICE, why)
    }

    /// Patterns of (template, count, baseline, first, last, status).
    pub(crate) fn errors(self, service: &str, patterns: &[(&str, u64, u64, &str, &str)]) -> Self {
        let total: u64 = patterns.iter().map(|p| p.1).sum();
        let baseline: u64 = patterns.iter().map(|p| p.2).sum();
        let list: Vec<Value> = patterns
            .iter()
            .enumerate()
            .map(|(n, (template, count, before, first, last))| {
                let change = if *before == 0 { "new" } else if *count > before * 2 { "grew" } else { "steady" };
                let ongoing = at("02:12").duration_since(at(last)).as_secs() < 180;
                json!({"ref": format!("pat:{service}:{n}"), "template": template, "level": "ERROR", "count": count,
                    "baseline_count": before, "change": change, "first_seen": at(first), "last_seen": at(last),
                    "onset": at(first), "status": if ongoing { "ongoing" } else { "ceased" },
                    "log_group": format!("/ecs/{service}"),
                    "examples": [{"ref": format!("log:{service}/{n}"), "timestamp": at(first), "log_stream": "s/1", "message": template}],
                    "screened": []})
            })
            .collect();
        let moving = |f: &dyn Fn(&Value) -> Value| {
            list.iter()
                .filter(|p| p["change"] != "steady")
                .map(f)
                .min_by_key(ToString::to_string)
                .unwrap_or(Value::Null)
        };
        let last = patterns.iter().map(|p| at(p.4)).max();
        let result = json!({"from": at("01:42"), "to": at("02:12"),
            "errors": {"ref": format!("errors:{service}"), "total": total, "baseline_total": baseline, "onset": moving(&|p| p["onset"].clone()), "last_seen": last},
            "activity": {"ref": format!("activity:{service}"), "lines": 4000 + total, "baseline_lines": 4100, "last_line": at("02:11:58"), "quiet": false},
            "patterns": list, "notes": []});
        self.part("error_patterns", service, result)
    }

    pub(crate) fn quiet(self, last_line: &str) -> Self {
        let result = json!({"errors": {"ref": "errors:q", "total": 0, "baseline_total": 2},
            "activity": {"ref": "activity:q", "lines": 120, "baseline_lines": 4100, "last_line": at(last_line), "quiet": true},
            "patterns": []});
        self.part("error_patterns", SERVICE, result)
    }

    pub(crate) fn traffic(self, ratio: f64, change: &str) -> Self {
        let result = json!({"ref": "metric:traffic", "metric": {"name": "RequestCount"}, "stats": {"avg": 500.0 * ratio, "count": 30},
            "baseline": {"avg": 500.0, "sum": 15000.0, "count": 30}, "ratio": ratio, "change": change});
        self.part("metric_window+traffic", SERVICE, result)
    }

    pub(crate) fn tasks(self, service: &str, running: u32, desired: u32, stopped: &[(&str, &str)]) -> Self {
        let stopped: Vec<Value> = stopped
            .iter()
            .enumerate()
            .map(|(n, (kind, when))| json!({"ref": format!("task:{n}"), "task_id": format!("t{n}"), "stopped_at": at(when), "reason": "r", "kind": kind}))
            .collect();
        let result = json!({"ref": format!("health:{service}"), "service": service, "known": true, "desired": desired, "running": running,
            "pending": 0, "healthy": running >= desired, "deployments_in_progress": 0, "stopped_tasks": stopped, "restarts": stopped.len(), "events": []});
        self.part("service_health", service, result)
    }

    /// Deployments of (id, started, completed, status); correlated with `onset`.
    pub(crate) fn deployments(self, onset: &str, list: &[(&str, &str, Option<&str>, &str)]) -> Self {
        let deployments: Vec<Value> = list
            .iter()
            .map(|(id, started, completed, status)| {
                json!({"ref": format!("deploy:{id}"), "kind": "codedeploy", "deployment_id": id, "service": SERVICE, "status": status,
                "created_at": at(started), "completed_at": completed.map(at), "revision": "r2", "previous_revision": "r1"})
            })
            .collect();
        let candidates: Vec<Value> = list
            .iter()
            .map(|(id, started, _, status)| {
                let before = at(onset).duration_since(at(started)).as_secs();
                json!({"ref": format!("cand:{id}"), "deployment_id": id, "service": SERVICE, "status": status, "started_at": at(started),
                "seconds_before_onset": before, "score": if before >= 0 { 0.8 } else { 0.0 }, "reasons": []})
            })
            .collect();
        self.part("list_deployments", SERVICE, json!({"deployments": deployments, "notes": []})).part(
            "correlate",
            SERVICE,
            json!({"onset": at(onset), "candidates": candidates}),
        )
    }

    pub(crate) fn changed(self, id: &str, field: &str, from: &str, to: &str) -> Self {
        let result = json!({"ref": format!("change:{id}"), "deployment_id": id, "changes": [{"field": field, "from": from, "to": to}]});
        self.part("what_changed", SERVICE, result)
    }

    pub(crate) fn runbook(self, id: &str, signature: &str, cause: &str, action: Option<&str>) -> Self {
        let result = json!({"hits": [{"ref": format!("runbook:{id}"), "runbook_id": id, "title": "T", "headings": [], "score": 7.5, "excerpt": format!("… {signature} …"),
            "contract": {"id": id, "title": "T", "services": [], "signatures": [signature], "cause": cause, "action": action}, "source": "local"}]});
        self.part("search_runbooks", SERVICE, result)
    }

    pub(crate) fn alarms_of(self, service: &str, state: &str, since: &str) -> Self {
        let result = json!({"alarms": [{"ref": format!("alarm:{service}"), "name": format!("{service}-errors"), "state": state, "state_since": at(since), "reason": "r"}]});
        self.part("list_alarms", service, result)
    }

    pub(crate) fn task(&self, specialist: &str) -> Task {
        Task {
            kind: TaskTag::Tag,
            incident: "inc-1".parse().unwrap(),
            specialist: specialist.to_owned(),
            alarm: AlarmFacts {
                name: "basket-5xx".into(),
                state: "ALARM".into(),
                at: at("02:10"),
                reason: None,
                description: None,
            },
            service: Some(SERVICE.parse().unwrap()),
            depends_on: self.depends_on.iter().map(|d| ServiceName::parse(*d).unwrap()).collect(),
            known_dependencies: vec!["prices-api".parse().unwrap()],
            from: at("01:42"),
            to: at("02:12"),
            question: "What is wrong?".into(),
        }
    }

    pub(crate) fn sweep(&self) -> Sweep {
        let parts = self
            .parts
            .iter()
            .map(|(tool, service, result)| {
                let (tool, role) =
                    tool.split_once('+').map_or((*tool, None), |(tool, role)| (tool, Some(role)));
                let mut args = Map::new();
                args.insert("service".into(), json!(service));
                if let Some(role) = role {
                    args.insert("role".into(), json!(role));
                }
                let origin =
                    Origin { server: "s".into(), tool: tool.into(), args: args.clone(), at: at("02:12") };
                let result = Json::of(&self.book.admit(&origin, result).result);
                SweepPart {
                    server: "s".into(),
                    tool: tool.into(),
                    service: Some(service.parse().unwrap()),
                    args,
                    result,
                }
            })
            .collect();
        Sweep {
            kind: SweepTag::Tag,
            incident: "inc-1".parse().unwrap(),
            at: at("02:12"),
            parts,
            missing: Vec::new(),
        }
    }
}
