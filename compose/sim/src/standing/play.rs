//! One scenario that is being played, in real time.

use std::sync::Arc;

use tokio_util::sync::{CancellationToken, DropGuard};

use super::{
    StandingError,
    kept::{Began, Change},
    wall,
};
use crate::{
    scenario::Scenario,
    wire::{handle, retrieve::RetrieveApi},
    world::{RealTime, Shared, State, drive},
};

/// A world that runs; it ends when it is dropped.
#[derive(Debug)]
pub(super) struct Playing {
    shared: Arc<Shared>,
    began: Began,
    title: String,
    stop: CancellationToken,
    _pace: RealTime,
    _stop: DropGuard,
}

impl Playing {
    /// The world of a scenario as it is now: it began then, and these changes were made meanwhile.
    pub(super) fn begin(scenario: &Scenario, began: Began) -> Result<Self, StandingError> {
        let scenario = scenario.beginning_at(began.at)?;
        let mut state = State::begin(&scenario.spec());
        let runbooks = scenario.place_runbooks().map_err(crate::WorldError::Runbooks)?;
        match RetrieveApi::load(runbooks.path()) {
            Ok(api) => state.retrieve_api = api,
            Err(error) => tracing::warn!(%error, "the knowledge base has no runbooks"),
        }
        for Change { at, request } in &began.changes {
            state.advance_to(at.as_millisecond());
            let again = request.again();
            // It was accepted in the same world before.
            if let Some(request) = again
                && let Err(error) = state.call(&request, handle)
            {
                tracing::error!(?error, "a change that was made before is refused now");
            }
        }
        // Making it took its time, which has passed outside.
        state.advance_to(wall().as_millisecond());
        let shared = Shared::new(state);
        let pace = RealTime::begin(&shared);
        let stop = CancellationToken::new();
        let moving = drive(Arc::downgrade(&shared));
        tokio::spawn(stop.clone().run_until_cancelled_owned(moving));
        let title = scenario.title().to_owned();
        Ok(Self { shared, began, title, stop: stop.clone(), _pace: pace, _stop: stop.drop_guard() })
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn scenario(&self) -> &str {
        &self.began.scenario
    }

    pub(super) fn title(&self) -> &str {
        &self.title
    }

    pub(super) fn began(&self) -> &Began {
        &self.began
    }

    /// Ends with this world.
    pub(super) fn ended(&self) -> CancellationToken {
        self.stop.clone()
    }
}
