//! What is known of a target when an action is planned: live state, read and reduced.

use aws_sdk_codedeploy::types::RevisionLocation;
use jiff::Timestamp;
use midwatch_policy::{AwsName, CodeDeployTarget, EcsTarget};

/// A deployment group and its deployments.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) target: CodeDeployTarget,
    /// Newest first.
    pub(crate) deployments: Vec<Deployed>,
}

/// How far a CodeDeploy deployment got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    InProgress,
    Succeeded,
    Failed,
    Stopped,
}

/// One CodeDeploy deployment.
#[derive(Debug, Clone)]
pub(crate) struct Deployed {
    pub(crate) id: AwsName,
    pub(crate) created_at: Timestamp,
    pub(crate) phase: Phase,
    /// As one text, the same for equal revisions.
    pub(crate) revision: String,
    /// As CodeDeploy takes it.
    pub(crate) location: Option<RevisionLocation>,
    /// The deployment that this one takes back.
    pub(crate) rollback_of: Option<String>,
    /// The deployment that takes this one back, as AWS says.
    pub(crate) rolled_back_by: Option<String>,
    /// Instances it goes to.
    pub(crate) instances: u32,
}

/// Who decides what an ECS service runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Controller {
    /// ECS itself: it can be told.
    Ecs,
    /// CodeDeploy, or something else: ECS refuses to be told.
    Other,
}

/// Whether ECS can be told how many tasks to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scheduling {
    Replica,
    Daemon,
}

/// An ECS service as it is.
#[derive(Debug, Clone)]
pub(crate) struct EcsService {
    pub(crate) target: EcsTarget,
    pub(crate) primary_id: AwsName,
    pub(crate) task_definition: AwsName,
    pub(crate) desired: u32,
    pub(crate) running: u32,
    pub(crate) controller: Controller,
    pub(crate) scheduling: Scheduling,
    /// How much of the desired count stays up while tasks are replaced, in per cent.
    pub(crate) minimum_healthy: u32,
    /// Deployments under way.
    pub(crate) in_progress: Vec<String>,
}

/// How far an ECS service deployment got.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RolloutPhase {
    InProgress,
    Succeeded,
    Stopping,
    Stopped,
    RollingBack,
    RolledBack,
    RollbackFailed,
}

/// One ECS service deployment.
#[derive(Debug, Clone)]
pub(crate) struct Rollout {
    pub(crate) arn: AwsName,
    pub(crate) created_at: Timestamp,
    pub(crate) phase: RolloutPhase,
    /// Task definition it deploys.
    pub(crate) to: Option<AwsName>,
    /// Task definitions that ran before.
    pub(crate) from: Vec<AwsName>,
    /// Tasks of the new revision that run.
    pub(crate) running: u32,
}

/// `arn:…:task-definition/api:4` → `api:4`.
pub(crate) fn short(arn: &str) -> &str {
    arn.rsplit_once('/').map_or(arn, |(_, name)| name)
}
