//! A world that stands as a process of its own, for months if need be, and plays a scenario when it
//! is told: how the local stack has it. It runs in real time from the moment it is told.
//!
//! INVARIANTS:
//! - whoever speaks AWS's protocols to it cannot tell it what to play: that is a listener of its
//!   own, on loopback;
//! - it is the same world after a restart: what was played, since when, and every change that was
//!   made are on disk before they are answered ([`kept`]);
//! - each change of an alarm reaches the event bus, however long that is away ([`bus`]).

mod bus;
mod control;
mod kept;
mod play;
mod roles;
mod shelf;
#[cfg(test)]
mod tests;

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

use axum::{
    Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State as Part},
    http::{HeaderMap, Method, Uri},
    response::Response,
    routing::get,
};
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

pub use bus::BusError;
pub use control::{Played, Told};
pub use kept::KeptError;
pub use roles::RolesError;
pub use shelf::{Shelf, ShelfError};

use crate::{
    WorldError,
    scenario::ScenarioError,
    wire::{Api, WireBody, WireError, server, sts},
    world::{Shared, call_name},
};
use bus::Bus;
use kept::Kept;
use play::Playing;
use roles::Roles;

/// How a standing world is set up.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The directory whose scenarios it can play.
    pub scenarios: PathBuf,
    /// Where it speaks AWS's protocols.
    pub listen: SocketAddr,
    /// Where it is told what to play.
    pub control: SocketAddr,
    /// The event bus that alarms go to: the endpoint of an EventBridge.
    pub bus: Option<String>,
    /// Who may do what; without it, everybody everything.
    pub roles: Option<PathBuf>,
    /// Where it keeps what it plays.
    pub kept: Option<PathBuf>,
}

/// Why it does not stand.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// There is no such scenario, or what is wrong with it.
    #[error(transparent)]
    Scenario(#[from] ScenarioError),
    /// Its scenarios do not fit together.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// The port.
    #[error(transparent)]
    World(#[from] WorldError),
    /// Who may do what is not readable.
    #[error(transparent)]
    Roles(#[from] RolesError),
    /// What it plays cannot be kept.
    #[error(transparent)]
    Kept(#[from] KeptError),
    /// The event bus cannot be spoken to.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// Serving ended.
    #[error("serving failed")]
    Serve(#[source] std::io::Error),
}

/// What everybody who is served shares.
#[derive(Debug)]
struct Stand {
    shelf: Shelf,
    roles: Option<Roles>,
    kept: Kept,
    bus: Option<Bus>,
    /// INVARIANT: never locked across an await.
    playing: RwLock<Option<Arc<Playing>>>,
}

impl Stand {
    fn playing(&self) -> Option<Arc<Playing>> {
        self.playing.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Plays a scenario from now on, instead of whatever was played before.
    fn play(&self, name: &str, now: Timestamp) -> Result<Arc<Playing>, StandingError> {
        let scenario = self.shelf.scenario(name)?;
        let began = self.kept.begin(name, now)?;
        Ok(self.place(Playing::begin(&scenario, began)?))
    }

    /// Goes on with what was played when the process ended.
    fn go_on(&self) -> Result<Option<Arc<Playing>>, StandingError> {
        let Some(began) = self.kept.last()? else { return Ok(None) };
        let scenario = self.shelf.scenario(&began.scenario)?;
        Ok(Some(self.place(Playing::begin(&scenario, began)?)))
    }

    fn place(&self, playing: Playing) -> Arc<Playing> {
        let playing = Arc::new(playing);
        if let Some(bus) = &self.bus {
            bus.follow(&playing, self.kept.clone());
        }
        *self.playing.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&playing));
        playing
    }
}

/// Stands until it is told to stop. `ready` is told both addresses.
pub async fn stand(
    settings: Settings,
    stop: CancellationToken,
    ready: impl FnOnce(SocketAddr, SocketAddr),
) -> Result<(), StandingError> {
    let stand = Arc::new(Stand {
        shelf: Shelf::open(&settings.scenarios)?,
        roles: settings.roles.as_deref().map(Roles::load).transpose()?,
        kept: Kept::new(settings.kept),
        bus: settings.bus.as_deref().map(Bus::new).transpose()?,
        playing: RwLock::default(),
    });
    let (wire, at) = bind(settings.listen).await?;
    let (control, told_at) = bind(settings.control).await?;
    let app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .fallback(answer)
        .layer(DefaultBodyLimit::max(server::MAX_BODY_BYTES))
        .with_state(Arc::clone(&stand));
    if let Some(playing) = stand.go_on()? {
        tracing::info!(scenario = playing.scenario(), "goes on with what was played");
    }
    ready(at, told_at);
    let (one, other) = (stop.clone(), stop.clone());
    let (wire, control) = tokio::join!(
        async { axum::serve(wire, app).with_graceful_shutdown(one.cancelled_owned()).await },
        async {
            axum::serve(control, control::router(stand)).with_graceful_shutdown(other.cancelled_owned()).await
        },
    );
    wire.and(control).map_err(StandingError::Serve)
}

/// Now, as everybody else has it: the world that stands runs beside them.
#[expect(clippy::disallowed_methods, reason = "where a world's time is tied to the real one")]
fn wall() -> Timestamp {
    Timestamp::now()
}

async fn bind(addr: SocketAddr) -> Result<(TcpListener, SocketAddr), WorldError> {
    let failed = |source| WorldError::Listen { addr, source };
    let listener = TcpListener::bind(addr).await.map_err(failed)?;
    let addr = listener.local_addr().map_err(failed)?;
    Ok((listener, addr))
}

async fn answer(
    Part(stand): Part<Arc<Stand>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (protocol, request) = server::read(&method, &uri, &headers, &body);
    let playing = stand.playing();
    let id = playing.as_ref().map_or_else(|| "no-world".to_owned(), |p| p.shared().request_id());
    let refuse = |error: WireError| server::write(protocol, &id, Err(error));
    let request = match request {
        Ok(request) => request,
        Err(error) => return refuse(error),
    };
    if let Some(roles) = &stand.roles {
        if request.api == Api::Sts {
            let assumed = roles.assume(&headers, &request);
            return server::write(
                protocol,
                &id,
                assumed.map(|body| WireBody::Xml(sts::framed(&request.op, &body, &id))),
            );
        }
        if let Err(error) = roles.admit(&headers, &call_name(&request)) {
            return refuse(error);
        }
    }
    let Some(playing) = playing else {
        let why = "nothing is played yet: compose/fire SCENARIO, or midwatch-sim fire";
        return refuse(WireError::with_status("ServiceUnavailable", 503, why));
    };
    let before = playing.changes();
    let response = server::respond(playing.shared(), protocol, &request).await;
    // What took effect is on disk before anybody hears of it.
    if let Err(error) = stand.kept.changed(&playing, before, &request) {
        tracing::error!(%error, "a change is not kept: a restart will not know it");
    }
    response
}

impl Playing {
    fn changes(&self) -> usize {
        accepted(self.shared())
    }
}

/// How many changes took effect.
fn accepted(shared: &Shared) -> usize {
    shared.with(|state| state.mutations.iter().filter(|mutation| mutation.accepted).count())
}
