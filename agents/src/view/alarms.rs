//! Results of the metrics server.

use midwatch_policy::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{count, lenient, lenient_vec};

/// Result of `get_alarm`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Alarm {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// Name.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// `OK`, `ALARM`, `INSUFFICIENT_DATA`.
    #[serde(deserialize_with = "lenient")]
    pub state: String,
    /// Since when.
    #[serde(deserialize_with = "lenient")]
    pub state_since: Option<Timestamp>,
    /// CloudWatch's reason.
    #[serde(deserialize_with = "lenient")]
    pub reason: String,
    /// The metric: `namespace`, `name`, `stat`, `dimensions`, `period_s`.
    #[serde(deserialize_with = "lenient")]
    pub metric: Value,
    /// Consecutive periods it looks at.
    #[serde(deserialize_with = "count")]
    pub evaluation_periods: u64,
    /// Alarms that a composite alarm is computed from, those below its composite children too.
    #[serde(deserialize_with = "lenient_vec")]
    pub children: Vec<ListedAlarm>,
    /// Metric filters that count what it reads out of logs.
    #[serde(deserialize_with = "lenient_vec")]
    pub fed_by: Vec<Feed>,
}

impl Alarm {
    /// The alarms of a composite one that fire and watch a metric.
    pub fn firing_children(&self) -> impl Iterator<Item = &ListedAlarm> {
        self.children.iter().filter(|child| child.state == "ALARM" && !child.composite)
    }

    /// Name of its metric, lower case.
    pub fn metric_name(&self) -> String {
        self.metric.get("name").and_then(Value::as_str).unwrap_or_default().to_lowercase()
    }
}

/// A metric filter.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Feed {
    /// Its name.
    #[serde(deserialize_with = "lenient")]
    pub filter: String,
    /// The metric it feeds.
    #[serde(deserialize_with = "lenient")]
    pub metric: String,
    /// The log group it reads.
    #[serde(deserialize_with = "lenient")]
    pub log_group: String,
}

/// Result of `alarm_history`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AlarmHistory {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// Alarm name.
    #[serde(deserialize_with = "lenient")]
    pub alarm_name: String,
    /// State changes.
    #[serde(deserialize_with = "lenient_vec")]
    pub transitions: Vec<Transition>,
    /// How often it went into ALARM.
    #[serde(deserialize_with = "count")]
    pub times_in_alarm: u64,
    /// Whether the server calls it flapping.
    #[serde(deserialize_with = "lenient")]
    pub flapping: bool,
}

/// A state change.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Transition {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// When.
    #[serde(deserialize_with = "lenient")]
    pub at: Option<Timestamp>,
    /// State before.
    #[serde(deserialize_with = "lenient")]
    pub from: String,
    /// State after.
    #[serde(deserialize_with = "lenient")]
    pub to: String,
}

/// Result of `list_alarms`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct AlarmList {
    /// Evidence id of the whole.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// The alarms.
    #[serde(deserialize_with = "lenient_vec")]
    pub alarms: Vec<ListedAlarm>,
}

/// One alarm of a list.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ListedAlarm {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// Name.
    #[serde(deserialize_with = "lenient")]
    pub name: String,
    /// `OK`, `ALARM`, `INSUFFICIENT_DATA`.
    #[serde(deserialize_with = "lenient")]
    pub state: String,
    /// Since when.
    #[serde(deserialize_with = "lenient")]
    pub state_since: Option<Timestamp>,
    /// Whose it is, where the server says so.
    #[serde(deserialize_with = "lenient")]
    pub service: Option<String>,
    /// Whether it is computed from other alarms.
    #[serde(deserialize_with = "lenient")]
    pub composite: bool,
    /// The composite alarm whose rule names it, where that is one below the alarm that was asked about.
    #[serde(deserialize_with = "lenient")]
    pub child_of: Option<String>,
}

impl ListedAlarm {
    /// Its name and state in words, and where it stands among the children of a composite alarm.
    pub fn as_child(&self) -> String {
        let below = self.child_of.as_ref().map(|of| format!(", in {of}")).unwrap_or_default();
        format!("{} ({}{below})", self.name, self.state)
    }
}

/// Result of `metric_window`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct MetricWindow {
    /// Evidence id.
    #[serde(deserialize_with = "lenient")]
    pub evidence: Option<String>,
    /// The metric: an object with `name`, or a text.
    #[serde(deserialize_with = "lenient")]
    pub metric: Value,
    /// Data points in order of time.
    #[serde(deserialize_with = "lenient_vec")]
    pub points: Vec<Point>,
    /// The window.
    #[serde(deserialize_with = "lenient")]
    pub stats: Option<Stats>,
    /// The window it is compared with.
    #[serde(deserialize_with = "lenient")]
    pub baseline: Option<Stats>,
    /// Window against baseline.
    #[serde(deserialize_with = "lenient")]
    pub ratio: Option<f64>,
    /// `none`, `up`, `down`, `stopped`, `missing`.
    #[serde(deserialize_with = "lenient")]
    pub change: String,
    /// When it changed.
    #[serde(deserialize_with = "lenient")]
    pub onset: Option<Timestamp>,
}

impl MetricWindow {
    /// Name of the metric, lower case.
    pub fn metric_name(&self) -> String {
        let name = self.metric.get("name").unwrap_or(&self.metric);
        name.as_str().unwrap_or_default().to_lowercase()
    }
}

/// A data point.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Point {
    /// Begin of its period.
    pub at: Timestamp,
    /// Its value.
    pub value: f64,
}

/// Statistics of a window.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Stats {
    /// Average.
    #[serde(deserialize_with = "lenient")]
    pub avg: Option<f64>,
    /// Sum.
    #[serde(deserialize_with = "lenient")]
    pub sum: Option<f64>,
    /// Greatest.
    #[serde(deserialize_with = "lenient")]
    pub max: Option<f64>,
    /// Last value.
    #[serde(deserialize_with = "lenient")]
    pub last: Option<f64>,
    /// Points.
    #[serde(deserialize_with = "count")]
    pub count: u64,
}
