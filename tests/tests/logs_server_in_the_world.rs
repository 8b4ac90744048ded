//! The logs server against the world, for every scenario of the repository.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use midwatch_logs::LogsServer;
use midwatch_mcp::{Aws, AwsSettings, Ctx, connect_in_process};
use midwatch_sim::{Scenario, World};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

fn scenarios() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios");
    let entries = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path());
    let mut dirs: Vec<PathBuf> = entries.filter(|path| path.join("scenario.toml").exists()).collect();
    dirs.sort();
    dirs
}

/// What `error_patterns` says of a service over the half hour up to now.
async fn patterns(world: &World, service: &str) -> Value {
    let aws = Aws::new(AwsSettings::local(world.endpoint(), "us-east-1"));
    let server = LogsServer::new(Ctx::new(aws, Arc::new(world.catalog().clone()), world.clock()));
    let client = connect_in_process(server).await.unwrap();
    let now = world.clock().now();
    let from = now - jiff::SignedDuration::from_mins(30);
    let arguments = json!({ "service": service, "from": from.to_string(), "to": now.to_string() });
    let request =
        CallToolRequestParams::new("error_patterns").with_arguments(arguments.as_object().cloned().unwrap());
    let result = client.call_tool(request).await.unwrap();
    assert_ne!(result.is_error, Some(true), "{result:?}");
    result.structured_content.unwrap()
}

#[tokio::test]
async fn what_has_to_be_cited_is_among_the_patterns() {
    for dir in scenarios() {
        let scenario = Scenario::load(&dir).unwrap_or_else(|error| panic!("{error}"));
        let id = scenario.id().to_owned();
        let world = World::start(scenario).await.unwrap();
        let alarm = world.alarm_event()["detail"]["alarmName"].as_str().unwrap().to_owned();
        let catalog = world.catalog();
        let service = catalog.services().find(|service| service.alarms.contains(&alarm)).unwrap();
        if service.state_machine.is_some() {
            // Its executions say it: `workflows.rs`.
            continue;
        }
        let mut seen = patterns(&world, service.name.as_str()).await.to_string();
        for dependency in service.depends_on.iter().filter(|name| catalog.get(name).is_some()) {
            seen.push_str(&patterns(&world, dependency.as_str()).await.to_string());
        }
        for text in &world.expected().must_cite {
            if text.starts_with("d-") || text.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            assert!(seen.contains(text.as_str()), "{id}: `{text}` is in no pattern of `{}`", service.name);
        }
    }
}
