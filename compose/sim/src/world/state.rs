//! Everything the world knows at one moment, and how it moves to a later one.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::{
    logs::LogStore,
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

/// The state of the world.
#[derive(Debug, Default)]
pub(crate) struct State {
    now_ms: i64,
    requests: u64,
    account: String,
    region: String,
    pub(crate) injections: Vec<Injection>,
    pub(crate) latency_ms: BTreeMap<String, i64>,
    pub(crate) mutations: Vec<Mutation>,
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
    /// A world that stands at `now_ms`.
    pub(crate) fn new(now_ms: i64, account: &str, region: &str) -> Self {
        Self { now_ms, account: account.to_owned(), region: region.to_owned(), ..Self::default() }
    }

    /// Now, in Unix milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.now_ms
    }

    pub(crate) fn account(&self) -> &str {
        &self.account
    }

    pub(crate) fn region(&self) -> &str {
        &self.region
    }

    /// A fresh request id.
    pub(crate) fn next_request_id(&mut self) -> String {
        self.requests += 1;
        format!("00000000-0000-4000-8000-{:012x}", self.requests)
    }

    /// Lets everything up to `to_ms` happen. Never goes back.
    pub(crate) fn advance_to(&mut self, to_ms: i64) {
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
        self.latency_ms.get(name).copied().unwrap_or_else(|| usual_latency(name))
    }

    /// Has a call answered, and remembers it if it changes the world.
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

fn call_name(request: &Request) -> String {
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
