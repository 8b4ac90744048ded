//! The alarm that starts the incident, as EventBridge delivers it.

use serde_json::{Map, Value, json};

use super::{
    State,
    alarm::{Alarm, RATE, metrics_of},
    metrics::MetricKey,
};
use crate::{random, scenario::spec::AlarmSource, time};

/// The `CloudWatch Alarm State Change` event of the first alarm, when it fired.
pub(crate) fn alarm(state: &State) -> Value {
    let Some(alarm) = state.alarms.first() else { return Value::Null };
    let fired = alarm.history.iter().position(|t| t.at_ms == state.spec.alarm_ms);
    change(state, alarm, fired)
}

/// Every change of an alarm since the scenario's alarm fired, oldest first: when, and the event.
pub(crate) fn changes(state: &State) -> Vec<(i64, Value)> {
    let mut all: Vec<(i64, Value)> = Vec::new();
    for alarm in &state.alarms {
        for (n, transition) in alarm.history.iter().enumerate() {
            if transition.at_ms >= state.spec.alarm_ms {
                all.push((transition.at_ms, change(state, alarm, Some(n))));
            }
        }
    }
    // Stable: at the same moment the alarm that starts the incident comes first.
    all.sort_by_key(|(at_ms, _)| *at_ms);
    all
}

/// The event of one change in an alarm's history; without one, of its state as it stands.
fn change(state: &State, alarm: &Alarm, n: Option<usize>) -> Value {
    let spec = &state.spec;
    let changed = n.and_then(|n| alarm.history.get(n));
    let at_ms = changed.map_or(spec.alarm_ms, |t| t.at_ms);
    let (reason, data) = changed.map_or((&alarm.reason, &alarm.reason_data), |t| (&t.reason, &t.reason_data));
    let before = alarm.history.iter().rev().find(|t| t.at_ms < at_ms);
    let first = state.alarms.first().is_some_and(|first| first.spec.name == alarm.spec.name);
    let mut rng = if first && at_ms == spec.alarm_ms {
        random::generator(spec.seed, "event", 0)
    } else {
        random::generator(spec.seed, &alarm.spec.name, at_ms)
    };
    let description = &alarm.spec.description;
    let configured = match &alarm.spec.source {
        AlarmSource::Rule(rule, _) => json!({"description": description, "alarmRule": rule}),
        _ => json!({"description": description, "metrics": configuration(state, alarm)}),
    };
    json!({
        "version": "0",
        "id": random::uuid(&mut rng),
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": spec.account,
        "time": time::timestamp(at_ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": spec.region,
        "resources": [arn(state, alarm)],
        "detail": {
            "alarmName": alarm.spec.name,
            "state": {
                "value": changed.map_or("ALARM", |t| t.to.as_str()),
                "reason": reason,
                "reasonData": data,
                "timestamp": time::alarm_text(at_ms),
            },
            "previousState": {
                "value": changed.map_or("OK", |t| t.from.as_str()),
                "reason": before.map_or("Threshold Crossed: within the threshold", |t| t.reason.as_str()),
                "reasonData": "{}",
                "timestamp": time::alarm_text(before.map_or(spec.begin_ms, |t| t.at_ms)),
            },
            "configuration": configured,
        },
    })
}

/// The ARN of an alarm.
pub(crate) fn arn(state: &State, alarm: &Alarm) -> String {
    format!("arn:aws:cloudwatch:{}:{}:alarm:{}", state.region(), state.account(), alarm.spec.name)
}

fn configuration(state: &State, alarm: &Alarm) -> Vec<Value> {
    let metrics = metrics_of(&alarm.spec, &state.spec);
    let is_rate = metrics.len() > 1;
    let mut list = Vec::new();
    if is_rate {
        list.push(json!({
            "id": "rate", "expression": RATE, "label": "5xx share in percent", "returnData": true,
        }));
    }
    for (id, key, stat) in metrics {
        list.push(json!({
            "id": id,
            "metricStat": {
                "metric": metric(&key),
                "period": alarm.spec.period_s,
                "stat": stat,
            },
            "returnData": !is_rate,
        }));
    }
    list
}

fn metric(key: &MetricKey) -> Value {
    let dimensions: Map<String, Value> =
        key.dimensions.iter().map(|(k, v)| (k.clone(), Value::String(v.clone()))).collect();
    json!({"namespace": key.namespace, "name": key.name, "dimensions": dimensions})
}
