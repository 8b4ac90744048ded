//! A guest's name: what its tools' names begin with.

use std::fmt;

/// What stands between a guest's name and its tool's. No tool of ours has it, no guest's name can.
const BETWEEN: &str = "__";
/// Longest name.
const LONGEST: usize = 24;
/// Longest name of a tool that the providers of models take.
const LONGEST_TOOL: usize = 64;
/// Names that are ours, also where no server of that name runs today.
const OURS: [&str; 9] = [
    "logs",
    "metrics",
    "deployments",
    "runbooks",
    "remediation",
    "workflows",
    "desk",
    "supervisor",
    "midwatch",
];

/// Why a name cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// One of our own.
    #[error("`{0}` is the name of a server of Midwatch's own: give it another name")]
    Ours(String),
    /// Nothing is left of it.
    #[error("`{0}` has neither a letter nor a digit: give it a name of letters, digits and `-`")]
    Empty(String),
    /// Too long.
    #[error("`{0}` is longer than {LONGEST} characters: tools are named after it; give it a shorter name")]
    Long(String),
}

/// A guest's name: lower-case letters, digits and single `-`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GuestName(String);

impl GuestName {
    /// The name that a key of the file stands for: other characters become `-`.
    pub fn parse(key: &str) -> Result<Self, NameError> {
        let shown = || midwatch_mcp::clip(key, 60).into_owned();
        let mut name = String::new();
        for c in key.chars() {
            if c.is_ascii_alphanumeric() {
                name.push(c.to_ascii_lowercase());
            } else if !name.is_empty() && !name.ends_with('-') {
                name.push('-');
            }
        }
        let name = name.trim_end_matches('-');
        if name.is_empty() {
            return Err(NameError::Empty(shown()));
        }
        if OURS.contains(&name) || name.starts_with("midwatch-") {
            return Err(NameError::Ours(shown()));
        }
        if name.len() > LONGEST {
            return Err(NameError::Long(shown()));
        }
        Ok(Self(name.to_owned()))
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name by which a model is shown a tool of this guest; absent where that is too long.
    pub fn of_tool(&self, tool: &str) -> Option<String> {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '-' || c == '_' { c } else { '_' };
        let name = format!("{}{BETWEEN}{}", self.0, tool.chars().map(plain).collect::<String>());
        (!tool.is_empty() && name.len() <= LONGEST_TOOL).then_some(name)
    }
}

impl fmt::Display for GuestName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools;

    #[test]
    fn a_name_is_no_name_of_ours_and_no_tool_of_ours_looks_like_a_guests() {
        assert_eq!(GuestName::parse("awslabs.aws-docs").unwrap().as_str(), "awslabs-aws-docs");
        assert_eq!(GuestName::parse("Git Hub__x").unwrap().as_str(), "git-hub-x");
        for ours in ["logs", "Logs", "midwatch", "midwatch_logs", "-desk-"] {
            assert!(matches!(GuestName::parse(ours), Err(NameError::Ours(_))), "{ours}");
        }
        assert!(matches!(GuestName::parse("…"), Err(NameError::Empty(_))));
        assert!(matches!(GuestName::parse(&"x".repeat(25)), Err(NameError::Long(_))));
        for (server, tool, _) in tools::known() {
            assert!(GuestName::parse(server).is_err(), "{server}");
            assert!(!tool.contains(BETWEEN), "{tool}");
        }
    }

    #[test]
    fn a_tool_is_named_after_its_guest_in_what_providers_take() {
        let guest = GuestName::parse("tickets").unwrap();
        assert_eq!(guest.of_tool("search").unwrap(), "tickets__search");
        assert_eq!(guest.of_tool("a.b/c d").unwrap(), "tickets__a_b_c_d");
        assert_eq!(guest.of_tool(&"x".repeat(56)), None);
        assert_eq!(guest.of_tool(""), None);
    }
}
