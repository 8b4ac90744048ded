//! MCP server for CodeDeploy and ECS deployments, their correlation with an onset, and service health.
//!
//! [`DeploymentsServer`] reads AWS (`codedeploy`, `ecs`), turns what it finds into one vocabulary
//! ([`deployment`], [`health`]) and computes on that: what ran before what, what changed
//! ([`change`]), what fits an onset ([`correlate`](mod@correlate)). It changes nothing.
//!
//! INVARIANT: no value of an environment variable or secret leaves, and free text leaves redacted.

mod asked;
pub mod change;
mod codedeploy;
pub mod correlate;
pub mod deployment;
mod ecs;
mod examine;
pub mod health;
mod history;
mod lambda;
mod outside;
pub mod provenance;
mod server;
mod span;

pub use asked::{AskedBy, Means};
pub use examine::WhatChanged;
pub use server::{
    ChangedArgs, CorrelateArgs, Correlation, DeploymentList, DeploymentsServer, HealthArgs, ListArgs,
};

/// The least IAM policy this server works with.
pub const IAM_POLICY: &str = include_str!("../iam-policy.json");

/// A time of the SDK; one that does not exist is none.
fn stamp(at: Option<&aws_smithy_types::DateTime>) -> Option<jiff::Timestamp> {
    jiff::Timestamp::from_millisecond(at?.to_millis().ok()?).ok()
}
