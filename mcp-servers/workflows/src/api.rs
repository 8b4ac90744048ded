//! Reading Step Functions.

use aws_sdk_sfn::{
    Client,
    types::{ExecutionListItem, ExecutionStatus},
};
use jiff::Timestamp;
use midwatch_mcp::{AwsResult, Ctx, ToolError};
use midwatch_policy::Service;

use crate::{
    count::{Run, Status},
    event::{Event, Events},
};

/// Executions that are listed for one answer.
pub(crate) const MOST_RUNS: usize = 3000;
/// Executions, and events, of one page.
const PAGE: i32 = 1000;
/// Events of a whole history that are read.
pub(crate) const MOST_EVENTS: usize = 3000;
/// Events at the end of a history that come with their data, of one page: each may have 256 KiB.
const TAIL: i32 = 25;
/// Such pages that are read.
const TAILS: usize = 3;

/// A time of the SDK; one that does not exist is none.
pub(crate) fn stamp(at: &aws_smithy_types::DateTime) -> Option<Timestamp> {
    Timestamp::from_millisecond(at.to_millis().ok()?).ok()
}

/// One state machine.
#[derive(Debug, Clone)]
pub(crate) struct Api {
    client: Client,
    pub(crate) machine: String,
}

/// An execution by itself: sizes in the place of its input.
#[derive(Debug, Clone)]
pub(crate) struct Described {
    pub(crate) run: Run,
    pub(crate) input: Option<u64>,
    pub(crate) error: Option<String>,
    pub(crate) cause: Option<String>,
    pub(crate) version: Option<String>,
}

/// The definition an execution ran by.
#[derive(Debug, Clone)]
pub(crate) struct Definition {
    /// Its id; the first has none.
    pub(crate) id: Option<String>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) text: String,
}

/// Data to be read with events, or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Data {
    Sizes,
    None,
}

impl Api {
    pub(crate) async fn of(ctx: &Ctx, service: Option<&Service>, machine: String) -> Result<Self, ToolError> {
        let client = Client::new(&ctx.aws.for_optional(service).await?);
        Ok(Self { client, machine })
    }

    /// Executions that began at or after a time, newest first, and whether these are all.
    pub(crate) async fn runs(&self, since: Timestamp) -> Result<(Vec<Run>, bool), ToolError> {
        let mut found: Vec<Run> = Vec::new();
        let mut token = None;
        loop {
            let page = self.list(None, token).await?;
            let runs = page.executions.iter().filter_map(run);
            let before = found.len();
            found.extend(runs.take_while(|run| run.started_at >= since));
            let reached = found.len() - before < page.executions.len();
            token = page.next_token.filter(|token| !token.is_empty());
            if reached || token.is_none() {
                return Ok((found, true));
            }
            if found.len() >= MOST_RUNS {
                return Ok((found, false));
            }
        }
    }

    /// The last execution that succeeded of those that began before a time.
    pub(crate) async fn last_good(&self, before: Timestamp) -> Result<Option<Run>, ToolError> {
        let (mut token, mut read) = (None, 0);
        loop {
            let page = self.list(Some(ExecutionStatus::Succeeded), token).await?;
            let found = page.executions.iter().filter_map(run).find(|run| run.started_at < before);
            read += page.executions.len();
            token = page.next_token.filter(|token| !token.is_empty());
            if found.is_some() || token.is_none() || read >= MOST_RUNS {
                return Ok(found);
            }
        }
    }

    async fn list(
        &self,
        status: Option<ExecutionStatus>,
        token: Option<String>,
    ) -> Result<aws_sdk_sfn::operation::list_executions::ListExecutionsOutput, ToolError> {
        self.client
            .list_executions()
            .state_machine_arn(&self.machine)
            .set_status_filter(status)
            .max_results(PAGE)
            .set_next_token(token)
            .send()
            .await
            .aws("states:ListExecutions")
            .map_err(|error| {
                if error.message.contains("StateMachineTypeNotSupported") {
                    let mend =
                        "ask the logs server: an express state machine writes its executions to a log group";
                    return ToolError::invalid("express state machines keep no list of executions", mend);
                }
                error
            })
    }

    /// One execution.
    pub(crate) async fn describe(&self, arn: &str) -> Result<Described, ToolError> {
        let found = self
            .client
            .describe_execution()
            .execution_arn(arn)
            .send()
            .await
            .aws("states:DescribeExecution")?;
        let started_at = stamp(found.start_date())
            .ok_or_else(|| ToolError::internal("AWS answered an execution without a begin"))?;
        Ok(Described {
            run: Run {
                name: name_of(found.execution_arn()),
                arn: found.execution_arn().to_owned(),
                status: Status::of(found.status().as_str()),
                started_at,
                ended_at: found.stop_date().and_then(stamp),
            },
            input: found.input().map(|input| input.len() as u64),
            error: found.error().map(str::to_owned),
            cause: found.cause().map(str::to_owned),
            version: found
                .state_machine_version_arn()
                .and_then(|arn| arn.rsplit(':').next())
                .map(str::to_owned),
        })
    }

    /// The last events of an execution, back to where a state began.
    pub(crate) async fn tail(&self, arn: &str, data: Data) -> Result<Events, ToolError> {
        let mut events = Events::default();
        let mut token: Option<String> = None;
        for _ in 0..TAILS {
            let page = self
                .client
                .get_execution_history()
                .execution_arn(arn)
                .reverse_order(true)
                .max_results(TAIL)
                .include_execution_data(data == Data::Sizes)
                .set_next_token(token)
                .send()
                .await
                .aws("states:GetExecutionHistory")?;
            events.extend(page.events.iter().filter_map(Event::of));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() || crate::failure::explain(&events).state.is_some() {
                break;
            }
        }
        Ok(events)
    }

    /// The history of an execution without its data, oldest first, and whether that is all of it.
    pub(crate) async fn history(&self, arn: &str) -> Result<(Events, bool), ToolError> {
        let mut events = Events::default();
        let mut token: Option<String> = None;
        loop {
            let page = self
                .client
                .get_execution_history()
                .execution_arn(arn)
                .max_results(PAGE)
                .include_execution_data(false)
                .set_next_token(token)
                .send()
                .await
                .aws("states:GetExecutionHistory")?;
            events.extend(page.events.iter().filter_map(Event::of));
            token = page.next_token.filter(|token| !token.is_empty());
            if token.is_none() || events.len() >= MOST_EVENTS {
                return Ok((events, token.is_none()));
            }
        }
    }

    /// The definition that an execution ran by.
    pub(crate) async fn definition(&self, arn: &str) -> Result<Definition, ToolError> {
        let found = self
            .client
            .describe_state_machine_for_execution()
            .execution_arn(arn)
            .send()
            .await
            .aws("states:DescribeStateMachineForExecution")?;
        Ok(Definition {
            id: found.revision_id().map(str::to_owned),
            since: stamp(found.update_date()),
            text: found.definition().to_owned(),
        })
    }
}

/// The name at the end of an execution's ARN.
fn name_of(arn: &str) -> String {
    arn.rsplit(':').next().unwrap_or(arn).to_owned()
}

fn run(item: &ExecutionListItem) -> Option<Run> {
    Some(Run {
        arn: item.execution_arn().to_owned(),
        name: name_of(item.execution_arn()),
        status: Status::of(item.status().as_str()),
        started_at: stamp(item.start_date())?,
        ended_at: item.stop_date().and_then(stamp),
    })
}
