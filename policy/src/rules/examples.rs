//! Examples that rules have to keep: calls with the decision they have to come to, in a TOML file
//! beside the rules, and calls that one rule has to match or to leave alone, in its annotations.
//!
//! What an example does not mention is ordinary: a supervisor, a service of tier 1 in production
//! that may be asked for, no freeze, evidence and confidence.

use cedar_policy::{Authorizer, Effect, Policy, PolicySet, Schema};
use serde::Deserialize;
use serde_json::{Map, json};

use super::{Attested, Caller, CallerKind, Claimed, Decision, Rules, RulesError, ToolCall, ToolClass};
use crate::{
    catalog::{Autonomy, Environment, ScaleBounds, Service},
    problem::{Problem, line_at},
};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    example: Vec<toml::Spanned<Example>>,
}

/// One call and what has to be decided.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Example {
    tool: String,
    server: String,
    class: ToolClass,
    caller: CallerKind,
    service: String,
    tier: u8,
    environment: Environment,
    owners: Vec<String>,
    account: Option<String>,
    region: Option<String>,
    autonomy: Autonomy,
    protected: bool,
    no_service: bool,
    change_freeze: bool,
    business_hours: bool,
    deployments_in_progress: u32,
    tasks_running: u32,
    tasks_affected: u32,
    actions_last_hour: u32,
    scale: Option<ScaleBounds>,
    deployment_id: Option<String>,
    desired_count: Option<u32>,
    no_claims: bool,
    confidence_percent: u8,
    phase: String,
    severity: String,
    evidence: Vec<String>,
    expect: Option<Expect>,
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
            service: "example".to_owned(),
            tier: 1,
            environment: Environment::Production,
            owners: Vec::new(),
            account: None,
            region: None,
            autonomy: Autonomy::Ask,
            protected: false,
            no_service: false,
            change_freeze: false,
            business_hours: false,
            deployments_in_progress: 0,
            tasks_running: 3,
            tasks_affected: 3,
            actions_last_hour: 0,
            scale: None,
            deployment_id: None,
            desired_count: None,
            no_claims: false,
            confidence_percent: 90,
            phase: "decide".to_owned(),
            severity: "high".to_owned(),
            evidence: vec!["pattern".to_owned()],
            expect: None,
            rule: None,
            ask: None,
        }
    }
}

/// Checks a file of examples; says how many there were.
pub(super) fn check(rules: &Rules, text: &str) -> Result<usize, RulesError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let line = error.span().map(|span| line_at(text, span.start));
        RulesError::one(line, error.message(), "see the examples of the shipped rules")
    })?;
    let problems: Vec<Problem> = file
        .example
        .iter()
        .filter_map(|example| {
            let (message, remedy) = example.get_ref().hold(rules).err()?;
            Some(Problem::new(Some(line_at(text, example.span().start)), message, remedy))
        })
        .collect();
    if problems.is_empty() { Ok(file.example.len()) } else { Err(RulesError(problems)) }
}

/// Checks the `@example` and `@counterexample` of one rule: calls, separated by `;`, that it
/// matches or does not. Says what is wrong, with what to do about it.
pub(super) fn check_rule(policy: &Policy, id: &str, schema: &Schema, mut problem: impl FnMut(String, &str)) {
    for (name, wanted) in [("example", true), ("counterexample", false)] {
        let Some(text) = policy.annotation(name) else { continue };
        let calls: Vec<&str> = text.split(';').map(str::trim).filter(|call| !call.is_empty()).collect();
        if calls.is_empty() {
            problem(format!("`@{name}` of `{id}` is empty"), "write a call: `restart_service tier=0`");
        }
        for call in calls {
            match Example::parse(call).and_then(|example| example.matches(policy, schema)) {
                Ok(matched) if matched == wanted => {}
                Ok(true) => problem(
                    format!("`{id}` matches its counterexample `{call}`"),
                    "change the rule, or the counterexample if the rule is right",
                ),
                Ok(false) => problem(
                    format!("`{id}` does not match its example `{call}`"),
                    "change the rule, or the example if the rule is right",
                ),
                Err(why) => problem(
                    format!("`@{name}` of `{id}`: `{call}` is not readable: {why}"),
                    "write the tool and then what is not ordinary: `restart_service tier=0 caller=person`",
                ),
            }
        }
    }
}

impl Example {
    /// A call in one line: the tool, then `field=value` for what is not ordinary.
    fn parse(line: &str) -> Result<Self, String> {
        let mut words = line.split_whitespace();
        let mut fields = toml::Table::new();
        fields.insert("tool".to_owned(), words.next().unwrap_or_default().into());
        for word in words {
            let (key, value) = word.split_once('=').ok_or_else(|| format!("`{word}` is no `field=value`"))?;
            if matches!(key, "tool" | "expect" | "rule" | "ask") {
                return Err(format!("`{key}` cannot be said here"));
            }
            // A list is written with commas: `owners=payments,billing`.
            let value = match value.parse::<toml::Value>() {
                _ if matches!(key, "owners" | "evidence") => {
                    let items = value.split(',').filter(|item| !item.is_empty());
                    toml::Value::Array(items.map(toml::Value::from).collect())
                }
                Ok(value) if !matches!(key, "account" | "service") => value,
                _ => toml::Value::from(value),
            };
            if fields.insert(key.to_owned(), value).is_some() {
                return Err(format!("`{key}` is said twice"));
            }
        }
        fields.try_into().map_err(|error: toml::de::Error| error.message().to_owned())
    }

    fn service(&self) -> Result<Service, String> {
        serde_json::from_value(json!({
            "name": self.service, "tier": self.tier, "environment": self.environment, "owners": self.owners,
            "account": self.account, "region": self.region, "autonomy": self.autonomy,
            "protected": self.protected, "scale": self.scale,
        }))
        .map_err(|error| error.to_string())
    }

    /// Has `then` look at the call.
    fn call<T>(&self, then: impl FnOnce(&ToolCall<'_>) -> T) -> Result<T, String> {
        let service = self.service()?;
        let mut arguments = Map::new();
        if let Some(count) = self.desired_count {
            arguments.insert("desired_count".to_owned(), count.into());
        }
        if let Some(id) = &self.deployment_id {
            arguments.insert("deployment_id".to_owned(), id.as_str().into());
        }
        let claimed = Claimed {
            confidence_percent: self.confidence_percent,
            phase: self.phase.clone(),
            severity: self.severity.clone(),
            evidence: self.evidence.clone(),
        };
        Ok(then(&ToolCall {
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
                tasks_running: self.tasks_running,
                tasks_affected: self.tasks_affected,
                actions_last_hour: self.actions_last_hour,
            },
            claimed: (!self.no_claims).then_some(&claimed),
        }))
    }

    /// Whether one rule matches the call, whatever the others say.
    fn matches(&self, policy: &Policy, schema: &Schema) -> Result<bool, String> {
        let alone = PolicySet::from_policies([policy.clone()]).map_err(|error| error.to_string())?;
        let (request, entities) = self.call(|call| call.to_cedar(schema))??;
        let response = Authorizer::new().is_authorized(&request, &alone, &entities);
        if let Some(error) = response.diagnostics().errors().next() {
            return Err(error.to_string());
        }
        Ok(match policy.effect() {
            Effect::Permit => response.decision() == cedar_policy::Decision::Allow,
            Effect::Forbid => response.diagnostics().reason().next().is_some(),
        })
    }

    /// Whether it is decided as it says; what is wrong, with what to do about it.
    fn hold(&self, rules: &Rules) -> Result<(), (String, &'static str)> {
        let Some(expect) = self.expect else {
            let message = format!("example of `{}` does not say what it expects", self.tool);
            return Err((message, "add `expect = \"allow\"`, `\"ask\"` or `\"forbid\"`"));
        };
        let explanation = self
            .call(|call| rules.explain(call))
            .map_err(|why| (format!("example of `{}`: {why}", self.tool), "mend the example"))?;
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
        let remedy = "change the rule, or the example if the rule is right";
        if found != expect || self.ask.as_ref().is_some_and(|ask| *ask != asked) {
            return Err((format!("example of `{}` is {decision}", self.tool), remedy));
        }
        match &self.rule {
            Some(rule) if !matched(rule) => {
                Err((format!("example of `{}` is {decision}, not by `{rule}`", self.tool), remedy))
            }
            _ => Ok(()),
        }
    }
}
