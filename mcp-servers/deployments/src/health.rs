//! Whether a service lives, and why its tasks stopped.
//!
//! Pure over what ECS answered. INVARIANT: nothing here infers health from silence: without a
//! count from ECS `known` is false and `healthy` absent.

use jiff::Timestamp;
use midwatch_mcp::Time;
use midwatch_policy::ServiceName;
use schemars::JsonSchema;
use serde::Serialize;

/// Why a task stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StopKind {
    /// Killed for using more memory than it may.
    Oom,
    /// Killed because its health checks failed.
    HealthCheck,
    /// Never started: its image could not be pulled.
    ImagePull,
    /// Never started, or taken away: no capacity.
    Capacity,
    /// It ended by itself.
    Crash,
    /// Replaced by a deployment or by scaling.
    Deployment,
    /// Anything else.
    Other,
}

/// A task that stopped.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct StoppedTask {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Id of the task.
    pub task_id: String,
    /// When it stopped.
    #[schemars(with = "Time")]
    pub stopped_at: Timestamp,
    /// The reasons ECS gave for the task and its containers.
    pub reason: String,
    /// Exit code of the container that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// Why it stopped.
    pub kind: StopKind,
}

/// A line of the service's event log.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Event {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// When it was written.
    #[schemars(with = "Time")]
    pub at: Timestamp,
    /// What it says.
    pub message: String,
}

/// How a service is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Health {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// The service of the catalog.
    pub service: ServiceName,
    /// Whether its tasks could be counted at all. False says nothing about its health.
    pub known: bool,
    /// Tasks wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub desired: Option<u32>,
    /// Tasks running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub running: Option<u32>,
    /// Tasks starting.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pending: Option<u32>,
    /// Running tasks whose own health check fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unhealthy: Option<u32>,
    /// As many tasks run as are wanted, at least one, and none fails its health check.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub healthy: Option<bool>,
    /// Deployments under way.
    pub deployments_in_progress: u32,
    /// Task definition of the primary deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub task_definition: Option<String>,
    /// Id of the primary deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub primary_deployment_id: Option<String>,
    /// Tasks that stopped in the window, newest first.
    pub stopped_tasks: Vec<StoppedTask>,
    /// How many tasks stopped in the window other than by deployment or scaling.
    pub restarts: u32,
    /// Events of the service in the window, newest first.
    pub events: Vec<Event>,
    /// What is missing or cut.
    pub notes: Vec<String>,
}

impl Health {
    /// Nothing is known yet.
    pub fn unknown(service: &ServiceName) -> Self {
        Self {
            reference: format!("health:{service}"),
            service: service.clone(),
            known: false,
            desired: None,
            running: None,
            pending: None,
            unhealthy: None,
            healthy: None,
            deployments_in_progress: 0,
            task_definition: None,
            primary_deployment_id: None,
            stopped_tasks: Vec::new(),
            restarts: 0,
            events: Vec::new(),
            notes: Vec::new(),
        }
    }
}

/// Whether counts amount to health.
pub const fn is_healthy(desired: u32, running: u32, unhealthy: u32) -> bool {
    desired > 0 && running >= desired && unhealthy == 0
}

/// What is known of a stop before it is classified.
#[derive(Debug, Clone, Default)]
pub struct StopFacts<'a> {
    /// ECS stop code, such as `EssentialContainerExited`.
    pub code: &'a str,
    /// The task's stopped reason.
    pub reason: &'a str,
    /// Exit code and reason of each container.
    pub containers: Vec<(Option<i32>, &'a str)>,
}

/// Why a task stopped. What names a cause outright is believed before a stop code, which only
/// says who stopped it.
///
/// Exit code 137 alone is a kill by anybody: memory only where a reason says so, too.
pub fn classify(facts: &StopFacts<'_>) -> StopKind {
    let reasons = || std::iter::once(facts.reason).chain(facts.containers.iter().map(|(_, reason)| *reason));
    let says = |any: &[&str]| {
        reasons().any(|reason| {
            let reason = reason.to_ascii_lowercase();
            any.iter().any(|text| reason.contains(text))
        })
    };
    if says(&["outofmemory", "out of memory", "oomkilled", "oom-kill", "due to memory usage"]) {
        StopKind::Oom
    } else if says(&["cannotpull", "pull image", "imagenotfound", "pulling image", "image manifest"]) {
        StopKind::ImagePull
    } else if says(&["health check"]) {
        StopKind::HealthCheck
    } else if says(&[
        "capacity",
        "unable to place",
        "no container instance",
        "spot interruption",
        "resource:",
    ]) || matches!(facts.code, "SpotInterruption" | "TerminationNotice")
    {
        StopKind::Capacity
    } else if says(&["scaling activity"]) {
        StopKind::Deployment
    } else if facts.code == "EssentialContainerExited"
        || says(&["essential container", "cannotstartcontainer"])
        || (facts.code.is_empty() && exit_code(facts).is_some_and(|code| code != 0))
    {
        StopKind::Crash
    } else {
        StopKind::Other
    }
}

/// The exit code that matters: the first that is not zero, else the first there is.
pub fn exit_code(facts: &StopFacts<'_>) -> Option<i32> {
    let codes = || facts.containers.iter().filter_map(|(code, _)| *code);
    codes().find(|code| *code != 0).or_else(|| codes().next())
}

/// All reasons in one line, each once.
pub fn reason_text(facts: &StopFacts<'_>) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for reason in std::iter::once(facts.reason).chain(facts.containers.iter().map(|(_, reason)| *reason)) {
        let reason = reason.trim();
        if !reason.is_empty() && !parts.contains(&reason) {
            parts.push(reason);
        }
    }
    if parts.is_empty() { "no reason given".to_owned() } else { parts.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_told_apart() {
        let essential = "Essential container in task exited";
        let table = [
            (
                StopKind::Oom,
                "EssentialContainerExited",
                essential,
                Some(137),
                "OutOfMemoryError: Container killed due to memory usage",
            ),
            (StopKind::Crash, "EssentialContainerExited", essential, Some(137), ""),
            (StopKind::Crash, "EssentialContainerExited", essential, Some(0), ""),
            (StopKind::Crash, "", essential, Some(1), ""),
            (
                StopKind::HealthCheck,
                "ServiceSchedulerInitiated",
                "Task failed ELB health checks in (target-group arn:x)",
                Some(143),
                "",
            ),
            (
                StopKind::HealthCheck,
                "ServiceSchedulerInitiated",
                "Task failed container health checks",
                Some(137),
                "",
            ),
            (
                StopKind::ImagePull,
                "TaskFailedToStart",
                "CannotPullContainerError: pull image manifest has been retried 5 time(s)",
                None,
                "",
            ),
            (
                StopKind::Capacity,
                "TaskFailedToStart",
                "Capacity is unavailable at this time. Please try again later",
                None,
                "",
            ),
            (StopKind::Capacity, "SpotInterruption", "Your Spot Task was interrupted.", Some(143), ""),
            (
                StopKind::Deployment,
                "ServiceSchedulerInitiated",
                "Scaling activity initiated by (deployment ecs-svc/1)",
                Some(137),
                "",
            ),
            (StopKind::Other, "UserInitiated", "Task stopped by user", Some(143), ""),
            (
                StopKind::Other,
                "TaskFailedToStart",
                "ResourceInitializationError: unable to pull secrets or registry auth",
                None,
                "",
            ),
            (StopKind::Other, "", "", None, ""),
        ];
        for (expected, code, reason, exit, container) in table {
            let facts = StopFacts { code, reason, containers: vec![(exit, container)] };
            assert_eq!(classify(&facts), expected, "{facts:?}");
        }
    }

    #[test]
    fn reasons_and_exit_codes_are_those_that_matter() {
        let facts = StopFacts { code: "", reason: "a", containers: vec![(Some(0), "a"), (Some(2), "b ")] };
        assert_eq!((reason_text(&facts), exit_code(&facts)), ("a; b".to_owned(), Some(2)));
        assert_eq!(reason_text(&StopFacts::default()), "no reason given");
    }

    #[test]
    fn nothing_running_is_not_health() {
        assert!(is_healthy(2, 2, 0) && is_healthy(2, 3, 0));
        assert!(!is_healthy(2, 1, 0) && !is_healthy(0, 0, 0) && !is_healthy(2, 2, 1));
    }
}
