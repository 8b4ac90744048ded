//! The tools of an incident, paid from its purse: what a call may cost is set aside before it and
//! told to the server, which holds itself to it; what the call says that it came to is paid.
//!
//! INVARIANT: a server is never allowed more than is set aside. Where nothing is left, or too little,
//! it is allowed nothing and reads what is free: an empty purse does not blind the sweep.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use futures::future::BoxFuture;
use midwatch_agents::{
    budget::{Charge, Reservation, Spend, SpendError},
    model::CallLimits,
    tools::{FailureKind, ToolCall, ToolDef, ToolFailure, Tools},
};
use midwatch_mcp::Spent;
use midwatch_policy::Clock;
use serde_json::Value;

use crate::tools::{Toolbox, Turn};

/// Bytes that a call may scan: most need far less, and many are made at once. One that needs more
/// says so for nothing, and is made again with the other bound.
const SCANNED: [u64; 2] = [4_000_000_000, 20_000_000_000];
/// Fewer bytes than these are not worth a query.
const LEAST_SCANNED: u64 = 10_000_000;

/// What calls cost that cost something, beside tokens.
const DEAR: &[(&str, &str, &[Charge])] = &[
    ("logs", "error_patterns", &[Charge::LogsInsights]),
    ("logs", "log_query", &[Charge::LogsInsights]),
    ("runbooks", "search_runbooks", &[Charge::Retrieval, Charge::Rerank]),
];

/// Tools, paid from an incident's purse.
#[derive(Debug)]
pub struct Paid {
    toolbox: Arc<Toolbox>,
    spend: Spend,
    clock: Arc<dyn Clock>,
    /// What the report has to say of third-party servers.
    noted: Mutex<BTreeSet<String>>,
}

impl Paid {
    /// The tools of an incident.
    pub fn new(toolbox: Arc<Toolbox>, spend: Spend, clock: Arc<dyn Clock>) -> Self {
        Self { toolbox, spend, clock, noted: Mutex::default() }
    }

    /// The tools themselves: for what an agent has no part in.
    pub fn toolbox(&self) -> &Toolbox {
        &self.toolbox
    }

    /// What is to be said of third-party servers since this was asked last.
    pub fn noted(&self) -> Vec<String> {
        std::mem::take(&mut *self.noted.lock().unwrap_or_else(PoisonError::into_inner)).into_iter().collect()
    }

    /// Waits until the call may be made.
    pub(crate) async fn turn(&self, call: &ToolCall, limits: &CallLimits) -> Result<Turn<'_>, ToolFailure> {
        self.toolbox.turn(&call.server, &limits.cancel).await
    }

    /// Makes the call whose turn it is. Its state is made now: those that wait are many.
    pub(crate) fn take<'a>(
        &'a self,
        call: &'a ToolCall,
        limits: &'a CallLimits,
        turn: Turn<'a>,
    ) -> BoxFuture<'a, Result<Value, ToolFailure>> {
        Box::pin(async move {
            let _turn = turn;
            let is_this =
                |(server, tool, _): &&(&str, &str, &[Charge])| *server == call.server && *tool == call.tool;
            match DEAR.iter().find(is_this) {
                None => {
                    let answer = self.toolbox.read(call, limits, None).await.0;
                    self.note(call, &answer);
                    answer
                }
                Some((.., [Charge::LogsInsights])) => self.scan(call, limits).await,
                Some((.., charges)) => {
                    let one_each: Vec<_> = charges.iter().map(|what| (*what, 1)).collect();
                    self.pay(call, limits, &one_each).await.0
                }
            }
        })
    }

    /// Notes what a third-party server did not answer, and what of its words gives orders.
    fn note(&self, call: &ToolCall, answer: &Result<Value, ToolFailure>) {
        if self.toolbox.guest(&call.server).is_none() {
            return;
        }
        let said = match answer {
            Err(failure) => failure.message.clone(),
            Ok(result) => {
                let Some(marks) = result.get("screened").and_then(Value::as_array) else { return };
                let marks: Vec<&str> = marks.iter().filter_map(Value::as_str).collect();
                let (tool, marks) = (&call.tool, marks.join(", "));
                format!(
                    "what `{tool}` of the third-party server `{}` answered gives orders ({marks})",
                    call.server
                )
            }
        };
        self.noted.lock().unwrap_or_else(PoisonError::into_inner).insert(said);
    }

    /// One call with at most so much of each of what it costs; also what it cost, where that is known, and
    /// how much it was allowed. Where its connection was lost it is made once more and paid anew: nobody knows
    /// what the lost one came to, so that counts in full.
    async fn pay(
        &self,
        call: &ToolCall,
        limits: &CallLimits,
        wanted: &[(Charge, u64)],
    ) -> (Result<Value, ToolFailure>, Option<Spent>, Spent) {
        let (answer, spent, allowed) = self.attempt(call, limits, wanted).await;
        let gone = answer.as_ref().is_err_and(|failure| failure.kind == FailureKind::Unavailable);
        if gone && spent.is_none() && allowed != Spent::default() {
            return self.attempt(call, limits, wanted).await;
        }
        (answer, spent, allowed)
    }

    async fn attempt(
        &self,
        call: &ToolCall,
        limits: &CallLimits,
        wanted: &[(Charge, u64)],
    ) -> (Result<Value, ToolFailure>, Option<Spent>, Spent) {
        let mut allowed = Spent::default();
        let mut held = Vec::new();
        for &(what, most) in wanted {
            let (one, units) = self.set_aside(what, most).await;
            *units_of(what, &mut allowed) = units;
            held.push((what, one));
        }
        let (answer, spent) = self.toolbox.read(call, limits, Some(allowed)).await;
        for (what, held) in held {
            let spent = spent.map(|mut spent| *units_of(what, &mut spent));
            match held {
                Some(held) => {
                    held.settle_units(spent);
                }
                None if spent.is_some_and(|spent| spent > 0) => {
                    tracing::error!(
                        server = call.server,
                        tool = call.tool,
                        what = what.as_str(),
                        "a call that was allowed nothing cost something"
                    );
                }
                None => {}
            }
        }
        (answer, spent, allowed)
    }

    /// One call that scans logs, with few bytes and then with many. Where not even those are left and
    /// what is left is too little, what is free is read instead.
    async fn scan(&self, call: &ToolCall, limits: &CallLimits) -> Result<Value, ToolFailure> {
        let too_little = |answer: &Result<Value, ToolFailure>, spent| {
            spent == Some(Spent::default())
                && answer.as_ref().is_err_and(|failure| failure.kind == FailureKind::Refused)
        };
        let [few, many] = SCANNED;
        let (answer, spent, _) = self.pay(call, limits, &[(Charge::LogsInsights, few)]).await;
        if !too_little(&answer, spent) {
            return answer;
        }
        let (answer, spent, allowed) = self.pay(call, limits, &[(Charge::LogsInsights, many)]).await;
        if !too_little(&answer, spent) || [0, many].contains(&allowed.bytes_scanned) {
            return answer;
        }
        let free = self.pay(call, limits, &[(Charge::LogsInsights, 0)]).await.0;
        // A refusal that names a narrower call says more than one that has nothing to spend.
        free.or(answer)
    }

    /// Sets so much aside, or what is left of it, and says how much that is.
    async fn set_aside(&self, what: Charge, most: u64) -> (Option<Reservation>, u64) {
        if most == 0 {
            return (None, 0);
        }
        let mut units = most;
        // Meanwhile others may take what is left: twice is enough, then there is nothing.
        for _ in 0..3 {
            match self.spend.reserve_charge(self.clock.now(), what, units).await {
                Ok(held) => return (Some(held), units),
                Err(SpendError::Ceiling { left, .. }) => {
                    units = self.spend.prices().units(what, left).min(units);
                }
                Err(_) => break,
            }
            let least = if what == Charge::LogsInsights { LEAST_SCANNED } else { 1 };
            if units < least {
                break;
            }
        }
        tracing::warn!(what = what.as_str(), "nothing is left to spend: only what is free is read");
        (None, 0)
    }
}

const fn units_of(what: Charge, spent: &mut Spent) -> &mut u64 {
    match what {
        Charge::LogsInsights => &mut spent.bytes_scanned,
        Charge::Retrieval => &mut spent.retrieval_queries,
        Charge::Rerank => &mut spent.rerank_queries,
    }
}

impl Tools for Paid {
    fn list(&self) -> Vec<ToolDef> {
        self.toolbox.list()
    }

    fn call<'a>(
        &'a self,
        call: &'a ToolCall,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<Value, ToolFailure>> {
        Box::pin(async move {
            let turn = self.turn(call, limits).await?;
            self.take(call, limits, turn).await
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicBool, Ordering},
    };

    use midwatch_agents::{
        budget::{Ceilings, Total},
        prices::Prices,
    };
    use midwatch_mcp::{
        Remote, ToolError, connect_in_process,
        http::{Access, HttpSettings, Token, bind},
    };
    use midwatch_policy::FixedClock;
    use rmcp::{
        ErrorData, RoleServer, ServerHandler,
        model::{CallToolRequestParams, CallToolResponse, CallToolResult},
        service::RequestContext,
    };
    use serde_json::json;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::{TcpListener, TcpStream},
    };
    use tokio_util::sync::CancellationToken;

    use super::*;
    use crate::ledger::Ledger;

    /// A server that answers so much was spent, and keeps what it was allowed.
    #[derive(Debug, Clone)]
    struct Answers {
        needs: u64,
        says: bool,
        allowed: Arc<Mutex<Vec<Option<Spent>>>>,
    }

    impl ServerHandler for Answers {
        async fn call_tool(
            &self,
            request: CallToolRequestParams,
            context: RequestContext<RoleServer>,
        ) -> Result<CallToolResponse, ErrorData> {
            let allowed = Spent::allowed(&context.meta);
            self.allowed.lock().unwrap().push(allowed);
            let most = allowed.map_or(u64::MAX, |allowed| allowed.bytes_scanned + allowed.retrieval_queries);
            let spent = match request.name.as_ref() {
                "search_runbooks" => Spent {
                    retrieval_queries: self.needs.min(most),
                    rerank_queries: (self.needs / 2)
                        .min(allowed.map_or(u64::MAX, |allowed| allowed.rerank_queries)),
                    ..Spent::default()
                },
                _ => Spent { bytes_scanned: self.needs, ..Spent::default() },
            };
            // Patterns are read for nothing where nothing is allowed; a query is not.
            if request.name == "error_patterns" && most == 0 {
                return Ok(CallToolResult::structured(json!({ "spent": {} })).into());
            }
            if request.name != "search_runbooks" && self.needs > most {
                let refused = ToolError::refused("too dear", "ask for less").after(Some(Spent::default()));
                return Ok(refused.into_result().into());
            }
            let result = if self.says { json!({ "spent": spent }) } else { json!({}) };
            Ok(CallToolResult::structured(result).into())
        }
    }

    struct Seen {
        total: Total,
        failed: Option<FailureKind>,
        allowed: Vec<Option<Spent>>,
    }

    async fn ask(server: &'static str, tool: &str, (needs, says): (u64, bool), ceiling: u64) -> Seen {
        let answers = Answers { needs, says, allowed: Arc::default() };
        let mut toolbox = Toolbox::new();
        toolbox.attach(server, connect_in_process(answers.clone()).await.unwrap()).await;
        asked(toolbox, &answers, server, tool, ceiling).await
    }

    async fn asked(toolbox: Toolbox, answers: &Answers, server: &str, tool: &str, ceiling: u64) -> Seen {
        let spend = Ledger::in_memory(Ceilings::of_incident(ceiling)).purse(
            Arc::new(Prices::embedded().unwrap()),
            "inc",
            None,
        );
        let clock = Arc::new(FixedClock("2026-03-09T02:12:00Z".parse().unwrap()));
        let paid = Paid::new(Arc::new(toolbox), spend.clone(), clock);
        let call = ToolCall { server: server.into(), tool: tool.into(), args: serde_json::Map::new() };
        let limits = CallLimits::within(std::time::Duration::from_secs(5));
        let failed = paid.call(&call, &limits).await.err().map(|failure| failure.kind);
        let allowed = answers.allowed.lock().unwrap().clone();
        Seen { total: spend.total(), failed, allowed }
    }

    fn bytes(seen: &Seen) -> Vec<u64> {
        seen.allowed.iter().map(|one| one.unwrap().bytes_scanned).collect()
    }

    #[tokio::test]
    async fn whatever_scans_is_paid_and_what_is_not_said_is_paid_in_full() {
        for tool in ["log_query", "error_patterns"] {
            let seen = ask("logs", tool, (2_000_000_000, true), 500_000).await;
            assert_eq!((seen.total.cost_micro_usd, seen.total.assumed_micro_usd), (10_000, 0));
            assert_eq!(bytes(&seen), [4_000_000_000]);
            let seen = ask("logs", tool, (2_000_000_000, false), 500_000).await;
            assert_eq!((seen.total.cost_micro_usd, seen.total.assumed_micro_usd), (20_000, 20_000));
            // What needs more than the first bound is made with the second.
            let seen = ask("logs", tool, (7_000_000_000, true), 500_000).await;
            assert_eq!((seen.total.cost_micro_usd, seen.failed), (35_000, None));
            assert_eq!(bytes(&seen), [4_000_000_000, 20_000_000_000]);
        }
    }

    const TOKEN: &str = "a-token-of-this-test";

    /// Hangs up on the first call of a tool that comes through, and on nothing else.
    async fn cutting(server: SocketAddr) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (addr, cut) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                let cut = Arc::clone(&cut);
                tokio::spawn(async move {
                    let mut far = TcpStream::connect(server).await.unwrap();
                    let (mut asked, mut answered) = (vec![0; 65_536], vec![0; 65_536]);
                    loop {
                        tokio::select! {
                            Ok(read @ 1..) = near.read(&mut asked) => {
                                far.write_all(&asked[..read]).await.unwrap();
                                let is_call = String::from_utf8_lossy(&asked[..read]).contains("tools/call");
                                if is_call && !cut.swap(true, Ordering::SeqCst) {
                                    // The server has it.
                                    let _ = far.read(&mut answered).await;
                                    break;
                                }
                            }
                            Ok(read @ 1..) = far.read(&mut answered) => {
                                near.write_all(&answered[..read]).await.unwrap();
                            }
                            else => break,
                        }
                    }
                });
            }
        });
        addr
    }

    #[tokio::test]
    async fn a_call_whose_connection_was_lost_is_paid_and_the_one_in_its_place_as_well() {
        let answers = Answers { needs: 2_000_000_000, says: true, allowed: Arc::default() };
        let on = HttpSettings::on("127.0.0.1:0".parse().unwrap());
        let bound =
            bind(answers.clone(), HttpSettings { access: Access::Token(Token::parse(TOKEN).unwrap()), ..on })
                .await
                .unwrap();
        let url = format!("http://{}/mcp", cutting(bound.local_addr()).await);
        let _serving = tokio::spawn(bound.run(CancellationToken::new()));
        let mut toolbox = Toolbox::new();
        toolbox.attach_elsewhere("logs", Remote::new(&url, TOKEN).unwrap());
        toolbox.settled().await;
        let seen = asked(toolbox, &answers, "logs", "log_query", 500_000).await;
        assert_eq!(bytes(&seen), [4_000_000_000, 4_000_000_000]);
        assert_eq!(
            (seen.failed, seen.total.cost_micro_usd, seen.total.assumed_micro_usd),
            (None, 30_000, 20_000)
        );
    }

    #[tokio::test]
    async fn a_server_is_never_allowed_more_than_is_left() {
        // 9,999 micro-dollars are a little less than two gigabytes.
        let seen = ask("logs", "error_patterns", (1_000_000_000, true), 9_999).await;
        assert_eq!((bytes(&seen), seen.total.cost_micro_usd), (vec![1_999_800_000], 5_000));
        let seen = ask("logs", "log_query", (2_000_000_000, true), 9_999).await;
        assert_eq!((seen.failed, seen.total.cost_micro_usd), (Some(FailureKind::Refused), 0));
        // What needs more than is left is read for nothing, as with nothing left.
        let seen = ask("logs", "error_patterns", (2_000_000_000, true), 9_999).await;
        assert_eq!((bytes(&seen), seen.failed), (vec![1_999_800_000, 1_999_800_000, 0], None));
        assert_eq!(seen.total.cost_micro_usd, 0);
        let seen = ask("logs", "error_patterns", (30_000_000_000, true), 500_000).await;
        assert_eq!((bytes(&seen), seen.failed), (SCANNED.to_vec(), Some(FailureKind::Refused)));
        let seen = ask("logs", "error_patterns", (0, true), 0).await;
        assert_eq!((bytes(&seen), seen.failed, seen.total.cost_micro_usd), (vec![0], None, 0));
    }

    #[tokio::test]
    async fn knowledge_bases_are_paid_by_the_query_and_other_tools_not_at_all() {
        let seen = ask("runbooks", "search_runbooks", (1, true), 500_000).await;
        assert_eq!((seen.total.cost_micro_usd, seen.allowed[0].unwrap().retrieval_queries), (100, 1));
        let seen = ask("runbooks", "search_runbooks", (2, true), 500_000).await;
        assert_eq!(seen.total.cost_micro_usd, 2_100, "with one query of a reranking model");
        let seen = ask("runbooks", "search_runbooks", (1, false), 500_000).await;
        assert_eq!((seen.total.cost_micro_usd, seen.total.assumed_micro_usd), (2_100, 2_100));
        // The knowledge base can still be paid, the model that orders what it finds cannot.
        let seen = ask("runbooks", "search_runbooks", (2, true), 2_099).await;
        assert_eq!((seen.total.cost_micro_usd, seen.allowed[0].unwrap().rerank_queries), (100, 0));
        let seen = ask("runbooks", "search_runbooks", (0, true), 500_000).await;
        assert_eq!(seen.total.cost_micro_usd, 0, "runbooks of this machine");
        let seen = ask("runbooks", "search_runbooks", (1, true), 99).await;
        assert_eq!((seen.total.cost_micro_usd, seen.allowed[0]), (0, Some(Spent::default())));
        let seen = ask("metrics", "get_alarm", (9, true), 0).await;
        assert_eq!((seen.total.cost_micro_usd, seen.allowed), (0, vec![None]));
    }
}
