//! The sentences of the report. Code's own; what models wrote is quoted as theirs.

use std::fmt::Write as _;

use midwatch_policy::{CauseKind, HoldState};

use crate::{
    case::Case,
    decide::Diagnosis,
    run::{Answer, Outcome},
    sweep::{clock, headline},
};

use super::{Story, without_leave};

/// What happened, in a few sentences.
pub(super) fn summary(case: &Case, story: &Story, diagnosis: &Diagnosis, outcome: Outcome) -> String {
    let alarm = &case.opened.alarm.name;
    let about = case.opened.service.as_ref().map(|s| format!(" of {}", s.name)).unwrap_or_default();
    let mut text = match outcome {
        Outcome::ClosedTransient => {
            format!("The alarm `{alarm}`{about} passed by itself and there are positive signs of life.")
        }
        Outcome::Recovered => format!("The alarm `{alarm}`{about} cleared before anything was done."),
        Outcome::Resolved => format!("The alarm `{alarm}`{about} was resolved by an approved action."),
        Outcome::Escalated => format!("The alarm `{alarm}`{about} needs a person."),
        Outcome::TakenOver => {
            let held = story.held.as_ref().map_or("a person holds it", |(_, text)| text.as_str());
            format!("The alarm `{alarm}`{about} is in a person's hands: {held}.")
        }
    };
    if let Some(counted) = story.others.counted() {
        let _ = write!(text, " And {counted}: {}.", story.others.names());
    }
    if !case.opened.fires() {
        let _ = write!(text, " It came in as {}, not as one that fires.", case.opened.alarm.state);
    }
    if let Some(back) = story.verified.as_ref().and_then(|v| v.back).filter(|_| case.opened.fires()) {
        let _ = write!(
            text,
            " It went to ALARM at {}, back to OK at {}.",
            clock(case.opened.alarm.at),
            clock(back)
        );
    }
    if let Some(line) = story.signals.as_ref().and_then(|s| headline(&case.opened, s)) {
        let _ = write!(text, " {line}");
    }
    if outcome != Outcome::ClosedTransient && !diagnosis.text.is_empty() {
        let _ = write!(text, " {}", diagnosis.text);
    }
    if let Some(raised) = story.raised.last() {
        let _ = write!(text, " {} raised the request again after that.", raised.by);
    }
    if let Some(proposal) = &story.proposal {
        let action = &proposal.plan.action;
        let _ = match proposal.answer {
            Answer::Approved => {
                let by = proposal.by.as_deref().unwrap_or("somebody");
                write!(text, " A person approved: {action} (by {by}).")
            }
            Answer::Declined => write!(text, " The proposal to {action} was declined."),
            Answer::Expired => {
                write!(text, " Nobody answered the proposal to {action}, which counts as declined.")
            }
            Answer::Withdrawn => write!(text, " The proposal to {action} was withdrawn: the alarm cleared."),
            Answer::NotAsked => write!(text, " Nobody was asked to {action}: {}.", proposal.policy),
        };
    }
    if let Some(verified) = &story.verified {
        let _ = write!(text, " It {}.", verified.text);
    }
    text
}

/// What a person should do next.
pub(super) fn next_steps(case: &Case, story: &Story, diagnosis: &Diagnosis, outcome: Outcome) -> Vec<String> {
    let mut steps = Vec::new();
    let stopped = story.held.as_ref().is_some_and(|(state, _)| *state == HoldState::Stopped);
    if outcome == Outcome::TakenOver && !stopped {
        steps.push(format!(
            "Hand it back with `midwatch incidents return {}` if Midwatch should go on.",
            case.opened.id
        ));
    }
    if let Some(escalation) = story.escalation.as_ref().filter(|_| outcome == Outcome::Escalated) {
        steps.push(format!("Look at it now: {}", escalation.why));
    }
    if let Some(proposal) = story.proposal.as_ref().filter(|p| without_leave(p.answer)) {
        steps.push(format!("Decide whether to {}; nothing was changed.", proposal.plan.action));
    }
    let resolved = outcome == Outcome::Resolved;
    if resolved {
        steps.extend(bad_revision(case, story, diagnosis));
    }
    if let Some(quote) = &story.quote {
        let (id, text, evidence) = (&quote.runbook, &quote.text, &quote.evidence);
        let lead = if resolved { "Fix what its runbook names" } else { "Read its runbook" };
        steps.push(format!("{lead}; `{id}` says: \"{text}\" [{evidence}]"));
    }
    if story.acted()
        && let Some(plan) = story.plan()
    {
        steps.push(format!("Way back, should it be needed: {}", plan.inverse.summary));
    }
    for step in story.findings.iter().flat_map(|f| &f.next_steps) {
        if !(steps.contains(step) || resolved && is_remedy(step)) {
            steps.push(step.clone());
        }
    }
    steps.truncate(if resolved { 7 } else { 8 });
    if resolved {
        let id = &case.opened.id;
        steps.push(format!("Write the postmortem: midwatch incidents show {id} has what happened when."));
    }
    steps
}

/// Whether a step is about what was done already.
fn is_remedy(step: &str) -> bool {
    let step = step.to_lowercase();
    ["taking back", "take back", "roll back", "rollback", "restart", "scale", "follow runbook"]
        .iter()
        .any(|word| step.contains(word))
}

/// What to do about the deployment that was taken back: keep it from coming again, tell its author.
fn bad_revision(case: &Case, story: &Story, diagnosis: &Diagnosis) -> Vec<String> {
    let Some(signals) = story.signals.as_ref().filter(|_| diagnosis.cause.kind == CauseKind::Deployment)
    else {
        return Vec::new();
    };
    let deployments = &signals.deployments;
    let Some(bad) =
        deployments.iter().find(|d| Some(&d.deployment.deployment_id) == diagnosis.cause.reference.as_ref())
    else {
        return Vec::new();
    };
    let (id, revision) = (&bad.deployment.deployment_id, &bad.deployment.revision);
    let what = if revision.is_empty() { format!("what {id} brought") } else { revision.clone() };
    let piece =
        bad.deployment.evidence.as_deref().and_then(|id| case.book.get(id)).map(|piece| piece.value());
    let given = |field: &str| {
        let value = piece.as_ref()?.get(field)?.as_str()?;
        (!value.is_empty()).then(|| value.chars().take(80).collect::<String>())
    };
    let traces: Vec<String> = [
        given("commit").map(|c| format!("commit {}", c.chars().take(12).collect::<String>())),
        given("pull_request").map(|number| format!("PR #{}", number.trim_start_matches('#'))),
        Some(format!("deployment {id}")),
    ]
    .into_iter()
    .flatten()
    .collect();
    let author = given("author").map(|author| format!(": {author}")).unwrap_or_default();
    vec![
        format!(
            "Keep {what} from going out again: revert it, or hold the pipeline, before the next release."
        ),
        format!("Tell its author{author} ({}).", traces.join(", ")),
    ]
}
