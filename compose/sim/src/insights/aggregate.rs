//! The `stats` command at work: rows into groups, groups into rows.

use std::collections::{HashMap, HashSet};

use super::{
    ast::{AggregateKind, Stats},
    eval::Row,
    value::{Value, whole},
};

/// Groups rows and computes each group's outputs. Groups come in the order they were first met.
pub(super) fn run<'a>(stats: &Stats, rows: impl IntoIterator<Item = Row<'a>>) -> Vec<Row<'a>> {
    let mut index: HashMap<Vec<Option<String>>, usize> = HashMap::new();
    let mut groups: Vec<Group> = Vec::new();
    for row in rows {
        let keys: Vec<Value<'_>> = stats.by.iter().map(|(_, expr)| row.eval(expr)).collect();
        let written = keys.iter().map(|key| key.render().map(std::borrow::Cow::into_owned)).collect();
        let at = *index.entry(written).or_insert_with(|| {
            let keys = keys.into_iter().map(Value::into_owned).collect();
            groups
                .push(Group { keys, sums: stats.aggregates.iter().map(|one| Sum::new(one.kind)).collect() });
            groups.len() - 1
        });
        if let Some(group) = groups.get_mut(at) {
            for (aggregate, sum) in stats.aggregates.iter().zip(&mut group.sums) {
                match &aggregate.of {
                    Some(expr) => sum.add(row.eval(expr), row.timestamp()),
                    None => sum.add(Value::Flag(true), row.timestamp()),
                }
            }
        }
    }
    groups.into_iter().map(|group| group.finish(stats)).collect()
}

struct Group {
    keys: Vec<Value<'static>>,
    sums: Vec<Sum>,
}

impl Group {
    fn finish<'a>(self, stats: &Stats) -> Row<'a> {
        let mut row = Row::default();
        row.aggregates = self.sums.into_iter().map(Sum::finish).collect();
        let outputs: Vec<Value<'static>> =
            stats.outputs.iter().map(|(_, expr)| row.eval(expr).into_owned()).collect();
        for ((name, _), value) in stats.by.iter().zip(self.keys) {
            row.set(name, value);
        }
        for ((name, _), value) in stats.outputs.iter().zip(outputs) {
            row.set(name, value);
        }
        row.aggregates = Vec::new();
        row
    }
}

/// One aggregation of one group, so far.
enum Sum {
    Count(usize),
    Distinct(HashSet<String>),
    Total {
        total: f64,
        count: usize,
        average: Average,
    },
    Extreme {
        keep: std::cmp::Ordering,
        best: Value<'static>,
    },
    Samples {
        percent: f64,
        samples: Vec<f64>,
    },
    /// Welford's running mean and sum of squared deviations.
    Spread {
        count: usize,
        mean: f64,
        squares: f64,
    },
    ByTime {
        keep: std::cmp::Ordering,
        best: Option<(i64, Value<'static>)>,
    },
}

#[derive(Clone, Copy, PartialEq)]
enum Average {
    No,
    Yes,
}

impl Sum {
    fn new(kind: AggregateKind) -> Self {
        use std::cmp::Ordering::{Greater, Less};
        match kind {
            AggregateKind::Count => Self::Count(0),
            AggregateKind::CountDistinct => Self::Distinct(HashSet::new()),
            AggregateKind::Sum => Self::Total { total: 0.0, count: 0, average: Average::No },
            AggregateKind::Avg => Self::Total { total: 0.0, count: 0, average: Average::Yes },
            AggregateKind::Min | AggregateKind::SortsFirst => {
                Self::Extreme { keep: Less, best: Value::Missing }
            }
            AggregateKind::Max | AggregateKind::SortsLast => {
                Self::Extreme { keep: Greater, best: Value::Missing }
            }
            AggregateKind::Pct(percent) => Self::Samples { percent, samples: Vec::new() },
            AggregateKind::Stddev => Self::Spread { count: 0, mean: 0.0, squares: 0.0 },
            AggregateKind::Earliest => Self::ByTime { keep: Less, best: None },
            AggregateKind::Latest => Self::ByTime { keep: Greater, best: None },
        }
    }

    fn add(&mut self, value: Value<'_>, at: Option<i64>) {
        if value.is_missing() {
            return;
        }
        match self {
            Self::Count(count) => *count += 1,
            Self::Distinct(seen) => {
                let text = value.render().unwrap_or_default();
                if !seen.contains(&*text) {
                    seen.insert(text.into_owned());
                }
            }
            Self::Total { total, count, .. } => {
                if let Some(number) = value.as_number() {
                    *total += number;
                    *count += 1;
                }
            }
            Self::Extreme { keep, best } => {
                if best.is_missing() || value.sort_order(best) == *keep {
                    *best = value.into_owned();
                }
            }
            Self::Samples { samples, .. } => samples.extend(value.as_number()),
            Self::Spread { count, mean, squares } => {
                if let Some(number) = value.as_number() {
                    *count += 1;
                    let before = number - *mean;
                    *mean += before / *count as f64;
                    *squares += before * (number - *mean);
                }
            }
            Self::ByTime { keep, best } => {
                let at = at.unwrap_or_default();
                if best.as_ref().is_none_or(|(held, _)| at.cmp(held) == *keep) {
                    *best = Some((at, value.into_owned()));
                }
            }
        }
    }

    fn finish(self) -> Value<'static> {
        match self {
            Self::Count(count) => Value::count(count),
            Self::Distinct(seen) => Value::count(seen.len()),
            Self::Total { count: 0, .. } | Self::Spread { count: 0 | 1, .. } => Value::Missing,
            Self::Total { total, count, average: Average::Yes } => Value::number(total / count as f64),
            Self::Total { total, average: Average::No, .. } => Value::number(total),
            Self::Extreme { best, .. } => best,
            Self::Samples { percent, samples } => percentile(samples, percent),
            Self::Spread { count, squares, .. } => Value::number((squares / (count - 1) as f64).sqrt()),
            Self::ByTime { best, .. } => best.map_or(Value::Missing, |(_, value)| value),
        }
    }
}

/// Nearest rank: the smallest sample with at least `percent` of all samples at or below it.
fn percentile(mut samples: Vec<f64>, percent: f64) -> Value<'static> {
    samples.sort_by(f64::total_cmp);
    let rank = (percent / 100.0 * samples.len() as f64).ceil().max(1.0) - 1.0;
    let index = whole(rank).and_then(|rank| usize::try_from(rank).ok()).unwrap_or(0);
    samples.get(index).or(samples.last()).map_or(Value::Missing, |sample| Value::number(*sample))
}
