//! Task definitions.

use serde_json::{Value, json};

use super::{
    super::{
        WireError,
        input::{needed, texts},
        timestamp,
    },
    last,
    services::definition_arn,
};
use crate::world::{
    State,
    ecs::{Revision, Service},
};

pub(super) fn image(state: &State, service: &Service, commit: &str) -> String {
    let tag = commit.get(..7).unwrap_or(commit);
    format!("{}.dkr.ecr.{}.amazonaws.com/{}:{tag}", state.account(), state.region(), service.name)
}

/// The service and revision that a task definition names: `family:revision`, an ARN, or a family.
pub(super) fn definition<'a>(state: &'a State, name: &str) -> Result<(&'a Service, &'a Revision), WireError> {
    let short = last(name);
    let (family, number) = short.split_once(':').map_or((short, None), |(f, n)| (f, n.parse::<u32>().ok()));
    state
        .ecs
        .services
        .iter()
        .find(|s| s.name == family)
        .and_then(|s| {
            let revision = match number {
                Some(n) => s.revision(n),
                None if short.contains(':') => None,
                None => s.revisions.last(),
            };
            Some((s, revision?))
        })
        .ok_or_else(|| WireError::client("ClientException", "Unable to describe task definition."))
}

pub(super) fn describe_task_definition(state: &State, input: &Value) -> Result<Value, WireError> {
    let name = needed(input, "taskDefinition", "InvalidParameterException")?;
    let (service, revision) = definition(state, name)?;
    let group =
        state.spec.services.iter().find(|s| s.name == service.name).map_or("", |s| s.log_group.as_str());
    let mut env = vec![json!({"name": "SERVICE_NAME", "value": service.name})];
    env.extend(revision.env.iter().map(|(k, v)| json!({"name": k, "value": v})));
    let tags = texts(input, "include").contains(&"TAGS").then(|| {
        json!([
            {"key": "commit", "value": revision.commit},
            {"key": "author", "value": revision.author},
            {"key": "pull_request", "value": revision.pull_request.to_string()},
            {"key": "message", "value": revision.message},
        ])
    });
    Ok(json!({
        "taskDefinition": {
            "taskDefinitionArn": definition_arn(state, service, revision.number),
            "family": service.name,
            "revision": revision.number,
            "status": "ACTIVE",
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "512", "memory": "1024",
            "registeredAt": timestamp(revision.registered_ms),
            "containerDefinitions": [{
                "name": service.name,
                "image": image(state, service, &revision.commit),
                "essential": true,
                "environment": env,
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": group,
                        "awslogs-region": state.region(),
                        "awslogs-stream-prefix": "ecs",
                    },
                },
            }],
        },
        "tags": tags,
    }))
}
