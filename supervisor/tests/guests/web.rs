//! The same over HTTP.

use std::{convert::Infallible, path::Path, sync::Arc, time::Duration};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::post,
};
use futures::stream;
use midwatch::guests::Guest;
use midwatch_agents::{model::CallLimits, tools::FailureKind};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle, time::Instant};

use crate::{alone::call, rude};

const TOKEN: &str = "a-token-of-a-test-and-of-nothing-else";

async fn answers(State(manners): State<Arc<str>>, headers: HeaderMap, body: Bytes) -> Response {
    if headers.get(header::AUTHORIZATION).is_none_or(|given| *given != format!("Bearer {TOKEN}")) {
        return StatusCode::UNAUTHORIZED.into_response();
    }
    let request: Value = serde_json::from_slice(&body).unwrap();
    if request["id"].is_null() {
        return StatusCode::ACCEPTED.into_response();
    }
    let calls = request["method"] == "tools/call";
    match &*manners {
        "flood" if calls => {
            let note = json!({"jsonrpc": "2.0", "method": "notifications/message", "params": {"level": "info", "data": "x".repeat(2_000)}});
            let event = Bytes::from(format!("event: message\ndata: {note}\n\n"));
            let body = Body::from_stream(stream::repeat(Ok::<_, Infallible>(event)));
            ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response()
        }
        "large" if calls => {
            let body =
                Body::from_stream(stream::repeat(Ok::<_, Infallible>(Bytes::from(vec![b' '; 65_536]))));
            ([(header::CONTENT_TYPE, "application/json")], body).into_response()
        }
        "elsewhere" if calls => {
            (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "http://127.0.0.1:9/mcp")]).into_response()
        }
        "broken" if calls => (StatusCode::INTERNAL_SERVER_ERROR, "no").into_response(),
        manners => {
            let mut seen = 0;
            match rude::answer(manners, &request, &mut seen) {
                Some(reply) => axum::Json(reply).into_response(),
                None => std::future::pending().await,
            }
        }
    }
}

async fn serve(manners: &str) -> (String, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("http://{}/mcp", listener.local_addr().unwrap());
    let app = Router::new().route("/mcp", post(answers)).with_state(Arc::from(manners));
    (at, tokio::spawn(async move { axum::serve(listener, app).await.unwrap() }))
}

fn guest(dir: &Path, url: &str, token: &str) -> Guest {
    let whole = json!({ "mcpServers": { "tickets": {
        "type": "http", "url": url, "headers": {"Authorization": format!("Bearer {token}")},
        "midwatch": {"specialists": ["log_analyst"], "tools": ["search"], "timeout_seconds": 2, "start_seconds": 4},
    }}});
    let path = dir.join("mcp.json");
    std::fs::write(&path, whole.to_string()).unwrap();
    rude::read(&path)
}

#[tokio::test(flavor = "multi_thread")]
async fn over_http_it_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let limits = CallLimits::within(Duration::from_secs(30));
    for (manners, kind) in [
        ("good", None),
        ("silent", Some(FailureKind::Timeout)),
        ("flood", Some(FailureKind::Unavailable)),
        ("large", None),
        ("elsewhere", Some(FailureKind::Unavailable)),
        ("broken", Some(FailureKind::Unavailable)),
        ("promises", Some(FailureKind::Internal)),
    ] {
        let (url, serving) = serve(manners).await;
        let guest = guest(dir.path(), &url, TOKEN);
        guest.settle().await;
        assert_eq!(guest.list().len(), 1, "{manners}: {:?}", guest.missing());
        let begun = Instant::now();
        let answer = guest.call(&call("tickets__search"), &limits).await;
        assert!(begun.elapsed() < Duration::from_secs(8), "{manners}: {:?}", begun.elapsed());
        match (manners, kind, answer) {
            ("good", _, Ok(answer)) => assert!(answer.to_string().contains("TICKET-4711"), "{answer}"),
            // Cut off by size or by time, whichever is first.
            ("large", _, Err(_)) => {}
            (_, Some(kind), Err(failure)) => assert_eq!(failure.kind, kind, "{manners}: {failure}"),
            (manners, _, answer) => panic!("{manners}: {answer:?}"),
        }
        serving.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_is_away_or_knows_us_not_is_named_and_no_token_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (url, serving) = serve("good").await;
    let stranger = guest(dir.path(), &url, "another-token");
    stranger.settle().await;
    let said = stranger.missing().join("\n");
    assert!(said.contains("`tickets` could not be asked") && !said.contains("another-token"), "{said}");
    serving.abort();
    let _ = serving.await;
    let away = guest(dir.path(), &url, TOKEN);
    let begun = Instant::now();
    away.settle().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    let said = away.missing().join("\n");
    assert!(said.contains("could not be asked") && !said.contains(TOKEN), "{said}");
}
