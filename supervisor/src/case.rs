//! What the stages of one incident share.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures::future::BoxFuture;
use midwatch_agents::{
    budget::Spend,
    evidence::{Admitted, EvidenceBook, Origin},
    model::CallLimits,
    tools::{FailureKind, ToolCall, ToolFailure},
};
use midwatch_policy::{Clock, Timestamp};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use tokio_util::sync::CancellationToken;

use crate::{
    event::Event,
    intake::Opened,
    journal::Journal,
    ledger::Paid,
    record::{Recorder, millis_between},
    replay::Replay,
    tools::Toolbox,
};

/// Real time that one tool call may take, whatever the incident's clock says.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(45);

/// An incident under way.
#[derive(Debug, Clone)]
pub struct Case {
    /// What was opened.
    pub opened: Arc<Opened>,
    /// The incident's clock.
    pub clock: Arc<dyn Clock>,
    /// Its tools, paid from its purse.
    pub tools: Arc<Paid>,
    /// Its evidence.
    pub book: EvidenceBook,
    /// Who pays.
    pub spend: Spend,
    /// Its journal's writing end.
    pub recorder: Recorder,
    /// Where evidence bytes are kept.
    pub journal: Arc<dyn Journal>,
    /// Ends everything.
    pub cancel: CancellationToken,
    /// What was done before an interruption.
    pub replay: Arc<Replay>,
    /// How much evidence is kept already.
    kept: Arc<tokio::sync::Mutex<usize>>,
    /// What the report has to say of how its work went.
    remarks: Arc<Mutex<Vec<String>>>,
}

impl Case {
    /// An incident with what was done of it so far.
    pub fn new(
        opened: Arc<Opened>,
        clock: Arc<dyn Clock>,
        tools: Arc<Toolbox>,
        spend: Spend,
        (recorder, journal): (Recorder, Arc<dyn Journal>),
        (replay, book): (Arc<Replay>, EvidenceBook),
    ) -> Self {
        let kept = Arc::new(tokio::sync::Mutex::new(book.all().len()));
        let cancel = CancellationToken::new();
        let remarks = Arc::default();
        let tools = Arc::new(Paid::new(tools, spend.clone(), Arc::clone(&clock)));
        Self { opened, clock, tools, book, spend, recorder, journal, cancel, replay, kept, remarks }
    }

    /// Now, on the incident's clock; while what was done is gone through again, when it was done.
    pub fn now(&self) -> Timestamp {
        self.replay.at().unwrap_or_else(|| self.clock.now())
    }

    /// Does a piece of work once, however often the incident is interrupted: its outcome is
    /// journaled, with the evidence it brought, and work that is done is not done again.
    pub fn step<'a, T: Serialize + DeserializeOwned + Send>(
        &'a self,
        name: &str,
        work: impl Future<Output = T> + Send + 'a,
    ) -> BoxFuture<'a, T> {
        let step = self.replay.name(name);
        Box::pin(async move {
            if let Some(output) = self.replay.done(&step) {
                match serde_json::from_value(output) {
                    Ok(output) => return output,
                    Err(error) => {
                        tracing::warn!(%step, %error, "an earlier outcome cannot be read: done again");
                    }
                }
            }
            self.replay.live();
            let output = work.await;
            match serde_json::to_value(&output) {
                Ok(value) => self.done(step, value).await,
                Err(error) => tracing::error!(%step, %error, "an outcome cannot be written as JSON"),
            }
            output
        })
    }

    /// Evidence first: a step whose evidence is lost is not done.
    async fn done(&self, step: String, output: Value) {
        if !self.keep_evidence().await {
            return;
        }
        if let Err(error) = self.recorder.commit(Event::StepDone { step, output }).await {
            tracing::error!(%error, "a step is done and not journaled");
        }
    }

    /// Keeps something that the report has to say of how its work went.
    pub fn remark(&self, text: Option<String>) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).extend(text);
    }

    /// What was remarked so far.
    pub fn remarks(&self) -> Vec<String> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads with one tool, within a deadline, and keeps what it brings as evidence.
    ///
    /// The deadline holds in real time, as the call's time-out, and on the incident's clock, where
    /// an answer that comes later is no answer. No timer is set on that clock: a stepped world
    /// would take our own work beside it for idleness, and jump to it. It begins when the call has its turn.
    pub async fn read(
        &self,
        server: &str,
        tool: &str,
        args: Map<String, Value>,
        deadline: Duration,
    ) -> Result<Admitted, ToolFailure> {
        let (origin, result) = self.fetch(server, tool, args, deadline).await?;
        Ok(self.book.admit(&origin, &result))
    }

    /// The same without keeping it: whoever reads several things at once gives their evidence ids
    /// in an order of its own.
    pub async fn fetch(
        &self,
        server: &str,
        tool: &str,
        args: Map<String, Value>,
        deadline: Duration,
    ) -> Result<(Origin, Value), ToolFailure> {
        let call = ToolCall { server: server.to_owned(), tool: tool.to_owned(), args };
        let limits = CallLimits { timeout: deadline, cancel: self.cancel.clone() };
        let turn = self.tools.turn(&call, &limits).await?;
        let begun = self.now();
        let result = self.tools.take(&call, &limits, turn).await?;
        if millis_between(begun, self.now()) > u64::try_from(deadline.as_millis()).unwrap_or(u64::MAX) {
            let message = format!("no answer within {} s", deadline.as_secs());
            return Err(ToolFailure::new(FailureKind::Timeout, message));
        }
        let origin = Origin { server: call.server, tool: call.tool, args: call.args, at: self.now() };
        Ok((origin, result))
    }

    /// Keeps the bytes of all evidence that is not kept yet, and notes their digests. Says whether
    /// everything is kept.
    pub async fn keep_evidence(&self) -> bool {
        // One at a time: what is kept is always the beginning of the book.
        let mut kept = self.kept.lock().await;
        let all = self.book.all();
        let new = all.get(*kept..).unwrap_or_default();
        if new.is_empty() {
            return true;
        }
        let pieces = new.iter().map(|piece| piece.bytes().as_bytes().to_vec()).collect();
        if let Err(error) = self.journal.keep(pieces).await {
            tracing::error!(%error, "evidence cannot be kept");
            return false;
        }
        *kept = all.len();
        for piece in new {
            self.recorder.note(Event::EvidenceKept {
                id: piece.id.clone(),
                source: format!("{}.{}", piece.origin.server, piece.origin.tool),
                reference: piece.reference.clone(),
                sha256: piece.sha256.clone(),
                args: piece.origin.args.clone(),
                at: Some(piece.origin.at),
            });
        }
        true
    }
}

/// Arguments of a tool, from pairs.
pub fn args<const N: usize>(pairs: [(&str, Value); N]) -> Map<String, Value> {
    pairs.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k.to_owned(), v)).collect()
}

/// A time as tools take it.
pub fn time(at: Timestamp) -> Value {
    Value::String(at.to_string())
}
