//! The CloudWatch Logs API: groups and streams, reading events, Logs Insights queries.
//!
//! Reading only. Lines get into the world by being played, not by `PutLogEvents`.

mod events;
mod groups;
mod metric_filter;
mod page;
mod pattern;
mod queries;
#[cfg(test)]
mod tests;

use serde::Deserialize;
use serde_json::Value;

use super::{WireBody, WireError};
pub(crate) use metric_filter::{FilterPattern, MetricFilter, MetricValue};

use crate::world::State;
use queries::Queries;

/// What this API keeps between calls.
#[derive(Debug, Default)]
pub(crate) struct LogsApi {
    /// Metric filters, so that an alarm's metric leads to its log group.
    pub(crate) metric_filters: Vec<MetricFilter>,
    queries: Queries,
}

impl LogsApi {
    pub(crate) fn new(metric_filters: Vec<MetricFilter>) -> Self {
        Self { metric_filters, queries: Queries::default() }
    }
}

/// Answers one call.
pub(crate) fn handle(state: &mut State, op: &str, input: &Value) -> Result<WireBody, WireError> {
    let answer = match op {
        "DescribeLogGroups" => groups::describe_groups(state, &read(input)?),
        "DescribeLogStreams" => groups::describe_streams(state, &read(input)?),
        "DescribeMetricFilters" => groups::describe_metric_filters(state, &read(input)?),
        "FilterLogEvents" => events::filter(state, &read(input)?),
        "GetLogEvents" => events::get(state, &read(input)?),
        "GetLogRecord" => events::record(state, &read(input)?),
        "StartQuery" => queries::start(state, &read(input)?),
        "GetQueryResults" => queries::results(state, &read(input)?),
        "StopQuery" => queries::stop(state, &read(input)?),
        "DescribeQueries" => queries::describe(state, &read(input)?),
        _ => Err(WireError::unknown_operation(op)),
    };
    answer.map(WireBody::Json)
}

fn read<'de, T: Deserialize<'de>>(input: &'de Value) -> Result<T, WireError> {
    T::deserialize(input).map_err(|error| WireError::client("SerializationException", error.to_string()))
}

fn invalid(message: impl Into<String>) -> WireError {
    WireError::client("InvalidParameterException", message)
}

fn not_found(message: impl Into<String>) -> WireError {
    WireError::client("ResourceNotFoundException", message)
}

/// The name of an existing group from the two ways to name it; an identifier may be an ARN.
fn group_name<'a>(
    state: &State,
    name: Option<&'a str>,
    identifier: Option<&'a str>,
) -> Result<&'a str, WireError> {
    let given = match (name, identifier) {
        (Some(_), Some(_)) => return Err(invalid("give logGroupName or logGroupIdentifier, not both")),
        (Some(name), None) | (None, Some(name)) => name,
        (None, None) => return Err(invalid("one of logGroupName and logGroupIdentifier is required")),
    };
    let name = name_in(given);
    if state.logs.contains(name) {
        return Ok(name);
    }
    Err(not_found(format!("The specified log group does not exist: `{name}`")))
}

/// `arn:aws:logs:REGION:ACCOUNT:log-group:NAME[:*]` or just the name.
fn name_in(identifier: &str) -> &str {
    let name = identifier
        .strip_prefix("arn:")
        .and_then(|arn| arn.split_once(":log-group:"))
        .map_or(identifier, |(_, name)| name);
    name.strip_suffix(":*").unwrap_or(name)
}

fn group_arn(state: &State, name: &str) -> String {
    format!("arn:aws:logs:{}:{}:log-group:{name}", state.region(), state.account())
}
