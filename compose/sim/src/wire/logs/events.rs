//! Reading events: across a group, along a stream, and one by its pointer.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    WireError, group_name, invalid, not_found,
    page::{MAX_BYTES, bounded, position, token_at},
    pattern::Pattern,
};
use crate::{insights, logs::LogEvent, world::State};

const MOST: usize = 10_000;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FilterLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_names: Option<Vec<String>>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

/// The end is inclusive here, as the service has it.
pub(super) fn filter(state: &State, input: &FilterLogEvents) -> Result<Value, WireError> {
    let group = group_name(state, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
    if input.log_stream_names.is_some() && input.log_stream_name_prefix.is_some() {
        return Err(invalid("logStreamNames and logStreamNamePrefix are mutually exclusive"));
    }
    let pattern = Pattern::parse(input.filter_pattern.as_deref().unwrap_or_default())
        .map_err(|why| invalid(format!("Invalid filter pattern: {why}")))?;
    let limit = bounded(input.limit, MOST)?;
    let start = input.next_token.as_deref().map_or(Ok(0), |token| position("n", token))?;
    let wanted = |event: &LogEvent| {
        input.log_stream_names.as_ref().is_none_or(|names| names.iter().any(|name| **name == *event.stream))
            && input.log_stream_name_prefix.as_ref().is_none_or(|prefix| event.stream.starts_with(prefix))
            && pattern.matches(&event.message)
    };
    let until = input.end_time.map_or(i64::MAX, |end| end.saturating_add(1));
    let mut found = state
        .logs
        .events(group, input.start_time.unwrap_or(i64::MIN), until, state.now_ms())
        .filter(|event| wanted(event))
        .skip(start)
        .peekable();
    let mut events = Vec::new();
    let mut bytes = 0;
    while events.len() < limit && bytes < MAX_BYTES {
        let Some(event) = found.next() else { break };
        bytes += event.message.len();
        events.push(json!({
            "logStreamName": &*event.stream,
            "timestamp": event.timestamp_ms,
            "message": &*event.message,
            "ingestionTime": event.ingestion_ms,
            "eventId": format!("{:056}", event.id),
        }));
    }
    let next = found.peek().map(|_| token_at("n", start + events.len()));
    Ok(json!({ "events": events, "searchedLogStreams": [], "nextToken": next }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogEvents {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<usize>,
    start_from_head: Option<bool>,
}

/// The end is exclusive here. At either end of the stream the token given is given back.
pub(super) fn get(state: &State, input: &GetLogEvents) -> Result<Value, WireError> {
    let group = group_name(state, input.log_group_name.as_deref(), input.log_group_identifier.as_deref())?;
    let of_stream = |from, until| {
        let events = state.logs.events(group, from, until, state.now_ms());
        events.filter(|event| *event.stream == *input.log_stream_name)
    };
    if of_stream(i64::MIN, i64::MAX).next().is_none() {
        return Err(not_found("The specified log stream does not exist."));
    }
    let limit = bounded(input.limit, MOST)?;
    let events: Vec<&LogEvent> =
        of_stream(input.start_time.unwrap_or(i64::MIN), input.end_time.unwrap_or(i64::MAX)).collect();
    let (from, to) = match input.next_token.as_deref() {
        Some(token) if token.starts_with("b/") => {
            let end = position("b", token)?.min(events.len());
            (backwards(&events, end, limit), end)
        }
        Some(token) => {
            let start = position("f", token)?.min(events.len());
            (start, forwards(&events, start, limit))
        }
        None if input.start_from_head == Some(true) => (0, forwards(&events, 0, limit)),
        None => (backwards(&events, events.len(), limit), events.len()),
    };
    let page: Vec<Value> = events
        .get(from..to)
        .unwrap_or_default()
        .iter()
        .map(|event| {
            json!({
                "timestamp": event.timestamp_ms,
                "message": &*event.message,
                "ingestionTime": event.ingestion_ms,
            })
        })
        .collect();
    Ok(json!({
        "events": page,
        "nextForwardToken": token_at("f", to),
        "nextBackwardToken": token_at("b", from),
    }))
}

/// One past the last event of the page that begins at `start`.
fn forwards(events: &[&LogEvent], start: usize, limit: usize) -> usize {
    start + fitting(events.iter().skip(start), limit)
}

/// The first event of the page that ends before `end`.
fn backwards(events: &[&LogEvent], end: usize, limit: usize) -> usize {
    end - fitting(events.iter().take(end).rev(), limit)
}

/// How many events fit into one answer.
fn fitting<'a, 'e: 'a>(events: impl Iterator<Item = &'a &'e LogEvent>, limit: usize) -> usize {
    let mut bytes = 0;
    events
        .take(limit)
        .take_while(|event| {
            let fits = bytes < MAX_BYTES;
            bytes += event.message.len();
            fits
        })
        .count()
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct GetLogRecord {
    log_record_pointer: String,
}

pub(super) fn record(state: &State, input: &GetLogRecord) -> Result<Value, WireError> {
    let id = insights::event_of_pointer(&input.log_record_pointer)
        .ok_or_else(|| invalid("The specified logRecordPointer is invalid."))?;
    let event = state
        .logs
        .groups()
        .find_map(|group| state.logs.event(group, id))
        .filter(|event| event.ingestion_ms <= state.now_ms())
        .ok_or_else(|| not_found("The log record does not exist."))?;
    let mut fields = Map::new();
    for (name, value) in insights::discovered(&event.message) {
        fields.insert(name, Value::String(value));
    }
    let mut set = |name: &str, value: String| fields.insert(name.to_owned(), Value::String(value));
    set("@timestamp", event.timestamp_ms.to_string());
    set("@ingestionTime", event.ingestion_ms.to_string());
    set("@message", event.message.to_string());
    set("@logStream", event.stream.to_string());
    set("@log", format!("{}:{}", state.account(), event.group));
    set("@ptr", input.log_record_pointer.clone());
    Ok(json!({ "logRecord": fields }))
}
