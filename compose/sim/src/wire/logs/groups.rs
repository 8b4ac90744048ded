//! What there is: groups, streams, metric filters.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{WireError, group_arn, group_name, invalid, name_in, page::page};
use crate::world::State;

const MOST: usize = 50;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogGroups {
    log_group_name_prefix: Option<String>,
    log_group_name_pattern: Option<String>,
    log_group_identifiers: Option<Vec<String>>,
    next_token: Option<String>,
    limit: Option<usize>,
}

pub(super) fn describe_groups(state: &State, input: &DescribeLogGroups) -> Result<Value, WireError> {
    if input.log_group_name_prefix.is_some() && input.log_group_name_pattern.is_some() {
        return Err(invalid("logGroupNamePrefix and logGroupNamePattern are mutually exclusive"));
    }
    let wanted = |name: &str| {
        input.log_group_name_prefix.as_ref().is_none_or(|prefix| name.starts_with(prefix))
            && input.log_group_name_pattern.as_ref().is_none_or(|part| name.contains(part))
            && input
                .log_group_identifiers
                .as_ref()
                .is_none_or(|all| all.iter().any(|one| name_in(one) == name))
    };
    let groups: Vec<Value> = state
        .logs
        .groups()
        .filter(|name| wanted(name))
        .map(|name| {
            let arn = group_arn(state, name);
            let filters = state.logs_api.metric_filters.iter().filter(|filter| filter.group == **name);
            json!({
                "logGroupName": &**name,
                "creationTime": state.logs.created_ms(name),
                "metricFilterCount": filters.count(),
                "arn": format!("{arn}:*"),
                "logGroupArn": arn,
                "storedBytes": state.logs.stored_bytes(name),
                "logGroupClass": "STANDARD",
            })
        })
        .collect();
    let (groups, next) = page(groups, input.next_token.as_deref(), input.limit, MOST)?;
    Ok(json!({ "logGroups": groups, "nextToken": next }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeLogStreams {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    #[serde(default)]
    order_by: OrderBy,
    descending: Option<bool>,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Deserialize)]
enum OrderBy {
    #[default]
    LogStreamName,
    LastEventTime,
}

/// First and last event and last arrival of a stream, in Unix milliseconds.
#[derive(Debug, Clone, Copy)]
struct Stream {
    first: i64,
    last: i64,
    ingested: i64,
}

pub(super) fn describe_streams(state: &State, input: &DescribeLogStreams) -> Result<Value, WireError> {
    let group = group_name(state, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
    if input.log_stream_name_prefix.is_some() && input.order_by == OrderBy::LastEventTime {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let mut streams: BTreeMap<&str, Stream> = BTreeMap::new();
    for event in state.logs.events(group, i64::MIN, i64::MAX, state.now_ms()) {
        let stream = streams.entry(&event.stream).or_insert(Stream {
            first: event.timestamp_ms,
            last: event.timestamp_ms,
            ingested: event.ingestion_ms,
        });
        stream.last = stream.last.max(event.timestamp_ms);
        stream.ingested = stream.ingested.max(event.ingestion_ms);
    }
    let prefix = input.log_stream_name_prefix.as_deref().unwrap_or_default();
    let mut streams: Vec<(&str, Stream)> =
        streams.into_iter().filter(|(name, _)| name.starts_with(prefix)).collect();
    if input.order_by == OrderBy::LastEventTime {
        streams.sort_by_key(|(_, stream)| stream.last);
    }
    if input.descending == Some(true) {
        streams.reverse();
    }
    let arn = group_arn(state, group);
    let described = streams
        .into_iter()
        .map(|(name, stream)| {
            json!({
                "logStreamName": name,
                "creationTime": stream.first,
                "firstEventTimestamp": stream.first,
                "lastEventTimestamp": stream.last,
                "lastIngestionTime": stream.ingested,
                "arn": format!("{arn}:log-stream:{name}"),
                "storedBytes": 0,
            })
        })
        .collect();
    let (streams, next) = page(described, input.next_token.as_deref(), input.limit, MOST)?;
    Ok(json!({ "logStreams": streams, "nextToken": next }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeMetricFilters {
    log_group_name: Option<String>,
    filter_name_prefix: Option<String>,
    metric_name: Option<String>,
    metric_namespace: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

pub(super) fn describe_metric_filters(
    state: &State,
    input: &DescribeMetricFilters,
) -> Result<Value, WireError> {
    if input.metric_name.is_some() != input.metric_namespace.is_some() {
        return Err(invalid("metricName and metricNamespace have to be given together"));
    }
    if let Some(group) = &input.log_group_name {
        group_name(state, Some(group), None)?;
    }
    let same = |asked: &Option<String>, has: &str| asked.as_ref().is_none_or(|asked| asked == has);
    let filters = state
        .logs_api
        .metric_filters
        .iter()
        .filter(|filter| {
            same(&input.log_group_name, &filter.group)
                && same(&input.metric_name, &filter.metric)
                && same(&input.metric_namespace, &filter.namespace)
                && input.filter_name_prefix.as_ref().is_none_or(|prefix| filter.name.starts_with(prefix))
        })
        .map(|filter| {
            let dimensions: BTreeMap<&str, String> =
                filter.dimensions.iter().map(|(name, path)| (name.as_str(), format!("$.{path}"))).collect();
            json!({
                "filterName": filter.name,
                "filterPattern": filter.pattern.as_str(),
                "logGroupName": filter.group,
                "creationTime": state.logs.created_ms(&filter.group),
                "metricTransformations": [{
                    "metricName": filter.metric,
                    "metricNamespace": filter.namespace,
                    "metricValue": filter.value.text(),
                    "defaultValue": filter.default,
                    "dimensions": (!dimensions.is_empty()).then_some(dimensions),
                }],
            })
        })
        .collect();
    let (filters, next) = page(filters, input.next_token.as_deref(), input.limit, MOST)?;
    Ok(json!({ "metricFilters": filters, "nextToken": next }))
}
