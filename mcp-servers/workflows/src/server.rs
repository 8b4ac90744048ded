//! The tools.

use std::sync::Arc;

use futures::future::join_all;
use jiff::SignedDuration;
use midwatch_mcp::{Ctx, Time, ToolError, Window, clean, limit, redaction_note, server_info};
use midwatch_policy::{Service, state_machine_name};
use rmcp::{
    Json, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::ServerConfig,
    tool, tool_handler, tool_router,
};

use crate::{
    api::{Api, Data, Definition, Described, MOST_EVENTS, MOST_RUNS},
    cause,
    compare::{diverges_at, rows, visits},
    count::{Run, Status, compare, count},
    definition, failure,
    meant::{Which, execution_arn, meant},
    page,
    tools::{
        CompareArgs, Comparison, ExecutionList, ExplainArgs, Explanation, ListArgs, Listed, Sample, Show,
        Side,
    },
};

/// Widest window.
const WIDEST: SignedDuration = SignedDuration::from_hours(7 * 24);
/// Failures that are looked at beside the one that is explained.
const MORE: usize = 4;
/// States of a comparison that are returned.
const MOST_STATES: usize = 60;
/// Fields of definitions that are returned.
const MOST_FIELDS: usize = 40;
/// Longest cause that is passed on, in bytes.
const CAUSE: usize = 1000;
/// Longest name that is passed on, in bytes.
pub(crate) const NAME: usize = 200;
/// Bytes that Step Functions carries from state to state.
const CARRIED: u64 = 262_144;

/// The server. Cheap to clone.
#[derive(Debug, Clone)]
pub struct WorkflowsServer {
    ctx: Ctx,
    tool_router: Arc<ToolRouter<Self>>,
}

impl WorkflowsServer {
    /// The state machine that a call is about.
    async fn api(&self, service: Option<&str>, machine: Option<&str>) -> Result<Api, ToolError> {
        let (service, arn) = self.target(service, machine)?;
        Api::of(&self.ctx, service, arn).await
    }

    fn target(
        &self,
        service: Option<&str>,
        machine: Option<&str>,
    ) -> Result<(Option<&Service>, String), ToolError> {
        match (service, machine) {
            (Some(name), None) => {
                let service = self.ctx.service(name)?;
                let arn = service.state_machine.as_ref().ok_or_else(|| {
                    let known: Vec<&str> = self
                        .ctx
                        .catalog
                        .services()
                        .filter(|s| s.state_machine.is_some())
                        .map(|s| s.name.as_str())
                        .take(30)
                        .collect();
                    let mend = match known.as_slice() {
                        [] => "give `state_machine`, or add it to the service in the catalog".to_owned(),
                        known => {
                            format!("give `state_machine`, or a service that has one: {}", known.join(", "))
                        }
                    };
                    ToolError::not_found(format!("the catalog names no state machine for `{name}`"), mend)
                })?;
                Ok((Some(service), arn.as_str().to_owned()))
            }
            (None, Some(arn)) if state_machine_name(arn).is_some() => {
                let named =
                    |s: &&Service| s.state_machine.as_ref().is_some_and(|known| known.as_str() == arn);
                Ok((self.ctx.catalog.services().find(named), arn.to_owned()))
            }
            (None, Some(other)) => Err(ToolError::invalid(
                format!("`{}` is not the ARN of a state machine", midwatch_mcp::clip(other, NAME)),
                if other.trim().starts_with("executions:") {
                    // A name may be one of several accounts and regions.
                    "that is a result's `ref`: give what stands there as `state_machine`"
                } else {
                    "write arn:aws:states:REGION:ACCOUNT:stateMachine:NAME, without a version or an alias"
                },
            )),
            _ => Err(ToolError::invalid(
                "a state machine is named by `service` or by `state_machine`",
                "give one of the two",
            )),
        }
    }

    /// The window in which failures are looked for: the hour before now, unless it is given.
    fn hour_or(
        &self,
        from: Option<Time>,
        to: Option<Time>,
        notes: &mut Vec<String>,
    ) -> Result<Window, ToolError> {
        let to = to.unwrap_or_else(|| Time(self.ctx.clock.now()));
        let hour = SignedDuration::from_hours(1);
        let from = from.unwrap_or_else(|| Time(to.0.checked_sub(hour).unwrap_or(to.0)));
        self.window(from, to, notes)
    }

    /// A window that ends in the future is cut to the present: what has not come is no time in which nothing began. One
    /// that has not even begun stays as it was asked for, until it is known whether something is in it.
    fn window(&self, from: Time, to: Time, notes: &mut Vec<String>) -> Result<Window, ToolError> {
        let present = self.ctx.clock.now();
        if from.0 >= present {
            return Window::new(from, to, WIDEST);
        }
        Window::begun(from, to, WIDEST, present, notes)
    }

    /// Refuses a window that has not begun, where nothing is in it. Executions that are there are told, whatever our
    /// clock says.
    fn has_begun(&self, window: Window) -> Result<(), ToolError> {
        Window::begun(Time(window.from), Time(window.to), WIDEST, self.ctx.clock.now(), &mut Vec::new())
            .map(drop)
    }
}

/// Failures that began in a window, newest first.
async fn failures(api: &Api, window: Window, notes: &mut Vec<String>) -> Result<Vec<Run>, ToolError> {
    let (mut runs, complete) = api.runs(window.from).await?;
    if !complete {
        notes.push(format!("only the newest {MOST_RUNS} executions were read"));
    }
    runs.retain(|run| run.status.is_failure() && window.contains(run.started_at));
    page::sort(&mut runs);
    Ok(runs)
}

fn listed(run: &Run) -> Listed {
    Listed {
        reference: format!("execution:{}", run.name),
        execution: run.name.clone(),
        status: run.status,
        started_at: run.started_at.into(),
        ended_at: run.ended_at.map(Time),
        seconds: run.seconds(),
    }
}

fn side(described: &Described, definition: Option<&Definition>) -> Side {
    let run = &described.run;
    Side {
        execution: run.name.clone(),
        status: run.status,
        started_at: run.started_at.into(),
        seconds: run.seconds(),
        input_bytes: described.input,
        revision_id: definition.and_then(|d| d.id.clone()),
        version: described.version.clone(),
        revision_since: definition.and_then(|d| d.since).map(Time),
    }
}

/// How often each pair of state and error occurred, the most frequent first.
fn tally(pairs: impl IntoIterator<Item = (Option<String>, Option<String>)>) -> Vec<Sample> {
    let mut all: Vec<Sample> = Vec::new();
    for (state, error) in pairs {
        match all.iter_mut().find(|known| known.state == state && known.error == error) {
            Some(known) => known.count += 1,
            None => all.push(Sample { state, error, count: 1 }),
        }
    }
    all.sort_by_key(|sample| std::cmp::Reverse(sample.count));
    all
}

fn name(text: &str) -> String {
    clean(text, NAME).text
}

#[tool_router]
impl WorkflowsServer {
    /// A server over these clients, this catalog and this clock.
    pub fn new(ctx: Ctx) -> Self {
        Self { ctx, tool_router: Arc::new(Self::tool_router()) }
    }

    /// Executions of a state machine in a window.
    #[tool(
        title = "List executions",
        description = "Executions of a Step Functions state machine that began in a window: how many failed, timed \
                       out, succeeded or run, against a baseline; since when they fail; the failed ones by name. \
                       Standard state machines only.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn list_executions(
        &self,
        Parameters(args): Parameters<ListArgs>,
    ) -> Result<Json<ExecutionList>, ToolError> {
        let mut notes = Vec::new();
        let window = self.window(args.from, args.to, &mut notes)?;
        let limit = limit(args.limit, 10, 50)?;
        let before = window.baseline(args.baseline_from, args.baseline_to, WIDEST)?;
        let api = self.api(args.service.as_deref(), args.state_machine.as_deref()).await?;
        let (mut runs, complete) = api.runs(window.from.min(before.from)).await?;
        page::sort(&mut runs);
        if !complete {
            let oldest = runs.last().map_or(window.from, |run| run.started_at);
            notes.push(format!(
                "only the newest {MOST_RUNS} executions were read, back to {oldest}: counts before that are too low; \
                 ask for a shorter window"
            ));
        }
        let (counts, baseline) = (count(&runs, window), count(&runs, before));
        let within: Vec<&Run> = runs.iter().filter(|run| window.contains(run.started_at)).collect();
        if within.is_empty() {
            self.has_begun(window)?;
        }
        let ends = |wanted: fn(Status) -> bool| {
            within.iter().filter(move |run| wanted(run.status)).filter_map(|run| run.ended_at)
        };
        let wanted = |run: &&Run| match args.show {
            Show::Failures => run.status.is_failure(),
            Show::Running => run.status == Status::Running,
            Show::Succeeded => run.status == Status::Succeeded,
            Show::All => true,
        };
        let shown = within.iter().copied().filter(wanted);
        let (shown, next_cursor) = page::page(shown, args.cursor.as_deref(), limit)?;
        let machine = state_machine_name(&api.machine).unwrap_or(&api.machine).to_owned();
        Ok(Json(ExecutionList {
            reference: format!("executions:{machine}"),
            change: compare(&counts, &baseline),
            first_failure_at: ends(Status::is_failure).min().map(Time),
            last_failure_at: ends(Status::is_failure).max().map(Time),
            last_success_at: ends(|status| status == Status::Succeeded).max().map(Time),
            window: counts,
            baseline,
            executions: shown.into_iter().map(listed).collect(),
            next_cursor,
            notes,
            state_machine: api.machine,
        }))
    }

    /// Why an execution failed.
    #[tool(
        title = "Explain a failure",
        description = "Why an execution failed: the state, its error and cause, attempts, what it called (function, \
                       task, table, host) and that function's log group, sizes of its inputs (never the inputs), the \
                       definition's revision, and whether other failures of the window are alike. Reads the newest \
                       failure unless one is named.",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn explain_failure(
        &self,
        Parameters(args): Parameters<ExplainArgs>,
    ) -> Result<Json<Explanation>, ToolError> {
        let mut notes = Vec::new();
        let window = self.hour_or(args.from, args.to, &mut notes)?;
        let api = self.api(args.service.as_deref(), args.state_machine.as_deref()).await?;
        let failed = failures(&api, window, &mut notes).await?;
        if failed.is_empty() && args.execution.is_none() {
            self.has_begun(window)?;
        }
        let found = meant(&api, args.execution.as_deref(), &failed, window).await?;
        let run = &found.run;
        let others: Vec<&Run> = failed.iter().filter(|other| other.arn != run.arn).take(MORE).collect();
        let (events, definition, more) = futures::join!(
            api.tail(&run.arn, Data::Sizes),
            api.definition(&run.arn),
            join_all(others.iter().map(|other| api.tail(&other.arn, Data::None))),
        );
        let failure = failure::explain(&events?);
        let definition =
            definition.map_err(|error| notes.push(format!("its definition could not be read: {error}"))).ok();
        let unread = more.iter().filter(|one| one.is_err()).count();
        if unread > 0 {
            notes.push(format!("{unread} of the other failures could not be read"));
        }
        let (error, raw) = (failure.error.or(found.error), failure.cause.or(found.cause));
        let class = cause::classify(error.as_deref().unwrap_or_default(), raw.as_deref().unwrap_or_default());
        let told = raw.filter(|raw| !raw.trim().is_empty()).map(|raw| clean(&cause::told(&raw), CAUSE));
        let (state, error) = (failure.state.as_deref().map(name), error.as_deref().map(name));
        if state.is_none() {
            notes.push("the failing state is not among the last events of its history".to_owned());
        }
        let largest = failure.input.max(found.input).unwrap_or(0);
        if largest * 10 >= CARRIED * 9 {
            notes.push(format!("its input has {largest} of the {CARRIED} bytes that Step Functions carries"));
        }
        notes.extend(redaction_note(told.as_ref().map_or(0, |told| told.redacted)));
        let pairs = more.into_iter().flatten().map(|events| {
            let other = failure::explain(&events);
            (other.state.as_deref().map(name), other.error.as_deref().map(name))
        });
        let alike = tally(std::iter::once((state.clone(), error.clone())).chain(pairs));
        Ok(Json(Explanation {
            reference: format!("failure:{}", run.name),
            execution: run.name.clone(),
            status: run.status,
            started_at: run.started_at.into(),
            ended_at: run.ended_at.map(Time),
            seconds: run.seconds(),
            state,
            error,
            class,
            screened: told.as_ref().map(|told| told.marks.clone()).unwrap_or_default(),
            cause: told.map(|told| told.text),
            attempts: failure.attempts,
            called: failure.called,
            state_input_bytes: failure.input,
            input_bytes: found.input,
            revision_id: definition.as_ref().and_then(|d| d.id.clone()),
            revision_since: definition.as_ref().and_then(|d| d.since).map(Time),
            alike,
            notes,
            state_machine: api.machine,
        }))
    }

    /// A failed execution beside a good one.
    #[tool(
        title = "Compare with the last good run",
        description = "A failed execution beside the last good one (or one you name): where their ways part, each \
                       state's duration and attempts, sizes of their inputs, and what changed in the definition \
                       between them (fields, not values).",
        annotations(
            read_only_hint = true,
            destructive_hint = false,
            idempotent_hint = true,
            open_world_hint = false
        )
    )]
    async fn compare_executions(
        &self,
        Parameters(args): Parameters<CompareArgs>,
    ) -> Result<Json<Comparison>, ToolError> {
        let mut notes = Vec::new();
        let window = self.hour_or(args.from, args.to, &mut notes)?;
        let api = self.api(args.service.as_deref(), args.state_machine.as_deref()).await?;
        let failed = match args.execution {
            Some(_) => Vec::new(),
            None => failures(&api, window, &mut notes).await?,
        };
        if failed.is_empty() && args.execution.is_none() {
            self.has_begun(window)?;
        }
        let failed = meant(&api, args.execution.as_deref(), &failed, window).await?;
        let good = if let Some(named) = &args.good {
            execution_arn(&api.machine, named, Which::Good)?
        } else {
            let none = || {
                ToolError::not_found(
                    format!("no execution before `{}` is known to have succeeded", failed.run.name),
                    "Step Functions forgets executions after 90 days; name a `good` one if you know it",
                )
            };
            api.last_good(failed.run.started_at).await?.ok_or_else(none)?.arn
        };
        let (good, failed_history, good_history, failed_definition, good_definition) = futures::join!(
            api.describe(&good),
            api.history(&failed.run.arn),
            api.history(&good),
            api.definition(&failed.run.arn),
            api.definition(&good),
        );
        let good = good?;
        if good.run.status != Status::Succeeded {
            return Err(ToolError::invalid(
                format!("execution `{}` has not succeeded", good.run.name),
                "give one that succeeded as `good`, or leave it out for the last one",
            ));
        }
        let ((failed_events, all_failed), (good_events, all_good)) = (failed_history?, good_history?);
        if !all_failed || !all_good {
            notes.push(format!("of long histories only the first {MOST_EVENTS} events were read"));
        }
        let (failed_visits, good_visits) = (visits(&failed_events), visits(&good_events));
        let mut states = rows(&good_visits, &failed_visits);
        if states.len() > MOST_STATES {
            notes.push(format!("{} states; the first {MOST_STATES} are shown", states.len()));
            states.truncate(MOST_STATES);
        }
        let (failed_definition, good_definition) = (failed_definition.ok(), good_definition.ok());
        let changes = failed_definition.as_ref().zip(good_definition.as_ref()).and_then(|(failed, good)| {
            if failed.text == good.text {
                Some(Vec::new())
            } else {
                definition::changes(&good.text, &failed.text)
            }
        });
        if changes.is_none() {
            notes.push("the definitions could not be read or compared".to_owned());
        }
        let same_definition = changes.as_ref().map(Vec::is_empty);
        let mut definition_changes = changes.unwrap_or_default();
        if definition_changes.len() > MOST_FIELDS {
            notes.push(format!("{} fields differ; {MOST_FIELDS} are shown", definition_changes.len()));
            definition_changes.truncate(MOST_FIELDS);
        }
        Ok(Json(Comparison {
            reference: format!("comparison:{}:{}", failed.run.name, good.run.name),
            diverges_at: diverges_at(&good_visits, &failed_visits),
            states,
            failed: side(&failed, failed_definition.as_ref()),
            good: side(&good, good_definition.as_ref()),
            same_definition,
            definition_changes,
            notes,
            state_machine: api.machine,
        }))
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for WorkflowsServer {
    fn get_info(&self) -> ServerConfig {
        server_info(
            "midwatch-workflows",
            env!("CARGO_PKG_VERSION"),
            "Executions of Step Functions state machines: how many fail, in which state and why, and what differs \
             from the last good run. Reads only.",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_that_are_alike_are_counted_together() {
        let pair = |state: &str| (Some(state.to_owned()), Some("E".to_owned()));
        let all = tally([pair("A"), pair("B"), pair("B")]);
        let told: Vec<_> = all.iter().map(|s| (s.state.as_deref(), s.count)).collect();
        assert_eq!(told, [(Some("B"), 2), (Some("A"), 1)]);
    }
}
