//! What healthy services write: requests, chatter, warnings, and errors that mean nothing.

use std::sync::Arc;

use rand::RngExt;
use serde_json::json;

use crate::{
    random::{self, Rng},
    scenario::spec::{Level, LogStyle, Noise, ServiceSpec},
    time,
};

/// A line before it is written in a service's style.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) level: Level,
    pub(crate) logger: String,
    pub(crate) message: String,
    pub(crate) stack: Vec<String>,
    pub(crate) status: Option<u16>,
    pub(crate) duration_ms: Option<u32>,
}

const ENDPOINTS: [&str; 12] = [
    "GET /v1/items",
    "GET /v1/items/{id}",
    "POST /v1/items",
    "GET /v1/search",
    "PUT /v1/items/{id}",
    "GET /v1/status",
    "POST /v1/events",
    "GET /v2/customers/{id}",
    "POST /v2/quotes",
    "DELETE /v1/sessions/{id}",
    "GET /v1/recommendations",
    "POST /v1/callbacks",
];

const CHATTER: [&str; 10] = [
    "cache hit for key {k} in {n} ms",
    "loaded {n} rows from replica in {n} ms",
    "published event {u} to topic updates",
    "refreshed configuration, {n} keys unchanged",
    "scheduled job compact-{k} finished in {n} ms",
    "session {u} extended",
    "feature flags evaluated for tenant {k}: {n} on",
    "consumed batch of {n} messages, lag {n}",
    "wrote audit record {u}",
    "connection {k} returned to pool after {n} ms",
];

const WARNINGS: [&str; 7] = [
    "slow query took {n}00 ms: SELECT * FROM orders WHERE tenant_id = {n} ORDER BY created_at",
    "retrying request {u} to upstream, attempt 2 of 3",
    "response from cache-{n} exceeded soft deadline by {n} ms",
    "deprecated client version 3.{n} seen from {i}",
    "GC pause of {n} ms exceeded target",
    "rate limiter close to its limit for tenant {k}",
    "clock skew of {n} ms against peer {i}",
];

const UNRELATED_ERRORS: [&str; 6] = [
    "failed to send metrics batch to {i}:8125: timed out after 1000 ms",
    "JwtExpiredException: token of session {u} expired {n} s ago",
    "client {i} closed connection before response was written: broken pipe",
    "could not parse user agent '{k}': IllegalArgumentException",
    "image thumbnail {u} not found in bucket, serving placeholder",
    "ValidationException: field postal_code of request {u} is malformed",
];

/// One background line; `error_share` of the requests fail.
pub(crate) fn entry(rng: &mut Rng, service: &ServiceSpec, error_share: f64, latency_ms: f64) -> Entry {
    let (warnings, errors) = match service.noise {
        Noise::None => (0, 0),
        Noise::Low => (10, 1),
        Noise::Normal => (30, 3),
        Noise::High => (70, 14),
    };
    let roll = rng.random_range(0..1000);
    let plain = |level, logger: &str, message| Entry {
        level,
        logger: logger.to_owned(),
        message,
        stack: Vec::new(),
        status: None,
        duration_ms: None,
    };
    if roll < errors {
        let text = random::pick(rng, &UNRELATED_ERRORS).copied().unwrap_or_default();
        plain(Level::Error, "app.background", fill(rng, text))
    } else if roll < errors + warnings {
        let text = random::pick(rng, &WARNINGS).copied().unwrap_or_default();
        plain(Level::Warn, "app.runtime", fill(rng, text))
    } else if roll < 250 {
        let text = random::pick(rng, &CHATTER).copied().unwrap_or_default();
        let level = if roll % 2 == 0 { Level::Debug } else { Level::Info };
        plain(level, "app.service", fill(rng, text))
    } else if roll < 320 {
        let text = format!("GET /health 200 in {} ms", rng.random_range(1..4));
        plain(Level::Info, "http.access", text)
    } else {
        request(rng, service, error_share, latency_ms)
    }
}

fn request(rng: &mut Rng, service: &ServiceSpec, error_share: f64, latency_ms: f64) -> Entry {
    let endpoint = random::pick(rng, &service.endpoints).map_or_else(
        || {
            let offset = service.name.bytes().map(usize::from).sum::<usize>() % ENDPOINTS.len();
            let n = (offset + rng.random_range(0..5)) % ENDPOINTS.len();
            ENDPOINTS.get(n).copied().unwrap_or("GET /").to_owned()
        },
        Clone::clone,
    );
    let path = endpoint.replace("{id}", &rng.random_range(1000..99_999).to_string());
    let status = if rng.random_bool(error_share.clamp(0.0, 1.0)) {
        [500, 502, 503].get(rng.random_range(0..3)).copied().unwrap_or(500)
    } else if rng.random_bool(0.03) {
        [400, 401, 404, 404, 409].get(rng.random_range(0..5)).copied().unwrap_or(404)
    } else {
        200
    };
    let spread = rng.random_range(0.3_f64..2.2);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a duration in ms")]
    let duration = (latency_ms * spread * spread).max(1.0) as u32;
    Entry {
        level: Level::Info,
        logger: "http.access".to_owned(),
        message: format!("{path} {status} in {duration} ms"),
        stack: Vec::new(),
        status: Some(status),
        duration_ms: Some(duration),
    }
}

fn fill(rng: &mut Rng, text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 24);
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        out.push_str(before);
        let (name, tail) = after.split_once('}').unwrap_or((after, ""));
        match name {
            "n" => out.push_str(&rng.random_range(2..97).to_string()),
            "k" => out.push_str(&random::hex(rng, 6)),
            "u" => out.push_str(&random::uuid(rng)),
            _ => {
                let (c, d) = (rng.random_range(0..32), rng.random_range(2..250));
                out.push_str("10.0.");
                out.push_str(&c.to_string());
                out.push('.');
                out.push_str(&d.to_string());
            }
        }
        rest = tail;
    }
    out.push_str(rest);
    out
}

/// Writes an entry in a style.
pub(crate) fn render(rng: &mut Rng, style: LogStyle, service: &str, at_ms: i64, entry: &Entry) -> Arc<str> {
    let at = time::timestamp(at_ms).strftime("%Y-%m-%dT%H:%M:%S.%3fZ");
    let (level, logger) = (entry.level.as_str(), &entry.logger);
    let text = match style {
        LogStyle::Json => {
            let mut line = json!({
                "timestamp": at.to_string(),
                "level": level,
                "service": service,
                "logger": logger,
                "message": entry.message,
                "trace_id": random::hex(rng, 16),
            });
            if let Some(map) = line.as_object_mut() {
                if let Some(status) = entry.status {
                    map.insert("status".to_owned(), status.into());
                }
                if let Some(duration) = entry.duration_ms {
                    map.insert("duration_ms".to_owned(), duration.into());
                }
                if !entry.stack.is_empty() {
                    map.insert("stack".to_owned(), entry.stack.join("\n").into());
                }
            }
            line.to_string()
        }
        LogStyle::Text => {
            let trace = random::hex(rng, 8);
            let mut line = format!("{at} {level:5} [{service},{trace}] {logger} - {}", entry.message);
            for frame in &entry.stack {
                line.push_str("\n    ");
                line.push_str(frame);
            }
            line
        }
        LogStyle::Logfmt => {
            let trace = random::hex(rng, 8);
            let message = entry.message.replace('"', "'");
            let lower = level.to_ascii_lowercase();
            let mut line = format!("ts={at} level={lower} logger={logger} trace={trace} msg=\"{message}\"");
            if let Some(status) = entry.status {
                line.push_str(" status=");
                line.push_str(&status.to_string());
            }
            if !entry.stack.is_empty() {
                line.push_str(" stack=\"");
                line.push_str(&entry.stack.join(" | ").replace('"', "'"));
                line.push('"');
            }
            line
        }
    };
    text.into()
}
