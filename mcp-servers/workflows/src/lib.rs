//! MCP server for Step Functions: executions, why they fail, and what differs from the last good run.
//!
//! [`WorkflowsServer`] reads AWS (`states`), turns histories into events of its own ([`event`]) and
//! computes on those: how many fail against a baseline ([`count`]), in which state and on whose
//! error ([`failure`]), and where two runs part ([`compare`]). It changes nothing.
//!
//! INVARIANT: no input and no output of an execution leaves, only its size; free text (causes)
//! leaves redacted, bounded and marked where it speaks to its reader.

mod api;
mod called;
mod cause;
pub mod compare;
pub mod count;
mod definition;
pub mod event;
pub mod failure;
mod meant;
mod page;
mod server;
mod tools;

pub use called::Called;
pub use definition::FieldChange;
pub use server::WorkflowsServer;
pub use tools::{
    CompareArgs, Comparison, ExecutionList, ExplainArgs, Explanation, ListArgs, Listed, Sample, Show, Side,
};

/// The least IAM policy this server works with.
pub const IAM_POLICY: &str = include_str!("../iam-policy.json");
