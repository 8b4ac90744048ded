//! When people are told that Midwatch itself does not work: of each part once in an outage, after a
//! while, and again when it is over. What could not be said is said again. Pure.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use midwatch_policy::{IncidentId, Timestamp};

/// How long something may be wrong before anybody is woken for it.
const PATIENCE: Duration = Duration::from_mins(2);

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Say {
    /// This is wrong.
    Broken {
        /// The outage.
        outage: IncidentId,
        /// What.
        why: String,
        /// How often something was said of this outage before.
        nth: u32,
        /// The parts that do not work.
        parts: BTreeSet<String>,
    },
    /// It is not wrong any more.
    Mended(IncidentId),
}

/// What is wrong, as people know it.
#[derive(Debug, Default)]
pub(super) struct Outage {
    /// When it began, by the time of day and by how long the clock had been running: patience is measured by the
    /// latter, so that a clock that is set neither shortens nor lengthens it.
    since: Option<(Timestamp, Duration)>,
    /// Parts that do not work, and since when.
    parts: BTreeMap<String, Duration>,
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    outage: IncidentId,
    times: u32,
    parts: BTreeSet<String>,
}

impl Outage {
    /// What is to be said, now that this is wrong: `part: why` each. The same until it
    /// [was said](Self::said).
    pub(super) fn step(&mut self, troubles: &[String], now: (Timestamp, Duration)) -> Option<Say> {
        let (_, running) = now;
        let parts: BTreeSet<String> = troubles.iter().map(|trouble| part(trouble)).collect();
        self.parts.retain(|part, _| parts.contains(part));
        for part in &parts {
            self.parts.entry(part.clone()).or_insert(running);
        }
        if troubles.is_empty() {
            self.since = None;
            return self.told.as_ref().map(|told| Say::Mended(told.outage.clone()));
        }
        let (began, since) = *self.since.get_or_insert(now);
        let lasts = |since: Duration| running.saturating_sub(since) >= PATIENCE;
        let (outage, nth) = if let Some(told) = &self.told {
            let is_news = |(part, since): (&String, &Duration)| lasts(*since) && !told.parts.contains(part);
            if !self.parts.iter().any(is_news) {
                return None;
            }
            (told.outage.clone(), told.times)
        } else {
            if !lasts(since) {
                return None;
            }
            let name = format!("midwatch-{}", began.strftime("%Y%m%d-%H%M%S"));
            (IncidentId::parse(name).ok()?, 0)
        };
        Some(Say::Broken { outage, why: troubles.join("; "), nth, parts })
    }

    /// People were told.
    pub(super) fn said(&mut self, say: Say) {
        match say {
            Say::Broken { outage, nth, mut parts, .. } => {
                parts.extend(self.told.take().into_iter().flat_map(|told| told.parts));
                self.told = Some(Told { outage, times: nth.saturating_add(1), parts });
            }
            Say::Mended(_) => self.told = None,
        }
    }
}

/// The part that a trouble is in.
fn part(trouble: &str) -> String {
    trouble.split_once(": ").map_or(trouble, |(part, _)| part).to_owned()
}

#[cfg(test)]
mod tests {
    use midwatch_policy::SignedDuration;

    use super::*;

    fn at(second: u32) -> (Timestamp, Duration) {
        let now = Timestamp::from_second(1_795_000_000 + i64::from(second)).unwrap();
        (now, Duration::from_secs(second.into()))
    }

    #[test]
    fn people_are_told_once_of_an_outage_that_lasts_and_of_its_end() {
        let mut outage = Outage::default();
        let full = ["the inbox: full".to_owned()];
        assert_eq!(outage.step(&full, at(0)), None);
        assert_eq!(outage.step(&[], at(60)), None, "a short one is nobody's trouble");
        assert_eq!(outage.step(&full, at(70)), None);
        let said = outage.step(&full, at(190)).unwrap();
        let Say::Broken { outage: incident, why, .. } = &said else { panic!("{said:?}") };
        assert_eq!((incident.as_str(), why.as_str()), ("midwatch-20261118-110750", "the inbox: full"));
        let mended = Say::Mended(incident.clone());
        assert_eq!(outage.step(&full, at(205)).as_ref(), Some(&said), "nobody could be told yet");
        outage.said(said);
        assert_eq!(outage.step(&full, at(600)), None);
        assert_eq!(outage.step(&[], at(660)).as_ref(), Some(&mended));
        outage.said(mended);
        assert_eq!(outage.step(&[], at(661)), None);
    }

    #[test]
    fn a_clock_that_is_set_does_not_make_an_outage_longer_or_shorter() {
        let full = ["the inbox: full".to_owned()];
        for set in [-6 * 3600, 3 * 3600] {
            let mut outage = Outage::default();
            outage.step(&full, at(0));
            let is_set =
                |second| (at(second).0.saturating_add(SignedDuration::from_secs(set)).unwrap(), at(second).1);
            assert_eq!(outage.step(&full, is_set(60)), None);
            assert!(outage.step(&full, is_set(120)).is_some());
        }
    }

    #[test]
    fn what_breaks_later_in_the_same_outage_is_told_once_more_and_what_only_sounds_new_is_not() {
        let mut outage = Outage::default();
        let first = ["the inbox: full".to_owned()];
        outage.step(&first, at(0));
        let said = outage.step(&first, at(120)).unwrap();
        outage.said(said);
        let both = ["the inbox: locked".to_owned(), "the journal: full".to_owned()];
        assert_eq!(outage.step(&both, at(200)), None);
        let said = outage.step(&both, at(320)).unwrap();
        let Say::Broken { why, nth, .. } = &said else { panic!("{said:?}") };
        assert_eq!((why.as_str(), *nth), ("the inbox: locked; the journal: full", 1));
        outage.said(said);
        assert_eq!(outage.step(&both, at(900)), None);
        outage.step(&first, at(910));
        outage.step(&both, at(920));
        assert_eq!(outage.step(&both, at(2_000)), None, "people know that it does not work");
    }
}
