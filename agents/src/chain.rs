//! A model behind its gate, and those that are asked in its place when it cannot answer. After the
//! last come the rules of the playbook.
//!
//! The agent loop walks the list, not this type: each attempt has a reservation of its own, and
//! what falls through is told. So a chain is a model that names those that may stand in for it.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::{
    gate::Gate,
    model::{CallLimits, Model, ModelError, ModelRequest, ModelResponse},
};

/// A model, its gate, and what comes after it.
#[derive(Debug)]
pub struct Chain {
    model: Arc<dyn Model>,
    gate: Arc<Gate>,
    rest: Vec<Arc<dyn Model>>,
}

impl Chain {
    /// A chain of one.
    pub fn of(model: Arc<dyn Model>, gate: Arc<Gate>) -> Self {
        Self { model, gate, rest: Vec::new() }
    }

    /// The same with `rest` after it, in the order in which they are asked.
    #[must_use]
    pub fn then(self, rest: impl IntoIterator<Item = Self>) -> Self {
        let rest = rest.into_iter().map(|one| Arc::new(one) as Arc<dyn Model>).collect();
        Self { rest, ..self }
    }
}

impl Model for Chain {
    fn id(&self) -> &str {
        self.model.id()
    }

    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        self.model.converse(request, limits)
    }

    fn input_bound(&self, request: &ModelRequest) -> u64 {
        self.model.input_bound(request)
    }

    fn gate(&self) -> Option<&Gate> {
        Some(&self.gate)
    }

    fn fallbacks(&self) -> &[Arc<dyn Model>] {
        &self.rest
    }
}
