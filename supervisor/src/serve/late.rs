//! What comes in for an incident later, and what people say of it, into its journal.

use std::collections::HashMap;

use futures::future::join_all;
use midwatch_policy::{HoldState, IncidentId, Timestamp};

use crate::{
    alarm::Alarm,
    event::Event,
    incident::sentence,
    intake::{
        board::{Decision, Ruling},
        inbox::{Noted, Row, Said},
    },
    journal::{Draft, Entry, Journal, JournalError},
    record::{SideDoor, StillAtWork, draft},
    replay::{event_of, key_of},
    run::Run,
};

/// How often an append is tried again when somebody else has appended meanwhile.
const TRIES: u32 = 5;

/// The report of an incident that has one.
pub(super) async fn run(
    journal: &dyn Journal,
    incident: &IncidentId,
) -> Result<Option<Box<Run>>, JournalError> {
    let entries = journal.read(incident).await?;
    let reported = entries.iter().rev().find(|entry| entry.kind == "reported");
    let run = reported.and_then(|entry| serde_json::from_value(entry.body.get("run")?.clone()).ok());
    Ok(run)
}

/// What stands in an incident's journal of an alarm that came in for it.
pub(super) fn event(alarm: &Alarm, ruling: &Ruling) -> Option<Event> {
    match &ruling.decision {
        Decision::Joined { how, leads, .. } => {
            let lead = if *leads { "; the incident is about this one from now on" } else { "" };
            Some(Event::Joined { alarm: alarm.clone(), why: format!("{}{lead}", how.as_str()) })
        }
        Decision::Opened { after: Some(before), handed_back_by: Some(by), .. } => Some(Event::HandedBack {
            by: by.clone(),
            returned_at: None,
            text: format!("{before}, whose alarm fired on: this incident goes on from there"),
        }),
        Decision::Updated { state, all_clear, .. } => Some(Event::StateChanged {
            alarm: alarm.name.clone(),
            state: *state,
            since: alarm.at,
            all_clear: *all_clear,
        }),
        _ => None,
    }
}

/// What people say.
pub(super) fn by_people(said: Said) -> Event {
    match said {
        Said::Acknowledged { by } => Event::Acknowledged { by },
        Said::Note { by, text } => Event::Remarked { by, text },
        Said::Took { by, note } => held(HoldState::Taken, by, &note),
        Said::Stopped { by, note } => held(HoldState::Stopped, by, &note),
    }
}

fn held(state: HoldState, by: String, note: &str) -> Event {
    let text = sentence(state, &by, note);
    Event::Held { state, by, text }
}

/// What came in for an incident and does not stand in its journal.
pub(super) fn missing(rows: &[Row], entries: &[Entry]) -> Vec<Event> {
    let mut there: HashMap<String, u32> = HashMap::new();
    let of_these = |kind: &str| matches!(kind, "joined" | "state_changed" | "handed_back");
    for entry in entries.iter().filter(|entry| of_these(&entry.kind)) {
        if let Some(key) = event_of(entry).as_ref().and_then(key_of) {
            *there.entry(key).or_default() += 1;
        }
    }
    let came = rows.iter().filter_map(|row| match &row.noted {
        Noted::Alarm { alarm, ruling } => event(alarm, ruling),
        Noted::Finished { .. } | Noted::Reopened { .. } => None,
    });
    let absent = came.filter(|event| {
        let Some(count) = key_of(event).and_then(|key| there.get_mut(&key)) else { return true };
        let is_there = *count > 0;
        *count = count.saturating_sub(1);
        !is_there
    });
    absent.collect()
}

/// Through the side door of an incident at work; what it did not take is returned.
pub(super) async fn through(side: &SideDoor, events: Vec<Event>) -> Vec<Event> {
    // All at once: the writer takes what waits in one commit.
    let noted = join_all(events.iter().map(|event| side.commit(event.clone()))).await;
    let zipped = events.into_iter().zip(noted);
    zipped.filter(|(_, noted)| !matches!(noted, Ok(StillAtWork::Yes))).map(|(event, _)| event).collect()
}

/// At the end of the journal of an incident that has ended; nothing if it has none: it ended
/// before it was begun.
pub(super) async fn add(
    journal: &dyn Journal,
    incident: &IncidentId,
    events: &[Event],
    now: Timestamp,
) -> Result<(), JournalError> {
    let mut tried = 0;
    loop {
        match append(journal, incident, events, now).await {
            Err(JournalError::Conflict { .. }) if tried < TRIES => tried += 1,
            done => return done,
        }
    }
}

async fn append(
    journal: &dyn Journal,
    incident: &IncidentId,
    events: &[Event],
    now: Timestamp,
) -> Result<(), JournalError> {
    let Some(head) = journal.head(incident).await? else { return Ok(()) };
    let drafts: Result<Vec<Draft>, _> = events.iter().map(|event| draft(event, now)).collect();
    let drafts = drafts.map_err(JournalError::Canonical)?;
    journal.append(incident, head.entries, drafts).await.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{alarm, alarm::AlarmState, intake::board::How, journal::SqliteJournal};

    #[tokio::test]
    async fn an_incident_that_goes_on_from_one_that_was_handed_back_names_it_once() {
        let (before, by) = (IncidentId::parse("inc-1").unwrap(), "first-on-call".to_owned());
        let incident = IncidentId::parse("inc-2").unwrap();
        let opened = |handed_back_by| Decision::Opened {
            incident: incident.clone(),
            salt: 1,
            after: Some(before.clone()),
            handed_back_by,
        };
        assert_eq!(missing(&[row("a", opened(None))], &[]), []);
        let rows = [row("a", opened(Some(by)))];
        let events = missing(&rows, &[]);
        let [Event::HandedBack { by, text, .. }] = events.as_slice() else { panic!("{events:?}") };
        assert!(by == "first-on-call" && text.contains("inc-1"), "{text}");
        let journal = SqliteJournal::in_memory().unwrap();
        let draft = draft(&events[0], Timestamp::UNIX_EPOCH).unwrap();
        journal.append(&incident, 0, vec![draft]).await.unwrap();
        assert_eq!(missing(&rows, &journal.read(&incident).await.unwrap()), []);
    }

    fn row(name: &str, decision: Decision) -> Row {
        let text = format!(r#"{{"name":"{name}","state":"firing","at":"2026-11-21T02:00:00Z"}}"#);
        let alarm = Box::new(alarm::parse(&text).unwrap());
        let noted = Noted::Alarm { alarm, ruling: Ruling { service: None, decision } };
        Row { at: Timestamp::UNIX_EPOCH, source: "test".to_owned(), message: None, noted }
    }

    #[tokio::test]
    async fn what_a_crash_kept_from_the_journal_is_found_and_nothing_is_noted_twice() {
        let incident = IncidentId::parse("inc-1").unwrap();
        let joined = || Decision::Joined {
            incident: incident.clone(),
            how: How::Repeat,
            leads: false,
            absorbs: Vec::new(),
        };
        let ok = Decision::Updated {
            incident: incident.clone(),
            state: AlarmState::Ok,
            all_clear: true,
            told_at: None,
        };
        let rows = [row("a", joined()), row("a", joined()), row("b", joined()), row("a", ok)];
        let journal = SqliteJournal::in_memory().unwrap();
        let now = Timestamp::UNIX_EPOCH;
        let all = missing(&rows, &[]);
        assert_eq!(
            all.iter().map(Event::kind).collect::<Vec<_>>(),
            ["joined", "joined", "joined", "state_changed"]
        );
        // No journal: nothing to add to.
        add(&journal, &incident, &all, now).await.unwrap();
        assert_eq!(journal.read(&incident).await.unwrap(), []);
        let first = draft(all.first().unwrap(), now).unwrap();
        journal.append(&incident, 0, vec![first]).await.unwrap();
        let missing_now = missing(&rows, &journal.read(&incident).await.unwrap());
        assert_eq!(missing_now.len(), 3, "one of the two alike is there");
        add(&journal, &incident, &missing_now, now).await.unwrap();
        assert_eq!(missing(&rows, &journal.read(&incident).await.unwrap()), []);
    }
}
