//! The playbook: a model that is a pure function of the request. It reads the documents and tool
//! results that every model is given, asks for what is missing, and concludes by rules; it costs
//! nothing and is always there. It carries an incident when no other model is to be had.
//!
//! INVARIANT: it decides by evidence alone. Nothing in it knows a service, a scenario or a text.

mod conclude;
mod next;
mod reading;
mod remedy;
mod routing;

use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::{
    model::{
        CallLimits, Content, Message, Model, ModelError, ModelRequest, ModelResponse, StopReason, ToolUse,
        Usage,
    },
    run::{CONCLUDE, ROUTE},
};

pub use conclude::conclude;
pub use remedy::propose;
pub use routing::route;

/// The id that the playbook is priced under.
pub const PLAYBOOK: &str = "playbook";

/// [`respond`] behind the [`Model`] trait.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlaybookModel;

impl Model for PlaybookModel {
    fn id(&self) -> &str {
        PLAYBOOK
    }

    fn converse<'a>(
        &'a self,
        request: &'a ModelRequest,
        _: &'a CallLimits,
    ) -> BoxFuture<'a, Result<ModelResponse, ModelError>> {
        Box::pin(std::future::ready(Ok(respond(request))))
    }
}

/// Answers a request.
pub fn respond(request: &ModelRequest) -> ModelResponse {
    let reading = reading::read(request);
    let offers = |name: &str| request.tool_names().any(|offered| offered == name);
    if let Some(brief) = &reading.brief {
        return match remedy::step(brief, &reading) {
            remedy::Step::Plan(args) if offers("plan") => {
                calls(&reading, vec![("plan", Value::Object(args))])
            }
            remedy::Step::Plan(_) => calls(&reading, vec![(CONCLUDE, value(&remedy::no_plan(brief)))]),
            remedy::Step::Conclude(draft) => calls(&reading, vec![(CONCLUDE, value(&draft))]),
        };
    }
    let Some(task) = &reading.task else {
        return say("There is no task in this request that the playbook could work on.");
    };
    if offers(ROUTE) {
        let draft = routing::route(task, &reading.observations, &reading.missing);
        return calls(&reading, vec![(ROUTE, value(&draft))]);
    }
    let wanted = next::calls(task, &reading, &offers);
    if !wanted.is_empty() {
        return calls(&reading, wanted);
    }
    if offers(CONCLUDE) {
        let draft = conclude::conclude(task, &reading.observations, &reading.missing);
        return calls(&reading, vec![(CONCLUDE, value(&draft))]);
    }
    say(&conclude::conclude(task, &reading.observations, &reading.missing).summary)
}

fn value(draft: &impl Serialize) -> Value {
    // Drafts have string keys and finite numbers only.
    serde_json::to_value(draft).unwrap_or(Value::Null)
}

fn calls(reading: &reading::Reading, wanted: Vec<(&str, Value)>) -> ModelResponse {
    let content = wanted
        .into_iter()
        .enumerate()
        .map(|(n, (name, input))| {
            let tool_use_id = format!("playbook_{}", reading.calls_made + n + 1);
            Content::ToolUse(ToolUse { tool_use_id, name: name.to_owned(), input })
        })
        .collect();
    ModelResponse {
        message: Message::assistant(content),
        stop_reason: StopReason::ToolUse,
        usage: Some(Usage::default()),
        latency_ms: 0,
        guardrail: None,
    }
}

fn say(text: &str) -> ModelResponse {
    ModelResponse {
        message: Message::assistant(vec![Content::Text(text.to_owned())]),
        stop_reason: StopReason::EndTurn,
        usage: Some(Usage::default()),
        latency_ms: 0,
        guardrail: None,
    }
}

#[cfg(test)]
mod tests;
