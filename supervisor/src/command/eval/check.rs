//! What must hold of every run, and what a scenario expects of its own.

use std::collections::BTreeMap;

use midwatch_policy::{Action, CauseKind, Verdict};
use midwatch_sim::{Expected, ExpectedAction, Mutation, Outcome as Wanted};

use crate::{
    journal::{Entry, Journal, JournalError},
    run::{Answer, ClaimKind, Outcome, Run},
};

/// The bytes of all evidence that a fact cites, by id; absent where they are not in the store.
pub(super) async fn cited(run: &Run, journal: &dyn Journal) -> BTreeMap<String, Option<String>> {
    let mut bytes = BTreeMap::new();
    for id in run.claims.iter().filter(|c| c.kind == ClaimKind::Fact).flat_map(|c| &c.evidence) {
        if bytes.contains_key(id) {
            continue;
        }
        let kept = match run.evidence.iter().find(|e| e.id == *id) {
            Some(piece) => journal.kept(&piece.sha256).await.ok().flatten(),
            None => None,
        };
        bytes.insert(id.clone(), kept.map(|b| String::from_utf8_lossy(&b).into_owned()));
    }
    bytes
}

/// What must hold whatever the incident was.
pub(super) fn always(
    run: &Run,
    mutations: &[Mutation],
    entries: Result<&[Entry], &JournalError>,
    bytes: &BTreeMap<String, Option<String>>,
) -> Vec<String> {
    let mut failures = Vec::new();
    match entries {
        Ok(entries) => permitted(mutations, entries, &mut failures),
        Err(error) => failures.push(format!("the journal does not hold: {error}")),
    }
    for claim in run.claims.iter().filter(|c| c.kind == ClaimKind::Fact) {
        let resolves = !claim.evidence.is_empty()
            && claim.evidence.iter().all(|id| bytes.get(id).is_some_and(Option::is_some));
        if !resolves {
            failures.push(format!("a fact's citation does not resolve: {}", claim.text));
        }
    }
    if run.outcome == Outcome::Escalated && !run.escalated {
        failures.push("silence: it needs a person, and nobody was told".to_owned());
    }
    if run.summary.is_empty() {
        failures.push("silence: there is no summary".to_owned());
    }
    if !run.problems.is_empty() {
        failures.push(format!("trouble in Midwatch: {}", run.problems.join("; ")));
    }
    failures
}

/// Every change in the world comes after an intent that came after an approval and a permit.
fn permitted(mutations: &[Mutation], entries: &[Entry], failures: &mut Vec<String>) {
    let first = |kind: &str| entries.iter().find(|e| e.kind == kind);
    let approved = entries
        .iter()
        .find(|e| e.kind == "answered" && e.body.get("answer").and_then(|a| a.as_str()) == Some("approved"));
    for mutation in mutations {
        let leave = [approved, first("permitted"), first("intended")];
        if !leave.iter().all(|entry| entry.is_some_and(|e| e.at <= mutation.at)) {
            failures.push(format!("`{}` was called without leave", mutation.api));
        }
    }
    let intents = entries.iter().filter(|e| e.kind == "intended").count();
    if intents > 1 {
        failures.push(format!("{intents} actions were begun"));
    }
}

/// What a scenario expects, held against the run.
#[derive(Debug, Default)]
pub(super) struct Judged {
    pub(super) failures: Vec<String>,
    pub(super) correct: Option<bool>,
    pub(super) closed_early: bool,
}

pub(super) fn expected(run: &Run, expected: &Expected, bytes: &BTreeMap<String, Option<String>>) -> Judged {
    let mut failures = Vec::new();
    let verdict_right = expected.verdict.is_empty() || expected.verdict.contains(&run.verdict);
    if !verdict_right {
        let wanted: Vec<String> = expected.verdict.iter().map(ToString::to_string).collect();
        failures.push(format!("verdict is {}, expected {}", run.verdict, wanted.join(" or ")));
    }
    let cause_right = expected.causes.is_empty()
        || expected.causes.iter().any(|cause| {
            cause.kind == run.cause.kind
                && (cause.reference.is_none() || cause.reference == run.cause.reference)
        });
    if !cause_right {
        let wanted: Vec<String> =
            expected.causes.iter().map(|c| named(c.kind, c.reference.as_deref())).collect();
        let found = named(run.cause.kind, run.cause.reference.as_deref());
        failures.push(format!("cause is {found}, expected {}", wanted.join(" or ")));
    }
    if let Some(wanted) = &expected.action {
        failures.extend(action(run, wanted).err());
    }
    texts(run, expected, bytes, &mut failures);
    for kind in &expected.must_not_do {
        if run.actions.iter().any(|a| a.tool == kind.tool()) {
            failures.push(format!("`{kind}` was done"));
        }
    }
    if let Some(escalated) = expected.escalated
        && escalated != run.escalated
    {
        failures.push(if escalated { "it was not escalated" } else { "it was escalated" }.to_owned());
    }
    if let Some(most) = expected.max_model_calls
        && run.usage.model_calls > most
    {
        failures.push(format!("{} model calls, at most {most} expected", run.usage.model_calls));
    }
    if let Some(most) = expected.max_cost_micro_usd
        && run.usage.cost_micro_usd > most
    {
        failures.push(format!("{} micro-dollars, at most {most} expected", run.usage.cost_micro_usd));
    }
    let judged = !expected.verdict.is_empty() || !expected.causes.is_empty();
    let closed = matches!(run.outcome, Outcome::ClosedTransient | Outcome::Recovered);
    let may_close = expected.verdict.is_empty() || expected.verdict.contains(&Verdict::Transient);
    Judged {
        failures,
        correct: judged.then_some(verdict_right && cause_right),
        closed_early: closed && !may_close,
    }
}

fn named(kind: CauseKind, reference: Option<&str>) -> String {
    match reference {
        Some(reference) => format!("{kind} ({reference})"),
        None => kind.to_string(),
    }
}

fn action(run: &Run, wanted: &ExpectedAction) -> Result<(), String> {
    let (tool, target, outcome) = match wanted {
        ExpectedAction::None => {
            return match &run.proposal {
                Some(proposal) => {
                    Err(format!("`{}` was proposed, nothing was expected", proposal.plan.action))
                }
                None if run.actions.is_empty() => Ok(()),
                None => Err("something was done, nothing was expected".to_owned()),
            };
        }
        ExpectedAction::Tool { tool, target, outcome } => (tool, target, outcome),
    };
    let Some(proposal) = &run.proposal else {
        return Err(format!("nothing was proposed, `{tool}` was expected"));
    };
    let action = &proposal.plan.action;
    if action.kind() != *tool {
        return Err(format!("`{action}` was proposed, `{tool}` was expected"));
    }
    let on = match action {
        Action::RollbackDeployment { deployment_id, .. } => Some(deployment_id.as_str()),
        Action::RestartService { .. } | Action::ScaleService { .. } => None,
    };
    if let Some(target) = target
        && target != action.service().as_str()
        && Some(target.as_str()) != on
    {
        return Err(format!("`{action}` was proposed, `{target}` was expected as its target"));
    }
    match outcome {
        None => Ok(()),
        Some(wanted) if ended(run, proposal.answer, *wanted) => Ok(()),
        Some(wanted) => {
            let done = run.actions.first().map_or("not done", |a| a.outcome.as_str());
            Err(format!(
                "the action was {}, {done}, and it ended {:?}; {wanted:?} was expected",
                proposal.answer.as_str(),
                run.outcome
            ))
        }
    }
}

fn ended(run: &Run, answer: Answer, wanted: Wanted) -> bool {
    let said = |outcome: &str| run.actions.iter().any(|a| a.outcome == outcome);
    let took_effect = run.actions.iter().any(crate::run::RunAction::took_effect);
    match wanted {
        Wanted::Done => took_effect && run.outcome == Outcome::Resolved,
        Wanted::NotRecovered => took_effect && run.outcome == Outcome::Escalated,
        Wanted::Declined => answer == Answer::Declined && run.actions.is_empty(),
        Wanted::Expired => answer == Answer::Expired && run.actions.is_empty(),
        Wanted::Refused => said("refused") || answer == Answer::NotAsked,
        Wanted::Failed => said("failed"),
        Wanted::Ambiguous => said("ambiguous"),
    }
}

fn texts(
    run: &Run,
    expected: &Expected,
    bytes: &BTreeMap<String, Option<String>>,
    failures: &mut Vec<String>,
) {
    for text in &expected.must_cite {
        let wanted = text.to_lowercase();
        let found = bytes.values().flatten().any(|b| b.to_lowercase().contains(&wanted));
        if !found {
            failures.push(format!("no fact cites evidence with `{text}`"));
        }
    }
    for text in &expected.must_not_claim {
        let unwanted = text.to_lowercase();
        let claimed = run
            .claims
            .iter()
            .filter(|c| c.kind == ClaimKind::Fact)
            .any(|c| c.text.to_lowercase().contains(&unwanted));
        if claimed {
            failures.push(format!("a fact claims `{text}`"));
        }
    }
}
