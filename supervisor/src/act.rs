//! Act: the tool is called once, after the intent is durable.
//!
//! INVARIANT: nothing is called that is not in the journal first, and nothing is called twice. When
//! it is not known whether a call took effect, the target is read until it shows that it did, or
//! that it did not; the call is never repeated.

use std::time::Duration;

use midwatch_agents::{
    model::CallLimits,
    tools::{FailureKind, ToolCall, ToolFailure},
    view::{DeploymentList, Health},
};
use midwatch_policy::{Action, ExpectedState, Plan, Shown, SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::{
    case::{Case, args, time},
    event::Event,
    record::RecordError,
    replay::{Answered, Begun},
    run::{RunAction, Settled},
    site::Hands,
    tools::Mutations,
};

/// Real time that the call may take.
const ACT_TIMEOUT: Duration = Duration::from_mins(3);
/// How often the target is read to settle an unknown outcome, and how long after the call began at
/// least: until then it may still be under way. Of what was begun long ago it is read some times.
const SETTLE_EVERY: Duration = Duration::from_secs(20);
const SETTLE_FOR: SignedDuration = SignedDuration::from_secs(ACT_TIMEOUT.as_secs().cast_signed() + 20);
const SETTLE_LOOKS: u32 = 4;
/// And not more often, whatever the clock does.
const SETTLE_MOST: u32 = 20;
/// Deadline of one look.
const LOOK: Duration = Duration::from_secs(10);

/// Does what was approved, once. An act that was begun before an interruption is not begun again.
pub async fn act(case: &Case, hands: &Hands, shown: &Shown) -> Result<RunAction, RecordError> {
    let (action, request) = (&shown.plan.action, shown.request.to_string());
    let (answer, begun) = if let Some(Begun { answer, at, .. }) = case.replay.begun(&request) {
        (answer.clone().unwrap_or_else(interrupted), *at)
    } else {
        case.recorder.commit(Event::Intended { action: action.clone(), request }).await?;
        let begun = case.now();
        (call(case, action).await, begun)
    };
    let settled =
        if answer.outcome == "ambiguous" { Some(settle(case, hands, shown, begun).await) } else { None };
    Ok(RunAction {
        tool: action.kind().tool().to_owned(),
        target: action.service().to_string(),
        outcome: answer.outcome,
        arguments: action.arguments(),
        permit_id: answer.permit_id,
        detail: answer.detail,
        settled,
    })
}

/// Calls the tool and writes down what it answered.
async fn call(case: &Case, action: &Action) -> Answered {
    let call = ToolCall {
        server: "remediation".to_owned(),
        tool: action.kind().tool().to_owned(),
        args: action.arguments(),
    };
    let limits = CallLimits::within(ACT_TIMEOUT);
    let answered = read(Mutations(case.tools.toolbox()).call(&call, &limits).await);
    let Answered { outcome, detail, permit_id } = answered.clone();
    // The act has happened; a journal that fails now must not hide it from the report.
    if let Err(error) = case.recorder.commit(Event::Acted { outcome, detail, permit_id }).await {
        tracing::error!(%error, "outcome of an action could not be journaled");
    }
    answered
}

/// Midwatch ended between the intent and the answer.
fn interrupted() -> Answered {
    let detail = "Midwatch was interrupted before the answer was written down".to_owned();
    Answered { outcome: "ambiguous".to_owned(), detail, permit_id: None }
}

fn read(answer: Result<Value, ToolFailure>) -> Answered {
    match answer {
        Ok(answer) => {
            let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            let known = text("/outcome")
                .filter(|o| matches!(o.as_str(), "done" | "refused" | "failed" | "ambiguous"));
            let detail = match (text("/reason/kind"), text("/reason/message")) {
                (Some(kind), Some(message)) => format!("{kind}: {message}"),
                (None, Some(message)) => message,
                (_, None) => calls(&answer),
            };
            // An answer that says nothing known may stand for anything.
            let outcome = known.unwrap_or_else(|| "ambiguous".to_owned());
            Answered { outcome, detail, permit_id: text("/permit_id") }
        }
        Err(failure) => {
            let outcome = match failure.kind {
                FailureKind::Invalid
                | FailureKind::NotFound
                | FailureKind::Refused
                | FailureKind::AccessDenied
                | FailureKind::ExpiredCredentials
                | FailureKind::Throttled => "failed",
                FailureKind::Timeout | FailureKind::Unavailable | FailureKind::Internal => "ambiguous",
            };
            Answered { outcome: outcome.to_owned(), detail: failure.to_string(), permit_id: None }
        }
    }
}

fn calls(answer: &Value) -> String {
    let list = answer.get("calls").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let each: Vec<String> = list
        .iter()
        .filter_map(|call| Some(format!("{} {}", call.get("api")?.as_str()?, call.get("detail")?.as_str()?)))
        .collect();
    each.join("; ")
}

/// Settles what became of the call: the permit is taken back, should it not have been used, and
/// the target is read until it shows.
async fn settle(case: &Case, hands: &Hands, shown: &Shown, begun: Timestamp) -> Settled {
    if let Err(error) = hands.desk.withdraw(&shown.request, "it is not known whether it was done").await {
        tracing::debug!(%error, "the permit of an act in doubt was not taken back");
    }
    let mut looks = 0;
    let settled = loop {
        case.clock.sleep(SETTLE_EVERY).await;
        let settled = look(case, &shown.plan, begun).await;
        looks += 1;
        let late = case.now().duration_since(begun) >= SETTLE_FOR;
        let over = (looks >= SETTLE_LOOKS && late) || looks >= SETTLE_MOST;
        if over || settled == Settled::TookEffect {
            break settled;
        }
    };
    let text = match settled {
        Settled::TookEffect => "the target shows that it took effect",
        Settled::NoEffect => "the target shows that it did not take effect",
        Settled::Unknown => "the target does not show whether it took effect",
    };
    case.recorder.note(Event::Settled { text: text.to_owned() });
    settled
}

async fn look(case: &Case, plan: &Plan, begun: Timestamp) -> Settled {
    let service = json!(plan.action.service());
    match &plan.terms.expected {
        ExpectedState::CodeDeployDeployment { deployment_id, .. } => {
            let from = begun.saturating_sub(SignedDuration::from_hours(24)).unwrap_or(begun);
            let arguments = args([("service", service), ("from", time(from)), ("to", time(case.now()))]);
            let Ok(admitted) = case.read("deployments", "list_deployments", arguments, LOOK).await else {
                return Settled::Unknown;
            };
            let Ok(list) = serde_json::from_value::<DeploymentList>(admitted.result) else {
                return Settled::Unknown;
            };
            let newest = list.deployments.iter().max_by_key(|d| d.created_at);
            let replaced = newest.is_some_and(|d| {
                d.deployment_id != deployment_id.as_str() && d.created_at.is_some_and(|at| at >= begun)
            });
            let taken_back = list.deployments.iter().any(|d| {
                d.deployment_id == deployment_id.as_str()
                    && matches!(
                        d.status,
                        midwatch_agents::brief::DeploymentStatus::Stopped
                            | midwatch_agents::brief::DeploymentStatus::RolledBack
                    )
            });
            if replaced || taken_back { Settled::TookEffect } else { Settled::NoEffect }
        }
        ExpectedState::EcsDeployment { primary_deployment_id, .. } => {
            let Some((_, raw)) = health(case, service).await else { return Settled::Unknown };
            match raw.get("primary_deployment_id").and_then(Value::as_str) {
                Some(id) if id != primary_deployment_id.as_str() => Settled::TookEffect,
                Some(_) => Settled::NoEffect,
                None => Settled::Unknown,
            }
        }
        ExpectedState::EcsDesiredCount { desired_count, .. } => {
            let Some((health, _)) = health(case, service).await else { return Settled::Unknown };
            match health.desired {
                Some(desired) if desired != *desired_count => Settled::TookEffect,
                Some(_) => Settled::NoEffect,
                None => Settled::Unknown,
            }
        }
    }
}

async fn health(case: &Case, service: Value) -> Option<(Health, Value)> {
    let admitted =
        case.read("deployments", "service_health", args([("service", service)]), LOOK).await.ok()?;
    Some((serde_json::from_value(admitted.result.clone()).ok()?, admitted.result))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(answer: Result<Value, ToolFailure>) -> String {
        read(answer).outcome
    }

    #[test]
    fn what_is_not_clearly_done_is_never_called_done() {
        assert_eq!(outcome(Ok(json!({ "outcome": "done", "calls": [] }))), "done");
        assert_eq!(
            outcome(Ok(json!({ "outcome": "refused", "reason": { "kind": "stale", "message": "m" } }))),
            "refused"
        );
        assert_eq!(outcome(Ok(json!({}))), "ambiguous");
        assert_eq!(outcome(Ok(json!({ "outcome": "splendid" }))), "ambiguous");
        assert_eq!(outcome(Err(ToolFailure::new(FailureKind::Timeout, "t"))), "ambiguous");
        assert_eq!(outcome(Err(ToolFailure::new(FailureKind::Unavailable, "gone"))), "ambiguous");
        assert_eq!(outcome(Err(ToolFailure::new(FailureKind::Invalid, "i"))), "failed");
    }
}
