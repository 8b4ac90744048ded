//! What has to be tried: credentials, the servers' reading, the models.

use std::{path::PathBuf, time::Duration};

use midwatch_agents::{
    model::{CallLimits, Content, Inference, Message, ModelRequest},
    tools::{FailureKind, ToolCall, ToolFailure, Tools},
};
use midwatch_mcp::Ctx;
use midwatch_policy::{Service, SignedDuration};
use serde_json::{Map, Value, json};

use crate::{
    case::{args, time},
    servers,
    tools::Toolbox,
};

use super::{
    super::model::{bedrock, names},
    Check, State,
};

/// Real time that one try may take.
const TRY: Duration = Duration::from_secs(30);
/// Services that are tried; the others are named.
const SERVICES: usize = 5;

pub(super) async fn checks(ctx: &Ctx, runbooks: Option<PathBuf>) -> Vec<Check> {
    let mut all = Vec::new();
    let identity = identity(ctx).await;
    let reachable = identity.state == State::Ok;
    all.push(identity);
    let tools = servers::readers(ctx, runbooks).await;
    for missing in tools.missing() {
        all.push(Check::new("Servers", "start", State::Fail, missing));
    }
    if reachable {
        all.extend(reading(ctx, &tools).await);
        all.extend(models(ctx).await);
    } else {
        let why = "not tried without credentials";
        all.push(Check::new("Servers", "reading", State::Skipped, why));
        all.push(Check::new("Models", "bedrock", State::Skipped, why));
    }
    all
}

/// Who we are, by STS.
async fn identity(ctx: &Ctx) -> Check {
    let check = |state, detail: String| Check::new("AWS", "identity", state, detail);
    let config = match ctx.aws.base().await {
        Ok(config) => config,
        Err(error) => {
            return check(State::Fail, error.message).mend("set AWS_REGION, or `region` in the profile");
        }
    };
    let region = config.region().map(ToString::to_string).unwrap_or_default();
    let asked = aws_sdk_sts::Client::new(&config).get_caller_identity().send();
    match tokio::time::timeout(TRY, asked).await {
        Ok(Ok(identity)) => {
            let arn = identity.arn().unwrap_or("an identity without ARN").to_owned();
            check(State::Ok, format!("{arn} in {region}"))
        }
        Ok(Err(error)) => {
            use midwatch_mcp::AwsResult as _;
            let told: Result<(), _> = Err::<(), _>(error).aws("sts:GetCallerIdentity");
            let (message, mend) = match told {
                Err(error) => (error.message, error.mend),
                Ok(()) => unreachable_identity(),
            };
            check(State::Fail, message).mend(mend)
        }
        Err(_) => check(State::Fail, format!("STS did not answer within {} s", TRY.as_secs()))
            .mend("check the network and AWS_ENDPOINT_URL"),
    }
}

fn unreachable_identity() -> (String, String) {
    ("no identity".to_owned(), "check the credentials".to_owned())
}

/// One cheap reading call for each server and service, the way an incident makes it.
async fn reading(ctx: &Ctx, tools: &Toolbox) -> Vec<Check> {
    let now = ctx.clock.now();
    let ago = |minutes| now.saturating_sub(SignedDuration::from_mins(minutes)).unwrap_or(now);
    let mut all = Vec::new();
    if ctx.catalog.services().next().is_none() {
        let call = args([("alarm_name", json!("midwatch-doctor"))]);
        all.push(attempt(tools, "alarms", "metrics", "get_alarm", call).await);
    }
    for service in ctx.catalog.services().take(SERVICES) {
        let name = |what: &str| format!("{} {what}", service.name);
        let of = |mut map: Map<String, Value>, service: &Service| {
            map.insert("service".to_owned(), json!(service.name));
            map
        };
        let minute = || args([("from", time(ago(2))), ("to", time(ago(1)))]);
        all.push(attempt(tools, &name("alarms"), "metrics", "list_alarms", of(Map::new(), service)).await);
        if !service.log_groups.is_empty() {
            all.push(attempt(tools, &name("logs"), "logs", "error_patterns", of(minute(), service)).await);
        }
        if service.ecs.is_some() || service.codedeploy.is_some() {
            let day = args([("from", time(ago(60))), ("to", time(now))]);
            let part = name("deployments");
            all.push(attempt(tools, &part, "deployments", "list_deployments", of(day, service)).await);
        }
        if service.ecs.is_some() {
            let part = name("tasks");
            all.push(attempt(tools, &part, "deployments", "service_health", of(Map::new(), service)).await);
        }
        if service.state_machine.is_some() {
            let part = name("workflow");
            all.push(attempt(tools, &part, "workflows", "list_executions", of(minute(), service)).await);
        }
    }
    let rest = ctx.catalog.services().count().saturating_sub(SERVICES);
    if rest > 0 {
        all.push(Check::new(
            "Servers",
            "others",
            State::Skipped,
            format!("{rest} more services were not tried"),
        ));
    }
    all
}

async fn attempt(
    tools: &Toolbox,
    name: &str,
    server: &'static str,
    tool: &'static str,
    arguments: Map<String, Value>,
) -> Check {
    let call = ToolCall { server: server.to_owned(), tool: tool.to_owned(), args: arguments };
    let check = |state, detail: String| Check::new("Servers", name, state, detail);
    match tools.call(&call, &CallLimits::within(TRY)).await {
        Ok(_) => check(State::Ok, format!("`{server}.{tool}` answers")),
        // Being told that something does not exist takes permission.
        Err(ToolFailure { kind: FailureKind::NotFound, message, .. }) if tool == "get_alarm" => {
            check(State::Ok, format!("`{server}.{tool}` answers ({message})"))
        }
        Err(failure) => {
            let check = check(State::Fail, failure.to_string());
            match failure.mend {
                Some(mend) => check.mend(mend),
                None => check,
            }
        }
    }
}

/// One token from each model, where Bedrock is configured.
async fn models(ctx: &Ctx) -> Vec<Check> {
    if std::env::var("MIDWATCH_MODEL").as_deref() != Ok("bedrock") {
        return vec![
            Check::new("Models", "bedrock", State::Skipped, "the playbook reasons, for no tokens")
                .mend("set MIDWATCH_MODEL=bedrock to have Bedrock reason; it is tried here then"),
        ];
    }
    let Ok(config) = ctx.aws.base().await else { return Vec::new() };
    let (small, large) = names();
    let mut all = Vec::new();
    for (role, model) in [("small", small), ("large", large)] {
        let failed = |why: String| {
            Check::new("Models", role, State::Fail, format!("`{model}`: {why}"))
                .mend("enable the model for this account and region, and allow bedrock:InvokeModel for it")
        };
        let client = bedrock(&config, &model);
        let request = ModelRequest {
            messages: vec![Message::user(vec![Content::Text("Say ok.".to_owned())])],
            inference: Inference { max_tokens: Some(1), ..Inference::default() },
            ..ModelRequest::default()
        };
        all.push(match client.converse(&request, &CallLimits::within(TRY)).await {
            Ok(_) => Check::new("Models", role, State::Ok, format!("`{model}` answers")),
            Err(error) => failed(error.to_string()),
        });
    }
    all
}
