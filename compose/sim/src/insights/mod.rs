//! CloudWatch Logs Insights: a query is compiled once, then run over log records.
//!
//! `lexer → parser → ast → run`. Compiling reports the first mistake with character offsets, as `StartQuery` does;
//! running cannot fail. What this engine does not know it refuses: an emulator that drops a stage it cannot read
//! answers a question nobody asked.
//!
//! Behaviour follows the CloudWatch Logs user guide: rows without a `sort` come latest first, `limit` defaults to
//! 10,000, raw rows carry `@ptr`, every value is rendered as text, a missing field is absent from its row.

mod aggregate;
mod ast;
mod error;
mod eval;
mod extract;
mod functions;
mod json;
mod lexer;
mod parser;
mod period;
mod run;
mod value;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub use ast::Query;
pub use error::CompileError;
pub use run::{Outcome, Statistics};

/// Rows returned when neither the query nor the request names a limit.
pub const DEFAULT_LIMIT: usize = 10_000;
/// The highest limit that is accepted.
pub const MAX_LIMIT: usize = 100_000;
/// Longest query text in characters.
pub const MAX_QUERY_CHARS: usize = 10_000;

/// One log event as a query sees it.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Account that owns the log group; `@log` is `account:group`.
    pub account: &'a str,
    /// Log group name.
    pub group: &'a str,
    /// Log stream name.
    pub stream: &'a str,
    /// Event time, milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// When the event was received, milliseconds since the epoch.
    pub ingestion_ms: i64,
    /// The raw line.
    pub message: &'a str,
    /// Unique number of the event; `@ptr` is made of it.
    pub id: u64,
    /// Bytes that reading it is charged for.
    pub bytes: u64,
}

/// Compiles query text.
pub fn compile(text: &str) -> Result<Query, CompileError> {
    parser::parse(text)
}

/// The fields discovered in a line, by dotted path, as they are written.
pub fn discovered(message: &str) -> Vec<(String, String)> {
    json::discover(message).map(|found| json::all(&found)).unwrap_or_default()
}

/// The opaque `@ptr` of an event.
pub fn pointer(id: u64) -> String {
    format!("CmEKJgoi{id:016x}EAASBQ")
}

/// The event number inside a `@ptr`, if it is one of ours.
pub fn event_of_pointer(pointer: &str) -> Option<u64> {
    let digits = pointer.strip_prefix("CmEKJgoi")?.strip_suffix("EAASBQ")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}
