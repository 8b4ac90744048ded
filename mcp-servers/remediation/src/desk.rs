//! The desk as a process of its own, over HTTP.
//!
//! INVARIANT: whatever the desk answers is data to be checked; a permit is verified by its
//! signature, never because it came from here. An answer that is late, too long or unreadable is
//! no answer.

use std::time::Duration;

use futures::future::BoxFuture;
use midwatch_mcp::{
    Remote, clip,
    reqwest::{Method, RequestBuilder, StatusCode},
};
use midwatch_policy::{Action, Asking, Outcome, PermitId, RequestId, RequestView, WireError};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::permits::{Offer, PermitSource, SourceError};

/// How long the desk may take to look something up.
const LOOK: Duration = Duration::from_secs(10);
/// How long it may take to file a request: it plans it first, at this server.
const FILE: Duration = Duration::from_secs(45);
/// A longer answer is none.
const LONGEST: usize = 1024 * 1024;

/// A desk elsewhere, and the token by which it knows this server.
#[derive(Debug, Clone)]
pub struct DeskOverHttp(Remote);

#[derive(Serialize)]
struct Wanted<'a> {
    subject: &'a str,
    action: &'a Action,
}

#[derive(Serialize)]
struct Used {
    outcome: Outcome,
}

#[derive(Serialize)]
struct Spender<'a> {
    store: &'a str,
}

#[derive(Serialize)]
struct Why<'a> {
    why: &'a str,
}

#[derive(Deserialize)]
struct Failure {
    error: WireError,
}

fn silent(why: impl Into<String>) -> SourceError {
    SourceError::Silent(why.into())
}

impl DeskOverHttp {
    /// The desk there.
    pub const fn new(remote: Remote) -> Self {
        Self(remote)
    }

    fn post(&self, path: &str, within: Duration) -> RequestBuilder {
        self.0.request(Method::POST, path).timeout(within)
    }

    async fn fetch(&self, subject: &str, action: &Action) -> Result<Option<Offer>, SourceError> {
        let call = self.post("/v1/permits/fetch", LOOK).json(&Wanted { subject, action });
        match send(call).await? {
            (StatusCode::NOT_FOUND, _) => Ok(None),
            (status, body) => read(status, &body).map(Some),
        }
    }

    async fn file(&self, subject: &str, action: &Action) -> Result<RequestView, SourceError> {
        let asking = Asking {
            subject: Some(subject.to_owned()),
            incident: None,
            action: action.clone(),
            claimed: None,
            reason: format!("`{subject}` called `{}` without a permit", action.kind()),
            evidence: Vec::new(),
            runbook: None,
        };
        let (status, body) = send(self.post("/v1/requests", FILE).json(&asking)).await?;
        read(status, &body)
    }

    async fn check(&self, permit: &PermitId, store: &str) -> Result<bool, SourceError> {
        let call = self.post(&format!("/v1/permits/{permit}/check"), LOOK).json(&Spender { store });
        let (status, body) = send(call).await?;
        // A map, and not a struct: a struct would also be read from a list.
        let answer: Map<String, Value> = read(status, &body)?;
        answer.get("good").and_then(Value::as_bool).ok_or_else(|| silent("its answer is neither yes nor no"))
    }

    async fn note(&self, permit: &PermitId, outcome: Outcome) -> Result<(), SourceError> {
        self.tell(&format!("/v1/permits/{permit}/used"), &Used { outcome }).await
    }

    async fn tell(&self, path: &str, what: &impl Serialize) -> Result<(), SourceError> {
        let (status, body) = send(self.post(path, LOOK).json(what)).await?;
        if status.is_success() { Ok(()) } else { Err(failure(status, &body)) }
    }
}

async fn send(call: RequestBuilder) -> Result<(StatusCode, Vec<u8>), SourceError> {
    // The error's text names the URL, never the token, which is a header.
    let gone = |error: midwatch_mcp::reqwest::Error| silent(midwatch_mcp::in_one_line(&error));
    let mut answer = call.send().await.map_err(gone)?;
    let (status, mut body) = (answer.status(), Vec::new());
    while let Some(part) = answer.chunk().await.map_err(gone)? {
        body.extend_from_slice(&part);
        if body.len() > LONGEST {
            return Err(silent("its answer is too long"));
        }
    }
    Ok((status, body))
}

fn read<T: DeserializeOwned>(status: StatusCode, body: &[u8]) -> Result<T, SourceError> {
    if !status.is_success() {
        return Err(failure(status, body));
    }
    // What is wrong with it is not quoted: it may hold a permit.
    serde_json::from_slice(body).map_err(|_| silent("its answer cannot be read: are both of one version?"))
}

fn failure(status: StatusCode, body: &[u8]) -> SourceError {
    match serde_json::from_slice::<Failure>(body) {
        Ok(Failure { mut error }) => {
            // Shown to an agent client: long enough for a reason, and no longer.
            error.message = clip(&error.message, 600).into_owned();
            error.mend = clip(&error.mend, 300).into_owned();
            SourceError::Desk(error)
        }
        Err(_) => silent(format!("it answered with HTTP status {}", status.as_u16())),
    }
}

impl PermitSource for DeskOverHttp {
    fn permit_for<'a>(
        &'a self,
        subject: &'a str,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<Option<Offer>, SourceError>> {
        Box::pin(self.fetch(subject, action))
    }

    fn ask<'a>(
        &'a self,
        subject: &'a str,
        action: &'a Action,
    ) -> BoxFuture<'a, Result<RequestView, SourceError>> {
        Box::pin(self.file(subject, action))
    }

    fn stands<'a>(
        &'a self,
        permit: &'a PermitId,
        store: &'a str,
    ) -> BoxFuture<'a, Result<bool, SourceError>> {
        Box::pin(self.check(permit, store))
    }

    fn used<'a>(&'a self, permit: &'a PermitId, outcome: Outcome) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(self.note(permit, outcome))
    }

    fn withdraw<'a>(
        &'a self,
        request: &'a RequestId,
        why: &'a str,
    ) -> BoxFuture<'a, Result<(), SourceError>> {
        Box::pin(async move { self.tell(&format!("/v1/requests/{request}/withdraw"), &Why { why }).await })
    }
}
