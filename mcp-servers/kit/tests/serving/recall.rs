//! Cancelling over HTTP in the 2025-11-25 era: by a notification in the session of the call.

use std::{sync::atomic::Ordering, time::Duration};

use midwatch_mcp::{
    http::{self, HttpSettings},
    http_client,
    reqwest::Response,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

use crate::fixture::Fixture;

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
    let fixture = Fixture::with(Duration::from_millis(400));
    let bound = http::bind(fixture.clone(), HttpSettings::on("127.0.0.1:0".parse().unwrap())).await.unwrap();
    let url = format!("http://{}{}", bound.local_addr(), http::PATH);
    let stop = CancellationToken::new();
    let serving = tokio::spawn(bound.run(stop.clone()));
    let (mine, other) = (Caller::begin(&url).await, Caller::begin(&url).await);
    assert_ne!(mine.session, other.session);
    let nothing = Caller { session: None, ..mine.clone() };

    // Who cancels what, and whether the tool is done all the same.
    for (tool, by, id, done) in [
        ("read_long", &mine, 7, false),
        ("read_long", &mine, 8, true),
        ("read_long", &other, 7, true),
        ("read_long", &nothing, 7, true),
        ("write_long", &mine, 7, true),
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
        assert_eq!(cancelled, !done || tool == "write_long", "{case}");
        assert_eq!(answer["id"], 7, "{case}");
    }

    // One whose progress is told is being answered already.
    let before = fixture.done.load(Ordering::SeqCst);
    let caller = mine.clone();
    let calling = tokio::spawn(async move { caller.call("read_long", json!({ "progressToken": 1 })).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    mine.cancel(7).await;
    let answer = calling.await.unwrap();
    assert!(answer.contains("half") && !answer.contains("\"text\""), "{answer}");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(fixture.done.load(Ordering::SeqCst), before, "it was ended");

    stop.cancel();
    serving.await.unwrap().unwrap();
}
