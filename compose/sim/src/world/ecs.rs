//! ECS services as they run: tasks, revisions, deployments.
//!
//! Everything is written down with the times at which it happens, also those still to come; what
//! is seen of it is a function of the time. A later change rewrites only what had not happened.

mod parts;
mod service;

use std::sync::Arc;

use crate::{
    random,
    scenario::spec::{DeployKind, DeploymentSpec, DeploymentStatus, Spec, StopKind},
};
pub(crate) use parts::{Revision, Rollout, Task};
pub(crate) use service::Service;

/// Reason of a rollout that is part of a rollback.
const WITHIN_ROLLBACK: &str = "rollback";

/// Every ECS service, in the order of the scenario.
#[derive(Debug, Default)]
pub(crate) struct Ecs {
    pub(crate) services: Vec<Service>,
}

impl Ecs {
    /// The services with everything that was deployed before the world starts.
    pub(crate) fn new(spec: &Spec) -> Self {
        let mut services: Vec<Service> = spec
            .services
            .iter()
            .map(|s| Service {
                name: s.name.clone(),
                cluster: s.cluster.clone(),
                desired: s.tasks,
                tasks: Vec::new(),
                revisions: Vec::new(),
                rollouts: Vec::new(),
                events: Vec::new(),
                replaced_in_ms: s.replaced_in_ms,
                down: 0,
                rng: random::generator(spec.seed, &s.name, 2),
            })
            .collect();
        let mut order: Vec<(usize, &DeploymentSpec)> = spec.deployments.iter().enumerate().collect();
        order.sort_by_key(|(_, d)| d.at_ms);
        for (index, d) in order {
            let Some(service) = services.get_mut(d.service) else { continue };
            let number = service.register(d, index);
            match d.kind {
                DeployKind::Ecs => {
                    let kept = service.primary(d.at_ms).map(|r| r.revision);
                    service.roll_out(Some(&d.id), number, d.at_ms, d.takes_ms, "deployment");
                    if matches!(d.status, DeploymentStatus::Failed | DeploymentStatus::Stopped)
                        && let Some(back) = kept
                    {
                        let ended = d.at_ms + d.takes_ms;
                        if let Some(bad) = service.rollouts.last_mut() {
                            bad.failed = true;
                        }
                        service.roll_out(None, back, ended, 40_000, WITHIN_ROLLBACK);
                    }
                }
                // CodeDeploy replaces the tasks itself; ECS sees one deployment of its own.
                DeployKind::CodeDeploy if service.rollouts.is_empty() => {
                    service.roll_out(None, number, d.at_ms, d.takes_ms, "service creation");
                }
                DeployKind::CodeDeploy => {
                    let primary =
                        service.primary(d.at_ms).map(|r| r.deployment_id.clone()).unwrap_or_default();
                    service.replace_tasks(number, &primary, d.at_ms, d.takes_ms);
                }
            }
        }
        Self { services }
    }

    fn get(&mut self, index: usize) -> Option<&mut Service> {
        self.services.get_mut(index)
    }

    pub(crate) fn running(&self, index: usize, now_ms: i64) -> u32 {
        self.services.get(index).map_or(0, |s| s.running(now_ms))
    }

    /// Log streams of the tasks that run.
    pub(crate) fn streams(&self, index: usize, now_ms: i64) -> Vec<Arc<str>> {
        let tasks = self.services.get(index).map_or(&[][..], |s| &s.tasks);
        tasks.iter().filter(|t| t.status(now_ms) == Some("RUNNING")).map(|t| Arc::clone(&t.stream)).collect()
    }

    pub(crate) fn kill(
        &mut self,
        index: usize,
        at_ms: i64,
        kind: StopKind,
        reason: Option<&str>,
        brought_by: Option<usize>,
    ) {
        if let Some(service) = self.get(index) {
            service.kill(at_ms, kind, reason, brought_by);
        }
    }

    pub(crate) fn hold_down(&mut self, index: usize, down: u32, at_ms: i64, brought_by: Option<usize>) {
        if let Some(service) = self.get(index)
            && service.down != down.min(service.desired)
        {
            service.hold_down(down, at_ms, brought_by);
        }
    }
}
