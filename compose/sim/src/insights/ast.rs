//! A compiled query.

use std::sync::Arc;

use regex::Regex;

use super::{
    functions::Function,
    period::{Edge, Period},
    value::Value,
};

/// A query that compiled; run it with [`Query::run`].
#[derive(Debug, Clone)]
pub struct Query {
    pub(super) commands: Vec<Command>,
    /// Columns of the result, in order.
    pub(super) columns: Vec<Arc<str>>,
    /// Aggregates have no `@ptr`.
    pub(super) shape: Shape,
    /// Only the bytes that would be read are asked for.
    pub(super) estimate: bool,
}

/// What a row of the result stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Events,
    Groups,
}

#[derive(Debug, Clone)]
pub(super) enum Command {
    /// Computes the expressions that are more than a field.
    Fields(Vec<(Arc<str>, Expr)>),
    Filter(Expr),
    Parse {
        from: Field,
        pattern: Regex,
        names: Vec<(usize, Arc<str>)>,
    },
    Stats(Stats),
    Sort(Vec<(Expr, Direction)>),
    Limit(usize),
    Dedup(Vec<Field>),
}

#[derive(Debug, Clone)]
pub(super) struct Stats {
    pub(super) aggregates: Vec<Aggregate>,
    /// Result columns; their expressions refer to `aggregates` by index.
    pub(super) outputs: Vec<(Arc<str>, Expr)>,
    pub(super) by: Vec<(Arc<str>, Expr)>,
}

/// One aggregation call.
#[derive(Debug, Clone)]
pub(super) struct Aggregate {
    pub(super) kind: AggregateKind,
    /// `None` is `*`.
    pub(super) of: Option<Expr>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum AggregateKind {
    Count,
    CountDistinct,
    Sum,
    Avg,
    Min,
    Max,
    /// Percentile from 0 to 100.
    Pct(f64),
    Stddev,
    Earliest,
    Latest,
    SortsFirst,
    SortsLast,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Ascending,
    Descending,
}

/// A field by name. What the query computed hides what the record holds.
#[derive(Debug, Clone)]
pub(super) struct Field {
    pub(super) name: Arc<str>,
    pub(super) system: Option<System>,
}

/// Fields that every record has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum System {
    Timestamp,
    Message,
    LogStream,
    Log,
    IngestionTime,
    Ptr,
}

impl Field {
    pub(super) fn named(name: &str) -> Self {
        let system = match name {
            "@timestamp" => Some(System::Timestamp),
            "@message" => Some(System::Message),
            "@logStream" => Some(System::LogStream),
            "@log" => Some(System::Log),
            "@ingestionTime" => Some(System::IngestionTime),
            "@ptr" => Some(System::Ptr),
            _ => None,
        };
        Self { name: Arc::from(name), system }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Expr {
    Field(Field),
    Literal(Value<'static>),
    Negate(Box<Expr>),
    Not(Box<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    Arithmetic(Arithmetic, Box<Expr>, Box<Expr>),
    Compare(Comparison, Box<Expr>, Box<Expr>),
    Like(Box<Expr>, Pattern),
    In(Box<Expr>, Vec<Expr>),
    Call(&'static Function, Vec<Expr>),
    Round(Box<Expr>, Period, Edge),
    /// Result of the aggregate with this index; only inside `stats`.
    Aggregate(usize),
}

#[derive(Debug, Clone)]
pub(super) enum Pattern {
    Substring(String),
    Regex(Regex),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Arithmetic {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}
