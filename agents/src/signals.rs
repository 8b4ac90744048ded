//! What the evidence says, before anybody asks why: typed signals read from tool results.
//!
//! Pure: the same observations give the same signals. Causes are ranked from them in
//! [`causes`](crate::causes), both by the playbook and by the supervisor's decision.

mod read;
pub mod text;

use midwatch_policy::{ServiceName, Timestamp};

use crate::{
    task::Task,
    view::{
        Activity, Alarm, AlarmHistory, Candidate, ChangedFields, Deployment, Errors, Executions, Health,
        ListedAlarm, MetricWindow, Observation, RunbookHit, WorkflowComparison, WorkflowFailure,
    },
};
pub use text::ErrorClass;

/// What is known about the incident without reading anything.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scene {
    /// The service the alarm is about.
    pub service: Option<String>,
    /// The alarm's name.
    pub alarm: String,
    /// What the service calls.
    pub depends_on: Vec<String>,
    /// When the alarm fired.
    pub fired_at: Timestamp,
    /// Now.
    pub now: Timestamp,
}

impl From<&Task> for Scene {
    fn from(task: &Task) -> Self {
        Self {
            service: task.service.as_ref().map(ToString::to_string),
            alarm: task.alarm.name.clone(),
            depends_on: task.depends_on.iter().map(ServiceName::to_string).collect(),
            fired_at: task.alarm.at,
            now: task.to,
        }
    }
}

/// Everything the evidence says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Signals {
    /// What was known before.
    pub scene: Scene,
    /// When the trouble began, as well as can be told.
    pub onset: Option<Timestamp>,
    /// The alarm.
    pub alarm: Option<Alarm>,
    /// Its history.
    pub history: Option<AlarmHistory>,
    /// Errors of the service.
    pub errors: Option<Errors>,
    /// Length of the window they were counted in, which is the baseline's too.
    pub window_minutes: Option<f64>,
    /// Log activity of the service.
    pub activity: Option<Activity>,
    /// Error patterns of the service that are new or have grown, most lines first.
    pub patterns: Vec<PatternSignal>,
    /// Traffic of the service.
    pub traffic: Option<MetricWindow>,
    /// Errors of the service as a metric.
    pub error_metric: Option<MetricWindow>,
    /// Other metrics that were read.
    pub metrics: Vec<MetricWindow>,
    /// Live state of the service.
    pub health: Option<Health>,
    /// Deployments, newest first; of the service and of what it calls.
    pub deployments: Vec<DeploymentSignal>,
    /// Whether deployments were read at all.
    pub deployments_read: bool,
    /// What the service calls, and whoever its errors name.
    pub dependencies: Vec<DependencySignal>,
    /// Executions of its state machine.
    pub executions: Option<Executions>,
    /// Why one of them failed.
    pub workflow_failure: Option<WorkflowFailure>,
    /// That one beside a good one.
    pub workflow_compared: Option<WorkflowComparison>,
    /// Runbooks, best first.
    pub runbooks: Vec<RunbookSignal>,
    /// Where texts that try to instruct were found.
    pub screened: Vec<ScreenedSignal>,
}

/// What kind of line a pattern is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineKind {
    /// The program says that something failed.
    Error,
    /// The program warns.
    Warning,
    /// The access log shows a request that failed: that, and not why.
    Request,
}

/// An error pattern of the service.
#[derive(Debug, Clone, PartialEq)]
pub struct PatternSignal {
    /// Evidence id.
    pub evidence: String,
    /// The template.
    pub template: String,
    /// Template, exception and examples: what it speaks of.
    pub text: String,
    /// The kind of trouble it speaks of.
    pub class: ErrorClass,
    /// Whom it names.
    pub names: Vec<String>,
    /// The throttled resource it names.
    pub resource: Option<String>,
    /// Lines.
    pub count: u64,
    /// Lines in the baseline.
    pub baseline_count: u64,
    /// Whether it did not occur in the baseline.
    pub is_new: bool,
    /// Whether it still occurs.
    pub ongoing: bool,
    /// What kind of line it is.
    pub kind: LineKind,
    /// Whether it says anything about causes: not an access log line, not a warning beside errors,
    /// not a line that tries to instruct.
    pub witness: bool,
    /// First line.
    pub first_seen: Option<Timestamp>,
    /// When it rose.
    pub onset: Option<Timestamp>,
    /// Where its example lines are: log group, stream, time.
    pub example: Option<(String, String, Timestamp)>,
}

/// A deployment, from all that was read about it.
#[derive(Debug, Clone, PartialEq)]
pub struct DeploymentSignal {
    /// The list's entry.
    pub deployment: Deployment,
    /// Whether it is the service's own.
    pub own: bool,
    /// The correlation's entry.
    pub candidate: Option<Candidate>,
    /// What it changed.
    pub changed: Option<ChangedFields>,
}

/// Something the service calls.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DependencySignal {
    /// Name, as the catalog has it, or host.
    pub name: String,
    /// Whether the catalog says the service calls it.
    pub declared: bool,
    /// Its own errors.
    pub errors: Option<Errors>,
    /// Its worst new or grown pattern: evidence id, lines, onset.
    pub worst: Option<(String, u64, Option<Timestamp>)>,
    /// Its live state.
    pub health: Option<Health>,
    /// Its alarms.
    pub alarms: Vec<ListedAlarm>,
    /// Its traffic.
    pub traffic: Option<MetricWindow>,
    /// Its log activity.
    pub activity: Option<Activity>,
}

/// A runbook that may fit.
#[derive(Debug, Clone, PartialEq)]
pub struct RunbookSignal {
    /// The hit.
    pub hit: RunbookHit,
    /// The pattern that one of its signatures occurs in: evidence id and signature.
    pub matched: Option<(String, String)>,
}

/// A text that tries to instruct.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScreenedSignal {
    /// Evidence id.
    pub evidence: String,
    /// What the screening calls it.
    pub finding: String,
}

impl Signals {
    /// Reads the signals from what tools answered.
    pub fn read(scene: &Scene, observations: &[Observation]) -> Self {
        read::read(scene, observations)
    }

    /// Whether the logs of the service were read.
    pub fn logs_read(&self) -> bool {
        self.errors.is_some() || self.activity.is_some() || !self.patterns.is_empty()
    }

    /// Whether a metric of the service was read.
    pub fn metrics_read(&self) -> bool {
        self.traffic.is_some() || self.error_metric.is_some() || !self.metrics.is_empty()
    }

    /// Whether nothing was read that could name a cause: no logs, metrics, tasks or deployments,
    /// neither of the service nor of what it calls. The alarm itself names none.
    pub fn nothing_read(&self) -> bool {
        let of_service = self.logs_read()
            || self.metrics_read()
            || self.health.is_some()
            || self.deployments_read
            || self.executions.is_some()
            || self.workflow_failure.is_some()
            || !self.deployments.is_empty();
        !of_service && self.dependencies.iter().all(DependencySignal::is_blind)
    }

    /// Lines of one kind whose patterns are new or have grown.
    pub fn lines(&self, kind: LineKind) -> u64 {
        self.patterns.iter().filter(|p| p.kind == kind).map(|p| p.count).sum()
    }

    /// The share of lines that say something about causes whose pattern satisfies a test, 0 to 1.
    pub fn share(&self, test: impl Fn(&PatternSignal) -> bool) -> f64 {
        let witnesses = || self.patterns.iter().filter(|p| p.witness);
        let all: u64 = witnesses().map(|p| p.count).sum();
        if all == 0 {
            return 0.0;
        }
        let some: u64 = witnesses().filter(|p| test(p)).map(|p| p.count).sum();
        some as f64 / all as f64
    }

    /// Whether the alarm is in OK. Insufficient data is never OK.
    pub fn alarm_is_ok(&self) -> bool {
        self.alarm.as_ref().is_some_and(|alarm| alarm.state == "OK")
    }

    /// Whether the alarm goes in and out.
    pub fn flapping(&self) -> bool {
        self.history.as_ref().is_some_and(|history| history.flapping || history.times_in_alarm >= 3)
    }

    /// Whether errors are still being logged beyond the usual, as far as logs were read.
    pub fn errors_ongoing(&self) -> Option<bool> {
        let most = self.patterns.iter().map(|p| p.count).max().unwrap_or(0);
        // A stray line of a rare pattern does not keep an incident open.
        if self.patterns.iter().any(|p| p.ongoing && p.count.saturating_mul(4) >= most) {
            return Some(true);
        }
        let errors = self.errors.as_ref()?;
        Some(self.recent_excess(errors))
    }

    /// Whether the last minutes hold clearly more errors than as many minutes of the baseline.
    fn recent_excess(&self, errors: &Errors) -> bool {
        const MINUTES: i64 = 4;
        let recent = |at: Timestamp| self.scene.now.duration_since(at).as_secs() < MINUTES * 60;
        if errors.per_minute.is_empty() {
            // Without counts by minute the patterns have said it, if there are any.
            return self.patterns.is_empty()
                && errors.onset.is_some()
                && errors.last_seen.is_some_and(recent);
        }
        let lines: u64 = errors.per_minute.iter().filter(|m| recent(m.at)).map(|m| m.count).sum();
        let minutes = self.window_minutes.unwrap_or(30.0).max(1.0);
        let usual = errors.baseline_total as f64 / minutes * MINUTES as f64;
        lines as f64 > usual * 3.0 + 3.0
    }

    /// Whether more executions of its state machine fail than before, and still do.
    pub fn workflow_fails(&self) -> bool {
        const RECENT: i64 = 600;
        self.executions.as_ref().is_some_and(|executions| {
            let recent = |at: Timestamp| self.scene.now.duration_since(at).as_secs() < RECENT;
            executions.failing() && executions.last_failure_at.is_some_and(recent)
        })
    }

    /// Whether the service went silent: no lines, or no traffic, where there were some.
    pub fn silent(&self) -> bool {
        self.activity.as_ref().is_some_and(|a| a.quiet) || self.traffic_stopped()
    }

    /// Whether traffic stopped. A metric that never had data is no sign of anything.
    pub fn traffic_stopped(&self) -> bool {
        self.traffic.as_ref().is_some_and(|t| {
            let had = t.baseline.as_ref().is_some_and(|b| b.sum.or(b.avg).is_some_and(|v| v > 0.0));
            had && matches!(t.change.as_str(), "stopped" | "missing")
        })
    }

    /// Traffic of the window against the baseline.
    pub fn traffic_ratio(&self) -> Option<f64> {
        let traffic = self.traffic.as_ref()?;
        traffic.ratio.or_else(|| {
            let base = traffic.baseline.as_ref()?.avg?;
            (base > 0.0).then_some(traffic.stats.as_ref()?.avg? / base)
        })
    }

    /// Traffic of the last few periods against the baseline: a sign of life now, where the whole
    /// window may hold a dip that has passed, or may not yet show one that has begun.
    pub fn traffic_now(&self) -> Option<f64> {
        let traffic = self.traffic.as_ref()?;
        let last: Vec<f64> = traffic.points.iter().rev().take(3).map(|p| p.value).collect();
        let base = traffic.baseline.as_ref().and_then(|b| b.avg).filter(|b| *b > 0.0);
        let newest = traffic.points.last().map(|p| self.scene.now.duration_since(p.at).as_secs());
        if base.is_some() && newest.is_some_and(|seconds| seconds > 900) {
            // Points that stopped coming are no traffic, as far as anybody can tell.
            return Some(0.0);
        }
        match (last.len(), base) {
            (3, Some(base)) => Some(last.iter().sum::<f64>() / 3.0 / base),
            _ => self.traffic_ratio(),
        }
    }

    /// Whether the tasks are as they should be, where that can be known.
    pub fn healthy(&self) -> Option<bool> {
        self.health.as_ref().and_then(is_healthy)
    }

    /// How many tasks were killed for want of memory.
    pub fn oom_kills(&self) -> usize {
        self.health.as_ref().map_or(0, |h| h.stopped_tasks.iter().filter(|t| t.kind == "oom").count())
    }
}

impl DependencySignal {
    /// Whether nothing was read about it.
    pub fn is_blind(&self) -> bool {
        self.errors.is_none()
            && self.health.is_none()
            && self.alarms.is_empty()
            && self.traffic.is_none()
            && self.activity.is_none()
    }
}

/// Whether tasks are as they should be, where that can be known.
pub(crate) fn is_healthy(health: &Health) -> Option<bool> {
    match (health.running, health.desired) {
        (Some(running), Some(desired)) => {
            Some(running >= desired && desired > 0 && health.healthy != Some(false))
        }
        _ => health.healthy,
    }
}

#[cfg(test)]
mod tests;
