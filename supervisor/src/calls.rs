//! What every HTTP server of the supervisor asks of a call before anything else.

use axum::http::{HeaderMap, header};

/// Whether a call names one of these hosts, and only one: a page elsewhere can make a browser call an
/// address of this machine, but not under its name.
pub fn is_ours(headers: &HeaderMap, hosts: &[String]) -> bool {
    let mut named = headers.get_all(header::HOST).iter();
    let (Some(host), None) = (named.next(), named.next()) else { return false };
    let host = host.to_str().unwrap_or_default();
    let Ok(authority) = axum::http::uri::Authority::try_from(host) else { return false };
    let bare = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    !host.contains('@') && hosts.contains(&bare)
}

/// The bearer token of a call, if it carries exactly one.
pub fn token(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (Some(value), None) = (all.next(), all.next()) else { return None };
    let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}
