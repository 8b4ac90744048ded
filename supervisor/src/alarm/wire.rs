//! The shapes in which AWS delivers an alarm.
//!
//! EventBridge event, SNS notification (envelope, bare message, or inside a Lambda or SQS record)
//! and the direct Lambda invocation of an alarm. Their traps: times end in `+0000`; dimensions are
//! a map in one and a list in the other; SNS names the region by its display name, so it is taken
//! from the ARN; composite alarms have no trigger.

use std::collections::BTreeMap;

use midwatch_policy::{Timestamp, redact};
use serde::Deserialize;
use serde_json::Value;

use super::{Alarm, AlarmState, Watch, WatchedMetric};

/// Longest text that is kept of any one field.
const LONGEST: usize = 2_000;
/// Envelopes within envelopes that are opened before giving up.
const DEEPEST: u8 = 5;

/// Why a text is not an alarm.
#[derive(Debug, thiserror::Error)]
pub enum AlarmError {
    /// Not JSON at all.
    #[error("not JSON: {0}; give the event as AWS delivered it")]
    Json(#[source] serde_json::Error),
    /// JSON, but of something else.
    #[error(
        "not a known alarm ({found}); known shapes: EventBridge `CloudWatch Alarm State Change`, \
         SNS notification or its `Message`, Lambda `alarmData`; over HTTP also Alertmanager's webhook and \
         the shape of docs/serve.md"
    )]
    Foreign {
        /// What it looks like.
        found: String,
    },
    /// An alarm whose field is missing or wrong.
    #[error("{shape} alarm is malformed: {problem}")]
    Malformed {
        /// Which shape it has.
        shape: &'static str,
        /// What is wrong.
        problem: String,
    },
}

/// Reads an alarm from any of the shapes AWS delivers.
pub fn parse(text: &str) -> Result<Alarm, AlarmError> {
    let text = text.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(text).map_err(AlarmError::Json)?;
    open(&value)
}

/// Reads an alarm, whatever envelopes it is in.
pub(super) fn open(value: &Value) -> Result<Alarm, AlarmError> {
    unwrap(value, DEEPEST)
}

fn unwrap(value: &Value, depth: u8) -> Result<Alarm, AlarmError> {
    let Some(depth) = depth.checked_sub(1) else {
        return Err(AlarmError::Foreign { found: "envelopes within envelopes".to_owned() });
    };
    if value.get("detail-type").is_some() || value.get("detail").is_some() {
        return from_event_bridge(value);
    }
    if value.get("alarmData").is_some() {
        return from_lambda(value);
    }
    if value.get("AlarmName").is_some() || value.get("NewStateValue").is_some() {
        return from_message(value);
    }
    if let Some(messages) = value.get("Messages").and_then(Value::as_array) {
        return match messages.as_slice() {
            [message] => unwrap(message, depth),
            [] => Err(AlarmError::Foreign { found: "an answer of the queue without a message".to_owned() }),
            many => Err(AlarmError::Foreign {
                found: format!(
                    "{} messages of a queue; give one at a time, as --max-number-of-messages 1 does",
                    many.len()
                ),
            }),
        };
    }
    let inner = value.get("Message").or_else(|| value.get("body")).or_else(|| value.get("Body"));
    if let Some(inner) = inner {
        return match inner {
            Value::String(text) => {
                let inner: Value = serde_json::from_str(text).map_err(|_| AlarmError::Foreign {
                    found: format!("an envelope whose message is the text `{}`", shorten(text, 40)),
                })?;
                unwrap(&inner, depth)
            }
            inner => unwrap(inner, depth),
        };
    }
    if let Some(inner) = value.get("Sns") {
        return unwrap(inner, depth);
    }
    if let Some([record, ..]) = value.get("Records").and_then(Value::as_array).map(Vec::as_slice) {
        return unwrap(record, depth);
    }
    Err(AlarmError::Foreign { found: describe(value) })
}

fn describe(value: &Value) -> String {
    match value {
        Value::Object(map) if map.is_empty() => "an empty object".to_owned(),
        Value::Object(map) => {
            let keys: Vec<String> = map.keys().take(6).map(|k| shorten(k, 30)).collect();
            format!("an object with {}", keys.join(", "))
        }
        Value::Array(_) => "a list".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Number(_) | Value::Bool(_) | Value::Null => format!("`{value}`"),
    }
}

#[derive(Deserialize)]
struct RawEvent {
    account: Option<String>,
    region: Option<String>,
    #[serde(default)]
    resources: Vec<String>,
    detail: RawDetail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDetail {
    alarm_name: String,
    state: RawState,
    previous_state: Option<RawPreviousState>,
    configuration: Option<RawConfiguration>,
    mute_detail: Option<RawMute>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawLambda {
    alarm_arn: Option<String>,
    account_id: Option<String>,
    region: Option<String>,
    alarm_data: RawDetail,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawState {
    value: AlarmState,
    reason: Option<String>,
    reason_data: Option<String>,
    timestamp: String,
    actions_suppressed_reason: Option<String>,
}

#[derive(Deserialize)]
struct RawPreviousState {
    value: Option<AlarmState>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawMute {
    muted_by_arn: Option<String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase")]
struct RawConfiguration {
    description: Option<String>,
    alarm_rule: Option<String>,
    #[serde(default)]
    metrics: Vec<RawQuery>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawQuery {
    expression: Option<String>,
    metric_stat: Option<RawMetricStat>,
    #[serde(default)]
    return_data: bool,
}

#[derive(Deserialize)]
struct RawMetricStat {
    metric: RawMetric,
    period: Option<u32>,
    stat: Option<String>,
}

#[derive(Deserialize)]
struct RawMetric {
    #[serde(default)]
    namespace: String,
    name: String,
    #[serde(default)]
    dimensions: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
struct RawReasonData {
    threshold: Option<f64>,
    #[serde(default, rename = "triggeringAlarms")]
    triggering_alarms: Vec<RawTriggering>,
}

#[derive(Deserialize)]
struct RawTriggering {
    arn: String,
}

fn from_event_bridge(value: &Value) -> Result<Alarm, AlarmError> {
    if let Some(kind) = value.get("detail-type").and_then(Value::as_str)
        && kind != "CloudWatch Alarm State Change"
    {
        return Err(AlarmError::Foreign { found: format!("an EventBridge event `{}`", shorten(kind, 60)) });
    }
    let shape = "EventBridge";
    let raw = RawEvent::deserialize(value).map_err(|e| malformed(shape, &e))?;
    let arn = raw.resources.into_iter().find(|r| r.contains(":alarm:"));
    from_detail(shape, arn, raw.account, raw.region, raw.detail)
}

fn from_lambda(value: &Value) -> Result<Alarm, AlarmError> {
    let shape = "Lambda";
    let raw = RawLambda::deserialize(value).map_err(|e| malformed(shape, &e))?;
    from_detail(shape, raw.alarm_arn, raw.account_id, raw.region, raw.alarm_data)
}

fn from_detail(
    shape: &'static str,
    arn: Option<String>,
    account: Option<String>,
    region: Option<String>,
    detail: RawDetail,
) -> Result<Alarm, AlarmError> {
    let reason_data: RawReasonData =
        detail.state.reason_data.as_deref().and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
    let configuration = detail.configuration.unwrap_or_default();
    let watch = match configuration.alarm_rule {
        Some(rule) => Watch::Composite {
            rule: text(rule),
            children: reason_data.triggering_alarms.iter().map(|t| name_of(&t.arn)).collect(),
        },
        None => watch(configuration.metrics),
    };
    let suppressed = detail
        .state
        .actions_suppressed_reason
        .or_else(|| detail.mute_detail.and_then(|m| m.muted_by_arn).map(|arn| format!("muted by {arn}")));
    Ok(Alarm {
        name: name(shape, detail.alarm_name)?,
        account: account.or_else(|| arn.as_deref().and_then(|a| arn_part(a, 4))).map(text),
        region: region.or_else(|| arn.as_deref().and_then(|a| arn_part(a, 3))).map(text),
        arn: arn.map(text),
        state: detail.state.value,
        previous: detail.previous_state.and_then(|p| p.value),
        at: time(shape, &detail.state.timestamp)?,
        reason: detail.state.reason.map(text).unwrap_or_default(),
        description: described(configuration.description),
        threshold: reason_data.threshold,
        watch,
        suppressed: suppressed.map(text),
        severity: None,
    })
}

fn watch(queries: Vec<RawQuery>) -> Watch {
    let expression =
        queries.iter().filter(|q| q.return_data).chain(&queries).find_map(|q| q.expression.clone()).map(text);
    let mut metrics: Vec<WatchedMetric> = queries
        .into_iter()
        .filter_map(|q| q.metric_stat)
        .map(|m| WatchedMetric {
            namespace: text(m.metric.namespace),
            name: text(m.metric.name),
            stat: m.stat.map(text),
            period_s: m.period,
            dimensions: bounded(m.metric.dimensions),
        })
        .collect();
    match (expression, metrics.len()) {
        (Some(expression), _) => Watch::Math { expression, metrics },
        (None, 0) => Watch::Unstated,
        (None, _) => Watch::Metric { metric: metrics.remove(0) },
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawMessage {
    alarm_name: String,
    alarm_description: Option<String>,
    #[serde(rename = "AWSAccountId")]
    account: Option<String>,
    new_state_value: AlarmState,
    new_state_reason: Option<String>,
    state_change_time: String,
    alarm_arn: Option<String>,
    old_state_value: Option<AlarmState>,
    trigger: Option<RawTrigger>,
    alarm_rule: Option<String>,
    #[serde(default)]
    triggering_children: Vec<RawChild>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawChild {
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawTrigger {
    metric_name: Option<String>,
    namespace: Option<String>,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<RawDimension>,
    period: Option<u32>,
    threshold: Option<f64>,
    #[serde(default)]
    metrics: Vec<RawTriggerQuery>,
}

#[derive(Deserialize)]
struct RawDimension {
    #[serde(alias = "Name")]
    name: String,
    #[serde(alias = "Value")]
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawTriggerQuery {
    expression: Option<String>,
    metric_stat: Option<RawTriggerStat>,
    #[serde(default)]
    return_data: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawTriggerStat {
    metric: RawTriggerMetric,
    period: Option<u32>,
    stat: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RawTriggerMetric {
    metric_name: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    dimensions: Vec<RawDimension>,
}

fn from_message(value: &Value) -> Result<Alarm, AlarmError> {
    let shape = "SNS";
    let raw = RawMessage::deserialize(value).map_err(|e| malformed(shape, &e))?;
    let threshold = raw.trigger.as_ref().and_then(|t| t.threshold);
    let watch = match (raw.alarm_rule, raw.trigger) {
        (Some(rule), _) => Watch::Composite {
            rule: text(rule),
            children: raw.triggering_children.iter().map(|c| name_of(&c.arn)).collect(),
        },
        (None, Some(trigger)) => triggered(trigger),
        (None, None) => Watch::Unstated,
    };
    Ok(Alarm {
        name: name(shape, raw.alarm_name)?,
        account: raw.account.or_else(|| raw.alarm_arn.as_deref().and_then(|a| arn_part(a, 4))).map(text),
        region: raw.alarm_arn.as_deref().and_then(|a| arn_part(a, 3)).map(text),
        arn: raw.alarm_arn.map(text),
        state: raw.new_state_value,
        previous: raw.old_state_value,
        at: time(shape, &raw.state_change_time)?,
        reason: raw.new_state_reason.map(text).unwrap_or_default(),
        description: described(raw.alarm_description),
        threshold,
        watch,
        suppressed: None,
        severity: None,
    })
}

fn triggered(trigger: RawTrigger) -> Watch {
    if let Some(metric) = trigger.metric_name {
        let stat = trigger.extended_statistic.or_else(|| trigger.statistic.map(|s| api_statistic(&s)));
        return Watch::Metric {
            metric: WatchedMetric {
                namespace: text(trigger.namespace.unwrap_or_default()),
                name: text(metric),
                stat: stat.map(text),
                period_s: trigger.period,
                dimensions: bounded(pairs(trigger.dimensions)),
            },
        };
    }
    let queries = trigger.metrics.into_iter().map(|q| RawQuery {
        expression: q.expression,
        return_data: q.return_data,
        metric_stat: q.metric_stat.map(|s| RawMetricStat {
            metric: RawMetric {
                namespace: s.metric.namespace,
                name: s.metric.metric_name,
                dimensions: pairs(s.metric.dimensions),
            },
            period: s.period,
            stat: s.stat,
        }),
    });
    watch(queries.collect())
}

/// SNS writes statistics in capitals (`AVERAGE`, `SAMPLE_COUNT`), the API in camel case.
fn api_statistic(word: &str) -> String {
    word.split('_')
        .map(|part| {
            let lower = part.to_lowercase();
            let mut letters = lower.chars();
            letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
        })
        .collect()
}

fn pairs(list: Vec<RawDimension>) -> BTreeMap<String, String> {
    list.into_iter().map(|d| (d.name, d.value)).collect()
}

pub(super) fn bounded(map: BTreeMap<String, String>) -> BTreeMap<String, String> {
    map.into_iter().take(30).map(|(name, value)| (text(name), text(value))).collect()
}

pub(super) fn malformed(shape: &'static str, error: &serde_json::Error) -> AlarmError {
    AlarmError::Malformed { shape, problem: error.to_string() }
}

pub(super) fn name(shape: &'static str, name: String) -> Result<String, AlarmError> {
    let name = text(name);
    if name.trim().is_empty() {
        return Err(AlarmError::Malformed { shape, problem: "the alarm's name is empty".to_owned() });
    }
    Ok(name)
}

/// CloudWatch writes `2019-10-02T17:04:40.989+0000`, which RFC 3339 does not allow.
fn time(shape: &'static str, raw: &str) -> Result<Timestamp, AlarmError> {
    let rfc3339 = raw.strip_suffix("+0000").map_or_else(|| raw.to_owned(), |head| format!("{head}Z"));
    rfc3339.parse().map_err(|_| AlarmError::Malformed {
        shape,
        problem: format!("`{}` is not a time such as 2026-11-21T02:04:00.000+0000", shorten(raw, 40)),
    })
}

fn arn_part(arn: &str, index: usize) -> Option<String> {
    arn.split(':').nth(index).filter(|part| !part.is_empty()).map(str::to_owned)
}

fn name_of(arn: &str) -> String {
    text(arn.split_once(":alarm:").map_or(arn, |(_, name)| name).to_owned())
}

fn described(description: Option<String>) -> Option<String> {
    description.map(text).filter(|d| !d.is_empty())
}

/// Bounded, without characters that move a cursor, and without secrets; they are taken out before
/// it is cut, so that none is cut in two and missed.
#[allow(clippy::needless_pass_by_value, reason = "it is mapped over options of texts")]
pub(super) fn text(raw: String) -> String {
    let raw = shorten(&raw, 10 * LONGEST);
    // First as it stands: some secrets are known by their lines.
    let plain = redact(&raw).text;
    if !plain.chars().any(char::is_control) {
        return shorten(&plain, LONGEST);
    }
    let clean: String = plain.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    shorten(&redact(&clean).text, LONGEST)
}

pub(super) fn shorten(raw: &str, longest: usize) -> String {
    match raw.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", raw.get(..at).unwrap_or_default()),
        None => raw.to_owned(),
    }
}
