//! Tells incidents what came in for them and what people say of them, and people of what was
//! opened.
//!
//! Nobody but an incident's own writer writes into the journal of an incident at work: it is told
//! through its side door. One that has ended has its journal added to; one that waits is not begun
//! and finds in the inbox what came in. INVARIANT: what people said stays in the inbox until it is
//! in the journal.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use midwatch_policy::IncidentId;
use tokio::sync::mpsc;

use crate::{
    event::Event,
    intake::door::{Begun, Effect},
};

use super::{crew::Crew, late};

/// Things to tell incidents that are dealt with at once.
const BATCH: usize = 64;
/// How often, and after how long, an incident is told again that is just being begun or ended.
const TRIES: u32 = 20;
const SOON: Duration = Duration::from_millis(100);
/// How long an incident may take to write down what it is told.
const HELD_UP: Duration = Duration::from_secs(5);
/// How often it is looked whether people said something.
const LISTEN: Duration = Duration::from_secs(2);
/// So many of the newest alarms are held against the journals of their incidents after a start.
const LATELY: u32 = 200;

/// What became of what an incident was to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// It is in its journal, or the incident has none and will never have one.
    Yes,
    /// It is not.
    NotYet,
}

impl Crew {
    /// Until nobody brings anything any more.
    pub(super) async fn tell(&self, effects: &mut mpsc::Receiver<Effect>) {
        self.catch_up().await;
        let mut batch = Vec::with_capacity(BATCH);
        loop {
            tokio::select! {
                biased;
                count = effects.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.tell_all(batch.drain(..)).await;
                }
                () = self.clock.sleep(LISTEN) => {}
            }
            self.listen().await;
        }
    }

    /// Incidents that had ended when the process did, and something came in for them just then.
    async fn catch_up(&self) {
        let rows = match self.inbox.newest(&["joined", "updated"], LATELY).await {
            Ok(rows) => rows,
            Err(error) => return tracing::warn!(%error, "what came in lately cannot be read"),
        };
        let incidents: BTreeSet<IncidentId> =
            rows.iter().filter_map(|row| row.noted.incident().cloned()).collect();
        let site = self.sites.now();
        for incident in incidents {
            if !self.door.queue(|queue| queue.has_ended(&incident)) {
                continue;
            }
            match self.came_in(&incident, &site).await {
                Ok(events) if events.is_empty() => {}
                Ok(events) => drop(self.tell_one(&incident, events).await),
                Err(why) => tracing::warn!(%incident, why, "what came in earlier is in the inbox only"),
            }
        }
    }

    async fn tell_all(&self, effects: impl Iterator<Item = Effect>) {
        let mut told: BTreeMap<IncidentId, Vec<Event>> = BTreeMap::new();
        for effect in effects {
            match effect {
                Effect::Tell { incident, alarm, ruling } => {
                    told.entry(incident).or_default().extend(late::event(&alarm, &ruling));
                }
                Effect::Opened { incident, alarm, at } => {
                    let catalog = Arc::clone(&self.sites.now().catalog);
                    self.people.watch(&incident, &alarm, &catalog, at).await;
                    if self.door.queue(|queue| queue.has_ended(&incident)) {
                        self.people.settle(&incident).await;
                    }
                }
                Effect::Absorbed { incident, into, begun } => {
                    tracing::info!(%incident, %into, "an incident is part of another one");
                    if begun == Begun::No {
                        self.people.settle(&incident).await;
                    }
                }
            }
        }
        for (incident, events) in told {
            if self.tell_one(&incident, events).await == Told::NotYet {
                tracing::warn!(%incident, "what came in later is in the inbox only, until the next start");
            }
        }
    }

    async fn tell_one(&self, incident: &IncidentId, mut events: Vec<Event>) -> Told {
        for _ in 0..TRIES {
            let side = self.sides().get(incident).cloned();
            if let Some(side) = side {
                // A store that does not work holds the incident up, and must not hold up the others.
                match tokio::time::timeout(HELD_UP, late::through(&side, events)).await {
                    Ok(left) => events = left,
                    Err(_) => return Told::NotYet,
                }
            } else if self.door.queue(|queue| queue.has_ended(incident)) {
                let journal = Arc::clone(&self.sites.now().journal);
                return match late::add(journal.as_ref(), incident, &events, self.clock.now()).await {
                    Ok(()) => Told::Yes,
                    Err(error) => {
                        tracing::warn!(%incident, %error, "a journal cannot be added to");
                        Told::NotYet
                    }
                };
            }
            if events.is_empty() {
                return Told::Yes;
            }
            if self.door.queue(|queue| queue.waits(incident)) {
                // It finds in the inbox what came in; what people said waits there as well.
                let said =
                    |event: &Event| matches!(event, Event::Acknowledged { .. } | Event::Remarked { .. });
                return if events.iter().any(said) { Told::NotYet } else { Told::Yes };
            }
            self.clock.sleep(SOON).await;
        }
        Told::NotYet
    }

    /// Journals what people said meanwhile, by whatever process.
    async fn listen(&self) {
        let heard = match self.inbox.unheard(BATCH).await {
            Ok(heard) => heard,
            Err(error) => return tracing::warn!(%error, "what people said cannot be read"),
        };
        for heard in heard {
            let event = late::by_people(heard.said);
            if self.tell_one(&heard.incident, vec![event]).await == Told::Yes
                && let Err(error) = self.inbox.heard(heard.seq).await
            {
                tracing::warn!(%error, "what a person said is journaled, and may be once more");
            }
        }
    }
}
