//! Streamable HTTP: stateless, JSON answers, bearer token, loopback unless told otherwise.
//!
//! Legacy sessions are off: three thousand unauthenticated `initialize` calls would hold 167 MB for
//! five minutes. Both protocol eras work without them; `recall` has what a cancellation needs.

use std::{fmt, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::get,
};
use rmcp::{
    ServerHandler,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService, session::never::NeverSessionManager,
    },
};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    connections,
    guard::Guarded,
    principal::{Principals, bearer},
    recall::{Recalls, recallable},
    work::{GRACE, Work},
};

/// The path that MCP is served on.
pub const PATH: &str = "/mcp";

/// How long connections may take to carry the last answers away; and how long after that endless streams have.
const LINGER: Duration = Duration::from_secs(2);

/// A bearer token; kept as its digest, so that comparing takes the same time for every guess and
/// printing it tells nothing.
#[derive(Clone)]
pub struct Token([u8; 32]);

impl Token {
    /// A token of at least 16 characters.
    pub fn parse(text: &str) -> Result<Self, HttpError> {
        let text = text.trim();
        if text.len() < 16 { Err(HttpError::ShortToken) } else { Ok(Self(digest(text))) }
    }

    fn matches(&self, headers: &HeaderMap) -> bool {
        self.0.ct_eq(&digest(bearer(headers).unwrap_or_default())).into()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// Who may call over HTTP.
#[derive(Debug, Clone)]
pub enum Access {
    /// Whoever reaches the address, which has to be loopback.
    Local,
    /// Whoever presents this token. A server does not learn who that is.
    Token(Token),
    /// Whoever is among these; a server finds the [`Principal`](crate::Principal) among the
    /// extensions of the request.
    Principals(Principals),
}

/// How to serve on HTTP.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// Where to listen; port 0 picks one.
    pub addr: SocketAddr,
    /// Who may call.
    pub access: Access,
    /// Names under which callers may address the server, besides loopback and `addr`.
    pub allowed_hosts: Vec<String>,
    /// Browser origins that may call it, besides pages that this very address serves (there are none).
    pub allowed_origins: Vec<String>,
    /// What is under way, which is awaited at the end.
    pub work: Work,
    /// How long calls under way may go on once the server is asked to end.
    pub grace: Duration,
}

impl HttpSettings {
    /// Listens here, for this machine and for no browser.
    pub fn on(addr: SocketAddr) -> Self {
        Self {
            addr,
            access: Access::Local,
            allowed_hosts: Vec::new(),
            allowed_origins: Vec::new(),
            work: Work::default(),
            grace: GRACE,
        }
    }
}

/// Why HTTP cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Reachable from outside and open to everyone.
    #[error(
        "{0} is not a loopback address: set MIDWATCH_CALLERS, or MIDWATCH_TOKEN (or MIDWATCH_TOKEN_FILE), first"
    )]
    OpenToAll(SocketAddr),
    /// A token that could be guessed.
    #[error("the token is shorter than 16 characters: `openssl rand -hex 32` makes a good one")]
    ShortToken,
    /// The address is taken, or not ours.
    #[error("cannot listen on {addr}")]
    Bind {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
}

/// A server that listens but does not answer yet.
#[derive(Debug)]
pub struct BoundHttp {
    listener: TcpListener,
    addr: SocketAddr,
    router: Router,
    shutdown: CancellationToken,
    work: Work,
    grace: Duration,
}

/// Takes the port. Refuses an address that is reachable from outside when everybody may call.
pub async fn bind<S>(server: S, settings: HttpSettings) -> Result<BoundHttp, HttpError>
where
    S: ServerHandler + Clone + Send + Sync + 'static,
{
    if matches!(settings.access, Access::Local) && !settings.addr.ip().is_loopback() {
        return Err(HttpError::OpenToAll(settings.addr));
    }
    let bind = |source| HttpError::Bind { addr: settings.addr, source };
    let listener = TcpListener::bind(settings.addr).await.map_err(bind)?;
    let addr = listener.local_addr().map_err(bind)?;

    let shutdown = CancellationToken::new();
    let mut config = StreamableHttpServerConfig::default()
        .with_legacy_session_mode(false)
        .with_json_response(true)
        .with_cancellation_token(shutdown.child_token());
    config.allowed_hosts.push(addr.ip().to_string());
    config.allowed_hosts.extend(settings.allowed_hosts);
    let origins = own_origins(addr).into_iter().chain(settings.allowed_origins);
    let config = config.with_allowed_origins(origins).enforce_origin_validation();
    let work = settings.work;
    let of_calls = work.clone();
    let service = StreamableHttpService::new(
        move || Ok(Guarded::under(server.clone(), of_calls.clone())),
        Arc::new(NeverSessionManager::default()),
        config,
    );
    let mcp = Router::new()
        .nest_service(PATH, service)
        .layer(middleware::from_fn_with_state(Recalls::default(), recallable))
        .layer(middleware::from_fn_with_state(Arc::new(settings.access), authenticate))
        .layer(middleware::from_fn_with_state(work.clone(), unless_closing));
    let healthz = get(healthz).with_state(work.clone());
    let router = Router::new().route("/healthz", healthz).merge(mcp);
    Ok(BoundHttp { listener, addr, router, shutdown, work, grace: settings.grace })
}

impl BoundHttp {
    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Answers until `stop` is cancelled, then lets what is under way end as [`Work::drain`] says. Until that has ended
    /// it still listens, to say that it takes nothing.
    pub async fn run(self, stop: CancellationToken) -> Result<(), HttpError> {
        let Self { listener, router, shutdown, work, grace, .. } = self;
        let drained = CancellationToken::new();
        let last = drained.clone();
        let serving = connections::serve(listener, router, async move {
            stop.cancelled().await;
            work.drain(grace).await;
            drained.cancel();
        });
        // `rmcp` answers nothing more once its token is cancelled, and its endless streams end only then.
        let lingering = async {
            last.cancelled().await;
            tokio::time::sleep(LINGER).await;
            shutdown.cancel();
            tokio::time::sleep(LINGER).await;
        };
        tokio::select! { () = serving => {}, () = lingering => {} }
        Ok(())
    }
}

/// What is told to whoever sends calls here: whether to send more.
async fn healthz(State(work): State<Work>) -> Response {
    if work.is_closing() {
        return (StatusCode::SERVICE_UNAVAILABLE, "draining").into_response();
    }
    "ok".into_response()
}

async fn unless_closing(State(work): State<Work>, request: Request, next: Next) -> Response {
    if work.is_closing() {
        let close = [(header::CONNECTION, "close"), (header::RETRY_AFTER, "5")];
        return (StatusCode::SERVICE_UNAVAILABLE, close, "the server is shutting down\n").into_response();
    }
    next.run(request).await
}

/// What a browser calls this address: the specification wants its own origin accepted.
fn own_origins(addr: SocketAddr) -> Vec<String> {
    let port = addr.port();
    let mut origins = vec![format!("http://{addr}")];
    if addr.ip().is_loopback() {
        origins.extend(["localhost", "127.0.0.1", "[::1]"].map(|host| format!("http://{host}:{port}")));
    }
    origins
}

async fn authenticate(State(access): State<Arc<Access>>, mut request: Request, next: Next) -> Response {
    // Only this places a principal; a request cannot bring one.
    let admitted = match &*access {
        Access::Local => true,
        Access::Token(token) => token.matches(request.headers()),
        Access::Principals(all) => match all.of(request.headers()).cloned() {
            Some(principal) => {
                request.extensions_mut().insert(principal);
                true
            }
            None => false,
        },
    };
    if admitted {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, [(header::WWW_AUTHENTICATE, "Bearer")], "a bearer token is needed\n")
        .into_response()
}
