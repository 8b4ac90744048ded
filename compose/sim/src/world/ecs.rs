//! ECS services as they run: tasks, revisions, deployments.
//!
//! Everything is written down with the times at which it happens, also those still to come; what
//! is seen of it is a function of the time. A later change rewrites only what had not happened.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    random::{self, Rng},
    scenario::spec::{DeployKind, DeploymentSpec, DeploymentStatus, Spec, StopKind},
};

/// Reason of a rollout that is part of a rollback.
const WITHIN_ROLLBACK: &str = "rollback";
/// How long ECS still describes a stopped task.
const STOPPED_VISIBLE_MS: i64 = 3_600_000;

#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) id: String,
    pub(crate) revision: u32,
    pub(crate) deployment: String,
    pub(crate) created_ms: i64,
    pub(crate) started_ms: Option<i64>,
    pub(crate) stop: Option<Stop>,
    pub(crate) stream: Arc<str>,
    pub(crate) zone: char,
}

/// The end of a task.
#[derive(Debug, Clone)]
pub(crate) struct Stop {
    pub(crate) at_ms: i64,
    pub(crate) code: &'static str,
    pub(crate) reason: String,
    pub(crate) exit_code: Option<i32>,
    pub(crate) container_reason: Option<String>,
}

impl Task {
    /// `PENDING`, `RUNNING` or `STOPPED`; `None` before it is created and long after it stopped.
    pub(crate) fn status(&self, now_ms: i64) -> Option<&'static str> {
        if now_ms < self.created_ms {
            return None;
        }
        match &self.stop {
            Some(stop) if now_ms >= stop.at_ms => {
                (now_ms - stop.at_ms < STOPPED_VISIBLE_MS).then_some("STOPPED")
            }
            _ if self.started_ms.is_some_and(|at| now_ms >= at) => Some("RUNNING"),
            _ => Some("PENDING"),
        }
    }
}

impl Task {
    /// Whether it ended by itself, or could not be started.
    pub(crate) fn failed(&self, now_ms: i64) -> bool {
        self.status(now_ms) == Some("STOPPED")
            && self.stop.as_ref().is_some_and(|stop| {
                !stop.reason.starts_with("Scaling activity") && stop.code != "UserInitiated"
            })
    }
}

/// A revision of a service's task definition.
#[derive(Debug, Clone)]
pub(crate) struct Revision {
    pub(crate) number: u32,
    pub(crate) commit: String,
    pub(crate) author: String,
    pub(crate) pull_request: u32,
    pub(crate) message: String,
    pub(crate) env: BTreeMap<String, String>,
    pub(crate) registered_ms: i64,
    /// The deployment of the scenario that brought it.
    pub(crate) brought_by: Option<usize>,
}

/// One rollout of a service to a revision.
#[derive(Debug, Clone)]
pub(crate) struct Rollout {
    /// Last part of the ARN of the service deployment.
    pub(crate) id: String,
    /// `ecs-svc/…`.
    pub(crate) deployment_id: String,
    pub(crate) revision: u32,
    pub(crate) from_revision: u32,
    pub(crate) created_ms: i64,
    pub(crate) ends_ms: i64,
    /// When it was replaced by a later one before its end, or stopped.
    pub(crate) cut_ms: Option<i64>,
    /// It ended badly by itself.
    pub(crate) failed: bool,
    /// When it was asked to roll back, and when that ends.
    pub(crate) rollback: Option<(i64, i64)>,
    pub(crate) reason: &'static str,
    /// Part of the rollback of another one, and not listed by itself.
    pub(crate) within: bool,
}

impl Rollout {
    /// Status of the service deployment.
    pub(crate) fn status(&self, now_ms: i64) -> &'static str {
        if let Some((asked, ends)) = self.rollback {
            return match now_ms {
                now if now < asked + 1500 => "ROLLBACK_REQUESTED",
                now if now < ends => "ROLLBACK_IN_PROGRESS",
                _ => "ROLLBACK_SUCCESSFUL",
            };
        }
        match self.cut_ms {
            Some(cut) if now_ms >= cut => "STOPPED",
            _ if now_ms < self.created_ms + 1000 => "PENDING",
            _ if now_ms < self.ends_ms => "IN_PROGRESS",
            _ if self.failed => "ROLLBACK_SUCCESSFUL",
            _ => "SUCCESSFUL",
        }
    }

    /// Whether it is still going on.
    pub(crate) fn running(&self, now_ms: i64) -> bool {
        matches!(
            self.status(now_ms),
            "PENDING" | "IN_PROGRESS" | "ROLLBACK_REQUESTED" | "ROLLBACK_IN_PROGRESS"
        )
    }
}

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
    replaced_in_ms: i64,
    down: u32,
    rng: Rng,
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

    fn register(&mut self, d: &DeploymentSpec, index: usize) -> u32 {
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
    fn hold_down(&mut self, down: u32, at_ms: i64, brought_by: Option<usize>) {
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
