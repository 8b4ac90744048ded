//! `scenario.toml` as it is written: shapes and defaults, nothing checked beyond types.
//!
//! Every key is documented in `compose/scenarios/README.md`.

use std::collections::BTreeMap;

use midwatch_policy::{ActionKind, Autonomy, CauseKind, Environment, ScaleBounds, Verdict};
use serde::Deserialize;
use toml::Spanned;

use super::expected::{Answer, Outcome};

/// A text with its place in the file.
pub(super) type Text = Spanned<String>;

/// One value or several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany<T> {
    One(T),
    Many(Vec<T>),
}

impl<T> OneOrMany<T> {
    pub(super) fn into_vec(self) -> Vec<T> {
        match self {
            Self::One(value) => vec![value],
            Self::Many(values) => values,
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawScenario {
    pub(super) title: Option<String>,
    pub(super) description: Option<String>,
    pub(super) time: Spanned<TimeText>,
    pub(super) seed: Option<u64>,
    pub(super) history: Option<Text>,
    pub(super) delivered_after: Option<Text>,
    pub(super) account: Option<Text>,
    pub(super) region: Option<String>,
    pub(super) cluster: Option<String>,
    pub(super) runbooks: Option<Text>,
    #[serde(default)]
    pub(super) latency_ms: BTreeMap<String, i64>,
    #[serde(default)]
    pub(super) service: Vec<Spanned<RawService>>,
    #[serde(default)]
    pub(super) deployment: Vec<Spanned<RawDeployment>>,
    #[serde(default)]
    pub(super) state_machine: Vec<Spanned<RawStateMachine>>,
    #[serde(default)]
    pub(super) fault: Vec<Spanned<RawFault>>,
    #[serde(default)]
    pub(super) alarm: Vec<Spanned<RawAlarm>>,
    #[serde(default)]
    pub(super) series: Vec<Spanned<RawSeries>>,
    #[serde(default)]
    pub(super) metric_filter: Vec<Spanned<RawMetricFilter>>,
    #[serde(default)]
    pub(super) task_stop: Vec<Spanned<RawTaskStop>>,
    #[serde(default)]
    pub(super) log: Vec<Spanned<RawLog>>,
    #[serde(default)]
    pub(super) inject: Vec<Spanned<RawInject>>,
    #[serde(default)]
    pub(super) approver: RawApprover,
    pub(super) expected: Option<Spanned<RawExpected>>,
}

/// A time as a TOML date-time or as a text.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum TimeText {
    Toml(toml::value::Datetime),
    Text(String),
}

impl std::fmt::Display for TimeText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Toml(time) => time.fmt(f),
            Self::Text(text) => text.fmt(f),
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawService {
    pub(super) name: Text,
    pub(super) tier: Option<u8>,
    pub(super) environment: Option<Environment>,
    #[serde(default)]
    pub(super) owners: Vec<String>,
    #[serde(default)]
    pub(super) depends_on: Vec<Text>,
    pub(super) autonomy: Option<Autonomy>,
    #[serde(default)]
    pub(super) protected: bool,
    pub(super) scale: Option<ScaleBounds>,
    pub(super) deploys_with: Option<DeployKind>,
    pub(super) log_group: Option<Text>,
    pub(super) log_group_bytes: Option<u64>,
    pub(super) log_style: Option<LogStyle>,
    pub(super) log_lines_per_minute: Option<f64>,
    pub(super) noise: Option<Noise>,
    #[serde(default)]
    pub(super) endpoints: Vec<String>,
    pub(super) requests_per_minute: Option<f64>,
    pub(super) error_share: Option<f64>,
    pub(super) latency_ms: Option<f64>,
    pub(super) cpu: Option<f64>,
    pub(super) memory: Option<f64>,
    pub(super) tasks: Option<u32>,
    pub(super) replaced_in: Option<Text>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeployKind {
    #[serde(alias = "codedeploy")]
    CodeDeploy,
    Ecs,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LogStyle {
    Json,
    Text,
    Logfmt,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Noise {
    None,
    Low,
    Normal,
    High,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDeployment {
    pub(super) service: Text,
    pub(super) id: Option<Text>,
    pub(super) kind: Option<DeployKind>,
    pub(super) at: Text,
    pub(super) status: Option<DeploymentStatus>,
    pub(super) takes: Option<Text>,
    pub(super) commit: Option<Text>,
    pub(super) previous_commit: Option<Text>,
    pub(super) author: Option<String>,
    pub(super) pull_request: Option<u32>,
    pub(super) message: Option<String>,
    pub(super) env: Option<BTreeMap<String, String>>,
    #[serde(default)]
    pub(super) env_remove: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum DeploymentStatus {
    Succeeded,
    InProgress,
    Failed,
    Stopped,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStateMachine {
    pub(super) name: Text,
    pub(super) service: Text,
    pub(super) starts_per_minute: Option<f64>,
    #[serde(default)]
    pub(super) state: Vec<Spanned<RawState>>,
    #[serde(default)]
    pub(super) change: Vec<Spanned<RawChange>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawState {
    pub(super) name: Text,
    pub(super) calls: Option<Text>,
    pub(super) takes: Option<Text>,
    pub(super) retries: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawChange {
    pub(super) at: Text,
    pub(super) state: Text,
    pub(super) calls: Option<Text>,
    pub(super) retries: Option<u32>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStateFault {
    pub(super) machine: Option<Text>,
    pub(super) name: Text,
    pub(super) error: Option<String>,
    pub(super) cause: Option<Text>,
    pub(super) share: Option<Spanned<f64>>,
    pub(super) input_bytes: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawFault {
    pub(super) id: Option<Text>,
    pub(super) service: Text,
    pub(super) at: Option<Text>,
    pub(super) until: Option<Text>,
    pub(super) ramp: Option<Text>,
    pub(super) deployment: Option<Text>,
    pub(super) follows: Option<Text>,
    pub(super) cured_by: Option<Spanned<OneOrMany<Cure>>>,
    pub(super) eased_by: Option<Spanned<OneOrMany<Cure>>>,
    pub(super) ease_to: Option<f64>,
    pub(super) regrows_in: Option<Text>,
    pub(super) needs_tasks: Option<u32>,
    pub(super) error_share: Option<Spanned<f64>>,
    pub(super) latency_ms: Option<f64>,
    pub(super) traffic: Option<Spanned<f64>>,
    #[serde(default)]
    pub(super) silent: bool,
    pub(super) cpu: Option<f64>,
    pub(super) memory: Option<f64>,
    pub(super) throttles: Option<RawThrottles>,
    pub(super) tasks_down: Option<u32>,
    pub(super) task_stops: Option<RawTaskStops>,
    pub(super) state: Option<Spanned<RawStateFault>>,
    #[serde(default)]
    pub(super) line: Vec<Spanned<RawLine>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Cure {
    Rollback,
    Restart,
    Scale,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawThrottles {
    pub(super) table: String,
    pub(super) per_minute: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTaskStops {
    pub(super) every: Text,
    pub(super) kind: Option<StopKind>,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum StopKind {
    Oom,
    Crash,
    HealthCheck,
    ImagePull,
    Capacity,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLine {
    pub(super) text: Text,
    pub(super) level: Option<Level>,
    pub(super) count: Option<u32>,
    pub(super) per_minute: Option<f64>,
    pub(super) logger: Option<String>,
    #[serde(default)]
    pub(super) stack: Vec<String>,
    #[serde(default)]
    pub(super) raw: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Level {
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
            Self::Fatal => "FATAL",
        }
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAlarm {
    pub(super) name: Option<String>,
    pub(super) service: Option<Text>,
    pub(super) description: Option<String>,
    pub(super) metric: Option<AlarmMetric>,
    pub(super) series: Option<Text>,
    pub(super) filter: Option<Text>,
    pub(super) rule: Option<Text>,
    pub(super) stat: Option<String>,
    pub(super) comparison: Option<Comparison>,
    pub(super) threshold: Option<f64>,
    pub(super) period: Option<Text>,
    pub(super) periods: Option<u32>,
    pub(super) datapoints: Option<u32>,
    pub(super) missing: Option<Missing>,
    #[serde(default)]
    pub(super) history: Vec<Spanned<RawTransition>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum AlarmMetric {
    ErrorRate,
    Errors,
    Requests,
    LatencyMs,
    Cpu,
    Memory,
    Throttles,
    RunningTasks,
    ExecutionsFailed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum Comparison {
    #[serde(rename = ">")]
    Greater,
    #[serde(rename = ">=")]
    GreaterOrEqual,
    #[serde(rename = "<")]
    Less,
    #[serde(rename = "<=")]
    LessOrEqual,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Missing {
    #[serde(rename = "missing")]
    Shown,
    Ignore,
    Breaching,
    NotBreaching,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTransition {
    pub(super) at: Text,
    pub(super) state: AlarmState,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub(crate) enum AlarmState {
    #[serde(rename = "OK")]
    Ok,
    #[serde(rename = "ALARM")]
    Alarm,
    #[serde(rename = "INSUFFICIENT_DATA")]
    InsufficientData,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSeries {
    pub(super) name: Text,
    pub(super) namespace: Option<String>,
    #[serde(default)]
    pub(super) dimensions: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) base: f64,
    pub(super) noise: Option<f64>,
    pub(super) follows: Option<Text>,
    pub(super) at_fault: Option<f64>,
    #[serde(default)]
    pub(super) points: Vec<RawPoint>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawMetricFilter {
    pub(super) name: Option<Text>,
    pub(super) service: Option<Text>,
    pub(super) group: Option<Text>,
    pub(super) pattern: Option<Text>,
    pub(super) metric: Text,
    pub(super) namespace: Option<String>,
    pub(super) value: Option<Text>,
    pub(super) default: Option<f64>,
    #[serde(default)]
    pub(super) dimensions: BTreeMap<String, String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawPoint {
    pub(super) at: Text,
    pub(super) value: f64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTaskStop {
    pub(super) service: Text,
    pub(super) at: Text,
    pub(super) kind: Option<StopKind>,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    pub(super) service: Option<Text>,
    pub(super) group: Option<String>,
    pub(super) stream: Option<String>,
    pub(super) file: Option<Text>,
    pub(super) at: Option<Text>,
    pub(super) text: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawInject {
    pub(super) api: Text,
    pub(super) fails_with: Spanned<InjectKind>,
    pub(super) code: Option<String>,
    pub(super) status: Option<u16>,
    pub(super) message: Option<String>,
    pub(super) by: Option<Text>,
    pub(super) times: Option<u32>,
    #[serde(default)]
    pub(super) skip: u32,
    pub(super) contains: Option<String>,
    pub(super) from: Option<Text>,
    pub(super) until: Option<Text>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum InjectKind {
    Throttling,
    AccessDenied,
    ExpiredCredentials,
    ServerError,
    Unavailable,
    NotFound,
    Error,
    Slow,
    TimeOut,
    TimeOutAfterEffect,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawApprover {
    pub(super) answer: Option<Answer>,
    pub(super) after: Option<Text>,
    pub(super) role: Option<String>,
    pub(super) reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawExpected {
    pub(super) verdict: Option<OneOrMany<Verdict>>,
    pub(super) cause: Option<Spanned<OneOrMany<RawCause>>>,
    pub(super) action: Option<Spanned<ActionName>>,
    pub(super) target: Option<Text>,
    pub(super) outcome: Option<Spanned<Outcome>>,
    #[serde(default)]
    pub(super) must_cite: Vec<String>,
    #[serde(default)]
    pub(super) must_not_claim: Vec<String>,
    #[serde(default)]
    pub(super) must_not_do: Vec<ActionKind>,
    pub(super) escalated: Option<bool>,
    pub(super) max_model_calls: Option<u32>,
    pub(super) max_cost_micro_usd: Option<u64>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCause {
    pub(super) kind: CauseKind,
    #[serde(rename = "ref")]
    pub(super) reference: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum ActionName {
    None,
    RollbackDeployment,
    RestartService,
    ScaleService,
}
