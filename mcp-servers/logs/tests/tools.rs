//! The tools as a client sees them. A change of this snapshot changes the contract.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::sync::Arc;

use midwatch_logs::LogsServer;
use midwatch_mcp::{Aws, AwsSettings, Ctx, SystemClock, connect_in_process};
use midwatch_policy::Catalog;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

fn server() -> LogsServer {
    // Nothing listens there: what needs AWS fails, what does not must work.
    let aws = Aws::new(AwsSettings::local("http://127.0.0.1:1", "us-east-1"));
    LogsServer::new(Ctx::new(aws, Arc::new(Catalog::default()), Arc::new(SystemClock)))
}

#[tokio::test]
async fn the_list_of_tools() {
    let client = connect_in_process(server()).await.unwrap();
    insta::assert_json_snapshot!(client.list_all_tools().await.unwrap());
}

async fn error_of(tool: &'static str, arguments: Value) -> Value {
    let client = connect_in_process(server()).await.unwrap();
    let request = CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
    let result = client.call_tool(request).await.unwrap();
    assert_eq!(result.is_error, Some(true), "{result:?}");
    result.structured_content.unwrap()["error"].clone()
}

#[tokio::test]
async fn wrong_arguments_are_explained() {
    let window = |extra: Value| {
        let mut arguments = json!({"from": "2026-11-21T02:00:00Z", "to": "2026-11-21T02:30:00Z"});
        arguments.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        arguments
    };
    for (arguments, kind, says) in [
        (window(json!({})), "invalid", "no service"),
        (window(json!({"service": "nope"})), "not_found", "no service `nope`"),
        (window(json!({"log_groups": ["/a"], "to": "2026-11-21T01:00:00Z"})), "invalid", "not before"),
        (window(json!({"log_groups": ["/a"], "to": "2026-11-29T01:00:00Z"})), "invalid", "spans"),
        (window(json!({"log_groups": ["/a"], "from": "yesterday"})), "invalid", "yesterday"),
        (window(json!({"log_groups": ["/a"], "form": 1})), "invalid", "form"),
        (window(json!({"log_groups": ["/a"], "limit": 31})), "invalid", "`limit` is 31"),
        (window(json!({"log_groups": ["x".repeat(900_000)]})), "invalid", "900000 bytes"),
    ] {
        let error = error_of("error_patterns", arguments.clone()).await;
        assert_eq!(error["kind"], kind, "{arguments} {error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{arguments} {error}");
        assert!(!error["mend"].as_str().unwrap().is_empty());
        assert!(error.to_string().len() < 1000, "{error}");
    }
}

#[tokio::test]
async fn a_window_that_has_not_begun_is_refused() {
    let window = json!({"log_groups": ["/a"], "from": "2999-01-01T00:00:00Z", "to": "2999-01-01T01:00:00Z"});
    let mut query = window.clone();
    query["query"] = json!("fields @message");
    for (tool, arguments) in [("error_patterns", window), ("log_query", query)] {
        let error = error_of(tool, arguments).await;
        assert_eq!(error["kind"], "invalid", "{tool} {error}");
        assert!(error["message"].as_str().unwrap().contains("after the present"), "{tool} {error}");
    }
}

#[tokio::test]
async fn an_unreachable_aws_is_named() {
    let arguments =
        json!({"log_groups": ["/a"], "from": "2025-11-21T02:00:00Z", "to": "2025-11-21T02:30:00Z"});
    let error = error_of("error_patterns", arguments).await;
    assert_eq!(error["kind"], "unavailable", "{error}");
    assert!(error["mend"].as_str().unwrap().contains("AWS_ENDPOINT_URL"), "{error}");
}
