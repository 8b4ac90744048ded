//! From drafts to checked conclusions. A draft is a model's words: it is parsed, bounded, cleaned
//! and checked before anything is made of it.

use midwatch_policy::Action;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::Proposal;
use crate::{
    brief::{Brief, ProposalDraft},
    evidence::EvidenceBook,
    finding::{CauseDraft, ClaimDraft, Finding, FindingDraft},
    route::{RouteDecision, RouteDraft},
    view::Observation,
};

const MOST_CLAIMS: usize = 24;
const MOST_ITEMS: usize = 10;
const LONG: usize = 1_500;
const SHORT: usize = 400;

/// Parses a draft; the error is for the model.
pub(super) fn parse<T: DeserializeOwned>(input: &Value) -> Result<T, String> {
    serde_json::from_value(input.clone()).map_err(|error| error.to_string())
}

/// A finding of a draft.
pub(super) fn finding(book: &EvidenceBook, specialist: &str, draft: FindingDraft) -> Finding {
    Finding {
        specialist: specialist.to_owned(),
        summary: clean(&draft.summary, LONG),
        verdict: draft.verdict,
        causes: draft.causes.into_iter().take(5).map(cause).collect(),
        claims: claims(book, specialist, draft.claims),
        next_steps: list(&draft.next_steps),
        not_checked: list(&draft.not_checked),
    }
}

fn cause(draft: CauseDraft) -> CauseDraft {
    CauseDraft {
        kind: draft.kind,
        reference: draft.reference.map(|r| clean(&r, 256)).filter(|r| !r.is_empty()),
        confidence: if draft.confidence.is_finite() { draft.confidence.clamp(0.0, 1.0) } else { 0.0 },
        why: clean(&draft.why, SHORT),
    }
}

fn claims(book: &EvidenceBook, by: &str, drafts: Vec<ClaimDraft>) -> Vec<crate::finding::Claim> {
    drafts
        .into_iter()
        .take(MOST_CLAIMS)
        .map(|draft| ClaimDraft {
            text: clean(&draft.text, SHORT),
            citations: draft.citations.into_iter().take(12).collect(),
        })
        .filter(|draft| !draft.text.is_empty())
        .map(|draft| book.check(&draft, by))
        .collect()
}

/// A decision of a draft.
pub(super) fn decision(book: &EvidenceBook, by: &str, draft: RouteDraft) -> RouteDecision {
    RouteDecision {
        route: draft.route,
        reason: clean(&draft.reason, SHORT),
        claims: claims(book, by, draft.claims),
    }
}

/// A draft of the remediator, held against its brief. The error is for the model.
pub(super) fn proposal(
    brief: &Brief,
    draft: &ProposalDraft,
    seen: &[Observation],
) -> Result<Proposal, String> {
    if let Some(action) = &draft.action {
        fits(brief, action)?;
        if !planned(action, seen) {
            return Err(format!("`plan` has to answer for exactly this action first: {action}"));
        }
    }
    let evidence = draft
        .evidence
        .iter()
        .filter_map(|id| id.trim().parse().ok())
        .filter(|id| brief_evidence(brief).contains(&id))
        .collect();
    Ok(Proposal { action: draft.action.clone(), reason: clean(&draft.reason, SHORT), evidence })
}

fn brief_evidence(brief: &Brief) -> Vec<&midwatch_policy::EvidenceId> {
    let causes = brief.causes.iter().flat_map(|c| &c.evidence);
    let deployments = brief.deployments.iter().filter_map(|d| d.evidence.as_ref());
    let runbooks = brief.runbooks.iter().filter_map(|r| r.evidence.as_ref());
    causes.chain(deployments).chain(runbooks).collect()
}

fn fits(brief: &Brief, action: &Action) -> Result<(), String> {
    if action.service() != &brief.service {
        return Err(format!("this incident is about `{}` only", brief.service));
    }
    if brief.protected {
        return Err("the service is protected: conclude without an action".to_owned());
    }
    if brief.tried.contains(&action.kind()) {
        return Err(format!("{} was tried and did not help", action.kind()));
    }
    match action {
        Action::RollbackDeployment { deployment_id, .. } => brief
            .deployments
            .iter()
            .any(|d| &d.deployment_id == deployment_id)
            .then_some(())
            .ok_or_else(|| format!("deployment `{deployment_id}` is not in the brief")),
        Action::RestartService { .. } => Ok(()),
        Action::ScaleService { desired_count, .. } => match brief.scale {
            Some(bounds) if (bounds.min..=bounds.max).contains(desired_count) => Ok(()),
            Some(bounds) => Err(format!("desired_count has to be from {} to {}", bounds.min, bounds.max)),
            None => Err("the catalog gives no bounds for scaling".to_owned()),
        },
    }
}

/// The arguments of `plan` for an action.
pub(super) fn plan_arguments(action: &Action) -> Map<String, Value> {
    let mut args = action.arguments();
    args.insert("action".to_owned(), json!(action.kind().tool()));
    args
}

fn planned(action: &Action, seen: &[Observation]) -> bool {
    let wanted = plan_arguments(action);
    seen.iter().any(|o| o.tool == "plan" && wanted.iter().all(|(key, value)| o.args.get(key) == Some(value)))
}

fn list(items: &[String]) -> Vec<String> {
    items.iter().take(MOST_ITEMS).map(|item| clean(item, SHORT)).filter(|item| !item.is_empty()).collect()
}

/// Without control and formatting characters (terminals obey them), in one line, not too long.
pub(super) fn clean(text: &str, most: usize) -> String {
    let invisible = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}')
    };
    let line: String =
        text.chars().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| !invisible(*c)).collect();
    line.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(most).collect()
}
