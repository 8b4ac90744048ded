//! When people are told that Midwatch itself does not work: once for each outage, after a while,
//! and again when it is over. Pure.

use midwatch_policy::{IncidentId, SignedDuration, Timestamp};

/// How long something may be wrong before anybody is woken for it.
const PATIENCE: SignedDuration = SignedDuration::from_mins(2);

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Say {
    /// This is wrong.
    Broken(IncidentId, String),
    /// It is not wrong any more.
    Mended(IncidentId),
}

/// What is wrong, as people know it.
#[derive(Debug, Default)]
pub(super) struct Outage {
    since: Option<Timestamp>,
    told: Option<IncidentId>,
}

impl Outage {
    /// What is to be said, now that this is wrong.
    pub(super) fn step(&mut self, troubles: &[String], now: Timestamp) -> Option<Say> {
        if troubles.is_empty() {
            self.since = None;
            return self.told.take().map(Say::Mended);
        }
        let since = *self.since.get_or_insert(now);
        if self.told.is_some() || now.duration_since(since) < PATIENCE {
            return None;
        }
        let name = format!("midwatch-{}", since.strftime("%Y%m%d-%H%M%S"));
        let incident = IncidentId::parse(name).ok()?;
        self.told = Some(incident.clone());
        Some(Say::Broken(incident, troubles.join("; ")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_once_of_an_outage_that_lasts_and_of_its_end() {
        let at = |second: i64| Timestamp::from_second(1_795_000_000 + second).unwrap();
        let mut outage = Outage::default();
        let full = ["the inbox: full".to_owned()];
        assert_eq!(outage.step(&full, at(0)), None);
        assert_eq!(outage.step(&[], at(60)), None, "a short one is nobody's trouble");
        assert_eq!(outage.step(&full, at(70)), None);
        let Some(Say::Broken(incident, why)) = outage.step(&full, at(190)) else { panic!("not told") };
        assert_eq!((incident.as_str(), why.as_str()), ("midwatch-20261118-110750", "the inbox: full"));
        assert_eq!(outage.step(&full, at(600)), None);
        assert_eq!(outage.step(&[], at(660)), Some(Say::Mended(incident)));
        assert_eq!(outage.step(&[], at(661)), None);
    }
}
