//! A running world: state, clock, server.

pub(crate) mod alarm;
mod clock;
pub(crate) mod codedeploy;
mod composite;
mod counted;
pub(crate) mod ecs;
pub(crate) mod event;
mod fault;
pub(crate) mod flows;
pub(crate) mod metrics;
mod overrides;
#[cfg(test)]
pub(crate) mod played;
mod quiet;
mod state;
pub(crate) mod traffic;

use std::{
    collections::BTreeSet,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::Arc,
};

use midwatch_policy::{Catalog, Clock};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

pub use clock::RealTime;
pub(crate) use clock::{Shared, drive};
pub use quiet::thread_name;
pub use state::Mutation;
pub(crate) use state::{State, call_name};

use crate::{
    scenario::{Approver, Expected, Runbooks, Scenario},
    wire::{self, retrieve::RetrieveApi},
};

/// Why a world could not be started.
#[derive(Debug, thiserror::Error)]
pub enum WorldError {
    /// The runbooks of a variant cannot be written.
    #[error("cannot write the runbooks of the variant")]
    Runbooks(#[from] std::io::Error),
    /// The port cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
}

/// A scenario that is being played. It ends when it is dropped.
#[derive(Debug)]
pub struct World {
    shared: Arc<Shared>,
    scenario: Arc<Scenario>,
    endpoint: String,
    event: Value,
    runbooks: Runbooks,
    _stop: DropGuard,
}

impl World {
    /// Starts to play a scenario on a free loopback port.
    pub async fn start(scenario: Scenario) -> Result<Self, WorldError> {
        Self::start_on(scenario, SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts to play a scenario on an address.
    pub async fn start_on(scenario: Scenario, addr: SocketAddr) -> Result<Self, WorldError> {
        let failed = |source| WorldError::Listen { addr, source };
        let listener = TcpListener::bind(addr).await.map_err(failed)?;
        let endpoint = format!("http://{}", listener.local_addr().map_err(failed)?);
        let mut state = State::begin(&scenario.spec());
        let event = event::alarm(&state);
        let runbooks = scenario.place_runbooks()?;
        match RetrieveApi::load(runbooks.path()) {
            Ok(api) => state.retrieve_api = api,
            Err(error) => tracing::warn!(%error, "the knowledge base has no runbooks"),
        }
        let shared = Shared::new(state);
        let stop = CancellationToken::new();
        tokio::spawn(wire::serve(listener, Arc::clone(&shared), stop.clone()));
        let moving = clock::drive(Arc::downgrade(&shared));
        tokio::spawn(stop.clone().run_until_cancelled_owned(moving));
        Ok(Self { shared, scenario: Arc::new(scenario), endpoint, event, runbooks, _stop: stop.drop_guard() })
    }

    /// Where it answers, such as `http://127.0.0.1:40123`: the value for `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Its time.
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::new(clock::WorldClock { shared: Arc::clone(&self.shared) })
    }

    /// While the guard lives, the world runs at 1×, for as long as a person is being asked.
    #[must_use]
    pub fn run_at_real_time(&self) -> RealTime {
        RealTime::begin(&self.shared)
    }

    /// The scenario it plays.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The alarm that starts the incident, in the shape of an EventBridge event.
    pub fn alarm_event(&self) -> Value {
        self.event.clone()
    }

    /// The catalog of its services.
    pub fn catalog(&self) -> &Catalog {
        self.scenario.catalog()
    }

    /// The directory with its runbooks.
    pub fn runbooks(&self) -> &Path {
        self.runbooks.path()
    }

    /// What the person who is asked does.
    pub fn approver(&self) -> &Approver {
        self.scenario.approver()
    }

    /// What is expected of whoever handles the incident.
    pub fn expected(&self) -> &Expected {
        self.scenario.expected()
    }

    /// Every change that was made or tried through the APIs so far, oldest first.
    pub fn mutations(&self) -> Vec<Mutation> {
        self.shared.with(|state| state.mutations.clone())
    }

    /// Every operation that was called so far, as IAM names it: `ecs:DescribeServices`.
    pub fn operations(&self) -> BTreeSet<String> {
        self.shared.with(|state| state.operations.keys().cloned().collect())
    }

    /// How often an operation was called so far.
    pub fn calls(&self, operation: &str) -> u64 {
        self.shared.with(|state| state.operations.get(operation).copied().unwrap_or_default())
    }
}
