//! What queries may cost and what they did, at the wire: an endpoint that says how much each scans.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    body::Bytes,
    http::{HeaderMap, StatusCode},
    response::IntoResponse as _,
    routing::post,
};
use midwatch_logs::LogsServer;
use midwatch_mcp::{Aws, AwsSettings, Ctx, Spent, SystemClock, connect_in_process};
use midwatch_policy::Catalog;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};

/// An endpoint where queries scan so many bytes.
#[derive(Debug, Clone, Copy)]
struct Wire {
    /// What `estimate` says; nothing where it is not known there.
    estimate: Option<u64>,
    /// What each query scans.
    scans: u64,
    /// Bytes that the group holds; nothing where nobody may ask.
    stored: Option<u64>,
    /// Whether queries end.
    ends: bool,
}

type Asked = Arc<Mutex<BTreeMap<String, u32>>>;

async fn endpoint(wire: Wire) -> (String, Asked) {
    let asked = Asked::default();
    let log = asked.clone();
    let answer = move |headers: HeaderMap, body: Bytes| async move {
        let target = headers.get("x-amz-target").and_then(|t| t.to_str().ok()).unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let is_estimate = body["queryString"].as_str().is_some_and(|query| query.contains("estimate"));
        let counted = if is_estimate { "estimate" } else { operation.as_str() };
        *log.lock().unwrap().entry(counted.to_owned()).or_default() += 1;
        let failed = |kind: &str| (StatusCode::BAD_REQUEST, json!({ "__type": kind, "message": "no" }));
        let (status, body) = match operation.as_str() {
            "StartQuery" if is_estimate && wire.estimate.is_none() => failed("MalformedQueryException"),
            "StartQuery" => {
                (StatusCode::OK, json!({ "queryId": if is_estimate { "estimate" } else { "query" } }))
            }
            "GetQueryResults" if body["queryId"] == "estimate" => {
                let bytes = wire.estimate.unwrap_or_default().to_string();
                let row = json!([{ "field": "estimatedBytesScanned", "value": bytes }]);
                (StatusCode::OK, json!({ "status": "Complete", "results": [row] }))
            }
            "GetQueryResults" => {
                let status = if wire.ends { "Complete" } else { "Running" };
                let statistics =
                    json!({ "bytesScanned": wire.scans, "recordsMatched": 0, "recordsScanned": 1 });
                (StatusCode::OK, json!({ "status": status, "results": [], "statistics": statistics }))
            }
            "StopQuery" => (StatusCode::OK, json!({ "success": true })),
            "FilterLogEvents" => (StatusCode::OK, json!({ "events": [] })),
            "DescribeLogGroups" => match wire.stored {
                Some(bytes) => {
                    let group = json!({ "logGroupName": "/a", "storedBytes": bytes, "creationTime": 0, "retentionInDays": 1 });
                    (StatusCode::OK, json!({ "logGroups": [group] }))
                }
                None => failed("AccessDeniedException"),
            },
            // CloudWatch, for one.
            _ => failed("AccessDeniedException"),
        };
        (status, [("content-type", "application/x-amz-json-1.1")], body.to_string()).into_response()
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(post(answer));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    (endpoint, asked)
}

/// A call of half an hour, or of as many minutes, with this allowance: its content, and whether it failed.
async fn call(endpoint: &str, tool: &'static str, minutes: u32, allowed: Option<u64>) -> (Value, bool) {
    call_of(endpoint, &["/a"], (tool, minutes), allowed).await
}

async fn call_of(
    endpoint: &str,
    groups: &[&str],
    (tool, minutes): (&'static str, u32),
    allowed: Option<u64>,
) -> (Value, bool) {
    let aws = Aws::new(AwsSettings::local(endpoint, "us-east-1"));
    let server = LogsServer::new(Ctx::new(aws, Arc::new(Catalog::default()), Arc::new(SystemClock)));
    let client = connect_in_process(server).await.unwrap();
    let mut arguments = json!({ "log_groups": groups, "from": "2025-11-21T02:00:00Z" });
    arguments["to"] = format!("2025-11-21T{:02}:{:02}:00Z", 2 + minutes / 60, minutes % 60).into();
    if tool == "log_query" {
        arguments["query"] = "fields @message".into();
    }
    let mut request =
        CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap());
    if let Some(bytes_scanned) = allowed {
        Spent { bytes_scanned, ..Spent::default() }.allow(&mut request);
    }
    let result = client.call_tool(request).await.unwrap();
    (result.structured_content.unwrap(), result.is_error == Some(true))
}

const GB: u64 = 1_000_000_000;

#[tokio::test]
async fn results_say_what_they_scanned_and_every_pass_counts() {
    let (at, _) = endpoint(Wire { estimate: Some(GB), scans: GB, stored: Some(900 * GB), ends: true }).await;
    let (found, _) = call(&at, "log_query", 30, None).await;
    assert_eq!(
        (&found["spent"], &found["cost"]["basis"]),
        (&json!({ "bytes_scanned": GB }), &json!("estimate"))
    );
    // Lines and counts of two windows.
    let (found, _) = call(&at, "error_patterns", 30, None).await;
    assert_eq!(found["spent"], json!({ "bytes_scanned": 4 * GB }), "{found}");
}

#[tokio::test]
async fn what_a_caller_does_not_allow_is_refused_before_it_costs_anything() {
    let (at, asked) = endpoint(Wire { estimate: Some(GB), scans: GB, stored: None, ends: true }).await;
    let (error, failed) = call(&at, "log_query", 30, Some(GB - 1)).await;
    assert!(failed, "{error}");
    assert_eq!((&error["error"]["kind"], &error["error"]["spent"]), (&json!("refused"), &json!({})));
    assert_eq!(asked.lock().unwrap().get("StartQuery"), None);
    let (found, failed) = call(&at, "log_query", 30, Some(GB)).await;
    assert!(!failed, "{found}");
    // With nothing to spend, what is free is read instead.
    let (found, failed) = call(&at, "error_patterns", 30, Some(0)).await;
    assert!(!failed && found["spent"] == json!({}), "{found}");
    assert!(found["notes"].to_string().contains("nothing is left to spend"), "{found}");
    assert!(asked.lock().unwrap().contains_key("FilterLogEvents"));
}

#[tokio::test]
async fn groups_that_do_not_all_fit_are_refused_before_any_is_read_where_more_may_be_allowed() {
    let wire = |bytes| Wire { estimate: Some(bytes), scans: bytes, stored: None, ends: true };
    let (at, asked) = endpoint(wire(GB)).await;
    // Lines and counts of two windows are 4 GB of each group.
    let of = |allowed| call_of(&at, &["/a", "/b"], ("error_patterns", 30), allowed);
    let (error, failed) = of(Some(4 * GB)).await;
    assert!(failed, "{error}");
    assert_eq!((&error["error"]["kind"], &error["error"]["spent"]), (&json!("refused"), &json!({})));
    assert_eq!(asked.lock().unwrap().get("StartQuery"), None);
    let (found, failed) = of(Some(8 * GB)).await;
    assert!(!failed && found["log_groups"] == json!(["/a", "/b"]), "{found}");
    assert_eq!(found["spent"], json!({ "bytes_scanned": 8 * GB }));
    // Where nobody can allow more, what fits is read.
    let (at, _) = endpoint(wire(3 * GB)).await;
    let (found, failed) = call_of(&at, &["/a", "/b"], ("error_patterns", 30), None).await;
    assert!(!failed && found["log_groups"].as_array().unwrap().len() == 1, "{found}");
    assert!(found["notes"].to_string().contains("could not be read"), "{found}");
}

#[tokio::test]
async fn what_nobody_can_price_is_read_for_a_short_time_only_and_stopped_at_the_bound() {
    let wire = Wire { estimate: None, scans: 3 * GB, stored: None, ends: false };
    let (at, asked) = endpoint(wire).await;
    let (error, failed) = call(&at, "log_query", 90, None).await;
    assert!(failed && error["error"]["kind"] == "refused", "{error}");
    assert!(error["error"]["mend"].as_str().unwrap().contains("at most 60 minutes"), "{error}");
    assert_eq!(asked.lock().unwrap().get("StartQuery"), None);
    let (found, failed) = call(&at, "log_query", 30, Some(2 * GB)).await;
    assert!(!failed && found["status"] == "partial", "{found}");
    // It is more than was allowed, and said to be.
    assert_eq!(
        (&found["cost"]["basis"], &found["spent"]),
        (&json!("unknown"), &json!({ "bytes_scanned": 3 * GB }))
    );
    for _ in 0..100 {
        if asked.lock().unwrap().contains_key("StopQuery") {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("it was not stopped: {:?}", asked.lock().unwrap());
}

#[tokio::test]
async fn all_that_is_stored_may_be_of_the_window() {
    // A group that has logged for a day, and nearly all of it in the last half hour.
    let wire = Wire { estimate: None, scans: GB / 2, stored: Some(GB / 2), ends: true };
    let (at, _) = endpoint(wire).await;
    let (found, failed) = call(&at, "log_query", 30, None).await;
    assert!(!failed, "{found}");
    assert_eq!(found["cost"]["basis"], "stored_bytes");
    assert_eq!(found["cost"]["estimated_bytes"], found["statistics"]["bytes_scanned"], "{found}");
    // More than may be scanned is stored: it may be little of the window, and is stopped where it is not.
    let (at, _) = endpoint(Wire { ends: false, ..wire }).await;
    let (found, failed) = call(&at, "log_query", 30, Some(GB / 4)).await;
    assert!(!failed && found["cost"]["basis"] == "unknown" && found["status"] == "partial", "{found}");
    let (error, failed) = call(&at, "log_query", 90, Some(GB / 4)).await;
    assert!(failed && error["error"]["mend"].as_str().unwrap().contains("at most 60 minutes"), "{error}");
}
