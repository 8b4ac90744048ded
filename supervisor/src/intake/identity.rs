//! What identifies the trouble behind an alarm.
//!
//! Two alarms on one metric of one thing (a warning and a critical threshold, say) are one trouble,
//! as is the same alarm once more. What does not identify it: the message, the moment, the state,
//! the numbers in a name that a scaling policy made up.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::alarm::{Alarm, Watch};

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
        for part in place.into_iter().map(|part| part.unwrap_or("-")).chain([family(alarm).as_str()]) {
            hash.update(part);
            hash.update([0]);
        }
        for (name, value) in alarm.dimensions() {
            hash.update(name);
            hash.update([1]);
            hash.update(value);
            hash.update([0]);
        }
        Self(hex::encode(hash.finalize()).chars().take(24).collect())
    }
}

/// What kind of alarm it is: the metric, where there is one, else the name without its numbers.
pub fn family(alarm: &Alarm) -> String {
    match &alarm.watch {
        Watch::Metric { metric } => format!("{}/{}", metric.namespace, metric.name),
        Watch::Math { expression, .. } => format!("math {expression}"),
        Watch::Composite { .. } => format!("composite {}", alarm.name),
        Watch::Unstated => format!("named {}", without_numbers(&alarm.name)),
    }
}

/// UUIDs, runs of digits, and of hexadecimal digits as long as an id, as one mark each.
fn without_numbers(name: &str) -> String {
    let name = without_uuids(name);
    let made_up = |word: &str| {
        let id = word.len() >= 8 && word.bytes().all(|b| b.is_ascii_hexdigit());
        id && word.bytes().any(|b| b.is_ascii_digit()) || word.bytes().all(|b| b.is_ascii_digit())
    };
    let words = name.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
    words
        .map(|word| {
            let bare = word.trim_end_matches(|c: char| !c.is_ascii_alphanumeric());
            let rest = word.strip_prefix(bare).unwrap_or_default();
            if !bare.is_empty() && made_up(bare) { format!("#{rest}") } else { word.to_owned() }
        })
        .collect()
}

fn without_uuids(name: &str) -> String {
    const PARTS: [usize; 5] = [8, 4, 4, 4, 12];
    let words: Vec<&str> = name.split('-').collect();
    let is_uuid = |at: usize| {
        let hex = |(word, length): (&&str, &usize)| {
            word.len() == *length && word.bytes().all(|b| b.is_ascii_hexdigit())
        };
        words.get(at..at + PARTS.len()).is_some_and(|parts| parts.iter().zip(&PARTS).all(hex))
    };
    let (mut kept, mut at) = (Vec::new(), 0);
    while let Some(word) = words.get(at) {
        let uuid = is_uuid(at);
        kept.push(if uuid { "#" } else { *word });
        at += if uuid { PARTS.len() } else { 1 };
    }
    kept.join("-")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm;

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

    #[test]
    fn numbers_that_somebody_made_up_do_not_make_another_family() {
        let name = "TargetTracking-table/orders-AlarmHigh-0f7a1c2e-1b2c-4d5e-8f90-1234567890ab";
        let other = "TargetTracking-table/orders-AlarmHigh-77aa00ff-ffff-4d5e-8f90-00aa34567890";
        assert_eq!(without_numbers(name), without_numbers(other));
        assert_eq!(without_numbers("web-5xx-high"), "web-5xx-high");
        assert_ne!(without_numbers("facade-down"), without_numbers("decade-down"));
    }
}
