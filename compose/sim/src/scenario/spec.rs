//! A scenario as the world plays it: every default filled in, every time absolute (Unix
//! milliseconds), every reference an index that is known to be right.

use std::collections::BTreeMap;

pub(crate) use super::raw::{
    AlarmMetric, AlarmState, Comparison, Cure, DeployKind, DeploymentStatus, Level, LogStyle, Missing, Noise,
    StopKind,
};
use super::rule::Rule;
use crate::{
    logs::Line,
    template::Template,
    wire::{Injection, logs::MetricFilter},
};

/// The whole world at its beginning.
#[derive(Debug, Clone)]
pub(crate) struct Spec {
    pub(crate) seed: u64,
    pub(crate) account: String,
    pub(crate) region: String,
    /// When the alarm fires.
    pub(crate) alarm_ms: i64,
    /// Where the world stands when it is started.
    pub(crate) start_ms: i64,
    /// From when on there is background.
    pub(crate) begin_ms: i64,
    pub(crate) services: Vec<ServiceSpec>,
    pub(crate) deployments: Vec<DeploymentSpec>,
    pub(crate) machines: Vec<MachineSpec>,
    pub(crate) faults: Vec<FaultSpec>,
    /// The first is the one that starts the incident.
    pub(crate) alarms: Vec<AlarmSpec>,
    pub(crate) series: Vec<SeriesSpec>,
    pub(crate) metric_filters: Vec<MetricFilter>,
    pub(crate) task_stops: Vec<TaskStopSpec>,
    /// Explicit log lines by group.
    pub(crate) logs: Vec<(String, Vec<Line>)>,
    pub(crate) injections: Vec<Injection>,
    pub(crate) latency_ms: BTreeMap<String, i64>,
}

impl Spec {
    /// The deployment that brought a fault, or the one that it follows.
    pub(crate) fn brought_by(&self, fault: &FaultSpec) -> Option<usize> {
        fault.deployment.or_else(|| {
            // A fault only follows one that stands above it, so this ends.
            self.faults.get(fault.follows?).and_then(|lead| self.brought_by(lead))
        })
    }

    /// A world in which there is nothing.
    #[cfg(test)]
    pub(crate) fn empty(now_ms: i64, account: &str, region: &str) -> Self {
        Self {
            seed: 0,
            account: account.to_owned(),
            region: region.to_owned(),
            alarm_ms: now_ms,
            start_ms: now_ms,
            begin_ms: now_ms,
            services: Vec::new(),
            deployments: Vec::new(),
            machines: Vec::new(),
            faults: Vec::new(),
            alarms: Vec::new(),
            series: Vec::new(),
            metric_filters: Vec::new(),
            task_stops: Vec::new(),
            logs: Vec::new(),
            injections: Vec::new(),
            latency_ms: BTreeMap::new(),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct ServiceSpec {
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) deploys_with: DeployKind,
    /// The `CodeDeploy` deployment group; the application is called as the service.
    pub(crate) deployment_group: String,
    pub(crate) log_group: String,
    pub(crate) log_group_bytes: Option<u64>,
    pub(crate) log_style: LogStyle,
    pub(crate) lines_per_minute: f64,
    pub(crate) noise: Noise,
    pub(crate) endpoints: Vec<String>,
    pub(crate) requests_per_minute: f64,
    pub(crate) error_share: f64,
    pub(crate) latency_ms: f64,
    pub(crate) cpu: f64,
    pub(crate) memory: f64,
    pub(crate) tasks: u32,
    /// How long replacing all tasks takes.
    pub(crate) replaced_in_ms: i64,
    /// `LoadBalancer` and `TargetGroup` dimensions.
    pub(crate) load_balancer: String,
    pub(crate) target_group: String,
}

#[derive(Debug, Clone)]
pub(crate) struct DeploymentSpec {
    pub(crate) service: usize,
    /// As the author calls it: the `CodeDeploy` id or the last part of the ARN.
    pub(crate) id: String,
    pub(crate) kind: DeployKind,
    pub(crate) at_ms: i64,
    pub(crate) takes_ms: i64,
    pub(crate) status: DeploymentStatus,
    pub(crate) commit: String,
    pub(crate) author: String,
    pub(crate) pull_request: u32,
    pub(crate) message: String,
    /// All environment variables of its task definition; absent where those of the one before stay.
    pub(crate) env: Option<BTreeMap<String, String>>,
    /// Those of the one before that it no longer has.
    pub(crate) env_remove: Vec<String>,
    /// Not written by the author: what ran before.
    pub(crate) routine: bool,
}

/// A Step Functions state machine. Its states run one after the other.
#[derive(Debug, Clone)]
pub(crate) struct MachineSpec {
    pub(crate) name: String,
    /// The service whose entry in the catalog names it.
    pub(crate) service: usize,
    pub(crate) starts_per_minute: f64,
    /// Definitions with the time from which each is in force, oldest first; never empty.
    pub(crate) revisions: Vec<(i64, Vec<StateSpec>)>,
}

impl MachineSpec {
    /// The definition that is in force at a time, and its number.
    pub(crate) fn revision(&self, at_ms: i64) -> (usize, &[StateSpec]) {
        let later = self.revisions.iter().rposition(|(from, _)| *from <= at_ms).unwrap_or(0);
        (later, self.revisions.get(later).map_or(&[], |(_, states)| states.as_slice()))
    }
}

#[derive(Debug, Clone)]
pub(crate) struct StateSpec {
    pub(crate) name: String,
    /// What it calls; nothing, where it only passes its input on.
    pub(crate) calls: Option<Called>,
    pub(crate) takes_ms: i64,
    /// Attempts after the first.
    pub(crate) retries: u32,
}

/// What a state calls, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Called {
    Lambda(String),
    /// A task of this family, until it ends.
    Ecs(String),
    Http(String),
    Table(String),
}

impl Called {
    pub(crate) fn name(&self) -> &str {
        let (Self::Lambda(name) | Self::Ecs(name) | Self::Http(name) | Self::Table(name)) = self;
        name
    }
}

/// How executions of a state machine fail.
#[derive(Debug, Clone)]
pub(crate) struct StateFaultSpec {
    pub(crate) machine: usize,
    pub(crate) state: String,
    pub(crate) error: String,
    pub(crate) cause: Template,
    pub(crate) share: f64,
    /// Size of the input of those that fail, where it is another than usual.
    pub(crate) input_bytes: Option<usize>,
}

#[derive(Debug, Clone)]
pub(crate) struct FaultSpec {
    pub(crate) service: usize,
    pub(crate) at_ms: i64,
    pub(crate) until_ms: Option<i64>,
    pub(crate) ramp_ms: i64,
    /// The deployment that brought it.
    pub(crate) deployment: Option<usize>,
    /// The fault whose cure cures this one too.
    pub(crate) follows: Option<usize>,
    pub(crate) cured_by: Vec<Cure>,
    pub(crate) eased_by: Vec<Cure>,
    pub(crate) ease_to: f64,
    pub(crate) regrows_ms: i64,
    pub(crate) needs_tasks: u32,
    pub(crate) error_share: f64,
    pub(crate) latency_ms: f64,
    pub(crate) traffic: f64,
    /// No background lines while it lasts.
    pub(crate) silent: bool,
    pub(crate) cpu: Option<f64>,
    pub(crate) memory: Option<f64>,
    pub(crate) throttles: Option<(String, f64)>,
    pub(crate) tasks_down: u32,
    pub(crate) task_stops: Option<(i64, StopKind, Option<String>)>,
    pub(crate) state: Option<StateFaultSpec>,
    pub(crate) lines: Vec<LineSpec>,
}

#[derive(Debug, Clone)]
pub(crate) struct LineSpec {
    pub(crate) text: Template,
    pub(crate) level: Level,
    pub(crate) rate: Rate,
    pub(crate) logger: Option<String>,
    pub(crate) stack: Vec<Template>,
    /// Written as it is, without level and time around it.
    pub(crate) raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Rate {
    /// So many a minute at full strength.
    PerMinute(f64),
    /// Exactly so many until the alarm, later at the same rate.
    Count(u32),
}

#[derive(Debug, Clone)]
pub(crate) struct AlarmSpec {
    pub(crate) name: String,
    pub(crate) service: usize,
    pub(crate) description: String,
    pub(crate) source: AlarmSource,
    pub(crate) stat: String,
    pub(crate) comparison: Comparison,
    pub(crate) threshold: f64,
    pub(crate) period_s: i64,
    pub(crate) periods: usize,
    pub(crate) datapoints: usize,
    pub(crate) missing: Missing,
    pub(crate) history: Vec<(i64, AlarmState)>,
}

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum AlarmSource {
    Metric(AlarmMetric),
    Series(usize),
    /// The metric of a metric filter.
    Filter(usize),
    /// Other alarms: a composite alarm. Its rule as it is written, and parsed.
    Rule(String, Rule),
}

impl AlarmSpec {
    /// The rule of a composite alarm.
    pub(crate) const fn rule(&self) -> Option<&Rule> {
        match &self.source {
            AlarmSource::Rule(_, rule) => Some(rule),
            _ => None,
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct SeriesSpec {
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) dimensions: BTreeMap<String, String>,
    pub(crate) base: f64,
    pub(crate) noise: f64,
    pub(crate) follows: Option<(usize, f64)>,
    /// From each time on, that value instead of the base.
    pub(crate) points: Vec<(i64, f64)>,
}

#[derive(Debug, Clone)]
pub(crate) struct TaskStopSpec {
    pub(crate) service: usize,
    pub(crate) at_ms: i64,
    pub(crate) kind: StopKind,
    pub(crate) reason: Option<String>,
}
