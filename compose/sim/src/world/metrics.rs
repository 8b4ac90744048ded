//! Metrics by the minute, and statistics over them.

use std::collections::BTreeMap;

use crate::time::MINUTE_MS;

/// What identifies a metric.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MetricKey {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) dimensions: BTreeMap<String, String>,
}

/// What was recorded in one minute.
#[derive(Debug, Clone, Default)]
struct Point {
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
    samples: Vec<f64>,
}

/// Every metric of the world. A minute can be read once it is over.
#[derive(Debug, Default)]
pub(crate) struct MetricStore {
    series: BTreeMap<MetricKey, BTreeMap<i64, Point>>,
}

impl MetricStore {
    /// Records a value. A minute without any record has no datapoint.
    pub(crate) fn record(&mut self, key: &MetricKey, at_ms: i64, value: f64) {
        self.record_many(key, at_ms, value, value, 1.0);
    }

    /// Records `count` events that add up to `sum`, of which `sample` is a typical one.
    pub(crate) fn record_many(&mut self, key: &MetricKey, at_ms: i64, sum: f64, sample: f64, count: f64) {
        if !self.series.contains_key(key) {
            self.series.insert(key.clone(), BTreeMap::new());
        }
        let Some(series) = self.series.get_mut(key) else { return };
        let point = series.entry(at_ms.div_euclid(MINUTE_MS) * MINUTE_MS).or_default();
        (point.min, point.max) = if point.samples.is_empty() {
            (sample, sample)
        } else {
            (point.min.min(sample), point.max.max(sample))
        };
        point.count += count;
        point.sum += sum;
        point.samples.push(sample);
    }

    /// Whether anything was recorded in the minute.
    pub(crate) fn has(&self, key: &MetricKey, at_ms: i64) -> bool {
        let minute = at_ms.div_euclid(MINUTE_MS) * MINUTE_MS;
        self.series.get(key).is_some_and(|series| series.contains_key(&minute))
    }

    /// Every metric there is.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &MetricKey> {
        self.series.keys()
    }

    /// A statistic by period: `(start of the period, value)`, oldest first. Periods without data
    /// are absent, and so is what is not over at `now_ms`.
    pub(crate) fn statistic(
        &self,
        key: &MetricKey,
        stat: Stat,
        period_s: i64,
        from_ms: i64,
        to_ms: i64,
        now_ms: i64,
    ) -> Vec<(i64, f64)> {
        let Some(series) = self.series.get(key) else { return Vec::new() };
        let period_ms = period_s.max(60) * 1000;
        let from = from_ms.div_euclid(period_ms) * period_ms;
        let mut merged: BTreeMap<i64, Vec<&Point>> = BTreeMap::new();
        for (at, point) in series.range(from..to_ms.max(from)) {
            if at + MINUTE_MS <= now_ms {
                merged.entry(at.div_euclid(period_ms) * period_ms).or_default().push(point);
            }
        }
        merged.into_iter().map(|(at, points)| (at, stat.of(&points))).collect()
    }
}

/// A statistic over a period.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stat {
    Sum,
    Average,
    Minimum,
    Maximum,
    SampleCount,
    Percentile(f64),
}

impl Stat {
    /// Parses a statistic as CloudWatch writes it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "Sum" => Some(Self::Sum),
            "Average" => Some(Self::Average),
            "Minimum" => Some(Self::Minimum),
            "Maximum" => Some(Self::Maximum),
            "SampleCount" => Some(Self::SampleCount),
            _ => {
                let p: f64 = text.strip_prefix('p')?.parse().ok()?;
                (0.0..=100.0).contains(&p).then_some(Self::Percentile(p))
            }
        }
    }

    fn of(self, points: &[&Point]) -> f64 {
        let sum: f64 = points.iter().map(|p| p.sum).sum();
        let count: f64 = points.iter().map(|p| p.count).sum();
        match self {
            Self::Sum => sum,
            Self::SampleCount => count,
            Self::Average => sum / count.max(f64::MIN_POSITIVE),
            Self::Minimum => points.iter().map(|p| p.min).fold(f64::INFINITY, f64::min),
            Self::Maximum => points.iter().map(|p| p.max).fold(f64::NEG_INFINITY, f64::max),
            Self::Percentile(p) => {
                let mut samples: Vec<f64> = points.iter().flat_map(|p| p.samples.iter().copied()).collect();
                samples.sort_by(f64::total_cmp);
                let rank = (p / 100.0 * samples.len() as f64).ceil();
                #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a rank")]
                let index = (rank as usize).saturating_sub(1).min(samples.len().saturating_sub(1));
                samples.get(index).copied().unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_are_aligned_to_their_period_and_leave_gaps() {
        let key = MetricKey { namespace: "n".into(), name: "m".into(), dimensions: BTreeMap::new() };
        let mut store = MetricStore::default();
        for (at, value) in [(0, 1.0), (30_000, 3.0), (60_000, 10.0), (180_000, 5.0)] {
            store.record(&key, at, value);
        }
        let read = |stat, period, now| store.statistic(&key, stat, period, 30_000, 240_000, now);
        assert_eq!(read(Stat::Sum, 60, 240_000), [(0, 4.0), (60_000, 10.0), (180_000, 5.0)]);
        assert_eq!(read(Stat::Average, 120, 240_000), [(0, 14.0 / 3.0), (120_000, 5.0)]);
        assert_eq!(read(Stat::Maximum, 300, 130_000), [(0, 10.0)]);
        assert_eq!(read(Stat::Percentile(50.0), 300, 240_000), [(0, 3.0)]);
        assert_eq!(Stat::parse("p99.9"), Some(Stat::Percentile(99.9)));
        assert_eq!(Stat::parse("p101"), None);
    }
}
