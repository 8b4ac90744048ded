//! Results of the logs server.

use midwatch_policy::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::{count, lenient, lenient_vec};

/// Result of `error_patterns`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ErrorPatterns {
    /// Evidence id of the whole.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// Begin of the window.
    #[serde(deserialize_with = "lenient")]
    pub from: Option<Timestamp>,
    /// End of the window.
    #[serde(deserialize_with = "lenient")]
    pub to: Option<Timestamp>,
    /// Errors as a whole.
    #[serde(deserialize_with = "lenient")]
    pub errors: Option<Errors>,
    /// Lines as a whole.
    #[serde(deserialize_with = "lenient")]
    pub activity: Option<Activity>,
    /// Patterns, most relevant first.
    #[serde(deserialize_with = "lenient_vec")]
    pub patterns: Vec<Pattern>,
}

/// Errors as a whole.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Errors {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// In the window.
    #[serde(deserialize_with = "count")]
    pub total: u64,
    /// In the baseline window.
    #[serde(deserialize_with = "count")]
    pub baseline_total: u64,
    /// First in the window.
    #[serde(deserialize_with = "lenient")]
    pub first_seen: Option<Timestamp>,
    /// Last in the window.
    #[serde(deserialize_with = "lenient")]
    pub last_seen: Option<Timestamp>,
    /// When they rose above the baseline.
    #[serde(deserialize_with = "lenient")]
    pub onset: Option<Timestamp>,
    /// Counts by minute, without empty minutes.
    #[serde(deserialize_with = "lenient_vec")]
    pub per_minute: Vec<Minute>,
}

/// Errors of one minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Minute {
    /// Its begin.
    pub at: Timestamp,
    /// Errors in it.
    #[serde(deserialize_with = "count")]
    pub count: u64,
}

/// Lines as a whole.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Activity {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// In the window.
    #[serde(deserialize_with = "count")]
    pub lines: u64,
    /// In the baseline window.
    #[serde(deserialize_with = "count")]
    pub baseline_lines: u64,
    /// The last line of any level.
    #[serde(deserialize_with = "lenient")]
    pub last_line: Option<Timestamp>,
    /// Whether it went silent.
    #[serde(deserialize_with = "lenient")]
    pub quiet: bool,
}

/// One error pattern.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Pattern {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// The mined template.
    #[serde(deserialize_with = "lenient")]
    pub template: String,
    /// Level as logged.
    #[serde(deserialize_with = "lenient")]
    pub level: String,
    /// Exception class, if one stands in it.
    #[serde(deserialize_with = "lenient")]
    pub exception: Option<String>,
    /// In the window.
    #[serde(deserialize_with = "count")]
    pub count: u64,
    /// In the baseline window.
    #[serde(deserialize_with = "count")]
    pub baseline_count: u64,
    /// Probability of so great a difference by chance alone.
    #[serde(deserialize_with = "lenient")]
    pub chance: Option<f64>,
    /// `new`, `grew`, `steady`, `shrank`, `gone`.
    #[serde(deserialize_with = "lenient")]
    pub change: String,
    /// First in the window.
    #[serde(deserialize_with = "lenient")]
    pub first_seen: Option<Timestamp>,
    /// Last in the window.
    #[serde(deserialize_with = "lenient")]
    pub last_seen: Option<Timestamp>,
    /// When it rose above the baseline.
    #[serde(deserialize_with = "lenient")]
    pub onset: Option<Timestamp>,
    /// `ongoing` or `ceased`.
    #[serde(deserialize_with = "lenient")]
    pub status: String,
    /// The log group of its lines.
    #[serde(deserialize_with = "lenient")]
    pub log_group: String,
    /// Example lines.
    #[serde(deserialize_with = "lenient_vec")]
    pub examples: Vec<Example>,
    /// What its lines have in common.
    #[serde(deserialize_with = "lenient_vec")]
    pub fields: Vec<SharedField>,
    /// What the screening found in its lines.
    #[serde(deserialize_with = "lenient_vec")]
    pub screened: Vec<String>,
}

/// An example line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Example {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// The line, redacted.
    #[serde(deserialize_with = "lenient")]
    pub message: String,
    /// When it was logged.
    #[serde(deserialize_with = "lenient")]
    pub timestamp: Option<Timestamp>,
    /// Where in the log group.
    #[serde(deserialize_with = "lenient")]
    pub log_stream: String,
    /// Where, if not in the pattern's log group.
    #[serde(deserialize_with = "lenient")]
    pub log_group: String,
    /// Its fields besides those that all lines of the pattern share.
    #[serde(deserialize_with = "lenient")]
    pub fields: Map<String, Value>,
}

/// A field that lines of a pattern share.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct SharedField {
    /// Its name.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// Its most frequent value.
    #[serde(deserialize_with = "lenient")]
    pub value: String,
    /// How many values it has: 1 where it is always the same.
    #[serde(deserialize_with = "count")]
    pub values: u64,
}
