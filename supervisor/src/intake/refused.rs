//! Alarms that came in and could not be taken: nothing that is durable knows of them. Pure.
//!
//! Their senders bring them again. One that is still not taken after a while is passed on to
//! people as it came, until they were told of it once. This is kept in memory only, since it is there for the time when
//! nothing can be written; a process that ends meanwhile begins anew, and so do the senders.

use std::collections::BTreeMap;

use midwatch_policy::{SignedDuration, Timestamp};

use crate::alarm::{Alarm, AlarmState};

use super::identity::AlarmKey;

/// How long a sender's own retry is relied on.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);
/// How long one is remembered that nobody brought again.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(6);
/// Most that are remembered: of a storm, so many are enough to wake people.
const MOST: usize = 200;

/// Those that were not taken.
#[derive(Debug, Default)]
pub struct Refused(BTreeMap<AlarmKey, Waits>);

#[derive(Debug)]
struct Waits {
    alarm: Alarm,
    since: Timestamp,
    passed_on: bool,
}

impl Refused {
    /// One could not be taken. Only what fires is of interest.
    pub fn refused(&mut self, alarm: &Alarm, now: Timestamp) {
        let key = AlarmKey::of(alarm);
        if alarm.state != AlarmState::Alarm {
            return;
        }
        if self.0.len() >= MOST && !self.0.contains_key(&key) && !self.make_room() {
            return;
        }
        self.0.entry(key).or_insert_with(|| Waits { alarm: alarm.clone(), since: now, passed_on: false });
    }

    /// One was taken after all, in whatever state it is now.
    pub fn taken(&mut self, alarm: &Alarm) {
        if !self.0.is_empty() {
            self.0.remove(&AlarmKey::of(alarm));
        }
    }

    /// Those that have waited too long and were not passed on yet, with the time since when.
    pub fn due(&mut self, now: Timestamp) -> Vec<(Alarm, Timestamp)> {
        self.0.retain(|_, waits| now.duration_since(waits.since) < REMEMBERED);
        let late = |waits: &&Waits| !waits.passed_on && now.duration_since(waits.since) >= PATIENCE;
        self.0.values().filter(late).map(|waits| (waits.alarm.clone(), waits.since)).collect()
    }

    /// People were told of one: it is not due any more.
    pub fn passed_on(&mut self, alarm: &Alarm) {
        if let Some(waits) = self.0.get_mut(&AlarmKey::of(alarm)) {
            waits.passed_on = true;
        }
    }

    /// The oldest that people were told of gives way: those that nobody knows of go before it.
    fn make_room(&mut self) -> bool {
        let told = self.0.iter().filter(|(_, waits)| waits.passed_on);
        let oldest = told.min_by_key(|(_, waits)| waits.since).map(|(key, _)| key.clone());
        oldest.is_some_and(|key| self.0.remove(&key).is_some())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn alarm(name: &str, state: &str) -> Alarm {
        let text = format!(r#"{{"name":"{name}","state":"{state}","at":"2026-11-21T02:00:00Z"}}"#);
        alarm::parse(&text).unwrap()
    }

    #[test]
    fn what_is_not_taken_for_long_is_passed_on_once_and_what_is_taken_is_not() {
        let mut refused = Refused::default();
        for name in ["a", "b"] {
            refused.refused(&alarm(name, "firing"), at(0));
        }
        refused.refused(&alarm("c", "ok"), at(0));
        assert_eq!(refused.due(at(60)), []);
        refused.refused(&alarm("a", "firing"), at(100));
        refused.taken(&alarm("b", "firing"));
        let due = refused.due(at(120));
        assert_eq!(
            due.iter().map(|(alarm, since)| (alarm.name.as_str(), *since)).collect::<Vec<_>>(),
            [("a", at(0))]
        );
        assert_eq!(refused.due(at(125)).len(), 1, "nobody could be told yet");
        refused.passed_on(&alarm("a", "firing"));
        refused.refused(&alarm("a", "firing"), at(130));
        assert_eq!(refused.due(at(400)), []);
        refused.taken(&alarm("a", "ok"));
        refused.refused(&alarm("a", "firing"), at(500));
        assert_eq!(refused.due(at(620)).len(), 1, "a second time it is another one");
    }

    #[test]
    fn a_storm_does_not_fill_the_memory() {
        let mut refused = Refused::default();
        for n in 0..10 * MOST {
            refused.refused(&alarm(&format!("a{n}"), "firing"), at(0));
        }
        assert_eq!(refused.due(at(600)).len(), MOST);
        refused.refused(&alarm("new", "firing"), at(600));
        assert_eq!(refused.due(at(720)).len(), MOST, "nobody knows of any of them");
        refused.passed_on(&alarm("a7", "firing"));
        refused.refused(&alarm("new", "firing"), at(720));
        let due = refused.due(at(840));
        assert_eq!(due.len(), MOST);
        assert!(due.iter().any(|(alarm, _)| alarm.name == "new"), "one that people know of gave way");
    }
}
