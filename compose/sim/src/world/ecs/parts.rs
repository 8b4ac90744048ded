//! What a service consists of: tasks, revisions of its task definition, rollouts.

use std::{collections::BTreeMap, sync::Arc};

/// How long ECS still describes a stopped task.
pub(super) const STOPPED_VISIBLE_MS: i64 = 3_600_000;

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
