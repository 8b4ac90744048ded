//! One turn's answer: from the first model of the chain that can give it.
//!
//! Each attempt passes the model's gate, is reserved, made, settled and told. INVARIANT: no
//! provider is asked before its worst case is reserved, and every reservation is settled.

use std::{sync::Arc, time::Duration};

use midwatch_policy::Timestamp;

use super::{Ended, RunContext, conversation::Conversation};
use crate::{
    breaker::{Seen, Transition},
    budget::SpendError,
    events::AgentEvent,
    gate::{Admitted, Closed, Gate, seen},
    model::{CallLimits, Model, ModelErrorKind, ModelRequest, ModelResponse, Usage},
    specialist::Specialist,
};

/// Bytes that the provider's own framing of a request may come to, as tokens.
const OVERHEAD: u64 = 2_000;
/// Attempts at one turn by the last model of a chain, and by those before it.
const ATTEMPTS: u32 = 3;
const ATTEMPTS_BEFORE: u32 = 2;
/// Bytes of a request that are about one token: an estimate for quotas, not for money.
const BYTES_PER_TOKEN: u64 = 4;

/// Counts of a run.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Stats {
    pub(super) turns: u32,
    pub(super) model_calls: u32,
    pub(super) tool_calls: u32,
    pub(super) usage: Usage,
    pub(super) cost: u64,
}

impl Stats {
    pub(super) fn add(&mut self, other: Self) {
        self.turns += other.turns;
        self.model_calls += other.model_calls;
        self.tool_calls += other.tool_calls;
        self.usage.add(other.usage);
        self.cost = self.cost.saturating_add(other.cost);
    }
}

/// Who asks, and whom.
pub(super) struct Asker<'r, 'a> {
    ctx: &'r RunContext<'a>,
    specialist: &'r Specialist,
    models: Vec<&'r dyn Model>,
    at: usize,
    pub(super) stats: Stats,
    /// What fell through, for the report.
    pub(super) fell: Vec<String>,
    /// More about why it ended than [`Ended`] says.
    pub(super) detail: Option<String>,
}

/// What one model did not do.
struct Failed {
    ended: Ended,
    why: String,
    /// Whether another model may do better.
    is_of_model: bool,
}

impl Failed {
    fn end(ended: Ended) -> Self {
        Self { ended, why: String::new(), is_of_model: false }
    }

    fn model(kind: ModelErrorKind) -> Self {
        Self { ended: Ended::ModelError(kind), why: kind.as_str().to_owned(), is_of_model: true }
    }

    fn gate(closed: &Closed) -> Self {
        let ended = match closed {
            Closed::Switch(_) => Ended::SwitchedOff,
            Closed::Breaker { .. } => Ended::BreakerOpen,
            Closed::Quota(_) => Ended::ModelError(ModelErrorKind::Throttled),
        };
        Self { ended, why: closed.to_string(), is_of_model: true }
    }
}

type Attempt = Result<Result<ModelResponse, (ModelErrorKind, Option<Duration>)>, Failed>;

impl<'r, 'a> Asker<'r, 'a> {
    pub(super) fn new(ctx: &'r RunContext<'a>, model: &'r dyn Model, specialist: &'r Specialist) -> Self {
        let mut models = vec![model];
        models.extend(model.fallbacks().iter().map(Arc::as_ref));
        let (fell, detail, stats) = (Vec::new(), None, Stats::default());
        Self { ctx, specialist, models, at: 0, stats, fell, detail }
    }

    /// The model that is asked now.
    pub(super) fn model(&self) -> &'r dyn Model {
        self.models.get(self.at).copied().unwrap_or(self.ctx.model)
    }

    /// One turn's answer. `None` when the conversation was shortened instead.
    pub(super) async fn ask(
        &mut self,
        conversation: &mut Conversation,
        must: Option<&str>,
    ) -> Result<Option<ModelResponse>, Ended> {
        loop {
            let request = conversation.request(self.model().id(), must);
            request.guardrail.clone_from(&self.ctx.guardrail);
            request.metadata.insert("specialist".to_owned(), self.specialist.name.clone());
            match self.one(request).await {
                Ok(response) => return Ok(Some(response)),
                Err(Failed { ended: Ended::ModelError(ModelErrorKind::ContextTooLong), .. }) => {
                    return if conversation.shrink() { Ok(None) } else { Err(Ended::ContextFull) };
                }
                Err(failed) if failed.is_of_model && self.fall(&failed.why, conversation) => {}
                Err(failed) => {
                    self.detail = Some(failed.why).filter(|why| !why.is_empty());
                    return Err(failed.ended);
                }
            }
        }
    }

    /// Goes on to the next model, if there is one. The rest of the run stays with it: changing back
    /// would pay for the whole conversation again.
    fn fall(&mut self, why: &str, conversation: &mut Conversation) -> bool {
        if self.at + 1 >= self.models.len() {
            return false;
        }
        let before = self.model();
        self.at += 1;
        let now = self.model();
        if now.id() != before.id() {
            conversation.forget_reasoning();
        }
        let (from, to) = (named(before), named(now));
        self.fell.push(format!("`{to}` took the place of `{from}` ({why})"));
        let (specialist, why) = (self.specialist.name.clone(), why.to_owned());
        self.ctx.events.event(AgentEvent::FellThrough { specialist, from, to, why });
        true
    }

    /// The answer of one model, with retries.
    async fn one(&mut self, request: &ModelRequest) -> Result<ModelResponse, Failed> {
        let is_last = self.at + 1 >= self.models.len();
        let attempts = if is_last { ATTEMPTS } else { ATTEMPTS_BEFORE };
        let mut attempt = 0;
        loop {
            attempt += 1;
            let kind = match self.attempt(request).await? {
                Ok(response) => return Ok(response),
                Err((ModelErrorKind::Cancelled, _)) => return Err(Failed::end(Ended::Cancelled)),
                Err((kind, wait)) if kind.retryable() && attempt < attempts => {
                    let backoff = Duration::from_secs(1 << (attempt - 1));
                    let wait = wait.unwrap_or(backoff).clamp(backoff, Duration::from_secs(20));
                    if add(self.ctx.clock.now(), wait) >= self.ctx.deadline {
                        kind
                    } else {
                        tokio::select! {
                            () = self.ctx.cancel.cancelled() => return Err(Failed::end(Ended::Cancelled)),
                            () = self.ctx.clock.sleep(wait) => continue,
                        }
                    }
                }
                Err((kind, _)) => kind,
            };
            return Err(Failed::model(kind));
        }
    }

    /// One attempt: admitted, reserved, made, settled, told.
    async fn attempt(&mut self, request: &ModelRequest) -> Attempt {
        let model = self.model();
        let bytes = model.input_bound(request);
        let output = u64::from(self.specialist.max_output_tokens);
        let leave = self.leave(model, bytes / BYTES_PER_TOKEN + output).await?;
        let name = &self.specialist.name;
        let tokens = (bytes.saturating_add(OVERHEAD), output);
        let started = self.ctx.clock.now();
        let budget = self.specialist.token_budget;
        let held = self.ctx.spend.reserve(started, model.id(), name, budget, tokens);
        let held = held.await.map_err(|why| self.refused(&why))?;
        // The wait for a quota may have used the time up; nobody is asked then, and nobody has failed.
        if self.ctx.clock.now() >= self.ctx.deadline {
            held.release();
            return Err(Failed::end(Ended::Deadline));
        }
        self.stats.model_calls += 1;
        let limits =
            CallLimits { timeout: time_left(self.ctx, started), cancel: self.ctx.cancel.child_token() };
        let answer = tokio::select! {
            biased;
            () = self.ctx.cancel.cancelled() => Err(Ended::Cancelled),
            answer = tokio::time::timeout(limits.timeout, model.converse(request, &limits)) => Ok(answer),
        };
        let ms = since(self.ctx, started);
        let turn = self.stats.turns + 1;
        let (outcome, seen, cost) = match answer {
            // The provider may have worked.
            Err(ended) => (Err(Failed::end(ended)), Seen::Nothing, held.settle(None)),
            Ok(Err(_elapsed)) => {
                let cost = held.settle(None);
                self.failed(turn, "timeout: no answer in time".to_owned(), cost);
                // Where the run's own time was shorter than a call's, the provider is not to blame.
                let its_own = limits.timeout < self.ctx.call_timeout;
                let seen = if its_own { Seen::Nothing } else { Seen::Failed };
                (Ok(Err((ModelErrorKind::Timeout, None))), seen, cost)
            }
            Ok(Ok(Err(error))) => {
                let usage = (!error.usage_unknown()).then(Usage::default);
                let cost = held.settle(usage.as_ref());
                self.failed(turn, format!("{}: {}", error.kind.as_str(), error.message), cost);
                (Ok(Err((error.kind, error.retry_after))), seen(error.kind), cost)
            }
            Ok(Ok(Ok(response))) => {
                let cost = held.settle(response.usage.as_ref());
                let usage = response.usage.unwrap_or_default();
                self.stats.turns = turn;
                self.stats.usage.add(usage);
                self.ctx.events.event(AgentEvent::Turn {
                    specialist: name.clone(),
                    turn,
                    stop_reason: response.stop_reason.as_str().to_owned(),
                    usage,
                    cost_micro_usd: cost,
                    ms,
                });
                (Ok(Ok(response)), Seen::Answered(ms), cost)
            }
        };
        self.stats.cost = self.stats.cost.saturating_add(cost);
        if let Some(leave) = leave {
            self.changed(leave.report(self.ctx.clock.now(), seen, cost));
        }
        outcome
    }

    /// Leave from the model's gate, and a turn within the account's quota.
    async fn leave(&self, model: &'r dyn Model, tokens: u64) -> Result<Option<Admitted<'r>>, Failed> {
        let Some(gate) = model.gate() else { return Ok(None) };
        let mut leave = self.admitted(gate)?;
        let waited = tokio::select! {
            biased;
            () = self.ctx.cancel.cancelled() => return Err(Failed::end(Ended::Cancelled)),
            waited = gate.turn(tokens) => waited.map_err(|closed| Failed::gate(&closed))?,
        };
        if !waited.is_zero() {
            let (specialist, model) = (self.specialist.name.clone(), gate.name().to_owned());
            let ms = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            self.ctx.events.event(AgentEvent::Waited { specialist, model, ms });
            // Meanwhile the breaker may have opened, or somebody stopped all use of models.
            drop(leave);
            leave = self.admitted(gate)?;
        }
        Ok(Some(leave))
    }

    fn admitted(&self, gate: &'r Gate) -> Result<Admitted<'r>, Failed> {
        let (leave, changed) = gate.admit(self.ctx.clock.now());
        self.changed(changed);
        leave.map_err(|closed| Failed::gate(&closed))
    }

    fn changed(&self, change: Option<Transition>) {
        if let Some(change) = change {
            let specialist = self.specialist.name.clone();
            self.ctx.events.event(AgentEvent::Breaker { specialist, change });
        }
    }

    fn failed(&self, turn: u32, error: String, cost_micro_usd: u64) {
        let specialist = self.specialist.name.clone();
        self.ctx.events.event(AgentEvent::ModelFailed { specialist, turn, error, cost_micro_usd });
    }

    fn refused(&self, why: &SpendError) -> Failed {
        let (specialist, what) = (self.specialist.name.clone(), why.to_string());
        self.ctx.events.event(AgentEvent::Corrected { specialist, what: what.clone() });
        let ended = match why {
            SpendError::NoPrice { .. } | SpendError::Ceiling { .. } | SpendError::Ledger { .. } => {
                Ended::Spend
            }
            SpendError::Tokens { .. } => Ended::Tokens,
        };
        Failed { ended, why: what, is_of_model: false }
    }
}

fn named(model: &dyn Model) -> String {
    model.gate().map_or_else(|| model.id(), Gate::name).to_owned()
}

/// The time one call may take.
pub(super) fn time_left(ctx: &RunContext<'_>, now: Timestamp) -> Duration {
    run_left(ctx, now).min(ctx.call_timeout)
}

/// The time until the run has to be over.
pub(super) fn run_left(ctx: &RunContext<'_>, now: Timestamp) -> Duration {
    Duration::try_from(ctx.deadline.duration_since(now)).unwrap_or(Duration::ZERO)
}

/// Milliseconds since then, by the incident's clock.
pub(super) fn since(ctx: &RunContext<'_>, then: Timestamp) -> u64 {
    u64::try_from(ctx.clock.now().duration_since(then).as_millis()).unwrap_or(0)
}

fn add(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
