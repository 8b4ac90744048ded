//! The documents a specialist is given: each a JSON object with a `kind`, so that a request
//! describes itself to any model, the playbook included.

use midwatch_policy::{IncidentId, ServiceName, Timestamp};
use serde::{Deserialize, Serialize};

/// Tags a document with its kind in JSON.
macro_rules! kind {
    ($name:ident, $text:literal) => {
        /// The tag of the document.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        pub enum $name {
            /// The only one.
            #[default]
            #[serde(rename = $text)]
            Tag,
        }
    };
}
pub(crate) use kind;

kind!(TaskTag, "task");

/// What a specialist is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Always `task`.
    pub kind: TaskTag,
    /// The incident.
    pub incident: IncidentId,
    /// Which specialist: `router`, `log_analyst`, …
    pub specialist: String,
    /// The alarm.
    pub alarm: AlarmFacts,
    /// The service the alarm is about, if the catalog knows.
    #[serde(default)]
    pub service: Option<ServiceName>,
    /// What that service calls.
    #[serde(default)]
    pub depends_on: Vec<ServiceName>,
    /// Which of `depends_on` are services of the catalog, which tools can be asked about.
    #[serde(default)]
    pub known_dependencies: Vec<ServiceName>,
    /// The window of the incident.
    pub from: Timestamp,
    /// Its end: the time the sweep was made.
    pub to: Timestamp,
    /// What is wanted, in a sentence.
    pub question: String,
}

/// What the alarm said when it fired. Attested fields only; its texts are untrusted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlarmFacts {
    /// Alarm name.
    pub name: String,
    /// `ALARM`, `OK` or `INSUFFICIENT_DATA`, as the message said.
    pub state: String,
    /// When it went into that state.
    pub at: Timestamp,
    /// CloudWatch's reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The operator's description of the alarm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}
