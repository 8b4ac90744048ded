//! MCP server for CodeDeploy and ECS deployments, their correlation with an onset, and service health.

pub mod change;
pub mod correlate;
pub mod deployment;
pub mod health;
pub mod provenance;
mod span;
