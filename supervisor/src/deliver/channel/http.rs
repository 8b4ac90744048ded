//! One HTTP request with a deadline, and as much of its answer as is worth reading.

use std::time::Duration;

use midwatch_mcp::{
    RemoteError,
    reqwest::{Client, Method, Response, header},
};
use midwatch_policy::Timestamp;

use super::{DEADLINE, Said};
use crate::deliver::{
    chain::Perhaps,
    secret::{Place, Secret},
    text,
};

/// Most bytes of an answer that are read.
const READ: usize = 2048;
/// Most characters of an answer that are quoted.
const QUOTED: usize = 160;

/// The client that notices leave by: no redirects, a deadline on everything.
#[derive(Debug, Clone)]
pub(in crate::deliver) struct Http {
    client: Client,
    deadline: Duration,
}

/// A request.
pub(super) struct Call<'a> {
    pub(super) place: &'a Place,
    pub(super) body: Vec<u8>,
    pub(super) headers: Vec<(&'static str, String)>,
    /// What must not be quoted from the answer.
    pub(super) secret: Option<&'a Secret>,
    pub(super) now: Timestamp,
}

/// An answer, with the beginning of its body.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) body: String,
    retry_after: Option<Duration>,
    quoted: String,
}

impl Http {
    /// The client as it is used.
    pub(in crate::deliver) fn new() -> Result<Self, RemoteError> {
        Self::within(DEADLINE)
    }

    /// One with another deadline.
    pub(in crate::deliver) fn within(deadline: Duration) -> Result<Self, RemoteError> {
        Ok(Self { client: midwatch_mcp::http_client()?, deadline })
    }

    /// Sends a GET, or a POST of JSON; the error is what became of it instead of an answer.
    pub(super) async fn call(&self, method: Method, call: Call<'_>) -> Result<Reply, Said> {
        let mut request = self
            .client
            .request(method, call.place.url().clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::USER_AGENT, concat!("midwatch/", env!("CARGO_PKG_VERSION")))
            .body(call.body);
        for (name, value) in call.headers {
            request = request.header(name, value);
        }
        let exchange = async {
            let response = request.send().await.map_err(|error| {
                // The error's own text holds the URL, which may be a secret.
                let (perhaps, what) = match () {
                    () if error.is_connect() => (Perhaps::HasNot, "cannot be reached"),
                    () if error.is_timeout() => (Perhaps::Has, "does not answer in time"),
                    () => (Perhaps::Has, "broke the connection off"),
                };
                Said::not_now(perhaps, format!("{} {what}", call.place.shown()))
            })?;
            Ok(read(response, call.now, call.secret).await)
        };
        // Covers the body as well: one that trickles without end is cut off.
        tokio::time::timeout(self.deadline, exchange).await.unwrap_or_else(|_| {
            Err(Said::not_now(Perhaps::Has, format!("{} does not answer in time", call.place.shown())))
        })
    }

    /// A ping: whether it was answered with success.
    pub(in crate::deliver) async fn ping(
        &self,
        post: Option<Vec<u8>>,
        place: &Place,
        now: Timestamp,
    ) -> Result<(), String> {
        let method = if post.is_some() { Method::POST } else { Method::GET };
        let body = post.unwrap_or_default();
        let call = Call { place, body, headers: Vec::new(), secret: None, now };
        match self.call(method, call).await.map_or_else(|said| said, |reply| reply.judge()) {
            Said::Taken => Ok(()),
            Said::NotNow { problem, .. } | Said::Never { problem } => Err(problem),
        }
    }
}

async fn read(mut response: Response, now: Timestamp, secret: Option<&Secret>) -> Reply {
    let status = response.status().as_u16();
    let retry_after = response
        .headers()
        .get(header::RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| retry_after(value, now));
    let mut bytes = Vec::new();
    while bytes.len() < READ {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) | Err(_) => break,
        }
    }
    bytes.truncate(READ);
    let body = String::from_utf8_lossy(&bytes).into_owned();
    let unsecret = secret.map_or_else(|| body.clone(), |secret| secret.out_of(&body));
    let quoted = text::line(&unsecret, QUOTED);
    Reply { status, body, retry_after, quoted }
}

impl Reply {
    /// What an answer means where every success means taken.
    pub(super) fn judge(&self) -> Said {
        if (200..300).contains(&self.status) { Said::Taken } else { self.trouble() }
    }

    /// What an answer means that is not the one that was hoped for.
    pub(super) fn trouble(&self) -> Said {
        let problem = if self.quoted.is_empty() {
            format!("HTTP {}", self.status)
        } else {
            format!("HTTP {}: \"{}\"", self.status, self.quoted)
        };
        match self.status {
            429 => Said::NotNow { perhaps: Perhaps::HasNot, retry_after: self.retry_after, problem },
            200..300 | 408 | 425 | 500.. => {
                Said::NotNow { perhaps: Perhaps::Has, retry_after: self.retry_after, problem }
            }
            300..400 => Said::never(format!("HTTP {}: redirects are not followed", self.status)),
            _ => Said::never(problem),
        }
    }
}

/// Seconds, or a date.
fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    if let Ok(seconds) = value.trim().parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = jiff::fmt::rfc2822::parse(value.trim()).ok()?.timestamp();
    Duration::try_from(at.duration_since(now)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_to_wait_is_seconds_or_a_date() {
        let now = "2026-11-21T02:00:00Z".parse().unwrap();
        assert_eq!(retry_after("30", now), Some(Duration::from_secs(30)));
        let date = retry_after("Sat, 21 Nov 2026 02:01:30 GMT", now);
        assert_eq!(date, Some(Duration::from_secs(90)));
        assert_eq!(retry_after("Sat, 21 Nov 2026 01:00:00 GMT", now), None);
        assert_eq!(retry_after("soon", now), None);
    }
}
