//! The client side of servers and the desk that run elsewhere: HTTP with a bearer token.
//!
//! INVARIANT: a token is sent over TLS or to this machine, and nowhere else, unless an operator says
//! of a place that the network to it is [private](Network::Private); redirects are not followed, so
//! that it is not carried to another place.

use std::{fmt, net::IpAddr, time::Duration};

use reqwest::{Url, redirect::Policy};
use rmcp::{
    model::ProtocolVersion,
    service::{ClientLifecycleMode, ClientServiceExt},
    transport::{StreamableHttpClientTransport, streamable_http_client::StreamableHttpClientTransportConfig},
};

use crate::connect::{Client, ConnectError, HANDSHAKE};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection is kept for the next call. Shorter than any server keeps it: a call that meets the closing
/// may or may not have been made.
const KEPT: Duration = Duration::from_secs(20);

/// What lies between here and a place.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Network {
    /// Anybody may listen: a token needs TLS, or stays on this machine.
    #[default]
    Open,
    /// Nobody listens who may not read the token, such as between containers of one host: plain
    /// HTTP will do. Only an operator knows that, so nothing but configuration says it.
    Private,
}

impl Network {
    /// As a configuration says it.
    pub const fn private_if(said: bool) -> Self {
        if said { Self::Private } else { Self::Open }
    }
}

/// Where something runs, and what it is presented.
#[derive(Clone)]
pub struct Remote {
    url: Url,
    token: String,
    http: reqwest::Client,
}

/// Why a place cannot be called.
#[derive(Debug, thiserror::Error)]
pub enum RemoteError {
    /// No URL, or one that is not HTTP.
    #[error("`{url}` is no http or https URL")]
    Url {
        /// What was given.
        url: String,
    },
    /// The token would be readable on the way.
    #[error(
        "`{url}` would get the token over plain HTTP: use https, or an address of this machine; or say that nobody else \
         listens on the network to it (`private_network`)"
    )]
    Plain {
        /// What was given.
        url: String,
    },
    /// The client cannot be built.
    #[error("the HTTP client cannot be set up")]
    Client(#[from] reqwest::Error),
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remote").field("url", &self.url.as_str()).finish_non_exhaustive()
    }
}

impl Remote {
    /// A place and the token for it, over a network that anybody may listen on.
    pub fn new(url: &str, token: impl Into<String>) -> Result<Self, RemoteError> {
        Self::over(Network::Open, url, token)
    }

    /// A place, the token for it, and what lies between.
    pub fn over(network: Network, url: &str, token: impl Into<String>) -> Result<Self, RemoteError> {
        let shown = || clip_url(url);
        let parsed = Url::parse(url.trim()).map_err(|_| RemoteError::Url { url: shown() })?;
        match parsed.scheme() {
            "https" => {}
            "http" if network == Network::Private || is_this_machine(&parsed) => {}
            "http" => return Err(RemoteError::Plain { url: shown() }),
            _ => return Err(RemoteError::Url { url: shown() }),
        }
        Ok(Self { url: parsed, token: token.into(), http: http_client()? })
    }

    /// The place.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// A request to a path below the place, with the token.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let base = self.url.as_str().trim_end_matches('/');
        self.http.request(method, format!("{base}{path}")).bearer_auth(&self.token)
    }

    /// Connects to an MCP server there.
    pub async fn connect(&self) -> Result<Client, ConnectError> {
        let config = StreamableHttpClientTransportConfig::with_uri(self.url.as_str())
            .auth_header(self.token.clone())
            .reinit_on_expired_session(false);
        let transport = StreamableHttpClientTransport::with_client(self.http.clone(), config);
        let discover =
            ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] };
        tokio::time::timeout(HANDSHAKE, ().serve_with_lifecycle(transport, discover))
            .await
            .map_err(|_| ConnectError::Silent)?
            .map_err(|error| ConnectError::Client(Box::new(error)))
    }
}

/// What may be shown of a URL: without credentials that somebody wrote into it.
fn clip_url(url: &str) -> String {
    let shown = url.split_once('@').map_or(url, |(_, rest)| rest);
    crate::clip(shown, 120).into_owned()
}

/// Whether a URL leads to this machine.
pub fn is_this_machine(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || bare.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// The HTTP client for everything but AWS: no redirects, no proxy that could read a token.
pub fn http_client() -> Result<reqwest::Client, reqwest::Error> {
    // Whoever was first has set the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().redirect(Policy::none()).no_proxy();
    builder.connect_timeout(CONNECT).pool_idle_timeout(KEPT).build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_goes_over_tls_or_stays_on_this_machine() {
        for good in
            ["https://desk.example.com", "http://127.0.0.1:1", "http://[::1]:1/mcp", "http://localhost:1"]
        {
            assert!(Remote::new(good, "t").is_ok(), "{good}");
        }
        for plain in ["http://desk.example.com", "http://10.0.0.1:1", "http://localhost.example.com"] {
            assert!(matches!(Remote::new(plain, "t"), Err(RemoteError::Plain { .. })), "{plain}");
        }
        assert!(Remote::over(Network::Private, "http://desk:8720", "t").is_ok());
        assert!(matches!(Remote::over(Network::Private, "ftp://x", "t"), Err(RemoteError::Url { .. })));
        assert!(matches!(Remote::new("ftp://x", "t"), Err(RemoteError::Url { .. })));
        let error = Remote::new("http://user:secret@desk.example.com", "t").unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
        let remote = Remote::new("https://desk.example.com", "a-token-nobody-sees").unwrap();
        assert!(!format!("{remote:?}").contains("nobody"));
    }
}
