//! The alarms of one incident.

use std::collections::{BTreeMap, BTreeSet};

use midwatch_policy::{ServiceName, SignedDuration, Timestamp};

use crate::{
    alarm::{Alarm, AlarmState},
    intake::identity::AlarmKey,
};

/// An alarm that comes in.
#[derive(Debug)]
pub(super) struct Incoming<'a> {
    pub(super) alarm: &'a Alarm,
    pub(super) key: AlarmKey,
    /// It came in before, was put off, and still fires.
    pub(super) due: bool,
}

/// When alarms fired, by their own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The first of them.
    pub(super) first: Timestamp,
    /// The last of them.
    pub(super) last: Timestamp,
}

impl Span {
    pub(super) const fn at(moment: Timestamp) -> Self {
        Self { first: moment, last: moment }
    }

    pub(super) fn reach(&mut self, moment: Timestamp) {
        self.first = self.first.min(moment);
        self.last = self.last.max(moment);
    }

    /// How far a moment lies outside.
    pub(super) fn distance(&self, moment: Timestamp) -> SignedDuration {
        if moment < self.first {
            self.first.duration_since(moment)
        } else if moment > self.last {
            moment.duration_since(self.last)
        } else {
            SignedDuration::ZERO
        }
    }
}

/// How an incident ended, as far as its alarms go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) at: Timestamp,
    /// A person has it: more of the same is still theirs, and they are told of it.
    pub(super) with_a_person: bool,
    /// None of its alarms fires: what does from then on is news. That is not yet all clear.
    pub(super) is_quiet: bool,
}

/// What is new about an alarm of an incident that a person has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// It is one more.
    More,
    /// It fires after nothing of it did.
    Again,
}

/// An incident, as far as its alarms go.
#[derive(Debug, Clone)]
pub struct Group {
    /// The alarm it is about.
    pub lead: AlarmKey,
    pub(super) lead_service: Option<ServiceName>,
    /// Account and region of the alarm that opened it.
    pub(super) place: (Option<String>, Option<String>),
    /// Every alarm of it.
    pub members: BTreeSet<AlarmKey>,
    /// Those that fire.
    pub firing: BTreeSet<AlarmKey>,
    /// Those that nobody can say anything of: they fired, or might, and have no data. That is never OK.
    pub without_data: BTreeSet<AlarmKey>,
    pub(super) services: BTreeMap<ServiceName, Span>,
    pub(super) span: Span,
    /// Alarms that came in once more.
    pub repeats: u32,
    pub(super) finished: Option<Finished>,
    /// It is everything of its account and region at once.
    pub(super) storm: bool,
    /// By our clock.
    pub(super) touched: Timestamp,
}

impl Group {
    /// The services it is about.
    pub fn services(&self) -> impl Iterator<Item = &ServiceName> {
        self.services.keys()
    }

    /// Whether none of its alarms fires, and of each is known that it does not.
    pub fn is_clear(&self) -> bool {
        self.firing.is_empty() && self.without_data.is_empty()
    }

    /// Whether any alarm of it but this one fires or has no data.
    pub(super) fn has_others(&self, key: &AlarmKey) -> bool {
        self.firing.iter().chain(&self.without_data).any(|other| other != key)
    }

    /// An alarm of it is in this state now.
    pub(super) fn turns(&mut self, key: &AlarmKey, state: AlarmState) {
        self.firing.remove(key);
        self.without_data.remove(key);
        match state {
            AlarmState::Alarm => drop(self.firing.insert(key.clone())),
            AlarmState::InsufficientData => drop(self.without_data.insert(key.clone())),
            AlarmState::Ok | AlarmState::Deleted => {}
        }
        if let Some(finished) = &mut self.finished {
            finished.is_quiet = self.firing.is_empty();
        }
    }

    /// Whether its investigation has come to its end.
    pub const fn is_finished(&self) -> bool {
        self.finished.is_some()
    }

    /// What would be new about an alarm to the person who has it, if anything.
    pub fn news(&self, alarm: &Alarm) -> Option<News> {
        let finished = self.finished.filter(|finished| finished.with_a_person)?;
        if finished.is_quiet {
            return Some(News::Again);
        }
        (!self.members.contains(&AlarmKey::of(alarm))).then_some(News::More)
    }

    /// What is new about an alarm of it that was put off and fires on: the person who has it was told nothing then.
    pub fn news_of_what_stays(&self) -> Option<News> {
        self.finished.filter(|finished| finished.with_a_person).map(|_| News::Again)
    }

    /// Whether an alarm can still be part of it. Of what is over, only what it was about: an alarm
    /// that fires on is looked at again, and a stranger that comes late was not looked at with it.
    pub(super) fn takes(&self, incoming: &Incoming<'_>) -> bool {
        self.finished.is_none_or(|finished| {
            let known = !incoming.due && self.members.contains(&incoming.key);
            finished.with_a_person || (known && incoming.alarm.at <= finished.at)
        })
    }

    /// How far away its alarms of a service are from a moment.
    pub(super) fn distance(&self, service: &ServiceName, at: Timestamp) -> Option<SignedDuration> {
        self.services.get(service).map(|span| span.distance(at))
    }
}
