//! Approve: a person is asked, and only their answer counts.
//!
//! INVARIANT: no answer in time is a decline. A request ends once: approved, declined, expired, or
//! withdrawn because the alarm cleared while it was open.

use std::time::Duration;

use futures::future::BoxFuture;
use midwatch_agents::view::Alarm;
use midwatch_policy::{IncidentId, Plan, RequestId, Timestamp};
use serde_json::json;

use crate::{
    case::{Case, args},
    event::Event,
    run::Answer,
};

/// How often the alarm is looked at while a person is being asked.
const EVERY: Duration = Duration::from_secs(30);
/// Deadline of one look.
const LOOK: Duration = Duration::from_secs(10);

/// What a person is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    /// The request at the desk.
    pub request: RequestId,
    /// The incident.
    pub incident: IncidentId,
    /// What would be done: the plan that the desk fetched itself.
    pub plan: Plan,
    /// Who may answer, in words.
    pub whom: String,
    /// The roles that may answer.
    pub roles: Vec<String>,
    /// Who has approved already, where several have to.
    pub already: Vec<String>,
    /// When it counts as declined.
    pub expires_at: Timestamp,
}

/// What a person answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Whether they approve.
    pub approve: bool,
    /// Their name.
    pub by: String,
    /// The role in which they answer.
    pub role: String,
    /// The way their answer came.
    pub channel: String,
    /// What they said.
    pub note: Option<String>,
}

/// Someone who can be asked.
pub trait Approver: Send + Sync + std::fmt::Debug {
    /// Asks, and waits for the answer; for ever, if there is none.
    fn ask<'a>(&'a self, question: &'a Question) -> BoxFuture<'a, Reply>;

    /// Returns once it is known that nobody will answer, and says why; for ever until then.
    fn gone(&self) -> BoxFuture<'_, String> {
        Box::pin(std::future::pending())
    }
}

/// Nobody is there.
#[derive(Debug, Clone, Copy, Default)]
pub struct Nobody;

impl Approver for Nobody {
    fn ask<'a>(&'a self, _: &'a Question) -> BoxFuture<'a, Reply> {
        Box::pin(std::future::pending())
    }
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// How.
    pub answer: Answer,
    /// The reply, where there was one.
    pub reply: Option<Reply>,
}

/// Asks a person, until they answer, the request expires or the alarm clears.
pub async fn approve(case: &Case, approver: &dyn Approver, question: &Question) -> Ended {
    if question.already.is_empty() {
        case.recorder.note(Event::Asked {
            request: question.request.to_string(),
            whom: question.whom.clone(),
            expires_at: question.expires_at,
        });
    }
    case.recorder.flush().await;
    let left = Duration::try_from(question.expires_at.duration_since(case.now())).unwrap_or(Duration::ZERO);
    let mut why = None;
    let ended = tokio::select! {
        biased;
        () = case.cancel.cancelled() => Ended { answer: Answer::Withdrawn, reply: None },
        reply = approver.ask(question) => {
            // An answer that arrives late is no answer.
            let answer = match (case.now() < question.expires_at, reply.approve) {
                (true, true) => Answer::Approved,
                (true, false) => Answer::Declined,
                (false, _) => Answer::Expired,
            };
            Ended { answer, reply: Some(reply) }
        }
        gone = approver.gone() => {
            why = Some(gone);
            Ended { answer: Answer::Expired, reply: None }
        }
        () = case.clock.sleep(left) => Ended { answer: Answer::Expired, reply: None },
        () = cleared(case) => Ended { answer: Answer::Withdrawn, reply: None },
    };
    case.recorder.note(Event::Answered {
        answer: ended.answer,
        by: ended.reply.as_ref().map(|r| r.by.clone()),
        channel: ended.reply.as_ref().map(|r| r.channel.clone()),
        note: why.or_else(|| ended.reply.as_ref().and_then(|r| r.note.clone())),
    });
    ended
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
