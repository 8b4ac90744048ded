//! What tells an alarm from others.
//!
//! Two alarms may differ only in what must not be kept, such as a mailbox, or in the thirty-first label. So what they are
//! told by is taken from what the message says, and of that a hash is kept, in those alarms whose texts do not have it
//! any more. Keeping it of all of them was rejected: what is stored of an ordinary alarm stays as it was.

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{Alarm, Watch};

/// Hashes of what an alarm was told by in its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    pub(super) alarm: String,
    pub(super) thing: String,
}

impl Mark {
    /// By the texts of an alarm, as they stand.
    pub(super) fn of(alarm: &Alarm) -> Self {
        Self { alarm: which(alarm), thing: thing(alarm) }
    }
}

/// Account, region, name and dimensions.
pub(super) fn which(alarm: &Alarm) -> String {
    let mut hash = Sha256::new();
    for part in [alarm.account.as_deref(), alarm.region.as_deref(), Some(alarm.name.as_str())] {
        hash.update(part.unwrap_or("-"));
        hash.update([0]);
    }
    dimensions(alarm, &mut hash);
    short(hash, 16)
}

/// Family and dimensions.
pub(super) fn thing(alarm: &Alarm) -> String {
    let mut hash = Sha256::new();
    hash.update(family(alarm));
    hash.update([0]);
    dimensions(alarm, &mut hash);
    short(hash, 24)
}

fn dimensions(alarm: &Alarm, hash: &mut Sha256) {
    for (name, value) in alarm.dimensions() {
        hash.update(name);
        hash.update([1]);
        hash.update(value);
        hash.update([0]);
    }
}

fn short(hash: Sha256, length: usize) -> String {
    hex::encode(hash.finalize()).chars().take(length).collect()
}

/// What kind of alarm it is: the metric, where there is one, else the name without its numbers.
fn family(alarm: &Alarm) -> String {
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

    #[test]
    fn numbers_that_somebody_made_up_do_not_make_another_family() {
        let name = "TargetTracking-table/orders-AlarmHigh-0f7a1c2e-1b2c-4d5e-8f90-1234567890ab";
        let other = "TargetTracking-table/orders-AlarmHigh-77aa00ff-ffff-4d5e-8f90-00aa34567890";
        assert_eq!(without_numbers(name), without_numbers(other));
        assert_eq!(without_numbers("web-5xx-high"), "web-5xx-high");
        assert_ne!(without_numbers("facade-down"), without_numbers("decade-down"));
    }
}
