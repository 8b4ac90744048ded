//! What people gave back: a request of an incident that has ended and was raised again, and an
//! incident that was taken over, has ended so and was handed back. The desk is asked every few
//! seconds; whose answer it is does not matter, nor whether this process ran then.
//!
//! A request goes on in its own incident: the person answers to what that one found. An incident
//! that is handed back is looked at anew, as a new one for the alarms that still fire: what the old
//! one saw is as old as the taking over, and the person may have changed something since.
//!
//! INVARIANTS:
//! - that an incident goes on is in the inbox before it is in its journal, and there before anything
//!   is done for it: whatever comes between, it is found again;
//! - nothing goes on twice for one request or one handing back: the journal says what did;
//! - what cannot be asked or written is red, and tried again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use midwatch_policy::{GivenBack, Hold, IncidentId, RequestId, RequestView, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::{
    alarm::Alarm,
    event::Event,
    incident::has_ended,
    intake::{
        board::Decision,
        door::Onward,
        inbox::{Noted, Row},
        queue::Waiting,
        service_of,
    },
    journal::Entry,
    replay::event_of,
    run::Outcome,
    site::Site,
};

use super::{crew::Crew, late};

/// How often the desk is asked.
const EVERY: Duration = Duration::from_secs(5);
/// How long it may take to answer. Real time, since it is for I/O.
const LONGEST: Duration = Duration::from_secs(20);
/// What is red when it cannot be asked.
const PART: &str = "what people gave back";

/// Goes on with what people gave back.
#[derive(Debug)]
pub(super) struct Back {
    crew: Arc<Crew>,
    /// What needs nothing more, for as long as the desk still names it.
    settled: BTreeSet<Given>,
}

/// One thing that was given back.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Given {
    Raised(RequestId),
    Returned(IncidentId, Option<Timestamp>),
}

/// Whether there is anything more to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Settled {
    /// Nothing.
    Yes,
    /// It is looked at again.
    NotYet,
}

impl Back {
    pub(super) const fn new(crew: Arc<Crew>) -> Self {
        Self { crew, settled: BTreeSet::new() }
    }

    /// Looks until it is told to stop.
    pub(super) async fn run(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let looked = tokio::select! {
                () = stop.cancelled() => return,
                looked = Box::pin(self.look()) => looked,
            };
            if let Err(why) = &looked {
                tracing::error!(why, "what people gave back cannot be gone on with yet");
            }
            self.crew.health.seen(PART, looked);
            tokio::select! { () = stop.cancelled() => return, () = self.crew.clock.sleep(EVERY) => {} }
        }
    }

    async fn look(&mut self) -> Result<(), String> {
        let site = self.crew.sites.now();
        // Nothing is asked where Midwatch only reads.
        let Some(hands) = &site.hands else { return Ok(()) };
        let given = tokio::time::timeout(LONGEST, hands.desk.given_back()).await;
        let given = given.map_err(|_| format!("the desk does not answer within {} s", LONGEST.as_secs()))?;
        let GivenBack { raised, returned } = given.map_err(|error| format!("{error}; {}", error.mend()))?;
        let mut named = BTreeSet::new();
        let mut problem = Ok(());
        // One that cannot be gone on with stops no other.
        for view in &raised {
            let given = Given::Raised(view.shown.request.clone());
            if !self.settled.contains(&given) {
                let done = self.raised(&site, view).await;
                self.note(&given, done, &mut problem);
            }
            named.insert(given);
        }
        for hold in &returned {
            let given = Given::Returned(hold.incident.clone(), hold.at);
            if !self.settled.contains(&given) {
                let done = self.returned(&site, hold).await;
                self.note(&given, done, &mut problem);
            }
            named.insert(given);
        }
        self.settled.retain(|given| named.contains(given));
        problem
    }

    fn note(&mut self, given: &Given, done: Result<Settled, String>, problem: &mut Result<(), String>) {
        match done {
            Ok(Settled::Yes) => drop(self.settled.insert(given.clone())),
            Ok(Settled::NotYet) => {}
            Err(why) => *problem = Err(why),
        }
    }

    /// A request that was raised again: its incident goes on with it.
    async fn raised(&self, site: &Site, view: &RequestView) -> Result<Settled, String> {
        let (incident, request) = (&view.shown.incident, &view.shown.request);
        if !self.crew.door.queue(|queue| queue.has_ended(incident)) {
            return Ok(Settled::NotYet);
        }
        let rows = self.crew.inbox.of_incident(incident.clone()).await.map_err(|error| error.to_string())?;
        // Of `triage`, or of another daemon.
        let Some((alarm, salt)) = opened(&rows) else { return Ok(Settled::Yes) };
        let entries = site.journal.read(incident).await.map_err(|error| error.to_string())?;
        let known = entries.iter().any(|entry| is_for(entry, request));
        match (has_ended(&entries), known) {
            (true, true) => return Ok(Settled::Yes),
            (false, false) => {
                tracing::error!(%incident, %request, "raised again for an incident that has no report");
                return Ok(Settled::Yes);
            }
            (true, false) | (false, true) => {}
        }
        let (now, by) = (self.crew.clock.now(), view.raised.as_ref().map(|raised| raised.by.clone()));
        let by = by.unwrap_or_else(|| "somebody".to_owned());
        let noted = Noted::Reopened { incident: incident.clone(), request: request.clone(), by: by.clone() };
        let row = Row { at: now, source: "desk".to_owned(), message: None, noted };
        self.crew.inbox.append(vec![row]).await.map_err(|error| error.to_string())?;
        if !known {
            let reopened = Event::Reopened { request: Box::new(view.clone()), by: by.clone() };
            let added = late::add(site.journal.as_ref(), incident, &[reopened], site.clock.now()).await;
            added.map_err(|error| error.to_string())?;
        }
        tracing::info!(%incident, %request, by, "an incident goes on: a request was raised again");
        self.crew.people.watch(incident, alarm, &site.catalog, now);
        let service = service_of(alarm, &site.catalog);
        let waiting = Waiting::new(incident.clone(), alarm.clone(), salt, service, now);
        let waiting = Waiting { interrupted: true, ..waiting };
        self.crew.door.queue(|queue| {
            if queue.has_ended(incident) {
                queue.push(waiting);
            }
        });
        self.crew.door.wake();
        Ok(Settled::NotYet)
    }

    /// An incident that was handed back: while it was at work it went on by itself; where it ended
    /// in a person's hands, what still fires of it is looked at anew.
    async fn returned(&self, site: &Site, hold: &Hold) -> Result<Settled, String> {
        let incident = &hold.incident;
        if !self.crew.door.queue(|queue| queue.has_ended(incident)) {
            return Ok(Settled::NotYet);
        }
        let rows = self.crew.inbox.of_incident(incident.clone()).await.map_err(|error| error.to_string())?;
        if opened(&rows).is_none() {
            return Ok(Settled::Yes);
        }
        let outcome = rows.iter().rev().find_map(|row| match &row.noted {
            Noted::Finished { outcome, .. } => Some(*outcome),
            _ => None,
        });
        if outcome.flatten() != Some(Outcome::TakenOver) {
            return Ok(Settled::Yes);
        }
        let entries = site.journal.read(incident).await.map_err(|error| error.to_string())?;
        let seen = |entry: &Entry| matches!(event_of(entry), Some(Event::HandedBack { returned_at, .. }) if returned_at == hold.at);
        if entries.iter().any(seen) {
            return Ok(Settled::Yes);
        }
        let by = hold.by.clone().unwrap_or_else(|| "somebody".to_owned());
        let onward = self.crew.door.hand_back(incident.clone(), &by).await;
        let text = match onward.map_err(|refusal| refusal.to_string())? {
            Onward::Opened(next) => format!("its alarm still fires: it goes on as {next}"),
            Onward::In(other) => format!("its alarm still fires: that is part of {other} by now"),
            Onward::Nothing => "its alarm does not fire any more: there is nothing to be done".to_owned(),
        };
        tracing::info!(%incident, by, text, "an incident was handed back");
        let event = Event::HandedBack { by, returned_at: hold.at, text };
        let added = late::add(site.journal.as_ref(), incident, &[event], site.clock.now()).await;
        added.map_err(|error| error.to_string())?;
        Ok(Settled::Yes)
    }
}

/// The alarm an incident was opened for, and what its id was made with.
fn opened(rows: &[Row]) -> Option<(&Alarm, u32)> {
    rows.iter().find_map(|row| match &row.noted {
        Noted::Alarm { alarm, ruling } => match &ruling.decision {
            Decision::Opened { salt, .. } => Some((&**alarm, *salt)),
            _ => None,
        },
        _ => None,
    })
}

/// Whether this is where an incident went on for the request.
fn is_for(entry: &Entry, request: &RequestId) -> bool {
    matches!(event_of(entry), Some(Event::Reopened { request: known, .. }) if known.shown.request == *request)
}
