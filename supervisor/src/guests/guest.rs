//! A guest, from its arrival to its end: at most one connection, made again where it ended, and
//! given a rest where that does not help.
//!
//! INVARIANT: no call and no waiting takes longer than its deadline, whatever the guest does.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use midwatch_agents::{
    model::CallLimits,
    tools::{FailureKind, ToolCall, ToolClass, ToolDef, ToolFailure},
};
use midwatch_policy::Rules;
use rmcp::{ServiceError, model::CallToolRequestParams};
use serde_json::Value;
use tokio::{sync::watch, time::Instant};

use super::{
    answer,
    connect::Line,
    file::GuestConfig,
    gate::Standing,
    offer::{self, Offered},
};

/// A listing as old as this is looked at again before the next incident.
const FRESH: Duration = Duration::from_mins(1);
/// How long a listing may take.
const LISTING: Duration = Duration::from_secs(10);
/// Calls in a row without an answer after which it is left alone for a while.
const SILENT: u32 = 2;
/// Longest rest.
const REST: u64 = 120;

/// A server that somebody else wrote. Cheap to clone; all clones are one.
#[derive(Debug, Clone)]
pub struct Guest(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    config: GuestConfig,
    rules: Arc<Rules>,
    phase: watch::Sender<Phase>,
    known: Mutex<Known>,
}

#[derive(Debug, Clone)]
enum Phase {
    /// Nobody has asked for it.
    Away,
    /// It is on its way.
    Starting,
    /// It can be asked.
    Ready(Arc<Line>),
    /// It cannot, and is left alone until then.
    Down { why: String, until: Instant },
}

/// What is known of it, whether it is there or not.
#[derive(Debug, Default)]
struct Known {
    /// As it was when it was first seen, by its own names.
    tools: BTreeMap<String, Offered>,
    /// When it was looked at.
    looked: Option<Instant>,
    /// Whether it listed more than is looked at.
    cut: bool,
    /// Failures since its last answer.
    failures: u32,
    /// Of these, calls without an answer, in a row.
    silent: u32,
}

impl Guest {
    /// A guest of which nothing is asked yet.
    pub fn new(config: GuestConfig, rules: Arc<Rules>) -> Self {
        let (phase, _) = watch::channel(Phase::Away);
        Self(Arc::new(Inner { config, rules, phase, known: Mutex::default() }))
    }

    /// Its name.
    pub fn name(&self) -> &str {
        self.0.config.name.as_str()
    }

    /// What the operator's file says of it.
    pub fn config(&self) -> &GuestConfig {
        &self.0.config
    }

    /// Has it come, unless it is there, on its way, or left alone for a while.
    pub fn start(&self) {
        let begun = self.0.phase.send_if_modified(|phase| {
            let may = match phase {
                Phase::Away => true,
                Phase::Starting => false,
                Phase::Ready(line) => line.is_gone(),
                Phase::Down { until, .. } => Instant::now() >= *until,
            };
            if may {
                *phase = Phase::Starting;
            }
            may
        });
        if begun {
            let guest = self.clone();
            tokio::spawn(async move { guest.arrive().await });
        }
    }

    /// Waits until it is there or known not to be, as long as the file allows, and looks at what it
    /// offers where that is old.
    pub async fn settle(&self) {
        self.there(self.0.config.limits.start).await;
        let Phase::Ready(line) = self.phase() else { return };
        let old = self.known().looked.is_none_or(|at| at.elapsed() > FRESH);
        if old || line.has_changed() {
            self.look(&line, self.0.config.limits.start).await;
        }
    }

    /// The tools that models are offered.
    pub fn list(&self) -> Vec<ToolDef> {
        let known = self.known();
        let offered = known.tools.values().filter(|tool| tool.is_offered());
        let def = |spec| ToolDef { server: self.name().to_owned(), spec, class: ToolClass::Read };
        offered.filter_map(|tool| tool.spec.clone()).map(def).collect()
    }

    /// Everything it lists, as it was when it was first seen; and whether that is all.
    pub fn everything(&self) -> (Vec<Offered>, bool) {
        let known = self.known();
        (known.tools.values().cloned().collect(), !known.cut)
    }

    /// Why it cannot be asked, and which tools that the operator named are not offered.
    pub fn missing(&self) -> Vec<String> {
        let name = self.name();
        let mut all = Vec::new();
        match self.phase() {
            Phase::Down { why, .. } => {
                all.push(format!("third-party server `{name}` could not be asked: {why}"));
            }
            Phase::Away | Phase::Starting => {
                all.push(format!("third-party server `{name}` could not be asked: it is still starting"));
            }
            Phase::Ready(_) => {
                let known = self.known();
                let absent = self.0.config.reads.iter().filter(|tool| !known.tools.contains_key(*tool));
                all.extend(absent.map(|tool| format!("third-party server `{name}` does not offer `{tool}`")));
            }
        }
        let known = self.known();
        all.extend(known.tools.values().filter_map(|tool| {
            let why = tool.withheld.as_ref().filter(|_| matches!(tool.standing, Standing::Read { .. }))?;
            Some(format!("`{}` of the third-party server `{name}` is not used: {why}", tool.tool))
        }));
        all
    }

    /// Calls a tool that reads, by the name models know it by.
    pub async fn call(&self, call: &ToolCall, limits: &CallLimits) -> Result<Value, ToolFailure> {
        let timeout = limits.timeout.min(self.0.config.limits.timeout);
        let answer = tokio::select! {
            () = limits.cancel.cancelled() => {
                return Err(ToolFailure::new(FailureKind::Timeout, "the call was cancelled"));
            }
            answer = tokio::time::timeout(timeout, self.ask(call)) => answer,
        };
        answer.unwrap_or_else(|_| {
            let why = format!("no answer within {} s", timeout.as_secs());
            let silent = {
                let mut known = self.known();
                known.silent += 1;
                known.silent
            };
            if silent >= SILENT {
                self.down(&format!("{why}, {silent} times in a row"));
            }
            Err(self.unasked(FailureKind::Timeout, &why))
        })
    }

    async fn ask(&self, call: &ToolCall) -> Result<Value, ToolFailure> {
        let line = self.line().await?;
        if line.has_changed() {
            self.look(&line, LISTING).await;
        }
        let offered = self.offered(&call.tool)?;
        let params = CallToolRequestParams::new(offered.tool.clone()).with_arguments(call.args.clone());
        let answer = tokio::select! {
            biased;
            // Whatever it sends meanwhile is not waited for.
            () = line.meter.over() => Err(ServiceError::TransportClosed),
            answer = line.client.call_tool(params) => answer,
        };
        let result = match answer {
            Ok(result) => result,
            Err(ServiceError::McpError(error)) => {
                self.answered();
                return Err(answer::failed(&self.0.config.name, &error.message));
            }
            Err(error) => return Err(self.lost(&line, &error).await),
        };
        self.answered();
        answer::read(&self.0.config.name, &offered, result, self.0.config.limits.max_bytes)
    }

    /// The tool of that name, if it is offered. The agent loop shows no other; this is the second lock.
    fn offered(&self, name: &str) -> Result<Offered, ToolFailure> {
        let known = self.known();
        let tool = known.tools.values().find(|tool| tool.spec.as_ref().is_some_and(|spec| spec.name == name));
        match tool {
            Some(tool) if tool.is_offered() => Ok(tool.clone()),
            Some(Offered { withheld: Some(why), .. }) => {
                Err(ToolFailure::new(FailureKind::Refused, format!("`{name}` is not used: {why}")))
            }
            _ => {
                let why = format!(
                    "the third-party server `{}` has no tool `{name}` that may be called",
                    self.name()
                );
                Err(ToolFailure::new(FailureKind::Refused, why))
            }
        }
    }

    /// The connection, made anew where it ended.
    async fn line(&self) -> Result<Arc<Line>, ToolFailure> {
        self.there(LISTING).await;
        match self.phase() {
            Phase::Ready(line) => Ok(line),
            Phase::Down { why, .. } => Err(self.unasked(FailureKind::Unavailable, &why)),
            Phase::Away | Phase::Starting => {
                Err(self.unasked(FailureKind::Unavailable, "it is still starting"))
            }
        }
    }

    async fn there(&self, wait: Duration) {
        self.start();
        let mut phase = self.0.phase.subscribe();
        let here = phase.wait_for(|phase| !matches!(phase, Phase::Starting | Phase::Away));
        let _ = tokio::time::timeout(wait, here).await;
    }

    async fn arrive(&self) {
        match Line::connect(&self.0.config).await {
            Err(why) => self.down(&why),
            Ok(line) => {
                let line = Arc::new(line);
                if self.look(&line, LISTING).await {
                    tracing::info!(server = self.name(), "a third-party server is there");
                    self.0.phase.send_replace(Phase::Ready(line));
                }
            }
        }
    }

    /// Looks at what it lists; false where that cannot be had, and it is down.
    async fn look(&self, line: &Arc<Line>, wait: Duration) -> bool {
        let listed = tokio::select! {
            () = line.meter.over() => Ok(Err(ServiceError::TransportClosed)),
            listed = tokio::time::timeout(wait, line.tools()) => listed,
        };
        match listed {
            Ok(Ok((tools, whole))) => {
                let seen = offer::look(&self.0.config, &self.0.rules, tools);
                let mut known = self.known();
                known.cut = !whole;
                known.looked = Some(Instant::now());
                known.compare(seen);
                true
            }
            Ok(Err(ServiceError::McpError(error))) => {
                let said = midwatch_mcp::clean(&error.message, 200).text;
                self.down(&format!("it did not list its tools: {said}"));
                false
            }
            Ok(Err(error)) => {
                drop(self.lost(line, &error).await);
                false
            }
            Err(_) => {
                self.down(&format!("it did not list its tools within {} s", wait.as_secs()));
                false
            }
        }
    }

    fn answered(&self) {
        let mut known = self.known();
        (known.failures, known.silent) = (0, 0);
    }

    /// The connection ended under a call.
    async fn lost(&self, line: &Line, error: &ServiceError) -> ToolFailure {
        // Its exit and its last words come a moment after its end.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let why =
            if line.is_gone() { line.said() } else { midwatch_mcp::clean(&error.to_string(), 200).text };
        self.down(&why);
        self.unasked(FailureKind::Unavailable, &why)
    }

    /// It is left alone for a while: longer each time, until it answers.
    fn down(&self, why: &str) {
        let failures = {
            let mut known = self.known();
            known.failures = known.failures.saturating_add(1);
            known.silent = 0;
            known.failures
        };
        let rest = if failures == 1 { 0 } else { (1 << failures.min(7)).min(REST) };
        tracing::warn!(server = self.name(), why, rest, "a third-party server cannot be asked");
        let until = Instant::now() + Duration::from_secs(rest);
        self.0.phase.send_replace(Phase::Down { why: why.to_owned(), until });
    }

    fn unasked(&self, kind: FailureKind, why: &str) -> ToolFailure {
        ToolFailure::new(kind, format!("third-party server `{}` could not be asked: {why}", self.name()))
    }

    fn phase(&self) -> Phase {
        self.0.phase.borrow().clone()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// Keeps what was seen first. INVARIANT: what a tool's description says later is shown to nobody.
    fn compare(&mut self, seen: BTreeMap<String, Offered>) {
        for (name, tool) in &mut self.tools {
            let why = match seen.get(name) {
                Some(now) if now.digest == tool.digest => now.withheld.clone(),
                Some(_) => Some("the server changed what it says of it since it was first seen".to_owned()),
                None => Some("the server does not list it any more".to_owned()),
            };
            // Once changed, it stays away until Midwatch is started or told to reload.
            let changed = tool.withheld.as_deref().is_some_and(|why| why.contains("since it was first seen"));
            if !changed {
                tool.withheld = why;
            }
        }
        for (name, tool) in seen {
            self.tools.entry(name).or_insert(tool);
        }
    }
}
