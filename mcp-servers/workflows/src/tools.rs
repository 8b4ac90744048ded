//! What the tools take and give.

use midwatch_mcp::Time;
use midwatch_policy::MarkKind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    called::Called,
    cause::ErrorClass,
    compare::StateRow,
    count::{Change, Counts, Status},
    definition::FieldChange,
};

/// Which executions are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Show {
    /// Those that failed or timed out.
    #[default]
    Failures,
    /// Those that go on.
    Running,
    /// Those that succeeded.
    Succeeded,
    /// Every one.
    All,
}

/// Arguments of `list_executions`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListArgs {
    /// Service of the catalog, whose state machine is read: `claims-api`.
    #[serde(default)]
    pub service: Option<String>,
    /// A state machine by its ARN, in the place of a service.
    #[serde(default)]
    pub state_machine: Option<String>,
    /// Begin, RFC 3339 UTC: executions that began from here on.
    pub from: Time,
    /// End (exclusive), at most 7 days later.
    pub to: Time,
    /// Begin of the time to compare with; default: the same length just before `from`.
    #[serde(default)]
    pub baseline_from: Option<Time>,
    /// End of the time to compare with.
    #[serde(default)]
    pub baseline_to: Option<Time>,
    /// Which ones to list; all are counted. Default `failures`.
    #[serde(default)]
    pub show: Show,
    /// How many to list, 1 to 50; default 10.
    #[serde(default)]
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<String>,
}

/// Arguments of `explain_failure`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExplainArgs {
    /// Service of the catalog, whose state machine is read.
    #[serde(default)]
    pub service: Option<String>,
    /// A state machine by its ARN, in the place of a service.
    #[serde(default)]
    pub state_machine: Option<String>,
    /// Execution, by ARN or name; default: the newest that failed in the window.
    #[serde(default)]
    pub execution: Option<String>,
    /// Begin of the window in which failures are looked for; default: an hour before `to`.
    #[serde(default)]
    pub from: Option<Time>,
    /// End of that window, at most 7 days later; default: now.
    #[serde(default)]
    pub to: Option<Time>,
}

/// Arguments of `compare_executions`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CompareArgs {
    /// Service of the catalog, whose state machine is read.
    #[serde(default)]
    pub service: Option<String>,
    /// A state machine by its ARN, in the place of a service.
    #[serde(default)]
    pub state_machine: Option<String>,
    /// The failed execution, by ARN or name; default: the newest that failed in the window.
    #[serde(default)]
    pub execution: Option<String>,
    /// The good execution; default: the last that succeeded and began before the failed one.
    #[serde(default)]
    pub good: Option<String>,
    /// Begin of the window in which failures are looked for; default: an hour before `to`.
    #[serde(default)]
    pub from: Option<Time>,
    /// End of that window, at most 7 days later; default: now.
    #[serde(default)]
    pub to: Option<Time>,
}

/// An execution of the list.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Listed {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Its name, as `execution` of the other tools takes it.
    pub execution: String,
    /// How it stands.
    pub status: Status,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

/// Result of `list_executions`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct ExecutionList {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// ARN of the state machine.
    pub state_machine: String,
    /// Executions that began in the window, by how they ended.
    pub window: Counts,
    /// Those of the time it is compared with.
    pub baseline: Counts,
    /// How failures stand against the baseline.
    pub change: Change,
    /// When the first that failed in the window had failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_failure_at: Option<Time>,
    /// When the last one had.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure_at: Option<Time>,
    /// When the last one that began in the window succeeded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_success_at: Option<Time>,
    /// The executions that were asked for, newest first.
    pub executions: Vec<Listed>,
    /// Give it as `cursor` for the next page.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_cursor: Option<String>,
    /// What is missing or cut.
    pub notes: Vec<String>,
}

/// How other failures of the window ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Sample {
    /// The state.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Error name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// How many of those looked at.
    pub count: u32,
}

/// Result of `explain_failure`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Explanation {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// ARN of the state machine.
    pub state_machine: String,
    /// The execution.
    pub execution: String,
    /// How it ended.
    pub status: Status,
    /// When it began.
    pub started_at: Time,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Time>,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The state that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Its error name, such as `States.TaskFailed`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What kind of trouble that is.
    pub class: ErrorClass,
    /// What AWS or the callee says of it, redacted and cut to 1,000 bytes. Text from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// In what ways the cause speaks to its reader as an agent. It is data all the same.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub screened: Vec<MarkKind>,
    /// How often the state was tried.
    pub attempts: u32,
    /// What the state called.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub called: Option<Called>,
    /// Bytes of the state's input; Step Functions carries at most 262,144.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_input_bytes: Option<u64>,
    /// Bytes of the execution's input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<u64>,
    /// Revision of the definition it ran by; absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<String>,
    /// Since when that definition is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_since: Option<Time>,
    /// State and error of this and at most four more failures of the window, most frequent first.
    pub alike: Vec<Sample>,
    /// What is missing or cut.
    pub notes: Vec<String>,
}

/// One of two executions that are compared.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Side {
    /// The execution.
    pub execution: String,
    /// How it ended.
    pub status: Status,
    /// When it began.
    pub started_at: Time,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Bytes of its input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub input_bytes: Option<u64>,
    /// Revision of the definition it ran by; absent for the first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_id: Option<String>,
    /// Published version it was started with, where it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Since when that definition is in force.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision_since: Option<Time>,
}

/// Result of `compare_executions`.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Comparison {
    /// Reference for citing.
    #[serde(rename = "ref")]
    pub reference: String,
    /// ARN of the state machine.
    pub state_machine: String,
    /// The failed execution.
    pub failed: Side,
    /// The good one.
    pub good: Side,
    /// The first state at which their ways part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diverges_at: Option<String>,
    /// Each state of either, in the order of the good one; at most 60.
    pub states: Vec<StateRow>,
    /// Whether both ran by the same definition; absent where that could not be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub same_definition: Option<bool>,
    /// Fields of states that differ from the good one's definition; at most 40.
    pub definition_changes: Vec<FieldChange>,
    /// What is missing or cut.
    pub notes: Vec<String>,
}
