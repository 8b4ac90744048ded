//! Reading the live state of a target.
//!
//! Only what a plan for that action needs is asked for. The deployments server reads much of the
//! same, but a server that can act does not depend on another one: both read AWS itself.

mod codedeploy;
mod ecs;

use aws_sdk_ecs::types::TaskDefinitionStatus;
use aws_smithy_types::DateTime;
use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::{AwsResult, Ctx, ToolError};
use midwatch_policy::{Action, Service};

use crate::{
    plan::{Live, Move, Planned},
    refusal::Refusal,
    state::short,
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
            Some(target) => codedeploy::group(&config, target, now).await.map(Some),
            _ => Ok(None),
        }
    };
    let running = async {
        match &service.ecs {
            Some(target) => ecs::running(&config, target).await,
            None => Ok(None),
        }
    };
    let rollouts = async {
        match &service.ecs {
            Some(target) if by_ecs => ecs::rollouts(&config, target, now).await,
            _ => Ok(Vec::new()),
        }
    };
    let (group, running, rollouts) = futures::try_join!(group, running, rollouts)?;
    let dependents = ctx.catalog.dependents(&service.name).into_iter().map(|s| s.name.clone()).collect();
    let region = config.region().map(ToString::to_string);
    Ok(Live { region, group, running, rollouts, dependents })
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

fn aws_time(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

fn stamp(at: Option<&DateTime>) -> Option<Timestamp> {
    Timestamp::from_millisecond(at?.to_millis().ok()?).ok()
}
