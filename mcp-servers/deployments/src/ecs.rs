//! Reading deployments, task definitions and tasks from ECS.
//!
//! ECS keeps its deployments for 90 days as *service deployments*. Services whose last deployment
//! is older, or that another controller deploys, only show what `DescribeServices` lists.

use std::collections::HashMap;

use aws_sdk_ecs::{
    Client,
    types::{
        CreatedAt, DeploymentStrategy, DesiredStatus, HealthStatus, ServiceDeployment,
        ServiceDeploymentStatus, ServiceRevisionSummary, Task, TaskDefinition, TaskDefinitionField,
    },
};
use aws_smithy_types::DateTime;
use futures::future::try_join_all;
use jiff::{SignedDuration, Timestamp};
use midwatch_mcp::{Aws, AwsResult, ErrorKind, ToolError, Window};
use midwatch_policy::{EcsTarget, Service, ServiceName};

use crate::{
    deployment::{Deployment, Kind, Shift, Status},
    outside,
    provenance::Provenance,
    stamp,
};

/// How far back the deployment before a window is looked for; ECS keeps no more.
const HISTORY: SignedDuration = SignedDuration::from_hours(90 * 24);
/// Deployments that are described.
const MOST: usize = 200;
/// How many ARNs the describing calls take.
const BATCH: usize = 20;
/// How many tasks `DescribeTasks` takes, and `ListTasks` gives.
const TASKS: usize = 100;

/// One ECS service.
#[derive(Debug, Clone)]
pub(crate) struct Ecs {
    client: Client,
    target: EcsTarget,
    service: ServiceName,
}

/// A task definition with its tags.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    /// The definition.
    pub(crate) task: TaskDefinition,
    /// Where it came from, by its tags, labels and images.
    pub(crate) provenance: Provenance,
}

impl Ecs {
    /// The ECS service of a service.
    pub(crate) async fn of(aws: &Aws, service: &Service, target: &EcsTarget) -> Result<Self, ToolError> {
        let client = Client::new(&aws.for_service(service).await?);
        Ok(Self { client, target: target.clone(), service: service.name.clone() })
    }

    /// The service as it is, absent where the cluster has none of that name.
    pub(crate) async fn describe(&self) -> Result<Option<aws_sdk_ecs::types::Service>, ToolError> {
        let found = self
            .client
            .describe_services()
            .cluster(self.target.cluster.as_str())
            .services(self.target.service.as_str())
            .send()
            .await
            .aws("ecs:DescribeServices")?;
        Ok(found.services.unwrap_or_default().into_iter().find(|s| s.status() != Some("INACTIVE")))
    }

    /// Service deployments of the window and before it. Not yet linked.
    pub(crate) async fn history(
        &self,
        window: Window,
        notes: &mut Vec<String>,
    ) -> Result<Vec<Deployment>, ToolError> {
        let earliest = window.from.checked_sub(HISTORY).unwrap_or(Timestamp::MIN);
        let arns = self.list(earliest, window.to).await?;
        if arns.len() >= MOST {
            notes.push(format!(
                "`{}` has more than {MOST} deployments in 90 days; only the newest were read",
                self.service
            ));
        }
        let described = self.service_deployments(&arns).await?;
        let revisions = described.iter().flat_map(revision_arns).collect();
        let definitions = self.task_definitions_of(revisions).await?;
        Ok(described.iter().filter_map(|d| convert(d, &self.service, &definitions)).collect())
    }

    /// What `DescribeServices` shows: deployments that still have tasks.
    pub(crate) async fn current(&self) -> Result<Vec<Deployment>, ToolError> {
        let Some(service) = self.describe().await? else { return Ok(Vec::new()) };
        Ok(service.deployments().iter().filter_map(|d| convert_current(d, &self.service)).collect())
    }

    async fn list(&self, from: Timestamp, to: Timestamp) -> Result<Vec<String>, ToolError> {
        let range = CreatedAt::builder().after(aws_time(from)).before(aws_time(to)).build();
        let (mut arns, mut token) = (Vec::new(), None);
        loop {
            let page = self
                .client
                .list_service_deployments()
                .cluster(self.target.cluster.as_str())
                .service(self.target.service.as_str())
                .created_at(range.clone())
                .max_results(100)
                .set_next_token(token.take())
                .send()
                .await
                .aws("ecs:ListServiceDeployments")?;
            let briefs = page.service_deployments.unwrap_or_default();
            arns.extend(briefs.into_iter().filter_map(|brief| brief.service_deployment_arn));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() || arns.len() >= MOST {
                return Ok(arns);
            }
        }
    }

    /// Service deployments by ARN; those that are not there are left out.
    pub(crate) async fn service_deployments(
        &self,
        arns: &[String],
    ) -> Result<Vec<ServiceDeployment>, ToolError> {
        let pages = try_join_all(arns.chunks(BATCH).map(|batch| async {
            let page = self
                .client
                .describe_service_deployments()
                .set_service_deployment_arns(Some(batch.to_vec()))
                .send()
                .await
                .aws("ecs:DescribeServiceDeployments")?;
            Ok::<_, ToolError>(page.service_deployments.unwrap_or_default())
        }))
        .await?;
        Ok(pages.into_iter().flatten().collect())
    }

    /// The task definition ARN of each service revision.
    pub(crate) async fn task_definitions_of(
        &self,
        mut arns: Vec<String>,
    ) -> Result<HashMap<String, String>, ToolError> {
        arns.sort_unstable();
        arns.dedup();
        let pages = try_join_all(arns.chunks(BATCH).map(|batch| async {
            let page = self
                .client
                .describe_service_revisions()
                .set_service_revision_arns(Some(batch.to_vec()))
                .send()
                .await
                .aws("ecs:DescribeServiceRevisions")?;
            Ok::<_, ToolError>(page.service_revisions.unwrap_or_default())
        }))
        .await?;
        let pair =
            |r: aws_sdk_ecs::types::ServiceRevision| Some((r.service_revision_arn?, r.task_definition?));
        Ok(pages.into_iter().flatten().filter_map(pair).collect())
    }

    /// A task definition and where it came from.
    pub(crate) async fn task_definition(&self, arn: &str) -> Result<Option<Described>, ToolError> {
        let found = self
            .client
            .describe_task_definition()
            .task_definition(arn)
            .include(TaskDefinitionField::Tags)
            .send()
            .await
            .aws("ecs:DescribeTaskDefinition");
        let found = match found {
            Err(error) if error.kind == ErrorKind::NotFound => return Ok(None),
            other => other?,
        };
        let tags = found.tags();
        let tags = tags.iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
        let tags = Provenance::from_pairs(tags);
        Ok(found.task_definition.map(|task| Described { provenance: tags.or(provenance(&task)), task }))
    }

    /// Tasks that stopped lately, and how many running ones fail their own health check.
    pub(crate) async fn tasks(&self) -> Result<(Vec<Task>, u32), ToolError> {
        let (stopped, running) =
            futures::try_join!(self.tasks_in(DesiredStatus::Stopped), self.tasks_in(DesiredStatus::Running))?;
        let unhealthy =
            running.iter().filter(|t| t.health_status() == Some(&HealthStatus::Unhealthy)).count();
        Ok((stopped, u32::try_from(unhealthy).unwrap_or(u32::MAX)))
    }

    async fn tasks_in(&self, status: DesiredStatus) -> Result<Vec<Task>, ToolError> {
        let (mut arns, mut token) = (Vec::new(), None);
        loop {
            let page = self
                .client
                .list_tasks()
                .cluster(self.target.cluster.as_str())
                .service_name(self.target.service.as_str())
                .desired_status(status.clone())
                .set_next_token(token.take())
                .send()
                .await
                .aws("ecs:ListTasks")?;
            arns.extend(page.task_arns.unwrap_or_default());
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() || arns.len() >= 5 * TASKS {
                break;
            }
        }
        let pages = try_join_all(arns.chunks(TASKS).map(|batch| async {
            let page = self
                .client
                .describe_tasks()
                .cluster(self.target.cluster.as_str())
                .set_tasks(Some(batch.to_vec()))
                .send()
                .await
                .aws("ecs:DescribeTasks")?;
            Ok::<_, ToolError>(page.tasks.unwrap_or_default())
        }))
        .await?;
        Ok(pages.into_iter().flatten().collect())
    }
}

fn aws_time(at: Timestamp) -> DateTime {
    DateTime::from_millis(at.as_millisecond())
}

/// The revisions a deployment comes from and goes to.
pub(crate) fn revision_arns(deployment: &ServiceDeployment) -> Vec<String> {
    let sources = deployment.source_service_revisions().iter().filter_map(|r| r.arn.clone());
    sources.chain(deployment.target_service_revision().and_then(|r| r.arn.clone())).collect()
}

/// A service deployment in our terms. `definitions` maps revisions to task definitions.
pub(crate) fn convert(
    deployment: &ServiceDeployment,
    service: &ServiceName,
    definitions: &HashMap<String, String>,
) -> Option<Deployment> {
    let id = deployment.service_deployment_arn()?;
    let created_at = stamp(deployment.created_at()).or_else(|| stamp(deployment.started_at()))?;
    let aws_status = deployment.status()?;
    let definition =
        |arn: Option<&str>| arn.and_then(|arn| definitions.get(arn)).map(|d| short(d).to_owned());
    let source = deployment.source_service_revisions().iter().find_map(|r| definition(r.arn()));
    let reason = deployment.rollback().and_then(|r| r.reason()).or_else(|| deployment.status_reason());
    let (status_reason, screened) = outside::free_text(reason);
    Some(Deployment {
        aws_status: aws_status.as_str().to_owned(),
        completed_at: stamp(deployment.finished_at()).or_else(|| stamp(deployment.stopped_at())),
        revision: definition(deployment.target_service_revision().and_then(|r| r.arn())).unwrap_or_default(),
        previous_revision: source,
        status_reason,
        screened,
        shift: shift(deployment),
        ..Deployment::new(Kind::Ecs, id, service, status(aws_status), created_at)
    })
}

fn shift(deployment: &ServiceDeployment) -> Option<Shift> {
    let configured = deployment.deployment_configuration()?;
    let strategy = configured.strategy().filter(|strategy| **strategy != DeploymentStrategy::Rolling)?;
    let stage = deployment.lifecycle_stage().filter(|_| deployment.finished_at().is_none());
    let target = deployment.target_service_revision();
    Some(Shift {
        strategy: strategy.as_str().to_owned(),
        stage: stage.map(|stage| stage.as_str().to_owned()),
        production_percent: target.and_then(ServiceRevisionSummary::requested_production_traffic_weight),
        bake_minutes: configured.bake_time_in_minutes(),
    })
}

fn status(status: &ServiceDeploymentStatus) -> Status {
    match status {
        ServiceDeploymentStatus::Successful => Status::Succeeded,
        ServiceDeploymentStatus::RollbackFailed => Status::Failed,
        ServiceDeploymentStatus::Stopped => Status::Stopped,
        ServiceDeploymentStatus::RollbackSuccessful => Status::RolledBack,
        // Pending, going on, or on its way back; and what is newer than this code.
        _ => Status::InProgress,
    }
}

fn convert_current(deployment: &aws_sdk_ecs::types::Deployment, service: &ServiceName) -> Option<Deployment> {
    use aws_sdk_ecs::types::DeploymentRolloutState as Rollout;
    let created_at = stamp(deployment.created_at())?;
    let status = match deployment.rollout_state() {
        Some(Rollout::Completed) => Status::Succeeded,
        Some(Rollout::Failed) => Status::Failed,
        _ if deployment.desired_count > 0 && deployment.running_count >= deployment.desired_count => {
            Status::Succeeded
        }
        _ => Status::InProgress,
    };
    Some(Deployment {
        aws_status: deployment.rollout_state().map_or_else(
            || deployment.status().unwrap_or_default().to_owned(),
            |state| state.as_str().to_owned(),
        ),
        completed_at: stamp(deployment.updated_at()).filter(|_| status != Status::InProgress),
        revision: deployment.task_definition().map(|arn| short(arn).to_owned()).unwrap_or_default(),
        status_reason: outside::free_text(deployment.rollout_state_reason()).0,
        ..Deployment::new(Kind::Ecs, deployment.id()?, service, status, created_at)
    })
}

/// Whether a deployment that `DescribeServices` lists is under way.
pub(crate) fn is_in_progress(deployment: &aws_sdk_ecs::types::Deployment) -> bool {
    use aws_sdk_ecs::types::DeploymentRolloutState as Rollout;
    match deployment.rollout_state() {
        Some(Rollout::InProgress) => true,
        Some(_) => false,
        // Without a rollout state (other controllers) the counts are all there is.
        None => deployment.status() == Some("ACTIVE") || deployment.pending_count > 0,
    }
}

/// `arn:…:task-definition/api:4` → `api:4`.
pub(crate) fn short(task_definition: &str) -> &str {
    task_definition.rsplit_once('/').map_or(task_definition, |(_, name)| name)
}

fn provenance(task: &TaskDefinition) -> Provenance {
    let labels = task.container_definitions().iter().filter_map(|c| c.docker_labels()).flatten();
    let labels = Provenance::from_pairs(labels.map(|(key, value)| (key.as_str(), value.as_str())));
    let images = task.container_definitions().iter().filter_map(|c| c.image());
    images.map(Provenance::from_image).fold(labels, Provenance::or)
}

#[cfg(test)]
mod tests {
    use aws_sdk_ecs::types::ContainerDefinition;

    use super::*;

    #[test]
    fn a_service_deployment_names_its_task_definitions() {
        let revision = |arn: &str| ServiceRevisionSummary::builder().arn(arn).build();
        let deployment = ServiceDeployment::builder()
            .service_deployment_arn("arn:aws:ecs:us-east-1:1:service-deployment/c/s/1")
            .created_at(DateTime::from_secs(1_795_226_400))
            .status(ServiceDeploymentStatus::RollbackInProgress)
            .source_service_revisions(revision("r1"))
            .target_service_revision(revision("r2"))
            .build();
        assert_eq!(revision_arns(&deployment), ["r1", "r2"]);
        let definitions = [("r1", "x/api:1"), ("r2", "x/api:2")]
            .map(|(r, d)| (r.to_owned(), d.to_owned()))
            .into_iter()
            .collect();
        let found = convert(&deployment, &ServiceName::parse("api").unwrap(), &definitions).unwrap();
        assert_eq!((found.previous_revision.as_deref(), found.revision.as_str()), (Some("api:1"), "api:2"));
        assert_eq!(found.status, Status::InProgress);
        assert_eq!(found.shift, None);
    }

    #[test]
    fn blue_green_says_how_far_the_traffic_has_moved() {
        use aws_sdk_ecs::types::{DeploymentConfiguration, ServiceDeploymentLifecycleStage as Stage};
        let told = |strategy, finished: Option<i64>| {
            let configured =
                DeploymentConfiguration::builder().strategy(strategy).bake_time_in_minutes(10).build();
            let target = ServiceRevisionSummary::builder()
                .arn("r2")
                .requested_production_traffic_weight(100.0)
                .build();
            shift(
                &ServiceDeployment::builder()
                    .lifecycle_stage(Stage::BakeTime)
                    .deployment_configuration(configured)
                    .target_service_revision(target)
                    .set_finished_at(finished.map(DateTime::from_secs))
                    .build(),
            )
        };
        let baking = told(DeploymentStrategy::BlueGreen, None).unwrap();
        assert_eq!((baking.strategy.as_str(), baking.stage.as_deref()), ("BLUE_GREEN", Some("BAKE_TIME")));
        assert_eq!((baking.production_percent, baking.bake_minutes), (Some(100.0), Some(10)));
        assert_eq!(told(DeploymentStrategy::Canary, Some(1)).unwrap().stage, None);
        assert_eq!(told(DeploymentStrategy::Rolling, None), None);
    }

    #[test]
    fn labels_come_before_image_tags() {
        let container = |image: &str| ContainerDefinition::builder().name("a").image(image);
        let task = TaskDefinition::builder()
            .container_definitions(container("a:aaaaaaa").build())
            .container_definitions(container("b:1").docker_labels("git-commit", "bbbbbbb1").build())
            .build();
        assert_eq!(provenance(&task).commit.as_deref(), Some("bbbbbbb1"));
    }
}
