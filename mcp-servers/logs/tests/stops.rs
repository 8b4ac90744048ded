//! A query that nobody waits for is stopped at AWS. At the wire, against an endpoint whose queries
//! never end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    http::{HeaderMap, StatusCode},
    routing::post,
};
use midwatch_logs::LogsServer;
use midwatch_mcp::{
    Aws, AwsSettings, Ctx, SystemClock, connect_in_process,
    http::{self, HttpSettings},
    http_client,
};
use midwatch_policy::{Catalog, Clock, Timestamp};
use rmcp::{
    model::{CallToolRequest, CallToolRequestParams, ClientRequest},
    service::PeerRequestOptions,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

fn request(arguments: &Value) -> CallToolRequestParams {
    CallToolRequestParams::new("log_query").with_arguments(arguments.as_object().cloned().unwrap())
}

/// An endpoint whose queries run for ever, and where so many requests to stop one fail. Keeps the
/// operations that it was asked for.
async fn endless(failing: usize) -> (String, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = asked.clone();
    let answer = move |headers: HeaderMap| {
        let log = log.clone();
        async move {
            let target = headers.get("x-amz-target").and_then(|t| t.to_str().ok()).unwrap_or_default();
            let operation = target.rsplit('.').next().unwrap_or_default().to_owned();
            log.lock().unwrap().push(operation.clone());
            let fails = operation == "StopQuery" && count(&log, "StopQuery") <= failing;
            let status = if fails { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
            let body = match operation.as_str() {
                "StartQuery" => json!({ "queryId": "q-1" }),
                "GetQueryResults" => json!({ "status": "Running", "results": [] }),
                "StopQuery" => json!({ "success": true }),
                "DescribeLogGroups" => {
                    json!({ "logGroups": [{ "logGroupName": "/a", "storedBytes": 1000, "creationTime": 0 }] })
                }
                other => panic!("unexpected {other}"),
            };
            (status, [("content-type", "application/x-amz-json-1.1")], body.to_string())
        }
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await.unwrap() });
    (endpoint, asked)
}

fn count(asked: &Mutex<Vec<String>>, operation: &str) -> usize {
    asked.lock().unwrap().iter().filter(|one| *one == operation).count()
}

async fn until(asked: &Mutex<Vec<String>>, operation: &str) {
    for _ in 0..200 {
        if count(asked, operation) > 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no {operation} in ten seconds: {:?}", asked.lock().unwrap());
}

fn endless_query() -> Value {
    json!({ "log_groups": ["/a"], "query": "fields @message", "from": "2025-11-21T02:00:00Z", "to": "2025-11-21T02:30:00Z" })
}

#[tokio::test]
async fn a_query_is_stopped_at_aws_when_the_caller_cancels() {
    let (endpoint, asked) = endless(0).await;
    let aws = Aws::new(AwsSettings::local(&endpoint, "us-east-1"));
    let server = LogsServer::new(Ctx::new(aws, Arc::new(Catalog::default()), Arc::new(SystemClock)));
    let client = connect_in_process(server).await.unwrap();
    let call = ClientRequest::CallToolRequest(CallToolRequest::new(request(&endless_query())));
    let handle = client.send_cancellable_request(call, PeerRequestOptions::no_options()).await.unwrap();
    until(&asked, "GetQueryResults").await;
    assert_eq!(count(&asked, "StopQuery"), 0);
    handle.cancel(Some("no longer wanted".to_owned())).await.unwrap();
    until(&asked, "StopQuery").await;
    let polls = count(&asked, "GetQueryResults");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(count(&asked, "GetQueryResults"), polls, "it was polled on after the caller went away");
}

#[tokio::test]
async fn over_http_too_by_a_notification_or_by_closing_the_request() {
    for by_notification in [true, false] {
        let (endpoint, asked) = endless(0).await;
        let aws = Aws::new(AwsSettings::local(&endpoint, "us-east-1"));
        let server = LogsServer::new(Ctx::new(aws, Arc::new(Catalog::default()), Arc::new(SystemClock)));
        let bound = http::bind(server, HttpSettings::on("127.0.0.1:0".parse().unwrap())).await.unwrap();
        let url = format!("http://{}{}", bound.local_addr(), http::PATH);
        let stop = CancellationToken::new();
        let serving = tokio::spawn(bound.run(stop.clone()));
        let message = |session: &str, body: Value| {
            let request = http_client().unwrap().post(&url).json(&body);
            let request = request.header("Accept", "application/json, text/event-stream");
            request.header("Mcp-Session-Id", session).send()
        };
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {},
            "clientInfo": { "name": "t", "version": "1" } });
        let hello = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello });
        let begun = http_client().unwrap().post(&url).json(&hello);
        let begun = begun.header("Accept", "application/json, text/event-stream").send().await.unwrap();
        let session = begun.headers()["mcp-session-id"].to_str().unwrap().to_owned();

        let call = json!({ "jsonrpc": "2.0", "id": "q", "method": "tools/call",
            "params": { "name": "log_query", "arguments": endless_query() } });
        let calling = tokio::spawn(message(&session, call));
        until(&asked, "GetQueryResults").await;
        assert_eq!(count(&asked, "StopQuery"), 0);
        if by_notification {
            let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled",
                "params": { "requestId": "q" } });
            message(&session, cancelled).await.unwrap();
        } else {
            calling.abort();
        }
        until(&asked, "StopQuery").await;
        stop.cancel();
        serving.await.unwrap().unwrap();
    }
}

/// A clock on which waiting takes no time.
#[derive(Debug)]
struct Leaping(Mutex<Timestamp>);

impl Clock for Leaping {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }

    fn sleep<'a>(&'a self, span: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let mut now = self.0.lock().unwrap();
        *now = now.checked_add(jiff::SignedDuration::try_from(span).unwrap()).unwrap();
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn a_query_is_stopped_at_aws_at_the_deadline_and_polled_politely_until_then() {
    let (endpoint, asked) = endless(0).await;
    let aws = Aws::new(AwsSettings::local(&endpoint, "us-east-1"));
    let clock = Arc::new(Leaping(Mutex::new("2026-11-21T02:00:00Z".parse().unwrap())));
    let client = connect_in_process(LogsServer::new(Ctx::new(aws, Arc::new(Catalog::default()), clock)))
        .await
        .unwrap();
    let answer = client.call_tool(request(&endless_query())).await.unwrap().structured_content.unwrap();
    assert_eq!(answer["status"], "partial", "{answer}");
    until(&asked, "StopQuery").await;
    // 45 s in steps that grow to 1.2 s.
    assert!((30..60).contains(&count(&asked, "GetQueryResults")), "{}", count(&asked, "GetQueryResults"));
}

#[tokio::test]
async fn a_stop_that_fails_is_tried_again() {
    // The SDK tries three times by itself.
    let (endpoint, asked) = endless(3).await;
    let aws = Aws::new(AwsSettings::local(&endpoint, "us-east-1"));
    let clock = Arc::new(Leaping(Mutex::new("2026-11-21T02:00:00Z".parse().unwrap())));
    let client = connect_in_process(LogsServer::new(Ctx::new(aws, Arc::new(Catalog::default()), clock)))
        .await
        .unwrap();
    client.call_tool(request(&endless_query())).await.unwrap();
    for _ in 0..200 {
        if count(&asked, "StopQuery") == 4 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it was given up: {}", count(&asked, "StopQuery"));
}
