//! The tool `log_groups`: which groups there are, and where a service, a metric or a function logs.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::{Client, types::LogGroup};
use aws_sdk_ecs::types::TaskDefinition;
use midwatch_mcp::{AwsResult, MAX_RESULT_BYTES, Time, ToolError, clean_with, fit, limit};
use midwatch_policy::{Redactor, Service};

use crate::{
    server::LogsServer,
    shapes::{FoundBy, GroupPlace, LogGroups, LogGroupsArgs},
};

/// Pages of a listing that one call may ask for where names are compared here.
const PAGES: usize = 4;

pub(crate) async fn log_groups(server: &LogsServer, args: LogGroupsArgs) -> Result<LogGroups, ToolError> {
    let service = args.service.as_deref().map(|name| server.ctx().service(name)).transpose()?;
    let config = server.ctx().aws.for_optional(service).await?;
    let client = Client::new(&config);
    let mut result = LogGroups { groups: Vec::new(), next_cursor: None, notes: Vec::new() };
    let named = service.is_some() || args.function.is_some() || args.metric_name.is_some();
    if named {
        if args.contains.is_some() || args.cursor.is_some() {
            return Err(ToolError::invalid(
                "contains and cursor are for listing all groups",
                "leave them out, or leave service, function and metric out",
            ));
        }
        let mut places: BTreeMap<String, Vec<FoundBy>> = BTreeMap::new();
        if let Some(service) = service {
            of_service(service, &config, (&client, server.redactor()), &mut places, &mut result.notes).await;
        }
        if let Some(function) = &args.function {
            // Where nothing else was configured; that is checked below.
            let name = function_name(function);
            places.entry(format!("/aws/lambda/{name}")).or_default().push(FoundBy::Function);
        }
        if let Some(metric) = &args.metric_name {
            let namespace = args.metric_namespace.as_deref().ok_or_else(|| {
                ToolError::invalid(
                    "metric_name without metric_namespace",
                    "give both, as the alarm names them",
                )
            })?;
            of_metric(&client, (namespace, metric), server.redactor(), &mut places).await?;
        }
        for (name, found_by) in places {
            let known = client.describe_log_groups().log_group_name_prefix(&name).limit(50).send().await;
            match known.aws("logs:DescribeLogGroups") {
                Ok(known) => {
                    let own = known.log_groups().iter().find(|group| group.log_group_name() == Some(&name));
                    if let Some(own) = own {
                        result.groups.extend(place(own, found_by));
                    } else {
                        let name = clean_with(server.redactor(), &name, 200).text;
                        result.notes.push(format!("`{name}` does not exist"));
                    }
                }
                Err(error) => {
                    result.notes.push(format!("sizes are unknown: {}", error.message));
                    result.groups.push(GroupPlace {
                        name,
                        found_by,
                        stored_bytes: None,
                        retention_days: None,
                        created: None,
                    });
                }
            }
        }
        if result.groups.is_empty() {
            result.notes.push("nothing was found: list all groups with `contains`".to_owned());
        }
    } else {
        list(server, &client, &args, &mut result).await?;
    }
    let dropped = fit(&mut result, MAX_RESULT_BYTES, |result| result.groups.pop().is_some());
    if dropped > 0 {
        result
            .notes
            .push(format!("{dropped} groups were left out to keep the result small: ask for a lower limit"));
    }
    Ok(result)
}

/// The name of a function, also of one that is named by its ARN, and with an alias or version behind it.
fn function_name(function: &str) -> &str {
    let name = function.rsplit_once(":function:").map_or(function, |(_, name)| name);
    name.split_once(':').map_or(name, |(name, _)| name)
}

/// By the catalog, by what its tasks are configured to, and by the metric of its errors.
async fn of_service(
    service: &Service,
    config: &aws_config::SdkConfig,
    (client, redactor): (&Client, &Redactor),
    places: &mut BTreeMap<String, Vec<FoundBy>>,
    notes: &mut Vec<String>,
) {
    for group in &service.log_groups {
        places.entry(group.clone()).or_default().push(FoundBy::Catalog);
    }
    if let Some(target) = &service.ecs {
        match of_tasks(config, target.cluster.as_str(), target.service.as_str()).await {
            Ok(groups) => {
                for group in groups {
                    places.entry(group).or_default().push(FoundBy::TaskDefinition);
                }
            }
            Err(error) => notes.push(format!("the task definition could not be read: {}", error.message)),
        }
    }
    if let Some(metric) = &service.errors
        && !metric.namespace.starts_with("AWS/")
        && let Err(error) = of_metric(client, (&metric.namespace, &metric.name), redactor, places).await
    {
        notes.push(format!("metric filters could not be read: {}", error.message));
    }
}

/// The groups that the containers of an ECS service write to.
async fn of_tasks(
    config: &aws_config::SdkConfig,
    cluster: &str,
    service: &str,
) -> Result<Vec<String>, ToolError> {
    let client = aws_sdk_ecs::Client::new(config);
    let found = client
        .describe_services()
        .cluster(cluster)
        .services(service)
        .send()
        .await
        .aws("ecs:DescribeServices")?;
    let Some(definition) = found.services().first().and_then(|service| service.task_definition()) else {
        return Err(ToolError::not_found(
            format!("no ECS service `{service}` in `{cluster}`"),
            "check the catalog",
        ));
    };
    let described = client.describe_task_definition().task_definition(definition).send().await;
    let described = described.aws("ecs:DescribeTaskDefinition")?;
    let containers =
        described.task_definition().map(TaskDefinition::container_definitions).unwrap_or_default();
    let options = containers.iter().filter_map(|container| container.log_configuration()?.options());
    // awslogs names it so; FireLens's CloudWatch plug-in the other way.
    Ok(options
        .filter_map(|options| options.get("awslogs-group").or_else(|| options.get("log_group_name")))
        .cloned()
        .collect())
}

/// The groups whose metric filters feed a metric.
async fn of_metric(
    client: &Client,
    (namespace, name): (&str, &str),
    redactor: &Redactor,
    places: &mut BTreeMap<String, Vec<FoundBy>>,
) -> Result<(), ToolError> {
    let found = client.describe_metric_filters().metric_namespace(namespace).metric_name(name).send().await;
    for filter in found.aws("logs:DescribeMetricFilters")?.metric_filters() {
        if let Some(group) = filter.log_group_name() {
            let pattern = clean_with(redactor, filter.filter_pattern().unwrap_or_default(), 300).text;
            places.entry(group.to_owned()).or_default().push(FoundBy::MetricFilter { pattern });
        }
    }
    Ok(())
}

async fn list(
    server: &LogsServer,
    client: &Client,
    args: &LogGroupsArgs,
    result: &mut LogGroups,
) -> Result<(), ToolError> {
    let limit = limit(args.limit, 50, 50)?;
    let mut token = args.cursor.clone();
    for _ in 0..PAGES {
        let page = client
            .describe_log_groups()
            .set_log_group_name_pattern(args.contains.clone().filter(|part| !part.is_empty()))
            .set_next_token(token)
            .limit(i32::try_from(limit.saturating_sub(result.groups.len())).unwrap_or(50))
            .send()
            .await
            .aws("logs:DescribeLogGroups")?;
        for group in page.log_groups() {
            let name = group.log_group_name().unwrap_or_default();
            let owner = server
                .ctx()
                .catalog
                .services()
                .any(|service| service.log_groups.iter().any(|own| own == name));
            result.groups.extend(place(group, if owner { vec![FoundBy::Catalog] } else { Vec::new() }));
        }
        token = page.next_token().map(str::to_owned);
        if token.is_none() || result.groups.len() >= limit {
            break;
        }
    }
    result.next_cursor = token;
    Ok(())
}

fn place(group: &LogGroup, found_by: Vec<FoundBy>) -> Option<GroupPlace> {
    Some(GroupPlace {
        name: group.log_group_name()?.to_owned(),
        found_by,
        stored_bytes: group.stored_bytes().and_then(|bytes| u64::try_from(bytes).ok()),
        retention_days: group.retention_in_days().and_then(|days| u32::try_from(days).ok()),
        created: group.creation_time().map(Time::from_millis),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_is_the_same_by_whatever_it_is_named() {
        for name in [
            "foo",
            "foo:PROD",
            "123456789012:function:foo",
            "arn:aws:lambda:us-east-1:123456789012:function:foo",
            "arn:aws:lambda:us-east-1:123456789012:function:foo:PROD",
        ] {
            assert_eq!(function_name(name), "foo", "{name}");
        }
        assert_eq!(function_name("myfunction:7"), "myfunction");
    }
}
