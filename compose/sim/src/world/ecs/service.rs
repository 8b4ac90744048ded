//! One ECS service, and what can happen to it.

use std::sync::Arc;

use super::{
    WITHIN_ROLLBACK,
    parts::{Revision, Rollout, STOPPED_VISIBLE_MS, Stop, Task},
};
use crate::{
    random::{self, Rng},
    scenario::spec::{DeploymentSpec, StopKind},
};

/// One ECS service.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) name: String,
    pub(crate) cluster: String,
    pub(crate) desired: u32,
    pub(crate) tasks: Vec<Task>,
    pub(crate) revisions: Vec<Revision>,
    pub(crate) rollouts: Vec<Rollout>,
    pub(crate) events: Vec<(i64, String)>,
    pub(super) replaced_in_ms: i64,
    pub(super) down: u32,
    pub(super) rng: Rng,
}

impl Service {
    fn new_task(&mut self, revision: u32, deployment: &str, created_ms: i64, started_ms: Option<i64>) {
        let id = random::hex(&mut self.rng, 32);
        let stream = Arc::from(format!("ecs/{}/{id}", self.name));
        let zone = ['a', 'b', 'c'].get(self.tasks.len() % 3).copied().unwrap_or('a');
        let deployment = deployment.to_owned();
        self.tasks.push(Task { id, revision, deployment, created_ms, started_ms, stop: None, stream, zone });
    }

    pub(crate) fn revision(&self, number: u32) -> Option<&Revision> {
        self.revisions.iter().find(|r| r.number == number)
    }

    /// The rollout that decides what runs: the newest that has begun.
    pub(crate) fn primary(&self, now_ms: i64) -> Option<&Rollout> {
        self.rollouts.iter().rev().find(|r| r.created_ms <= now_ms)
    }

    pub(super) fn register(&mut self, d: &DeploymentSpec, index: usize) -> u32 {
        let number = self.revisions.last().map_or(14, |r| r.number + 1);
        let inherited = || self.revisions.last().map(|r| r.env.clone()).unwrap_or_default();
        let mut env = d.env.clone().unwrap_or_else(inherited);
        env.retain(|name, _| !d.env_remove.contains(name));
        self.revisions.push(Revision {
            number,
            commit: d.commit.clone(),
            author: d.author.clone(),
            pull_request: d.pull_request,
            message: d.message.clone(),
            env,
            registered_ms: d.at_ms - 30_000,
            brought_by: Some(index),
        });
        number
    }

    /// Replaces all tasks by ones of `revision`, from `at_ms` within `takes_ms`.
    pub(crate) fn roll_out(
        &mut self,
        id: Option<&str>,
        revision: u32,
        at_ms: i64,
        takes_ms: i64,
        reason: &'static str,
    ) -> Rollout {
        let id = id.map_or_else(|| random::hex(&mut self.rng, 21), str::to_owned);
        let digits: String = (0..19).map(|n| if n == 0 { '7' } else { digit(&mut self.rng) }).collect();
        let from_revision = self.primary(at_ms).map_or(revision, |r| r.revision);
        for rollout in &mut self.rollouts {
            if rollout.running(at_ms) && rollout.rollback.is_none() {
                rollout.cut_ms = Some(at_ms);
            }
        }
        let rollout = Rollout {
            id,
            deployment_id: format!("ecs-svc/{digits}"),
            revision,
            from_revision,
            created_ms: at_ms,
            ends_ms: at_ms + takes_ms,
            cut_ms: None,
            failed: false,
            rollback: None,
            reason,
            within: reason == WITHIN_ROLLBACK,
        };
        self.replace_tasks(revision, &rollout.deployment_id, at_ms, takes_ms);
        self.rollouts.push(rollout.clone());
        let short = rollout.deployment_id.clone();
        let name = self.name.clone();
        self.event(at_ms, format!("(service {name}) has begun deployment {short} ({reason})."));
        self.event(at_ms + takes_ms, format!("(service {name}) (deployment {short}) deployment completed."));
        self.event(at_ms + takes_ms + 1000, format!("(service {name}) has reached a steady state."));
        rollout
    }

    /// Plans that every task is replaced one after the other.
    pub(crate) fn replace_tasks(&mut self, revision: u32, deployment: &str, at_ms: i64, takes_ms: i64) {
        self.forget_plans(at_ms);
        let old: Vec<usize> =
            self.tasks.iter().enumerate().filter(|(_, t)| t.stop.is_none()).map(|(index, _)| index).collect();
        let wanted = self.desired.saturating_sub(self.down).max(1);
        let step = takes_ms / i64::from(wanted.max(1) + 1);
        for n in 0..i64::from(wanted) {
            let created = at_ms + 1500.min(step / 2) + n * step;
            self.new_task(revision, deployment, created, Some(created + (step / 2).min(12_000)));
        }
        let count = old.len().max(1);
        for (n, index) in old.into_iter().enumerate() {
            let at = at_ms + takes_ms * i64::try_from(n + 1).unwrap_or(1) / i64::try_from(count).unwrap_or(1);
            if let Some(task) = self.tasks.get_mut(index) {
                task.stop = Some(Stop {
                    at_ms: at,
                    code: "ServiceSchedulerInitiated",
                    reason: format!("Scaling activity initiated by (deployment {deployment})"),
                    exit_code: Some(143),
                    container_reason: None,
                });
            }
        }
    }

    /// Drops what was planned for after `at_ms`.
    fn forget_plans(&mut self, at_ms: i64) {
        self.tasks.retain(|task| task.created_ms <= at_ms);
        for task in &mut self.tasks {
            if task.stop.as_ref().is_some_and(|stop| stop.at_ms > at_ms) {
                task.stop = None;
            }
        }
        self.events.retain(|(at, _)| *at <= at_ms);
    }

    /// Sets the number of tasks.
    pub(crate) fn scale(&mut self, desired: u32, at_ms: i64) {
        let running = u32::try_from(self.tasks.iter().filter(|t| t.stop.is_none()).count()).unwrap_or(0);
        let (revision, deployment) =
            self.primary(at_ms).map_or((1, String::new()), |r| (r.revision, r.deployment_id.clone()));
        self.desired = desired;
        for n in 0..desired.saturating_sub(running) {
            let created = at_ms + 1000 + i64::from(n) * 500;
            self.new_task(revision, &deployment, created, Some(created + 15_000));
        }
        let surplus = running.saturating_sub(desired) as usize;
        for task in self.tasks.iter_mut().filter(|t| t.stop.is_none()).take(surplus) {
            task.stop = Some(Stop {
                at_ms: at_ms + 5000,
                code: "ServiceSchedulerInitiated",
                reason: format!("Scaling activity initiated by (deployment {deployment})"),
                exit_code: Some(143),
                container_reason: None,
            });
        }
        let name = self.name.clone();
        self.event(at_ms, format!("(service {name}) has set the desired count to {desired}."));
    }

    /// The revision that a deployment of the scenario brought, if it was brought to this service.
    fn revision_of(&self, deployment: Option<usize>) -> Option<u32> {
        self.revisions.iter().find(|r| deployment.is_some() && r.brought_by == deployment).map(|r| r.number)
    }

    /// A task dies; the scheduler starts another. What a deployment brought only strikes the tasks
    /// of its own revision.
    pub(crate) fn kill(
        &mut self,
        at_ms: i64,
        kind: StopKind,
        reason: Option<&str>,
        brought_by: Option<usize>,
    ) {
        let own = self.revision_of(brought_by);
        let (code, usual, exit_code, container) = match kind {
            StopKind::Oom => (
                "EssentialContainerExited",
                "Essential container in task exited",
                Some(137),
                Some("OutOfMemoryError: Container killed due to memory usage"),
            ),
            StopKind::Crash => {
                ("EssentialContainerExited", "Essential container in task exited", Some(1), None)
            }
            StopKind::HealthCheck => (
                "ServiceSchedulerInitiated",
                "Task failed ELB health checks in (target-group main)",
                Some(143),
                None,
            ),
            StopKind::ImagePull => (
                "TaskFailedToStart",
                "CannotPullContainerError: image manifest not found",
                None,
                Some("CannotPullContainerError: image manifest not found"),
            ),
            StopKind::Capacity => {
                ("TaskFailedToStart", "RESOURCE:MEMORY: no container instance has enough memory", None, None)
            }
        };
        let stop = Stop {
            at_ms,
            code,
            reason: reason.unwrap_or(usual).to_owned(),
            exit_code,
            container_reason: container.map(str::to_owned),
        };
        let (primary, deployment) =
            self.primary(at_ms).map_or((1, String::new()), |r| (r.revision, r.deployment_id.clone()));
        // The primary may be a CodeDeploy one, which ECS does not see as a deployment of its own.
        let newest = self.tasks.iter().rev().find(|t| t.created_ms <= at_ms).map_or(primary, |t| t.revision);
        let revision = own.unwrap_or(newest);
        let never_ran = matches!(kind, StopKind::ImagePull | StopKind::Capacity);
        let victim = self
            .tasks
            .iter_mut()
            .filter(|t| t.status(at_ms) == Some("RUNNING"))
            .filter(|t| own.is_none_or(|own| own == t.revision))
            .min_by_key(|t| (t.stop.is_some(), t.started_ms))
            .filter(|_| !never_ran);
        if let Some(task) = victim {
            let short = task.id.clone();
            // One that is being replaced anyway has its successor already.
            let replaced = task.stop.replace(stop).is_some();
            let (revision, deployment) = (task.revision, task.deployment.clone());
            if !replaced {
                self.new_task(revision, &deployment, at_ms + 3000, Some(at_ms + 21_000));
            }
            let (name, why) = (self.name.clone(), usual);
            self.event(at_ms, format!("(service {name}) has stopped 1 running tasks: (task {short}). {why}"));
            self.event(at_ms + 3000, format!("(service {name}) has started 1 tasks."));
        } else if own.is_some_and(|own| own != newest) {
            // Nothing of the revision runs any more, and nothing of it is started.
        } else if never_ran || own.is_some() {
            let began = (!never_ran).then_some(at_ms - 3000);
            self.new_task(revision, &deployment, at_ms - 15_000, began);
            if let Some(task) = self.tasks.last_mut() {
                task.stop = Some(stop);
            }
            let name = self.name.clone();
            let what =
                if never_ran { "was unable to place a task" } else { "stopped a task that had just begun" };
            self.event(at_ms, format!("(service {name}) {what}. {usual}"));
        }
    }

    /// Goes back to a revision within the rollout at `index`, which is being rolled back.
    pub(crate) fn go_back(&mut self, index: usize, revision: u32, at_ms: i64, takes_ms: i64) {
        let rolled_back = self.rollouts.get(index).map(|r| r.id.clone()).unwrap_or_default();
        // The task set that ran before becomes the primary one again, under a new deployment.
        self.roll_out(None, revision, at_ms, takes_ms, WITHIN_ROLLBACK);
        let name = self.name.clone();
        self.event(at_ms, format!("(service {name}) rolling back service deployment {rolled_back}."));
    }

    /// Somebody stops one task; the scheduler starts another.
    pub(crate) fn stop_task(&mut self, id: &str, at_ms: i64, reason: String) {
        let Some(task) = self.tasks.iter_mut().find(|t| t.id == id) else { return };
        task.stop =
            Some(Stop { at_ms, code: "UserInitiated", reason, exit_code: Some(143), container_reason: None });
        let (revision, deployment) = (task.revision, task.deployment.clone());
        self.new_task(revision, &deployment, at_ms + 3000, Some(at_ms + 20_000));
    }

    /// Keeps `down` tasks fewer running than desired: tasks of the revision that a deployment
    /// brought, where one did. While that is still being rolled out, its next tasks are the ones
    /// that do not stay up, and the old ones whose place they were to take have been drained.
    pub(super) fn hold_down(&mut self, down: u32, at_ms: i64, brought_by: Option<usize>) {
        let own = self.revision_of(brought_by);
        let (was, now) = (self.down, down.min(self.desired));
        self.down = now;
        for _ in was..now {
            let mut all: Vec<&mut Task> = self
                .tasks
                .iter_mut()
                .filter(|t| t.stop.is_none() && own.is_none_or(|own| own == t.revision))
                .filter(|t| own.is_some() || t.created_ms <= at_ms)
                .collect();
            // The newest that exists already, or else the next one that would be started.
            all.sort_by_key(|t| (t.created_ms > at_ms, (t.created_ms - at_ms).abs()));
            let Some(task) = all.into_iter().next() else { continue };
            let mut ends = at_ms;
            if task.created_ms > at_ms {
                (task.created_ms, task.started_ms, ends) = (at_ms, Some(at_ms + 3000), at_ms + 7000);
            }
            task.stop = Some(Stop {
                at_ms: ends,
                code: "EssentialContainerExited",
                reason: "Essential container in task exited".to_owned(),
                exit_code: Some(1),
                container_reason: None,
            });
            let name = self.name.clone();
            self.event(ends, format!("(service {name}) is unable to consistently start tasks."));
        }
        if now > was {
            self.drain(now, at_ms, own);
        }
        if now < was {
            let alive = self.tasks.iter().filter(|t| t.stop.is_none()).count();
            let wanted = self.desired.saturating_sub(now) as usize;
            let (revision, deployment) =
                self.primary(at_ms).map_or((1, String::new()), |r| (r.revision, r.deployment_id.clone()));
            for _ in alive..wanted {
                self.new_task(revision, &deployment, at_ms, Some(at_ms + 8000));
            }
        }
    }

    /// Of the tasks that a rollout replaces, at least `count` have ended.
    fn drain(&mut self, count: u32, at_ms: i64, own: Option<u32>) {
        let Some(begun) = self.primary(at_ms).map(|r| r.created_ms.max(at_ms - STOPPED_VISIBLE_MS)) else {
            return;
        };
        let mut old: Vec<&mut Stop> = self
            .tasks
            .iter_mut()
            .filter(|t| own.is_some_and(|own| own != t.revision))
            .filter_map(|t| t.stop.as_mut())
            .filter(|stop| stop.code == "ServiceSchedulerInitiated" && stop.at_ms >= begun)
            .collect();
        old.sort_by_key(|stop| stop.at_ms);
        for stop in old.into_iter().take(count as usize) {
            stop.at_ms = stop.at_ms.min(at_ms);
        }
    }

    fn event(&mut self, at_ms: i64, text: String) {
        self.events.push((at_ms, text));
    }

    /// How long replacing its tasks takes.
    pub(crate) fn replaced_in_ms(&self) -> i64 {
        self.replaced_in_ms
    }

    /// Tasks that run.
    pub(crate) fn running(&self, now_ms: i64) -> u32 {
        let running = self.tasks.iter().filter(|t| t.status(now_ms) == Some("RUNNING")).count();
        u32::try_from(running).unwrap_or(u32::MAX)
    }
}

fn digit(rng: &mut Rng) -> char {
    use rand::RngExt;
    char::from_digit(rng.random_range(0..10), 10).unwrap_or('0')
}
