//! From text to checked rules: Cedar's own parser and validator, then what Cedar cannot check.

use std::{collections::BTreeMap, str::FromStr};

use cedar_policy::{Effect, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator};
use miette::Diagnostic;
use serde_json::Value;

use super::{Rule, Rules, ask, error::RulesError, examples};
use crate::problem::Problem;

const SCHEMA: &str = include_str!("../../policies/midwatch.cedarschema");

/// A policy of the source and where it begins.
struct Source {
    policy: Policy,
    line: Option<usize>,
}

pub(super) fn load(text: &str) -> Result<Rules, RulesError> {
    build(parse(text)?)
}

/// Rules of `more` after those of `first`; lines in problems are lines of `more`.
pub(super) fn load_after(first: &str, more: &str) -> Result<Rules, RulesError> {
    let mut sources: Vec<Source> =
        parse(first)?.into_iter().map(|source| Source { line: None, ..source }).collect();
    sources.extend(parse(more)?);
    build(sources)
}

fn schema() -> Result<Schema, RulesError> {
    Schema::from_str(SCHEMA).map_err(|error| RulesError::one(None, format!("schema is wrong: {error}"), ""))
}

fn parse(text: &str) -> Result<Vec<Source>, RulesError> {
    let set = PolicySet::from_str(text).map_err(|errors| {
        let problems = errors
            .iter()
            .map(|error| Problem {
                line: line_of(text, error),
                message: with_causes(error),
                remedy: error.help().map(|help| help.to_string()).unwrap_or_default(),
            })
            .collect();
        RulesError(problems)
    })?;
    if let Some(template) = set.templates().next() {
        return Err(RulesError::one(
            None,
            format!("`{}` is a template", template.id()),
            "write a policy without `?principal` and `?resource`",
        ));
    }
    let lines = statement_lines(text);
    // The parser numbers policies in the order of the source.
    let number = |policy: &Policy| {
        policy.id().to_string().strip_prefix("policy").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX)
    };
    let mut policies: Vec<Policy> = set.policies().cloned().collect();
    policies.sort_by_key(number);
    Ok(policies
        .into_iter()
        .map(|policy| Source { line: lines.get(number(&policy)).copied(), policy })
        .collect())
}

fn build(sources: Vec<Source>) -> Result<Rules, RulesError> {
    let schema = schema()?;
    let mut problems = Vec::new();
    let mut policies = PolicySet::new();
    let mut rules = BTreeMap::new();
    let mut lines = BTreeMap::new();
    for (order, Source { policy, line }) in sources.into_iter().enumerate() {
        let mut problem = |message: String, remedy: &str| {
            problems.push(Problem { line, message, remedy: remedy.to_owned() });
        };
        let Some(id) = policy.annotation("id").filter(|id| is_name(id)).map(str::to_owned) else {
            problem(
                "a rule has no name".into(),
                "put `@id(\"short-name\")` (letters, digits, `-`) before it",
            );
            continue;
        };
        if rules.contains_key(&id) || id == "default" {
            problem(format!("the name `{id}` is taken"), "give every rule an `@id` of its own");
            continue;
        }
        let rule = read_rule(&policy, order, &schema, &mut problem);
        lines.insert(id.clone(), line);
        if let Err(error) = policies.add(policy.new_id(PolicyId::new(&id))) {
            problem(error.to_string(), "");
        }
        rules.insert(id, rule);
    }
    let result = Validator::new(schema.clone()).validate(&policies, ValidationMode::Strict);
    for error in result.validation_errors() {
        problems.push(Problem {
            line: lines.get(&error.policy_id().to_string()).copied().flatten(),
            message: error.to_string(),
            remedy: error.help().map(|help| help.to_string()).unwrap_or_default(),
        });
    }
    // A rule that can never match is a rule that somebody relies on in vain.
    for warning in result.validation_warnings() {
        problems.push(Problem {
            line: lines.get(&warning.policy_id().to_string()).copied().flatten(),
            message: warning.to_string(),
            remedy: "compare its condition with the schema".to_owned(),
        });
    }
    if rules.is_empty() && problems.is_empty() {
        return Err(RulesError::one(None, "there are no rules", "start from `midwatch policy default`"));
    }
    if problems.is_empty() {
        for policy in policies.policies() {
            let id = policy.id().to_string();
            let line = lines.get(&id).copied().flatten();
            examples::check_rule(policy, &id, &schema, |message, remedy| {
                problems.push(Problem::new(line, message, remedy));
            });
        }
    }
    problems.sort_by_key(|problem| problem.line);
    if problems.is_empty() { Ok(Rules { schema, policies, by_id: rules }) } else { Err(RulesError(problems)) }
}

/// Reads the annotations of a rule and holds them to what the rule can match.
fn read_rule(policy: &Policy, order: usize, schema: &Schema, problem: &mut impl FnMut(String, &str)) -> Rule {
    const KNOWN: [&str; 6] = ["id", "reason", "ask", "within", "example", "counterexample"];
    let id = policy.annotation("id").unwrap_or_default();
    for (name, _) in policy.annotations().filter(|(name, _)| !KNOWN.contains(name)) {
        problem(
            format!("`{id}` has an annotation `@{name}`"),
            "known are @id, @reason, @ask, @within, @example and @counterexample",
        );
    }
    let reason = policy.annotation("reason").unwrap_or_default().trim().to_owned();
    if reason.is_empty() {
        problem(format!("`{id}` has no reason"), "say why to people: `@reason(\"…\")`");
    }
    let asks = policy.annotation("ask").map(ask::parse);
    let within = policy.annotation("within").map(ask::parse_within);
    if asks == Some(None) {
        problem(format!("`@ask` of `{id}` is not readable"), "write it like `@ask(\"2 oncall, 1 owner\")`");
    }
    if within == Some(None) {
        problem(
            format!("`@within` of `{id}` is not readable"),
            "write it like `@within(\"10m\")`, at most 24h",
        );
    }
    if policy.effect() == Effect::Forbid {
        if asks.is_some() || within.is_some() {
            problem(format!("`{id}` forbids and asks"), "a forbid asks nobody: remove @ask and @within");
        }
    } else {
        hold_permit(policy, id, asks.is_some(), schema, problem);
    }
    Rule {
        order,
        effect: policy.effect(),
        reason,
        asks: asks.flatten().unwrap_or_default(),
        within: within.flatten(),
    }
}

/// What only a permit has to keep to.
fn hold_permit(
    policy: &Policy,
    id: &str,
    asks: bool,
    schema: &Schema,
    problem: &mut impl FnMut(String, &str),
) {
    let json = policy.to_json().unwrap_or(Value::Null);
    if mentions(&json, "claimed") || json.is_null() {
        problem(
            format!("`{id}` permits by what the caller claims"),
            "`context.claimed` may stand in `forbid` only; use `context.attested`",
        );
    }
    let classes: Vec<String> =
        policy.get_valid_request_envs(schema).map(|env| env.action().id().unescaped().to_owned()).collect();
    let reads = classes.iter().any(|class| class == "read");
    let more = classes.iter().any(|class| class != "read");
    match (reads, more, asks) {
        (true, true, _) => problem(
            format!("`{id}` permits reading and more at once"),
            "split it: one permit with `action == Action::\"read\"`, one with an @ask for the rest",
        ),
        (false, true, false) => problem(
            format!("`{id}` permits a change and asks nobody"),
            "say who has to approve: `@ask(\"1 oncall\")`",
        ),
        (true, false, true) => {
            problem(format!("`{id}` asks before reading"), "reading is allowed or it is not: remove @ask");
        }
        _ => {}
    }
    if more && !mentions(&json, "tool") {
        problem(
            format!("`{id}` permits a change by any tool"),
            "name the tools: `when { context.tool == \"…\" }`",
        );
    }
}

/// Whether an attribute of this name is used anywhere in a policy's JSON form.
fn mentions(json: &Value, attribute: &str) -> bool {
    match json {
        Value::Object(map) => {
            map.iter().any(|(key, value)| (key == "attr" && value == attribute) || mentions(value, attribute))
        }
        Value::Array(items) => items.iter().any(|item| mentions(item, attribute)),
        _ => false,
    }
}

/// Whether an id is short and plain.
pub(crate) fn is_name(id: &str) -> bool {
    !id.is_empty()
        && id.len() <= 64
        && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
}

fn with_causes(error: &dyn std::error::Error) -> String {
    let mut message = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !message.contains(&cause_text) {
            message.push_str(": ");
            message.push_str(&cause_text);
        }
        source = cause.source();
    }
    message
}

fn line_of(text: &str, error: &dyn Diagnostic) -> Option<usize> {
    let offset = error.labels()?.next()?.offset();
    Some(text.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1)
}

/// The line on which each policy begins (its first annotation or its effect). Strings and
/// comments are stepped over; a policy ends with `;` outside brackets.
fn statement_lines(text: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let (mut line, mut depth, mut begun) = (1usize, 0usize, false);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => line += 1,
            '/' if chars.peek() == Some(&'/') => while chars.next_if(|c| *c != '\n').is_some() {},
            '"' => {
                while let Some(c) = chars.next() {
                    match c {
                        '\\' => {
                            chars.next();
                        }
                        '"' => break,
                        '\n' => line += 1,
                        _ => {}
                    }
                }
            }
            '(' | '{' | '[' => depth += 1,
            ')' | '}' | ']' => depth = depth.saturating_sub(1),
            ';' if depth == 0 => begun = false,
            c if !c.is_whitespace() && !begun => {
                begun = true;
                lines.push(line);
            }
            _ => {}
        }
    }
    lines
}
