//! The calls, each a line or two over the office.

#![allow(clippy::unused_async, reason = "a handler is async, whether it waits or not")]

use std::time::Duration;

use axum::{
    Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::StatusCode,
};
use midwatch_mcp::KeyFile;
use midwatch_policy::{
    Action, Asking, Digest, Fetched, GivenBack, Hold, IncidentId, Outcome, PermitId, RequestId, RequestView,
};
use serde::{Deserialize, Serialize};

use super::{
    Site,
    door::{Answer, Caller, Refused, Sent, invalid},
};
use crate::desk::{
    error::{DeskError, Trouble},
    office::{Filed, Yes},
    principal::Me,
};

/// Longest wait for a change, in seconds.
const WAIT: u64 = 30;
/// The channel of everything that comes this way.
const CHANNEL: &str = "desk";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Listing {
    state: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Waiting {
    wait: Option<u64>,
    seen: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Approval {
    shown: Digest,
    #[serde(default)]
    role: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reason {
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Spender {
    store: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Why {
    why: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Note {
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Wanted {
    subject: String,
    action: Action,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ended {
    outcome: Outcome,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    entries: u32,
    head: Digest,
}

#[derive(Debug, Serialize)]
pub(super) struct Good {
    good: bool,
}

#[derive(Debug, Serialize)]
pub(super) struct Sealed {
    signature: String,
}

fn none(what: &str) -> Refused {
    DeskError::new(
        Trouble::NotFound,
        format!("there is no such {what}"),
        "`midwatch approvals` lists what there is",
    )
    .into()
}

fn request(text: &str) -> Answer<RequestId> {
    RequestId::parse(text).map_err(|_| none("request"))
}

fn permit(text: &str) -> Answer<PermitId> {
    PermitId::parse(text).map_err(|_| none("permit"))
}

fn incident(text: &str) -> Answer<IncidentId> {
    IncidentId::parse(text).map_err(|_| none("incident"))
}

fn query<T>(query: Result<Query<T>, QueryRejection>) -> Answer<T> {
    query.map(|Query(query)| query).map_err(|error| invalid(error.body_text()))
}

fn filed(filed: Filed) -> (StatusCode, Json<RequestView>) {
    let status = if filed.new { StatusCode::CREATED } else { StatusCode::OK };
    (status, Json(filed.view))
}

pub(super) async fn nothing_here() -> Refused {
    none("call")
}

pub(super) async fn me(Caller(who): Caller) -> Json<Me> {
    Json(who.me())
}

pub(super) async fn keys(State(site): State<Site>) -> Answer<Json<KeyFile>> {
    Ok(Json(site.office.known_keys()?))
}

pub(super) async fn file(
    State(site): State<Site>,
    Caller(who): Caller,
    Sent(asking): Sent<Asking>,
) -> Answer<(StatusCode, Json<RequestView>)> {
    Ok(filed(site.office.file(&who, asking).await?))
}

pub(super) async fn list(
    State(site): State<Site>,
    Caller(who): Caller,
    listing: Result<Query<Listing>, QueryRejection>,
) -> Answer<Json<Vec<RequestView>>> {
    Ok(Json(site.office.list(&who, query(listing)?.state.as_deref())?))
}

pub(super) async fn given_back(State(site): State<Site>, Caller(who): Caller) -> Answer<Json<GivenBack>> {
    Ok(Json(site.office.given_back(&who)?))
}

pub(super) async fn view(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    waiting: Result<Query<Waiting>, QueryRejection>,
) -> Answer<Json<RequestView>> {
    let (id, Waiting { wait, seen }) = (request(&id)?, query(waiting)?);
    let Some(seconds) = wait else { return Ok(Json(site.office.view(&who, &id)?)) };
    let seen = seen.ok_or_else(|| invalid("`wait` needs `seen`, the state that is known"))?;
    let longest = Some(Duration::from_secs(seconds.min(WAIT)));
    tokio::select! {
        view = site.office.wait(&who, &id, &seen, longest) => Ok(Json(view?)),
        () = site.stop.cancelled() => Ok(Json(site.office.view(&who, &id)?)),
    }
}

pub(super) async fn approve(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Approval { shown, role }): Sent<Approval>,
) -> Answer<Json<RequestView>> {
    let yes = Yes { shown, role: role.as_deref(), channel: CHANNEL };
    Ok(Json(site.office.approve(&who, &request(&id)?, yes)?))
}

pub(super) async fn decline(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Reason { reason }): Sent<Reason>,
) -> Answer<Json<RequestView>> {
    Ok(Json(site.office.decline(&who, &request(&id)?, &reason)?))
}

pub(super) async fn raise(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
) -> Answer<(StatusCode, Json<RequestView>)> {
    Ok(filed(site.office.raise(&who, &request(&id)?).await?))
}

pub(super) async fn withdraw(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Why { why }): Sent<Why>,
) -> Answer<Json<RequestView>> {
    Ok(Json(site.office.withdraw(&who, &request(&id)?, &why)?))
}

pub(super) async fn fetch(
    State(site): State<Site>,
    Caller(who): Caller,
    Sent(Wanted { subject, action }): Sent<Wanted>,
) -> Answer<Json<Fetched>> {
    site.office.fetch_permit(&who, &subject, &action)?.map(Json).ok_or_else(|| none("permit"))
}

pub(super) async fn check(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Spender { store }): Sent<Spender>,
) -> Answer<Json<Good>> {
    Ok(Json(Good { good: site.office.check(&who, &permit(&id)?, &store)? }))
}

pub(super) async fn used(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Ended { outcome }): Sent<Ended>,
) -> Answer<Json<RequestView>> {
    Ok(Json(site.office.used(&who, &permit(&id)?, outcome)?))
}

pub(super) async fn revoke(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Reason { reason }): Sent<Reason>,
) -> Answer<Json<RequestView>> {
    Ok(Json(site.office.revoke(&who, &permit(&id)?, &reason)?))
}

pub(super) async fn hold(
    State(site): State<Site>,
    Caller(_): Caller,
    Path(id): Path<String>,
) -> Answer<Json<Hold>> {
    Ok(Json(site.office.hold(&incident(&id)?)?))
}

pub(super) async fn take(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Note { note }): Sent<Note>,
) -> Answer<Json<Hold>> {
    Ok(Json(site.office.take(&who, &incident(&id)?, &note)?))
}

pub(super) async fn stop(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Note { note }): Sent<Note>,
) -> Answer<Json<Hold>> {
    Ok(Json(site.office.stop(&who, &incident(&id)?, &note)?))
}

pub(super) async fn hand_back(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Note { note }): Sent<Note>,
) -> Answer<Json<Hold>> {
    Ok(Json(site.office.hand_back(&who, &incident(&id)?, &note)?))
}

pub(super) async fn seal(
    State(site): State<Site>,
    Caller(who): Caller,
    Path(id): Path<String>,
    Sent(Head { entries, head }): Sent<Head>,
) -> Answer<Json<Sealed>> {
    Ok(Json(Sealed { signature: site.office.seal(&who, &incident(&id)?, entries, head)? }))
}
