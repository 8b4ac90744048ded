//! The loop itself: ask, read the answer, call tools, until a conclusion or a limit.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{
    Ended, RunContext,
    ask::{Asker, Stats},
    calls::{Answer, Answerer},
    conversation::{Conversation, error},
    schema,
    turn::{self, Turn},
};
use crate::{
    events::AgentEvent,
    model::{Content, GuardrailTrace, Model, ModelResponse, ToolUse},
    specialist::Specialist,
    sweep::MissingPart,
    tools::{ToolClass, ToolDef},
    view::Observation,
};

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
    /// The model that was asked last.
    pub(super) model: String,
    /// What fell through to another model.
    pub(super) fell: Vec<String>,
    /// More about why it ended.
    pub(super) detail: Option<String>,
}

/// What a specialist is given: written out when a run begins, and not held through it.
pub(super) type Documents<'a> = &'a (dyn Fn() -> Vec<Value> + Sync);

/// Takes a conclusion, or says what is wrong with it, in words for the model.
pub(super) type Accept<'a, T> = &'a (dyn Fn(&Value, &[Observation]) -> Result<T, String> + Sync);

/// Drives a model to a conclusion.
pub(super) async fn drive<T>(
    ctx: &RunContext<'_>,
    model: &dyn Model,
    specialist: &Specialist,
    documents: Documents<'_>,
    accept: Accept<'_, T>,
) -> Driven<T> {
    let tools = shown(ctx, specialist);
    let ending = schema::ending(specialist.output);
    let mut specs: Vec<_> = tools.values().map(|def| def.spec.clone()).collect();
    specs.sort_by(|a, b| a.name.cmp(&b.name));
    specs.push(ending.clone());
    let mut run = Driving {
        ctx,
        specialist,
        ending: ending.name,
        conversation: Conversation::new(specialist, &documents(), specs),
        answerer: Answerer::new(ctx, specialist, tools),
        asker: Asker::new(ctx, model, specialist),
        strikes: 0,
        guardrail: None,
    };
    let (conclusion, ended) = match run.run(accept).await {
        Ok(conclusion) => (Some(conclusion), Ended::Concluded),
        Err(ended) => (None, ended),
    };
    let mut stats = run.asker.stats;
    stats.tool_calls = run.answerer.made;
    Driven {
        conclusion,
        ended,
        stats,
        model: run.asker.model().id().to_owned(),
        fell: run.asker.fell,
        detail: run.asker.detail,
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
    specialist: &'r Specialist,
    ending: String,
    conversation: Conversation,
    answerer: Answerer<'r, 'a>,
    asker: Asker<'r, 'a>,
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
            let turns = self.asker.stats.turns;
            if turns >= self.specialist.max_turns {
                return Err(Ended::Turns);
            }
            let is_last = turns + 1 == self.specialist.max_turns;
            let must_end = is_last || self.answerer.exhausted || self.answerer.has_nothing();
            let must = must_end.then_some(self.ending.as_str());
            let Some(response) = self.asker.ask(&mut self.conversation, must).await? else { continue };
            if let Some(conclusion) = self.take(&response, accept).await? {
                return Ok(conclusion);
            }
        }
    }

    /// Takes an answer: makes its calls, or takes its conclusion.
    async fn take<T>(&mut self, response: &ModelResponse, accept: Accept<'_, T>) -> Result<Option<T>, Ended> {
        let names = self.answerer.names(&self.ending);
        let offered: Vec<&str> = names.iter().map(String::as_str).collect();
        match turn::read(response, &offered, self.asker.stats.turns) {
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
                    turn: self.asker.stats.turns,
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
