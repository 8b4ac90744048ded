//! The CloudWatch Logs API.

use serde_json::Value;

use super::{WireBody, WireError};
use crate::world::State;

/// What this API keeps between calls.
#[derive(Debug, Default)]
pub(crate) struct LogsApi {}

/// Answers one call.
pub(crate) fn handle(_state: &mut State, op: &str, _input: &Value) -> Result<WireBody, WireError> {
    Err(WireError::unknown_operation(op))
}
