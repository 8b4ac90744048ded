//! First light: what was read before any model was asked.

use midwatch_policy::{IncidentId, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{json::Json, task::kind};

kind!(SweepTag, "sweep");

/// Everything the sweep read, and what it could not read.
///
/// The results are shown to models, so they must come out of
/// [`EvidenceBook::admit`](crate::evidence::EvidenceBook::admit): each citable object in them
/// carries its `evidence` id.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Sweep {
    /// Always `sweep`.
    pub kind: SweepTag,
    /// The incident.
    pub incident: IncidentId,
    /// When the sweep was made.
    pub at: Timestamp,
    /// What was read.
    pub parts: Vec<SweepPart>,
    /// What could not be read.
    #[serde(default)]
    pub missing: Vec<MissingPart>,
}

/// One result of the sweep.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SweepPart {
    /// The server that was asked.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// The service it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// The arguments.
    pub args: Map<String, Value>,
    /// The tool's structured result with evidence ids.
    pub result: Json,
}

/// Something the sweep could not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingPart {
    /// The tool.
    pub tool: String,
    /// The service it would have been about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// Why: `timeout`, `access_denied: …`.
    pub why: String,
}
