//! Tool calls of a run: made at the same time, within limits; repeats are answered from before.

use std::collections::HashMap;

use futures::future::join_all;
use serde_json::{Map, Value};

use super::{
    Ended, RunContext,
    ask::{run_left, since, time_left},
    conversation::{error, outside},
    drive::object,
};
use crate::{
    events::AgentEvent,
    evidence::Origin,
    json::Json,
    model::{CallLimits, Content, ToolUse},
    specialist::Specialist,
    sweep::MissingPart,
    tools::{FailureKind, ToolCall, ToolDef, ToolFailure},
    view::Observation,
};

/// Calls of one answer that are made; more are refused.
const MOST_AT_ONCE: usize = 8;
/// Repeats that end a run.
const MOST_REPEATS: u32 = 3;

/// Answers tool calls.
pub(super) struct Answerer<'r, 'a> {
    ctx: &'r RunContext<'a>,
    specialist: &'r Specialist,
    tools: HashMap<String, ToolDef>,
    before: HashMap<String, Result<Json, ToolFailure>>,
    repeats: u32,
    /// Calls made.
    pub(super) made: u32,
    /// Whether the model may make no more.
    pub(super) exhausted: bool,
    pub(super) observations: Vec<Observation>,
    pub(super) missing: Vec<MissingPart>,
}

/// Results for the model, and whether they were the last.
pub(super) struct Answer {
    pub(super) contents: Vec<Content>,
    pub(super) ended: Option<Ended>,
}

/// What is done about one call.
enum Plan {
    Make(ToolUse, ToolCall, String),
    Repeat(ToolUse, String),
    Refuse(ToolUse, FailureKind, String),
}

impl<'r, 'a> Answerer<'r, 'a> {
    pub(super) fn new(
        ctx: &'r RunContext<'a>,
        specialist: &'r Specialist,
        tools: HashMap<String, ToolDef>,
    ) -> Self {
        Self {
            ctx,
            specialist,
            tools,
            before: HashMap::new(),
            repeats: 0,
            made: 0,
            exhausted: false,
            observations: Vec::new(),
            missing: Vec::new(),
        }
    }

    /// The names on offer, the ending included.
    pub(super) fn names(&self, ending: &str) -> Vec<String> {
        self.tools.keys().cloned().chain(std::iter::once(ending.to_owned())).collect()
    }

    /// Whether there is nothing to call but the ending.
    pub(super) fn has_nothing(&self) -> bool {
        self.tools.is_empty()
    }

    /// Answers all calls of one turn.
    pub(super) async fn answer(&mut self, calls: Vec<ToolUse>) -> Answer {
        let was_exhausted = self.exhausted;
        let mut planned = Vec::new();
        let mut at_once = 0;
        let mut asked_now: Vec<String> = Vec::new();
        for call in calls {
            let plan = self.plan(call, &mut at_once, &asked_now);
            if let Plan::Make(_, _, key) = &plan {
                asked_now.push(key.clone());
            }
            planned.push(plan);
        }
        let first = self.made;
        let work = planned.iter().filter_map(|plan| match plan {
            Plan::Make(_, call, _) => Some(call),
            Plan::Repeat(..) | Plan::Refuse(..) => None,
        });
        let results = join_all(work.enumerate().map(|(n, call)| self.make(call, first + index(n) + 1))).await;
        let mut results = results.into_iter();
        let mut contents = Vec::new();
        let mut refused_for_limit = false;
        for plan in planned {
            match plan {
                Plan::Make(used, call, key) => {
                    let Some(result) = results.next() else { continue };
                    self.made += 1;
                    contents.push(Self::show(&used, &call, &result));
                    self.keep(&call, &result);
                    self.before.insert(key, result);
                }
                Plan::Repeat(used, key) => {
                    self.repeats += 1;
                    self.corrected(format!("it asked `{}` the same again", used.name));
                    contents.push(self.show_again(&used, &key));
                }
                Plan::Refuse(used, kind, why) => {
                    refused_for_limit |= kind == FailureKind::Refused;
                    self.corrected(format!("`{}` was not called: {why}", short(&used.name)));
                    contents.push(error(&used.tool_use_id, kind.as_str(), &why, None));
                }
            }
        }
        self.exhausted |= self.made >= self.specialist.max_tool_calls;
        let ended = if self.repeats >= MOST_REPEATS {
            Some(Ended::Repeats)
        } else if was_exhausted && refused_for_limit {
            Some(Ended::ToolCalls)
        } else {
            None
        };
        Answer { contents, ended }
    }

    fn plan(&self, used: ToolUse, at_once: &mut usize, asked_now: &[String]) -> Plan {
        let Some(def) = self.tools.get(&used.name) else {
            let mut names: Vec<&str> = self.tools.keys().map(String::as_str).collect();
            names.sort_unstable();
            let why = format!("there is no tool `{}`; there are: {}", short(&used.name), names.join(", "));
            return Plan::Refuse(used, FailureKind::NotFound, why);
        };
        let Some(args) = object(&used).cloned() else {
            return Plan::Refuse(
                used,
                FailureKind::Invalid,
                "the arguments have to be a JSON object".to_owned(),
            );
        };
        if let Some(why) = misfit(&def.spec.input_schema.value(), &args) {
            return Plan::Refuse(used, FailureKind::Invalid, why);
        }
        let key = format!("{} {}", used.name, sorted(&args));
        if self.before.contains_key(&key) || asked_now.contains(&key) {
            return Plan::Repeat(used, key);
        }
        if self.made + index(*at_once) >= self.specialist.max_tool_calls {
            let why = "all tool calls of this run are used: conclude with what you have".to_owned();
            return Plan::Refuse(used, FailureKind::Refused, why);
        }
        if *at_once >= MOST_AT_ONCE {
            let why = format!("at most {MOST_AT_ONCE} calls at once");
            return Plan::Refuse(used, FailureKind::Throttled, why);
        }
        *at_once += 1;
        let call = ToolCall { server: def.server.clone(), tool: used.name.clone(), args };
        Plan::Make(used, call, key)
    }

    /// One call: made, admitted to the book, told.
    async fn make(&self, call: &ToolCall, number: u32) -> Result<Json, ToolFailure> {
        let ctx = self.ctx;
        let specialist = self.specialist.name.clone();
        ctx.events.event(AgentEvent::ToolStarted {
            specialist: specialist.clone(),
            call: number,
            server: call.server.clone(),
            tool: call.tool.clone(),
            args: call.args.clone(),
        });
        let started = ctx.clock.now();
        let limits = CallLimits { timeout: time_left(ctx, started), cancel: ctx.cancel.child_token() };
        let answer = tokio::select! {
            biased;
            () = ctx.cancel.cancelled() => Err(ToolFailure::new(FailureKind::Timeout, "cancelled")),
            // Who keeps the tools holds the call to its time, which begins when it has its turn.
            answer = tokio::time::timeout(run_left(ctx, started), ctx.tools.call(call, &limits)) => {
                answer.unwrap_or_else(|_| Err(ToolFailure::new(FailureKind::Timeout, "no answer in time")))
            }
        };
        let mut evidence = Vec::new();
        let result = answer.map(|result| {
            let origin = Origin {
                server: call.server.clone(),
                tool: call.tool.clone(),
                args: call.args.clone(),
                at: ctx.clock.now(),
            };
            let admitted = ctx.book.admit(&origin, &result);
            evidence = admitted.evidence;
            Json::of(&admitted.result)
        });
        ctx.events.event(AgentEvent::ToolFinished {
            specialist,
            call: number,
            tool: call.tool.clone(),
            evidence,
            error: result.as_ref().err().map(|failure| failure.kind),
            ms: since(ctx, started),
        });
        result
    }

    fn keep(&mut self, call: &ToolCall, result: &Result<Json, ToolFailure>) {
        match result {
            Ok(result) => self.observations.push(Observation {
                tool: call.tool.clone(),
                args: call.args.clone(),
                result: result.clone(),
            }),
            Err(failure) => self.missing.push(MissingPart {
                tool: call.tool.clone(),
                service: call.args.get("service").and_then(Value::as_str).and_then(|s| s.parse().ok()),
                why: failure.to_string(),
            }),
        }
    }

    fn show(used: &ToolUse, call: &ToolCall, result: &Result<Json, ToolFailure>) -> Content {
        match result {
            Ok(result) => outside(&used.tool_use_id, &call.server, &call.tool, &result.value(), None),
            Err(failure) => {
                error(&used.tool_use_id, failure.kind.as_str(), &failure.message, failure.mend.as_deref())
            }
        }
    }

    fn show_again(&self, used: &ToolUse, key: &str) -> Content {
        let note = "you asked exactly this before; this is the same answer, do not ask again";
        match (self.before.get(key), self.tools.get(&used.name)) {
            (Some(Ok(result)), Some(def)) => {
                outside(&used.tool_use_id, &def.server, &used.name, &result.value(), Some(note))
            }
            (Some(Err(failure)), _) => {
                error(&used.tool_use_id, failure.kind.as_str(), &failure.message, Some(note))
            }
            _ => error(&used.tool_use_id, "invalid", "the same call stands twice in this answer", None),
        }
    }

    fn corrected(&self, what: String) {
        let specialist = self.specialist.name.clone();
        self.ctx.events.event(AgentEvent::Corrected { specialist, what });
    }
}

/// What of the arguments does not fit the tool's schema at first sight. The server checks the rest;
/// this only spares a call for what models get wrong most.
fn misfit(schema: &Value, args: &Map<String, Value>) -> Option<String> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let absent: Vec<&str> =
        required.filter_map(Value::as_str).filter(|name| !args.contains_key(*name)).collect();
    if !absent.is_empty() {
        return Some(format!("missing: {}", absent.join(", ")));
    }
    let properties = schema.get("properties").and_then(Value::as_object)?;
    let closed = schema.get("additionalProperties") == Some(&Value::Bool(false));
    let strange: Vec<&str> = args
        .keys()
        .map(String::as_str)
        .filter(|name| !properties.contains_key(*name))
        .map(short_str)
        .collect();
    (closed && !strange.is_empty()).then(|| {
        let known: Vec<&str> = properties.keys().map(String::as_str).collect();
        format!("unknown: {}; there are: {}", strange.join(", "), known.join(", "))
    })
}

fn sorted(args: &Map<String, Value>) -> String {
    let mut pairs: Vec<(&String, String)> =
        args.iter().map(|(key, value)| (key, value.to_string())).collect();
    pairs.sort();
    format!("{pairs:?}")
}

fn short(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(60).collect()
}

fn short_str(text: &str) -> &str {
    text.char_indices().nth(60).map_or(text, |(at, _)| text.get(..at).unwrap_or(text))
}

fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}
