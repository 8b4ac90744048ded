//! Which way a deployment is taken back. Pure: history in, the one right call out.
//!
//! - CodeDeploy in progress: StopDeployment, and CodeDeploy itself redeploys the last good one.
//! - CodeDeploy finished: stopping does nothing any more; CreateDeployment with the last good
//!   revision of the same group.
//! - ECS in progress: StopServiceDeployment with ROLLBACK.
//! - ECS finished: UpdateService to the task definition that ran before.

use midwatch_policy::AwsName;

use crate::{
    refusal::Refusal,
    state::{Controller, Deployed, EcsService, Group, Phase, Rollout, RolloutPhase, short},
};

/// The way back for a CodeDeploy deployment.
#[derive(Debug, Clone)]
pub(crate) enum CodeDeployWay<'a> {
    /// Stop it; CodeDeploy redeploys this by itself.
    Stop { bad: &'a Deployed, good: &'a Deployed },
    /// Deploy this once more.
    Redeploy { bad: &'a Deployed, good: &'a Deployed },
}

/// The way back for an ECS deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum EcsWay {
    /// Stop it; ECS goes back to this.
    Stop { arn: AwsName, to: AwsName },
    /// Update the service to this.
    Update { to: AwsName },
}

/// The way back for `id` within its group.
pub(crate) fn codedeploy<'a>(
    group: &'a Group,
    service: &str,
    id: &str,
) -> Result<CodeDeployWay<'a>, Refusal> {
    let deployments = &group.deployments;
    let at = deployments.iter().position(|d| d.id.as_str() == id).ok_or_else(|| {
        Refusal::UnknownDeployment { service: service.to_owned(), deployment: id.to_owned() }
    })?;
    let (newer, rest) = deployments.split_at(at);
    let [bad, older @ ..] = rest else {
        return Err(Refusal::UnknownDeployment { service: service.to_owned(), deployment: id.to_owned() });
    };
    not_taken_back(bad, deployments)?;
    if let Some(of) = &bad.rollback_of {
        return Err(Refusal::IsRollback { deployment: id.to_owned(), of: of.clone() });
    }
    // A later deployment of the same revision (new instances, a retry) still runs what is bad.
    if let Some(other) = newer.iter().find(|d| d.revision != bad.revision) {
        return Err(Refusal::NotNewest { deployment: id.to_owned(), newest: other.id.to_string() });
    }
    if let Some(busy) = newer.iter().find(|d| d.phase == Phase::InProgress) {
        return Err(Refusal::DeploymentInProgress { deployment: busy.id.to_string() });
    }
    let good = last_good(bad, older, deployments)?;
    if bad.phase != Phase::InProgress {
        return Ok(CodeDeployWay::Redeploy { bad, good });
    }
    // Stopping leaves the choice to CodeDeploy, which takes the last that succeeded.
    let theirs = older.iter().find(|d| d.phase == Phase::Succeeded);
    match theirs {
        Some(theirs) if theirs.revision != good.revision => Err(Refusal::NothingEarlier {
            why: format!(
                "stopping `{id}` would make CodeDeploy redeploy `{}`, which was taken back before or is the same revision",
                theirs.id
            ),
        }),
        _ => Ok(CodeDeployWay::Stop { bad, good }),
    }
}

fn not_taken_back(bad: &Deployed, all: &[Deployed]) -> Result<(), Refusal> {
    let id = bad.id.as_str();
    let known = all.iter().find(|d| {
        d.rollback_of.as_deref() == Some(id) && d.phase != Phase::Failed && d.phase != Phase::Stopped
    });
    let (deployment, by) = match (known, &bad.rolled_back_by) {
        (Some(by), _) if by.phase == Phase::InProgress => {
            return Err(Refusal::RollingBack { deployment: id.to_owned(), by: by.id.to_string() });
        }
        (Some(by), _) => (id, by.id.to_string()),
        // AWS names a rollback that is not in the history that was read.
        (None, Some(by)) if !all.iter().any(|d| d.id.as_str() == by) => (id, by.clone()),
        _ => return Ok(()),
    };
    Err(Refusal::AlreadyRolledBack { deployment: deployment.to_owned(), by })
}

/// The newest older deployment that succeeded, with another revision, which was never taken back.
fn last_good<'a>(bad: &Deployed, older: &'a [Deployed], all: &[Deployed]) -> Result<&'a Deployed, Refusal> {
    let taken_back = |d: &Deployed| {
        d.rolled_back_by.is_some()
            || all.iter().any(|other| other.rollback_of.as_deref() == Some(d.id.as_str()))
    };
    let disgraced: Vec<&str> = all.iter().filter(|d| taken_back(d)).map(|d| d.revision.as_str()).collect();
    let succeeded = || older.iter().filter(|d| d.phase == Phase::Succeeded);
    let other = || succeeded().filter(|d| d.revision != bad.revision);
    other().find(|d| !disgraced.contains(&d.revision.as_str()) && d.location.is_some()).ok_or_else(|| {
        let why = if succeeded().next().is_none() {
            format!("no deployment of this group before `{}` has succeeded in the last 90 days", bad.id)
        } else if other().next().is_none() {
            format!("every good deployment before `{}` carries the same revision", bad.id)
        } else {
            "the only other revisions were themselves taken back".to_owned()
        };
        Refusal::NothingEarlier { why }
    })
}

/// The way back for an ECS service deployment. `id` is its ARN, or the id of the primary deployment.
pub(crate) fn ecs(
    running: &EcsService,
    rollouts: &[Rollout],
    service: &str,
    id: &str,
) -> Result<EcsWay, Refusal> {
    if running.controller == Controller::Other {
        return Err(Refusal::OtherController { service: service.to_owned() });
    }
    let is_primary = id == running.primary_id.as_str();
    let found = rollouts
        .iter()
        .position(|r| r.arn.as_str() == id || is_primary && r.to.as_ref() == Some(&running.task_definition));
    let at = found.ok_or_else(|| Refusal::UnknownDeployment {
        service: service.to_owned(),
        deployment: id.to_owned(),
    })?;
    let (newer, rest) = rollouts.split_at(at);
    let Some(bad) = rest.first() else {
        return Err(Refusal::UnknownDeployment { service: service.to_owned(), deployment: id.to_owned() });
    };
    let deployment = || id.to_owned();
    match bad.phase {
        RolloutPhase::RolledBack => {
            return Err(Refusal::AlreadyRolledBack { deployment: deployment(), by: "ECS".to_owned() });
        }
        RolloutPhase::RollingBack => {
            return Err(Refusal::RollingBack { deployment: deployment(), by: "ECS".to_owned() });
        }
        RolloutPhase::RollbackFailed => return Err(Refusal::RollbackFailed { deployment: deployment() }),
        RolloutPhase::Stopping => return Err(Refusal::DeploymentInProgress { deployment: deployment() }),
        RolloutPhase::InProgress | RolloutPhase::Succeeded | RolloutPhase::Stopped => {}
    }
    // What only restarted the same task definition still runs what is bad.
    if let Some(other) = newer.iter().find(|r| r.to != bad.to) {
        let by = other.arn.to_string();
        let back = other.to.as_ref().is_some_and(|to| bad.from.contains(to));
        return Err(match (back, other.phase) {
            (true, RolloutPhase::Succeeded) => Refusal::AlreadyRolledBack { deployment: deployment(), by },
            (true, RolloutPhase::InProgress) => Refusal::RollingBack { deployment: deployment(), by },
            _ => Refusal::NotNewest { deployment: deployment(), newest: by },
        });
    }
    if let Some(busy) = newer.iter().find(|r| r.phase == RolloutPhase::InProgress) {
        return Err(Refusal::DeploymentInProgress { deployment: busy.arn.to_string() });
    }
    let Some(to) = &bad.to else {
        return Err(Refusal::NothingEarlier {
            why: "ECS does not say what this deployment deploys".to_owned(),
        });
    };
    let Some(before) = bad.from.iter().find(|from| *from != to) else {
        return Err(if bad.from.is_empty() {
            Refusal::NothingEarlier { why: "it is the first deployment of the service".to_owned() }
        } else {
            Refusal::ChangedNothing { deployment: deployment(), revision: short(to.as_str()).to_owned() }
        });
    };
    if bad.phase == RolloutPhase::InProgress {
        return Ok(EcsWay::Stop { arn: bad.arn.clone(), to: before.clone() });
    }
    if running.task_definition != *to {
        return Err(Refusal::NotNewest {
            deployment: deployment(),
            newest: format!("{} ({})", running.primary_id, short(running.task_definition.as_str())),
        });
    }
    if let Some(busy) = running.in_progress.first() {
        return Err(Refusal::DeploymentInProgress { deployment: busy.clone() });
    }
    Ok(EcsWay::Update { to: before.clone() })
}

#[cfg(test)]
mod tests;
