//! Errors of the endpoint, classed.

use std::{error::Error, time::Duration};

use reqwest::header::{HeaderMap, RETRY_AFTER};
use serde_json::Value;

use crate::model::{Charged, ModelErrorKind as Kind};

/// Characters of what an endpoint said that are kept.
const KEPT: usize = 600;

#[derive(Debug)]
pub(super) struct Classed {
    pub(super) kind: Kind,
    pub(super) charged: Charged,
    pub(super) said: String,
    pub(super) retry_after: Option<Duration>,
}

/// An answer that is none. Endpoints agree on the status and on little else.
pub(super) fn classify(status: u16, headers: &HeaderMap, body: &[u8]) -> Classed {
    let json: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    let error = json.get("error").unwrap_or(&json);
    let field = |name: &str| error.get(name).and_then(Value::as_str).unwrap_or_default();
    let message = match (error.as_str(), field("message")) {
        (Some(text), _) => text.to_owned(),
        (None, "") => String::from_utf8_lossy(body).trim().to_owned(),
        (None, message) => message.to_owned(),
    };
    let code = [field("code"), field("type")].into_iter().find(|c| !c.is_empty()).unwrap_or_default();
    let (kind, charged) = kind(status, code, &message);
    let mut said: String = message.chars().filter(|c| !c.is_control()).take(KEPT).collect();
    said = if code.is_empty() {
        format!("HTTP {status} {said}")
    } else {
        format!("HTTP {status} {code}: {said}")
    };
    let wait = headers.get(RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.trim().parse().ok());
    Classed { kind, charged, said, retry_after: wait.map(Duration::from_secs) }
}

fn kind(status: u16, code: &str, message: &str) -> (Kind, Charged) {
    let lower = message.to_lowercase();
    let is_too_long = code == "context_length_exceeded"
        || code == "exceed_context_size_error"
        || [
            "context length",
            "context size",
            "context window",
            "maximum context",
            "too many tokens",
            "too long",
        ]
        .iter()
        .any(|said| lower.contains(said));
    match status {
        400 | 413 | 422 if is_too_long => (Kind::ContextTooLong, Charged::Nothing),
        413 => (Kind::ContextTooLong, Charged::Nothing),
        401 | 403 => (Kind::AccessDenied, Charged::Nothing),
        404 => (Kind::NotFound, Charged::Nothing),
        402 => (Kind::Quota, Charged::Nothing),
        429 if code == "insufficient_quota" || code == "billing_hard_limit_reached" => {
            (Kind::Quota, Charged::Nothing)
        }
        429 => (Kind::Throttled, Charged::Nothing),
        // Who gave up waiting may be a proxy: whoever was asked may have worked.
        408 | 504 => (Kind::Timeout, Charged::Unknown),
        // Loading its model, or full.
        503 | 529 => (Kind::Unavailable, Charged::Nothing),
        400..=499 => (Kind::Validation, Charged::Nothing),
        500..=599 => (Kind::Unavailable, Charged::Unknown),
        _ => (Kind::Other, Charged::Unknown),
    }
}

/// An error with its causes; the address is left out, it is in the configuration.
pub(super) fn chain(error: &reqwest::Error) -> String {
    let mut text =
        if error.is_connect() { "the connection cannot be made" } else { "the call broke off" }.to_owned();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
