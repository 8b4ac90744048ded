//! The vocabulary of causes and verdicts, shared by runbooks, findings, diagnoses and scenarios.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What kind of thing caused an incident. `ref` beside it says which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A deployment brought it; `ref` is the deployment id.
    Deployment,
    /// Something the service calls fails; `ref` is the dependency.
    Dependency,
    /// Memory grows until tasks are killed; `ref` is the service.
    MemoryLeak,
    /// More work than capacity; `ref` is the service or resource.
    Saturation,
    /// A managed resource refuses requests over its limit; `ref` is the resource, such as a table.
    Throttling,
    /// The service is down, and perhaps quiet; `ref` is the service.
    Outage,
    /// It passed by itself; `ref` is the service.
    Transient,
    /// The evidence names no cause.
    Unknown,
}

impl CauseKind {
    /// Every kind.
    pub const ALL: [Self; 8] = [
        Self::Deployment,
        Self::Dependency,
        Self::MemoryLeak,
        Self::Saturation,
        Self::Throttling,
        Self::Outage,
        Self::Transient,
        Self::Unknown,
    ];

    /// As it is written in JSON, TOML and prose.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::Dependency => "dependency",
            Self::MemoryLeak => "memory_leak",
            Self::Saturation => "saturation",
            Self::Throttling => "throttling",
            Self::Outage => "outage",
            Self::Transient => "transient",
            Self::Unknown => "unknown",
        }
    }
}

impl std::fmt::Display for CauseKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What an alarm turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Something is or was wrong that a person should know.
    Real,
    /// It passed by itself, and there are positive signs of life.
    Transient,
    /// The evidence does not say.
    Unclear,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Real => "real",
            Self::Transient => "transient",
            Self::Unclear => "unclear",
        })
    }
}
