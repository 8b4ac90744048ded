//! What comes in for an incident later, into its journal.

use futures::future::join_all;
use midwatch_policy::{IncidentId, Timestamp};

use crate::{
    event::Event,
    intake::{
        board::Decision,
        door::Effect,
        inbox::{Noted, Row},
    },
    journal::{Draft, Journal, JournalError},
    record::{SideDoor, StillAtWork},
    run::Run,
};

/// How often an append is tried again when somebody else has appended meanwhile.
const TRIES: u32 = 5;

/// The report of an incident that has one.
pub(super) async fn run(journal: &dyn Journal, incident: &IncidentId) -> Option<Box<Run>> {
    let entries = journal.read(incident).await.ok()?;
    let reported = entries.iter().rev().find(|entry| entry.kind == "reported")?;
    serde_json::from_value(reported.body.get("run")?.clone()).ok()
}

/// What is written down of what came in.
pub(super) fn events(effects: Vec<Effect>) -> Vec<Event> {
    let event = |effect| match effect {
        Effect::Tell { alarm, why, .. } => Some(Event::Joined { alarm: *alarm, why }),
        Effect::Opened { .. } | Effect::Absorbed { .. } => None,
    };
    effects.into_iter().filter_map(event).collect()
}

/// What joined an incident before it was begun.
pub(super) fn before(rows: Vec<Row>) -> Vec<Event> {
    let joined = rows.into_iter().filter_map(|row| match row.noted {
        Noted::Alarm { alarm, ruling } => match ruling.decision {
            Decision::Joined { how, .. } => {
                Some(Event::Joined { alarm: *alarm, why: how.as_str().to_owned() })
            }
            _ => None,
        },
        Noted::Finished { .. } => None,
    });
    joined.collect()
}

/// Through the side door of an incident at work; what it did not take is returned.
pub(super) async fn through(side: &SideDoor, events: Vec<Event>) -> Vec<Event> {
    // All at once: the writer takes what waits in one commit.
    let noted = join_all(events.iter().map(|event| side.commit(event.clone()))).await;
    let zipped = events.into_iter().zip(noted);
    zipped.filter(|(_, noted)| matches!(noted, Ok(StillAtWork::No))).map(|(event, _)| event).collect()
}

/// At the end of the journal of an incident that has ended. What cannot be written there is in the
/// inbox all the same.
pub(super) async fn add(journal: &dyn Journal, incident: &IncidentId, events: &[Event], now: Timestamp) {
    for _ in 0..TRIES {
        match append(journal, incident, events, now).await {
            Ok(()) => return,
            Err(JournalError::Conflict { .. }) => {}
            Err(error) => {
                tracing::warn!(%incident, %error, "what came in later is in the inbox only");
                return;
            }
        }
    }
}

/// Appends, if there is a journal: an incident that ended before it was begun has none.
async fn append(
    journal: &dyn Journal,
    incident: &IncidentId,
    events: &[Event],
    now: Timestamp,
) -> Result<(), JournalError> {
    let Some(head) = journal.head(incident).await? else { return Ok(()) };
    let drafts: Result<Vec<Draft>, serde_json::Error> = events
        .iter()
        .map(|event| Ok(Draft { at: now, kind: event.kind().to_owned(), body: serde_json::to_value(event)? }))
        .collect();
    journal.append(incident, head.entries, drafts.map_err(JournalError::Canonical)?).await.map(drop)
}
