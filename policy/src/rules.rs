//! The policy: may this caller use this tool on this service now, and who has to be asked?
//!
//! Rules are Cedar policies over a fixed schema. What Cedar cannot say is said in annotations
//! that are read when the rules are loaded:
//! `@id` names a rule, `@reason` says it to people, `@ask("2 oncall, 1 owner")` says who has to
//! approve what a permit allows, and `@within("10m")` for how long they are asked.
//! `@example` and `@counterexample` are calls that the rule has to match or to leave alone; rules
//! that do not keep their examples do not load.
//!
//! INVARIANTS:
//! - `Allow` comes from reads only: a permit that can match anything else has an `@ask`.
//! - The asks of *all* permits that match have to be met.
//! - What the caller claims (`context.claimed`) stands in forbids only, so it never widens.
//! - Nothing matches, or anything goes wrong in evaluating: `Forbid`.
//!
//! Approvals inside Cedar's context were tried and rejected: its sets have no size, its permits
//! are OR-ed, and a denial without a match has no reason.

mod ask;
mod call;
mod error;
mod examples;
mod file;
mod load;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, fmt};

use cedar_policy::{AuthorizationError, Authorizer, Effect, PolicySet, Schema};
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

pub use ask::Ask;
pub(crate) use ask::is_role;
pub use call::{Attested, Caller, CallerKind, Claimed, ToolCall, ToolClass};
pub use error::RulesError;
pub use file::RulesFileError;
pub(crate) use load::is_name;

use crate::permit::Approver;

/// A loaded, checked set of rules.
#[derive(Debug, Clone)]
pub struct Rules {
    schema: Schema,
    policies: PolicySet,
    by_id: BTreeMap<String, Rule>,
}

/// What is known of one rule besides its condition.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Rule {
    /// Its place in the source: the first that matches gives the reason.
    order: usize,
    effect: Effect,
    reason: String,
    asks: Vec<Ask>,
    within: Option<SignedDuration>,
}

/// What policy says about one call.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "decision", rename_all = "snake_case")]
pub enum Decision {
    /// It may be done. Only ever of a read.
    Allow {
        /// The rule that allows it.
        rule: String,
    },
    /// People have to approve it.
    Ask {
        /// Who, and how many; all of it.
        asks: Vec<Ask>,
        /// The rules that ask.
        rules: Vec<String>,
        /// For how many seconds they are asked; no answer means declined.
        within_s: i64,
    },
    /// It may not be done, whoever approves.
    Forbid {
        /// The rule that forbids it, or `default`, or the rule whose evaluation failed.
        rule: String,
        /// Why, for people.
        reason: String,
    },
}

impl Decision {
    /// The rule that decided.
    pub fn rule(&self) -> &str {
        match self {
            Self::Allow { rule } | Self::Forbid { rule, .. } => rule,
            Self::Ask { rules, .. } => rules.first().map_or("", String::as_str),
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow { rule } => write!(f, "allowed by `{rule}`"),
            Self::Ask { asks, rules, .. } => {
                let asks: Vec<String> = asks.iter().map(ToString::to_string).collect();
                write!(f, "asks {} by `{}`", asks.join(" and "), rules.join("`, `"))
            }
            Self::Forbid { rule, reason } => write!(f, "forbidden by `{rule}`: {reason}"),
        }
    }
}

/// What a rule says besides its condition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RuleSummary {
    /// Its name.
    pub id: String,
    /// `permit` or `forbid`.
    pub effect: &'static str,
    /// Whom it asks.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub asks: Vec<Ask>,
    /// For how many seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within_s: Option<i64>,
    /// Why, for people.
    pub reason: String,
}

/// A decision with every rule that had a say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// What was decided.
    pub decision: Decision,
    /// The rules that matched and determined it, in the order of the source: id, effect, reason.
    pub matched: Vec<(String, &'static str, String)>,
    /// Rules whose evaluation failed, with the failure.
    pub failed: Vec<(String, String)>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.decision)?;
        for (id, effect, reason) in &self.matched {
            writeln!(f, "  {effect} `{id}`: {reason}")?;
        }
        for (id, failure) in &self.failed {
            writeln!(f, "  failed `{id}`: {failure}")?;
        }
        Ok(())
    }
}

/// How long people are asked where no rule says.
const ASKED_FOR: SignedDuration = SignedDuration::from_mins(10);

impl Rules {
    /// The rules that Midwatch ships with.
    pub fn embedded() -> Result<Self, RulesError> {
        Self::parse(include_str!("../policies/default.cedar"))
    }

    /// The rules that Midwatch ships with, as text, to start one's own from.
    pub const fn embedded_text() -> &'static str {
        include_str!("../policies/default.cedar")
    }

    /// Reads rules; they replace the shipped ones. Every problem is reported at once.
    pub fn parse(text: &str) -> Result<Self, RulesError> {
        load::load(text)
    }

    /// The shipped rules and more: further permits and forbids on top of them.
    pub fn embedded_and(text: &str) -> Result<Self, RulesError> {
        Self::embedded()?;
        load::load_after(Self::embedded_text(), text)
    }

    /// These rules, if they keep the examples (TOML, `[[example]]`).
    pub fn keeping(self, examples: &str) -> Result<Self, RulesError> {
        self.check_examples(examples)?;
        Ok(self)
    }

    /// The examples of the shipped rules.
    pub const fn embedded_examples() -> &'static str {
        include_str!("../policies/default.examples.toml")
    }

    /// Checks examples (TOML, `[[example]]`) against the rules; says how many there were.
    pub fn check_examples(&self, text: &str) -> Result<usize, RulesError> {
        examples::check(self, text)
    }

    /// The ids of the rules, in the order of the source.
    pub fn ids(&self) -> Vec<&str> {
        let mut ids: Vec<_> = self.by_id.iter().collect();
        ids.sort_by_key(|(_, rule)| rule.order);
        ids.into_iter().map(|(id, _)| id.as_str()).collect()
    }

    /// Every rule, in the order of the source.
    pub fn list(&self) -> Vec<RuleSummary> {
        let mut rules: Vec<_> = self.by_id.iter().collect();
        rules.sort_by_key(|(_, rule)| rule.order);
        let summary = |(id, rule): (&String, &Rule)| RuleSummary {
            id: id.clone(),
            effect: effect(rule.effect),
            asks: rule.asks.clone(),
            within_s: (!rule.asks.is_empty()).then(|| rule.within.unwrap_or(ASKED_FOR).as_secs()),
            reason: rule.reason.clone(),
        };
        rules.into_iter().map(summary).collect()
    }

    /// Decides one call.
    pub fn decide(&self, call: &ToolCall<'_>) -> Decision {
        self.explain(call).decision
    }

    /// Decides one call and says which rules had a say.
    pub fn explain(&self, call: &ToolCall<'_>) -> Explanation {
        let (request, entities) = match call.to_cedar(&self.schema) {
            Ok(pair) => pair,
            Err(failure) => return failed(vec![("request".to_owned(), failure)]),
        };
        let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
        let failures: Vec<(String, String)> = response
            .diagnostics()
            .errors()
            .map(|error| match error {
                AuthorizationError::PolicyEvaluationError(error) => {
                    (error.policy_id().to_string(), error.to_string())
                }
            })
            .collect();
        if !failures.is_empty() {
            return failed(failures);
        }
        let mut matched: Vec<(&String, &Rule)> = response
            .diagnostics()
            .reason()
            .filter_map(|id| self.by_id.get_key_value(AsRef::<str>::as_ref(id)))
            .collect();
        matched.sort_by_key(|(_, rule)| rule.order);
        let decision = match response.decision() {
            cedar_policy::Decision::Deny => deny(&matched, call),
            cedar_policy::Decision::Allow => permit(&matched, call),
        };
        let matched = matched
            .into_iter()
            .map(|(id, rule)| (id.clone(), effect(rule.effect), rule.reason.clone()))
            .collect();
        Explanation { decision, matched, failed: Vec::new() }
    }
}

const fn effect(effect: Effect) -> &'static str {
    match effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    }
}

fn failed(failed: Vec<(String, String)>) -> Explanation {
    let (rule, why) = failed.first().cloned().unwrap_or_default();
    let reason = format!("the rule could not be evaluated, and what cannot be judged is forbidden: {why}");
    Explanation { decision: Decision::Forbid { rule, reason }, matched: Vec::new(), failed }
}

fn deny(matched: &[(&String, &Rule)], call: &ToolCall<'_>) -> Decision {
    match matched.first() {
        Some((id, rule)) => Decision::Forbid { rule: (*id).clone(), reason: rule.reason.clone() },
        None => Decision::Forbid {
            rule: "default".to_owned(),
            reason: format!("no rule allows `{}` of the server `{}`", call.tool, call.server),
        },
    }
}

/// The strictest reading of everything that matched: every ask, and the shortest time.
fn permit(matched: &[(&String, &Rule)], call: &ToolCall<'_>) -> Decision {
    let asks = ask::all(matched.iter().flat_map(|(_, rule)| &rule.asks));
    let ids = || matched.iter().map(|(id, _)| (*id).clone());
    if !asks.is_empty() {
        let asking: Vec<String> =
            matched.iter().filter(|(_, rule)| !rule.asks.is_empty()).map(|(id, _)| (*id).clone()).collect();
        let within = matched.iter().filter_map(|(_, rule)| rule.within).min().unwrap_or(ASKED_FOR);
        return Decision::Ask { asks, rules: asking, within_s: within.as_secs() };
    }
    match (call.class, ids().next()) {
        (ToolClass::Read, Some(rule)) => Decision::Allow { rule },
        // The lint at load makes this impossible; were it not, it would still not be allowed.
        (_, rule) => Decision::Forbid {
            rule: rule.unwrap_or_else(|| "default".to_owned()),
            reason: "a permit for anything but reading has to say who is asked".to_owned(),
        },
    }
}

/// What is still missing after these people approved. A person counts once, in the role in which
/// they approved; empty means that everything asked for is met.
pub fn unmet(asks: &[Ask], approvers: &[Approver]) -> Vec<Ask> {
    ask::unmet(asks, approvers)
}
