//! Who is let in, and what is read of what they send.

use std::time::Duration;

use axum::{
    Json,
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::Site;
use crate::{
    calls::{is_ours, token},
    desk::{
        error::{DeskError, Trouble},
        principal::Principal,
    },
};

/// Longest that one call may take, waiting for a change and planning included.
const LONGEST: Duration = Duration::from_mins(1);

/// The answer of a call.
pub(super) type Answer<T> = Result<T, Refused>;

/// An error as an answer.
#[derive(Debug)]
pub(super) struct Refused(DeskError);

/// Who calls: the token says it.
#[derive(Debug)]
pub(super) struct Caller(pub(super) Principal);

/// A body, read strictly.
#[derive(Debug)]
pub(super) struct Sent<T>(pub(super) T);

impl From<DeskError> for Refused {
    fn from(error: DeskError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.0.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = Json(json!({ "error": self.0.wire() }));
        match status {
            StatusCode::UNAUTHORIZED => {
                (status, [(header::WWW_AUTHENTICATE, "Bearer")], body).into_response()
            }
            _ => (status, body).into_response(),
        }
    }
}

pub(super) fn invalid(message: impl Into<String>) -> Refused {
    Refused(DeskError::new(Trouble::Invalid, message, "docs/approvals.md has the API"))
}

/// No call from a browser, none for another host, none without end.
pub(super) async fn guard(State(site): State<Site>, request: Request, next: Next) -> Response {
    let refuse = |message: &str| {
        tracing::warn!(message, "a call was refused");
        Refused(DeskError::new(
            Trouble::NotAllowed,
            message,
            "call the desk by its own name, and not from a browser",
        ))
        .into_response()
    };
    if request.headers().contains_key(header::ORIGIN) {
        return refuse("the desk is not called from a browser");
    }
    if !is_ours(request.headers(), &site.hosts) {
        return refuse("the call is for another host");
    }
    tokio::time::timeout(LONGEST, next.run(request))
        .await
        .unwrap_or_else(|_| Refused(DeskError::internal("the call took too long")).into_response())
}

impl FromRequestParts<Site> for Caller {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, site: &Site) -> Result<Self, Refused> {
        let known = match token(&parts.headers) {
            Some(token) => site.roster.whose(token)?,
            None => None,
        };
        known.map(Self).ok_or_else(|| {
            tracing::warn!(target: "midwatch::audit", path = parts.uri.path(), "a call without a good token");
            Refused(DeskError::new(
                Trouble::Unauthenticated,
                "the desk does not know whose call this is",
                "present the bearer token that `midwatch approvers add` printed",
            ))
        })
    }
}

impl<T: DeserializeOwned> FromRequest<Site> for Sent<T> {
    type Rejection = Refused;

    async fn from_request(request: Request, site: &Site) -> Result<Self, Refused> {
        let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
        let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/json") {
            return Err(invalid("the body has to be application/json"));
        }
        let bytes = Bytes::from_request(request, site)
            .await
            .map_err(|error| invalid(format!("the body is not read: {}", error.body_text())))?;
        // A list would also be read as the fields in their order, and then no field is unknown.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(invalid("the body has to be a JSON object"));
        }
        serde_json::from_slice(&bytes)
            .map(Self)
            .map_err(|error| invalid(format!("the body is not what is expected here: {error}")))
    }
}
