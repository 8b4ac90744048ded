//! ECS: services, tasks, task definitions, service deployments; update and stop.

mod change;
mod definitions;
mod rollouts;
mod services;
mod tasks;

use serde_json::{Value, json};

use super::{
    WireBody, WireError,
    input::{needed, text},
};
use crate::world::State;
use change::{stop_service_deployment, stop_task, update_service};
use definitions::describe_task_definition;
use rollouts::{describe_service_deployments, describe_service_revisions, list_service_deployments};
use services::{describe_services, list_services};
use tasks::{describe_tasks, list_tasks};

/// Answers one call.
pub(crate) fn handle(state: &mut State, op: &str, input: &Value) -> Result<WireBody, WireError> {
    match op {
        "ListClusters" => Ok(json!({"clusterArns": [arn(state, "cluster", &cluster_name(state))]})),
        "ListServices" => list_services(state, input),
        "DescribeServices" => describe_services(state, input),
        "ListTasks" => list_tasks(state, input),
        "DescribeTasks" => describe_tasks(state, input),
        "DescribeTaskDefinition" => describe_task_definition(state, input),
        "ListServiceDeployments" => list_service_deployments(state, input),
        "DescribeServiceDeployments" => describe_service_deployments(state, input),
        "DescribeServiceRevisions" => describe_service_revisions(state, input),
        "UpdateService" => update_service(state, input),
        "StopTask" => stop_task(state, input),
        "StopServiceDeployment" => stop_service_deployment(state, input),
        _ => return Err(WireError::unknown_operation(op)),
    }
    .map(WireBody::Json)
}

fn arn(state: &State, kind: &str, rest: &str) -> String {
    format!("arn:aws:ecs:{}:{}:{kind}/{rest}", state.region(), state.account())
}

fn cluster_name(state: &State) -> String {
    state.ecs.services.first().map_or_else(|| "default".to_owned(), |s| s.cluster.clone())
}

fn last(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn invalid(message: impl Into<String>) -> WireError {
    WireError::client("InvalidParameterException", message)
}

fn cluster(state: &State, input: &Value) -> Result<String, WireError> {
    let name = last(text(input, "cluster").unwrap_or("default"));
    if state.ecs.services.iter().any(|s| s.cluster == name) {
        return Ok(name.to_owned());
    }
    Err(WireError::client("ClusterNotFoundException", "Cluster not found."))
}

fn service(state: &State, input: &Value) -> Result<usize, WireError> {
    let cluster = cluster(state, input)?;
    let name = last(needed(input, "service", "InvalidParameterException")?);
    state
        .ecs
        .services
        .iter()
        .position(|s| s.cluster == cluster && s.name == name)
        .ok_or_else(|| WireError::client("ServiceNotFoundException", "Service not found."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arns_are_the_same_thing() {
        assert_eq!(last("arn:aws:ecs:us-east-1:1:service/production/cart"), "cart");
        assert_eq!(last("cart"), "cart");
    }
}
