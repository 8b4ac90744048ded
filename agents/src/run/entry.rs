//! The three ways into the loop, and who concludes when the model does not.

use midwatch_policy::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::{
    Ended, Proposal, RunContext, RunOutcome,
    ask::{Stats, since},
    conclude::{decision, finding, parse, proposal},
    drive::{Accept, Documents, Driven, drive},
};
use crate::{
    brief::{Brief, ProposalDraft},
    events::AgentEvent,
    finding::{Finding, FindingDraft},
    model::GuardrailTrace,
    playbook::{self, PLAYBOOK, PlaybookModel},
    route::{RouteDecision, RouteDraft},
    specialist::Specialist,
    sweep::{MissingPart, Sweep},
    task::Task,
    view::Observation,
};

/// Investigates: a specialist with output `finding`.
pub async fn investigate(
    ctx: &RunContext<'_>,
    specialist: &Specialist,
    task: &Task,
    sweep: &Sweep,
) -> RunOutcome<Finding> {
    let documents = || vec![value(task), value(sweep)];
    let whole = whole(ctx, specialist, &documents, &|input, _| parse::<FindingDraft>(input)).await;
    let draft = if let Some(draft) = whole.conclusion {
        draft
    } else {
        let (seen, missing) = everything(sweep, &whole.observations, &whole.missing);
        let mut draft = playbook::conclude(task, &seen, &missing);
        draft.not_checked.push(format!("the {} did not finish: {}", specialist.name, why(whole.ended)));
        draft
    };
    let output = finding(ctx.book, &specialist.name, draft);
    finish(ctx, specialist, (whole.outcome, whole.observations), output)
}

/// Routes: a specialist with output `route`.
pub async fn route(
    ctx: &RunContext<'_>,
    specialist: &Specialist,
    task: &Task,
    sweep: &Sweep,
) -> RunOutcome<RouteDecision> {
    let documents = || vec![value(task), value(sweep)];
    let whole = whole(ctx, specialist, &documents, &|input, _| parse::<RouteDraft>(input)).await;
    let draft = whole.conclusion.unwrap_or_else(|| {
        let (seen, missing) = everything(sweep, &whole.observations, &whole.missing);
        playbook::route(task, &seen, &missing)
    });
    let output = decision(ctx.book, &specialist.name, draft);
    finish(ctx, specialist, (whole.outcome, whole.observations), output)
}

/// Proposes at most one action: a specialist with output `proposal`.
pub async fn remediate(ctx: &RunContext<'_>, specialist: &Specialist, brief: &Brief) -> RunOutcome<Proposal> {
    let accept = |input: &Value, seen: &[Observation]| proposal(brief, &parse::<ProposalDraft>(input)?, seen);
    let whole = whole(ctx, specialist, &|| vec![value(brief)], &accept).await;
    let output = whole.conclusion.unwrap_or_else(|| Proposal {
        action: None,
        reason: format!(
            "No action is proposed: the {} did not finish: {}.",
            specialist.name,
            why(whole.ended)
        ),
        evidence: Vec::new(),
    });
    finish(ctx, specialist, (whole.outcome, whole.observations), output)
}

/// The model's run, and where that brought no conclusion and there is time, the playbook's.
struct Whole<T> {
    conclusion: Option<T>,
    ended: Ended,
    observations: Vec<Observation>,
    missing: Vec<MissingPart>,
    outcome: Partial,
}

struct Partial {
    concluded_by: String,
    ended: Ended,
    remark: Option<String>,
    stats: Stats,
    started: Timestamp,
}

async fn whole<T>(
    ctx: &RunContext<'_>,
    specialist: &Specialist,
    documents: Documents<'_>,
    accept: Accept<'_, T>,
) -> Whole<T> {
    let started = ctx.clock.now();
    let model = ctx.model.id().to_owned();
    ctx.events.event(AgentEvent::Started { specialist: specialist.name.clone(), model: model.clone() });
    let first = drive(ctx, ctx.model, specialist, documents, accept).await;
    let time_is_up = matches!(first.ended, Ended::Cancelled | Ended::Deadline);
    if first.conclusion.is_some() || time_is_up || model == PLAYBOOK {
        return joined(first, None, model, started);
    }
    ctx.events.event(AgentEvent::Corrected {
        specialist: specialist.name.clone(),
        what: format!("the model did not conclude ({}): rules take over", why(first.ended)),
    });
    let rules = PlaybookModel;
    let second = drive(ctx, &rules, specialist, documents, accept).await;
    joined(first, Some(second), model, started)
}

fn joined<T>(first: Driven<T>, second: Option<Driven<T>>, model: String, started: Timestamp) -> Whole<T> {
    let ended = first.ended;
    let remark = remark(&first, second.is_some());
    let model = if first.fell.is_empty() { model } else { first.model };
    let mut stats = first.stats;
    let (mut observations, mut missing) = (first.observations, first.missing);
    let mut conclusion = first.conclusion;
    let mut concluded_by = if conclusion.is_some() { model } else { PLAYBOOK.to_owned() };
    if let Some(second) = second {
        stats.add(second.stats);
        observations.extend(second.observations);
        missing.extend(second.missing);
        if conclusion.is_none() {
            conclusion = second.conclusion;
            PLAYBOOK.clone_into(&mut concluded_by);
        }
    }
    Whole {
        conclusion,
        ended,
        observations,
        missing,
        outcome: Partial { concluded_by, ended, remark, stats, started },
    }
}

fn finish<T>(
    ctx: &RunContext<'_>,
    specialist: &Specialist,
    (partial, observed): (Partial, Vec<Observation>),
    output: T,
) -> RunOutcome<T> {
    let ms = since(ctx, partial.started);
    let stats = partial.stats;
    ctx.events.event(AgentEvent::Finished {
        specialist: specialist.name.clone(),
        ended: partial.ended,
        turns: stats.turns,
        tool_calls: stats.tool_calls,
        usage: stats.usage,
        cost_micro_usd: stats.cost,
        ms,
    });
    RunOutcome {
        output,
        concluded_by: partial.concluded_by,
        ended: partial.ended,
        remark: partial.remark.map(|why| format!("{}: {why}", specialist.name.replace('_', " "))),
        observed,
        turns: stats.turns,
        model_calls: stats.model_calls,
        tool_calls: stats.tool_calls,
        usage: stats.usage,
        cost_micro_usd: stats.cost,
        ms,
    }
}

/// What the report says of a model that did not conclude, or was not the first one asked.
fn remark<T>(run: &Driven<T>, rules_took_over: bool) -> Option<String> {
    let mut parts = run.fell.clone();
    if run.conclusion.is_none() {
        let traced = run.guardrail.as_ref().map(GuardrailTrace::in_words).filter(|words| !words.is_empty());
        let detail = match run.ended {
            Ended::Spend | Ended::Tokens | Ended::BreakerOpen | Ended::SwitchedOff => run.detail.clone(),
            _ => None,
        };
        let ended = why(run.ended);
        parts.push(match traced.or(detail) {
            Some(words) => format!("{ended} ({words})"),
            None => ended,
        });
        if rules_took_over {
            parts.push("rules concluded in its place".to_owned());
        }
    }
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn everything(
    sweep: &Sweep,
    observations: &[Observation],
    missing: &[MissingPart],
) -> (Vec<Observation>, Vec<MissingPart>) {
    let mut seen = sweep.observations();
    seen.extend_from_slice(observations);
    let mut not_seen = sweep.missing.clone();
    not_seen.extend_from_slice(missing);
    (seen, not_seen)
}

fn why(ended: Ended) -> String {
    match ended {
        Ended::Concluded => "it concluded".to_owned(),
        Ended::Turns => "all its turns were used".to_owned(),
        Ended::Tokens => "its token budget was used".to_owned(),
        Ended::ToolCalls => "all its tool calls were used".to_owned(),
        Ended::Deadline => "its time was up".to_owned(),
        Ended::Spend => "the next call did not fit under the cost ceiling".to_owned(),
        Ended::BreakerOpen | Ended::SwitchedOff => "no model could be asked".to_owned(),
        Ended::Cancelled => "it was cancelled".to_owned(),
        Ended::Repeats => "it kept asking the same".to_owned(),
        Ended::NoConclusion => "its model stopped without concluding".to_owned(),
        Ended::Malformed => "its model's answers were not usable".to_owned(),
        Ended::Filtered => "the guardrail or content filter stepped in".to_owned(),
        Ended::ContextFull => "the conversation no longer fitted".to_owned(),
        Ended::ModelError(kind) => format!("its model did not answer ({})", kind.as_str()),
    }
}

fn value(document: &impl Serialize) -> Value {
    // Documents have string keys and finite numbers only.
    serde_json::to_value(document).unwrap_or(Value::Null)
}
