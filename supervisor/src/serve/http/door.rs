//! Who is let in, and how a refusal looks.

use std::time::Duration;

use axum::{
    Json,
    extract::{FromRequestParts, Request, State},
    http::{HeaderValue, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde_json::json;

use crate::{
    calls::{is_ours, token},
    intake::door::AGAIN,
    serve::config::Right,
};

use super::Desk;

/// Longest that one call may take, its body included.
const LONGEST: Duration = Duration::from_secs(30);

/// A refusal as an answer: what, and what to do about it.
#[derive(Debug)]
pub(super) struct Refused(pub(super) StatusCode, pub(super) String, pub(super) &'static str);

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let Self(status, message, remedy) = self;
        let body = Json(json!({ "error": { "message": message, "remedy": remedy } }));
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from(AGAIN.as_secs()));
            }
            _ => {}
        }
        response
    }
}

/// No call from a browser, none for another host, none without end.
pub(super) async fn guard(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let refuse = |message: &str| {
        let remedy = "call it by its own name (`hosts` in [http]), and not from a browser";
        Refused(StatusCode::FORBIDDEN, message.to_owned(), remedy).into_response()
    };
    if request.headers().contains_key(header::ORIGIN) {
        return refuse("this is not called from a browser");
    }
    if !is_ours(request.headers(), &desk.hosts) {
        return refuse("the call is for another host");
    }
    tokio::time::timeout(LONGEST, next.run(request)).await.unwrap_or_else(|_| {
        Refused(StatusCode::SERVICE_UNAVAILABLE, "the call took too long".to_owned(), "send it again")
            .into_response()
    })
}

/// Only so many at once.
pub(super) async fn few(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    let Ok(_one) = desk.strangers.try_acquire() else {
        let message = "too many calls are being read".to_owned();
        return Refused(StatusCode::SERVICE_UNAVAILABLE, message, "send it again").into_response();
    };
    next.run(request).await
}

/// Whoever calls, by their token.
#[derive(Debug)]
pub(super) struct Known {
    pub(super) name: String,
    may: Vec<Right>,
}

impl Known {
    /// Goes on only with the right to.
    pub(super) fn may(self, right: Right) -> Result<Self, Refused> {
        if self.may.contains(&right) {
            return Ok(self);
        }
        let message = format!("`{}` may not do this", self.name);
        Err(Refused(StatusCode::FORBIDDEN, message, "add it to `may` of the [[caller]]"))
    }
}

impl FromRequestParts<Desk> for Known {
    type Rejection = Refused;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Refused> {
        let known = token(&parts.headers)
            .and_then(|token| desk.callers.iter().find(|caller| caller.knows(token)))
            .map(|caller| Self { name: caller.name.clone(), may: caller.may.clone() });
        known.ok_or_else(|| {
            tracing::warn!(path = parts.uri.path(), "a call without a good token");
            Refused(
                StatusCode::UNAUTHORIZED,
                "it is not known whose call this is".to_owned(),
                "present the bearer token whose SHA-256 stands in a [[caller]]",
            )
        })
    }
}
