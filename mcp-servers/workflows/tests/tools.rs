//! The tools as a client sees them.

#![allow(clippy::unwrap_used, reason = "a helper of tests")]

use std::sync::Arc;

use midwatch_mcp::{Aws, AwsSettings, Ctx, ErrorKind, ToolError, connect_in_process};
use midwatch_policy::{Catalog, FixedClock, Timestamp};
use midwatch_workflows::WorkflowsServer;
use rmcp::model::CallToolRequestParams;

const MACHINE: &str = "arn:aws:states:us-east-1:123456789012:stateMachine:orders";
const CATALOG: &str = "[[service]]\nname='batch'\ntier=2\nenvironment='production'\n\
    [[service]]\nname='orders'\ntier=2\nenvironment='production'\n\
    state_machine='arn:aws:states:us-east-1:123456789012:stateMachine:orders'\n";

fn server() -> WorkflowsServer {
    let clock = FixedClock(Timestamp::from_second(1_795_226_400).unwrap());
    // Nothing listens there: what is tested here never gets that far.
    let aws = Aws::new(AwsSettings::local("http://127.0.0.1:9", "us-east-1"));
    WorkflowsServer::new(Ctx::new(aws, Arc::new(Catalog::parse(CATALOG).unwrap()), Arc::new(clock)))
}

#[tokio::test]
async fn the_list_of_tools_is_stable() {
    let client = connect_in_process(server()).await.unwrap();
    insta::assert_json_snapshot!(client.list_all_tools().await.unwrap());
}

#[tokio::test]
async fn bad_arguments_are_answered_with_what_mends_them() {
    let client = connect_in_process(server()).await.unwrap();
    let call = async |tool: &'static str, arguments: serde_json::Value| {
        let arguments = arguments.as_object().unwrap().clone();
        let request = CallToolRequestParams::new(tool).with_arguments(arguments);
        let result = client.call_tool(request).await.unwrap();
        assert_eq!(result.is_error, Some(true));
        ToolError::from_structured(&result.structured_content.unwrap()).unwrap()
    };
    let window = |more: serde_json::Value| {
        let mut all = serde_json::json!({"from": "2026-11-21T01:00:00Z", "to": "2026-11-21T02:00:00Z"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    };
    let nobody = call("list_executions", window(serde_json::json!({"service": "nobody"}))).await;
    assert_eq!((nobody.kind, nobody.mend.as_str()), (ErrorKind::NotFound, "services are: batch, orders"));
    let without = call("list_executions", window(serde_json::json!({"service": "batch"}))).await;
    assert_eq!(without.kind, ErrorKind::NotFound);
    assert!(without.mend.ends_with("a service that has one: orders"), "{without:?}");
    let neither = call("explain_failure", serde_json::json!({})).await;
    let both = serde_json::json!({"service": "orders", "state_machine": MACHINE});
    let version = serde_json::json!({"state_machine": format!("{MACHINE}:7")});
    let foreign = "arn:aws:states:us-east-1:123456789012:execution:others:x";
    let wide = serde_json::json!({"service": "orders", "from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"});
    for (error, says) in [
        (neither, "give one of the two"),
        (call("compare_executions", both).await, "give one of the two"),
        (call("explain_failure", version).await, "without a version or an alias"),
        (call("explain_failure", wide).await, "at most"),
        (
            call("list_executions", window(serde_json::json!({"service": "orders", "input": true}))).await,
            "arguments are",
        ),
        (
            call("list_executions", window(serde_json::json!({"service": "orders", "limit": 51}))).await,
            "1 to 50",
        ),
    ] {
        assert_eq!(error.kind, ErrorKind::Invalid, "{error:?}");
        assert!(error.mend.contains(says), "{error:?}");
    }
    // What is checked before AWS is asked is answered without it: nothing listens there.
    let other = serde_json::json!({"service": "orders", "good": foreign, "execution": foreign});
    let other = call("compare_executions", other).await;
    assert!(other.mend.contains(":execution:orders:"), "{other:?}");
}
