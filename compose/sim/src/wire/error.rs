//! Errors as AWS answers them.

use serde_json::{Map, Value};

/// An error answer.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct WireError {
    /// Error code, such as `ResourceNotFoundException`.
    pub(crate) code: String,
    /// Message for the caller.
    pub(crate) message: String,
    /// HTTP status.
    pub(crate) status: u16,
    /// Further members of the error's shape. Boxed to keep results small.
    pub(crate) members: Box<Map<String, Value>>,
}

impl WireError {
    /// A client error (400).
    pub(crate) fn client(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), status: 400, members: Box::default() }
    }

    /// An error with a status of its own.
    pub(crate) fn with_status(code: &str, status: u16, message: impl Into<String>) -> Self {
        Self { status, ..Self::client(code, message) }
    }

    /// Adds a member to the error's shape.
    pub(crate) fn member(mut self, name: &str, value: Value) -> Self {
        self.members.insert(name.to_owned(), value);
        self
    }

    /// The service has no such operation, or the world does not play it.
    pub(crate) fn unknown_operation(op: &str) -> Self {
        Self::client("UnknownOperationException", format!("operation `{op}` is not played by this world"))
    }

    /// The input has a member that is missing or not of its type.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::client("ValidationException", message)
    }
}
