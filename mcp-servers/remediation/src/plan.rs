//! From an action and the live state to a plan, and to the one call that carries it out. Pure.
//!
//! INVARIANT: the [`Move`] beside a plan is made from the same reading as what the approver is
//! shown; nothing is looked up again when it is executed.

mod codedeploy;
mod ecs;

pub(crate) use ecs::within_bounds;

use aws_sdk_codedeploy::types::RevisionLocation;
use midwatch_policy::{
    Action, AwsName, BlastRadius, CodeDeployTarget, EcsTarget, EndState, ExpectedState, Inverse, Place, Plan,
    PlanStep, Risk, Service, ServiceName, Terms,
};

use crate::{
    refusal::Refusal,
    state::{EcsService, Group, Phase, Rollout},
};

/// The call that carries a plan out.
#[derive(Debug, Clone)]
pub(crate) enum Move {
    StopDeployment {
        id: AwsName,
    },
    CreateDeployment {
        target: CodeDeployTarget,
        revision: Box<RevisionLocation>,
        rollback_of: AwsName,
    },
    StopServiceDeployment {
        arn: AwsName,
    },
    UpdateTaskDefinition {
        target: EcsTarget,
        task_definition: AwsName,
    },
    ForceNewDeployment {
        target: EcsTarget,
    },
    /// As ECS takes the count.
    Scale {
        target: EcsTarget,
        desired_count: i32,
    },
}

/// A plan and the call that carries it out.
#[derive(Debug, Clone)]
pub(crate) struct Planned {
    pub(crate) plan: Plan,
    pub(crate) call: Move,
    /// Deployments of the service that were under way.
    pub(crate) deployments_in_progress: u32,
}

/// What differs from action to action.
struct Draft {
    step: PlanStep,
    expected: ExpectedState,
    result: EndState,
    blast_radius: BlastRadius,
    risk: Risk,
    inverse: Inverse,
    warnings: Vec<String>,
    call: Move,
}

/// The state that an action is planned on. Absent is what the service does not have.
#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    /// Where it was read, and would be done.
    pub(crate) region: Option<String>,
    pub(crate) group: Option<Group>,
    pub(crate) running: Option<EcsService>,
    pub(crate) rollouts: Vec<Rollout>,
    /// Services of the catalog that depend on this one.
    pub(crate) dependents: Vec<ServiceName>,
}

impl Live {
    /// How many deployments are under way; a rollout that both services show counts once.
    fn deployments_in_progress(&self) -> u32 {
        let ecs = self.running.as_ref().map_or(0, |running| running.in_progress.len());
        let group = self.group.iter().flat_map(|group| &group.deployments);
        let codedeploy = group.filter(|d| d.phase == Phase::InProgress).count();
        u32::try_from(ecs.max(codedeploy)).unwrap_or(u32::MAX)
    }
}

/// Plans an action, or says why not.
pub(crate) fn plan(action: &Action, service: &Service, live: &Live) -> Result<Planned, Refusal> {
    let Draft { step, expected, result, mut blast_radius, risk, inverse, mut warnings, call } = match action {
        Action::RollbackDeployment { deployment_id, .. } if deployment_id.as_str().starts_with("d-") => {
            codedeploy::rollback(service, live, deployment_id)?
        }
        Action::RollbackDeployment { deployment_id, .. } => ecs::rollback(service, live, deployment_id)?,
        Action::RestartService { .. } => ecs::restart(service, live)?,
        Action::ScaleService { desired_count, .. } => ecs::scale(service, live, *desired_count)?,
    };
    blast_radius.dependents.clone_from(&live.dependents);
    if !live.dependents.is_empty() {
        let names: Vec<&str> = live.dependents.iter().map(ServiceName::as_str).collect();
        blast_radius.summary = format!("{}; called by {}", blast_radius.summary, names.join(", "));
    }
    if service.protected {
        let warning =
            format!("`{}` is protected in the catalog: this will be refused, whoever approves", service.name);
        warnings.insert(0, warning);
    }
    // What everything depends on is never a small matter.
    let risk = if service.tier.get() == 0 { risk.max(Risk::Medium) } else { risk };
    let action = action.clone();
    let terms = Terms { place: Place::of(service, live.region.as_deref()), expected, result };
    let plan = Plan { action, steps: vec![step], terms, blast_radius, risk, inverse, warnings };
    Ok(Planned { plan, call, deployments_in_progress: live.deployments_in_progress() })
}

const fn radius(tasks_affected: u32, tasks_running: u32, summary: String) -> BlastRadius {
    BlastRadius { tasks_affected, tasks_running, dependents: Vec::new(), summary }
}

#[cfg(test)]
mod tests;
