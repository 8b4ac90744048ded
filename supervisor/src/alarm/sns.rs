//! The message in which SNS delivers an alarm.
//!
//! Its traps: dimensions are a list, whose fields are written in two ways; the region is a display name, so it is taken
//! from the ARN; statistics are in capitals; composite alarms have no trigger.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    Alarm, AlarmState, Watch, WatchedMetric,
    message::{AlarmError, malformed, time},
    raw::Raw,
    wire::{RawMetric, RawMetricStat, RawQuery, arn_part, name_of, watch},
};

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

pub(super) fn from_message(value: &Value) -> Result<Raw, AlarmError> {
    let shape = "SNS";
    let raw = RawMessage::deserialize(value).map_err(|e| malformed(shape, &e))?;
    let threshold = raw.trigger.as_ref().and_then(|t| t.threshold);
    let watch = match (raw.alarm_rule, raw.trigger) {
        (Some(rule), _) => Watch::Composite {
            rule,
            children: raw.triggering_children.iter().map(|c| name_of(&c.arn)).collect(),
        },
        (None, Some(trigger)) => triggered(trigger),
        (None, None) => Watch::Unstated,
    };
    Ok(Raw(Alarm {
        name: raw.alarm_name,
        account: raw.account.or_else(|| raw.alarm_arn.as_deref().and_then(|a| arn_part(a, 4))),
        region: raw.alarm_arn.as_deref().and_then(|a| arn_part(a, 3)),
        arn: raw.alarm_arn,
        state: raw.new_state_value,
        previous: raw.old_state_value,
        at: time(shape, &raw.state_change_time)?,
        reason: raw.new_state_reason.unwrap_or_default(),
        description: raw.alarm_description,
        threshold,
        watch,
        suppressed: None,
        suppressed_until: None,
        severity: None,
        mark: None,
    }))
}

fn triggered(trigger: RawTrigger) -> Watch {
    if let Some(metric) = trigger.metric_name {
        let stat = trigger.extended_statistic.or_else(|| trigger.statistic.map(|s| api_statistic(&s)));
        return Watch::Metric {
            metric: WatchedMetric {
                namespace: trigger.namespace.unwrap_or_default(),
                name: metric,
                stat,
                period_s: trigger.period,
                dimensions: pairs(trigger.dimensions),
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
