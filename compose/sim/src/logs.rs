//! What has been logged in the world: events by group, in time order.
//!
//! INVARIANT: the events of a group are sorted by `timestamp_ms`, ties by `id`. An event is
//! visible once its ingestion time has come; a query may therefore miss the newest lines, as it
//! does against CloudWatch.

use std::{collections::BTreeMap, ops::Range, sync::Arc};

use crate::time::MINUTE_MS;

/// Bytes CloudWatch counts for an event besides its message.
const EVENT_OVERHEAD_BYTES: u64 = 26;

/// One log event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Log group name.
    pub group: Arc<str>,
    /// Log stream name.
    pub stream: Arc<str>,
    /// When the application wrote it, in Unix milliseconds.
    pub timestamp_ms: i64,
    /// From when on it can be read, in Unix milliseconds.
    pub ingestion_ms: i64,
    /// The text.
    pub message: Arc<str>,
    /// Unique within the store, and stable for a seed.
    pub id: u64,
}

#[derive(Debug, Default)]
struct Group {
    events: Vec<LogEvent>,
    bytes: u64,
    created_ms: i64,
    /// Bytes that are said to be stored, where a scenario plays a huge group.
    claimed_bytes: Option<u64>,
}

/// Every log group of the world.
#[derive(Debug, Default)]
pub struct LogStore {
    groups: BTreeMap<Arc<str>, Group>,
    next_id: u64,
}

impl LogStore {
    /// Declares a group, so that it exists even when nothing is written to it.
    pub fn create_group(&mut self, name: &str, created_ms: i64, claimed_bytes: Option<u64>) {
        let group = self.groups.entry(Arc::from(name)).or_default();
        group.created_ms = created_ms;
        group.claimed_bytes = claimed_bytes.or(group.claimed_bytes);
    }

    /// Names of all groups, in order.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.keys()
    }

    /// Whether there is a group of that name.
    pub fn contains(&self, group: &str) -> bool {
        self.groups.contains_key(group)
    }

    /// When a group was created, in Unix milliseconds.
    pub fn created_ms(&self, group: &str) -> Option<i64> {
        self.groups.get(group).map(|g| g.created_ms)
    }

    /// Bytes stored in a group, as `DescribeLogGroups` tells them.
    pub fn stored_bytes(&self, group: &str) -> Option<u64> {
        self.groups.get(group).map(|g| g.claimed_bytes.unwrap_or(g.bytes))
    }

    /// By how much the bytes of the events in a group have to be multiplied to be the bytes that
    /// scanning them is said to cost; above 1 only where a scenario plays a huge group.
    pub fn scan_factor(&self, group: &str) -> f64 {
        self.groups
            .get(group)
            .and_then(|g| Some(g.claimed_bytes? as f64 / g.bytes.max(1) as f64))
            .map_or(1.0, |factor| factor.max(1.0))
    }

    /// What CloudWatch counts as `IncomingBytes` of a group: `(start of the period, bytes)`, oldest first,
    /// by when they came in. Periods without any are absent, and so is a minute that is not over at `now_ms`.
    pub(crate) fn incoming_bytes(
        &self,
        group: &str,
        period_s: i64,
        window_ms: Range<i64>,
        now_ms: i64,
    ) -> Vec<(i64, f64)> {
        let period_ms = period_s.max(60) * 1000;
        let from = window_ms.start.div_euclid(period_ms) * period_ms;
        let to = window_ms.end.min(now_ms.div_euclid(MINUTE_MS) * MINUTE_MS);
        let factor = self.scan_factor(group);
        let mut sums: BTreeMap<i64, f64> = BTreeMap::new();
        let events = self.groups.get(group).map_or(&[][..], |g| &g.events);
        for event in events.iter().filter(|event| (from..to).contains(&event.ingestion_ms)) {
            let bytes = (event.message.len() as u64 + EVENT_OVERHEAD_BYTES) as f64 * factor;
            *sums.entry(event.ingestion_ms.div_euclid(period_ms) * period_ms).or_default() += bytes;
        }
        sums.into_iter().collect()
    }

    /// Events of a group with `from_ms <= timestamp_ms < to_ms` that can be read at
    /// `visible_at_ms`, oldest first. Empty for an unknown group.
    pub fn events<'a>(
        &'a self,
        group: &str,
        from_ms: i64,
        to_ms: i64,
        visible_at_ms: i64,
    ) -> impl DoubleEndedIterator<Item = &'a LogEvent> + 'a {
        let events = self.groups.get(group).map_or(&[][..], |g| &g.events);
        let start = events.partition_point(|e| e.timestamp_ms < from_ms);
        let end = events.partition_point(|e| e.timestamp_ms < to_ms).max(start);
        events.get(start..end).unwrap_or_default().iter().filter(move |e| e.ingestion_ms <= visible_at_ms)
    }

    /// The event with that id.
    pub fn event(&self, group: &str, id: u64) -> Option<&LogEvent> {
        self.groups.get(group)?.events.iter().find(|e| e.id == id)
    }

    /// Writes lines to a group. They may come in any order; they are sorted in.
    pub fn write(&mut self, group: &str, lines: impl IntoIterator<Item = Line>) {
        let name: Arc<str> =
            self.groups.get_key_value(group).map_or_else(|| Arc::from(group), |(name, _)| Arc::clone(name));
        let into = self.groups.entry(Arc::clone(&name)).or_default();
        let sorted_until = into.events.last().map_or(i64::MIN, |e| e.timestamp_ms);
        let mut in_order = true;
        let mut last = sorted_until;
        for line in lines {
            in_order &= line.timestamp_ms >= last;
            last = line.timestamp_ms;
            into.bytes += line.message.len() as u64 + EVENT_OVERHEAD_BYTES;
            into.events.push(LogEvent {
                group: Arc::clone(&name),
                stream: line.stream,
                timestamp_ms: line.timestamp_ms,
                ingestion_ms: line.ingestion_ms,
                message: line.message,
                id: self.next_id,
            });
            self.next_id += 1;
        }
        if !in_order {
            into.events.sort_by_key(|e| (e.timestamp_ms, e.id));
        }
    }
}

/// A line on its way into the store.
#[derive(Debug, Clone)]
pub struct Line {
    /// Log stream name.
    pub stream: Arc<str>,
    /// When it was written, in Unix milliseconds.
    pub timestamp_ms: i64,
    /// From when on it can be read, in Unix milliseconds.
    pub ingestion_ms: i64,
    /// The text.
    pub message: Arc<str>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(at: i64, lag: i64, text: &str) -> Line {
        Line { stream: "s".into(), timestamp_ms: at, ingestion_ms: at + lag, message: text.into() }
    }

    #[test]
    fn events_come_in_time_order_and_only_once_they_were_ingested() {
        let mut store = LogStore::default();
        store.write("g", [line(30, 0, "c"), line(10, 5, "a"), line(20, 100, "b")]);
        store.write("g", [line(15, 0, "d")]);
        let read = |from, to, at| {
            store.events("g", from, to, at).map(|e| e.message.to_string()).collect::<Vec<_>>().concat()
        };
        assert_eq!(read(0, 100, 1000), "adbc");
        assert_eq!(read(0, 100, 50), "adc");
        assert_eq!(read(15, 30, 1000), "db");
        assert_eq!(read(30, 10, 1000), "");
        assert_eq!(store.stored_bytes("g"), Some(4 + 4 * 26));
        assert!((store.scan_factor("g") - 1.0).abs() < f64::EPSILON);
    }

    #[test]
    fn what_came_in_is_counted_by_when_it_came() {
        let mut store = LogStore::default();
        store.write("g", [line(59_000, 2_000, "a"), line(61_000, 0, "b"), line(301_000, 0, "c")]);
        let one = 27.0;
        let sums = |period, now| store.incoming_bytes("g", period, 60_000..360_000, now);
        assert_eq!(sums(60, 400_000), [(60_000, 2.0 * one), (300_000, one)]);
        assert_eq!(sums(300, 400_000), [(0, 2.0 * one), (300_000, one)]);
        assert_eq!(sums(60, 301_500), [(60_000, 2.0 * one)]);
        assert!(store.incoming_bytes("other", 60, 0..400_000, 400_000).is_empty());
    }

    #[test]
    fn a_huge_group_says_so() {
        let mut store = LogStore::default();
        store.create_group("g", 0, Some(27_000));
        store.write("g", [line(1, 0, "a")]);
        assert_eq!(store.stored_bytes("g"), Some(27_000));
        assert!((store.scan_factor("g") - 1000.0).abs() < 1e-9);
    }
}
