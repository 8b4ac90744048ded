//! What happened in an execution, in this server's own words.
//!
//! Histories are trees by `previousEventId` (branches of Parallel and Map states run at once), so
//! whoever asks what led to an event follows those and not the order.

use std::collections::BTreeMap;

use aws_sdk_sfn::types::HistoryEvent;
use jiff::Timestamp;

use crate::{api::stamp, called::Called};

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number, from 1.
    pub id: i64,
    /// The event that led to it; 0 for none.
    pub previous: i64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// The execution began.
    Started,
    /// A state began; with the bytes of its input, where they were read.
    Entered {
        /// The state.
        state: String,
        /// Bytes of its input.
        input: Option<u64>,
    },
    /// A state ended well.
    Exited {
        /// The state.
        state: String,
    },
    /// Something was called.
    Called(Called),
    /// An attempt, a branch or an expression failed.
    Failed {
        /// Its error name.
        error: Option<String>,
        /// What AWS or the callee says of it. From outside.
        cause: Option<String>,
    },
    /// The execution ended badly.
    Ended {
        /// Its error name.
        error: Option<String>,
        /// What AWS or the callee says of it. From outside.
        cause: Option<String>,
    },
    /// Anything else.
    Other,
}

impl Event {
    /// As the API writes it. An event without a time that exists is none.
    pub(crate) fn of(event: &HistoryEvent) -> Option<Self> {
        let at = stamp(event.timestamp())?;
        Some(Self { id: event.id(), previous: event.previous_event_id(), at, what: what(event) })
    }
}

fn what(event: &HistoryEvent) -> What {
    let kind = event.r#type().as_str();
    if kind == "ExecutionStarted" {
        return What::Started;
    }
    if let Some(entered) = event.state_entered_event_details() {
        let input = entered.input().map(|input| input.len() as u64);
        return What::Entered { state: entered.name().to_owned(), input };
    }
    if let Some(exited) = event.state_exited_event_details() {
        return What::Exited { state: exited.name().to_owned() };
    }
    if let Some(task) = event.task_scheduled_event_details() {
        return What::Called(Called::by_task(task.resource_type(), task.resource(), task.parameters()));
    }
    if let Some(lambda) = event.lambda_function_scheduled_event_details() {
        return What::Called(Called::lambda(lambda.resource()));
    }
    if let Some(activity) = event.activity_scheduled_event_details() {
        return What::Called(Called::activity(activity.resource()));
    }
    let failed = |error: Option<&str>, cause: Option<&str>| What::Failed {
        error: error.map(str::to_owned),
        cause: cause.map(str::to_owned),
    };
    let ended = |error: Option<&str>, cause: Option<&str>| What::Ended {
        error: error.map(str::to_owned),
        cause: cause.map(str::to_owned),
    };
    macro_rules! first {
        ($made:ident: $($details:ident),* $(,)?) => {
            $(if let Some(found) = event.$details() {
                return $made(found.error(), found.cause());
            })*
        };
    }
    first!(failed:
        task_failed_event_details, task_timed_out_event_details, task_start_failed_event_details,
        task_submit_failed_event_details, lambda_function_failed_event_details,
        lambda_function_timed_out_event_details, lambda_function_schedule_failed_event_details,
        lambda_function_start_failed_event_details, activity_failed_event_details,
        activity_timed_out_event_details, activity_schedule_failed_event_details,
        map_run_failed_event_details, evaluation_failed_event_details,
    );
    first!(ended:
        execution_failed_event_details, execution_timed_out_event_details, execution_aborted_event_details,
    );
    match kind {
        "ExecutionFailed" | "ExecutionTimedOut" | "ExecutionAborted" => ended(None, None),
        _ => What::Other,
    }
}

/// Events by their number.
#[derive(Debug, Clone, Default)]
pub struct Events(BTreeMap<i64, Event>);

impl Events {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, oldest first.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Event> {
        self.0.values()
    }

    /// The way back from an event, itself first, as far as it was read. It ends, whatever the
    /// numbers say: each step goes to a smaller one.
    pub fn back_from(&self, id: i64) -> impl Iterator<Item = &Event> {
        std::iter::successors(self.0.get(&id), |event| {
            self.0.get(&event.previous).filter(|previous| previous.id < event.id)
        })
    }
}

impl Extend<Event> for Events {
    fn extend<I: IntoIterator<Item = Event>>(&mut self, events: I) {
        self.0.extend(events.into_iter().map(|event| (event.id, event)));
    }
}

impl FromIterator<Event> for Events {
    fn from_iter<I: IntoIterator<Item = Event>>(events: I) -> Self {
        let mut all = Self::default();
        all.extend(events);
        all
    }
}
