//! Approve: a request lies at the desk until people have answered it, and only what the desk says
//! of it counts.
//!
//! INVARIANT: nothing in this process can approve: whoever answers does so at the desk, as
//! themselves. No answer in time is a decline. A request ends once: approved, declined, expired, or
//! withdrawn because the alarm cleared or a person took the incident over.

use std::time::Duration;

use futures::future::BoxFuture;
use midwatch_agents::view::Alarm;
use midwatch_policy::{Approver, Ask, RequestState, RequestView, SignedDuration};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    case::{Case, args},
    event::Event,
    run::Answer,
    site::Hands,
};

/// How often the alarm is looked at while people are being asked.
const EVERY: Duration = Duration::from_secs(30);
/// Deadline of one look.
const LOOK: Duration = Duration::from_secs(10);
/// How long until the desk is asked again when it does not answer.
const AGAIN: Duration = Duration::from_secs(5);
/// How long after its end a request is still waited for at a desk that does not answer.
const GRACE: SignedDuration = SignedDuration::from_secs(30);

/// Whoever brings a request to people: a terminal, a page, a chat. They answer at the desk.
pub trait Channel: Send + Sync + std::fmt::Debug {
    /// Shows the request to people for as long as the future is kept; returns once nobody will
    /// answer there any more, and says why.
    fn attend<'a>(&'a self, request: &'a RequestView) -> BoxFuture<'a, String>;
}

/// People find the request at the desk themselves.
#[derive(Debug, Clone, Copy, Default)]
pub struct AtTheDesk;

impl Channel for AtTheDesk {
    fn attend<'a>(&'a self, _: &'a RequestView) -> BoxFuture<'a, String> {
        Box::pin(std::future::pending())
    }
}

/// Asks until the request has ended; says how.
pub async fn approve(case: &Case, hands: &Hands, request: RequestView) -> (Answer, RequestView) {
    // One that was raised again may have its answer already: then nobody need be woken.
    if request.state.is_open() {
        case.recorder.note(Event::Asked {
            request: request.shown.request.to_string(),
            whom: request.shown.whom(),
            expires_at: request.shown.expires_at,
        });
        case.recorder.flush().await;
    }
    let Ended { answer, request, event } = case.step("approve", wait(case, hands, request)).await;
    case.recorder.note(event);
    (answer, request)
}

/// How a request ended, as it is journaled.
#[derive(Serialize, Deserialize)]
struct Ended {
    answer: Answer,
    request: RequestView,
    event: Event,
}

/// Waits for the request's end; it does not matter how often that is begun anew.
async fn wait(case: &Case, hands: &Hands, request: RequestView) -> Ended {
    let id = request.shown.request.clone();
    let mut view = request;
    while view.state.is_open() {
        let end = tokio::select! {
            biased;
            () = case.cancel.cancelled() => End::Withdraw("midwatch was told to end".to_owned()),
            changed = hands.desk.wait(&id, &view.state) => match changed {
                Ok(changed) => End::Changed(Box::new(changed)),
                Err(error) => End::Unreachable(error.to_string()),
            },
            why = hands.channel.attend(&view) => End::Withdraw(why),
            () = cleared(case) => End::Withdraw(CLEARED.to_owned()),
        };
        match end {
            End::Changed(changed) => {
                partly(case, &view, &changed);
                view = *changed;
            }
            End::Withdraw(why) => match hands.desk.withdraw(&id, &why).await {
                Ok(withdrawn) => view = withdrawn,
                // It may have been answered in this very moment: what the desk says next counts.
                Err(error) if !over(case, &view) => {
                    tracing::warn!(%error, "a request could not be withdrawn");
                    case.clock.sleep(AGAIN).await;
                }
                Err(error) => return lost(view, &error.to_string()),
            },
            End::Unreachable(why) if over(case, &view) => return lost(view, &why),
            End::Unreachable(why) => {
                tracing::warn!(why, "the desk does not answer");
                case.clock.sleep(AGAIN).await;
            }
        }
    }
    let answer = answer(&view.state);
    Ended { answer, event: answered(&view.state, answer), request: view }
}

/// Why a request is withdrawn when its alarm clears.
const CLEARED: &str = "the alarm cleared";

enum End {
    Changed(Box<RequestView>),
    Withdraw(String),
    Unreachable(String),
}

fn over(case: &Case, view: &RequestView) -> bool {
    view.shown.expires_at.checked_add(GRACE).is_ok_and(|end| case.now() >= end)
}

/// The desk has not been heard of since before the request's end: nobody's answer is known.
fn lost(request: RequestView, why: &str) -> Ended {
    let note = Some(format!("the desk does not answer: {why}"));
    let event = Event::Answered { answer: Answer::Expired, by: None, channel: None, note, partly: false };
    Ended { answer: Answer::Expired, request, event }
}

/// One of several has approved: said as it happens.
fn partly(case: &Case, before: &RequestView, now: &RequestView) {
    let RequestState::Open { approvers } = &now.state else { return };
    for approver in approvers.iter().skip(before.state.approvers().len()) {
        case.recorder.note(Event::Answered {
            answer: Answer::Approved,
            by: Some(approver.name.clone()),
            channel: Some(approver.channel.clone()),
            note: Some(format!("still to approve: {}", in_words(&now.wanted))),
            partly: true,
        });
    }
}

/// What became of a request.
const fn answer(state: &RequestState) -> Answer {
    match state {
        RequestState::Approved { .. } | RequestState::Used { .. } => Answer::Approved,
        RequestState::Declined { .. } | RequestState::Revoked { .. } => Answer::Declined,
        RequestState::Expired { .. } | RequestState::Open { .. } => Answer::Expired,
        RequestState::Withdrawn { .. } => Answer::Withdrawn,
    }
}

fn answered(state: &RequestState, answer: Answer) -> Event {
    let (by, channel, note) = match state {
        RequestState::Approved { approvers, .. } | RequestState::Used { approvers, .. } => {
            (Some(names(approvers)), approvers.last().map(|a| a.channel.clone()), None)
        }
        RequestState::Declined { by, reason, .. } | RequestState::Revoked { by, reason, .. } => {
            (Some(by.clone()), None, Some(reason.clone()).filter(|r| !r.is_empty()))
        }
        RequestState::Withdrawn { why, .. } => (None, None, Some(why.clone())),
        RequestState::Open { .. } | RequestState::Expired { .. } => (None, None, None),
    };
    Event::Answered { answer, by, channel, note, partly: false }
}

/// Whom it waits for, in words.
fn in_words(asks: &[Ask]) -> String {
    asks.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

/// Who approved, in words.
pub fn names(approvers: &[Approver]) -> String {
    approvers.iter().map(|a| a.name.as_str()).collect::<Vec<_>>().join(" and ")
}

/// Returns once the alarm is back in OK.
async fn cleared(case: &Case) {
    let service = case.opened.service.as_ref().map(|s| s.name.clone());
    loop {
        case.clock.sleep(EVERY).await;
        let arguments = args([("alarm_name", json!(case.opened.alarm.name)), ("service", json!(service))]);
        let Ok(admitted) = case.read("metrics", "get_alarm", arguments, LOOK).await else { continue };
        let alarm: Result<Alarm, _> = serde_json::from_value(admitted.result);
        if alarm.is_ok_and(|alarm| alarm.state == "OK") {
            return;
        }
    }
}
