//! Logs Insights over the wire: queries that take their time.
//!
//! A query sees what had arrived when it started. It is evaluated when it is asked about: while it
//! is running over the part of the records it has come to, then once over all of them. So a
//! caller that takes a running query for a finished one gets counts that are too low, as it would
//! from the service.

mod job;

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use serde_json::{Value, json};

use super::{WireError, group_name, invalid, not_found, page::page};
use crate::{
    insights::{self, MAX_LIMIT, Outcome},
    world::State,
};
use job::{Job, Status, records};

/// Queries of an account that may be under way at once.
const CONCURRENT: usize = 100;
const MAX_GROUPS: usize = 50;
/// Time of the smallest query, and bytes read in a millisecond.
const LEAST_MS: i64 = 350;
const BYTES_PER_MS: u64 = 500_000;

/// All queries so far, by id.
#[derive(Debug, Default)]
pub(super) struct Queries {
    jobs: BTreeMap<String, Job>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct StartQuery {
    query_language: Option<String>,
    log_group_name: Option<String>,
    log_group_names: Option<Vec<String>>,
    log_group_identifiers: Option<Vec<String>>,
    /// Seconds since the epoch, both inclusive.
    start_time: i64,
    end_time: i64,
    query_string: String,
    limit: Option<usize>,
}

impl StartQuery {
    /// The groups by name; exactly one way of naming them is allowed.
    fn groups(&self, state: &State) -> Result<Vec<String>, WireError> {
        let given: Vec<&String> =
            match (&self.log_group_name, &self.log_group_names, &self.log_group_identifiers) {
                (Some(name), None, None) => vec![name],
                (None, Some(names), None) | (None, None, Some(names)) => names.iter().collect(),
                _ => {
                    return Err(invalid(
                        "exactly one of logGroupName, logGroupNames and logGroupIdentifiers is required",
                    ));
                }
            };
        if !(1..=MAX_GROUPS).contains(&given.len()) {
            return Err(invalid(format!("a query reads 1 to {MAX_GROUPS} log groups, not {}", given.len())));
        }
        let mut groups = Vec::new();
        for name in given {
            let name = group_name(state, Some(name), None)?.to_owned();
            if !groups.contains(&name) {
                groups.push(name);
            }
        }
        Ok(groups)
    }
}

pub(super) fn start(state: &mut State, input: &StartQuery) -> Result<Value, WireError> {
    if input.query_language.as_deref().is_some_and(|language| language != "CWLI") {
        return Err(invalid("only the query language CWLI is played by this world"));
    }
    if input.limit.is_some_and(|limit| !(1..=MAX_LIMIT).contains(&limit)) {
        return Err(invalid(format!("limit has to be between 1 and {MAX_LIMIT}")));
    }
    if input.end_time < input.start_time {
        return Err(invalid("End time should not be before start time"));
    }
    let query = insights::compile(&input.query_string).map_err(|error| {
        WireError::client("MalformedQueryException", error.message.clone()).member(
            "queryCompileError",
            json!({
                "location": { "startCharOffset": error.start, "endCharOffset": error.end },
                "message": error.message,
            }),
        )
    })?;
    let groups = input.groups(state)?;
    let now_ms = state.now_ms();
    let under_way = state.logs_api.queries.jobs.values().filter(|job| job.status(now_ms).under_way()).count();
    if under_way >= CONCURRENT {
        let message = format!("Account maximum query concurrency limit of [{CONCURRENT}] reached.");
        return Err(WireError::client("LimitExceededException", message));
    }
    let from_ms = input.start_time.saturating_mul(1000);
    let until_ms = input.end_time.saturating_add(1).saturating_mul(1000);
    let created = groups.iter().filter_map(|group| state.logs.created_ms(group)).min();
    if created.is_some_and(|created| until_ms <= created) {
        return Err(WireError::client(
            "MalformedQueryException",
            "Query's end date and time is either before the log groups creation time or exceeds the log groups log \
             retention settings",
        ));
    }
    let bytes: u64 =
        records(state, &groups, from_ms, until_ms, now_ms).iter().map(|record| record.bytes).sum();
    let reading = if query.is_estimate() { 0 } else { bytes / BYTES_PER_MS };
    let takes_ms = LEAST_MS.saturating_add(i64::try_from(reading).unwrap_or(i64::MAX));
    let jobs = &mut state.logs_api.queries.jobs;
    let order = jobs.len();
    let id = format!("{:08x}-71a7-4c1e-9a5b-{order:012x}", now_ms.unsigned_abs() & 0xffff_ffff);
    jobs.insert(
        id.clone(),
        Job {
            order,
            text: input.query_string.clone(),
            query,
            limit: input.limit,
            groups,
            from_ms,
            until_ms,
            started_ms: now_ms,
            takes_ms,
            cancelled_ms: None,
            finished: None,
        },
    );
    Ok(json!({ "queryId": id }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct QueryId {
    query_id: String,
}

fn unknown(id: &str) -> WireError {
    not_found(format!("query `{id}` does not exist"))
}

pub(super) fn results(state: &mut State, input: &QueryId) -> Result<Value, WireError> {
    let now_ms = state.now_ms();
    let job = state.logs_api.queries.jobs.get(&input.query_id).ok_or_else(|| unknown(&input.query_id))?;
    let (status, groups) = (job.status(now_ms), job.groups.len());
    let outcome = match &job.finished {
        Some(outcome) => outcome.clone(),
        None => job.evaluate(state, job.progress(now_ms)),
    };
    let answer = answer(&outcome, status, groups);
    if !status.under_way()
        && let Some(job) = state.logs_api.queries.jobs.get_mut(&input.query_id)
    {
        job.finished = Some(outcome);
    }
    Ok(answer)
}

fn answer(outcome: &Outcome, status: Status, groups: usize) -> Value {
    let cell = |(field, value): &(Arc<str>, String)| json!({ "field": &**field, "value": value });
    let rows: Vec<Value> = outcome.rows.iter().map(|row| row.iter().map(cell).collect()).collect();
    json!({
        "queryLanguage": "CWLI",
        "results": rows,
        "statistics": {
            "recordsMatched": outcome.statistics.records_matched as f64,
            "recordsScanned": outcome.statistics.records_scanned as f64,
            "bytesScanned": outcome.statistics.bytes_scanned as f64,
            "estimatedRecordsSkipped": 0.0,
            "estimatedBytesSkipped": 0.0,
            "logGroupsScanned": groups as f64,
        },
        "status": status.as_str(),
    })
}

pub(super) fn stop(state: &mut State, input: &QueryId) -> Result<Value, WireError> {
    let now_ms = state.now_ms();
    let job = state.logs_api.queries.jobs.get_mut(&input.query_id).ok_or_else(|| unknown(&input.query_id))?;
    if !job.status(now_ms).under_way() {
        return Err(invalid(format!("query `{}` has already ended", input.query_id)));
    }
    job.cancelled_ms = Some(now_ms);
    Ok(json!({ "success": true }))
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DescribeQueries {
    log_group_name: Option<String>,
    status: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

/// Newest first.
pub(super) fn describe(state: &State, input: &DescribeQueries) -> Result<Value, WireError> {
    let now_ms = state.now_ms();
    let mut jobs: Vec<(&String, &Job)> = state
        .logs_api
        .queries
        .jobs
        .iter()
        .filter(|(_, job)| input.log_group_name.as_ref().is_none_or(|name| job.groups.contains(name)))
        .filter(|(_, job)| input.status.as_ref().is_none_or(|status| status == job.status(now_ms).as_str()))
        .collect();
    jobs.sort_by_key(|(_, job)| std::cmp::Reverse(job.order));
    let described = jobs
        .into_iter()
        .map(|(id, job)| {
            json!({
                "queryLanguage": "CWLI",
                "queryId": id,
                "queryString": job.text,
                "status": job.status(now_ms).as_str(),
                "createTime": job.started_ms,
                "logGroupName": job.groups.first(),
            })
        })
        .collect();
    let (queries, next) = page(described, input.next_token.as_deref(), input.max_results, 1000)?;
    Ok(json!({ "queries": queries, "nextToken": next }))
}
