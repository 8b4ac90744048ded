//! Plans of what ECS runs.

use midwatch_policy::{
    Action, AwsName, EcsTarget, EndState, ExpectedState, Inverse, PlanStep, Risk, ScaleBounds, Service,
};

use super::{Draft, Live, Move, radius};
use crate::{
    refusal::Refusal,
    rollback::{self, EcsWay},
    state::{Controller, EcsService, Phase, Scheduling, short},
};

/// A count that the catalog allows.
pub(crate) fn within_bounds(service: &Service, wanted: u32) -> Result<ScaleBounds, Refusal> {
    let bounds = service.scale.ok_or_else(|| Refusal::Bounds {
        why: format!("the catalog sets no bounds for scaling `{}` (scale = {{ min, max }})", service.name),
    })?;
    if (bounds.min..=bounds.max).contains(&wanted) {
        return Ok(bounds);
    }
    Err(Refusal::Bounds {
        why: format!(
            "{wanted} tasks are outside of {} to {}, the bounds of `{}`",
            bounds.min, bounds.max, service.name
        ),
    })
}

pub(super) fn rollback(service: &Service, live: &Live, id: &AwsName) -> Result<Draft, Refusal> {
    let running = running(service, live, "roll back")?;
    let way = rollback::ecs(running, &live.rollouts, service.name.as_str(), id.as_str())?;
    let EcsTarget { cluster, service: name } = &running.target;
    let now = short(running.task_definition.as_str());
    let (call, step, affected, to) = match &way {
        EcsWay::Stop { arn, to } => {
            let replaced =
                live.rollouts.iter().find(|r| r.arn == *arn).map_or(running.running, |r| r.running);
            let detail = format!("stop {arn} with rollback; ECS then returns to {}", short(to.as_str()));
            let step = PlanStep { api: "ecs:StopServiceDeployment".to_owned(), detail };
            (Move::StopServiceDeployment { arn: arn.clone() }, step, replaced, to)
        }
        EcsWay::Update { to } => {
            let detail =
                format!("set the task definition of {cluster}/{name} from {now} to {}", short(to.as_str()));
            let step = PlanStep { api: "ecs:UpdateService".to_owned(), detail };
            let call =
                Move::UpdateTaskDefinition { target: running.target.clone(), task_definition: to.clone() };
            (call, step, running.running, to)
        }
    };
    let summary = format!(
        "{affected} of {} running tasks of {} are replaced by ones of {}",
        running.running,
        service.name,
        short(to.as_str())
    );
    let mut warnings = fewer_tasks(running);
    if matches!(way, EcsWay::Stop { .. }) {
        warnings.push(
            "should the deployment finish before this starts, the task definition is set back instead"
                .to_owned(),
        );
    }
    Ok(Draft {
        step,
        expected: primary(running),
        result: EndState::TaskDefinition { task_definition: to.clone() },
        blast_radius: radius(affected, running.running, summary),
        risk: Risk::Medium,
        inverse: Inverse {
            summary: format!("a person sets the task definition to {now} again"),
            action: None,
        },
        warnings,
        call,
    })
}

pub(super) fn restart(service: &Service, live: &Live) -> Result<Draft, Refusal> {
    let running = running(service, live, "restart")?;
    if running.controller == Controller::Other {
        return Err(Refusal::OtherController { service: service.name.to_string() });
    }
    nothing_in_progress(running, live)?;
    if running.desired == 0 {
        return Err(Refusal::NothingToDo { what: format!("`{}` is scaled to zero", service.name) });
    }
    let EcsTarget { cluster, service: name } = &running.target;
    let count = running.running.max(running.desired);
    let mut warnings = fewer_tasks(running);
    warnings.push("a restart gains time; what is wrong in the code or the configuration stays".to_owned());
    Ok(Draft {
        step: PlanStep {
            api: "ecs:UpdateService".to_owned(),
            detail: format!(
                "force a new deployment of {cluster}/{name} with the same task definition, {}",
                short(running.task_definition.as_str())
            ),
        },
        expected: primary(running),
        result: EndState::TaskDefinition { task_definition: running.task_definition.clone() },
        blast_radius: radius(
            count,
            running.running,
            format!("all {count} tasks of {} are replaced by fresh ones", service.name),
        ),
        risk: if running.minimum_healthy < 50 { Risk::High } else { Risk::Low },
        inverse: Inverse {
            summary: "nothing to undo: the same revision runs before and after".to_owned(),
            action: None,
        },
        warnings,
        call: Move::ForceNewDeployment { target: running.target.clone() },
    })
}

pub(super) fn scale(service: &Service, live: &Live, wanted: u32) -> Result<Draft, Refusal> {
    let running = running(service, live, "scale")?;
    if running.scheduling == Scheduling::Daemon {
        return Err(Refusal::Bounds {
            why: format!("`{}` runs one task on every instance and has no count", service.name),
        });
    }
    let bounds = within_bounds(service, wanted)?;
    let count = i32::try_from(wanted)
        .map_err(|_| Refusal::Bounds { why: format!("{wanted} tasks are more than ECS can be told") })?;
    let now = running.desired;
    if wanted == now {
        return Err(Refusal::NothingToDo { what: format!("`{}` wants {now} tasks already", service.name) });
    }
    let EcsTarget { cluster, service: name } = &running.target;
    let stopped = running.running.saturating_sub(wanted);
    let mut warnings = vec!["where auto scaling is set up for it, it may change the count again".to_owned()];
    if let Some(deployment) = running.in_progress.first() {
        warnings.push(format!("a deployment is in progress: {deployment}"));
    }
    if running.running < now && wanted > now {
        warnings
            .push(format!("only {} of {now} wanted tasks run: more may not start either", running.running));
    }
    let (summary, risk) = if wanted > now {
        (format!("{} more tasks of {} start; none stops", wanted - now, service.name), Risk::Low)
    } else {
        let risk = if wanted * 2 < now { Risk::High } else { Risk::Medium };
        (format!("{stopped} of {} running tasks of {} stop", running.running, service.name), risk)
    };
    let inverse = (bounds.min..=bounds.max)
        .contains(&now)
        .then(|| Action::ScaleService { service: service.name.clone(), desired_count: now });
    Ok(Draft {
        step: PlanStep {
            api: "ecs:UpdateService".to_owned(),
            detail: format!("set the desired count of {cluster}/{name} from {now} to {wanted}"),
        },
        expected: ExpectedState::EcsDesiredCount {
            cluster: cluster.clone(),
            ecs_service: name.clone(),
            desired_count: now,
        },
        result: EndState::DesiredCount { desired_count: wanted },
        blast_radius: radius(stopped, running.running, summary),
        risk,
        inverse: Inverse { summary: format!("scale back to {now} tasks"), action: inverse },
        warnings,
        call: Move::Scale { target: running.target.clone(), desired_count: count },
    })
}

fn running<'a>(service: &Service, live: &'a Live, verb: &str) -> Result<&'a EcsService, Refusal> {
    live.running.as_ref().ok_or_else(|| Refusal::NoTarget {
        why: match &service.ecs {
            None => format!(
                "the catalog names no ECS service for `{}`, so there is nothing to {verb}",
                service.name
            ),
            Some(ecs) => format!("cluster `{}` has no active ECS service `{}`", ecs.cluster, ecs.service),
        },
    })
}

fn nothing_in_progress(running: &EcsService, live: &Live) -> Result<(), Refusal> {
    let ecs = running.in_progress.first().cloned();
    let group = live.group.iter().flat_map(|group| &group.deployments);
    let codedeploy = group.filter(|d| d.phase == Phase::InProgress).map(|d| d.id.to_string()).next();
    ecs.or(codedeploy).map_or(Ok(()), |deployment| Err(Refusal::DeploymentInProgress { deployment }))
}

fn primary(running: &EcsService) -> ExpectedState {
    ExpectedState::EcsDeployment {
        cluster: running.target.cluster.clone(),
        ecs_service: running.target.service.clone(),
        primary_deployment_id: running.primary_id.clone(),
        task_definition: running.task_definition.clone(),
    }
}

fn fewer_tasks(running: &EcsService) -> Vec<String> {
    let kept = u64::from(running.desired) * u64::from(running.minimum_healthy.min(100));
    let down = u64::from(running.desired) - kept.div_ceil(100).min(u64::from(running.desired));
    if down == 0 {
        return Vec::new();
    }
    vec![format!(
        "up to {down} of {} tasks may be down at a time while they are replaced (minimum healthy is {} %)",
        running.desired, running.minimum_healthy
    )]
}
