//! What `serve` answers over HTTP: alarms, SNS, health, metrics, reload.
//!
//! INVARIANTS:
//! - a 2xx to an alarm means that it is durable; 503 carries Retry-After;
//! - nothing is read of a body before the caller's token is good, but of SNS's and PagerDuty's, whose
//!   signature is in or over the body: those are at most 256 KiB;
//! - longer ones are read one after another, and what waits at the door is bounded;
//! - no browser may call, and nobody by a name that is not ours.

mod calls;
mod door;
mod people;
#[cfg(test)]
mod tests;

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{get, post},
};
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
};
use tokio_util::sync::CancellationToken;

use midwatch_mcp::serve_connections;
use midwatch_policy::Clock;

use crate::intake::{door::Door, inbox::Inbox, sources::sns::Sns};

use super::{
    config::{Caller, Config},
    daemon::ServeError,
    health::Health,
    metrics::Metrics,
    people::People,
};

/// Longest body; SNS and SQS allow no longer message.
const BODY: usize = 256 * 1024;
/// Longest body with alarms: Alertmanager sends a group as one, and does not come again with what is too long.
const ALARMS: usize = 4 * 1024 * 1024;
/// Bodies longer than `BODY` that are read at once.
pub(super) const LONG: usize = 2;
/// How many calls at once may have their body read before it is known whose they are: fewer than connections, so
/// that those who are slow with it keep nobody else out.
pub(super) const STRANGERS: usize = 50;
/// How long calls in flight may take once it is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Knows which servers an incident that begins now would do without.
pub(super) trait Absent: fmt::Debug + Send + Sync {
    /// Each with the reason.
    fn absent(&self) -> Vec<String>;
}

/// What every call can reach.
#[derive(Debug, Clone)]
pub(super) struct Desk {
    pub(super) door: Door,
    pub(super) inbox: Inbox,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) sns: Arc<Sns>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) people: People,
    pub(super) health: Arc<Health>,
    pub(super) callers: Arc<[Caller]>,
    pub(super) hosts: Arc<[String]>,
    /// Turns for reading long bodies.
    pub(super) long: Arc<Semaphore>,
    /// Metrics need no token.
    pub(super) open: bool,
    /// Which servers are not there.
    pub(super) tools: Arc<dyn Absent>,
    /// Calls at once of whoever is known by the body only.
    pub(super) strangers: Arc<Semaphore>,
    /// Asks for a reload; answered with what is wrong.
    pub(super) reload: mpsc::Sender<super::daemon::Reload>,
}

impl Desk {
    /// Whether it is ready, and if not, why not.
    pub(super) async fn troubles(&self) -> Vec<String> {
        let mut troubles = self.health.troubles(self.clock.running());
        if !self.health.is_up() {
            troubles.push("it is starting or being stopped".to_owned());
        }
        if self.door.room() == 0 && troubles.is_empty() {
            troubles.push("no more incidents may wait, or nothing can be written down".to_owned());
        }
        troubles.extend(self.metrics.broken_queues());
        troubles.extend(self.people.troubles().await);
        self.metrics.set_ready(troubles.is_empty());
        troubles
    }
}

/// The port, taken.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    pub(super) addr: SocketAddr,
}

/// Takes the port.
pub(super) async fn bind(listen: SocketAddr) -> Result<Bound, ServeError> {
    let failed = |source| ServeError::Bind { addr: listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok(Bound { listener, addr })
}

/// Names that a call may be for.
pub(super) fn hosts(config: &Config, addr: SocketAddr) -> Arc<[String]> {
    let ours = ["localhost", "127.0.0.1", "::1"].map(str::to_owned);
    let named = config.hosts.iter().map(|host| host.to_ascii_lowercase());
    named.chain(ours).chain([addr.ip().to_string()]).collect()
}

impl Bound {
    /// Answers until `stop`, then lets calls in flight finish.
    pub(super) async fn run(self, desk: Desk, stop: CancellationToken) {
        let told = stop.clone();
        let serving = serve_connections(self.listener, router(desk), async move { told.cancelled().await });
        let late = async {
            stop.cancelled().await;
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! { () = serving => {}, () = late => {} }
    }
}

fn router(desk: Desk) -> Router {
    let few = middleware::from_fn_with_state(desk.clone(), door::few);
    Router::new()
        .route("/v1/alarms", post(calls::alarms).layer(DefaultBodyLimit::max(ALARMS)))
        .route("/v1/sns", post(calls::sns).layer(few.clone()))
        .route("/v1/pagerduty", post(people::pagerduty).layer(few))
        .route("/v1/reload", post(calls::reload))
        .route("/v1/incidents/{id}/note", post(people::note))
        .route("/v1/incidents/{id}/acknowledge", post(people::acknowledge))
        .route("/v1/incidents/{id}/take", post(people::take))
        .route("/v1/incidents/{id}/stop", post(people::stop))
        .route("/live", get(calls::live))
        .route("/ready", get(calls::ready))
        .route("/metrics", get(calls::metrics))
        .fallback(calls::nothing_here)
        .method_not_allowed_fallback(calls::nothing_here)
        .layer(DefaultBodyLimit::max(BODY))
        .layer(middleware::from_fn_with_state(desk.clone(), door::guard))
        .with_state(desk)
}
