//! Tells incidents what came in for them and what people say of them, and people of what was
//! opened.
//!
//! Nobody but an incident's own writer writes into the journal of an incident at work: it is told
//! through its side door. One that has ended has its journal added to; one that waits is not begun
//! and finds in the inbox what came in. INVARIANTS: what people said stays in the inbox until it is
//! in the journal; who waits for an outcome is said at once, whatever holds an incident up.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use midwatch_policy::{IncidentId, SignedDuration, Timestamp};
use tokio::{sync::mpsc, task::JoinHandle};

use crate::{
    alarm::AlarmState,
    event::Event,
    intake::{
        board::{Decision, How, News},
        door::{Begun, Effect},
        identity::AlarmKey,
        inbox::{InboxError, Noted},
    },
};

use super::{crew::Crew, late};

mod under_way;

use under_way::UnderWay;

/// Things to tell incidents that are dealt with at once.
const BATCH: usize = 64;
/// Things to tell incidents that may wait; what comes beyond that is in the inbox only.
const WAITING: usize = 4096;
/// How often, and after how long, an incident is told again that is just being begun or ended.
const TRIES: u32 = 20;
const SOON: Duration = Duration::from_millis(100);
/// How long an incident may take to write down what it is told.
const HELD_UP: Duration = Duration::from_secs(5);
/// How often it is looked whether people said something.
const LISTEN: Duration = Duration::from_secs(2);
/// How long ago something came in of which people are told again.
const SAID_AGAIN: SignedDuration = SignedDuration::from_hours(24);
/// So many of the newest alarms are held against the journals of their incidents after a start.
const LATELY: u32 = 200;

/// What became of what an incident was to be told.
#[derive(Debug)]
enum Told {
    /// It is in its journal, or the incident has none and will never have one.
    Yes,
    /// It is not.
    NotYet,
    /// Its writer has it, and is held up; what it did not take in the end is given back.
    UnderWay(JoinHandle<Vec<Event>>),
}

/// Whether it is what a person said, which an incident does not find in the inbox by itself.
const fn by_a_person(event: &Event) -> bool {
    matches!(event, Event::Acknowledged { .. } | Event::Remarked { .. } | Event::Held { .. })
}

/// What an incident is to be told; nothing where it has taken another one in, and what came in for that is its own.
type Tidings = (IncidentId, Vec<Event>);

impl Crew {
    /// Until nobody brings anything any more.
    pub(super) async fn tell(&self, effects: &mut mpsc::Receiver<Effect>) {
        let (sender, mut tidings) = mpsc::channel(WAITING);
        tokio::join!(self.sort(effects, sender), Box::pin(self.tell_incidents(&mut tidings)));
    }

    /// Never waits for an incident.
    async fn sort(&self, effects: &mut mpsc::Receiver<Effect>, tidings: mpsc::Sender<Tidings>) {
        while let Some(effect) = effects.recv().await {
            match effect {
                Effect::Tell { incident, alarm, ruling } => {
                    let events: Vec<Event> = late::event(&alarm, &ruling).into_iter().collect();
                    if let Err(error) = tidings.try_send((incident, events)) {
                        let (incident, _) = error.into_inner();
                        tracing::warn!(%incident, "what came in later is in the inbox only, until the next start");
                    }
                }
                Effect::Opened { incident, alarm, at } => {
                    let catalog = Arc::clone(&self.sites.now().catalog);
                    self.people.watch(&incident, &alarm, &catalog, at);
                    if self.door.queue(|queue| queue.has_ended(&incident)) {
                        self.people.settle(&incident);
                    }
                }
                Effect::More { incident, alarm, how, news } => {
                    self.people.more(&incident, &alarm, (how, news), &self.sites.now().catalog);
                }
                Effect::Over { incident, alarm } => {
                    self.people.over(&incident, &alarm, &self.sites.now().catalog);
                }
                Effect::Absorbed { incident, into, begun } => {
                    tracing::info!(%incident, %into, "an incident is part of another one");
                    if begun == Begun::No {
                        self.people.settle(&incident);
                    }
                    // Without events: it looks itself what came in for the other.
                    if tidings.try_send((into, Vec::new())).is_err() {
                        tracing::warn!("what came in earlier is in the inbox only, until the next start");
                    }
                }
            }
        }
    }

    async fn tell_incidents(&self, tidings: &mut mpsc::Receiver<Tidings>) {
        self.catch_up().await;
        let mut batch = Vec::with_capacity(BATCH);
        let mut under_way = UnderWay::default();
        loop {
            tokio::select! {
                biased;
                count = tidings.recv_many(&mut batch, BATCH) => {
                    if count == 0 {
                        return;
                    }
                    self.tell_all(batch.drain(..)).await;
                }
                () = self.clock.sleep(LISTEN) => {}
            }
            self.listen(&mut under_way).await;
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
            if let Err(error) = self.say_again(&incident).await {
                tracing::warn!(%incident, %error, "people may not have heard of all that came in lately");
            }
            match self.came_in(&incident, &site).await {
                Ok(events) if events.is_empty() => {}
                Ok(events) => drop(self.tell_one(&incident, events).await),
                Err(why) => tracing::warn!(%incident, why, "what came in earlier is in the inbox only"),
            }
        }
    }

    /// A crash may have come between the inbox and the outbox; what is there already leaves once.
    async fn say_again(&self, incident: &IncidentId) -> Result<(), InboxError> {
        let since = self.clock.now().saturating_sub(SAID_AGAIN).unwrap_or(Timestamp::UNIX_EPOCH);
        let catalog = Arc::clone(&self.sites.now().catalog);
        // What fires, and what it took in: that fires until all is clear.
        let (mut members, mut firing) = (BTreeSet::new(), BTreeSet::new());
        let (mut with_a_person, mut ended) = (false, false);
        for row in self.inbox.of_incident(incident.clone()).await? {
            let lately = row.at >= since;
            match row.noted {
                Noted::Alarm { alarm, ruling } => {
                    let key = AlarmKey::of(&alarm);
                    let is_new = members.insert(key.clone());
                    match ruling.decision {
                        Decision::Joined { how, absorbs, .. } => {
                            let is_quiet = firing.is_empty();
                            let news = if is_quiet { News::Again } else { News::More };
                            let told = how != How::Flapping && (is_new || is_quiet);
                            if ended && with_a_person && lately && told {
                                self.people.more(incident, &alarm, (how, news), &catalog);
                            }
                            firing.extend(absorbs.iter().map(ToString::to_string));
                            firing.insert(key.to_string());
                        }
                        Decision::Opened { .. } => drop(firing.insert(key.to_string())),
                        Decision::Updated { state, all_clear, told_at, .. } => {
                            if all_clear {
                                firing.clear();
                            } else if state != AlarmState::Alarm {
                                firing.remove(&key.to_string());
                            }
                            // What flapped is told by the door once it has been quiet.
                            if ended && all_clear && told_at.is_none() && lately {
                                self.people.over(incident, &alarm, &catalog);
                            }
                        }
                        _ => {}
                    }
                }
                Noted::Finished { outcome, .. } => {
                    (ended, with_a_person) = (true, Noted::with_a_person(outcome));
                }
                Noted::Reopened { .. } => ended = false,
            }
        }
        Ok(())
    }

    async fn tell_all(&self, tidings: impl Iterator<Item = Tidings>) {
        let mut told: BTreeMap<IncidentId, Vec<Event>> = BTreeMap::new();
        let mut grew = BTreeSet::new();
        for (incident, events) in tidings {
            if events.is_empty() {
                grew.insert(incident.clone());
            }
            told.entry(incident).or_default().extend(events);
        }
        for (incident, mut events) in told {
            if grew.contains(&incident) {
                let site = self.sites.now();
                match self.came_in(&incident, &site).await {
                    Ok(missing) => events = missing,
                    Err(why) => tracing::warn!(%incident, why, "what came in earlier is in the inbox only"),
                }
            }
            if matches!(self.tell_one(&incident, events).await, Told::NotYet) {
                tracing::warn!(%incident, "what came in later is in the inbox only, until the next start");
            }
        }
    }

    async fn tell_one(&self, incident: &IncidentId, mut events: Vec<Event>) -> Told {
        for _ in 0..TRIES {
            let side = self.sides().get(incident).cloned();
            if let Some(side) = side {
                // A store that does not work holds the incident up, and must not hold up the others.
                let mut telling = tokio::spawn(async move { late::through(&side, events).await });
                match tokio::time::timeout(HELD_UP, &mut telling).await {
                    Ok(Ok(left)) => events = left,
                    Ok(Err(_)) => return Told::NotYet,
                    Err(_) => return Told::UnderWay(telling),
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
                return if events.iter().any(by_a_person) { Told::NotYet } else { Told::Yes };
            }
            self.clock.sleep(SOON).await;
        }
        Told::NotYet
    }

    /// Journals what people said meanwhile, by whatever process.
    async fn listen(&self, under_way: &mut UnderWay) {
        for seq in under_way.arrived().await {
            self.heard(seq).await;
        }
        let heard = match self.inbox.unheard(BATCH).await {
            Ok(heard) => heard,
            Err(error) => return tracing::warn!(%error, "what people said cannot be read"),
        };
        for heard in heard.into_iter().filter(|heard| !under_way.has(heard.seq)).collect::<Vec<_>>() {
            let event = late::by_people(heard.said);
            match self.tell_one(&heard.incident, vec![event]).await {
                Told::Yes => self.heard(heard.seq).await,
                Told::NotYet => {}
                Told::UnderWay(telling) => under_way.add(heard.seq, telling),
            }
        }
    }

    async fn heard(&self, seq: i64) {
        if let Err(error) = self.inbox.heard(seq).await {
            tracing::warn!(%error, "what a person said is journaled, and may be once more");
        }
    }
}
