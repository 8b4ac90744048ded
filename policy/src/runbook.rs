//! The runbook contract: what a runbook that an agent may follow has to say, as data.
//!
//! It stands in the front matter of the runbook (TOML between `+++` lines). The prose below it is
//! for people and stays untrusted text; only the contract's typed fields reach a decision.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{action::ActionKind, catalog::MetricRef, cause::CauseKind, id::ServiceName};

/// Front matter of a runbook.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunbookContract {
    /// Unique id, such as `connection-pool-exhausted`.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// Services it is for; empty means any.
    #[serde(default)]
    pub services: Vec<ServiceName>,
    /// Texts that occur in the error messages it is for.
    #[serde(default)]
    pub signatures: Vec<String>,
    /// The cause it treats.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<CauseKind>,
    /// The action it allows; absent where a person has to act.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub action: Option<ActionKind>,
    /// What must hold before the action, for a person to check.
    #[serde(default)]
    pub preconditions: Vec<String>,
    /// Whether the action is safe while a deployment is in progress.
    #[serde(default)]
    pub safe_during_deployment: bool,
    /// The role that approves.
    #[serde(default = "oncall")]
    pub approvers: String,
    /// How recovery is verified.
    #[serde(default)]
    pub verify: Verification,
    /// What must never be done automatically, for a person to read.
    #[serde(default)]
    pub never: Vec<String>,
    /// Who is told when it does not help.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate_to: Option<String>,
}

fn oncall() -> String {
    "oncall".to_owned()
}

/// How recovery is verified.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// The alarm has to be back in OK.
    #[serde(default = "yes")]
    pub alarm: bool,
    /// A metric that has to stay at or below `threshold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metric: Option<MetricRef>,
    /// The threshold of `metric`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// For how many seconds recovery has to hold.
    #[serde(default = "five_minutes")]
    pub stability_window_s: u32,
}

const fn yes() -> bool {
    true
}

const fn five_minutes() -> u32 {
    300
}

impl Default for Verification {
    fn default() -> Self {
        Self { alarm: true, metric: None, threshold: None, stability_window_s: five_minutes() }
    }
}

/// Why the front matter of a runbook cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// It begins with `+++` but has no second `+++` line.
    #[error("front matter is not closed: end it with a line `+++`")]
    Unclosed,
    /// Not TOML, or unknown or missing fields. The source names line and column.
    #[error("front matter is not readable")]
    Toml(#[from] toml::de::Error),
}

impl RunbookContract {
    /// Splits a runbook into its contract (absent without front matter) and its Markdown.
    pub fn split(text: &str) -> Result<(Option<Self>, &str), ContractError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let Some(rest) = text.strip_prefix("+++\n").or_else(|| text.strip_prefix("+++\r\n")) else {
            return Ok((None, text));
        };
        let mut at = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim_end() == "+++" {
                let head = rest.get(..at).unwrap_or_default();
                let body = rest.get(at + line.len()..).unwrap_or_default();
                return Ok((Some(toml::from_str(head)?), body));
            }
            at += line.len();
        }
        Err(ContractError::Unclosed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_is_split_from_prose() {
        let text = "+++\nid = \"a\"\ntitle = \"A\"\naction = \"restart_service\"\n+++\n# A\n";
        let (contract, body) = RunbookContract::split(text).unwrap();
        let contract = contract.unwrap();
        assert_eq!(contract.action, Some(ActionKind::RestartService));
        assert_eq!(contract.verify.stability_window_s, 300);
        assert_eq!(body, "# A\n");
        assert_eq!(RunbookContract::split("# B").unwrap(), (None, "# B"));
    }

    #[test]
    fn unknown_fields_and_open_ends_are_errors() {
        assert!(matches!(RunbookContract::split("+++\nid='a'\n"), Err(ContractError::Unclosed)));
        assert!(RunbookContract::split("+++\nid='a'\ntitle='b'\nacton='x'\n+++\n").is_err());
    }
}
