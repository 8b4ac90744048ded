//! Cancelling over HTTP in the 2025-11-25 era: by a notification in the session of the call.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use midwatch_mcp::{
    Progress,
    http::{self, HttpSettings},
    http_client,
    reqwest::Response,
};
use rmcp::{
    ServerHandler, handler::server::router::tool::ToolRouter, model::ServerConfig, tool, tool_handler,
    tool_router,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

#[derive(Debug, Clone)]
struct Fixture {
    done: Arc<AtomicUsize>,
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Fixture {
    #[tool(description = "Reads for long.", annotations(read_only_hint = true))]
    async fn read(&self) -> String {
        self.long().await
    }

    #[tool(description = "Writes for long.", annotations(read_only_hint = false))]
    async fn write(&self) -> String {
        self.long().await
    }
}

impl Fixture {
    async fn long(&self) -> String {
        Progress::current().step(|| "half".to_owned()).await;
        tokio::time::sleep(Duration::from_millis(400)).await;
        self.done.fetch_add(1, Ordering::SeqCst);
        "done".to_owned()
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        midwatch_mcp::server_info("fixture", "1", "For tests.")
    }
}

/// A caller of the older era.
#[derive(Clone)]
struct Caller {
    url: String,
    session: Option<String>,
}

impl Caller {
    async fn send(&self, message: Value) -> Response {
        let mut request = http_client().unwrap().post(&self.url).json(&message);
        request = request.header("Accept", "application/json, text/event-stream");
        if let Some(session) = &self.session {
            request = request.header("Mcp-Session-Id", session).header("MCP-Protocol-Version", "2025-11-25");
        }
        request.send().await.unwrap()
    }

    async fn begin(url: &str) -> Self {
        let nobody = Self { url: url.to_owned(), session: None };
        let hello = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "t", "version": "1" } });
        let answer =
            nobody.send(json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": hello })).await;
        assert_eq!(answer.status(), 200);
        Self { session: Some(answer.headers()["mcp-session-id"].to_str().unwrap().to_owned()), ..nobody }
    }

    async fn call(&self, tool: &str, meta: Value) -> String {
        let params = json!({ "name": tool, "arguments": {}, "_meta": meta });
        let call = json!({ "jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": params });
        self.send(call).await.text().await.unwrap()
    }

    async fn cancel(&self, id: u32) {
        let params = json!({ "requestId": id, "reason": "nobody waits" });
        let told =
            self.send(json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params }));
        assert_eq!(told.await.status(), 202);
    }
}

#[tokio::test]
async fn a_notification_ends_the_call_of_its_session_and_no_other() {
    let fixture = Fixture { done: Arc::default(), tool_router: Fixture::tool_router() };
    let bound = http::bind(fixture.clone(), HttpSettings::on("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let url = format!("http://{}{}", bound.local_addr(), http::PATH);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(bound.run(stop.clone()));
    let (mine, other) = (Caller::begin(&url).await, Caller::begin(&url).await);
    assert_ne!(mine.session, other.session);
    let nothing = Caller { session: None, ..mine.clone() };

    // Who cancels what, and whether the tool is done all the same.
    for (tool, by, id, done) in [
        ("read", &mine, 7, false),
        ("read", &mine, 8, true),
        ("read", &other, 7, true),
        ("read", &nothing, 7, true),
        ("write", &mine, 7, true),
    ] {
        let before = fixture.done.load(Ordering::SeqCst);
        let caller = mine.clone();
        let calling = tokio::spawn(async move { caller.call(tool, json!({})).await });
        tokio::time::sleep(Duration::from_millis(100)).await;
        by.cancel(id).await;
        let answer: Value = serde_json::from_str(&calling.await.unwrap()).unwrap();
        tokio::time::sleep(Duration::from_millis(500)).await;
        let case = format!("{tool} {:?} {id}: {answer}", by.session);
        assert_eq!(fixture.done.load(Ordering::SeqCst) > before, done, "{case}");
        let cancelled = answer["error"]["code"] == -32800;
        // A write is not broken off; who cancelled it does not wait for it.
        assert_eq!(cancelled, !done || tool == "write", "{case}");
        assert_eq!(answer["id"], 7, "{case}");
    }

    // One whose progress is told is being answered already.
    let before = fixture.done.load(Ordering::SeqCst);
    let caller = mine.clone();
    let calling = tokio::spawn(async move { caller.call("read", json!({ "progressToken": 1 })).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    mine.cancel(7).await;
    let answer = calling.await.unwrap();
    assert!(answer.contains("half") && !answer.contains("done"), "{answer}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(fixture.done.load(Ordering::SeqCst), before, "it was ended");

    stop.cancel();
    serving.await.unwrap().unwrap();
}
