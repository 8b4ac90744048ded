//! A request that a person raised again after its incident had ended: the incident goes on with it.
//!
//! The same journal, the same way: everything up to the first end is replayed, which does nothing,
//! and then the new request is seen through by the code that saw the first one through. A second
//! incident for it was rejected: what was found is here, and so is what the person answers to.
//!
//! INVARIANT: it goes on once for each request that was raised, however often it is interrupted.

use midwatch_policy::{Autonomy, RequestId, RequestView, Timestamp};

use crate::{
    decide::{self, Diagnosis},
    event::Event,
    journal::Entry,
    replay::event_of,
    run::{Outcome, RunRaised},
};

use super::{
    Incident,
    pursue::{Pursuit, Reached},
};

/// A request that was raised again.
#[derive(Debug, Clone)]
pub(super) struct Reopened {
    request: RequestView,
    by: String,
    at: Timestamp,
}

/// Whether an incident has its report, and nothing was raised again since.
pub fn has_ended(entries: &[Entry]) -> bool {
    let last = entries.iter().rev().find(|entry| matches!(entry.kind.as_str(), "reported" | "reopened"));
    last.is_some_and(|entry| entry.kind == "reported")
}

/// What was raised again, in order; each request once.
pub(super) fn all(entries: &[Entry]) -> Vec<Reopened> {
    let mut all: Vec<Reopened> = Vec::new();
    for entry in entries.iter().filter(|entry| entry.kind == "reopened") {
        let Some(Event::Reopened { request, by }) = event_of(entry) else { continue };
        if all.iter().all(|known| known.id() != &request.shown.request) {
            all.push(Reopened { request: *request, by, at: entry.at });
        }
    }
    all
}

impl Reopened {
    const fn id(&self) -> &RequestId {
        &self.request.shown.request
    }
}

impl Incident<'_> {
    /// Sees the request through, with what is known of the incident.
    pub(super) async fn go_on(&mut self, reopened: &Reopened) -> Option<Outcome> {
        let Reopened { request, by, at } = reopened;
        self.case.replay.reach(*at);
        let raised = RunRaised { request: request.shown.request.to_string(), by: by.clone(), at: *at };
        self.story.go_on(&self.case, raised);
        self.case.recorder.show(Event::Reopened { request: Box::new(request.clone()), by: by.clone() });

        let action = &request.shown.plan.action;
        let service = self.case.opened.service.clone().filter(|service| service.name == *action.service());
        let (Some(hands), Some(service)) = (self.site.hands.clone(), service) else {
            let why = format!("{by} wants to {action}, which Midwatch cannot do from here");
            self.escalate(None, &why);
            return Some(Outcome::Escalated);
        };
        if service.autonomy != Autonomy::Ask {
            let why = format!(
                "{by} wants to {action}, and the catalog does not let Midwatch act on {service}",
                service = service.name
            );
            self.escalate(None, &why);
            return Some(Outcome::Escalated);
        }
        let diagnosis = self.story.diagnosis.clone().unwrap_or_else(Diagnosis::none);
        let signals = self.story.signals.clone().unwrap_or_default();
        let contract = decide::contract(&self.case, &signals, Some(action));
        let pursuit = Pursuit { service: &service, action, diagnosis: &diagnosis, contract };
        if let Some(outcome) = self.held(&hands).await {
            return Some(outcome);
        }
        // The way back of an act is raised like anything else, and stays beside that act.
        let back = self.story.undo.as_ref().is_some_and(|undo| undo.plan.action == *action);
        let before = if back { self.story.proposal.take() } else { None };
        let outcome = match Box::pin(self.see_through(&hands, &pursuit, request.clone())).await {
            None => None,
            Some(Reached::Ended(outcome)) => Some(outcome),
            Some(Reached::Done) => Box::pin(self.follow_up(&hands, &pursuit)).await,
        };
        if back {
            self.story.undo = self.story.proposal.take();
            self.story.proposal = before;
        }
        outcome
    }
}
