//! The tools as a client sees them.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::sync::Arc;

use midwatch_deployments::DeploymentsServer;
use midwatch_mcp::{Aws, AwsSettings, Ctx, ErrorKind, ToolError, connect_in_process};
use midwatch_policy::{Catalog, FixedClock, Timestamp};
use rmcp::model::CallToolRequestParams;

const CATALOG: &str = "[[service]]\nname='batch'\ntier=2\nenvironment='production'\n";

fn server() -> DeploymentsServer {
    let clock = FixedClock(Timestamp::from_second(1_795_226_400).unwrap());
    // Nothing listens there: what is tested here never gets that far.
    let aws = Aws::new(AwsSettings::local("http://127.0.0.1:9", "us-east-1"));
    DeploymentsServer::new(Ctx::new(aws, Arc::new(Catalog::parse(CATALOG).unwrap()), Arc::new(clock)))
}

#[tokio::test]
async fn the_list_of_tools_is_stable() {
    let client = connect_in_process(server()).await.unwrap();
    insta::assert_json_snapshot!(client.list_all_tools().await.unwrap());
}

#[tokio::test]
async fn bad_arguments_and_unknown_services_are_answered_in_the_common_shape() {
    let client = connect_in_process(server()).await.unwrap();
    let call = async |tool: &'static str, arguments: serde_json::Value| {
        let arguments = arguments.as_object().unwrap().clone();
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = client.call_tool(request).await.unwrap();
        assert_eq!(result.is_error, Some(true));
        ToolError::from_structured(&result.structured_content.unwrap()).unwrap()
    };
    let window = |service: &str| serde_json::json!({"service": service, "from": "2026-11-21T01:00:00Z", "to": "2026-11-21T02:00:00Z"});
    let unknown = call("list_deployments", window("nobody")).await;
    assert_eq!((unknown.kind, unknown.mend.as_str()), (ErrorKind::NotFound, "services are: batch"));
    let mut extra = window("batch");
    extra["force"] = true.into();
    assert_eq!(call("list_deployments", extra).await.kind, ErrorKind::Invalid);
    let reversed = serde_json::json!({"service": "batch", "onset": "2026-11-21T02:00:00Z", "onset_earliest": "2026-11-21T02:01:00Z"});
    assert_eq!(call("correlate", reversed).await.kind, ErrorKind::Invalid);
    for (tool, arguments) in [
        (
            "list_deployments",
            serde_json::json!({"from": "2030-01-01T00:00:00Z", "to": "2030-01-02T00:00:00Z"}),
        ),
        ("correlate", serde_json::json!({"onset": "2036-11-21T01:59:30Z"})),
        (
            "correlate",
            serde_json::json!({"onset": "2036-11-21T01:59:30Z", "from": "2026-11-20T00:00:00Z",
            "to": "2026-11-21T00:00:00Z"}),
        ),
        ("service_health", serde_json::json!({"to": "2030-01-02T00:00:00Z"})),
    ] {
        let mut arguments = arguments;
        arguments["service"] = "batch".into();
        let error = call(tool, arguments).await;
        assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
        assert!(error.message.contains("after the present (2026-"), "{error:?}");
    }
    // As it is cited: whichever kind of reference it is, the deployment is meant.
    for id in ["d-1", "deploy:d-1", "candidate:d-1", "change:d-1"] {
        let missing =
            call("what_changed", serde_json::json!({"service": "batch", "deployment_id": id})).await;
        assert_eq!(missing.message, "no deployment `d-1` of `batch`");
    }
}

#[tokio::test]
async fn a_service_without_targets_is_unknown_and_not_healthy() {
    let client = connect_in_process(server()).await.unwrap();
    let arguments = serde_json::json!({"service": "batch"}).as_object().unwrap().clone();
    let result = client
        .call_tool(CallToolRequestParams::new("service_health").with_arguments(arguments))
        .await
        .unwrap();
    let health = result.structured_content.unwrap();
    assert_eq!(health["known"], false);
    assert!(health.get("healthy").is_none());
    assert!(health["notes"][0].as_str().unwrap().contains("cannot be counted"), "{health}");
    assert!(!health["notes"].to_string().contains("are of now"), "{health}");
    let past = serde_json::json!({"service": "batch", "to": "2026-11-01T00:00:00Z"});
    let past = CallToolRequestParams::new("service_health").with_arguments(past.as_object().unwrap().clone());
    let health = client.call_tool(past).await.unwrap().structured_content.unwrap();
    assert!(health["notes"].to_string().contains("are of now (2026-"), "{health}");
    let late = serde_json::json!({"service": "batch", "onset": "2026-11-21T01:00:00Z", "from": "2026-11-21T01:30:00Z", "to": "2026-11-21T02:00:00Z"});
    let late = CallToolRequestParams::new("correlate").with_arguments(late.as_object().unwrap().clone());
    let found = client.call_tool(late).await.unwrap().structured_content.unwrap();
    assert!(found["notes"].to_string().contains("is after the onset"), "{found}");
}
