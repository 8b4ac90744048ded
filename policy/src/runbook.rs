//! The runbook contract: what a runbook that an agent may follow has to say, as data.
//!
//! It stands in the front matter of the runbook (TOML between `+++` lines). The prose below it is
//! for people and stays untrusted text; only the contract's typed fields reach a decision.
//!
//! INVARIANT: a contract only ever narrows. What it objects to does not happen, whatever policy
//! and people say; what it asks for is asked in addition. So a false contract can hinder an
//! action, never cause one.

mod bounds;
mod check;
mod scope;
#[cfg(test)]
mod tests;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use bounds::{Bounds, Precondition};
pub use scope::{Scope, Words};

use crate::{
    action::{ActionKind, Plan},
    catalog::MetricRef,
    cause::CauseKind,
    id::ServiceName,
    problem::{Problem, line_at},
    rules::{Ask, Attested},
};

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
    /// What must hold before the action, for code to check.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<Precondition>,
    /// How far the action may go.
    #[serde(default, skip_serializing_if = "Bounds::is_empty")]
    pub bounds: Bounds,
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
    /// Actions that are never done where this contract is to be kept, whichever runbook they are done for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub never_actions: Vec<ActionKind>,
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

/// Why the front matter of a runbook cannot be used. Lines are lines of the runbook.
#[derive(Debug, thiserror::Error)]
pub enum ContractError {
    /// It begins with `+++` but has no second `+++` line.
    #[error("front matter is not closed: end it with a line `+++`")]
    Unclosed,
    /// Not TOML, or unknown or missing fields. The source names line and column.
    #[error("front matter is not readable")]
    Toml(#[from] toml::de::Error),
    /// Readable, but wrong: everything that is wrong with it.
    #[error("front matter is wrong:\n  {}", Problem::lines(.0))]
    Wrong(Vec<Problem>),
}

impl ContractError {
    /// What is wrong, each with its line and what to do about it. `text` is the whole runbook.
    pub fn problems(&self, text: &str) -> Vec<Problem> {
        match self {
            Self::Unclosed => {
                vec![Problem::new(Some(1), "front matter is not closed", "end it with a line `+++`")]
            }
            Self::Toml(error) => {
                let skipped = text.find("+++").map_or(0, |at| at + 3);
                let line = error.span().map(|span| line_at(text, skipped + span.start));
                let message = error.message().lines().next().unwrap_or_default().to_owned();
                vec![Problem::new(line, message, "see docs/policy.md for what a contract may say")]
            }
            Self::Wrong(problems) => problems.clone(),
        }
    }
}

impl RunbookContract {
    /// Splits a runbook into its contract (absent without front matter) and its Markdown. The
    /// contract is checked: what it says makes sense together.
    pub fn split(text: &str) -> Result<(Option<Self>, &str), ContractError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        // The head begins at the end of the first line, so that its lines are those of the file.
        let Some(rest) = text.strip_prefix("+++").filter(|rest| rest.starts_with(['\n', '\r'])) else {
            return Ok((None, text));
        };
        let mut at = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim_end() == "+++" {
                let head = rest.get(..at).unwrap_or_default();
                let body = rest.get(at + line.len()..).unwrap_or_default();
                let contract: Self = toml::from_str(head)?;
                let problems = check::check(&contract, head);
                return if problems.is_empty() {
                    Ok((Some(contract), body))
                } else {
                    Err(ContractError::Wrong(problems))
                };
            }
            at += line.len();
        }
        Err(ContractError::Unclosed)
    }

    /// Whether it is about the service: it names it, or none at all.
    pub fn is_for(&self, service: &ServiceName) -> bool {
        self.services.is_empty() || self.services.contains(service)
    }

    /// What speaks against doing this for this runbook; empty where nothing does.
    pub fn objections(&self, plan: &Plan, facts: &Attested) -> Vec<String> {
        let (kind, service, id) = (plan.action.kind(), plan.action.service(), &self.id);
        let mut all = Vec::new();
        match self.action {
            Some(own) if own == kind => {}
            Some(own) => all.push(format!("the runbook `{id}` is for `{own}`, not for `{kind}`")),
            None => all.push(format!("the runbook `{id}` allows no action: a person acts")),
        }
        if self.never_actions.contains(&kind) {
            all.push(format!("the runbook `{id}` says that `{kind}` is never done automatically"));
        }
        if !self.is_for(service) {
            let names: Vec<&str> = self.services.iter().map(AsRef::as_ref).collect();
            all.push(format!("the runbook `{id}` is for {}, not for `{service}`", names.join(", ")));
        }
        let required = self.requires.contains(&Precondition::NoDeploymentInProgress);
        if facts.deployments_in_progress > 0 && !self.safe_during_deployment && !required {
            all.push(format!("a deployment is in progress, and the runbook `{id}` is not safe during one"));
        }
        let unmet = self.requires.iter().filter(|wanted| !wanted.holds(plan, facts));
        all.extend(unmet.map(|wanted| format!("the runbook `{id}` requires that {wanted}")));
        let exceeded = self.bounds.exceeded(plan, facts);
        all.extend(exceeded.into_iter().map(|what| format!("the runbook `{id}` bounds it: {what}")));
        all
    }

    /// Who is asked because of it, in addition to whom policy asks: one person of its role.
    pub fn ask(&self) -> Ask {
        Ask { role: self.approvers.clone(), people: 1 }
    }
}
