//! A service and its deployments, as ECS says.

use std::collections::HashMap;

use aws_sdk_ecs::types::{
    CreatedAt, DeploymentControllerType, DeploymentRolloutState, SchedulingStrategy, ServiceDeployment,
    ServiceDeploymentStatus,
};
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::{AwsResult, SdkConfig, ToolError};
use midwatch_policy::{AwsName, EcsTarget};

use super::{HISTORY, MOST, aws_time, stamp};
use crate::state::{Controller, EcsService, Rollout, RolloutPhase, Scheduling};

pub(super) async fn running(config: &SdkConfig, target: &EcsTarget) -> Result<Option<EcsService>, ToolError> {
    let found = aws_sdk_ecs::Client::new(config)
        .describe_services()
        .cluster(target.cluster.as_str())
        .services(target.service.as_str())
        .send()
        .await
        .aws("ecs:DescribeServices")?;
    let live = found.services.unwrap_or_default().into_iter().find(|s| s.status() != Some("INACTIVE"));
    Ok(live.and_then(|live| as_running(target, &live)))
}

fn as_running(target: &EcsTarget, live: &aws_sdk_ecs::types::Service) -> Option<EcsService> {
    let deployments = live.deployments();
    let primary = deployments.iter().find(|d| d.status() == Some("PRIMARY"));
    let other = live
        .deployment_controller()
        .map(aws_sdk_ecs::types::DeploymentController::r#type)
        .is_some_and(|kind| *kind != DeploymentControllerType::Ecs);
    let busy = |d: &&aws_sdk_ecs::types::Deployment| match d.rollout_state() {
        Some(state) => *state == DeploymentRolloutState::InProgress,
        // Where ECS does not say, a second deployment beside the primary is one going out.
        None => d.status() == Some("ACTIVE"),
    };
    let count = |n: i32| u32::try_from(n).unwrap_or(0);
    let minimum = live.deployment_configuration().and_then(|c| c.minimum_healthy_percent).unwrap_or(100);
    // Under another controller there is no primary deployment, and nothing here to act on.
    let id = primary.and_then(|p| p.id()).or(other.then_some("none"))?;
    let task = primary
        .and_then(|p| p.task_definition())
        .or_else(|| live.task_definition())
        .or(other.then_some("none"))?;
    Some(EcsService {
        target: target.clone(),
        primary_id: AwsName::parse(id).ok()?,
        task_definition: AwsName::parse(task).ok()?,
        desired: count(live.desired_count),
        running: count(live.running_count),
        controller: if other { Controller::Other } else { Controller::Ecs },
        scheduling: match live.scheduling_strategy() {
            Some(SchedulingStrategy::Daemon) => Scheduling::Daemon,
            _ => Scheduling::Replica,
        },
        minimum_healthy: count(minimum),
        in_progress: deployments.iter().filter(busy).filter_map(|d| d.id.clone()).collect(),
    })
}

pub(super) async fn rollouts(
    config: &SdkConfig,
    target: &EcsTarget,
    now: Timestamp,
) -> Result<Vec<Rollout>, ToolError> {
    let client = aws_sdk_ecs::Client::new(config);
    let after = now.checked_sub(HISTORY).unwrap_or(Timestamp::MIN);
    let before = now.checked_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
    let range = CreatedAt::builder().after(aws_time(after)).before(aws_time(before)).build();
    let (mut arns, mut token) = (Vec::new(), None);
    loop {
        let page = client
            .list_service_deployments()
            .cluster(target.cluster.as_str())
            .service(target.service.as_str())
            .created_at(range.clone())
            .max_results(100)
            .set_next_token(token.take())
            .send()
            .await
            .aws("ecs:ListServiceDeployments")?;
        arns.extend(
            page.service_deployments.unwrap_or_default().into_iter().filter_map(|d| d.service_deployment_arn),
        );
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() || arns.len() >= MOST {
            break;
        }
    }
    let described = try_join_all(arns.chunks(20).map(|batch| async {
        let page = client
            .describe_service_deployments()
            .set_service_deployment_arns(Some(batch.to_vec()))
            .send()
            .await
            .aws("ecs:DescribeServiceDeployments")?;
        Ok::<_, ToolError>(page.service_deployments.unwrap_or_default())
    }))
    .await?;
    let described: Vec<ServiceDeployment> = described.into_iter().flatten().collect();
    let revision = |r: &aws_sdk_ecs::types::ServiceRevisionSummary| r.arn.clone();
    let mut revisions: Vec<String> = described
        .iter()
        .flat_map(|d| {
            d.source_service_revisions().iter().chain(d.target_service_revision()).filter_map(revision)
        })
        .collect();
    revisions.sort_unstable();
    revisions.dedup();
    let pages = try_join_all(revisions.chunks(20).map(|batch| async {
        let page = client
            .describe_service_revisions()
            .set_service_revision_arns(Some(batch.to_vec()))
            .send()
            .await
            .aws("ecs:DescribeServiceRevisions")?;
        Ok::<_, ToolError>(page.service_revisions.unwrap_or_default())
    }))
    .await?;
    let tasks: HashMap<String, AwsName> = pages
        .into_iter()
        .flatten()
        .filter_map(|r| Some((r.service_revision_arn?, AwsName::parse(r.task_definition?).ok()?)))
        .collect();
    let mut rollouts: Vec<Rollout> = described.iter().filter_map(|d| rollout(d, &tasks)).collect();
    rollouts.sort_by(|a, b| (b.created_at, &b.arn).cmp(&(a.created_at, &a.arn)));
    Ok(rollouts)
}

fn rollout(deployment: &ServiceDeployment, tasks: &HashMap<String, AwsName>) -> Option<Rollout> {
    use ServiceDeploymentStatus as Status;
    let phase = match deployment.status()? {
        Status::Successful => RolloutPhase::Succeeded,
        Status::StopRequested => RolloutPhase::Stopping,
        Status::Stopped => RolloutPhase::Stopped,
        Status::RollbackRequested | Status::RollbackInProgress => RolloutPhase::RollingBack,
        Status::RollbackSuccessful => RolloutPhase::RolledBack,
        Status::RollbackFailed => RolloutPhase::RollbackFailed,
        _ => RolloutPhase::InProgress,
    };
    let task = |arn: Option<&str>| arn.and_then(|arn| tasks.get(arn)).cloned();
    let target = deployment.target_service_revision();
    Some(Rollout {
        arn: AwsName::parse(deployment.service_deployment_arn()?).ok()?,
        created_at: stamp(deployment.created_at()).or_else(|| stamp(deployment.started_at()))?,
        phase,
        to: task(target.and_then(|r| r.arn())),
        from: deployment.source_service_revisions().iter().filter_map(|r| task(r.arn())).collect(),
        running: target.map_or(0, |r| u32::try_from(r.running_task_count).unwrap_or(0)),
    })
}
