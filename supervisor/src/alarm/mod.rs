//! An alarm, as Midwatch understands it, whatever shape it arrived in.
//!
//! INVARIANT: an `Alarm` has a name, a state and the time of its state change; everything else may
//! be missing. Every text in it came from outside: bounded in length, free of control characters
//! and of secrets, and never to be put into a system prompt. The wire shapes stay in `wire`, `sns` and `foreign`; nothing else in the
//! supervisor knows that EventBridge and SNS disagree about dimensions.

mod foreign;
mod mark;
mod message;
mod raw;
mod sns;
mod wire;

use std::{collections::BTreeMap, fmt};

use midwatch_policy::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

pub use mark::Mark;
pub use message::{AlarmError, MOST, Parsed, Unread, parse, parse_all};

/// How bad whoever wrote the alarm says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Wake somebody.
    Critical,
    /// Soon.
    High,
    /// During the day.
    Warning,
    /// For the record.
    Info,
}

/// State of a CloudWatch alarm, as far as it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum AlarmState {
    /// The condition does not hold.
    Ok,
    /// The condition holds.
    Alarm,
    /// CloudWatch cannot say. Never to be read as OK.
    InsufficientData,
    /// There is no such alarm any more, and nothing will ever come in for it. Never to be read as OK either.
    Deleted,
}

impl AlarmState {
    /// As CloudWatch writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
            Self::Deleted => "DELETED",
        }
    }

    /// Whether nothing of an incident is all clear while an alarm of it is in this state.
    pub const fn holds_back(self) -> bool {
        match self {
            Self::Alarm | Self::InsufficientData => true,
            Self::Ok | Self::Deleted => false,
        }
    }
}

impl fmt::Display for AlarmState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A metric that an alarm watches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedMetric {
    /// Namespace, such as `AWS/ECS`.
    pub namespace: String,
    /// Metric name.
    pub name: String,
    /// Statistic, where the payload says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stat: Option<String>,
    /// Period in seconds, where the payload says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_s: Option<u32>,
    /// Dimensions by name.
    pub dimensions: BTreeMap<String, String>,
}

/// What an alarm is computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Watch {
    /// One metric.
    Metric {
        /// The metric.
        metric: WatchedMetric,
    },
    /// An expression over metrics.
    Math {
        /// The expression that decides.
        expression: String,
        /// The metrics it reads.
        metrics: Vec<WatchedMetric>,
    },
    /// A rule over other alarms.
    Composite {
        /// The rule.
        rule: String,
        /// Names of the alarms that triggered it.
        children: Vec<String>,
    },
    /// The payload does not say.
    Unstated,
}

/// An alarm that changed its state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Alarm {
    /// Name, unique within account and region.
    pub name: String,
    /// ARN, where the payload has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arn: Option<String>,
    /// Account id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Region, such as `us-east-1`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// State it changed to.
    pub state: AlarmState,
    /// State it changed from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<AlarmState>,
    /// When it changed.
    pub at: Timestamp,
    /// Why, in CloudWatch's words.
    pub reason: String,
    /// What its author wrote about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Threshold, where the payload says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<f64>,
    /// What it is computed from.
    pub watch: Watch,
    /// Why its actions are suppressed, where they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<String>,
    /// Until when, where the payload says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suppressed_until: Option<Timestamp>,
    /// How bad it is, where the payload says. CloudWatch does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// What it is told from others by, where its texts do not have that any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
}

/// A change that is said to lie further ahead of our clock than this cannot be.
const AHEAD: SignedDuration = SignedDuration::from_mins(5);
/// Nor can one from before there were alarms: 2000-01-01, in seconds.
const BEFORE_ALARMS: i64 = 946_684_800;

impl Alarm {
    /// The alarm, as if it had changed now where it says a time that cannot be: changes are ordered by their own
    /// time, and one from the year 2099 could never be followed by another. Its reason then says so.
    #[must_use]
    pub fn at_a_time_that_can_be(self, now: Timestamp) -> Self {
        let ahead = now.saturating_add(AHEAD).unwrap_or(now);
        if self.at <= ahead && self.at.as_second() >= BEFORE_ALARMS {
            return self;
        }
        tracing::warn!(alarm = self.name, said = %self.at, "an alarm says a time that cannot be: it is taken as of now");
        let reason =
            format!("{} [it said it changed at {}, which cannot be: taken as of now]", self.reason, self.at);
        Self { at: now, reason: reason.trim_start().to_owned(), ..self }
    }

    /// Dimensions of everything it watches; the first value wins where two metrics disagree.
    pub fn dimensions(&self) -> BTreeMap<String, String> {
        let metrics: &[WatchedMetric] = match &self.watch {
            Watch::Metric { metric } => std::slice::from_ref(metric),
            Watch::Math { metrics, .. } => metrics,
            Watch::Composite { .. } | Watch::Unstated => &[],
        };
        let mut all = BTreeMap::new();
        for (name, value) in metrics.iter().flat_map(|m| &m.dimensions) {
            all.entry(name.clone()).or_insert_with(|| value.clone());
        }
        all
    }

    /// Names of the alarms behind a composite one.
    pub fn children(&self) -> &[String] {
        match &self.watch {
            Watch::Composite { children, .. } => children,
            _ => &[],
        }
    }

    /// What identifies the trouble: account, region, alarm and dimensions; not the message, not
    /// the moment, not the state.
    pub fn fingerprint(&self) -> String {
        self.mark.as_ref().map_or_else(|| mark::which(self), |mark| mark.alarm.clone())
    }

    /// What it watches: family and dimensions, whatever it is called and wherever it is.
    pub fn thing(&self) -> String {
        self.mark.as_ref().map_or_else(|| mark::thing(self), |mark| mark.thing.clone())
    }
}

#[cfg(test)]
mod tests;
