//! The alarm that starts the incident, as EventBridge delivers it.

use serde_json::{Map, Value, json};

use super::{
    State,
    alarm::{Alarm, RATE, metrics_of},
    metrics::MetricKey,
};
use crate::{random, time};

/// The `CloudWatch Alarm State Change` event of the first alarm.
pub(crate) fn alarm(state: &State) -> Value {
    let Some(alarm) = state.alarms.first() else { return Value::Null };
    let spec = &state.spec;
    let fired = alarm.history.iter().rev().find(|t| t.at_ms == spec.alarm_ms);
    let (reason, data) = fired.map_or((&alarm.reason, &alarm.reason_data), |t| (&t.reason, &t.reason_data));
    let before = alarm.history.iter().rev().find(|t| t.at_ms < spec.alarm_ms);
    let mut rng = random::generator(spec.seed, "event", 0);
    json!({
        "version": "0",
        "id": random::uuid(&mut rng),
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": spec.account,
        "time": time::timestamp(spec.alarm_ms).strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": spec.region,
        "resources": [arn(state, alarm)],
        "detail": {
            "alarmName": alarm.spec.name,
            "state": {
                "value": "ALARM",
                "reason": reason,
                "reasonData": data,
                "timestamp": time::alarm_text(spec.alarm_ms),
            },
            "previousState": {
                "value": fired.map_or("OK", |t| t.from.as_str()),
                "reason": before.map_or("Threshold Crossed: within the threshold", |t| t.reason.as_str()),
                "reasonData": "{}",
                "timestamp": time::alarm_text(before.map_or(spec.begin_ms, |t| t.at_ms)),
            },
            "configuration": {
                "description": alarm.spec.description,
                "metrics": configuration(state, alarm),
            },
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
