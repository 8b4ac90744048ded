//! Incidents that wait for their turn: who is next. Pure.
//!
//! Tier and severity first; of equals, the service with the fewest incidents at work; of those,
//! the one that waits longest. Waiting makes more urgent, so that nothing waits for ever.
//!
//! INVARIANTS:
//! - it never holds more than its limit: whoever brings more is told to come again;
//! - who waits for people holds no place: what follows an answer is one call and a watch, so that
//!   one that has asked gives its place up for good. Taking a place again for that was rejected:
//!   eight incidents that are watched would stop the next alarm as eight that are asked about.

use std::collections::BTreeMap;

use midwatch_policy::{IncidentId, Service, ServiceName, SignedDuration, Timestamp};

use crate::alarm::{Alarm, Severity};

/// So long a wait makes as urgent as the next tier.
const AGING: SignedDuration = SignedDuration::from_mins(5);
/// What a tier counts.
const TIER: i64 = 4;
/// The tier of a service that the catalog does not know: nothing says that it does not matter.
const UNKNOWN_TIER: i64 = 1;
/// Most that may be parked: each still holds a task and its evidence. Beyond that they hold places.
const PARKED: usize = 2_000;

/// An incident that waits, or is at work.
#[derive(Debug, Clone, PartialEq)]
pub struct Waiting {
    /// Its id.
    pub incident: IncidentId,
    /// The alarm it was opened for.
    pub alarm: Alarm,
    /// What its id was made with.
    pub salt: u32,
    /// The service it is about.
    pub service: Option<ServiceName>,
    /// Smaller is more urgent.
    pub urgency: i64,
    /// Since when it waits.
    pub since: Timestamp,
    /// Whether it was accepted before a restart, or its work broke off: that goes before all of its tier, and
    /// takes no room from what comes in.
    pub interrupted: bool,
}

impl Waiting {
    /// An incident that was opened for an alarm.
    pub fn new(
        incident: IncidentId,
        alarm: Alarm,
        salt: u32,
        service: Option<&Service>,
        since: Timestamp,
    ) -> Self {
        let tier = service.map_or(UNKNOWN_TIER, |service| i64::from(service.tier.get()));
        let severity = match alarm.severity {
            Some(Severity::Critical) => 0,
            None | Some(Severity::High) => 1,
            Some(Severity::Warning) => 2,
            Some(Severity::Info) => 3,
        };
        let service = service.map(|service| service.name.clone());
        Self { incident, alarm, salt, service, urgency: tier * TIER + severity, since, interrupted: false }
    }

    fn rank(&self, now: Timestamp) -> (i64, bool) {
        let waited = now.duration_since(self.since).as_secs().max(0);
        let urgency = self.urgency - TIER * (waited / AGING.as_secs());
        (if self.interrupted { urgency - TIER } else { urgency }, !self.interrupted)
    }
}

/// One at work.
#[derive(Debug)]
struct Work {
    incident: Waiting,
    place: Place,
}

/// Whether one at work holds a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Held,
    GivenUp,
}

/// Those that wait, and how many are at work for whom.
#[derive(Debug)]
pub struct Queue {
    waiting: Vec<Waiting>,
    working: BTreeMap<IncidentId, Work>,
    parked: usize,
    at_once: usize,
    most: usize,
}

impl Queue {
    /// One that lets `at_once` incidents be at work and at most `most` wait.
    pub const fn new(at_once: usize, most: usize) -> Self {
        Self { waiting: Vec::new(), working: BTreeMap::new(), parked: 0, at_once, most }
    }

    /// How many more may be brought.
    pub fn room(&self) -> usize {
        self.most.saturating_sub(self.waiting.iter().filter(|waiting| !waiting.interrupted).count())
    }

    /// How many wait.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// How many are at work and hold a place.
    pub fn working(&self) -> usize {
        self.working.len().saturating_sub(self.parked)
    }

    /// How many have asked people, and hold no place any more.
    pub const fn parked(&self) -> usize {
        self.parked
    }

    /// Whether it waits.
    pub fn waits(&self, incident: &IncidentId) -> bool {
        self.waiting.iter().any(|waiting| waiting.incident == *incident)
    }

    /// Whether it neither waits nor is at work.
    pub fn has_ended(&self, incident: &IncidentId) -> bool {
        !self.working.contains_key(incident) && !self.waits(incident)
    }

    /// Adds one. Whoever brings it has seen that there is room; what was accepted before a restart
    /// is taken whatever the limit.
    pub fn push(&mut self, waiting: Waiting) {
        self.waiting.push(waiting);
    }

    /// Takes one out that waits and need not be worked on; nothing if it does not wait.
    pub fn withdraw(&mut self, incident: &IncidentId) -> Option<Waiting> {
        let at = self.waiting.iter().position(|waiting| waiting.incident == *incident)?;
        Some(self.waiting.remove(at))
    }

    /// The next one to be worked on, if another one may be.
    pub fn next(&mut self, now: Timestamp) -> Option<Waiting> {
        if self.working() >= self.at_once {
            return None;
        }
        let held = |work: &&Work| work.place == Place::Held;
        let busy = |service: &Option<ServiceName>| {
            self.working.values().filter(held).filter(|work| work.incident.service == *service).count()
        };
        let (at, _) = self
            .waiting
            .iter()
            .enumerate()
            .min_by_key(|(_, waiting)| (waiting.rank(now), busy(&waiting.service), waiting.since))?;
        let next = self.waiting.remove(at);
        let work = Work { incident: next.clone(), place: Place::Held };
        self.working.insert(next.incident.clone(), work);
        Some(next)
    }

    /// One is not at work any more.
    pub fn done(&mut self, incident: &IncidentId) {
        let gone = self.working.remove(incident);
        if gone.is_some_and(|work| work.place == Place::GivenUp) {
            self.parked = self.parked.saturating_sub(1);
        }
    }

    /// All that were at work are not any more, and are gone on with before everything else: who
    /// worked on them broke off.
    pub fn put_back(&mut self) {
        let broken_off = std::mem::take(&mut self.working).into_values();
        self.waiting.extend(broken_off.map(|work| Waiting { interrupted: true, ..work.incident }));
        self.parked = 0;
    }

    /// One at work asks people, and gives its place up. Says whether there is one more place.
    pub fn park(&mut self, incident: &IncidentId) -> bool {
        match self.working.get_mut(incident) {
            Some(work) if work.place == Place::Held && self.parked < PARKED => {
                work.place = Place::GivenUp;
                self.parked += 1;
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn waiting(n: u32, service: &str, urgency: i64, second: i64) -> Waiting {
        let path = format!("{}/tests/fixtures/alarms/sns-metric.json", env!("CARGO_MANIFEST_DIR"));
        let alarm = alarm::parse(&std::fs::read_to_string(path).unwrap()).unwrap();
        let incident = IncidentId::parse(format!("inc-{n}")).unwrap();
        let mut waiting = Waiting::new(incident, alarm, n, None, at(second));
        waiting.service = Some(ServiceName::parse(service).unwrap());
        waiting.urgency = urgency;
        waiting
    }

    fn order(queue: &mut Queue, now: Timestamp) -> Vec<String> {
        std::iter::from_fn(|| queue.next(now)).map(|next| next.incident.to_string()).collect()
    }

    #[test]
    fn the_most_urgent_first_then_fair_between_services_then_in_order() {
        let mut queue = Queue::new(9, 9);
        for (n, service, urgency) in [
            (1, "loud", 5),
            (2, "loud", 5),
            (3, "loud", 5),
            (4, "quiet", 5),
            (5, "small", 9),
            (6, "vital", 1),
        ] {
            queue.push(waiting(n, service, urgency, i64::from(n)));
        }
        assert_eq!(order(&mut queue, at(10)), ["inc-6", "inc-1", "inc-4", "inc-2", "inc-3", "inc-5"]);
        assert_eq!((queue.waiting(), queue.working(), queue.room()), (0, 6, 9));
    }

    #[test]
    fn no_more_at_once_than_allowed_and_waiting_makes_urgent() {
        let mut queue = Queue::new(1, 2);
        queue.push(waiting(1, "small", 12, 0));
        queue.push(waiting(2, "vital", 1, 1800));
        assert_eq!(queue.room(), 0);
        assert_eq!(queue.next(at(1800)).unwrap().incident.as_str(), "inc-1", "it waited half an hour");
        assert_eq!(queue.next(at(1800)), None);
        queue.done(&IncidentId::parse("inc-1").unwrap());
        assert_eq!(queue.next(at(1800)).unwrap().incident.as_str(), "inc-2");
    }

    #[test]
    fn who_waits_for_people_does_not_stop_the_next_one() {
        let mut queue = Queue::new(1, 9);
        let id = |n: u32| IncidentId::parse(format!("inc-{n}")).unwrap();
        for n in 1..=3 {
            queue.push(waiting(n, "shop", 5, i64::from(n)));
        }
        assert_eq!(queue.next(at(10)).unwrap().incident, id(1));
        assert_eq!(queue.next(at(10)), None);
        assert!(queue.park(&id(1)) && !queue.park(&id(1)), "once");
        assert_eq!(queue.next(at(10)).unwrap().incident, id(2));
        assert_eq!((queue.next(at(10)), queue.working(), queue.parked()), (None, 1, 1));
        assert!(!queue.has_ended(&id(1)), "it still has a writer");
        queue.done(&id(1));
        assert_eq!((queue.next(at(10)), queue.parked()), (None, 0), "its place was given up before");
        queue.done(&id(2));
        assert_eq!(queue.next(at(10)).unwrap().incident, id(3));
        assert!(!queue.park(&id(9)), "nobody knows it");
        queue.push(waiting(4, "other", 3, 5));
        queue.put_back();
        assert_eq!((queue.working(), queue.waiting()), (0, 2));
        assert_eq!(queue.next(at(10)).unwrap().incident, id(3), "what broke off goes before its tier");
    }

    #[test]
    fn what_was_interrupted_goes_first_in_its_tier_and_takes_no_room() {
        let mut queue = Queue::new(2, 2);
        queue.push(waiting(1, "vital", 1, 0));
        queue.push(waiting(3, "small", 12, 0));
        assert_eq!(queue.room(), 0);
        queue.push(Waiting { interrupted: true, ..waiting(2, "small", 12, 0) });
        assert_eq!(order(&mut queue, at(0)), ["inc-1", "inc-2"]);
        assert_eq!((queue.waiting(), queue.room()), (1, 1));
        let mut queue = Queue::new(1, 1);
        for n in 0..500 {
            queue.push(Waiting { interrupted: true, ..waiting(n, "small", 5, 0) });
        }
        assert_eq!(queue.room(), 1, "a restart with many does not shut the door");
        queue.push(waiting(1_000, "vital", 0, 0));
        assert_eq!(queue.next(at(0)).unwrap().incident.as_str(), "inc-1000");
        queue.push(waiting(2_000, "vital", 0, 0));
        assert!(queue.withdraw(&IncidentId::parse("inc-2000").unwrap()).is_some());
        assert!(queue.withdraw(&IncidentId::parse("inc-2000").unwrap()).is_none());
    }
}
