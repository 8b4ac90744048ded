//! The remediator, by rules: at most one action, only where everything speaks for it.

use midwatch_policy::{Action, ActionKind, CauseKind, Verdict};
use serde_json::{Map, Value, json};

use super::reading::Reading;
use crate::brief::{Brief, BriefRunbook, DeploymentStatus, ProposalDraft};

/// Below this confidence nothing is proposed.
const ENOUGH: f64 = 0.6;

/// What the remediator does next.
pub(super) enum Step {
    /// Ask what the action would do.
    Plan(Map<String, Value>),
    /// Conclude.
    Conclude(ProposalDraft),
}

pub(super) fn step(brief: &Brief, reading: &Reading) -> Step {
    let draft = propose(brief);
    let Some(action) = &draft.action else { return Step::Conclude(draft) };
    let mut args = action.arguments();
    args.insert("action".to_owned(), json!(action.kind().tool()));
    if reading.has("plan", None) {
        return Step::Conclude(draft);
    }
    if let Some(why) = reading.failure_of("plan") {
        let reason = format!("{} {} cannot be planned: {why}.", draft.reason, action.kind());
        return Step::Conclude(ProposalDraft { action: None, reason, ..draft });
    }
    if reading.was_asked("plan", &args) {
        return Step::Conclude(no_plan(brief));
    }
    Step::Plan(args)
}

/// An action that cannot be planned is not proposed.
pub(super) fn no_plan(brief: &Brief) -> ProposalDraft {
    let draft = propose(brief);
    let reason = "What the action would do could not be planned, so it is not proposed.".to_owned();
    ProposalDraft { action: None, reason, ..draft }
}

/// The action that the brief speaks for, before it was planned.
pub fn propose(brief: &Brief) -> ProposalDraft {
    let evidence: Vec<String> =
        brief.causes.first().iter().flat_map(|c| &c.evidence).map(ToString::to_string).collect();
    match choose(brief) {
        Ok((action, reason)) => ProposalDraft { action: Some(action), reason, evidence },
        Err(reason) => ProposalDraft { action: None, reason, evidence },
    }
}

fn choose(brief: &Brief) -> Result<(Action, String), String> {
    let no = |reason: &str| Err(reason.to_owned());
    if brief.protected {
        return no("The service is protected: a person has to act.");
    }
    if brief.verdict != Verdict::Real || !brief.ongoing {
        return no("The trouble is not shown to be real and ongoing: nothing to act on.");
    }
    let Some(cause) = brief.causes.first() else { return no("No cause is known.") };
    if cause.confidence < ENOUGH {
        return no("No cause is sure enough to act on.");
    }
    let runbook = brief.runbooks.iter().find(|r| r.signature_matched);
    let kind = kind(cause.kind, runbook)?;
    if brief.tried.contains(&kind) {
        return Err(format!("{kind} was tried and did not help."));
    }
    let action = match kind {
        ActionKind::RollbackDeployment => rollback(brief, cause.kind)?,
        ActionKind::RestartService => restart(brief, runbook)?,
        ActionKind::ScaleService => scale(brief)?,
    };
    let known = if runbook.and_then(|r| r.action) == Some(kind) {
        " A runbook with this signature allows it."
    } else {
        ""
    };
    let reason = format!(
        "The cause is {} with confidence {:.2}, and {} treats it.{known}",
        cause.kind.as_str().replace('_', " "),
        cause.confidence,
        kind.tool().replace('_', " "),
    );
    Ok((action, reason))
}

/// The kind of action for a cause. A matching runbook decides, where it treats this cause.
fn kind(cause: CauseKind, runbook: Option<&BriefRunbook>) -> Result<ActionKind, String> {
    if let Some(runbook) = runbook {
        match (runbook.cause, runbook.action) {
            (Some(treats), _) if treats != cause => {
                return Err(format!(
                    "The runbook for this error treats {}, the evidence says {}: a person has to decide.",
                    treats.as_str(),
                    cause.as_str()
                ));
            }
            (_, None) => return Err("The runbook for this error leaves the action to a person.".to_owned()),
            (Some(_), Some(action)) => return fits(cause, action),
            (None, Some(_)) => {}
        }
    }
    match cause {
        CauseKind::Deployment => Ok(ActionKind::RollbackDeployment),
        CauseKind::MemoryLeak => Ok(ActionKind::RestartService),
        CauseKind::Saturation => Ok(ActionKind::ScaleService),
        CauseKind::Dependency | CauseKind::Throttling => {
            Err("What fails is not this service: acting on it would not help.".to_owned())
        }
        CauseKind::Outage => Err("Why the service is down is not known: a person has to look.".to_owned()),
        CauseKind::Transient | CauseKind::Unknown => Err("There is no cause to act on.".to_owned()),
    }
}

/// A runbook's word is not enough for an action that cannot treat the cause.
fn fits(cause: CauseKind, action: ActionKind) -> Result<ActionKind, String> {
    let fits = match action {
        ActionKind::RollbackDeployment => cause == CauseKind::Deployment,
        ActionKind::RestartService => {
            matches!(
                cause,
                CauseKind::MemoryLeak | CauseKind::Outage | CauseKind::Saturation | CauseKind::Deployment
            )
        }
        ActionKind::ScaleService => matches!(cause, CauseKind::Saturation | CauseKind::MemoryLeak),
    };
    if fits { Ok(action) } else { Err(format!("{action} does not treat {}.", cause.as_str())) }
}

fn rollback(brief: &Brief, cause: CauseKind) -> Result<Action, String> {
    let wanted =
        brief.causes.first().filter(|_| cause == CauseKind::Deployment).and_then(|c| c.reference.as_ref());
    let found = brief.deployments.iter().find(|d| Some(&d.deployment_id) == wanted);
    let Some(deployment) = found else {
        return Err("The deployment to take back is not known.".to_owned());
    };
    if !deployment.has_previous {
        return Err("There is no earlier revision to go back to.".to_owned());
    }
    match deployment.status {
        DeploymentStatus::InProgress | DeploymentStatus::Succeeded | DeploymentStatus::Unknown => {}
        DeploymentStatus::Failed | DeploymentStatus::Stopped | DeploymentStatus::RolledBack => {
            return Err(
                "The deployment did not stay: it failed, was stopped or was taken back already.".to_owned()
            );
        }
    }
    let newer = brief.deployments.iter().any(|other| {
        other.started_at > deployment.started_at
            && matches!(other.status, DeploymentStatus::InProgress | DeploymentStatus::Succeeded)
    });
    if newer {
        return Err(
            "A newer deployment lies on top of it: a person has to decide what to take back.".to_owned()
        );
    }
    Ok(Action::RollbackDeployment {
        service: brief.service.clone(),
        deployment_id: deployment.deployment_id.clone(),
    })
}

fn restart(brief: &Brief, runbook: Option<&BriefRunbook>) -> Result<Action, String> {
    let under_way = brief.health.is_some_and(|h| h.deployments_in_progress > 0)
        || brief.deployments.iter().any(|d| d.status == DeploymentStatus::InProgress);
    if under_way && !runbook.is_some_and(|r| r.safe_during_deployment) {
        return Err("A restart is not safe while a deployment is in progress.".to_owned());
    }
    Ok(Action::RestartService { service: brief.service.clone() })
}

fn scale(brief: &Brief) -> Result<Action, String> {
    let (Some(bounds), Some(health)) = (brief.scale, brief.health) else {
        return Err("The catalog gives no bounds for scaling, or the task count is not known.".to_owned());
    };
    let half_more = health.desired.saturating_add(health.desired.div_ceil(2)).max(health.desired + 1);
    let desired_count = half_more.max(for_traffic(brief, health.desired)).clamp(bounds.min, bounds.max);
    if desired_count <= health.desired {
        return Err("The service already runs as many tasks as the catalog allows.".to_owned());
    }
    Ok(Action::ScaleService { service: brief.service.clone(), desired_count })
}

/// As many tasks for the traffic of now as there were for the traffic of before.
fn for_traffic(brief: &Brief, desired: u32) -> u32 {
    // Beyond tenfold a metric is doubted before it is followed; the catalog bounds it anyway.
    let ratio = brief.traffic_ratio.filter(|ratio| ratio.is_finite()).unwrap_or(1.0).clamp(1.0, 10.0);
    let wanted = (f64::from(desired) * ratio).ceil();
    // INVARIANT: between `desired` and ten times it, so within u32 for any count that ECS knows.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    let wanted = wanted.min(f64::from(u32::MAX)) as u32;
    wanted
}
