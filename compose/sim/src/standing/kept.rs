//! What is played, on disk: which scenario, since when, what was changed in it since, and how many
//! events have left. From that the same world is made again.
//!
//! A snapshot of the whole state was rejected: the world is a pure function of these four.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{accepted, play::Playing};
use crate::wire::{Api, Request};

/// Why it cannot be kept, or read again.
#[derive(Debug, thiserror::Error)]
#[error("what is played cannot be kept in `{file}`")]
pub struct KeptError {
    file: String,
    source: std::io::Error,
}

/// A scenario that began.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Began {
    pub(super) scenario: String,
    pub(super) at: Timestamp,
    pub(super) changes: Vec<Change>,
    /// Events that have left.
    pub(super) sent: usize,
}

/// A call that changed it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Change {
    pub(super) at: Timestamp,
    pub(super) request: Call,
}

/// A call as it came in.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Call {
    api: String,
    op: String,
    resource: Option<String>,
    input: Value,
}

impl Call {
    fn of(request: &Request) -> Self {
        let Request { api, op, resource, input } = request;
        Self {
            api: api.prefix().to_owned(),
            op: op.clone(),
            resource: resource.clone(),
            input: input.clone(),
        }
    }

    pub(super) fn again(&self) -> Option<Request> {
        let Self { op, resource, input, .. } = self.clone();
        Some(Request { api: Api::changing(&self.api)?, op, resource, input })
    }
}

/// The file; without one, everything ends with the process.
#[derive(Debug, Clone)]
pub(super) struct Kept {
    file: Option<PathBuf>,
    now: Arc<Mutex<Option<Began>>>,
}

impl Kept {
    pub(super) fn new(file: Option<PathBuf>) -> Self {
        Self { file, now: Arc::default() }
    }

    /// A scenario begins.
    pub(super) fn begin(&self, scenario: &str, at: Timestamp) -> Result<Began, KeptError> {
        let began = Began { scenario: scenario.to_owned(), at, changes: Vec::new(), sent: 0 };
        self.write(|now| *now = Some(began.clone()))?;
        Ok(began)
    }

    /// What was played last.
    pub(super) fn last(&self) -> Result<Option<Began>, KeptError> {
        let Some(file) = &self.file else { return Ok(None) };
        let text = match std::fs::read(file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            read => read.map_err(|error| self.failed(error))?,
        };
        let began: Began = serde_json::from_slice(&text).map_err(|error| self.failed(error.into()))?;
        *self.now.lock().unwrap_or_else(PoisonError::into_inner) = Some(began.clone());
        Ok(Some(began))
    }

    /// Keeps a call, if it changed the world.
    pub(super) fn changed(
        &self,
        playing: &Playing,
        before: usize,
        request: &Request,
    ) -> Result<(), KeptError> {
        if accepted(playing.shared()) == before || Api::changing(request.api.prefix()).is_none() {
            return Ok(());
        }
        let call = Call::of(request);
        let same = |mutation: &&crate::Mutation| mutation.accepted && mutation.input == call.input;
        let at = playing.shared().with(|state| state.mutations.iter().rev().find(same).map(|m| m.at));
        let Some(at) = at else { return Ok(()) };
        self.of(playing, |began| began.changes.push(Change { at, request: call }))
    }

    /// So many events have left.
    pub(super) fn sent(&self, playing: &Playing, sent: usize) -> Result<(), KeptError> {
        self.of(playing, |began| began.sent = sent)
    }

    fn of(&self, playing: &Playing, change: impl FnOnce(&mut Began)) -> Result<(), KeptError> {
        self.write(|now| {
            // Another scenario may have begun meanwhile.
            if let Some(began) = now.as_mut().filter(|began| began.at == playing.began().at) {
                change(began);
            }
        })
    }

    fn write(&self, change: impl FnOnce(&mut Option<Began>)) -> Result<(), KeptError> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut now);
        let (Some(file), Some(began)) = (&self.file, now.as_ref()) else { return Ok(()) };
        let draft = file.with_extension("new");
        let text = serde_json::to_vec(began).map_err(|error| self.failed(error.into()))?;
        std::fs::write(&draft, text).and_then(|()| std::fs::rename(&draft, file)).map_err(|e| self.failed(e))
    }

    fn failed(&self, source: std::io::Error) -> KeptError {
        KeptError { file: self.file.clone().unwrap_or_default().display().to_string(), source }
    }
}
