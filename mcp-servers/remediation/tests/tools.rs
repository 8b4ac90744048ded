//! The tools as a client sees them, as far as nothing is contacted. The acts themselves are tried
//! against the simulated world in the workspace's `tests`.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::sync::Arc;

use midwatch_mcp::{Aws, AwsSettings, Client, Ctx, ErrorKind, ToolError, connect_in_process};
use midwatch_policy::{Catalog, FixedClock, Timestamp};
use midwatch_remediation::{RemediationConfig, RemediationServer, SpendStore};
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

const CATALOG: &str = "[[service]]\nname='batch'\ntier=2\nenvironment='production'\n";

async fn client(change: impl FnOnce(&mut RemediationConfig)) -> Client {
    let clock = FixedClock(Timestamp::from_second(1_795_226_400).unwrap());
    // Nothing listens there: what is tested here never gets that far.
    let aws = Aws::new(AwsSettings::local("http://127.0.0.1:9", "us-east-1"));
    let ctx = Ctx::new(aws, Arc::new(Catalog::parse(CATALOG).unwrap()), Arc::new(clock));
    let mut config = RemediationConfig::planning_only(SpendStore::in_memory().unwrap());
    change(&mut config);
    connect_in_process(RemediationServer::new(ctx, config)).await.unwrap()
}

async fn call(client: &Client, tool: &'static str, arguments: Value) -> Value {
    let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().unwrap().clone());
    client.call_tool(request).await.unwrap().structured_content.unwrap()
}

#[tokio::test]
async fn the_list_of_tools_is_stable() {
    insta::assert_json_snapshot!(client(|_| ()).await.list_all_tools().await.unwrap());
}

#[tokio::test]
async fn without_a_desk_every_mutating_tool_refuses_and_says_what_to_do() {
    let client = client(|_| ()).await;
    for (tool, arguments) in [
        ("rollback_deployment", json!({"service": "batch", "deployment_id": "d-1"})),
        ("restart_service", json!({"service": "batch"})),
        ("scale_service", json!({"service": "batch", "desired_count": 3})),
    ] {
        let receipt = call(&client, tool, arguments).await;
        assert_eq!(receipt["outcome"], "refused", "{receipt}");
        assert_eq!(receipt["reason"]["kind"], "no_keys");
        assert!(receipt["reason"]["message"].as_str().unwrap().contains("midwatch keys"), "{receipt}");
        assert_eq!(receipt["calls"], json!([]));
    }
}

#[tokio::test]
async fn a_caller_without_a_name_is_refused() {
    let client = client(|config| config.local_caller = None).await;
    let answer = call(&client, "restart_service", json!({"service": "batch"})).await;
    assert_eq!(ToolError::from_structured(&answer).unwrap().kind, ErrorKind::Refused);
}

#[tokio::test]
async fn what_cannot_be_planned_is_a_clear_error() {
    let client = client(|_| ()).await;
    for (arguments, kind, says) in [
        (json!({"action": "rollback_deployment", "service": "batch"}), ErrorKind::Invalid, "deployment_id"),
        (
            json!({"action": "restart_service", "service": "batch", "desired_count": 2}),
            ErrorKind::Invalid,
            "neither",
        ),
        (json!({"action": "delete_service", "service": "batch"}), ErrorKind::Invalid, "delete_service"),
        (json!({"action": "restart_service", "service": "b\u{430}tch"}), ErrorKind::Invalid, "service name"),
        (json!({"action": "restart_service", "service": "nobody"}), ErrorKind::NotFound, "nobody"),
        (
            json!({"action": "restart_service", "service": "batch"}),
            ErrorKind::Refused,
            "names no ECS service",
        ),
        (
            json!({"action": "rollback_deployment", "service": "batch", "deployment_id": "d-1"}),
            ErrorKind::Refused,
            "deployment group",
        ),
    ] {
        let error = ToolError::from_structured(&call(&client, "plan", arguments).await).unwrap();
        assert_eq!(error.kind, kind, "{error:?}");
        assert!(error.message.contains(says), "{error:?}");
    }
}
