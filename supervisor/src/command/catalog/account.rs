//! What there is in one account and region.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ecs::types::ServiceField;
use midwatch_mcp::{Aws, AwsResult as _, ErrorKind, SdkConfig, ToolError};
use midwatch_policy::Service;

/// Services that ECS describes at once.
const AT_ONCE: usize = 10;

/// An ECS service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EcsService {
    pub(super) cluster: String,
    pub(super) name: String,
    /// Where its containers log to.
    pub(super) log_groups: BTreeSet<String>,
    pub(super) tags: BTreeMap<String, String>,
}

/// An alarm.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct SeenAlarm {
    pub(super) name: String,
    pub(super) dimensions: BTreeMap<String, String>,
}

/// A deployment group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) application: String,
    pub(super) name: String,
    /// Cluster and service of what it deploys to ECS.
    pub(super) ecs: Vec<(String, String)>,
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) id: Option<String>,
    pub(super) region: Option<String>,
    pub(super) services: Vec<EcsService>,
    pub(super) alarms: Vec<SeenAlarm>,
    pub(super) groups: Vec<Group>,
    pub(super) log_groups: BTreeSet<String>,
    /// ARNs of state machines; absent where they may not be listed.
    pub(super) machines: Option<BTreeSet<String>>,
}

impl Account {
    /// Reads it; changes nothing.
    pub(super) async fn read(aws: &Aws, place: &Service) -> Result<Self, ToolError> {
        let config = aws.for_service(place).await?;
        let (id, services, alarms, groups, log_groups, machines) = tokio::try_join!(
            Box::pin(id(&config)),
            Box::pin(services(&config)),
            Box::pin(alarms(&config)),
            Box::pin(groups(&config)),
            Box::pin(log_groups(&config)),
            Box::pin(machines(&config)),
        )?;
        let region = config.region().map(ToString::to_string);
        Ok(Self { id, region, services, alarms, groups, log_groups, machines })
    }
}

async fn id(config: &SdkConfig) -> Result<Option<String>, ToolError> {
    let client = aws_sdk_sts::Client::new(config);
    Ok(client.get_caller_identity().send().await.aws("sts:GetCallerIdentity")?.account)
}

async fn services(config: &SdkConfig) -> Result<Vec<EcsService>, ToolError> {
    let client = aws_sdk_ecs::Client::new(config);
    let mut found = Vec::new();
    let mut logs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut clusters = client.list_clusters().into_paginator().items().send();
    while let Some(cluster) = clusters.next().await {
        let cluster = cluster.aws("ecs:ListClusters")?;
        let mut arns = Vec::new();
        let mut pages = client.list_services().cluster(&cluster).into_paginator().items().send();
        while let Some(arn) = pages.next().await {
            arns.push(arn.aws("ecs:ListServices")?);
        }
        for arns in arns.chunks(AT_ONCE) {
            let described = client
                .describe_services()
                .cluster(&cluster)
                .set_services(Some(arns.to_vec()))
                .include(ServiceField::Tags)
                .send()
                .await
                .aws("ecs:DescribeServices")?;
            for service in described.services.unwrap_or_default() {
                let definition = service.task_definition.clone().unwrap_or_default();
                if !logs.contains_key(&definition) {
                    logs.insert(definition.clone(), log_groups_of(&client, &definition).await?);
                }
                found.push(EcsService {
                    cluster: last(&cluster),
                    name: service.service_name.clone().unwrap_or_default(),
                    log_groups: logs.get(&definition).cloned().unwrap_or_default(),
                    tags: service
                        .tags()
                        .iter()
                        .filter_map(|tag| Some((tag.key()?.to_lowercase(), tag.value()?.to_owned())))
                        .collect(),
                });
            }
        }
    }
    Ok(found)
}

async fn log_groups_of(
    client: &aws_sdk_ecs::Client,
    definition: &str,
) -> Result<BTreeSet<String>, ToolError> {
    if definition.is_empty() {
        return Ok(BTreeSet::new());
    }
    let asked = client.describe_task_definition().task_definition(definition).send().await;
    let described = asked.aws("ecs:DescribeTaskDefinition")?;
    let containers = described.task_definition.map(|d| d.container_definitions.unwrap_or_default());
    let groups = containers.into_iter().flatten().filter_map(|container| {
        let options = container.log_configuration?.options?;
        options.get("awslogs-group").cloned()
    });
    Ok(groups.collect())
}

async fn alarms(config: &SdkConfig) -> Result<Vec<SeenAlarm>, ToolError> {
    let client = aws_sdk_cloudwatch::Client::new(config);
    let mut found = Vec::new();
    let mut pages = client.describe_alarms().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.aws("cloudwatch:DescribeAlarms")?;
        for alarm in page.metric_alarms() {
            let stats = alarm.metrics().iter().filter_map(|query| query.metric_stat()?.metric());
            let dimensions = alarm
                .dimensions()
                .iter()
                .chain(stats.flat_map(aws_sdk_cloudwatch::types::Metric::dimensions));
            let dimensions =
                dimensions.filter_map(|d| Some((d.name()?.to_owned(), d.value()?.to_owned()))).collect();
            found.push(SeenAlarm { name: alarm.alarm_name().unwrap_or_default().to_owned(), dimensions });
        }
        for alarm in page.composite_alarms() {
            let name = alarm.alarm_name().unwrap_or_default().to_owned();
            found.push(SeenAlarm { name, dimensions: BTreeMap::new() });
        }
    }
    Ok(found)
}

async fn groups(config: &SdkConfig) -> Result<Vec<Group>, ToolError> {
    let client = aws_sdk_codedeploy::Client::new(config);
    let mut found = Vec::new();
    let mut applications = client.list_applications().into_paginator().items().send();
    while let Some(application) = applications.next().await {
        let application = application.aws("codedeploy:ListApplications")?;
        let listing = client.list_deployment_groups().application_name(&application);
        let mut names = listing.into_paginator().items().send();
        while let Some(name) = names.next().await {
            let name = name.aws("codedeploy:ListDeploymentGroups")?;
            let asked = client
                .get_deployment_group()
                .application_name(&application)
                .deployment_group_name(&name)
                .send()
                .await
                .aws("codedeploy:GetDeploymentGroup")?;
            let info = asked.deployment_group_info;
            let ecs = info.iter().flat_map(aws_sdk_codedeploy::types::DeploymentGroupInfo::ecs_services);
            let ecs = ecs.filter_map(|e| Some((e.cluster_name()?.to_owned(), e.service_name()?.to_owned())));
            found.push(Group { application: application.clone(), name, ecs: ecs.collect() });
        }
    }
    Ok(found)
}

async fn log_groups(config: &SdkConfig) -> Result<BTreeSet<String>, ToolError> {
    let client = aws_sdk_cloudwatchlogs::Client::new(config);
    let mut found = BTreeSet::new();
    let mut pages = client.describe_log_groups().into_paginator().items().send();
    while let Some(group) = pages.next().await {
        found.extend(group.aws("logs:DescribeLogGroups")?.log_group_name);
    }
    Ok(found)
}

/// Not every role that reads the rest may list them.
async fn machines(config: &SdkConfig) -> Result<Option<BTreeSet<String>>, ToolError> {
    let client = aws_sdk_sfn::Client::new(config);
    let mut found = BTreeSet::new();
    let mut pages = client.list_state_machines().into_paginator().items().send();
    while let Some(machine) = pages.next().await {
        match machine.aws("states:ListStateMachines") {
            Ok(machine) => found.insert(machine.state_machine_arn),
            Err(error) if error.kind == ErrorKind::AccessDenied => return Ok(None),
            Err(error) => return Err(error),
        };
    }
    Ok(Some(found))
}

/// The name at the end of an ARN.
fn last(arn: &str) -> String {
    arn.rsplit('/').next().unwrap_or(arn).to_owned()
}
