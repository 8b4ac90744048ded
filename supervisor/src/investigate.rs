//! Investigate: specialists look closer, side by side; then the remediator, on a brief.

use std::sync::Arc;

use futures::future::join_all;
use midwatch_agents::{
    brief::Brief,
    events::{AgentEvent, Events},
    model::Model,
    run::{self, Proposal, RunContext},
    signals::Signals,
    specialist::{METRICS_ANALYST, Specialist, WORKFLOW_ANALYST},
    task::{AlarmFacts, Task, TaskTag},
    view::Observation,
};
use midwatch_policy::{Service, ServiceName, SignedDuration, Timestamp};

use crate::{
    case::{CALL_TIMEOUT, Case},
    decide::Found,
    event::Event,
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
    pub observed: Vec<Observation>,
}

/// Runs the analysts at the same time.
pub async fn analysts(case: &Case, minds: &Arc<Minds>, swept: &Swept, known: &[ServiceName]) -> Looked {
    // Without a state machine there is nothing for the one who looks at executions.
    let workflow = case.opened.service.as_ref().is_some_and(|service| service.state_machine.is_some());
    // The sweep reads the metrics; who looks at them closer has to be given something to look with.
    let toolbox = case.tools.toolbox();
    let called = minds.analysts.iter().filter(|one| match one.name.as_str() {
        WORKFLOW_ANALYST => workflow,
        METRICS_ANALYST => toolbox.lends_to(METRICS_ANALYST),
        _ => true,
    });
    let looks = called.map(|specialist| {
        let question = "What went wrong, since when, and does it go on?";
        async move {
            let step = format!("investigate {}", specialist.name);
            case.step(&step, async {
                let (lent, mut unasked) = case.tools.toolbox().lent_to(&specialist.name).await;
                let mut specialist = specialist.clone();
                specialist.tools.extend(lent);
                let task = task(case, &specialist.name, known, question);
                let context = context(case, minds, &specialist);
                let mut outcome = run::investigate(&context.as_run(), &specialist, &task, &swept.sweep).await;
                unasked.extend(case.tools.noted());
                outcome.remark = remarks(outcome.remark, unasked);
                outcome
            })
            .await
        }
    });
    let mut looked = Looked::default();
    for outcome in join_all(looks).await {
        case.remark(outcome.remark);
        case.recorder.note(Event::Found { finding: outcome.output.clone() });
        looked.found.push(Found { finding: outcome.output, concluded_by: outcome.concluded_by });
        looked.observed.extend(outcome.observed);
    }
    looked
}

/// What the report says of a run, with what its third-party servers did not answer; each once.
fn remarks(own: Option<String>, unasked: Vec<String>) -> Option<String> {
    let mut all: Vec<String> = own.into_iter().collect();
    for gap in unasked {
        if !all.contains(&gap) {
            all.push(gap);
        }
    }
    (!all.is_empty()).then(|| all.join("; "))
}

/// Runs the remediator.
pub async fn remediator(case: &Case, minds: &Arc<Minds>, service: &Service, brief: &Brief) -> Proposal {
    tracing::debug!(service = %service.name, "remediator");
    let ask = async {
        let context = context(case, minds, &minds.remediator);
        run::remediate(&context.as_run(), &minds.remediator, brief).await
    };
    let outcome = case.step("remediate", ask).await;
    case.remark(outcome.remark);
    outcome.output
}

/// Everything that was observed, read as signals.
pub fn signals(case: &Case, swept: &Swept, observed: &[Observation]) -> Signals {
    let mut all = swept.sweep.observations();
    all.extend_from_slice(observed);
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
    case: &'a Case,
    minds: &'a Minds,
    events: Noting,
    deadline: Timestamp,
}

pub(crate) fn context<'a>(case: &'a Case, minds: &'a Minds, specialist: &Specialist) -> Context<'a> {
    let now = case.now();
    Context {
        model: Arc::clone(minds.model_of(specialist)),
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
            tools: self.case.tools.as_ref(),
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
