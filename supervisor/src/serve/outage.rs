//! When people are told that Midwatch itself does not work: of each part once in an outage, after a
//! while, and again when it is over. What could not be said is said again. Pure.

use std::collections::{BTreeMap, BTreeSet};

use midwatch_policy::{IncidentId, SignedDuration, Timestamp};

/// How long something may be wrong before anybody is woken for it.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);

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
    since: Option<Timestamp>,
    /// Parts that do not work, and since when.
    parts: BTreeMap<String, Timestamp>,
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
    pub(super) fn step(&mut self, troubles: &[String], now: Timestamp) -> Option<Say> {
        let parts: BTreeSet<String> = troubles.iter().map(|trouble| part(trouble)).collect();
        self.parts.retain(|part, _| parts.contains(part));
        for part in &parts {
            self.parts.entry(part.clone()).or_insert(now);
        }
        if troubles.is_empty() {
            self.since = None;
            return self.told.as_ref().map(|told| Say::Mended(told.outage.clone()));
        }
        let since = *self.since.get_or_insert(now);
        let lasts = |since: Timestamp| now.duration_since(since) >= PATIENCE;
        let (outage, nth) = if let Some(told) = &self.told {
            let is_news = |(part, since): (&String, &Timestamp)| lasts(*since) && !told.parts.contains(part);
            if !self.parts.iter().any(is_news) {
                return None;
            }
            (told.outage.clone(), told.times)
        } else {
            if !lasts(since) {
                return None;
            }
            let name = format!("midwatch-{}", since.strftime("%Y%m%d-%H%M%S"));
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
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
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
