//! MCP server for CloudWatch Logs: patterns, onset, baselines, bounded Logs Insights.
//!
//! The server computes, so that the model need not read: lines become templates with counts, a
//! comparison with a baseline and an onset. Mining, comparison and onset are pure functions of the
//! lines; only [`LogsServer`] talks to AWS. Text from logs is redacted and screened before it leaves.
//!
//! Handing raw lines to the model was rejected: it is dear, it misses what lies beyond the first
//! page, and it puts whatever an attacker can log into the prompt.

mod change;
mod cli;
mod context;
mod counting;
mod events;
mod example;
mod fields;
mod groups;
mod incoming;
mod insights;
mod kinds;
mod lex;
mod line;
mod meter;
mod onset;
mod patterns;
mod places;
mod price;
mod ql;
mod query;
mod reading;
mod report;
mod running;
mod scale;
mod scope;
mod seen;
mod server;
mod shapes;
mod source;
mod stack;
mod words;

pub use change::Change;
pub use cli::LogsArgs;
pub use line::Level;
pub use onset::Status;
pub use price::{Basis, Price};
pub use server::{LogsConfig, LogsServer};
pub use shapes::{
    Activity, CompareWith, ContextEvent, ErrorPatterns, ErrorPatternsArgs, Example, FoundBy, Group,
    GroupPlace, LogContext, LogContextArgs, LogGroups, LogGroupsArgs, LogQuery, LogQueryArgs, Minute,
    Pattern, Series, SharedField, Statistics,
};

/// The least IAM policy the server works with.
pub const IAM_POLICY: &str = include_str!("iam.json");
