//! The shapes in which AWS delivers an alarm, but for SNS's: EventBridge event and the direct Lambda invocation of an
//! alarm. Their traps: times end in `+0000`; what a composite alarm was triggered by is JSON within a text.

use std::collections::BTreeMap;

use midwatch_policy::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Alarm, AlarmState, Watch, WatchedMetric,
    message::{AlarmError, malformed, time},
    raw::{Raw, shorten},
};

/// The event for an alarm that was made, altered or deleted.
const CONFIGURED: &str = "CloudWatch Alarm Configuration Change";

#[derive(Deserialize)]
struct RawEvent {
    time: Option<String>,
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
    mute_window_end: Option<String>,
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
pub(super) struct RawQuery {
    pub(super) expression: Option<String>,
    pub(super) metric_stat: Option<RawMetricStat>,
    #[serde(default)]
    pub(super) return_data: bool,
}

#[derive(Deserialize)]
pub(super) struct RawMetricStat {
    pub(super) metric: RawMetric,
    pub(super) period: Option<u32>,
    pub(super) stat: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RawMetric {
    #[serde(default)]
    pub(super) namespace: String,
    pub(super) name: String,
    #[serde(default)]
    pub(super) dimensions: BTreeMap<String, String>,
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

/// The events of CloudWatch that say something of an alarm's state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Changed,
    Deleted,
}

impl Kind {
    fn of(value: &Value) -> Result<Self, AlarmError> {
        let text = |at: &str| value.pointer(at).and_then(Value::as_str);
        let found = match (text("/detail-type"), text("/detail/operation")) {
            (None | Some("CloudWatch Alarm State Change"), _) => return Ok(Self::Changed),
            // Whether its trouble is over nobody knows: it holds back the all clear, as if it went on.
            (Some(CONFIGURED), Some("delete")) if text("/detail/state/value") == Some("ALARM") => format!(
                "an EventBridge event `{CONFIGURED}` of an alarm that was deleted while it fired, which ends no trouble: a \
                 person has to end its incident"
            ),
            (Some(CONFIGURED), Some("delete")) => return Ok(Self::Deleted),
            (Some(CONFIGURED), other) => format!(
                "an EventBridge event `{CONFIGURED}` of the operation `{}`, of which only `delete` says something of a \
                 state: docs/serve.md has the rule",
                shorten(other.unwrap_or("none"), 20)
            ),
            (Some(other), _) => format!("an EventBridge event `{}`", shorten(other, 60)),
        };
        Err(AlarmError::Foreign { found })
    }
}

pub(super) fn from_event_bridge(value: &Value) -> Result<Raw, AlarmError> {
    let shape = "EventBridge";
    let kind = Kind::of(value)?;
    let raw = RawEvent::deserialize(value).map_err(|e| malformed(shape, &e))?;
    let arn = raw.resources.into_iter().find(|r| r.contains(":alarm:"));
    let said = raw.time.filter(|_| kind == Kind::Deleted).map(|text| time(shape, &text)).transpose()?;
    let Raw(alarm) = from_detail(shape, arn, raw.account, raw.region, raw.detail)?;
    Ok(Raw(match kind {
        Kind::Changed => alarm,
        Kind::Deleted => deleted(alarm, said),
    }))
}

/// Of the alarm with the last state that it had. Of when it was deleted only the second is known, so that it may seem to
/// lie before that state.
fn deleted(alarm: Alarm, said: Option<Timestamp>) -> Alarm {
    let reason = format!("the alarm was deleted; it was in {} since {}", alarm.state, alarm.at);
    Alarm {
        previous: Some(alarm.state),
        state: AlarmState::Deleted,
        at: said.map_or(alarm.at, |said| said.max(alarm.at)),
        reason,
        suppressed: None,
        suppressed_until: None,
        ..alarm
    }
}

pub(super) fn from_lambda(value: &Value) -> Result<Raw, AlarmError> {
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
) -> Result<Raw, AlarmError> {
    let reason_data: RawReasonData =
        detail.state.reason_data.as_deref().and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
    let configuration = detail.configuration.unwrap_or_default();
    let watch = match configuration.alarm_rule {
        Some(rule) => Watch::Composite {
            rule,
            children: reason_data.triggering_alarms.iter().map(|t| name_of(&t.arn)).collect(),
        },
        None => watch(configuration.metrics),
    };
    let (suppressed, suppressed_until) = match (detail.state.actions_suppressed_reason, detail.mute_detail) {
        // How long another alarm suppresses this one is not known.
        (Some(reason), _) => (Some(reason), None),
        (None, Some(RawMute { muted_by_arn: Some(arn), mute_window_end })) => {
            let until = mute_window_end.and_then(|end| time(shape, &end).ok());
            (Some(format!("muted by {arn}")), until)
        }
        (None, _) => (None, None),
    };
    Ok(Raw(Alarm {
        name: detail.alarm_name,
        account: account.or_else(|| arn.as_deref().and_then(|a| arn_part(a, 4))),
        region: region.or_else(|| arn.as_deref().and_then(|a| arn_part(a, 3))),
        arn,
        state: detail.state.value,
        previous: detail.previous_state.and_then(|p| p.value),
        at: time(shape, &detail.state.timestamp)?,
        reason: detail.state.reason.unwrap_or_default(),
        description: configuration.description,
        threshold: reason_data.threshold,
        watch,
        suppressed,
        suppressed_until,
        severity: None,
        mark: None,
    }))
}

pub(super) fn watch(queries: Vec<RawQuery>) -> Watch {
    let expression =
        queries.iter().filter(|q| q.return_data).chain(&queries).find_map(|q| q.expression.clone());
    let mut metrics: Vec<WatchedMetric> = queries
        .into_iter()
        .filter_map(|q| q.metric_stat)
        .map(|m| WatchedMetric {
            namespace: m.metric.namespace,
            name: m.metric.name,
            stat: m.stat,
            period_s: m.period,
            dimensions: m.metric.dimensions,
        })
        .collect();
    match (expression, metrics.len()) {
        (Some(expression), _) => Watch::Math { expression, metrics },
        (None, 0) => Watch::Unstated,
        (None, _) => Watch::Metric { metric: metrics.remove(0) },
    }
}

pub(super) fn arn_part(arn: &str, index: usize) -> Option<String> {
    arn.split(':').nth(index).filter(|part| !part.is_empty()).map(str::to_owned)
}

pub(super) fn name_of(arn: &str) -> String {
    arn.split_once(":alarm:").map_or(arn, |(_, name)| name).to_owned()
}
