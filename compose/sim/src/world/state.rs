//! Everything the world knows at one moment, and how it moves to a later one.

use std::{collections::BTreeMap, sync::Arc};

use midwatch_policy::ActionKind;
use serde::Serialize;
use serde_json::Value;

use super::{
    alarm::{self, Alarm},
    codedeploy::CodeDeploy,
    counted,
    ecs::Ecs,
    fault::Faults,
    flows::{self, Flows},
    metrics::MetricStore,
    traffic::{self, TICK_MS},
};
use crate::{
    logs::LogStore,
    scenario::spec::Spec,
    time,
    wire::{Injection, Misbehaviour, Request, WireBody, WireError, bedrock, logs, retrieve},
};

/// One change that somebody made, or tried to make, through the APIs. The oracle of tests.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Mutation {
    /// When, in world time.
    pub at: jiff::Timestamp,
    /// `service:Operation`, such as `codedeploy:CreateDeployment`.
    pub api: String,
    /// The input of the call.
    pub input: Value,
    /// Whether it took effect.
    pub accepted: bool,
    /// The error code, where it was refused.
    pub error: Option<String>,
}

impl Mutation {
    /// Which kind of action the call is part of; `None` for a change that is none of ours.
    pub fn kind(&self) -> Option<ActionKind> {
        let has = |name: &str| self.input.get(name).is_some_and(|v| !v.is_null() && *v != Value::Bool(false));
        match self.api.as_str() {
            "codedeploy:CreateDeployment" | "codedeploy:StopDeployment" | "ecs:StopServiceDeployment" => {
                Some(ActionKind::RollbackDeployment)
            }
            "ecs:UpdateService" if has("taskDefinition") => Some(ActionKind::RollbackDeployment),
            "ecs:UpdateService" if has("desiredCount") => Some(ActionKind::ScaleService),
            "ecs:UpdateService" | "ecs:StopTask" => Some(ActionKind::RestartService),
            _ => None,
        }
    }
}

/// The state of the world.
#[derive(Debug)]
pub(crate) struct State {
    now_ms: i64,
    /// Start of the first tick that has not happened yet.
    next_tick_ms: i64,
    requests: u64,
    pub(crate) spec: Arc<Spec>,
    due: Vec<(i64, usize, usize)>,
    pub(crate) faults: Faults,
    pub(crate) metrics: MetricStore,
    pub(crate) alarms: Vec<Alarm>,
    pub(crate) ecs: Ecs,
    pub(crate) codedeploy: CodeDeploy,
    pub(crate) flows: Flows,
    pub(crate) injections: Vec<Injection>,
    pub(crate) mutations: Vec<Mutation>,
    /// Every operation that was called, such as `ecs:DescribeServices`.
    pub(crate) operations: BTreeMap<String, u64>,
    pub(crate) logs: LogStore,
    pub(crate) logs_api: logs::LogsApi,
    pub(crate) bedrock_api: bedrock::BedrockApi,
    pub(crate) retrieve_api: retrieve::RetrieveApi,
}

/// Operations that change the world.
const MUTATING: [&str; 13] = [
    "codedeploy:CreateDeployment",
    "codedeploy:StopDeployment",
    "codedeploy:ContinueDeployment",
    "ecs:UpdateService",
    "ecs:StopTask",
    "ecs:RunTask",
    "ecs:DeleteService",
    "ecs:RegisterTaskDefinition",
    "ecs:StopServiceDeployment",
    "cloudwatch:SetAlarmState",
    "cloudwatch:DisableAlarmActions",
    "cloudwatch:PutMetricAlarm",
    "cloudwatch:DeleteAlarms",
];

impl State {
    /// The world at the moment in which the alarm is delivered, with everything before it.
    pub(crate) fn begin(spec: &Arc<Spec>) -> Self {
        let mut logs = LogStore::default();
        for service in &spec.services {
            let created_ms = spec.begin_ms - 200 * 86_400_000;
            logs.create_group(&service.log_group, created_ms, service.log_group_bytes);
        }
        for (group, lines) in &spec.logs {
            logs.create_group(group, spec.begin_ms, None);
            logs.write(group, lines.iter().cloned());
        }
        for filter in &spec.metric_filters {
            if !logs.contains(&filter.group) {
                logs.create_group(&filter.group, spec.begin_ms, None);
            }
        }
        let mut state = Self {
            now_ms: spec.begin_ms,
            next_tick_ms: spec.begin_ms,
            requests: 0,
            due: traffic::schedule(spec),
            faults: Faults::new(spec.faults.clone()),
            metrics: MetricStore::default(),
            alarms: spec.alarms.iter().map(|a| Alarm::new(a.clone(), spec.begin_ms)).collect(),
            ecs: Ecs::new(spec),
            codedeploy: CodeDeploy::new(spec),
            flows: Flows::new(spec),
            injections: spec.injections.clone(),
            mutations: Vec::new(),
            operations: BTreeMap::new(),
            logs,
            logs_api: logs::LogsApi::new(spec.metric_filters.clone()),
            bedrock_api: bedrock::BedrockApi::default(),
            retrieve_api: retrieve::RetrieveApi::default(),
            spec: Arc::clone(spec),
        };
        state.advance_to(spec.start_ms);
        state
    }

    /// An empty world that stands at `now_ms`.
    #[cfg(test)]
    pub(crate) fn new(now_ms: i64, account: &str, region: &str) -> Self {
        Self::begin(&Arc::new(Spec::empty(now_ms, account, region)))
    }

    /// Now, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(crate) fn account(&self) -> &str {
        &self.spec.account
    }

    pub(crate) fn region(&self) -> &str {
        &self.spec.region
    }

    /// Counted lines that are due in a stretch of time: when, of which fault, which line.
    pub(crate) fn due_lines(&self, from_ms: i64, to_ms: i64) -> &[(i64, usize, usize)] {
        let start = self.due.partition_point(|(at, ..)| *at < from_ms);
        let end = self.due.partition_point(|(at, ..)| *at < to_ms);
        self.due.get(start..end).unwrap_or_default()
    }

    /// A fresh request id.
    pub(crate) fn next_request_id(&mut self) -> String {
        self.requests += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.requests)
    }

    /// Lets everything up to `to_ms` happen, in order. Never goes back.
    ///
    /// A tick is played as soon as it begins: its lines lie in the future until their own time.
    pub(crate) fn advance_to(&mut self, to_ms: i64) {
        let spec = Arc::clone(&self.spec);
        while self.next_tick_ms <= to_ms {
            let at_ms = self.next_tick_ms;
            self.now_ms = self.now_ms.max(at_ms);
            if at_ms >= spec.alarm_ms {
                alarm::fire(self, &spec);
            }
            // Ten seconds after each full minute its datapoints are judged.
            if at_ms.rem_euclid(time::MINUTE_MS) == TICK_MS {
                alarm::evaluate(self, &spec, at_ms);
            }
            traffic::tick(self, &spec, at_ms);
            flows::tick(self, &spec, at_ms);
            counted::tick(self, at_ms);
            self.next_tick_ms += TICK_MS;
        }
        if to_ms >= spec.alarm_ms {
            alarm::fire(self, &spec);
        }
        self.now_ms = self.now_ms.max(to_ms);
    }

    /// How long a call takes and what goes wrong with it.
    pub(crate) fn arrive(&mut self, request: &Request) -> (i64, Option<Misbehaviour>) {
        let name = call_name(request);
        let latency = self.latency(&name);
        let now_ms = self.now_ms;
        // Every injection counts the call; the first that strikes decides.
        let mut struck = None;
        for injection in &mut self.injections {
            if injection.strikes(request, now_ms) && struck.is_none() {
                struck = Some(injection.misbehaviour.clone());
            }
        }
        match &struck {
            Some(Misbehaviour::Slow { ms } | Misbehaviour::TimeOut { ms }) => (latency + ms, struck),
            _ => (latency, struck),
        }
    }

    /// How many milliseconds a call such as `logs:StartQuery` takes.
    pub(crate) fn latency(&self, name: &str) -> i64 {
        self.spec.latency_ms.get(name).copied().unwrap_or_else(|| usual_latency(name))
    }

    /// Has a call answered, and remembers that it was made.
    pub(crate) fn call(
        &mut self,
        request: &Request,
        handle: impl FnOnce(&mut Self, &Request) -> Result<WireBody, WireError>,
    ) -> Result<WireBody, WireError> {
        let result = handle(self, request);
        self.remember(request, result.as_ref().err().map(|e| e.code.clone()));
        result
    }

    /// Answers a call with an injected error.
    pub(crate) fn refuse(&mut self, request: &Request, error: WireError) -> Result<WireBody, WireError> {
        self.remember(request, Some(error.code.clone()));
        Err(error)
    }

    fn remember(&mut self, request: &Request, error: Option<String>) {
        let api = call_name(request);
        *self.operations.entry(api.clone()).or_default() += 1;
        if MUTATING.contains(&api.as_str()) {
            self.mutations.push(Mutation {
                at: time::timestamp(self.now_ms),
                api,
                input: request.input.clone(),
                accepted: error.is_none(),
                error,
            });
        }
    }
}

/// The name of a call, such as `ecs:UpdateService`.
pub(crate) fn call_name(request: &Request) -> String {
    format!("{}:{}", request.api.prefix(), request.op)
}

/// Milliseconds a call takes where the scenario does not say: the same for the same operation.
fn usual_latency(name: &str) -> i64 {
    match name {
        "bedrock:Converse" => 1800,
        "bedrock-agent:Retrieve" => 350,
        "logs:StartQuery" => 140,
        "codedeploy:CreateDeployment" | "codedeploy:StopDeployment" | "ecs:UpdateService" => 420,
        _ => 45 + name.bytes().map(i64::from).sum::<i64>() % 70,
    }
}
