//! Running a compiled query over records.

use std::{cmp::Reverse, collections::HashSet, sync::Arc};

use super::{
    DEFAULT_LIMIT, Record, aggregate,
    ast::{Command, Direction, Field, Query, Shape},
    eval::Row,
    pointer,
    value::Value,
};

/// Result of a query.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Outcome {
    /// Rows of field name and value; a missing field is absent.
    pub rows: Vec<Vec<(Arc<str>, String)>>,
    /// What was read.
    pub statistics: Statistics,
}

/// What a query read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Events that passed the filters.
    pub records_matched: u64,
    /// Events read.
    pub records_scanned: u64,
    /// Bytes of the events read.
    pub bytes_scanned: u64,
}

impl Query {
    /// Runs over records in any order. `limit` holds where the query names none itself.
    pub fn run<'a>(&self, records: impl IntoIterator<Item = Record<'a>>, limit: Option<usize>) -> Outcome {
        let mut statistics = Statistics::default();
        let mut rows = Vec::new();
        let (front, rest) = self.commands.split_at_checked(self.row_wise()).unwrap_or_default();
        for record in records {
            statistics.records_scanned += 1;
            statistics.bytes_scanned += record.bytes;
            if self.estimate {
                continue;
            }
            let mut row = Row::of(record);
            if front.iter().all(|command| pass(command, &mut row)) {
                rows.push(row);
            }
        }
        if self.estimate {
            return estimate(statistics.bytes_scanned);
        }
        statistics.records_matched = rows.len() as u64;
        // Latest first, and of events at the same time the one received last.
        rows.sort_by_key(|row| Reverse(row.record.map(|record| (record.timestamp_ms, record.id))));
        for command in rest {
            rows = apply(command, rows);
        }
        if !self.commands.iter().any(|command| matches!(command, Command::Limit(_))) {
            rows.truncate(limit.unwrap_or(DEFAULT_LIMIT));
        }
        Outcome { rows: self.render(&rows), statistics }
    }

    /// Whether the query only asks what it would read.
    pub fn is_estimate(&self) -> bool {
        self.estimate
    }

    /// How many commands from the start look at one row at a time.
    fn row_wise(&self) -> usize {
        let one_row = |command: &Command| {
            matches!(command, Command::Fields(_) | Command::Filter(_) | Command::Parse { .. })
        };
        self.commands.iter().take_while(|command| one_row(command)).count()
    }

    fn render(&self, rows: &[Row<'_>]) -> Vec<Vec<(Arc<str>, String)>> {
        let ptr: Arc<str> = Arc::from("@ptr");
        let fields: Vec<Field> = self.columns.iter().map(|name| Field::named(name)).collect();
        rows.iter()
            .map(|row| {
                let mut cells: Vec<(Arc<str>, String)> = fields
                    .iter()
                    .filter_map(|field| {
                        let text = row.field(field).render()?.into_owned();
                        Some((Arc::clone(&field.name), text))
                    })
                    .collect();
                if let (Shape::Events, Some(record)) = (self.shape, row.record) {
                    cells.retain(|(name, _)| *name != ptr);
                    cells.push((Arc::clone(&ptr), pointer(record.id)));
                }
                cells
            })
            .collect()
    }
}

/// `estimate` answers with one row and, having read nothing, with no bytes scanned.
fn estimate(bytes: u64) -> Outcome {
    let row = vec![(Arc::from("estimatedBytesScanned"), bytes.to_string())];
    Outcome { rows: vec![row], statistics: Statistics::default() }
}

/// A command that looks at one row; false drops the row.
fn pass(command: &Command, row: &mut Row<'_>) -> bool {
    match command {
        Command::Fields(computed) => {
            for (name, expr) in computed {
                let value = row.eval(expr).into_owned();
                row.set(name, value);
            }
            true
        }
        Command::Filter(condition) => row.test(condition),
        Command::Parse { from, pattern, names } => {
            let mut found = Vec::new();
            if let Some(text) = row.field(from).render()
                && let Some(captures) = pattern.captures(&text)
            {
                found.extend(names.iter().filter_map(|(group, name)| {
                    Some((Arc::clone(name), Value::text(captures.get(*group)?.as_str().to_owned())))
                }));
            }
            for (name, value) in found {
                row.set(&name, value);
            }
            true
        }
        Command::Stats(_) | Command::Sort(_) | Command::Limit(_) | Command::Dedup(_) => true,
    }
}

fn apply<'a>(command: &Command, mut rows: Vec<Row<'a>>) -> Vec<Row<'a>> {
    match command {
        Command::Fields(_) | Command::Filter(_) | Command::Parse { .. } => {
            rows.retain_mut(|row| pass(command, row));
            rows
        }
        Command::Stats(stats) => aggregate::run(stats, rows),
        Command::Sort(keys) => {
            let mut keyed: Vec<(Vec<Value<'static>>, Row<'a>)> = rows
                .into_iter()
                .map(|row| (keys.iter().map(|(expr, _)| row.eval(expr).into_owned()).collect(), row))
                .collect();
            keyed.sort_by(|(one, _), (two, _)| {
                let orders = one.iter().zip(two).zip(keys).map(|((one, two), (_, direction))| {
                    let order = one.sort_order(two);
                    if *direction == Direction::Descending { order.reverse() } else { order }
                });
                orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
            });
            keyed.into_iter().map(|(_, row)| row).collect()
        }
        Command::Limit(limit) => {
            rows.truncate(*limit);
            rows
        }
        Command::Dedup(fields) => {
            let mut seen = HashSet::new();
            rows.retain(|row| {
                let key: Option<Vec<String>> =
                    fields.iter().map(|field| Some(row.field(field).render()?.into_owned())).collect();
                // An event without one of the fields duplicates nothing.
                key.is_none_or(|key| seen.insert(key))
            });
            rows
        }
    }
}
