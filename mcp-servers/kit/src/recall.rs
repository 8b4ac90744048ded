//! Cancelling over HTTP in the 2025-11-25 era, where a caller says so in a request of its own.
//!
//! Which call it means is said by the call's id, and ids are unique within a session only. So whoever says `initialize`
//! is given the name of one, and nothing else is kept under it than its calls under way: sessions themselves hold
//! nothing here. A call that is cancelled ends as one whose connection was closed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use axum::{
    Json,
    body::{Body, to_bytes},
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use futures::StreamExt as _;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

const SESSION: HeaderName = HeaderName::from_static("mcp-session-id");
const VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The first era in which closing the request is the one way to cancel a call.
const CLOSES: &str = "2026-07-28";
/// Longest request; `rmcp` takes no more either.
const LONGEST: usize = 4 * 1024 * 1024;
/// Longest name of a session or a call that is remembered.
const NAME: usize = 128;
/// As the language server protocol has it; MCP names none.
const CANCELLED: i32 = -32800;

/// Calls under way, by session and id. INVARIANT: never locked across an await.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recalls(Arc<Mutex<HashMap<(String, String), CancellationToken>>>);

/// Forgets a call when it has ended.
struct UnderWay {
    recalls: Recalls,
    call: (String, String),
    token: CancellationToken,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.recalls.all().remove(&self.call);
    }
}

impl Recalls {
    fn all(&self) -> MutexGuard<'_, HashMap<(String, String), CancellationToken>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, session: &str, id: &Value) -> UnderWay {
        let (call, token) = ((session.to_owned(), id.to_string()), CancellationToken::new());
        self.all().insert(call.clone(), token.clone());
        UnderWay { recalls: self.clone(), call, token }
    }

    fn cancel(&self, session: &str, id: &Value) {
        if let Some(token) = self.all().get(&(session.to_owned(), id.to_string())) {
            token.cancel();
        }
    }
}

/// What is looked at of a message; what is wrong with it is for `rmcp` to say.
#[derive(Default, Deserialize)]
struct Peek {
    #[serde(default)]
    method: String,
    #[serde(default)]
    id: Value,
    #[serde(default)]
    params: Params,
}

#[derive(Default, Deserialize)]
struct Params {
    #[serde(default, rename = "requestId")]
    request_id: Value,
}

/// Names sessions, and ends the calls that are cancelled.
pub(crate) async fn recallable(State(recalls): State<Recalls>, request: Request, next: Next) -> Response {
    if request.headers().get(VERSION).is_some_and(|version| version == CLOSES) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, LONGEST).await else {
        let text = format!("a request has at most {LONGEST} bytes\n");
        return (StatusCode::PAYLOAD_TOO_LARGE, text).into_response();
    };
    let Peek { method, id, params } = serde_json::from_slice(&body).unwrap_or_default();
    let session = parts.headers.get(SESSION).and_then(|name| name.to_str().ok()).map(str::to_owned);
    let session = session.filter(|name| name.len() <= NAME);
    let request = Request::from_parts(parts, Body::from(body));
    match (method.as_str(), session) {
        ("initialize", None) => named(next.run(request).await),
        ("notifications/cancelled", Some(session)) => {
            recalls.cancel(&session, &params.request_id);
            next.run(request).await
        }
        ("tools/call", Some(session)) if id.to_string().len() <= NAME => {
            until_cancelled(recalls.begin(&session, &id), id, next.run(request)).await
        }
        _ => next.run(request).await,
    }
}

/// An answer with the name of a session.
fn named(mut answer: Response) -> Response {
    if answer.status().is_success()
        && let Ok(name) = HeaderValue::from_str(&hex::encode(rand::random::<[u8; 16]>()))
    {
        answer.headers_mut().insert(SESSION, name);
    }
    answer
}

/// The answer of a call, or that it was cancelled. What works on it ends when what asks for it is dropped.
async fn until_cancelled(call: UnderWay, id: Value, answer: impl Future<Output = Response>) -> Response {
    let answer = tokio::select! {
        biased;
        () = call.token.cancelled() => {
            let error = json!({ "code": CANCELLED, "message": "the caller cancelled the call" });
            return Json(json!({ "jsonrpc": "2.0", "id": id, "error": error })).into_response();
        }
        answer = answer => answer,
    };
    let streams = answer.headers().get(header::CONTENT_TYPE);
    if !streams.is_some_and(|kind| kind.as_bytes().starts_with(b"text/event-stream")) {
        return answer;
    }
    let (parts, body) = answer.into_parts();
    let cancelled = call.token.clone().cancelled_owned();
    let stream = body.into_data_stream().take_until(cancelled).map(move |part| {
        // Under way for as long as it streams.
        let _ = &call;
        part
    });
    Response::from_parts(parts, Body::from_stream(stream))
}
