//! Telling a caller who asked for it how far a call has come.
//!
//! Each answer of AWS within a call is a step, whatever tool asked: no tool has to remember. A tool may tell steps
//! of its own besides.

use std::{future::Future, sync::Arc};

use tokio::sync::Mutex;

use rmcp::{
    Peer, RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::RequestContext,
};

/// Where progress of one call is told; nowhere, unless the caller gave a token.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<Listener>);

tokio::task_local! {
    static CALL: Progress;
}

#[derive(Debug, Clone)]
struct Listener {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    /// Shared by all that tells of a call. Held while a step is sent: two that are sent at once may overtake each
    /// other, and progress only ever rises.
    steps: Arc<Mutex<u32>>,
}

impl Progress {
    /// Of the call that is under way in this task; of none outside of one.
    pub fn current() -> Self {
        CALL.try_with(Self::clone).unwrap_or_default()
    }

    /// Of a call that begins.
    pub(crate) fn of(context: &RequestContext<RoleServer>) -> Self {
        Self(context.meta.get_progress_token().map(|token| Listener {
            peer: context.peer.clone(),
            token,
            steps: Arc::default(),
        }))
    }

    /// Runs the call that this is told of.
    pub(crate) async fn during<F: Future>(self, call: F) -> F::Output {
        CALL.scope(self, call).await
    }

    /// Whether anybody listens.
    pub(crate) const fn is_told(&self) -> bool {
        self.0.is_some()
    }

    /// One step on. A caller that cannot be told is not waited for, and while one step is being told another is not.
    pub async fn step(&self, message: impl FnOnce() -> String) {
        let Some(listener) = &self.0 else { return };
        let Ok(mut steps) = listener.steps.try_lock() else { return };
        *steps = steps.saturating_add(1);
        let told =
            ProgressNotificationParam::new(listener.token.clone(), f64::from(*steps)).with_message(message());
        if let Err(error) = listener.peer.notify_progress(told).await {
            tracing::debug!(%error, "progress could not be told");
        }
    }
}
