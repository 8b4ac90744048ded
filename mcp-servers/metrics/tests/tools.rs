//! The tools as a client sees them. A change of this snapshot changes the contract.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test")]

use std::sync::Arc;

use midwatch_mcp::{Aws, AwsSettings, Ctx, SystemClock, connect_in_process};
use midwatch_metrics::MetricsServer;
use midwatch_policy::Catalog;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

fn server() -> MetricsServer {
    // Nothing listens there: what needs AWS fails, what does not must work.
    let aws = Aws::new(AwsSettings::local("http://127.0.0.1:1", "us-east-1"));
    let catalog = Catalog::parse("[[service]]\nname='web'\ntier=1\nenvironment='production'\n").unwrap();
    MetricsServer::new(Ctx::new(aws, Arc::new(catalog), Arc::new(SystemClock)))
}

#[tokio::test]
async fn the_list_of_tools() {
    let client = connect_in_process(server()).await.unwrap();
    insta::assert_json_snapshot!(client.list_all_tools().await.unwrap());
}

#[tokio::test]
async fn wrong_arguments_are_explained() {
    let client = connect_in_process(server()).await.unwrap();
    let window = |extra: &Value| {
        let mut arguments = json!({"from": "2025-11-21T02:00:00Z", "to": "2025-11-21T02:30:00Z"});
        arguments.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap());
        arguments
    };
    for (tool, arguments, kind, says) in [
        ("metric_window", window(&json!({})), "invalid", "not clear"),
        ("metric_window", window(&json!({"role": "traffic"})), "invalid", "needs a service"),
        ("metric_window", window(&json!({"role": "traffic", "service": "web"})), "not_found", "no `traffic`"),
        ("metric_window", window(&json!({"role": "traffic", "alarm_name": "a"})), "invalid", "not clear"),
        ("metric_window", window(&json!({"role": "speed", "service": "web"})), "invalid", "speed"),
        ("list_alarms", json!({"service": "nope"}), "not_found", "no service `nope`"),
        ("get_alarm", json!({"alarm_name": "a"}), "unavailable", "cloudwatch:DescribeAlarms"),
        (
            "alarm_history",
            window(&json!({"alarm_name": "a", "to": "2025-11-20T00:00:00Z"})),
            "invalid",
            "not before",
        ),
    ] {
        let request =
            CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
        let result = client.call_tool(request).await.unwrap();
        assert_eq!(result.is_error, Some(true), "{arguments} {result:?}");
        let error = &result.structured_content.as_ref().unwrap()["error"];
        assert_eq!(error["kind"], kind, "{arguments} {error}");
        assert!(error["message"].as_str().unwrap().contains(says), "{arguments} {error}");
    }
}
