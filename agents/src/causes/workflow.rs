//! What executions of the service's state machine say: whom the failing state calls and on whose
//! refusal it fails.

use midwatch_policy::{CauseKind, Timestamp};

use super::{RankedCause, Weighing, add_runbook, fact};
use crate::{signals::Signals, view::WorkflowFailure};

/// How long before the onset a changed definition is worth naming.
const CHANGED_S: i64 = 1800;

/// The failure, where more fail than before.
fn failure(signals: &Signals) -> Option<&WorkflowFailure> {
    signals.executions.as_ref().filter(|executions| executions.failing())?;
    signals.workflow_failure.as_ref()
}

fn callee(failure: &WorkflowFailure) -> Option<&str> {
    failure.called.as_ref()?.name.as_deref()
}

/// Adds what the failing state names as a cause. What the logs named already gets more of it.
pub(super) fn weigh(signals: &Signals, causes: &mut Vec<RankedCause>) {
    let Some(failure) = failure(signals) else { return };
    let own = signals.scene.service.as_deref();
    let called = callee(failure).filter(|name| Some(*name) != own);
    let (kind, reference, why) = match (failure.class.as_str(), called) {
        ("throttling", called) => (
            CauseKind::Throttling,
            called.or(own),
            "the failing state of the workflow is refused over a limit",
        ),
        ("callee" | "timeout", Some(called)) => {
            (CauseKind::Dependency, Some(called), "the failing state of the workflow calls it")
        }
        _ => return,
    };
    let declared = called.is_some_and(|name| signals.scene.depends_on.iter().any(|d| d == name));
    let mut weighing = Weighing::new(kind, reference.map(str::to_owned));
    let weight = if kind == CauseKind::Throttling { 0.5 } else { 0.35 };
    weighing.add(why, weight, fact::workflow_failure(failure));
    weighing.add("more executions fail than before", 0.1, fact::executions(signals));
    if called.is_some() {
        weighing.add("the execution's history names it", 0.1, None);
    }
    if declared {
        weighing.add("the service is known to call it", 0.08, None);
    }
    let known = causes.iter().position(|c| c.kind == kind && c.reference.as_deref() == reference);
    if let Some(known) = known.and_then(|at| causes.get_mut(at)) {
        // One cause, seen twice, in the logs and in the workflow: what says less of it counts half.
        let own = weighing.done();
        let (more, less) = if own.score > known.score { (own, known.clone()) } else { (known.clone(), own) };
        let mut both = Weighing(more);
        for factor in less.factors {
            both.0.factors.push(super::Factor { weight: factor.weight / 2.0, ..factor });
        }
        *known = both.done();
    } else {
        add_runbook(&mut weighing, signals, 0.15);
        causes.push(weighing.done());
    }
}

/// What the failing state says of a deployment of the service that began before the onset.
pub(super) fn add_to_deployment(weighing: &mut Weighing, signals: &Signals, onset: Timestamp, near: f64) {
    let Some(failure) = failure(signals) else { return };
    let own = signals.scene.service.as_deref();
    match (failure.class.as_str(), callee(failure)) {
        ("throttling", _) => {
            weighing.add(
                "the workflow fails on a refusal over a limit",
                -0.35,
                fact::workflow_failure(failure),
            );
        }
        ("callee" | "timeout", Some(name)) if Some(name) == own => {
            weighing.add(
                "the failing state of the workflow calls this service",
                0.1 + 0.1 * near,
                fact::workflow_failure(failure),
            );
        }
        ("data_limit" | "permissions" | "definition", _) => {
            weighing.add("the workflow itself refuses, before it calls anything", -0.2, None);
        }
        _ => {}
    }
    let changed =
        failure.revision_since.is_some_and(|at| (0..CHANGED_S).contains(&onset.duration_since(at).as_secs()));
    let differs = signals.workflow_compared.as_ref().is_some_and(|c| c.same_definition == Some(false));
    if changed && differs {
        weighing.add("the workflow's definition changed as well", -0.15, fact::definition_changed(signals));
    }
}
