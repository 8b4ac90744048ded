//! Replay: how an incident that was interrupted goes on where it was.
//!
//! Work whose outcome is no pure function of what came before (a read, a model, a person, an act)
//! is a *step*: its outcome is journaled when it is done. Going on means running the same code
//! once more from the beginning, where every step that is done gives its outcome at once, and what
//! was noted between steps is recognised and not noted twice; the first step that is not done is
//! where life begins again. A saved state for each stage was rejected: it would be a second
//! description of the same way, and the two would disagree one day.
//!
//! INVARIANT: between steps nothing is read, asked or done. A step that was interrupted is begun
//! anew, except for an act: that is settled by reading (see `act`).

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use midwatch_agents::{
    budget::Total,
    events::AgentEvent,
    evidence::{Evidence, EvidenceBook, Origin},
};
use midwatch_policy::{EvidenceId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    event::Event,
    journal::{Entry, Journal, JournalError},
};

/// What the journal holds of an incident's work. Empty for a new one.
#[derive(Debug, Default)]
pub struct Replay {
    past: Mutex<Past>,
    /// Acts that were begun, by their requests, and what is known of them.
    begun: BTreeMap<String, Begun>,
}

#[derive(Debug, Default)]
struct Past {
    /// Outcomes of steps, with the time they were done.
    done: HashMap<String, (Timestamp, Value)>,
    /// Events that were noted, and how often.
    noted: HashMap<String, u32>,
    /// The moment that is lived through again; none once work is real.
    at: Option<Timestamp>,
    /// How often each name came so far.
    counts: BTreeMap<String, u32>,
}

/// An act that was begun before the interruption.
#[derive(Debug, Clone, PartialEq)]
pub struct Begun {
    /// When its intent was written down.
    pub at: Timestamp,
    /// What was answered, if that was written down.
    pub answer: Option<Answered>,
}

/// What the tool answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered {
    /// `done`, `refused`, `failed` or `ambiguous`.
    pub outcome: String,
    /// What the target said.
    pub detail: String,
    /// The permit that was used.
    pub permit_id: Option<String>,
}

impl Replay {
    /// What these entries hold, in their order.
    pub fn of(entries: &[Entry]) -> Self {
        let mut past = Past { at: entries.first().map(|entry| entry.at), ..Past::default() };
        let mut begun: BTreeMap<String, Begun> = BTreeMap::new();
        // Of several acts, each is answered before the next one is begun.
        let mut last = String::new();
        for entry in entries {
            match event_of(entry) {
                Some(Event::StepDone { step, output }) => {
                    past.done.insert(step, (entry.at, output));
                }
                Some(event) => {
                    match &event {
                        Event::Intended { request, .. } => {
                            last.clone_from(request);
                            begun.insert(request.clone(), Begun { at: entry.at, answer: None });
                        }
                        Event::Acted { outcome, detail, permit_id } => {
                            let (outcome, detail) = (outcome.clone(), detail.clone());
                            let answer = Answered { outcome, detail, permit_id: permit_id.clone() };
                            if let Some(begun) = begun.get_mut(&last) {
                                begun.answer = Some(answer);
                            }
                        }
                        _ => {}
                    }
                    if let Some(key) = key_of(&event) {
                        *past.noted.entry(key).or_default() += 1;
                    }
                }
                // Written by a later version: it cannot be noted again either.
                None => {}
            }
        }
        Self { past: Mutex::new(past), begun }
    }

    /// The name of the next step called `name`: the same code gives the same names.
    pub fn name(&self, name: &str) -> String {
        let mut past = self.past();
        let count = past.counts.entry(name.to_owned()).or_default();
        *count += 1;
        if *count == 1 { name.to_owned() } else { format!("{name}#{count}") }
    }

    /// The outcome of a step that is done.
    pub fn done(&self, step: &str) -> Option<Value> {
        let mut past = self.past();
        let (at, output) = past.done.remove(step)?;
        // Steps that were done side by side are gone through in another order.
        past.at = past.at.map(|before| before.max(at));
        Some(output)
    }

    /// What is lived through again has come to this moment.
    pub fn reach(&self, at: Timestamp) {
        let mut past = self.past();
        past.at = past.at.map(|before| before.max(at));
    }

    /// From here on work is real.
    pub fn live(&self) {
        let mut past = self.past();
        past.at = None;
        past.noted = HashMap::new();
    }

    /// The moment that is lived through again, if one is.
    pub fn at(&self) -> Option<Timestamp> {
        self.past().at
    }

    /// Whether the journal holds this event already; each time it is asked uses up one.
    pub fn was_noted(&self, event: &Event) -> bool {
        let mut past = self.past();
        if past.noted.is_empty() {
            return false;
        }
        let Some(count) = key_of(event).and_then(|key| past.noted.get_mut(&key)) else { return false };
        let was = *count > 0;
        *count = count.saturating_sub(1);
        was
    }

    /// The act for this request, if it was begun before the interruption.
    pub fn begun(&self, request: &str) -> Option<&Begun> {
        self.begun.get(request)
    }

    fn past(&self) -> MutexGuard<'_, Past> {
        // Every change is complete: a poisoned lock is still right.
        self.past.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The event of an entry; nothing if this version does not know it.
pub fn event_of(entry: &Entry) -> Option<Event> {
    serde_json::from_value(entry.body.clone()).ok()
}

/// What makes two events the same: all of them but when they were.
pub fn key_of(event: &Event) -> Option<String> {
    serde_json_canonicalizer::to_string(event).ok()
}

/// What was spent, by the calls that are journaled.
pub fn spent(entries: &[Entry]) -> Total {
    let mut total = Total::default();
    for entry in entries.iter().filter(|entry| entry.kind == "agent") {
        match event_of(entry) {
            Some(Event::Agent { agent: AgentEvent::Turn { usage, cost_micro_usd, .. } }) => {
                total.model_calls += 1;
                total.usage.add(usage);
                total.cost_micro_usd = total.cost_micro_usd.saturating_add(cost_micro_usd);
            }
            Some(Event::Agent { agent: AgentEvent::ModelFailed { cost_micro_usd, .. } }) => {
                total.model_calls += 1;
                total.cost_micro_usd = total.cost_micro_usd.saturating_add(cost_micro_usd);
                total.assumed_micro_usd = total.assumed_micro_usd.saturating_add(cost_micro_usd);
            }
            _ => {}
        }
    }
    total
}

#[derive(Deserialize)]
struct Kept {
    id: EvidenceId,
    source: String,
    reference: String,
    sha256: String,
    #[serde(default)]
    args: Map<String, Value>,
    read_at: Option<Timestamp>,
}

/// The book of evidence as it was kept.
pub async fn book(journal: &dyn Journal, entries: &[Entry]) -> Result<EvidenceBook, JournalError> {
    let mut pieces = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.kind == "evidence_kept") {
        let Ok(kept) = serde_json::from_value::<Kept>(entry.body.clone()) else { continue };
        let Some(bytes) = journal.kept(&kept.sha256).await? else { continue };
        let Ok(bytes) = String::from_utf8(bytes) else { continue };
        let (server, tool) = kept.source.split_once('.').unwrap_or((&kept.source, ""));
        let origin = Origin {
            server: server.to_owned(),
            tool: tool.to_owned(),
            args: kept.args,
            at: kept.read_at.unwrap_or(entry.at),
        };
        let number: usize = kept.id.as_str().trim_start_matches('E').parse().unwrap_or(usize::MAX);
        let Kept { id, reference, sha256, .. } = kept;
        pieces.insert(number, Evidence::kept(id, reference, origin, bytes, sha256));
    }
    Ok(EvidenceBook::restored(pieces.into_values()))
}

#[cfg(test)]
mod tests {
    use midwatch_policy::{Action, IncidentId, ServiceName};

    use super::*;

    fn entries(events: &[Event]) -> Vec<Entry> {
        let entry = |(seq, event): (u32, &Event)| Entry {
            incident: IncidentId::parse("inc-1").unwrap(),
            seq,
            at: Timestamp::from_second(1_795_000_000 + i64::from(seq)).unwrap(),
            kind: event.kind().to_owned(),
            body: serde_json::to_value(event).unwrap(),
            prev: String::new(),
            hash: String::new(),
        };
        (1..).zip(events).map(entry).collect()
    }

    fn at(seq: u32) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + i64::from(seq)).unwrap()
    }

    fn done(step: &str) -> Event {
        Event::StepDone { step: step.to_owned(), output: Value::from(step) }
    }

    #[test]
    fn steps_that_are_done_give_their_outcome_once_and_time_does_not_go_back() {
        let replay = Replay::of(&entries(&[done("sweep"), done("b"), done("a"), done("hold#2")]));
        assert_eq!(replay.at(), Some(at(1)));
        for (name, step, seq) in [("sweep", "sweep", 1), ("a", "a", 3), ("b", "b", 3)] {
            assert_eq!(replay.name(name), step);
            assert_eq!(replay.done(step), Some(Value::from(step)));
            assert_eq!(replay.at(), Some(at(seq)));
        }
        assert_eq!((replay.name("hold"), replay.name("hold")), ("hold".to_owned(), "hold#2".to_owned()));
        assert_eq!(replay.done("hold"), None);
        replay.live();
        assert_eq!(replay.done("hold#2"), Some(Value::from("hold#2")));
        assert_eq!(replay.at(), None);
    }

    #[test]
    fn what_was_noted_is_recognised_as_often_as_it_was_noted() {
        let note = || Event::NothingProposed { why: "so".to_owned() };
        let replay = Replay::of(&entries(&[note(), note(), done("a")]));
        assert!(replay.was_noted(&note()) && replay.was_noted(&note()));
        assert!(!replay.was_noted(&note()));
        let replay = Replay::of(&entries(&[note()]));
        assert!(!replay.was_noted(&Event::NothingProposed { why: "other".to_owned() }));
        replay.live();
        assert!(!replay.was_noted(&note()));
    }

    #[test]
    fn every_act_that_was_begun_is_known_with_its_own_answer() {
        let action = Action::RestartService { service: ServiceName::parse("a").unwrap() };
        let intended =
            |request: &str| Event::Intended { action: action.clone(), request: request.to_owned() };
        let acted = Event::Acted { outcome: "done".to_owned(), detail: String::new(), permit_id: None };
        let replay = Replay::of(&entries(&[intended("r1"), acted, intended("r2")]));
        assert_eq!(replay.begun("r1").unwrap().answer.as_ref().unwrap().outcome, "done");
        assert_eq!(replay.begun("r2"), Some(&Begun { at: at(3), answer: None }));
        assert_eq!(replay.begun("r3"), None);
    }
}
