//! An ordered list of models, each behind its gate: what the first cannot answer, the next one is
//! asked. After the last come the rules of the playbook.
//!
//! The agent loop walks the list, not this type: each attempt has a reservation of its own, and
//! what falls through is told. So a chain is a model that names those that may stand in for it.

use std::sync::Arc;

use futures::future::BoxFuture;

use crate::{
    gate::Gate,
    model::{CallLimits, Model, ModelError, ModelRequest, ModelResponse},
};

/// A model behind its gate.
#[derive(Debug)]
pub struct Gated {
    model: Arc<dyn Model>,
    gate: Arc<Gate>,
}

impl Gated {
    /// Puts a gate before a model.
    pub fn new(model: Arc<dyn Model>, gate: Arc<Gate>) -> Self {
        Self { model, gate }
    }
}

impl Model for Gated {
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
}

/// A model, and those that are asked in its place when it cannot answer.
#[derive(Debug)]
pub struct Chain {
    first: Arc<dyn Model>,
    rest: Vec<Arc<dyn Model>>,
}

impl Chain {
    /// `rest` in the order in which they are asked.
    pub fn new(first: Arc<dyn Model>, rest: Vec<Arc<dyn Model>>) -> Self {
        Self { first, rest }
    }
}

impl Model for Chain {
    fn id(&self) -> &str {
        self.first.id()
    }

    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        limits: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        self.first.converse(request, limits)
    }

    fn input_bound(&self, request: &ModelRequest) -> u64 {
        self.first.input_bound(request)
    }

    fn gate(&self) -> Option<&Gate> {
        self.first.gate()
    }

    fn fallbacks(&self) -> &[Arc<dyn Model>] {
        &self.rest
    }
}
