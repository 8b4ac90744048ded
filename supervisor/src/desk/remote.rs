//! A desk that runs elsewhere, over its HTTP API.

use std::time::Duration;

use futures::future::BoxFuture;
use midwatch_mcp::{
    KeyFile, Remote, RemoteError,
    reqwest::{Method, RequestBuilder, StatusCode},
};
use midwatch_policy::{
    Asking, Digest, GivenBack, Hold, IncidentId, PermitId, RequestId, RequestState, RequestView, WireError,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;

use super::{
    error::{DeskError, Trouble},
    office::mark,
    port::Desk,
    principal::Me,
};

/// Deadline of a call; filing waits for a plan.
const CALL: Duration = Duration::from_secs(15);
const FILING: Duration = Duration::from_secs(45);
/// How long one question for a change may hang.
const HANG: Duration = Duration::from_secs(25);
/// How long a waiting caller bears with a desk that does not answer, and how often it tries.
const PATIENCE: u32 = 60;
const AGAIN: Duration = Duration::from_secs(2);
/// Longest answer that is read.
const LONGEST: usize = 4 * 1024 * 1024;

/// A desk elsewhere.
#[derive(Debug, Clone)]
pub struct DeskOverHttp {
    remote: Remote,
}

#[derive(Deserialize)]
struct Refusal {
    error: WireError,
}

#[derive(Deserialize)]
struct Sealed {
    signature: String,
}

impl DeskOverHttp {
    /// The desk at this URL, with the token of whoever calls.
    pub fn new(url: &str, token: impl Into<String>) -> Result<Self, RemoteError> {
        Remote::new(url, token).map(Self::at)
    }

    /// The desk there.
    pub const fn at(remote: Remote) -> Self {
        Self { remote }
    }

    /// Who the token says one is.
    pub async fn me(&self) -> Result<Me, DeskError> {
        self.get("/v1/me").await
    }

    /// The newest requests, newest first.
    pub async fn list(&self, state: Option<&str>) -> Result<Vec<RequestView>, DeskError> {
        match state {
            Some(state) => self.get(&format!("/v1/requests?state={state}")).await,
            None => self.get("/v1/requests").await,
        }
    }

    /// A request.
    pub async fn view(&self, id: &RequestId) -> Result<RequestView, DeskError> {
        self.get(&format!("/v1/requests/{id}")).await
    }

    /// Approves what was shown.
    pub async fn approve(
        &self,
        id: &RequestId,
        shown: Digest,
        role: Option<&str>,
    ) -> Result<RequestView, DeskError> {
        self.post(&format!("/v1/requests/{id}/approve"), &json!({ "shown": shown, "role": role }), CALL).await
    }

    /// Declines.
    pub async fn decline(&self, id: &RequestId, reason: &str) -> Result<RequestView, DeskError> {
        self.post(&format!("/v1/requests/{id}/decline"), &json!({ "reason": reason }), CALL).await
    }

    /// Files an ended request once more.
    pub async fn raise(&self, id: &RequestId) -> Result<RequestView, DeskError> {
        self.post(&format!("/v1/requests/{id}/raise"), &json!({}), FILING).await
    }

    /// Takes a permit back.
    pub async fn revoke(&self, permit: &PermitId, reason: &str) -> Result<RequestView, DeskError> {
        self.post(&format!("/v1/permits/{permit}/revoke"), &json!({ "reason": reason }), CALL).await
    }

    /// Takes an incident over (`take`), stops it (`stop`) or hands it back (`return`).
    pub async fn set_hold(&self, incident: &IncidentId, how: &str, note: &str) -> Result<Hold, DeskError> {
        self.post(&format!("/v1/incidents/{incident}/{how}"), &json!({ "note": note }), CALL).await
    }

    /// The desk's public keys.
    pub async fn keys(&self) -> Result<KeyFile, DeskError> {
        self.get("/v1/keys").await
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, DeskError> {
        self.send(self.remote.request(Method::GET, path), CALL).await
    }

    async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &(impl Serialize + Sync),
        within: Duration,
    ) -> Result<T, DeskError> {
        self.send(self.remote.request(Method::POST, path).json(body), within).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        request: RequestBuilder,
        within: Duration,
    ) -> Result<T, DeskError> {
        let answer = request.timeout(within).send().await.map_err(|error| self.unreachable(&error))?;
        let status = answer.status();
        if answer.content_length().is_some_and(|length| length > LONGEST as u64) {
            return Err(self.unreadable(status));
        }
        let bytes = answer.bytes().await.map_err(|error| self.unreachable(&error))?;
        if status.is_success() {
            return serde_json::from_slice(&bytes).map_err(|_| self.unreadable(status));
        }
        let refusal: Refusal = serde_json::from_slice(&bytes).map_err(|_| self.unreadable(status))?;
        Err(refusal.error.into())
    }

    fn unreachable(&self, error: &midwatch_mcp::reqwest::Error) -> DeskError {
        tracing::debug!(%error, "the desk cannot be reached");
        let how = if error.is_timeout() { "does not answer in time" } else { "cannot be reached" };
        DeskError::new(
            Trouble::Unreachable,
            format!("the desk at {} {how}", self.remote.url()),
            "start it (`midwatch desk`), or say where it is (--desk or MIDWATCH_DESK)",
        )
    }

    fn unreadable(&self, status: StatusCode) -> DeskError {
        DeskError::new(
            Trouble::Unreachable,
            format!(
                "what answers at {} is no desk, or another version of it (HTTP {status})",
                self.remote.url()
            ),
            "see that the URL is the desk's, and run the same version of both",
        )
    }
}

impl Desk for DeskOverHttp {
    fn file(&self, asking: Asking) -> BoxFuture<'_, Result<RequestView, DeskError>> {
        Box::pin(async move { self.post("/v1/requests", &asking, FILING).await })
    }

    fn wait<'a>(
        &'a self,
        id: &'a RequestId,
        seen: &'a RequestState,
    ) -> BoxFuture<'a, Result<RequestView, DeskError>> {
        Box::pin(async move {
            let mut failures = 0;
            loop {
                let path = format!("/v1/requests/{id}?wait={}&seen={}", HANG.as_secs(), mark(seen));
                let request = self.remote.request(Method::GET, &path);
                match self.send::<RequestView>(request, HANG + CALL).await {
                    Ok(view) if mark(&view.state) != mark(seen) => return Ok(view),
                    Ok(_) => failures = 0,
                    // The request is durable: a desk that is started again still has it.
                    Err(error) if error.is(Trouble::Unreachable) && failures < PATIENCE => {
                        failures += 1;
                        tokio::time::sleep(AGAIN).await;
                    }
                    Err(error) => return Err(error),
                }
            }
        })
    }

    fn withdraw<'a>(
        &'a self,
        id: &'a RequestId,
        why: &'a str,
    ) -> BoxFuture<'a, Result<RequestView, DeskError>> {
        Box::pin(async move {
            self.post(&format!("/v1/requests/{id}/withdraw"), &json!({ "why": why }), CALL).await
        })
    }

    fn hold<'a>(&'a self, incident: &'a IncidentId) -> BoxFuture<'a, Result<Hold, DeskError>> {
        Box::pin(async move { self.get(&format!("/v1/incidents/{incident}")).await })
    }

    fn given_back(&self) -> BoxFuture<'_, Result<GivenBack, DeskError>> {
        Box::pin(async move { self.get("/v1/given-back").await })
    }

    fn seal<'a>(
        &'a self,
        incident: &'a IncidentId,
        entries: u32,
        head: Digest,
    ) -> BoxFuture<'a, Result<String, DeskError>> {
        Box::pin(async move {
            let body = json!({ "entries": entries, "head": head });
            let sealed: Sealed = self.post(&format!("/v1/incidents/{incident}/seal"), &body, CALL).await?;
            Ok(sealed.signature)
        })
    }
}
