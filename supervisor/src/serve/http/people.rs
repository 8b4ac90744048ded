//! The calls by which people say something of an incident, or PagerDuty says it for them.

use axum::{
    Json,
    body::Bytes,
    extract::{Path, State, rejection::BytesRejection},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use midwatch_policy::IncidentId;
use serde::Deserialize;
use serde_json::json;

use crate::{
    deliver::{SIGNATURES, Taken, Unheard},
    intake::{
        door::Refusal,
        inbox::{Remark, Said},
    },
    serve::config::Right,
};

use super::{
    Desk,
    calls::{refused, whole},
    door::{Known, Refused},
};

/// Webhooks of PagerDuty: who acknowledges there has the incident here. Whatever else it tells is taken and
/// let go of: PagerDuty ends a subscription whose messages are refused.
pub(super) async fn pagerduty(
    State(desk): State<Desk>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    const MEND: &str = "docs/notify.md says what PagerDuty needs";
    let body = whole(body)?;
    let signatures = headers.get(SIGNATURES).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let taken = desk.people.heard_of_pagerduty(signatures, &body).map_err(|why| {
        tracing::warn!(%why, "a message of PagerDuty was not heard");
        let status = match why {
            Unheard::NotConfigured => StatusCode::NOT_FOUND,
            Unheard::NotSigned => StatusCode::FORBIDDEN,
            Unheard::Unreadable(_) => StatusCode::BAD_REQUEST,
        };
        Refused(status, why.to_string(), MEND)
    })?;
    let Some(Taken { incident, by }) = taken else { return Ok(StatusCode::OK.into_response()) };
    match heard(&desk, incident.as_str(), Said::Acknowledged { by }).await {
        Err(Refused(StatusCode::NOT_FOUND, ..)) => Ok(StatusCode::OK.into_response()),
        answer => answer,
    }
}

/// A person said something of an incident.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Text {
    text: String,
}

/// Keeps it for the incident's journal. Who said it is the caller.
pub(super) async fn note(
    State(desk): State<Desk>,
    known: Known,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let by = known.may(Right::Incidents)?.name.clone();
    let form = "send {\"text\": \"…\"}";
    let said = serde_json::from_slice::<Text>(&whole(body)?);
    let said = said.map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string(), form))?;
    let text = Remark::parse(&said.text)
        .map_err(|error| Refused(StatusCode::BAD_REQUEST, error.to_string(), form))?;
    heard(&desk, &id, Said::Note { by, text: text.into() }).await
}

/// A person looks after an incident: nobody else is woken.
pub(super) async fn acknowledge(
    State(desk): State<Desk>,
    known: Known,
    Path(id): Path<String>,
) -> Result<Response, Refused> {
    let by = known.may(Right::Incidents)?.name.clone();
    heard(&desk, &id, Said::Acknowledged { by }).await
}

/// What a person says besides that an incident is theirs, if anything.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Remarks {
    #[serde(default)]
    note: String,
}

fn remark(body: Result<Bytes, BytesRejection>) -> Result<String, Refused> {
    let form = "send {\"note\": \"…\"}, or nothing";
    let wrong = |why: String| Refused(StatusCode::BAD_REQUEST, why, form);
    let body = whole(body)?;
    if body.is_empty() {
        return Ok(String::new());
    }
    let Remarks { note } = serde_json::from_slice(&body).map_err(|error| wrong(error.to_string()))?;
    Remark::or_nothing(&note).map_err(|error| wrong(error.to_string()))
}

/// A person takes an incident over: its work ends, with a report.
pub(super) async fn take(
    State(desk): State<Desk>,
    known: Known,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let by = known.may(Right::Incidents)?.name.clone();
    heard(&desk, &id, Said::Took { by, note: remark(body)? }).await
}

/// A person stops the work on an incident.
pub(super) async fn stop(
    State(desk): State<Desk>,
    known: Known,
    Path(id): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refused> {
    let by = known.may(Right::Incidents)?.name.clone();
    heard(&desk, &id, Said::Stopped { by, note: remark(body)? }).await
}

async fn heard(desk: &Desk, id: &str, said: Said) -> Result<Response, Refused> {
    let unknown = || {
        Refused(
            StatusCode::NOT_FOUND,
            format!("there is no incident `{id}`"),
            "`midwatch incidents list` has them",
        )
    };
    let incident = IncidentId::parse(id).map_err(|_| unknown())?;
    let unwritten = |why: &str| {
        tracing::error!(why, "what a person said cannot be kept");
        refused(&Refusal::Unwritten)
    };
    let rows = desk.inbox.of_incident(incident.clone()).await.map_err(|e| unwritten(&e.to_string()))?;
    if rows.is_empty() {
        return Err(unknown());
    }
    if matches!(said, Said::Took { .. } | Said::Stopped { .. }) {
        let ended = desk.inbox.ended_among(vec![incident.clone()]).await;
        if !ended.map_err(|error| unwritten(&error.to_string()))?.is_empty() {
            let message = format!("`{incident}` has ended: there is no work to end");
            return Err(Refused(
                StatusCode::CONFLICT,
                message,
                "acknowledge it, so that nobody else is woken",
            ));
        }
    }
    let ended = match said.holder() {
        Some(by) => {
            let ended = desk.people.acknowledge(&incident, by).await;
            ended.map_err(|error| unwritten(&error.to_string()))?
        }
        None => 0,
    };
    let kept = desk.inbox.say(incident.clone(), said, desk.clock.now()).await;
    kept.map_err(|error| unwritten(&error.to_string()))?;
    let body = Json(json!({ "incident": incident, "notices_ended": ended }));
    Ok((StatusCode::ACCEPTED, body).into_response())
}
