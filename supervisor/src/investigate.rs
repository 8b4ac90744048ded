//! Investigate: specialists look closer, side by side; then the remediator, on a brief.

use std::sync::{Arc, Mutex, PoisonError};

use futures::future::{BoxFuture, join_all};
use midwatch_agents::{
    brief::Brief,
    events::{AgentEvent, Events},
    evidence::Origin,
    finding::Finding,
    model::{CallLimits, Model},
    run::{self, Proposal, RunContext, RunOutcome},
    signals::Signals,
    specialist::Specialist,
    task::{AlarmFacts, Task, TaskTag},
    tools::{ToolCall, ToolDef, ToolFailure, Tools},
    view::Observation,
};
use midwatch_policy::{Service, ServiceName, SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    case::{CALL_TIMEOUT, Case},
    decide::Found,
    event::Event,
    ledger::Paid,
    record::Recorder,
    site::Minds,
    sweep::{Swept, scene},
};

/// How long the specialists may take, on the incident's clock.
const DEADLINE: SignedDuration = SignedDuration::from_mins(4);

/// What the specialists brought.
#[derive(Debug, Default)]
pub struct Looked {
    /// Their findings.
    pub found: Vec<Found>,
    /// What their tools answered.
    pub observed: Vec<(ToolCall, Value)>,
}

/// What came of one specialist's look, as it is journaled.
#[derive(Serialize, Deserialize)]
struct Look {
    outcome: RunOutcome<Finding>,
    observed: Vec<(ToolCall, Value)>,
}

/// Runs the analysts at the same time.
pub async fn analysts(case: &Case, minds: &Arc<Minds>, swept: &Swept, known: &[ServiceName]) -> Looked {
    let looks = minds.analysts.iter().map(|specialist| {
        let question = "What went wrong, since when, and does it go on?";
        async move {
            let step = format!("investigate {}", specialist.name);
            case.step(&step, async {
                let task = task(case, &specialist.name, known, question);
                let tools = Arc::clone(&case.tools) as Arc<dyn Tools>;
                let paid = Paid::new(tools, case.spend.clone(), Arc::clone(&case.clock));
                let watched = Watched::new(Arc::new(paid));
                let context = context(case, minds, specialist, &watched);
                let outcome = run::investigate(&context.as_run(), specialist, &task, &swept.sweep).await;
                Look { outcome, observed: watched.taken() }
            })
            .await
        }
    });
    let mut looked = Looked::default();
    for Look { outcome, observed } in join_all(looks).await {
        case.remark(outcome.remark);
        case.recorder.note(Event::Found { finding: outcome.output.clone() });
        looked.found.push(Found { finding: outcome.output, concluded_by: outcome.concluded_by });
        looked.observed.extend(observed);
    }
    looked
}

/// Runs the remediator.
pub async fn remediator(case: &Case, minds: &Arc<Minds>, service: &Service, brief: &Brief) -> Proposal {
    tracing::debug!(service = %service.name, "remediator");
    let ask = async {
        let context = context(case, minds, &minds.remediator, case.tools.as_ref());
        run::remediate(&context.as_run(), &minds.remediator, brief).await
    };
    let outcome = case.step("remediate", ask).await;
    case.remark(outcome.remark);
    outcome.output
}

/// Everything that was observed, read again as signals.
pub fn signals(case: &Case, swept: &Swept, observed: &[(ToolCall, Value)]) -> Signals {
    let mut all = swept.sweep.observations();
    for (call, result) in observed {
        let origin = Origin {
            server: call.server.clone(),
            tool: call.tool.clone(),
            args: call.args.clone(),
            at: case.now(),
        };
        // The run admitted it already: the same bytes keep their ids.
        let result = case.book.admit(&origin, result).result;
        all.push(Observation { tool: call.tool.clone(), args: call.args.clone(), result });
    }
    Signals::read(&scene(case, case.now()), &all)
}

/// The task of a specialist.
pub(crate) fn task(case: &Case, specialist: &str, known: &[ServiceName], question: &str) -> Task {
    let opened = &case.opened;
    let (from, to) = opened.window(case.now());
    Task {
        kind: TaskTag::default(),
        incident: opened.id.clone(),
        specialist: specialist.to_owned(),
        alarm: AlarmFacts {
            name: opened.alarm.name.clone(),
            state: opened.alarm.state.as_str().to_owned(),
            at: opened.alarm.at,
            reason: Some(opened.alarm.reason.clone()).filter(|r| !r.is_empty()),
            description: opened.alarm.description.clone(),
        },
        service: opened.service.as_ref().map(|s| s.name.clone()),
        depends_on: opened.service.as_ref().map(|s| s.depends_on.clone()).unwrap_or_default(),
        known_dependencies: known.to_vec(),
        from,
        to,
        question: question.to_owned(),
    }
}

/// What a run borrows, owned here.
pub(crate) struct Context<'a> {
    model: Arc<dyn Model>,
    tools: &'a dyn Tools,
    case: &'a Case,
    minds: &'a Minds,
    events: Noting,
    deadline: Timestamp,
}

pub(crate) fn context<'a>(
    case: &'a Case,
    minds: &'a Minds,
    specialist: &Specialist,
    tools: &'a (impl Tools + 'static),
) -> Context<'a> {
    let now = case.now();
    Context {
        model: Arc::clone(minds.model_of(specialist)),
        tools,
        case,
        minds,
        events: Noting(case.recorder.clone()),
        deadline: now.saturating_add(DEADLINE).unwrap_or(now),
    }
}

impl Context<'_> {
    pub(crate) fn as_run(&self) -> RunContext<'_> {
        RunContext {
            model: self.model.as_ref(),
            tools: self.tools,
            book: &self.case.book,
            spend: &self.case.spend,
            clock: self.case.clock.as_ref(),
            events: &self.events,
            deadline: self.deadline,
            call_timeout: CALL_TIMEOUT,
            cancel: self.case.cancel.child_token(),
            guardrail: self.minds.guardrail.clone(),
        }
    }
}

/// Notes what agents do.
struct Noting(Recorder);

impl Events for Noting {
    fn event(&self, event: AgentEvent) {
        self.0.note(Event::Agent { agent: event });
    }
}

/// Tools that remember what they answered.
#[derive(Debug)]
pub(crate) struct Watched {
    tools: Arc<dyn Tools>,
    answered: Mutex<Vec<(ToolCall, Value)>>,
}

impl Watched {
    fn new(tools: Arc<dyn Tools>) -> Self {
        Self { tools, answered: Mutex::default() }
    }

    fn taken(self) -> Vec<(ToolCall, Value)> {
        self.answered.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tools for Watched {
    fn list(&self) -> Vec<ToolDef> {
        self.tools.list()
    }

    fn call<'a>(
        &'a self,
        call: &'a ToolCall,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<Value, ToolFailure>> {
        Box::pin(async move {
            let result = self.tools.call(call, limits).await?;
            let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
            answered.push((call.clone(), result.clone()));
            Ok(result)
        })
    }
}
