//! Results of the workflows server.

use midwatch_policy::Timestamp;
use serde::Deserialize;

use super::{count, lenient, lenient_vec};

/// Result of `list_executions`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Executions {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// ARN of the state machine.
    #[serde(deserialize_with = "lenient")]
    pub state_machine: String,
    /// Those that began in the window.
    #[serde(deserialize_with = "lenient")]
    pub window: Ran,
    /// Those it is compared with.
    #[serde(deserialize_with = "lenient")]
    pub baseline: Ran,
    /// `new`, `more`, `steady`, `less`, `stopped`, `none`.
    #[serde(deserialize_with = "lenient")]
    pub change: String,
    /// When the first of the window had failed.
    #[serde(deserialize_with = "lenient")]
    pub first_failure_at: Option<Timestamp>,
    /// When the last had.
    #[serde(deserialize_with = "lenient")]
    pub last_failure_at: Option<Timestamp>,
}

/// How many executions, by how they ended.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Ran {
    /// All.
    #[serde(deserialize_with = "count")]
    pub started: u64,
    /// Failed in a state.
    #[serde(deserialize_with = "count")]
    pub failed: u64,
    /// Ran too long.
    #[serde(deserialize_with = "count")]
    pub timed_out: u64,
}

impl Executions {
    /// Whether more fail than before.
    pub fn failing(&self) -> bool {
        matches!(self.change.as_str(), "new" | "more")
    }

    /// Name of the state machine.
    pub fn name(&self) -> &str {
        self.state_machine.rsplit(':').next().unwrap_or_default()
    }
}

/// Result of `explain_failure`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct WorkflowFailure {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// The execution.
    #[serde(deserialize_with = "lenient")]
    pub execution: String,
    /// The state that failed.
    #[serde(deserialize_with = "lenient")]
    pub state: Option<String>,
    /// Error name.
    #[serde(deserialize_with = "lenient")]
    pub error: Option<String>,
    /// `throttling`, `timeout`, `data_limit`, `permissions`, `definition`, `callee`.
    #[serde(deserialize_with = "lenient")]
    pub class: String,
    /// What AWS or the callee says of it.
    #[serde(deserialize_with = "lenient")]
    pub cause: Option<String>,
    /// In what ways the cause tries to instruct.
    #[serde(deserialize_with = "lenient_vec")]
    pub screened: Vec<String>,
    /// What the state called.
    #[serde(deserialize_with = "lenient")]
    pub called: Option<Called>,
    /// Bytes of the state's input.
    #[serde(deserialize_with = "lenient")]
    pub state_input_bytes: Option<u64>,
    /// Since when its definition is in force.
    #[serde(deserialize_with = "lenient")]
    pub revision_since: Option<Timestamp>,
}

/// What a state called.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Called {
    /// `lambda`, `ecs`, `http`, `dynamodb`, …
    #[serde(deserialize_with = "lenient")]
    pub kind: String,
    /// Which one.
    #[serde(deserialize_with = "lenient")]
    pub name: Option<String>,
}

/// Result of `compare_executions`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct WorkflowComparison {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// Where the ways part.
    #[serde(deserialize_with = "lenient")]
    pub diverges_at: Option<String>,
    /// Whether both ran by the same definition.
    #[serde(deserialize_with = "lenient")]
    pub same_definition: Option<bool>,
    /// What differs between the definitions.
    #[serde(deserialize_with = "lenient_vec")]
    pub definition_changes: Vec<ChangedState>,
}

/// A field of a definition that differs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ChangedState {
    /// The state.
    #[serde(deserialize_with = "lenient")]
    pub state: String,
    /// The field.
    #[serde(deserialize_with = "lenient")]
    pub field: String,
}
