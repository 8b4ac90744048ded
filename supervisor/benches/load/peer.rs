//! The peer's measurement: a supervisor and three specialists, 10 model turns, 6 tool calls, with
//! doubles in the process for models and tools. What is left is the loop itself: conversations,
//! budgets, evidence, citations, events.

use std::{
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures::future::{BoxFuture, join_all};
use midwatch_agents::{
    budget::Spend,
    events::{AgentEvent, Events},
    evidence::{EvidenceBook, Origin},
    json::Json,
    model::{
        CallLimits, Content, Message, Model, ModelError, ModelRequest, ModelResponse, Role, StopReason,
        ToolSpec, ToolUse, Usage,
    },
    prices::Prices,
    run::{self, CONCLUDE, ROUTE, RunContext},
    specialist::Specialist,
    sweep::{Sweep, SweepPart, SweepTag},
    task::{AlarmFacts, Task, TaskTag},
    tools::{ToolCall, ToolClass, ToolDef, ToolFailure, Tools},
};
use midwatch_policy::{FixedClock, IncidentId, ServiceName, Timestamp};
use serde_json::{Map, Value, json};
use tokio_util::sync::CancellationToken;

use crate::{process::Process, row};

const INCIDENTS: u32 = 2_000;

/// Looks twice, one tool at a time, then concludes; the router routes at once.
#[derive(Debug)]
struct Double(AtomicU32);

impl Model for Double {
    fn id(&self) -> &'static str {
        "global.anthropic.claude-sonnet-4-5-20250929-v1:0"
    }

    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        _: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        let turn = request.messages.iter().filter(|message| message.role == Role::Assistant).count();
        let offered = |name: &str| request.tool_names().any(|offered| offered == name);
        let claims = json!([{ "text": "73 errors.", "citations": [{ "evidence": "E1", "quote": "73" }] }]);
        let (name, input) = if offered(ROUTE) {
            (ROUTE, json!({ "route": "investigate", "reason": "errors go on", "claims": claims }))
        } else if turn < 2 {
            ("error_patterns", json!({ "service": "basket", "limit": turn + 1 }))
        } else {
            let cause = json!([{ "kind": "dependency", "ref": "prices-api", "confidence": 0.7 }]);
            (CONCLUDE, json!({ "summary": "s", "verdict": "real", "causes": cause, "claims": claims }))
        };
        let call = ToolUse { tool_use_id: format!("t{turn}"), name: name.to_owned(), input };
        let response = ModelResponse {
            message: Message::assistant(vec![Content::ToolUse(call)]),
            stop_reason: StopReason::ToolUse,
            usage: Some(Usage { input_tokens: 4_000, output_tokens: 200, ..Usage::default() }),
            latency_ms: 1,
            guardrail: None,
        };
        Box::pin(std::future::ready(Ok(response)))
    }
}

/// One pattern of errors, for every tool.
fn found() -> Value {
    json!({
        "ref": "pat:basket:0", "errors": { "ref": "errors:basket", "total": 73, "baseline_total": 0 },
        "patterns": [{
            "ref": "pat:basket:1", "template": "GET <*> failed: connection refused", "level": "error",
            "count": 73, "baseline_count": 0, "change": "new", "status": "ongoing",
            "first_seen": "2026-03-09T02:04:10Z", "last_seen": "2026-03-09T02:11:55Z",
            "onset": "2026-03-09T02:04:10Z", "examples": [], "screened": [],
        }],
        "notes": [],
    })
}

#[derive(Debug)]
struct Doubles(AtomicU32);

impl Tools for Doubles {
    fn list(&self) -> Vec<ToolDef> {
        ["error_patterns", "log_query", "get_alarm", "correlate"]
            .map(|name| ToolDef {
                server: "logs".to_owned(),
                spec: ToolSpec {
                    name: name.to_owned(),
                    description: "Looks at something.".to_owned(),
                    input_schema: Json::of(
                        &json!({ "type": "object", "properties": { "service": { "type": "string" } } }),
                    ),
                },
                class: ToolClass::Read,
            })
            .to_vec()
    }

    fn call<'a>(&'a self, _: &'a ToolCall, _: &'a CallLimits) -> BoxFuture<'a, Result<Value, ToolFailure>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Box::pin(std::future::ready(Ok(found())))
    }
}

struct Counted(AtomicU32);

impl Events for Counted {
    fn event(&self, _: AgentEvent) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn now() -> Timestamp {
    "2026-03-09T02:12:00Z".parse().unwrap()
}

struct Shape {
    router: Specialist,
    analysts: Vec<Specialist>,
    prices: Arc<Prices>,
    model: Double,
    tools: Doubles,
    events: Counted,
}

impl Shape {
    fn new() -> Self {
        let mut analysts = vec![
            Specialist::log_analyst().unwrap(),
            Specialist::deploy_correlator().unwrap(),
            Specialist::metrics_analyst().unwrap(),
        ];
        for one in &mut analysts {
            one.tools.push("error_patterns".to_owned());
        }
        let none = || AtomicU32::new(0);
        Self {
            router: Specialist::router().unwrap(),
            analysts,
            prices: Arc::new(Prices::embedded().unwrap()),
            model: Double(none()),
            tools: Doubles(none()),
            events: Counted(none()),
        }
    }

    async fn incident(&self, number: u32) {
        let incident = IncidentId::parse(format!("inc-20260309-0212-{number:06x}")).unwrap();
        let service: ServiceName = "basket".parse().unwrap();
        let book = EvidenceBook::new();
        let spend = Spend::new(Arc::clone(&self.prices), 50_000_000);
        let clock = FixedClock(now());
        let origin =
            Origin { server: "logs".into(), tool: "error_patterns".into(), args: Map::new(), at: now() };
        let result = book.admit(&origin, &found()).result;
        let sweep = Sweep {
            kind: SweepTag::default(),
            incident: incident.clone(),
            at: now(),
            parts: vec![SweepPart {
                server: "logs".into(),
                tool: "error_patterns".into(),
                service: Some(service.clone()),
                args: Map::new(),
                result: Json::of(&result),
            }],
            missing: Vec::new(),
        };
        let task = |specialist: &Specialist| Task {
            kind: TaskTag::default(),
            incident: incident.clone(),
            specialist: specialist.name.clone(),
            alarm: AlarmFacts {
                name: "basket-5xx".into(),
                state: "ALARM".into(),
                at: now(),
                reason: None,
                description: None,
            },
            service: Some(service.clone()),
            depends_on: Vec::new(),
            known_dependencies: Vec::new(),
            from: now(),
            to: now(),
            question: "What went wrong?".into(),
        };
        let context = || RunContext {
            model: &self.model,
            tools: &self.tools,
            book: &book,
            spend: &spend,
            clock: &clock,
            events: &self.events,
            deadline: now().saturating_add(Duration::from_mins(4)).unwrap(),
            call_timeout: Duration::from_secs(45),
            cancel: CancellationToken::new(),
            guardrail: None,
        };
        let routed = run::route(&context(), &self.router, &task(&self.router), &sweep).await;
        assert_eq!(routed.turns, 1);
        let looks = join_all(self.analysts.iter().map(|analyst| {
            let (context, task) = (context(), task(analyst));
            let sweep = &sweep;
            async move { run::investigate(&context, analyst, &task, sweep).await }
        }))
        .await;
        for look in looks {
            assert_eq!((look.turns, look.tool_calls), (3, 2), "{:?} {:?}", look.ended, look.remark);
        }
    }
}

pub fn measure(python: Option<&Path>) {
    let shape = Shape::new();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(shape.incident(0));
    let (turns, calls) = (shape.model.0.load(Ordering::Relaxed), shape.tools.0.load(Ordering::Relaxed));
    assert_eq!((turns, calls), (10, 6));
    let before = Process::own().cpu();
    runtime.block_on(async {
        for number in 1..=INCIDENTS {
            shape.incident(number).await;
        }
    });
    let cpu = (Process::own().cpu() - before).as_secs_f64() * 1e3 / f64::from(INCIDENTS);
    let memory = Process::own().memory().1;
    row(
        "peer's shape: supervisor and 3 specialists, 10 turns, 6 tool calls, doubles",
        &format!("{cpu:.2} ms CPU an incident, {memory:.0} MB"),
    );
    let Some(python) = python else { return };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/foreign/strands_load.py");
    let said = Command::new(python).arg(script).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    row("the same, strands-agents", String::from_utf8_lossy(&said.stdout).trim());
}
