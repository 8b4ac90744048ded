//! The loop itself: ask, read the answer, call tools, until a conclusion or a limit.

use std::{collections::HashMap, time::Duration};

use midwatch_policy::Timestamp;
use serde_json::{Map, Value};

use super::{
    Ended, RunContext,
    calls::{Answer, Answerer},
    conversation::{Conversation, error},
    schema,
    turn::{self, Turn},
};
use crate::{
    budget::SpendError,
    events::AgentEvent,
    model::{
        CallLimits, Content, GuardrailTrace, Model, ModelErrorKind, ModelRequest, ModelResponse, ToolUse,
        Usage,
    },
    specialist::Specialist,
    sweep::MissingPart,
    tools::{ToolClass, ToolDef},
    view::Observation,
};

/// Bytes that the provider's own framing of a request may come to, as tokens.
const OVERHEAD: u64 = 2_000;
/// Attempts at one turn.
const ATTEMPTS: u32 = 3;
/// Answers that cannot be used, before the run ends.
const STRIKES: u32 = 3;

/// What came of the loop.
#[derive(Debug)]
pub(super) struct Driven<T> {
    pub(super) conclusion: Option<T>,
    pub(super) ended: Ended,
    pub(super) stats: Stats,
    /// What the tools answered, for whoever has to conclude instead.
    pub(super) observations: Vec<Observation>,
    /// What they did not.
    pub(super) missing: Vec<MissingPart>,
    /// What the guardrail said that ended it.
    pub(super) guardrail: Option<GuardrailTrace>,
}

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

/// Takes a conclusion, or says what is wrong with it, in words for the model.
pub(super) type Accept<'a, T> = &'a (dyn Fn(&Value, &[Observation]) -> Result<T, String> + Sync);

/// Drives a model to a conclusion.
pub(super) async fn drive<T>(
    ctx: &RunContext<'_>,
    model: &dyn Model,
    specialist: &Specialist,
    documents: &[Value],
    accept: Accept<'_, T>,
) -> Driven<T> {
    let tools = shown(ctx, specialist);
    let ending = schema::ending(specialist.output);
    let mut specs: Vec<_> = tools.values().map(|def| def.spec.clone()).collect();
    specs.sort_by(|a, b| a.name.cmp(&b.name));
    specs.push(ending.clone());
    let mut run = Driving {
        ctx,
        model,
        specialist,
        ending: ending.name,
        conversation: Conversation::new(specialist, documents, specs),
        answerer: Answerer::new(ctx, specialist, tools),
        stats: Stats::default(),
        strikes: 0,
        guardrail: None,
    };
    let (conclusion, ended) = match run.run(accept).await {
        Ok(conclusion) => (Some(conclusion), Ended::Concluded),
        Err(ended) => (None, ended),
    };
    run.stats.tool_calls = run.answerer.made;
    Driven {
        conclusion,
        ended,
        stats: run.stats,
        observations: run.answerer.observations,
        missing: run.answerer.missing,
        guardrail: run.guardrail,
    }
}

/// INVARIANT: what a model is shown is named by its specialist *and* classed read-only by policy.
fn shown(ctx: &RunContext<'_>, specialist: &Specialist) -> HashMap<String, ToolDef> {
    let mut tools = HashMap::new();
    for def in ctx.tools.list() {
        let is_shown = def.class == ToolClass::Read && specialist.tools.contains(&def.spec.name);
        // Of two servers with a tool of one name the first is taken.
        if is_shown && !tools.contains_key(&def.spec.name) {
            tools.insert(def.spec.name.clone(), def);
        }
    }
    tools
}

struct Driving<'r, 'a> {
    ctx: &'r RunContext<'a>,
    model: &'r dyn Model,
    specialist: &'r Specialist,
    ending: String,
    conversation: Conversation,
    answerer: Answerer<'r, 'a>,
    stats: Stats,
    strikes: u32,
    guardrail: Option<GuardrailTrace>,
}

impl Driving<'_, '_> {
    async fn run<T>(&mut self, accept: Accept<'_, T>) -> Result<T, Ended> {
        loop {
            if self.ctx.cancel.is_cancelled() {
                return Err(Ended::Cancelled);
            }
            if self.ctx.clock.now() >= self.ctx.deadline {
                return Err(Ended::Deadline);
            }
            if self.stats.turns >= self.specialist.max_turns {
                return Err(Ended::Turns);
            }
            let last = self.stats.turns + 1 == self.specialist.max_turns;
            let Some(response) =
                self.ask(last || self.answerer.exhausted || self.answerer.has_nothing()).await?
            else {
                continue;
            };
            if let Some(conclusion) = self.take(&response, accept).await? {
                return Ok(conclusion);
            }
        }
    }

    /// One turn's answer, with retries. `None` when the conversation was shortened instead.
    async fn ask(&mut self, must_end: bool) -> Result<Option<ModelResponse>, Ended> {
        let must = must_end.then_some(self.ending.as_str());
        let mut request = self.conversation.request(self.model.id(), must);
        request.guardrail.clone_from(&self.ctx.guardrail);
        request.metadata.insert("specialist".to_owned(), self.specialist.name.clone());
        let mut attempt = 0;
        loop {
            attempt += 1;
            let kind = match self.attempt(&request).await? {
                Ok(response) => return Ok(Some(response)),
                Err((ModelErrorKind::Cancelled, _)) => return Err(Ended::Cancelled),
                Err((ModelErrorKind::ContextTooLong, _)) => {
                    return if self.conversation.shrink() { Ok(None) } else { Err(Ended::ContextFull) };
                }
                Err((kind, wait)) if kind.retryable() && attempt < ATTEMPTS => {
                    let backoff = Duration::from_secs(1 << (attempt - 1));
                    let wait = wait.unwrap_or(backoff).clamp(backoff, Duration::from_secs(20));
                    if add(self.ctx.clock.now(), wait) >= self.ctx.deadline {
                        kind
                    } else {
                        tokio::select! {
                            () = self.ctx.cancel.cancelled() => return Err(Ended::Cancelled),
                            () = self.ctx.clock.sleep(wait) => continue,
                        }
                    }
                }
                Err((kind, _)) => kind,
            };
            return Err(Ended::ModelError(kind));
        }
    }

    /// One attempt: reserved, made, settled, told.
    async fn attempt(
        &mut self,
        request: &ModelRequest,
    ) -> Result<Result<ModelResponse, (ModelErrorKind, Option<Duration>)>, Ended> {
        let name = &self.specialist.name;
        let input = request.bytes().saturating_add(OVERHEAD);
        let output = u64::from(self.specialist.max_output_tokens);
        let held = self
            .ctx
            .spend
            .reserve(self.model.id(), name, self.specialist.token_budget, input, output)
            .map_err(|why| self.refused(&why))?;
        self.stats.model_calls += 1;
        let started = self.ctx.clock.now();
        let limits =
            CallLimits { timeout: time_left(self.ctx, started), cancel: self.ctx.cancel.child_token() };
        let answer = tokio::select! {
            biased;
            () = self.ctx.cancel.cancelled() => Err(Ended::Cancelled),
            answer = tokio::time::timeout(limits.timeout, self.model.converse(request, &limits)) => Ok(answer),
        };
        let turn = self.stats.turns + 1;
        let failed = |error: String, cost_micro_usd: u64| {
            let specialist = name.clone();
            self.ctx.events.event(AgentEvent::ModelFailed { specialist, turn, error, cost_micro_usd });
        };
        match answer {
            Err(ended) => {
                // The provider may have worked.
                let cost = held.settle(None);
                self.stats.cost = self.stats.cost.saturating_add(cost);
                Err(ended)
            }
            Ok(Err(_elapsed)) => {
                let cost = held.settle(None);
                self.stats.cost = self.stats.cost.saturating_add(cost);
                failed("timeout: no answer in time".to_owned(), cost);
                Ok(Err((ModelErrorKind::Timeout, None)))
            }
            Ok(Ok(Err(error))) => {
                let cost = if error.usage_unknown() {
                    held.settle(None)
                } else {
                    held.settle(Some(&Usage::default()))
                };
                self.stats.cost = self.stats.cost.saturating_add(cost);
                failed(format!("{}: {}", error.kind.as_str(), error.message), cost);
                Ok(Err((error.kind, error.retry_after)))
            }
            Ok(Ok(Ok(response))) => {
                let cost = held.settle(Some(&response.usage));
                self.stats.turns = turn;
                self.stats.usage.add(response.usage);
                self.stats.cost = self.stats.cost.saturating_add(cost);
                self.ctx.events.event(AgentEvent::Turn {
                    specialist: name.clone(),
                    turn,
                    stop_reason: response.stop_reason.as_str().to_owned(),
                    usage: response.usage,
                    cost_micro_usd: cost,
                    ms: since(self.ctx, started),
                });
                Ok(Ok(response))
            }
        }
    }

    fn refused(&self, why: &SpendError) -> Ended {
        self.corrected(why.to_string());
        match why {
            SpendError::NoPrice { .. } | SpendError::Ceiling { .. } => Ended::Spend,
            SpendError::Tokens { .. } => Ended::Tokens,
        }
    }

    /// Takes an answer: makes its calls, or takes its conclusion.
    async fn take<T>(&mut self, response: &ModelResponse, accept: Accept<'_, T>) -> Result<Option<T>, Ended> {
        let names = self.answerer.names(&self.ending);
        let offered: Vec<&str> = names.iter().map(String::as_str).collect();
        match turn::read(response, &offered, self.stats.turns) {
            Turn::Calls(calls, message) => self.calls(calls, message, accept).await,
            Turn::Text(_) => {
                let ask = format!("Nothing was called. Call `{}` now with what you have.", self.ending);
                self.strike("it answered without calling a tool", &ask, Ended::NoConclusion).map(|()| None)
            }
            Turn::CutOff => {
                let ask =
                    format!("Your answer was cut off by its limit. Be much shorter; call `{}`.", self.ending);
                self.strike("its answer was cut off", &ask, Ended::Malformed).map(|()| None)
            }
            Turn::Malformed => {
                let ask = format!("Your answer could not be read. Call one tool, or `{}`.", self.ending);
                self.strike("its answer was not well formed", &ask, Ended::Malformed).map(|()| None)
            }
            Turn::Filtered => {
                self.ctx.events.event(AgentEvent::Guarded {
                    specialist: self.specialist.name.clone(),
                    turn: self.stats.turns,
                    stop_reason: response.stop_reason.as_str().to_owned(),
                    trace: response.guardrail.clone(),
                });
                self.guardrail.clone_from(&response.guardrail);
                Err(Ended::Filtered)
            }
            Turn::ContextFull => {
                if self.conversation.shrink() {
                    Ok(None)
                } else {
                    Err(Ended::ContextFull)
                }
            }
        }
    }

    async fn calls<T>(
        &mut self,
        calls: Vec<ToolUse>,
        message: crate::model::Message,
        accept: Accept<'_, T>,
    ) -> Result<Option<T>, Ended> {
        let (endings, lookups): (Vec<_>, Vec<_>) =
            calls.into_iter().partition(|call| call.name == self.ending);
        let mut answers: Vec<Content> = Vec::new();
        let mut wrong = None;
        for call in &endings {
            match accept(&call.input, &self.answerer.observations) {
                Ok(conclusion) => return Ok(Some(conclusion)),
                Err(why) => {
                    let mend = "correct it and call it again";
                    answers.push(error(&call.tool_use_id, "invalid", &why, Some(mend)));
                    wrong = Some(why);
                }
            }
        }
        let Answer { contents, ended } = self.answerer.answer(lookups).await;
        answers.extend(contents);
        self.conversation.said(message);
        self.conversation.tell(answers);
        if let Some(ended) = ended {
            return Err(ended);
        }
        if let Some(why) = wrong {
            self.strikes += 1;
            self.corrected(format!("its conclusion was not usable: {why}"));
            if self.strikes >= STRIKES {
                return Err(Ended::Malformed);
            }
        }
        Ok(None)
    }

    fn strike(&mut self, what: &str, ask: &str, ended: Ended) -> Result<(), Ended> {
        self.strikes += 1;
        self.corrected(what.to_owned());
        if self.strikes >= STRIKES {
            return Err(ended);
        }
        self.conversation.tell(vec![Content::Text(ask.to_owned())]);
        Ok(())
    }

    fn corrected(&self, what: String) {
        let specialist = self.specialist.name.clone();
        self.ctx.events.event(AgentEvent::Corrected { specialist, what });
    }
}

/// The arguments of a call, if they are an object.
pub(super) fn object(call: &ToolUse) -> Option<&Map<String, Value>> {
    call.input.as_object()
}

/// The time one call may take.
pub(super) fn time_left(ctx: &RunContext<'_>, now: Timestamp) -> Duration {
    let left = ctx.deadline.duration_since(now);
    Duration::try_from(left).unwrap_or(Duration::ZERO).min(ctx.call_timeout)
}

/// Milliseconds since then, by the incident's clock.
pub(super) fn since(ctx: &RunContext<'_>, then: Timestamp) -> u64 {
    u64::try_from(ctx.clock.now().duration_since(then).as_millis()).unwrap_or(0)
}

fn add(at: Timestamp, span: Duration) -> Timestamp {
    at.checked_add(span).unwrap_or(Timestamp::MAX)
}
