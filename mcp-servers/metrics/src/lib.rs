//! MCP server for CloudWatch alarms and metric windows against a baseline.
//!
//! A metric window comes back as numbers and a judgement: what it was before, whether it rose, fell
//! or stopped, and since when. The judgement is a pure function of the points. Missing data is said
//! and never filled: a metric that nobody reports is not a metric at zero.

mod alarm;
mod composite;
mod family;
mod feeds;
mod history;
mod judge;
mod list;
mod series;
mod server;
mod shapes;
mod window;

pub use judge::{Change, Departure};
pub use server::MetricsServer;
pub use shapes::{
    Alarm, AlarmHistory, AlarmHistoryArgs, AlarmList, AlarmState, AlarmSummary, Feed, GetAlarmArgs, Input,
    ListAlarmsArgs, Metric, MetricChoice, MetricSummary, MetricWindow, MetricWindowArgs, Point, Role, Stats,
    Transition,
};

/// The least IAM policy the server works with.
pub const IAM_POLICY: &str = include_str!("iam.json");
