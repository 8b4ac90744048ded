//! Any endpoint that speaks OpenAI's chat completions behind the [`Model`] trait: a hosted one, or
//! a server at home.
//!
//! Small models answer better when they are not trusted with `tools`: for them the calls are
//! described in the prompt and asked for as JSON of a schema ([`Calling::Schema`]). A call that
//! arrives as JSON in a fence is taken by the agent loop, whichever way it was asked for.
//! INVARIANT: the key stands in one header and nowhere else; no redirect is followed with it, and
//! without leave it goes over TLS or to loopback only.

mod error;
mod request;
mod response;
#[cfg(test)]
mod tests;

use std::{fmt, net::IpAddr, time::Duration};

use futures::future::BoxFuture;
use reqwest::{Client, Url, header::AUTHORIZATION, redirect::Policy};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{CallLimits, Charged, Model, ModelError, ModelErrorKind, ModelRequest, ModelResponse};

const CONNECT: Duration = Duration::from_secs(3);
/// Longest answer that is read.
const LONGEST: usize = 8 * 1024 * 1024;

/// How the model is asked for tool calls.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Calling {
    /// With `tools` and `tool_choice`.
    #[default]
    Tools,
    /// With `response_format: json_schema`: for models that do not call tools well.
    Schema,
}

/// A key that is never shown.
#[derive(Clone)]
pub struct ApiKey(String);

impl ApiKey {
    /// A key; nothing for an empty text.
    pub fn new(text: &str) -> Option<Self> {
        let text = text.trim();
        (!text.is_empty()).then(|| Self(text.to_owned()))
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// Where the endpoint is, and how it is asked.
#[derive(Debug, Clone)]
pub struct OpenAiConfig {
    /// Up to and with the version, such as `https://api.openai.com/v1`.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// The name that prices are kept under.
    pub price_id: String,
    /// The key, where one is needed.
    pub key: Option<ApiKey>,
    /// How tool calls are asked for.
    pub calling: Calling,
    /// Whether plain HTTP may leave this machine.
    pub plain_http: PlainHttp,
}

/// Where plain HTTP may go.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlainHttp {
    /// To this machine only.
    #[default]
    Loopback,
    /// Anywhere, as the operator says.
    Anywhere,
}

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum OpenAiError {
    /// Not an address that can be used.
    #[error("`{url}` is no base URL: {problem}")]
    Url {
        /// What was given, without user and password.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// A key with characters that no header carries.
    #[error("the API key has characters that cannot be sent")]
    Key,
    /// TLS cannot be set up.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

/// A model behind such an endpoint.
#[derive(Clone)]
pub struct OpenAiModel {
    client: Client,
    url: Url,
    model: String,
    price_id: String,
    key: Option<ApiKey>,
    calling: Calling,
}

impl fmt::Debug for OpenAiModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiModel")
            .field("model", &self.model)
            .field("at", &self.url.host_str())
            .finish_non_exhaustive()
    }
}

impl OpenAiModel {
    /// A client for one model.
    pub fn new(config: OpenAiConfig) -> Result<Self, OpenAiError> {
        let OpenAiConfig { base_url, model, price_id, key, calling, plain_http } = config;
        let url = endpoint(&base_url, plain_http)?;
        if key.as_ref().is_some_and(|key| !key.0.bytes().all(|b| b.is_ascii_graphic())) {
            return Err(OpenAiError::Key);
        }
        // The provider that the AWS clients use as well; a second call changes nothing.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client =
            Client::builder().redirect(Policy::none()).no_proxy().connect_timeout(CONNECT).build()?;
        Ok(Self { client, url, model, price_id, key, calling })
    }

    fn error(&self, kind: ModelErrorKind, why: impl Into<String>) -> ModelError {
        // Endpoints repeat what they were sent.
        let mut why = why.into();
        if let Some(key) = &self.key {
            why = why.replace(&key.0, "…");
        }
        ModelError::new(kind, &self.price_id, midwatch_policy::redact(&why).text)
    }

    fn body(&self, asked: &ModelRequest) -> Value {
        request::body(&self.model, self.url.host_str(), self.calling, asked)
    }

    async fn attempt(&self, asked: &ModelRequest) -> Result<ModelResponse, ModelError> {
        let body = self.body(asked);
        let mut call = self.client.post(self.url.clone()).json(&body);
        if let Some(ApiKey(key)) = &self.key {
            call = call.header(AUTHORIZATION, format!("Bearer {key}"));
        }
        let mut answer = call.send().await.map_err(|error| self.unsent(&error))?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| self.cut_off(&error))? {
            if bytes.len().saturating_add(chunk.len()) > LONGEST {
                return Err(
                    self.error(ModelErrorKind::Other, format!("its answer is longer than {LONGEST} bytes"))
                );
            }
            bytes.extend_from_slice(&chunk);
        }
        if !(200..300).contains(&status) {
            let found = error::classify(status, &headers, &bytes);
            let mut error = self.error(found.kind, found.said).charged(found.charged);
            error.retry_after = found.retry_after;
            return Err(error);
        }
        response::read(&bytes).map_err(|why| self.error(ModelErrorKind::Other, why))
    }

    fn unsent(&self, error: &reqwest::Error) -> ModelError {
        let chain = error::chain(error);
        if error.is_connect() {
            return self.error(ModelErrorKind::Unavailable, chain).charged(Charged::Nothing);
        }
        let kind = if error.is_timeout() { ModelErrorKind::Timeout } else { ModelErrorKind::Unavailable };
        self.error(kind, chain)
    }

    fn cut_off(&self, error: &reqwest::Error) -> ModelError {
        let kind = if error.is_timeout() { ModelErrorKind::Timeout } else { ModelErrorKind::Unavailable };
        self.error(kind, error::chain(error))
    }
}

/// The address of chat completions below a base URL, or why there is none.
pub fn endpoint(base: &str, plain: PlainHttp) -> Result<Url, OpenAiError> {
    let wrong =
        |url: &str, problem: &str| OpenAiError::Url { url: url.to_owned(), problem: problem.to_owned() };
    let mut url: Url = base.trim().parse().map_err(|_| wrong("…", "it cannot be read as a URL"))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("…", "it has a user or a password in it; give the key by itself"));
    }
    let shown = format!("{}://{}", url.scheme(), url.host_str().unwrap_or_default());
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong(&shown, "it has a query or a fragment"));
    }
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let is_near = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    match url.scheme() {
        "https" => {}
        "http" if is_near || plain == PlainHttp::Anywhere => {}
        "http" => return Err(wrong(&shown, "plain http leaves this machine: use https")),
        _ => return Err(wrong(&shown, "it is neither https nor http")),
    }
    if host.is_empty() {
        return Err(wrong(&shown, "it has no host"));
    }
    let path = format!("{}/chat/completions", url.path().trim_end_matches('/'));
    url.set_path(&path);
    Ok(url)
}

impl Model for OpenAiModel {
    fn id(&self) -> &str {
        &self.price_id
    }

    fn input_bound(&self, request: &ModelRequest) -> u64 {
        let body = serde_json::to_vec(&self.body(request)).map_or(0, |bytes| bytes.len());
        u64::try_from(body).unwrap_or(u64::MAX).max(request.bytes())
    }

    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        Box::pin(async move {
            tokio::select! {
                biased;
                () = limits.cancel.cancelled() => Err(self.error(ModelErrorKind::Cancelled, "cancelled")),
                answer = tokio::time::timeout(limits.timeout, self.attempt(request)) => {
                    answer.unwrap_or_else(|_| Err(self.error(ModelErrorKind::Timeout, "no answer in time")))
                }
            }
        })
    }
}
