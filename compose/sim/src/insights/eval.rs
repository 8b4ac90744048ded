//! Rows on their way through a query, and expressions over them.

use std::{cell::OnceCell, sync::Arc};

use serde_json::Value as Json;

use super::{
    Record,
    ast::{Arithmetic, Comparison, Expr, Field, Pattern, System},
    json, pointer,
    value::Value,
};

/// A record with what the query computed for it, or a group of records.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    pub(super) record: Option<Record<'a>>,
    computed: Vec<(Arc<str>, Value<'static>)>,
    /// Results of the aggregations, while the outputs of a group are computed.
    pub(super) aggregates: Vec<Value<'static>>,
    json: OnceCell<Option<Json>>,
}

impl<'a> Row<'a> {
    pub(super) fn of(record: Record<'a>) -> Self {
        Self { record: Some(record), ..Self::default() }
    }

    /// A later value hides an earlier one of the same name.
    pub(super) fn set(&mut self, name: &Arc<str>, value: Value<'static>) {
        match self.computed.iter_mut().find(|(known, _)| known == name) {
            Some((_, slot)) => *slot = value,
            None => self.computed.push((Arc::clone(name), value)),
        }
    }

    pub(super) fn timestamp(&self) -> Option<i64> {
        self.record.map(|record| record.timestamp_ms)
    }

    pub(super) fn field(&self, field: &Field) -> Value<'_> {
        if let Some((_, value)) = self.computed.iter().find(|(name, _)| *name == field.name) {
            return value.borrowed();
        }
        let Some(record) = self.record else { return Value::Missing };
        match field.system {
            Some(System::Timestamp) => Value::Time(record.timestamp_ms),
            Some(System::Message) => Value::text(record.message),
            Some(System::LogStream) => Value::text(record.stream),
            Some(System::Log) => Value::text(format!("{}:{}", record.account, record.group)),
            Some(System::IngestionTime) => Value::Time(record.ingestion_ms),
            Some(System::Ptr) => Value::text(pointer(record.id)),
            None => match self.json.get_or_init(|| json::discover(record.message)) {
                Some(found) => json::field(found, &field.name),
                None => Value::Missing,
            },
        }
    }

    pub(super) fn eval(&self, expr: &Expr) -> Value<'_> {
        match expr {
            Expr::Field(field) => self.field(field),
            Expr::Literal(value) => value.clone(),
            Expr::Negate(of) => match self.eval(of).as_number() {
                Some(number) => Value::number(-number),
                None => Value::Missing,
            },
            Expr::Not(of) => Value::Flag(!self.test(of)),
            Expr::And(one, two) => Value::Flag(self.test(one) && self.test(two)),
            Expr::Or(one, two) => Value::Flag(self.test(one) || self.test(two)),
            Expr::Arithmetic(operator, one, two) => arithmetic(*operator, &self.eval(one), &self.eval(two)),
            Expr::Compare(operator, one, two) => {
                Value::Flag(compare(*operator, &self.eval(one), &self.eval(two)))
            }
            Expr::Like(subject, pattern) => {
                Value::Flag(self.eval(subject).render().is_some_and(|text| match pattern {
                    Pattern::Substring(part) => text.contains(part.as_str()),
                    Pattern::Regex(regex) => regex.is_match(&text),
                }))
            }
            Expr::In(subject, items) => {
                let subject = self.eval(subject);
                Value::Flag(items.iter().any(|item| subject.equals(&self.eval(item))))
            }
            Expr::Call(function, arguments) => {
                let arguments: Vec<Value<'_>> =
                    arguments.iter().map(|argument| self.eval(argument)).collect();
                function.call(&arguments)
            }
            Expr::Round(time, period, edge) => self
                .eval(time)
                .as_time()
                .and_then(|ms| period.round(ms, *edge))
                .map_or(Value::Missing, Value::Time),
            Expr::Aggregate(index) => self.aggregates.get(*index).map_or(Value::Missing, Value::borrowed),
        }
    }

    /// Whether a condition holds.
    pub(super) fn test(&self, expr: &Expr) -> bool {
        self.eval(expr).truth()
    }
}

fn arithmetic(operator: Arithmetic, one: &Value<'_>, two: &Value<'_>) -> Value<'static> {
    let (Some(one), Some(two)) = (one.as_number(), two.as_number()) else { return Value::Missing };
    Value::number(match operator {
        Arithmetic::Add => one + two,
        Arithmetic::Subtract => one - two,
        Arithmetic::Multiply => one * two,
        Arithmetic::Divide => one / two,
        Arithmetic::Remainder => one % two,
        Arithmetic::Power => one.powf(two),
    })
}

/// A missing field differs from everything and is neither less nor greater.
fn compare(operator: Comparison, one: &Value<'_>, two: &Value<'_>) -> bool {
    match operator {
        Comparison::Equal => one.equals(two),
        Comparison::NotEqual => !one.equals(two),
        Comparison::Less => one.compare(two).is_some_and(std::cmp::Ordering::is_lt),
        Comparison::LessOrEqual => one.compare(two).is_some_and(std::cmp::Ordering::is_le),
        Comparison::Greater => one.compare(two).is_some_and(std::cmp::Ordering::is_gt),
        Comparison::GreaterOrEqual => one.compare(two).is_some_and(std::cmp::Ordering::is_ge),
    }
}
