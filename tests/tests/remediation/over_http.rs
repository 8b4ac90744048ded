//! The desk as a process elsewhere: what the server makes of its answers.

use std::sync::{Arc, Mutex};

use axum::{
    Json, Router,
    body::to_bytes,
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use midwatch_mcp::Remote;
use midwatch_policy::{Outcome, PermitId, RequestState};
use midwatch_remediation::{DeskOverHttp, PermitSource, SourceError};
use serde_json::{Value, json};

use crate::{
    bench::{Bench, restart},
    house::{AUDIENCE, CALLER},
};

/// The next answer, and everything that was asked: path, token, body.
#[derive(Debug, Default)]
struct Far {
    answer: Mutex<(u16, String)>,
    heard: Mutex<Vec<(String, String, Value)>>,
}

async fn far(State(far): State<Arc<Far>>, request: Request) -> Response {
    let path = request.uri().path().to_owned();
    let token = request.headers()["authorization"].to_str().unwrap().to_owned();
    let body = to_bytes(request.into_body(), 1 << 20).await.unwrap();
    far.heard.lock().unwrap().push((path, token, serde_json::from_slice(&body).unwrap_or(Value::Null)));
    let (status, text) = far.answer.lock().unwrap().clone();
    let status = StatusCode::from_u16(status).unwrap();
    match serde_json::from_str::<Value>(&text) {
        Ok(value) => (status, Json(value)).into_response(),
        Err(_) => (status, text).into_response(),
    }
}

#[tokio::test]
async fn answers_are_read_strictly_and_errors_keep_their_reason() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let there = Arc::new(Far::default());
    let router = Router::new().fallback(far).with_state(Arc::clone(&there));
    tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
    let desk = DeskOverHttp::new(Remote::new(&url, "token-of-this-server").unwrap());
    let next = |status: u16, body: &Value| *there.answer.lock().unwrap() = (status, body.to_string());
    let (action, permit) = (restart("cart"), PermitId::parse("permit-1").unwrap());

    next(404, &json!({"error": {"kind": "not_found", "message": "none", "mend": ""}}));
    assert!(desk.permit_for(CALLER, &action).await.unwrap().is_none());
    next(200, &json!({"request": "request-1", "token": "v4.public.x"}));
    assert_eq!(desk.permit_for(CALLER, &action).await.unwrap().unwrap().token, "v4.public.x");
    let bench = Bench::new("").await;
    let view = bench.view(&bench.plan(&action).await.unwrap(), CALLER, RequestState::filed());
    for status in [201, 200] {
        next(status, &serde_json::to_value(&view).unwrap());
        assert_eq!(desk.ask(CALLER, &action).await.unwrap(), view);
    }
    assert_eq!(view.shown.audience, AUDIENCE);
    for (good, answer) in [(true, json!({"good": true})), (false, json!({"good": false}))] {
        next(200, &answer);
        assert_eq!(desk.stands(&permit, "s-1").await.unwrap(), good);
    }
    next(200, &json!({}));
    desk.used(&permit, Outcome::Done).await.unwrap();

    let heard = there.heard.lock().unwrap().clone();
    assert!(heard.iter().all(|(_, token, _)| token == "Bearer token-of-this-server"));
    let paths: Vec<&str> = heard.iter().map(|(path, _, _)| path.as_str()).collect();
    assert_eq!(paths[1..3], ["/v1/permits/fetch", "/v1/requests"]);
    assert_eq!(
        paths[4..7],
        ["/v1/permits/permit-1/check", "/v1/permits/permit-1/check", "/v1/permits/permit-1/used"]
    );
    assert_eq!(heard[1].2, json!({"subject": CALLER, "action": action}));
    assert_eq!((&heard[2].2["subject"], &heard[2].2["action"]), (&json!(CALLER), &json!(action)));
    assert_eq!(heard[6].2, json!({"outcome": "done"}));

    next(403, &json!({"error": {"kind": "forbidden", "message": "no", "mend": "ask the owner"}}));
    let Err(SourceError::Desk(said)) = desk.ask(CALLER, &action).await else { panic!("no error") };
    assert_eq!((said.kind.as_str(), said.mend.as_str()), ("forbidden", "ask the owner"));
    // Whatever is not a clear answer is none.
    for (status, body) in
        [(200, "yes"), (200, "{\"good\":\"true\"}"), (200, "{}"), (302, ""), (500, "{}"), (502, "<html>")]
    {
        *there.answer.lock().unwrap() = (status, body.to_owned());
        assert!(matches!(desk.stands(&permit, "s-1").await, Err(SourceError::Silent(_))), "{status} {body}");
        assert!(
            matches!(desk.permit_for(CALLER, &action).await, Err(SourceError::Silent(_))),
            "{status} {body}"
        );
        assert!(matches!(desk.ask(CALLER, &action).await, Err(SourceError::Silent(_))), "{status} {body}");
    }
    *there.answer.lock().unwrap() = (200, format!("{{\"good\":true,\"more\":\"{}\"}}", "x".repeat(2 << 20)));
    assert!(desk.stands(&permit, "s-1").await.is_err(), "too long");
}
