//! Tool results as agents read them: data in types of this crate's own.
//!
//! Tolerant on purpose: a field that is missing or of another type reads as its default, and an
//! array loses only the elements that cannot be read. Servers may be newer, older or somebody
//! else's. Importing the servers' own types was rejected: agents and servers live apart.

mod alarms;
mod deployments;
mod logs;
mod workflows;

use std::borrow::Cow;

use serde::{Deserialize, Deserializer, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::{json::Json, sweep::Sweep};

pub use alarms::{Alarm, AlarmHistory, AlarmList, Feed, ListedAlarm, MetricWindow, Point, Stats, Transition};
pub use deployments::{
    Candidate, Change, ChangedFields, Contract, Correlation, Deployment, DeploymentList, Health, RunbookHit,
    RunbookHits, ServiceEvent, StoppedTask,
};
pub use logs::{Activity, ErrorPatterns, Errors, Example, Minute, Pattern, SharedField};
pub use workflows::{Called, ChangedState, Executions, Ran, WorkflowComparison, WorkflowFailure};

/// One tool result, with the call that brought it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Observation {
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub args: Map<String, Value>,
    /// Its structured result, with evidence ids.
    pub result: Json,
}

/// What a result is about.
#[derive(Deserialize)]
struct About {
    #[serde(default, deserialize_with = "lenient")]
    service: Option<String>,
}

impl Observation {
    /// The result as a view.
    pub fn view<T: DeserializeOwned>(&self) -> Option<T> {
        self.result.read().ok()
    }

    /// The service it is about: from the arguments, else from the result.
    pub fn service(&self) -> Option<Cow<'_, str>> {
        match self.args.get("service").and_then(Value::as_str) {
            Some(service) => Some(service.into()),
            None => self.view::<About>()?.service.map(Cow::from),
        }
    }
}

impl Sweep {
    /// The results of the sweep.
    pub fn observations(&self) -> Vec<Observation> {
        self.parts
            .iter()
            .map(|part| {
                let mut args = part.args.clone();
                if let (Some(service), false) = (&part.service, args.contains_key("service")) {
                    args.insert("service".to_owned(), Value::String(service.to_string()));
                }
                Observation { tool: part.tool.clone(), args, result: part.result.clone() }
            })
            .collect()
    }
}

/// A field that reads as its default when it is of another type.
pub(crate) fn lenient<'de, D: Deserializer<'de>, T: DeserializeOwned + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(serde_json::from_value(Value::deserialize(deserializer)?).unwrap_or_default())
}

/// An array that loses only the elements that cannot be read.
pub(crate) fn lenient_vec<'de, D: Deserializer<'de>, T: DeserializeOwned>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Array(items) => {
            items.into_iter().filter_map(|item| serde_json::from_value(item).ok()).collect()
        }
        _ => Vec::new(),
    })
}

/// A count, also where it is written as a float or a text.
pub(crate) fn count<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Number(number) => {
            number.as_u64().unwrap_or_else(|| to_u64(number.as_f64().unwrap_or_default()))
        }
        Value::String(text) => text.trim().parse().unwrap_or_default(),
        _ => 0,
    })
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // bounded just before
fn to_u64(float: f64) -> u64 {
    if float.is_finite() { float.clamp(0.0, 1e15).round() as u64 } else { 0 }
}
