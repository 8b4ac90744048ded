//! What identifies the trouble behind an alarm.
//!
//! Two alarms on one metric of one thing (a warning and a critical threshold, say) are one trouble,
//! as is the same alarm once more. What does not identify it: the message, the moment, the state,
//! the numbers in a name that a scaling policy made up.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::alarm::Alarm;

/// One alarm of one account and region, whatever state it is in: what its state changes are ordered by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct AlarmKey(String);

impl AlarmKey {
    /// Of an alarm.
    pub fn of(alarm: &Alarm) -> Self {
        Self(alarm.fingerprint())
    }
}

impl fmt::Display for AlarmKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A trouble: account, region, service, family of the alarm, dimensions.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Trouble(String);

impl Trouble {
    /// Of an alarm about a service, where it is known.
    pub fn of(alarm: &Alarm, service: Option<&str>) -> Self {
        let mut hash = Sha256::new();
        let place = [alarm.account.as_deref(), alarm.region.as_deref(), service];
        for part in place.into_iter().map(|part| part.unwrap_or("-")).chain([alarm.thing().as_str()]) {
            hash.update(part);
            hash.update([0]);
        }
        Self(hex::encode(hash.finalize()).chars().take(24).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::{self, Watch};

    fn fixture(name: &str) -> Alarm {
        let path = format!("{}/tests/fixtures/alarms/{name}.json", env!("CARGO_MANIFEST_DIR"));
        alarm::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn thresholds_on_one_metric_are_one_trouble_and_other_dimensions_another() {
        let warning = fixture("sns-metric");
        let mut critical = warning.clone();
        "much worse".clone_into(&mut critical.name);
        assert_ne!(AlarmKey::of(&warning), AlarmKey::of(&critical));
        assert_eq!(Trouble::of(&warning, None), Trouble::of(&critical, None));
        assert_ne!(Trouble::of(&warning, None), Trouble::of(&warning, Some("web")));
        if let Watch::Metric { metric } = &mut critical.watch {
            metric.dimensions.insert("ServiceName".to_owned(), "another".to_owned());
        }
        assert_ne!(Trouble::of(&warning, None), Trouble::of(&critical, None));
        let elsewhere = Alarm { region: Some("eu-west-1".to_owned()), ..warning.clone() };
        assert_ne!(Trouble::of(&warning, None), Trouble::of(&elsewhere, None));
    }
}
