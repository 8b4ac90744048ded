//! Reading the live state of a target.
//!
//! Only what a plan for that action needs is asked for. The deployments server reads much of the
//! same, but a server that can act does not depend on another one: both read AWS itself.

use std::collections::HashMap;

use aws_sdk_codedeploy::types::{
    DeploymentCreator, DeploymentInfo, DeploymentStatus, RevisionLocation, TimeRange,
};
use aws_sdk_ecs::types::{
    CreatedAt, DeploymentControllerType, DeploymentRolloutState, SchedulingStrategy, ServiceDeployment,
    ServiceDeploymentStatus, TaskDefinitionStatus,
};
use aws_smithy_types::DateTime;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::{AwsResult, Ctx, SdkConfig, ToolError};
use midwatch_policy::{Action, AwsName, CodeDeployTarget, EcsTarget, Service};

use crate::{
    plan::{Live, Move, Planned},
    refusal::Refusal,
    state::{Controller, Deployed, EcsService, Group, Phase, Rollout, RolloutPhase, Scheduling, short},
};

/// How far back something good is looked for.
const HISTORY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Deployments that are read; a group with more in 90 days still shows its newest.
const MOST: usize = 300;

/// Everything a plan for this action is made from.
pub(crate) async fn live(ctx: &Ctx, service: &Service, action: &Action) -> Result<Live, ToolError> {
    let config = ctx.aws.for_service(service).await?;
    let now = ctx.clock.now();
    let by_codedeploy = matches!(action, Action::RollbackDeployment { deployment_id, .. } if deployment_id.as_str().starts_with("d-"));
    let by_ecs = matches!(action, Action::RollbackDeployment { .. }) && !by_codedeploy;
    let group = async {
        // Policy is told of deployments in progress, whatever the action.
        match &service.codedeploy {
            Some(target) => group(&config, target, now).await.map(Some),
            _ => Ok(None),
        }
    };
    let running = async {
        match &service.ecs {
            Some(target) => running(&config, target).await,
            None => Ok(None),
        }
    };
    let rollouts = async {
        match &service.ecs {
            Some(target) if by_ecs => rollouts(&config, target, now).await,
            _ => Ok(Vec::new()),
        }
    };
    let (group, running, rollouts) = futures::try_join!(group, running, rollouts)?;
    let dependents = ctx.catalog.dependents(&service.name).into_iter().map(|s| s.name.clone()).collect();
    Ok(Live { group, running, rollouts, dependents })
}

/// What a plan still needs to hold: a task definition to go back to must be usable.
pub(crate) async fn usable(ctx: &Ctx, service: &Service, planned: &Planned) -> Result<(), ToolError> {
    let Move::UpdateTaskDefinition { task_definition, .. } = &planned.call else { return Ok(()) };
    let client = aws_sdk_ecs::Client::new(&ctx.aws.for_service(service).await?);
    let found = client
        .describe_task_definition()
        .task_definition(task_definition.as_str())
        .send()
        .await
        .aws("ecs:DescribeTaskDefinition")?;
    let status = found.task_definition.and_then(|task| task.status);
    if status.is_none_or(|status| status == TaskDefinitionStatus::Active) {
        return Ok(());
    }
    let why = format!("task definition `{}` was deregistered", short(task_definition.as_str()));
    Err(Refusal::NothingEarlier { why }.into())
}

async fn group(config: &SdkConfig, target: &CodeDeployTarget, now: Timestamp) -> Result<Group, ToolError> {
    let client = aws_sdk_codedeploy::Client::new(config);
    let start = now.checked_sub(HISTORY).unwrap_or(Timestamp::MIN);
    // A little beyond now: clocks differ, and a deployment that is missed would not be the newest.
    let end = now.checked_add(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MAX);
    let range = TimeRange::builder().start(aws_time(start)).end(aws_time(end)).build();
    let (mut ids, mut token) = (Vec::new(), None);
    loop {
        let page = client
            .list_deployments()
            .application_name(target.application.as_str())
            .deployment_group_name(target.deployment_group.as_str())
            .create_time_range(range.clone())
            .set_next_token(token.take())
            .send()
            .await
            .aws("codedeploy:ListDeployments")?;
        ids.extend(page.deployments.unwrap_or_default());
        token = page.next_token.filter(|token| !token.is_empty());
        if token.is_none() || ids.len() >= MOST {
            break;
        }
    }
    let batches = try_join_all(ids.chunks(25).map(|batch| async {
        let found = client
            .batch_get_deployments()
            .set_deployment_ids(Some(batch.to_vec()))
            .send()
            .await
            .aws("codedeploy:BatchGetDeployments")?;
        Ok::<_, ToolError>(found.deployments_info.unwrap_or_default())
    }))
    .await?;
    let mut deployments: Vec<Deployed> = batches.iter().flatten().filter_map(deployed).collect();
    deployments.sort_by(|a, b| (b.created_at, &b.id).cmp(&(a.created_at, &a.id)));
    Ok(Group { target: target.clone(), deployments })
}

fn deployed(info: &DeploymentInfo) -> Option<Deployed> {
    let id = AwsName::parse(info.deployment_id()?).ok()?;
    let phase = match info.status()? {
        DeploymentStatus::Succeeded => Phase::Succeeded,
        DeploymentStatus::Failed => Phase::Failed,
        DeploymentStatus::Stopped => Phase::Stopped,
        // Created, queued, baking, ready; and what is newer than this code.
        _ => Phase::InProgress,
    };
    let own = info.creator() == Some(&DeploymentCreator::CodeDeployRollback);
    let back = info.rollback_info();
    let other = |text: Option<&str>| text.filter(|t| !t.is_empty() && *t != id.as_str()).map(str::to_owned);
    let count = info
        .deployment_overview()
        .map_or(0, |o| o.pending + o.in_progress + o.succeeded + o.failed + o.skipped + o.ready);
    Some(Deployed {
        created_at: stamp(info.create_time())?,
        phase,
        revision: info.revision().map(revision_text).unwrap_or_default(),
        location: info.revision().cloned(),
        rollback_of: other(back.and_then(|b| b.rollback_triggering_deployment_id()))
            .filter(|_| own)
            .or_else(|| info.description().and_then(taken_back)),
        rolled_back_by: other(back.and_then(|b| b.rollback_deployment_id())).filter(|_| !own),
        instances: u32::try_from(count).unwrap_or(0),
        id,
    })
}

/// How our own rollbacks say what they are: see `act`.
pub(crate) fn taken_back(description: &str) -> Option<String> {
    let (_, rest) = description.split_once("rollback of ")?;
    let id = rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '-').next()?;
    id.starts_with("d-").then(|| id.to_owned())
}

/// A revision as one text, the same for equal revisions and different for different ones.
fn revision_text(revision: &RevisionLocation) -> String {
    if let Some(github) = revision.git_hub_location() {
        return format!(
            "github:{}@{}",
            github.repository().unwrap_or_default(),
            github.commit_id().unwrap_or_default()
        );
    }
    if let Some(s3) = revision.s3_location() {
        let mut text = format!("s3://{}/{}", s3.bucket().unwrap_or_default(), s3.key().unwrap_or_default());
        for (name, value) in [("?versionId=", s3.version()), ("?eTag=", s3.e_tag())] {
            if let Some(value) = value {
                text.push_str(name);
                text.push_str(value);
            }
        }
        return text;
    }
    let content = revision
        .app_spec_content()
        .and_then(|spec| spec.content())
        .or_else(|| revision.string().and_then(|raw| raw.content()));
    content.map_or_else(|| "unknown".to_owned(), |content| midwatch_mcp::reference("appspec", &[content]))
}

async fn running(config: &SdkConfig, target: &EcsTarget) -> Result<Option<EcsService>, ToolError> {
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

async fn rollouts(config: &SdkConfig, target: &EcsTarget, now: Timestamp) -> Result<Vec<Rollout>, ToolError> {
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

fn aws_time(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

fn stamp(at: Option<&DateTime>) -> Option<Timestamp> {
    Timestamp::from_millisecond(at?.to_millis().ok()?).ok()
}
