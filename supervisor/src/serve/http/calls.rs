//! The calls, but for those of people.

use axum::{
    Json,
    body::{Bytes, HttpBody as _},
    extract::{FromRequest as _, FromRequestParts as _, Request, State, rejection::BytesRejection},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::{
    alarm::{self, Parsed, Unread},
    intake::{
        board::{Decision, Ruling},
        door::Refusal,
        sources::sns::Verified,
    },
    serve::config::Right,
};

use super::{
    BODY, Desk,
    door::{Known, Refused},
};

const SHAPES: &str = "docs/serve.md has the shapes that are read";

/// Alarms of CloudWatch, Alertmanager, or the plain shape.
pub(super) async fn alarms(
    State(desk): State<Desk>,
    known: Known,
    request: Request,
) -> Result<Response, Refused> {
    let known = known.may(Right::Alarms)?;
    let source = format!("webhook {}", known.name);
    // Long ones are read one after another, so that many at once do not fill the memory.
    let is_short = request.body().size_hint().upper().is_some_and(|length| length <= BODY as u64);
    let turn = if is_short { None } else { desk.long.acquire().await.ok() };
    let body = read(&desk, &source, Bytes::from_request(request, &()).await)?;
    let text = std::str::from_utf8(&body).map_err(|_| unreadable(&desk, &source, "it is not UTF-8"))?;
    let parsed = parse(&desk, &source, text)?;
    drop((body, turn));
    let (rulings, unread) = knock(&desk, &source, parsed, None).await?;
    let mut answer = Map::from_iter([("alarms".to_owned(), rulings.iter().map(said).collect::<Value>())]);
    if !unread.is_empty() {
        let why = |unread: &Unread| json!({ "index": unread.index, "why": unread.why.to_string() });
        answer.insert("refused".to_owned(), unread.iter().map(why).collect());
    }
    Ok((StatusCode::ACCEPTED, Json(answer)).into_response())
}

/// Notifications of SNS.
pub(super) async fn sns(
    State(desk): State<Desk>,
    body: Result<Bytes, BytesRejection>,
) -> Result<StatusCode, Refused> {
    const SOURCE: &str = "sns";
    if !desk.sns.is_configured() {
        return Err(absent());
    }
    let body = read(&desk, SOURCE, body)?;
    let verified = desk.sns.take(&body).await.map_err(|error| {
        tracing::warn!(%error, "a message of SNS was not taken");
        desk.metrics.refuse(SOURCE, if error.is_ours() { "unreachable" } else { "unverified" });
        let status = if error.is_ours() { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::FORBIDDEN };
        Refused(status, error.to_string(), "docs/serve.md says what SNS needs")
    })?;
    match verified {
        Verified::Notification { id, message, topic } => {
            let name = topic.rsplit(':').next().unwrap_or_default();
            let source = format!("sns {name}");
            let parsed = parse(&desk, &source, &message)?;
            knock(&desk, &source, parsed, Some(id)).await?;
        }
        Verified::Confirmed { topic } => tracing::info!(topic, "a subscription was confirmed"),
        Verified::Unsubscribed { topic } => tracing::warn!(topic, "somebody unsubscribed us from a topic"),
    }
    Ok(StatusCode::OK)
}

/// Catalog, policy, prices and routes, read anew.
pub(super) async fn reload(State(desk): State<Desk>, known: Known) -> Result<Json<Value>, Refused> {
    known.may(Right::Reload)?;
    let (done, answer) = oneshot::channel();
    let stopping = || refused(&Refusal::Stopping);
    desk.reload.send(done).await.map_err(|_| stopping())?;
    match answer.await.map_err(|_| stopping())? {
        Ok(()) => Ok(Json(json!({ "reloaded": true }))),
        Err(why) => Err(Refused(StatusCode::UNPROCESSABLE_ENTITY, why, "everything is as it was before")),
    }
}

/// Whether somebody in here still looks after the rest: where not, only a restart helps.
pub(super) async fn live(State(desk): State<Desk>) -> Result<&'static str, Refused> {
    if desk.health.is_alive(desk.clock.running()) {
        return Ok("ok\n");
    }
    let message = "nothing was looked at for minutes: it hangs".to_owned();
    Err(Refused(StatusCode::SERVICE_UNAVAILABLE, message, "start it anew; open incidents are gone on with"))
}

/// Whether alarms can be brought here now. A server that is missing keeps no alarm out: reports name it.
pub(super) async fn ready(State(desk): State<Desk>) -> Response {
    let troubles = desk.troubles().await;
    let status = if troubles.is_empty() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let (waiting, working, asking) =
        desk.door.queue(|queue| (queue.waiting(), queue.working(), queue.parked()));
    let body = json!({
        "ready": troubles.is_empty(), "why": troubles, "missing": desk.tools.absent(),
        "incidents": { "waiting": waiting, "working": working, "asking": asking }
    });
    (status, Json(body)).into_response()
}

/// For Prometheus; without a token on loopback only.
pub(super) async fn metrics(State(desk): State<Desk>, request: Request) -> Result<Response, Refused> {
    if !desk.open {
        let (mut parts, _) = request.into_parts();
        Known::from_request_parts(&mut parts, &desk).await?.may(Right::Metrics)?;
    }
    // Whether it is ready is one of them.
    desk.troubles().await;
    desk.metrics.set_notices(&desk.people.notices().await);
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], desk.metrics.text(&desk.door)).into_response())
}

pub(super) async fn nothing_here() -> Refused {
    absent()
}

fn absent() -> Refused {
    Refused(StatusCode::NOT_FOUND, "there is nothing here".to_owned(), "docs/serve.md has the paths")
}

pub(super) fn whole(body: Result<Bytes, BytesRejection>) -> Result<Bytes, Refused> {
    body.map_err(|error| Refused(error.status(), error.body_text(), SHAPES))
}

/// The body of a message with alarms: its sender may not bring it again, so that it is not refused in silence.
fn read(desk: &Desk, source: &str, body: Result<Bytes, BytesRejection>) -> Result<Bytes, Refused> {
    whole(body).inspect_err(|Refused(status, why, _)| {
        tracing::warn!(source, %status, why, "a message was not read");
        let long = *status == StatusCode::PAYLOAD_TOO_LARGE;
        desk.metrics.refuse(source, if long { "too_long" } else { "unreadable" });
    })
}

fn parse(desk: &Desk, source: &str, message: &str) -> Result<Parsed, Refused> {
    alarm::parse_all(message).map_err(|error| unreadable(desk, source, &error.to_string()))
}

/// Brings what could be read; what could not is said once that is durable.
async fn knock(
    desk: &Desk,
    source: &str,
    parsed: Parsed,
    message: Option<String>,
) -> Result<(Vec<Ruling>, Vec<Unread>), Refused> {
    let (gap, lost) = (parsed.gap(), parsed.lost());
    let answer = desk.door.knock(parsed.alarms, source, message).await;
    desk.metrics.brought(source, &answer);
    let rulings = answer.map_err(|refusal| refused(&refusal))?;
    if let Some(why) = gap {
        tracing::warn!(source, why, "a message was taken in part");
        desk.metrics.unread(source, lost);
    }
    Ok((rulings, parsed.refused))
}

fn unreadable(desk: &Desk, source: &str, why: &str) -> Refused {
    tracing::warn!(source, why, "a message is no alarm");
    desk.metrics.refuse(source, "unreadable");
    Refused(StatusCode::BAD_REQUEST, why.to_owned(), SHAPES)
}

/// Always one that every sender comes again after: Alertmanager gives up at any 4xx, also at 429.
pub(super) fn refused(refusal: &Refusal) -> Refused {
    Refused(StatusCode::SERVICE_UNAVAILABLE, refusal.to_string(), "the sender's own retry is enough")
}

fn said(ruling: &Ruling) -> Value {
    let why = match &ruling.decision {
        Decision::Joined { how, .. } => Some(how.as_str().to_owned()),
        Decision::Suppressed { hush } => Some(format!("{}: {}", hush.by, hush.reason)),
        Decision::Noted { why } => Some(why.clone()),
        Decision::Opened { .. } | Decision::Updated { .. } | Decision::Duplicate { .. } => None,
    };
    json!({ "decision": ruling.decision.kind(), "incident": ruling.decision.incident(), "why": why })
}
