//! The sentences of the report. Code's own; what models wrote is quoted as theirs.

use std::fmt::Write as _;

use crate::{
    case::Case,
    decide::Diagnosis,
    run::{Answer, Outcome},
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
    };
    if let Some(line) = story.swept.as_ref().and_then(|s| s.summary.first()) {
        let _ = write!(text, " {line}");
    }
    if outcome != Outcome::ClosedTransient && !diagnosis.text.is_empty() {
        let _ = write!(text, " {}", diagnosis.text);
    }
    if let Some(proposal) = &story.proposal {
        let action = &proposal.plan.action;
        let _ = match proposal.answer {
            Answer::Approved => write!(text, " It was approved to {action}."),
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
pub(super) fn next_steps(story: &Story, outcome: Outcome) -> Vec<String> {
    let mut steps = Vec::new();
    if let Some(escalation) = story.escalation.as_ref().filter(|_| outcome == Outcome::Escalated) {
        steps.push(format!("Look at it now: {}", escalation.why));
    }
    if let Some(proposal) = story.proposal.as_ref().filter(|p| without_leave(p.answer)) {
        steps.push(format!("Decide whether to {}; nothing was changed.", proposal.plan.action));
    }
    if story.acted()
        && let Some(plan) = story.plan()
    {
        steps.push(format!("Way back, should it be needed: {}", plan.inverse.summary));
    }
    for step in story.findings.iter().flat_map(|f| &f.next_steps) {
        if !steps.contains(step) {
            steps.push(step.clone());
        }
    }
    steps.truncate(8);
    steps
}
