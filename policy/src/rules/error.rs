//! What is wrong with a file of rules, where, and what to do about it.

use crate::problem::Problem;

/// Why rules cannot be used: everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rules are wrong:\n  {}", Problem::lines(.0))]
pub struct RulesError(pub Vec<Problem>);

impl RulesError {
    pub(super) fn one(line: Option<usize>, message: impl Into<String>, remedy: &str) -> Self {
        Self(vec![Problem::new(line, message, remedy)])
    }
}
