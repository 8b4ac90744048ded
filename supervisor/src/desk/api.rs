//! The desk's HTTP API, for supervisors, remediation servers and people's tools.
//!
//! INVARIANTS:
//! - every call but `/healthz` and `/v1/keys` names its principal by a bearer token, before
//!   anything of its body is read;
//! - no browser may call: a call with an `Origin`, or for a host that is not ours, is refused;
//! - a body is at most 64 KiB of JSON without unknown or repeated fields.

mod calls;
mod door;
#[cfg(test)]
mod tests;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use midwatch_mcp::{Network, serve_connections};
use midwatch_policy::Clock;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::{office::Office, roster::Roster};

/// Longest body.
const BODY: usize = 64 * 1024;
/// How often expired requests are looked for.
const SWEEP: Duration = Duration::from_secs(5);
/// How long calls in flight may take once the desk is told to stop.
const GRACE: Duration = Duration::from_secs(10);

/// Where to listen, and for whom.
#[derive(Debug, Clone)]
pub struct ApiSettings {
    /// Where; port 0 picks one.
    pub listen: SocketAddr,
    /// Names under which the desk may be addressed, besides loopback and `listen`.
    pub hosts: Vec<String>,
    /// TLS ends in front of the desk, so that tokens are not readable on the way to it.
    pub behind_tls: bool,
    /// What lies between the desk and its callers.
    pub network: Network,
}

/// Why the API cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// Tokens would be readable on the way.
    #[error(
        "{0} is not a loopback address: put TLS in front of the desk and say so with --behind-tls; or, where nobody \
         else listens, --private-network"
    )]
    Plain(SocketAddr),
    /// The address is taken, or not ours.
    #[error("cannot listen on {addr}")]
    Bind {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// What every call can reach.
#[derive(Debug, Clone)]
struct Site {
    office: Arc<Office>,
    roster: Roster,
    hosts: Arc<[String]>,
    stop: CancellationToken,
}

/// A desk that listens but does not answer yet.
#[derive(Debug)]
pub struct BoundApi {
    listener: TcpListener,
    addr: SocketAddr,
    site: Site,
}

/// Takes the port.
pub async fn bind(office: Arc<Office>, roster: Roster, settings: ApiSettings) -> Result<BoundApi, ApiError> {
    if !settings.listen.ip().is_loopback() && !settings.behind_tls && settings.network == Network::Open {
        return Err(ApiError::Plain(settings.listen));
    }
    let failed = |source| ApiError::Bind { addr: settings.listen, source };
    let listener = TcpListener::bind(settings.listen).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    let mut hosts: Vec<String> = settings.hosts.iter().map(|host| host.to_ascii_lowercase()).collect();
    hosts.extend(["localhost", "127.0.0.1", "::1"].map(str::to_owned));
    hosts.push(addr.ip().to_string());
    let site = Site { office, roster, hosts: hosts.into(), stop: CancellationToken::new() };
    Ok(BoundApi { listener, addr, site })
}

impl BoundApi {
    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `stop` is cancelled, then lets calls in flight finish.
    pub async fn run(self, clock: Arc<dyn Clock>, stop: CancellationToken) -> Result<(), ApiError> {
        let Self { listener, site, .. } = self;
        let sweeping = tokio::spawn(sweep(Arc::clone(&site.office), clock, stop.clone()));
        let waiting = site.stop.clone();
        let told = stop.clone();
        let serving = serve_connections(listener, router(site), async move {
            told.cancelled().await;
            // Whoever waits for a change is answered now.
            waiting.cancel();
        });
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! { () = serving => {}, () = late => {} }
        sweeping.abort();
        Ok(())
    }
}

async fn sweep(office: Arc<Office>, clock: Arc<dyn Clock>, stop: CancellationToken) {
    while !stop.is_cancelled() {
        if let Err(error) = office.sweep() {
            tracing::error!(%error, "expired requests could not be marked");
        }
        clock.sleep(SWEEP).await;
    }
}

fn router(site: Site) -> Router {
    Router::new()
        .route("/v1/me", get(calls::me))
        .route("/v1/requests", get(calls::list).post(calls::file))
        .route("/v1/given-back", get(calls::given_back))
        .route("/v1/requests/{id}", get(calls::view))
        .route("/v1/requests/{id}/approve", post(calls::approve))
        .route("/v1/requests/{id}/decline", post(calls::decline))
        .route("/v1/requests/{id}/raise", post(calls::raise))
        .route("/v1/requests/{id}/withdraw", post(calls::withdraw))
        .route("/v1/permits/fetch", post(calls::fetch))
        .route("/v1/permits/{permit}/check", post(calls::check))
        .route("/v1/permits/{permit}/used", post(calls::used))
        .route("/v1/permits/{permit}/revoke", post(calls::revoke))
        .route("/v1/incidents/{id}", get(calls::hold))
        .route("/v1/incidents/{id}/take", post(calls::take))
        .route("/v1/incidents/{id}/stop", post(calls::stop))
        .route("/v1/incidents/{id}/return", post(calls::hand_back))
        .route("/v1/incidents/{id}/seal", post(calls::seal))
        .route("/v1/keys", get(calls::keys))
        .route("/healthz", get(|| async { "ok" }))
        .fallback(calls::nothing_here)
        .method_not_allowed_fallback(calls::nothing_here)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(site.clone(), door::guard))
        .with_state(site)
}
