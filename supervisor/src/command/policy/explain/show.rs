//! An explanation, on a terminal.

use std::collections::BTreeMap;

use midwatch_policy::{Ask, Decision, Explanation};
use serde_json::Value;

use super::{ExplainArgs, Question, contracts::Runbook};
use crate::terminal::{
    style::{BAD, FAINT, GOOD, NAME, STRONG, WARN},
    text::clean,
};

/// Whom, and for how long.
pub(in crate::command::policy) fn asked(asks: &[Ask], within_s: i64) -> String {
    let whom: Vec<String> = asks.iter().map(ToString::to_string).collect();
    let span = match within_s {
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    };
    format!("{} within {span}", whom.join(" and "))
}

pub(super) fn show(
    out: &mut impl std::io::Write,
    arguments: &ExplainArgs,
    question: &Question,
    explanation: &Explanation,
    runbooks: &[Runbook],
) -> anyhow::Result<()> {
    let of = question.service.as_ref().map(|service| format!(" of {}", service.name)).unwrap_or_default();
    write!(out, "{NAME}{}{NAME:#}{of}: ", arguments.tool)?;
    match &explanation.decision {
        Decision::Allow { rule } => writeln!(out, "{GOOD}allowed{GOOD:#} by `{rule}`")?,
        Decision::Ask { asks, rules, within_s } => writeln!(
            out,
            "{WARN}asks{WARN:#} {STRONG}{}{STRONG:#}, by `{}`; no answer means declined",
            asked(asks, *within_s),
            rules.join("`, `")
        )?,
        Decision::Forbid { rule, reason } => {
            writeln!(out, "{BAD}forbidden{BAD:#} by `{rule}`: {reason}")?;
        }
    }
    for runbook in runbooks.iter().filter(|runbook| runbook.never) {
        let id = clean(&runbook.id);
        writeln!(
            out,
            "{BAD}forbidden{BAD:#} by the runbook `{id}`, whatever policy says and whoever approves"
        )?;
    }
    for (id, effect, reason) in &explanation.matched {
        writeln!(out, "  {effect:<7} `{id}`: {reason}")?;
    }
    for (id, failure) in &explanation.failed {
        writeln!(out, "  {BAD}failed{BAD:#}  `{id}`: {failure}")?;
    }
    if let Some(third_party) = &question.third_party {
        writeln!(out, "{WARN}third party{WARN:#} {third_party}")?;
    }
    if let Some(service) = &question.service {
        let json = serde_json::to_value(service)?;
        let text = |name: &str| json.get(name).map(|v| v.to_string().replace('"', "")).unwrap_or_default();
        let kept = if service.protected { ", protected" } else { "" };
        writeln!(
            out,
            "{FAINT}service  tier {}, {}, autonomy {}{kept}{FAINT:#}",
            service.tier.get(),
            text("environment"),
            text("autonomy")
        )?;
    } else {
        writeln!(out, "{FAINT}service  none named: held against the strictest there could be{FAINT:#}")?;
    }
    let facts: BTreeMap<String, Value> = serde_json::from_value(serde_json::to_value(question.facts)?)?;
    let facts: Vec<String> =
        facts.iter().map(|(name, value)| format!("{} {value}", name.replace('_', " "))).collect();
    writeln!(out, "{FAINT}facts    {}{FAINT:#}", facts.join(", "))?;
    if let Some(freeze) = &question.freeze {
        writeln!(out, "{FAINT}freeze   {freeze}{FAINT:#}")?;
    }
    for runbook in runbooks.iter().filter(|runbook| runbook.allows) {
        of_runbook(out, runbook)?;
    }
    for warning in &question.warnings {
        writeln!(out, "{WARN}calendar{WARN:#} {warning}, which the catalog does not have")?;
    }
    Ok(())
}

/// What a runbook says that allows the action, to whoever it holds.
fn of_runbook(out: &mut impl std::io::Write, runbook: &Runbook) -> anyhow::Result<()> {
    let id = clean(&runbook.id);
    write!(out, "{NAME}runbook{NAME:#}  `{id}` ({}): ", clean(&runbook.file))?;
    let (whoever, wherever) = if runbook.binds {
        ("it holds, followed or not, and", "whether it is followed or not")
    } else {
        ("whoever follows it", "where it is followed")
    };
    if runbook.objections.is_empty() {
        writeln!(out, "nothing against it; {whoever} also asks {STRONG}{}{STRONG:#}", runbook.asks)?;
    } else {
        writeln!(out, "{BAD}objects{BAD:#} {wherever}")?;
    }
    for objection in &runbook.objections {
        writeln!(out, "  {BAD}against{BAD:#} {}", clean(objection))?;
    }
    for (what, lines) in [
        ("bounds", &runbook.bounded),
        ("requires", &runbook.requires),
        ("by eye", &runbook.preconditions),
        ("unknown", &runbook.unknown),
    ] {
        for line in lines {
            writeln!(out, "  {FAINT}{what:<8}{FAINT:#} {}", clean(line))?;
        }
    }
    Ok(())
}
