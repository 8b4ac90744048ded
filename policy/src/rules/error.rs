//! What is wrong with a file of rules, where, and what to do about it.

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulesProblem {
    /// Line in the file, from 1; absent where the problem is the file as a whole.
    pub line: Option<usize>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub remedy: String,
}

impl std::fmt::Display for RulesProblem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "{}", self.message)?;
        if self.remedy.is_empty() { Ok(()) } else { write!(f, "; {}", self.remedy) }
    }
}

/// Why rules cannot be used: everything that is wrong with them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rules are wrong:\n  {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  "))]
pub struct RulesError(pub Vec<RulesProblem>);

impl RulesError {
    pub(super) fn one(line: Option<usize>, message: impl Into<String>, remedy: &str) -> Self {
        Self(vec![RulesProblem { line, message: message.into(), remedy: remedy.to_owned() }])
    }
}
