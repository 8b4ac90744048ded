//! Telling a caller who asked for it how far a call has come.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use rmcp::{
    Peer, RoleServer,
    model::{ProgressNotificationParam, ProgressToken},
    service::RequestContext,
};

/// Where progress of one call is told; nowhere, unless the caller gave a token.
#[derive(Debug, Clone, Default)]
pub struct Progress(Option<Listener>);

#[derive(Debug, Clone)]
struct Listener {
    peer: Peer<RoleServer>,
    token: ProgressToken,
    /// Shared by all queries of a call: progress only ever rises.
    steps: Arc<AtomicU32>,
}

impl Progress {
    /// Of one call.
    pub fn of(context: &RequestContext<RoleServer>) -> Self {
        Self(context.meta.get_progress_token().map(|token| Listener {
            peer: context.peer.clone(),
            token,
            steps: Arc::default(),
        }))
    }

    /// One step on. A caller that cannot be told is not waited for.
    pub async fn step(&self, message: impl FnOnce() -> String) {
        let Some(listener) = &self.0 else { return };
        let step = listener.steps.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        let told =
            ProgressNotificationParam::new(listener.token.clone(), f64::from(step)).with_message(message());
        if let Err(error) = listener.peer.notify_progress(told).await {
            tracing::debug!(%error, "progress could not be told");
        }
    }
}
