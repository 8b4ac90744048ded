//! The tools of an incident: MCP clients of the servers, classed by our own table.
//!
//! INVARIANT: what a tool does to the world is read from `CLASSES` and nowhere else. A server's
//! own hints are not looked at; a tool that is not in the table is `Unknown` and is never shown
//! to an agent. Every call has a deadline and ends with it: the server is told. So many calls are under way at each
//! server at once; more wait their turn before their time begins, in the order they came: a burst of incidents
//! would otherwise hold the states of ten thousand calls that all give up together.
//!
//! A server that runs elsewhere may be away when it is attached: it is looked for until it is there.
//! Servers that somebody else wrote are [guests](crate::guests), classed by the operator's file and policy.

mod elsewhere;
mod lent;

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock, Weak},
    time::Duration,
};

use futures::future::BoxFuture;
use midwatch_agents::{
    json::Json,
    model::{CallLimits, ToolSpec},
    tools::{FailureKind, ToolCall, ToolClass, ToolDef, ToolFailure, Tools},
};
use midwatch_mcp::{Client, Remote, Spent, ToolError, Turns};
use rmcp::{
    ServiceError,
    model::{CallToolRequestParams, CallToolResult, Tool},
};
use serde_json::Value;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use elsewhere::{Again, Elsewhere, Lost};

use crate::guests::{GATED_BY_THE_SUPERVISOR, Guest};

/// What our own servers' tools do to the world.
const CLASSES: &[(&str, &str, ToolClass)] = &[
    ("logs", "error_patterns", ToolClass::Read),
    ("logs", "log_query", ToolClass::Read),
    ("logs", "log_context", ToolClass::Read),
    ("metrics", "get_alarm", ToolClass::Read),
    ("metrics", "alarm_history", ToolClass::Read),
    ("metrics", "metric_window", ToolClass::Read),
    ("metrics", "list_alarms", ToolClass::Read),
    ("deployments", "list_deployments", ToolClass::Read),
    ("deployments", "what_changed", ToolClass::Read),
    ("deployments", "correlate", ToolClass::Read),
    ("deployments", "service_health", ToolClass::Read),
    ("workflows", "list_executions", ToolClass::Read),
    ("workflows", "explain_failure", ToolClass::Read),
    ("workflows", "compare_executions", ToolClass::Read),
    ("runbooks", "search_runbooks", ToolClass::Read),
    ("runbooks", "get_runbook", ToolClass::Read),
    ("remediation", "plan", ToolClass::Read),
    ("remediation", "rollback_deployment", ToolClass::Mutate),
    ("remediation", "restart_service", ToolClass::Mutate),
    ("remediation", "scale_service", ToolClass::Mutate),
];

/// What a tool does to the world, by our own table.
pub fn class_of(server: &str, tool: &str) -> ToolClass {
    CLASSES.iter().find(|(s, t, _)| *s == server && *t == tool).map_or(ToolClass::Unknown, |(_, _, c)| *c)
}

/// Every tool of our own servers: server, tool and class.
pub fn known() -> impl Iterator<Item = (&'static str, &'static str, ToolClass)> {
    CLASSES.iter().copied()
}

/// How long a server may take to list its tools.
const LISTING: Duration = Duration::from_secs(15);
/// How often a server is looked for that was not there.
const LOOK: Duration = Duration::from_secs(3);

/// Reads under way at one server: some seconds of work for two cores, so that those under way end in time.
const UNDER_WAY: usize = 64;
/// Longest wait for a turn: a server whose calls all hang keeps others waiting for it no longer.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The servers of an incident.
#[derive(Debug, Default)]
pub struct Toolbox {
    servers: BTreeMap<&'static str, Server>,
    /// How long calls waited for a turn, by server.
    turns: Turns,
    offered: Arc<RwLock<Offered>>,
    guests: Vec<Guest>,
    patience: Patience,
    /// Servers elsewhere that were not asked once yet.
    asking: TaskTracker,
}

/// How many times as long as its caller says a call may take.
#[derive(Debug, Clone, Copy)]
struct Patience(u32);

impl Default for Patience {
    fn default() -> Self {
        Self(1)
    }
}

/// A server of ours.
#[derive(Debug)]
struct Server {
    line: Line,
    room: Semaphore,
}

impl Server {
    const fn new(line: Line) -> Self {
        Self { line, room: Semaphore::const_new(UNDER_WAY) }
    }
}

/// A place among the reads that are under way at a server. Dropping it lets the next one go.
#[derive(Debug)]
pub(crate) struct Turn<'a>(#[expect(dead_code, reason = "held for its drop")] Option<SemaphorePermit<'a>>);

/// Where the calls of a server go.
#[derive(Debug)]
enum Line {
    Here(Client),
    There(Arc<Elsewhere>),
}

/// What the servers offer, and which are not there, and why. INVARIANT: never locked across an await.
#[derive(Debug, Default)]
struct Offered {
    tools: Vec<ToolDef>,
    missing: BTreeMap<String, String>,
}

impl Offered {
    fn of(&mut self, server: &'static str, listed: Result<Vec<Tool>, String>) -> bool {
        match listed {
            Ok(list) => {
                self.missing.remove(server);
                self.tools.extend(list.into_iter().map(|tool| ToolDef {
                    server: server.to_owned(),
                    class: class_of(server, &tool.name),
                    spec: ToolSpec {
                        name: tool.name.to_string(),
                        description: tool.description.map(|d| d.to_string()).unwrap_or_default(),
                        input_schema: Json::of(&Value::Object((*tool.input_schema).clone())),
                    },
                }));
                true
            }
            Err(why) => {
                self.missing
                    .insert(server.to_owned(), format!("server `{server}` did not list its tools: {why}"));
                false
            }
        }
    }
}

impl Toolbox {
    /// A toolbox without tools.
    pub fn new() -> Self {
        Self::default()
    }

    /// Waits so many times as long for an answer: in a world whose latencies pass on a clock of its own, real
    /// time is what the machine needs to compute, and no sign that a server hangs.
    #[must_use]
    pub const fn patient(mut self, times: u32) -> Self {
        self.patience = Patience(times);
        self
    }

    /// Adds a connected server. One that cannot list its tools is named in `missing`.
    pub async fn attach(&mut self, server: &'static str, client: Client) {
        let listed = tokio::time::timeout(LISTING, client.list_all_tools()).await;
        let listed = match listed {
            Ok(listed) => listed.map_err(|error| error.to_string()),
            Err(_) => Err("no answer in time".to_owned()),
        };
        if write(&self.offered, |offered| offered.of(server, listed)) {
            self.servers.insert(server, Server::new(Line::Here(client)));
        }
    }

    /// Adds a server that runs elsewhere, without waiting for it. While it cannot be reached it is named in
    /// `missing`, and looked for until it is there or nobody has this toolbox any more.
    pub fn attach_elsewhere(&mut self, server: &'static str, remote: Remote) {
        let there = Arc::new(Elsewhere::new(remote));
        let why = format!("server `{server}` has not answered yet: it is being connected to");
        write(&self.offered, |offered| drop(offered.missing.insert(server.to_owned(), why)));
        let (offered, first) = (Arc::downgrade(&self.offered), self.asking.token());
        self.servers.insert(server, Server::new(Line::There(Arc::clone(&there))));
        tokio::spawn(async move {
            let mut found = look(server, &there, &offered).await;
            if !found {
                tracing::warn!(server, "a server is not there; it is looked for");
            }
            drop(first);
            while !found && offered.strong_count() > 0 {
                tokio::time::sleep(LOOK).await;
                found = look(server, &there, &offered).await;
                if found {
                    tracing::info!(server, "a server is there again");
                }
            }
        });
    }

    /// Waits until every server elsewhere has listed its tools or been found away: at most as long as one of them may
    /// take, however many there are.
    pub async fn settled(&self) {
        self.asking.close();
        self.asking.wait().await;
    }

    /// Notes a server that could not be started.
    pub fn without(&mut self, server: &str, why: &str) {
        let why = format!("server `{server}` could not be started: {why}");
        write(&self.offered, |offered| drop(offered.missing.insert(server.to_owned(), why)));
    }

    /// Servers that are not there, and why.
    pub fn missing(&self) -> Vec<String> {
        self.offered.read().unwrap_or_else(PoisonError::into_inner).missing.values().cloned().collect()
    }

    /// Counts there how long reads waited for a turn at a server.
    #[must_use]
    pub fn counting(mut self, turns: Turns) -> Self {
        self.turns = turns;
        self
    }

    /// Waits for a turn at a server. Third-party servers have bounds of their own.
    pub(crate) async fn turn(
        &self,
        server: &str,
        cancel: &CancellationToken,
    ) -> Result<Turn<'_>, ToolFailure> {
        let Some(Server { room, .. }) = self.servers.get(server) else { return Ok(Turn(None)) };
        if let Ok(free) = room.try_acquire() {
            return Ok(Turn(Some(free)));
        }
        let begun = tokio::time::Instant::now();
        let had = tokio::select! {
            () = cancel.cancelled() => Err("the call was cancelled while it waited for its turn".to_owned()),
            had = tokio::time::timeout(LONGEST_WAIT, room.acquire()) => match had {
                Ok(Ok(free)) => Ok(Turn(Some(free))),
                Ok(Err(closed)) => Err(closed.to_string()),
                Err(_) => Err(format!("no turn at server `{server}` within {} s", LONGEST_WAIT.as_secs())),
            },
        };
        self.turns.waited(server, begun.elapsed());
        had.map_err(|why| ToolFailure::new(FailureKind::Timeout, why))
    }

    /// Calls a reading tool that may cost as much as is allowed, and says what it cost where that is
    /// known.
    pub(crate) async fn read(
        &self,
        call: &ToolCall,
        limits: &CallLimits,
        allowance: Option<Spent>,
    ) -> (Result<Value, ToolFailure>, Option<Spent>) {
        if let Some(guest) = self.guest(&call.server) {
            // It offers models nothing but reads, and is asked for nothing that costs.
            return (guest.call(call, limits).await, Some(Spent::default()));
        }
        // The agent loop shows no such tool; this is the second lock.
        if class_of(&call.server, &call.tool) != ToolClass::Read {
            return (Err(ToolFailure::new(FailureKind::Refused, "agents only read")), Some(Spent::default()));
        }
        // What costs is made again by whoever pays for it.
        let costs = allowance.is_some_and(|allowance| allowance != Spent::default());
        let again = if costs { Again::Never } else { Again::Once };
        self.call_tool(call, again, limits, allowance).await
    }

    /// Calls a tool.
    async fn call_tool(
        &self,
        call: &ToolCall,
        again: Again,
        limits: &CallLimits,
        allowance: Option<Spent>,
    ) -> (Result<Value, ToolFailure>, Option<Spent>) {
        let Some(Server { line, .. }) = self.servers.get(call.server.as_str()) else {
            let why = format!("server `{}` is not running", call.server);
            return (Err(ToolFailure::new(FailureKind::Unavailable, why)), Some(Spent::default()));
        };
        let mut params = CallToolRequestParams::new(call.tool.clone()).with_arguments(call.args.clone());
        if let Some(allowance) = allowance {
            allowance.allow(&mut params);
        }
        let answer = async {
            match line {
                Line::Here(client) => client.call_tool(params).await.map_err(Lost::from),
                Line::There(there) => there.call(params, again).await,
            }
        };
        // Dropping the future tells the server to stop.
        tokio::select! {
            () = limits.cancel.cancelled() => {
                (Err(ToolFailure::new(FailureKind::Timeout, "the call was cancelled")), None)
            }
            answer = tokio::time::timeout(limits.timeout.saturating_mul(self.patience.0), answer) => {
                answer.map_or_else(
                    |_| {
                        let why = format!("no answer within {} s", limits.timeout.as_secs());
                        (Err(ToolFailure::new(FailureKind::Timeout, why)), None)
                    },
                    read,
                )
            }
        }
    }
}

/// Asks a server for its tools; says whether there is nothing more to look for.
async fn look(server: &'static str, there: &Elsewhere, offered: &Weak<RwLock<Offered>>) -> bool {
    let listed = match tokio::time::timeout(LISTING, there.tools()).await {
        Ok(listed) => listed.map_err(|error| error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    };
    let Some(offered) = offered.upgrade() else { return true };
    write(&offered, |offered| offered.of(server, listed))
}

fn write<T>(offered: &RwLock<Offered>, change: impl FnOnce(&mut Offered) -> T) -> T {
    change(&mut offered.write().unwrap_or_else(PoisonError::into_inner))
}

impl Tools for Toolbox {
    fn list(&self) -> Vec<ToolDef> {
        let mut all = self.offered.read().unwrap_or_else(PoisonError::into_inner).tools.clone();
        all.extend(self.guests.iter().flat_map(Guest::list));
        all
    }

    fn call<'a>(
        &'a self,
        call: &'a ToolCall,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<Value, ToolFailure>> {
        Box::pin(async move {
            let _turn = self.turn(&call.server, &limits.cancel).await?;
            self.read(call, limits, None).await.0
        })
    }
}

/// The one way to a mutating tool: the `act` stage holds it, agents never do.
#[derive(Debug, Clone, Copy)]
pub struct Mutations<'a>(pub &'a Toolbox);

impl Mutations<'_> {
    /// Calls a mutating tool, once.
    pub async fn call(&self, call: &ToolCall, limits: &CallLimits) -> Result<Value, ToolFailure> {
        if self.0.guest(&call.server).is_some() {
            let why = format!(
                "`{}` of the third-party server `{}` is {GATED_BY_THE_SUPERVISOR}",
                call.tool, call.server
            );
            return Err(ToolFailure::new(FailureKind::Refused, why));
        }
        if class_of(&call.server, &call.tool) != ToolClass::Mutate {
            return Err(ToolFailure::new(FailureKind::Refused, format!("`{}` is no action", call.tool)));
        }
        self.0.call_tool(call, Again::Never, limits, None).await.0
    }
}

fn read(answer: Result<CallToolResult, Lost>) -> (Result<Value, ToolFailure>, Option<Spent>) {
    let result = match answer {
        Ok(result) => result,
        Err(Lost::Call(ServiceError::McpError(error))) => {
            // Nobody ran it.
            let failure = ToolFailure::new(FailureKind::Invalid, error.message.to_string());
            return (Err(failure), Some(Spent::default()));
        }
        Err(Lost::Call(ServiceError::Timeout { .. })) => {
            return (Err(ToolFailure::new(FailureKind::Timeout, "no answer in time")), None);
        }
        Err(lost) => {
            // What the transport says of it is for the log: a person needs to know whether it was sent.
            let (what, spent) = match &lost {
                Lost::Connect(_) => ("the server is gone: it cannot be reached", Some(Spent::default())),
                Lost::Call(_) => ("the server is gone: the connection ended before it answered", None),
            };
            tracing::warn!(error = %lost, "a call of a tool was lost");
            return (Err(ToolFailure::new(FailureKind::Unavailable, what)), spent);
        }
    };
    if result.is_error == Some(true) {
        let told = result.structured_content.as_ref().and_then(ToolError::from_structured);
        let spent = told.as_ref().and_then(|error| error.spent);
        let failure = match told {
            Some(error) => ToolFailure {
                kind: serde_json::to_value(error.kind)
                    .and_then(serde_json::from_value)
                    .unwrap_or(FailureKind::Internal),
                message: error.message,
                mend: Some(error.mend),
            },
            None => ToolFailure::new(FailureKind::Internal, text_of(&result)),
        };
        return (Err(failure), spent);
    }
    let spent = result.structured_content.as_ref().and_then(Spent::of);
    let none = || ToolFailure::new(FailureKind::Internal, "the answer has no structured content");
    (result.structured_content.clone().ok_or_else(none), spent)
}

fn text_of(result: &CallToolResult) -> String {
    let text = result.content.iter().find_map(|block| block.as_text()).map(|t| t.text.clone());
    text.unwrap_or_else(|| "the tool failed and did not say why".to_owned())
}

#[cfg(test)]
mod tests {
    use midwatch_policy::ActionKind;

    use super::*;

    #[test]
    fn every_action_is_classed_as_one_and_everything_unnamed_is_unknown() {
        for kind in ActionKind::ALL {
            assert_eq!(class_of("remediation", kind.tool()), ToolClass::Mutate);
            // The same name on another server is not the same tool.
            assert_eq!(class_of("logs", kind.tool()), ToolClass::Unknown);
        }
        assert_eq!(class_of("remediation", "plan"), ToolClass::Read);
        assert_eq!(class_of("foreign", "error_patterns"), ToolClass::Unknown);
    }

    #[tokio::test]
    async fn so_many_reads_are_under_way_and_the_next_one_waits_and_is_counted() {
        let turns = Turns::default();
        let mut toolbox = Toolbox::new().counting(turns.clone());
        let nowhere = Remote::new("http://127.0.0.1:9/mcp", "a-token-of-this-test").unwrap();
        toolbox.servers.insert("logs", Server::new(Line::There(Arc::new(Elsewhere::new(nowhere)))));
        let cancel = CancellationToken::new();
        let mut held = Vec::new();
        for _ in 0..UNDER_WAY {
            held.push(toolbox.turn("logs", &cancel).await.unwrap());
        }
        toolbox.turn("metrics", &cancel).await.unwrap();
        assert!(turns.all().is_empty(), "nobody waited: {:?}", turns.all());

        let (next, ()) = tokio::join!(toolbox.turn("logs", &cancel), async {
            tokio::time::sleep(Duration::from_millis(50)).await;
            held.pop();
        });
        assert!(next.is_ok(), "the place that was left is taken");
        let waited = turns.all();
        assert_eq!((waited[0].0.as_str(), waited[0].1.calls), ("logs", 1));
        assert!(waited[0].1.time >= Duration::from_millis(50), "{waited:?}");
        cancel.cancel();
        assert!(toolbox.turn("logs", &cancel).await.unwrap_err().message.contains("cancelled"));
    }

    #[tokio::test]
    async fn neither_door_opens_for_the_other_kind_of_tool() {
        let toolbox = Toolbox::new();
        let limits = CallLimits::within(Duration::from_secs(1));
        let call = |tool: &str| ToolCall {
            server: "remediation".to_owned(),
            tool: tool.to_owned(),
            args: serde_json::Map::new(),
        };
        let act = toolbox.call(&call("restart_service"), &limits).await.unwrap_err();
        assert_eq!(act.kind, FailureKind::Refused);
        let look = Mutations(&toolbox).call(&call("plan"), &limits).await.unwrap_err();
        assert_eq!(look.kind, FailureKind::Refused);
    }
}
