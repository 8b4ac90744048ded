//! Chains of models: what falls through, what is told, and that each attempt is paid by itself.

use std::{num::NonZeroU32, sync::Arc};

use super::*;
use crate::{
    breaker::{BreakerSettings, Phase},
    chain::Chain,
    gate::{Gate, Limits},
    model::{CallLimits, ModelError, ModelRequest, ModelResponse, Reasoning, ReasoningText},
    switch::ModelSwitch,
};
use futures::future::BoxFuture;

/// A double under another name.
#[derive(Debug)]
struct Named(&'static str, Scripted);

impl Model for Named {
    fn id(&self) -> &str {
        self.0
    }
    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        self.1.converse(request, limits)
    }
}

const OTHER: &str = "amazon.nova-pro-v1:0";

struct Two {
    first: Arc<Scripted>,
    second: Arc<Named>,
    gates: [Arc<Gate>; 2],
    switch: Arc<ModelSwitch>,
    chain: Chain,
}

impl Two {
    fn new(first: Vec<Reply>, second: Vec<Reply>, limits: Limits) -> Self {
        let settings = BreakerSettings { min_calls: 2, error_percent: 60, ..BreakerSettings::default() };
        let switch = Arc::new(ModelSwitch::default());
        let gate = |name: &str| Arc::new(Gate::new(name, Arc::clone(&switch), settings, limits));
        let gates = [gate("us-east-1 a"), gate("eu-west-1 b")];
        let (first, second) = (Arc::new(Scripted::new(first)), Arc::new(Named(OTHER, Scripted::new(second))));
        let chain = Chain::of(Arc::clone(&first) as Arc<_>, Arc::clone(&gates[0]))
            .then([Chain::of(Arc::clone(&second) as Arc<_>, Arc::clone(&gates[1]))]);
        Self { first, second, gates, switch, chain }
    }

    fn run(&self, stage: &Stage) -> super::super::RunOutcome<crate::finding::Finding> {
        let mut incident = incident();
        incident.book = stage.book.clone();
        let (task, sweep) = (incident.task("log_analyst"), incident.sweep());
        let ctx = RunContext { model: &self.chain, ..stage.ctx() };
        block(investigate(&ctx, &Specialist::log_analyst().unwrap(), &task, &sweep))
    }

    fn asked(&self) -> (usize, usize) {
        (self.first.requests.lock().unwrap().len(), self.second.1.requests.lock().unwrap().len())
    }
}

fn told(stage: &Stage, wanted: fn(&AgentEvent) -> bool) -> usize {
    stage.told.0.lock().unwrap().iter().filter(|event| wanted(event)).count()
}

#[test]
fn what_the_first_cannot_answer_the_next_one_is_asked() {
    let thought = Content::ReasoningContent(crate::model::Reasoning::ReasoningText(ReasoningText {
        text: "hm".into(),
        signature: Some("s".into()),
    }));
    let Ok(mut looked) = calls(&[("error_patterns", json!({"service": "a"}))]) else { panic!("a reply") };
    looked.message.content.insert(0, thought);
    let two = Two::new(
        vec![Ok(looked), Err(ModelErrorKind::Unavailable)],
        vec![calls(&[(CONCLUDE, conclusion())])],
        Limits::default(),
    );
    let stage = Stage::new(vec![]);
    let outcome = two.run(&stage);
    assert_eq!((outcome.ended, outcome.concluded_by.as_str()), (Ended::Concluded, OTHER));
    assert_eq!(two.asked(), (3, 1), "a turn, and two attempts at the next");
    let remark = outcome.remark.unwrap();
    assert_eq!(remark, "log analyst: `eu-west-1 b` took the place of `us-east-1 a` (unavailable)");
    assert_eq!(told(&stage, |e| matches!(e, AgentEvent::FellThrough { .. })), 1);
    // The next one reads the whole conversation, but not what only the first can read.
    let request = two.second.1.requests.lock().unwrap()[0].clone();
    assert_eq!((request.messages.len(), request.model_id.as_str()), (3, OTHER));
    let is_reasoning = |c: &Content| {
        matches!(c, Content::ReasoningContent(Reasoning::ReasoningText(_) | Reasoning::RedactedContent(_)))
    };
    assert!(!request.messages.iter().flat_map(|m| &m.content).any(is_reasoning));
    // Each attempt had a reservation of its own: the two without an answer are paid in full.
    let total = stage.spend.total();
    assert_eq!((total.model_calls, total.reserved_micro_usd), (4, 0));
    assert!(total.assumed_micro_usd > 0 && outcome.cost_micro_usd == total.cost_micro_usd);
}

#[test]
fn while_breakers_are_open_rules_carry_the_incident_and_the_report_says_so() {
    let failing = || vec![Err(ModelErrorKind::AccessDenied)];
    let two = Two::new(failing(), failing(), Limits::default());
    let stage = Stage::new(vec![]);
    // Two runs fail at both; then both breakers are open.
    for _ in 0..2 {
        assert_eq!(two.run(&stage).ended, Ended::ModelError(ModelErrorKind::AccessDenied));
    }
    assert_eq!(
        told(&stage, |e| matches!(e, AgentEvent::Breaker { change, .. } if change.to == Phase::Open)),
        2
    );
    let before = two.asked();
    let outcome = two.run(&stage);
    assert_eq!((outcome.ended, two.asked()), (Ended::BreakerOpen, before), "nobody is asked");
    assert_eq!((outcome.concluded_by.as_str(), outcome.cost_micro_usd), ("playbook", 0));
    assert_eq!(outcome.output.causes[0].kind, CauseKind::Dependency, "a full finding all the same");
    let remark = outcome.remark.unwrap();
    assert!(
        remark.contains("no model could be asked (its circuit breaker is open: 2 of 2 calls failed"),
        "{remark}"
    );
    assert!(remark.ends_with("rules concluded in its place"), "{remark}");
    // A person closes one of them.
    two.gates[1].close(at("02:12"), "first-on-call").unwrap();
    two.run(&stage);
    assert_eq!(two.asked(), (before.0, before.1 + 1));
}

#[test]
fn the_switch_stops_all_of_them() {
    let two = Two::new(vec![calls(&[(CONCLUDE, conclusion())])], vec![], Limits::default());
    two.switch.stop("a drill");
    let stage = Stage::new(vec![]);
    let outcome = two.run(&stage);
    assert_eq!((outcome.ended, two.asked()), (Ended::SwitchedOff, (0, 0)));
    assert!(outcome.remark.unwrap().contains("the use of models is switched off: a drill"));
    two.switch.resume();
    assert_eq!(two.run(&stage).ended, Ended::Concluded);
}

#[test]
fn a_wait_for_quota_is_told_and_one_that_is_too_long_falls_through() {
    let done = || vec![calls(&[(CONCLUDE, conclusion())])];
    let limits =
        Limits { requests_per_minute: NonZeroU32::new(1).unwrap(), max_wait_seconds: 1, ..Limits::default() };
    let two = Two::new(done(), done(), limits);
    let stage = Stage::new(vec![]);
    assert_eq!(two.run(&stage).concluded_by, two.first.id());
    let outcome = two.run(&stage);
    assert_eq!((outcome.concluded_by.as_str(), two.asked()), (OTHER, (1, 1)));
    assert!(outcome.remark.unwrap().contains("the wait for the account's quota is longer than 1s"));
    // One a second, and a burst of sixty that is used up.
    let limits = Limits { requests_per_minute: NonZeroU32::new(60).unwrap(), max_wait_seconds: 2, ..limits };
    let two = Two::new(done(), done(), limits);
    block(async {
        for _ in 0..60 {
            two.gates[0].turn(1).await.unwrap();
        }
    });
    assert_eq!(two.run(&stage).concluded_by, two.first.id());
    assert_eq!(told(&stage, |e| matches!(e, AgentEvent::Waited { .. })), 1);
}

#[test]
fn a_ceiling_ends_the_run_and_asks_nobody_else() {
    let two = Two::new(vec![calls(&[(CONCLUDE, conclusion())])], vec![], Limits::default());
    let mut stage = Stage::new(vec![]);
    stage.spend = Spend::new(Arc::new(Prices::embedded().unwrap()), 100);
    let outcome = two.run(&stage);
    assert_eq!((outcome.ended, two.asked()), (Ended::Spend, (0, 0)));
    assert!(outcome.remark.unwrap().contains("100 are left of the ceiling of the incident"));
}
