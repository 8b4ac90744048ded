//! What happened when: in the service first, then in the handling of the incident.

use midwatch_agents::{brief::DeploymentStatus, signals::Signals};
use midwatch_policy::{SignedDuration, Timestamp};

use crate::{case::Case, run::Moment};

use super::{Story, moment};

/// How far before the alarm a deployment is part of the story.
const STORY: SignedDuration = SignedDuration::from_hours(3);

pub(super) fn timeline(case: &Case, story: &Story) -> Vec<Moment> {
    let mut all = vec![moment(
        case.opened.alarm.at,
        format!("alarm `{}` changed to {}", case.opened.alarm.name, case.opened.alarm.state),
    )];
    all.push(moment(case.opened.at, format!("incident {} opened", case.opened.id)));
    if !case.opened.fires() {
        let state = case.opened.alarm.state;
        all.push(moment(case.opened.at, format!("the alarm came in as {state}: no alarm that fires")));
    }
    if let Some(swept) = &story.swept {
        all.extend(in_service(&swept.signals, case.opened.alarm.at));
        let (ms, _) = swept.summary_ms;
        let at = case.opened.at.saturating_add(SignedDuration::from_millis(i64::try_from(ms).unwrap_or(0)));
        all.push(moment(at.unwrap_or(case.opened.at), "first summary given"));
    }
    all.extend(story.before.iter().cloned());
    all.extend(handling(case, story));
    all.sort_by_key(|m| m.at);
    all.dedup();
    all
}

/// What was proposed, answered, done and told, since it last went on.
pub(super) fn handling(case: &Case, story: &Story) -> Vec<Moment> {
    let mut all = Vec::new();
    if let Some(proposal) = &story.proposal {
        let action = &proposal.plan.action;
        all.extend(story.proposed_at.map(|at| moment(at, format!("proposed: {action}"))));
        for (at, answer, by) in &story.answers {
            let by = by.as_deref().map(|who| format!(" by {who}")).unwrap_or_default();
            all.push(moment(*at, format!("{}{by}", answer.as_str().replace('_', " "))));
        }
        let outcome = story.actions.last().map(|a| a.outcome.clone()).unwrap_or_default();
        all.extend(story.acted_at.map(|at| moment(at, format!("{action}: {outcome}"))));
    }
    if let Some(verified) = &story.verified {
        all.extend(verified.back.map(|at| moment(at, "alarm back in OK")));
        all.extend(verified.since.map(|at| moment(at, "alarm in OK and signs of life back")));
        all.push(moment(case.now(), verified.text.clone()));
    }
    all.extend(story.escalated_at.map(|at| moment(at, "escalated to a person")));
    all
}

fn in_service(signals: &Signals, fired: Timestamp) -> Vec<Moment> {
    let mut all = Vec::new();
    let from = fired.saturating_sub(STORY).unwrap_or(fired);
    for signal in &signals.deployments {
        let deployment = &signal.deployment;
        let whose = deployment.service.as_deref().unwrap_or("the service");
        let id = &deployment.deployment_id;
        if let Some(at) = deployment.created_at.filter(|at| *at >= from) {
            all.push(moment(at, format!("deployment {id} of {whose} began")));
        }
        if let Some(at) = deployment.completed_at.filter(|at| *at >= from) {
            let how = match deployment.status {
                DeploymentStatus::Succeeded => "succeeded",
                DeploymentStatus::Failed => "failed",
                DeploymentStatus::Stopped => "was stopped",
                DeploymentStatus::RolledBack => "was rolled back",
                DeploymentStatus::InProgress | DeploymentStatus::Unknown => "ended",
            };
            all.push(moment(at, format!("deployment {id} of {whose} {how}")));
        }
    }
    all.extend(signals.onset.map(|at| moment(at, "the trouble began")));
    for transition in signals.history.iter().flat_map(|h| &h.transitions) {
        if let Some(at) = transition.at.filter(|at| *at >= from && *at != fired) {
            all.push(moment(at, format!("alarm went from {} to {}", transition.from, transition.to)));
        }
    }
    if let Some(health) = &signals.health {
        for task in health.stopped_tasks.iter().take(5) {
            if let Some(at) = task.stopped_at.filter(|at| *at >= from) {
                all.push(moment(at, format!("a task stopped: {}", task.kind.replace('_', " "))));
            }
        }
    }
    all
}
