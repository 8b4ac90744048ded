//! SIGTERM, and a client that goes away, with a query of the logs server's binary under way: it is stopped at AWS,
//! where it would scan on and cost, whatever the transport; and whatever can be answered is.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    clippy::panic,
    reason = "a test"
)]

use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Json, Router, extract::State, http::HeaderMap};
use midwatch_mcp::{Remote, SystemClock, ToolError};
use midwatch_policy::Clock as _;
use rmcp::model::CallToolRequestParams;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    process::{Child, Command},
};

/// Longer than any of it may take, however busy the machine.
const PATIENCE: Duration = Duration::from_mins(1);

/// What AWS was asked.
type Heard = Arc<Mutex<Vec<String>>>;

/// A Logs Insights in which no query ends by itself.
async fn aws(State(heard): State<Heard>, headers: HeaderMap) -> Json<Value> {
    let target = headers["x-amz-target"].to_str().unwrap();
    let operation = target.rsplit('.').next().unwrap();
    heard.lock().unwrap().push(operation.to_owned());
    Json(match operation {
        "DescribeLogGroups" => {
            json!({"logGroups": [{"logGroupName": "/g", "storedBytes": 1000, "creationTime": 1_700_000_000_000_u64}]})
        }
        "StartQuery" => json!({"queryId": "q-1"}),
        "GetQueryResults" => json!({"status": "Running", "results": [], "statistics": {"bytesScanned": 1.0}}),
        "StopQuery" => {
            tokio::time::sleep(Duration::from_millis(300)).await;
            heard.lock().unwrap().push("stopped".to_owned());
            json!({"success": true})
        }
        other => panic!("{other}"),
    })
}

struct Stage {
    heard: Heard,
    endpoint: String,
}

impl Stage {
    async fn new() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heard = Heard::default();
        let router = Router::new().fallback(aws).with_state(Arc::clone(&heard));
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { heard, endpoint }
    }

    fn start(&self, more: &[&str]) -> Child {
        let beside = std::env::var_os("MIDWATCH_BIN").map_or_else(
            || std::env::current_exe().unwrap().ancestors().nth(2).unwrap().to_owned(),
            PathBuf::from,
        );
        let binary = beside.join("midwatch-logs");
        assert!(binary.exists(), "`{}` is missing: cargo build --workspace --bins", binary.display());
        Command::new(binary)
            .args(["--grace", "1", "--log", "info"])
            .args(more)
            .env_clear()
            .env("AWS_ENDPOINT_URL", &self.endpoint)
            .env("AWS_ACCESS_KEY_ID", "AKIDLOCAL")
            .env("AWS_SECRET_ACCESS_KEY", "local")
            .env("AWS_REGION", "us-east-1")
            .env("AWS_CONFIG_FILE", "/dev/null")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Waits until the query is polled.
    async fn under_way(&self) {
        let seen = || self.heard.lock().unwrap().iter().any(|operation| operation == "GetQueryResults");
        tokio::time::timeout(PATIENCE, async {
            while !seen() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
        .await
        .unwrap();
    }

    /// Waits for its end: by itself, with 0, and with the query stopped at AWS.
    async fn ended(&self, mut child: Child) {
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
        assert_eq!(status.code(), Some(0), "{status}");
        assert_eq!(self.heard.lock().unwrap().last().map(String::as_str), Some("stopped"));
    }
}

fn arguments() -> Value {
    let now = SystemClock.now();
    let from = now - jiff::SignedDuration::from_mins(10);
    json!({"log_groups": ["/g"], "query": "fields @message", "from": from.to_string(), "to": now.to_string()})
}

fn terminate(child: &Child) {
    let id = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
}

#[tokio::test]
async fn over_http_the_query_is_stopped_and_its_caller_told() {
    let stage = Stage::new().await;
    let mut child = stage.start(&["--http", "127.0.0.1:0"]);
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    let addr = loop {
        let line = log.next_line().await.unwrap().expect("it starts");
        if let Some((_, rest)) = line.split_once("addr=") {
            break rest.split_whitespace().next().unwrap().to_owned();
        }
    };
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    let client = Remote::new(&format!("http://{addr}/mcp"), "unused").unwrap().connect().await.unwrap();
    let request =
        CallToolRequestParams::new("log_query").with_arguments(arguments().as_object().unwrap().clone());
    let calling = tokio::spawn(async move { client.call_tool(request).await });
    stage.under_way().await;
    terminate(&child);
    let answer = calling.await.unwrap().unwrap().structured_content.unwrap();
    assert_eq!(
        ToolError::from_structured(&answer).unwrap().message,
        "the call was cut off: the server is shutting down"
    );
    stage.ended(child).await;
}

/// A client on stdio with a query under way.
async fn on_stdio(stage: &Stage) -> Child {
    let mut child = stage.start(&[]);
    let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
    tokio::spawn(async move { while let Ok(Some(_)) = log.next_line().await {} });
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let call = json!({"name": "log_query", "arguments": arguments()});
    for message in [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
    ] {
        let line = format!("{message}\n");
        child.stdin.as_mut().unwrap().write_all(line.as_bytes()).await.unwrap();
    }
    stage.under_way().await;
    child
}

#[tokio::test]
async fn on_stdio_the_query_is_stopped_and_its_caller_told() {
    let stage = Stage::new().await;
    let mut child = on_stdio(&stage).await;
    terminate(&child);
    // Its input stays open: the process ends although nobody closes it.
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = String::new();
    while let Some(line) = tokio::time::timeout(PATIENCE, said.next_line()).await.unwrap().unwrap() {
        last = line;
    }
    let answer: Value = serde_json::from_str(&last).unwrap();
    assert_eq!(answer["id"], 2, "{answer}");
    let error = ToolError::from_structured(&answer["result"]["structuredContent"]).unwrap();
    assert_eq!(error.message, "the call was cut off: the server is shutting down");
    stage.ended(child).await;
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_query_behind() {
    let stage = Stage::new().await;
    let mut child = on_stdio(&stage).await;
    drop(child.stdin.take());
    stage.ended(child).await;
}

#[tokio::test]
async fn who_waits_for_a_first_word_can_be_ended_too() {
    let stage = Stage::new().await;
    let mut child = stage.start(&[]);
    // Waiting would close it.
    let _open = child.stdin.take();
    // Until it listens for the signal, the signal ends it too, though not with 0.
    tokio::time::sleep(Duration::from_secs(2)).await;
    terminate(&child);
    let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").unwrap();
    assert_eq!(status.code(), Some(0), "{status}");
}
