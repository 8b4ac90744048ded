//! Examples that rules have to decide as they say: calls that must match and calls that must not.
//!
//! A TOML file beside the rules. What an example does not mention is ordinary: a supervisor, a
//! service of tier 1 in production that may be asked for, no freeze, evidence and confidence.

use serde::Deserialize;
use serde_json::{Map, json};

use super::{
    Attested, Caller, CallerKind, Claimed, Decision, Rules, RulesError, RulesProblem, ToolCall, ToolClass,
};
use crate::catalog::{Autonomy, Environment, ScaleBounds, Service};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    example: Vec<toml::Spanned<Example>>,
}

/// One call and what has to be decided.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Example {
    tool: String,
    server: String,
    class: ToolClass,
    caller: CallerKind,
    tier: u8,
    environment: Environment,
    autonomy: Autonomy,
    protected: bool,
    no_service: bool,
    change_freeze: bool,
    business_hours: bool,
    deployments_in_progress: u32,
    actions_last_hour: u32,
    scale: Option<ScaleBounds>,
    desired_count: Option<u32>,
    confidence_percent: u8,
    evidence: Vec<String>,
    expect: Expect,
    rule: Option<String>,
    ask: Option<String>,
}

#[derive(Deserialize, PartialEq, Clone, Copy, Debug)]
#[serde(rename_all = "snake_case")]
enum Expect {
    Allow,
    Ask,
    Forbid,
}

impl Default for Example {
    fn default() -> Self {
        Self {
            tool: String::new(),
            server: "remediation".to_owned(),
            class: ToolClass::Mutate,
            caller: CallerKind::Supervisor,
            tier: 1,
            environment: Environment::Production,
            autonomy: Autonomy::Ask,
            protected: false,
            no_service: false,
            change_freeze: false,
            business_hours: false,
            deployments_in_progress: 0,
            actions_last_hour: 0,
            scale: None,
            desired_count: None,
            confidence_percent: 90,
            evidence: vec!["pattern".to_owned()],
            expect: Expect::Forbid,
            rule: None,
            ask: None,
        }
    }
}

pub(super) fn check(rules: &Rules, text: &str) -> Result<usize, RulesError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_at(text, span.start));
        RulesError::one(line, error.message(), "see the examples of the shipped rules")
    })?;
    let problems: Vec<RulesProblem> = file
        .example
        .iter()
        .filter_map(|example| {
            let message = example.get_ref().hold(rules).err()?;
            let line = Some(line_at(text, example.span().start));
            let remedy = "change the rule, or the example if the rule is right".to_owned();
            Some(RulesProblem { line, message, remedy })
        })
        .collect();
    if problems.is_empty() { Ok(file.example.len()) } else { Err(RulesError(problems)) }
}

fn line_at(text: &str, offset: usize) -> usize {
    text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
}

impl Example {
    fn hold(&self, rules: &Rules) -> Result<(), String> {
        let service: Service = serde_json::from_value(json!({
            "name": "example", "tier": self.tier, "environment": self.environment, "autonomy": self.autonomy,
            "protected": self.protected, "scale": self.scale,
        }))
        .map_err(|error| error.to_string())?;
        let mut arguments = Map::new();
        if let Some(count) = self.desired_count {
            arguments.insert("desired_count".to_owned(), count.into());
        }
        let claimed = Claimed {
            confidence_percent: self.confidence_percent,
            phase: "decide".to_owned(),
            severity: "high".to_owned(),
            evidence: self.evidence.clone(),
        };
        let explanation = rules.explain(&ToolCall {
            caller: Caller { kind: self.caller, name: "example" },
            server: &self.server,
            tool: &self.tool,
            class: self.class,
            arguments: &arguments,
            service: (!self.no_service).then_some(&service),
            attested: Attested {
                change_freeze: self.change_freeze,
                business_hours: self.business_hours,
                deployments_in_progress: self.deployments_in_progress,
                tasks_running: 3,
                tasks_affected: 3,
                actions_last_hour: self.actions_last_hour,
            },
            claimed: Some(&claimed),
        });
        let decision = &explanation.decision;
        let (found, asked) = match decision {
            Decision::Allow { .. } => (Expect::Allow, String::new()),
            Decision::Ask { asks, .. } => {
                (Expect::Ask, asks.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
            }
            Decision::Forbid { .. } => (Expect::Forbid, String::new()),
        };
        let matched = |rule: &String| {
            decision.rule() == rule || explanation.matched.iter().any(|(id, _, _)| id == rule)
        };
        if found != self.expect || self.ask.as_ref().is_some_and(|ask| *ask != asked) {
            return Err(format!("example of `{}` is {decision}", self.tool));
        }
        match &self.rule {
            Some(rule) if !matched(rule) => {
                Err(format!("example of `{}` is {decision}, not by `{rule}`", self.tool))
            }
            _ => Ok(()),
        }
    }
}
