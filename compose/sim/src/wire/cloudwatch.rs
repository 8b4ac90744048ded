//! CloudWatch: alarms, their history, metric data.

mod alarms;

use std::{collections::BTreeMap, ops::Range};

use serde_json::{Map, Value, json};

use alarms::Kind;

use super::{
    WireBody, WireError,
    expression::{self, Points},
    input::{list, page, text, texts, time_ms},
    timestamp,
};
use crate::{
    scenario::spec::{AlarmSource, AlarmState},
    world::{
        State,
        alarm::{Alarm, RATE, metrics_of},
        event::arn,
        metrics::{MetricKey, Stat},
    },
};

/// Answers one call.
pub(crate) fn handle(state: &mut State, op: &str, input: &Value) -> Result<WireBody, WireError> {
    match op {
        "DescribeAlarms" => describe_alarms(state, input),
        "DescribeAlarmsForMetric" => alarms_for_metric(state, input),
        "DescribeAlarmHistory" => alarm_history(state, input),
        "GetMetricData" => metric_data(state, input),
        "GetMetricStatistics" => metric_statistics(state, input),
        "ListMetrics" => list_metrics(state, input),
        _ => return Err(WireError::unknown_operation(op)),
    }
    .map(WireBody::Json)
}

fn bad_token() -> WireError {
    WireError::client("InvalidNextToken", "The next token specified is invalid.")
}

fn dimensions(key: &MetricKey) -> Vec<Value> {
    key.dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect()
}

fn describe_alarms(state: &State, input: &Value) -> Result<Value, WireError> {
    if let Some(found) = alarms::relatives(state, input)? {
        return alarms::listed(found, input);
    }
    let names = texts(input, "AlarmNames");
    let prefix = text(input, "AlarmNamePrefix");
    let wanted = text(input, "StateValue");
    let types = texts(input, "AlarmTypes");
    let found: Vec<(Kind, Value)> = state
        .alarms
        .iter()
        .filter(|a| Kind::of(a).wanted(&types))
        .filter(|a| names.is_empty() || names.contains(&a.spec.name.as_str()))
        .filter(|a| prefix.is_none_or(|p| a.spec.name.starts_with(p)))
        .filter(|a| wanted.is_none_or(|w| a.state.as_str() == w))
        .map(|a| (Kind::of(a), describe(state, a)))
        .collect();
    alarms::listed(found, input)
}

fn describe(state: &State, alarm: &Alarm) -> Value {
    let spec = &alarm.spec;
    if let AlarmSource::Rule(rule, _) = &spec.source {
        return alarms::composite(state, alarm, rule);
    }
    let mut out = json!({
        "AlarmName": spec.name,
        "AlarmArn": arn(state, alarm),
        "AlarmDescription": spec.description,
        "AlarmConfigurationUpdatedTimestamp": timestamp(state.spec.begin_ms - 30 * 86_400_000),
        "ActionsEnabled": true,
        "OKActions": [], "AlarmActions": [], "InsufficientDataActions": [],
        "StateValue": alarm.state.as_str(),
        "StateReason": alarm.reason,
        "StateReasonData": alarm.reason_data,
        "StateUpdatedTimestamp": timestamp(alarm.since_ms),
        "StateTransitionedTimestamp": timestamp(alarm.since_ms),
        "EvaluationPeriods": spec.periods,
        "DatapointsToAlarm": spec.datapoints,
        "Threshold": spec.threshold,
        "ComparisonOperator": spec.comparison.api_name(),
        "TreatMissingData": spec.missing.api_name(),
    });
    let metrics = metrics_of(spec, &state.spec);
    let Some(map) = out.as_object_mut() else { return out };
    if let [(_, key, stat)] = metrics.as_slice() {
        map.insert("MetricName".to_owned(), key.name.clone().into());
        map.insert("Namespace".to_owned(), key.namespace.clone().into());
        map.insert("Dimensions".to_owned(), dimensions(key).into());
        map.insert("Period".to_owned(), spec.period_s.into());
        let member = if stat.starts_with('p') { "ExtendedStatistic" } else { "Statistic" };
        map.insert(member.to_owned(), stat.clone().into());
    } else {
        let mut queries = vec![json!({
            "Id": "rate", "Expression": RATE, "Label": "5xx share in percent", "ReturnData": true,
        })];
        for (id, key, stat) in &metrics {
            queries.push(json!({
                "Id": id,
                "MetricStat": {
                    "Metric": {
                        "Namespace": key.namespace, "MetricName": key.name, "Dimensions": dimensions(key),
                    },
                    "Period": spec.period_s,
                    "Stat": stat,
                },
                "ReturnData": false,
            }));
        }
        map.insert("Metrics".to_owned(), queries.into());
    }
    out
}

fn alarms_for_metric(state: &State, input: &Value) -> Result<Value, WireError> {
    let key = metric_key(input)?;
    let found: Vec<Value> = state
        .alarms
        .iter()
        .filter(|a| metrics_of(&a.spec, &state.spec).iter().any(|(_, k, _)| *k == key))
        .map(|a| describe(state, a))
        .collect();
    Ok(json!({"MetricAlarms": found}))
}

fn alarm_history(state: &State, input: &Value) -> Result<Value, WireError> {
    let wanted = text(input, "AlarmName");
    if let Some(name) = wanted
        && !state.alarms.iter().any(|a| a.spec.name == name)
    {
        return Ok(json!({"AlarmHistoryItems": []}));
    }
    let kind = text(input, "HistoryItemType");
    let types = texts(input, "AlarmTypes");
    let from = time_ms(input, "StartDate").unwrap_or(i64::MIN);
    let to = time_ms(input, "EndDate").unwrap_or(i64::MAX);
    let mut items: Vec<(i64, Value)> = Vec::new();
    for alarm in state.alarms.iter().filter(|a| wanted.is_none_or(|w| a.spec.name == w)) {
        if !Kind::of(alarm).wanted(&types) {
            continue;
        }
        for t in &alarm.history {
            if kind.is_some_and(|k| k != "StateUpdate") || !(from..=to).contains(&t.at_ms) {
                continue;
            }
            let one = |s: AlarmState| json!({"stateValue": s.as_str()});
            let mut after = one(t.to);
            if let Some(map) = after.as_object_mut() {
                map.insert("stateReason".to_owned(), t.reason.clone().into());
                let data = serde_json::from_str(&t.reason_data).unwrap_or(Value::Null);
                map.insert("stateReasonData".to_owned(), data);
            }
            let data = json!({"version": "1.0", "oldState": one(t.from), "newState": after});
            items.push((
                t.at_ms,
                json!({
                    "AlarmName": alarm.spec.name,
                    "AlarmType": Kind::of(alarm).as_str(),
                    "Timestamp": timestamp(t.at_ms),
                    "HistoryItemType": "StateUpdate",
                    "HistorySummary":
                        format!("Alarm updated from {} to {}", t.from.as_str(), t.to.as_str()),
                    "HistoryData": data.to_string(),
                }),
            ));
        }
    }
    items.sort_by_key(|(at, _)| *at);
    if text(input, "ScanBy") != Some("TimestampAscending") {
        items.reverse();
    }
    let items = items.into_iter().map(|(_, item)| item).collect();
    let size = input.get("MaxRecords").and_then(Value::as_u64);
    let (items, next) = page(items, text(input, "NextToken"), size, 100).map_err(|()| bad_token())?;
    Ok(json!({"AlarmHistoryItems": items, "NextToken": next}))
}

fn metric_key(metric: &Value) -> Result<MetricKey, WireError> {
    let needed = |name: &str| {
        text(metric, name).map(str::to_owned).ok_or_else(|| {
            WireError::client(
                "MissingRequiredParameterException",
                format!("The parameter {name} is required."),
            )
        })
    };
    let dimensions = list(metric, "Dimensions")
        .iter()
        .filter_map(|d| Some((text(d, "Name")?.to_owned(), text(d, "Value")?.to_owned())))
        .collect();
    Ok(MetricKey { namespace: needed("Namespace")?, name: needed("MetricName")?, dimensions })
}

fn invalid(message: impl Into<String>) -> WireError {
    WireError::client("InvalidParameterValueException", message)
}

fn window(input: &Value) -> Result<(i64, i64), WireError> {
    match (time_ms(input, "StartTime"), time_ms(input, "EndTime")) {
        (Some(from), Some(to)) if from < to => Ok((from, to)),
        (Some(_), Some(_)) => {
            Err(invalid("The parameter StartTime must be less than the parameter EndTime."))
        }
        _ => Err(invalid("StartTime and EndTime are required.")),
    }
}

fn stat_of(name: &str) -> Result<Stat, WireError> {
    Stat::parse(name).ok_or_else(|| invalid(format!("The value {name} for parameter Stat is not supported.")))
}

fn period_of(value: Option<&Value>) -> Result<i64, WireError> {
    let period = value.and_then(Value::as_i64).unwrap_or(60);
    if period <= 0 || period % 60 != 0 {
        return Err(invalid("The parameter Period must be a multiple of 60."));
    }
    Ok(period)
}

/// A statistic of a metric that was recorded, or of what CloudWatch counts of the log groups itself.
fn statistic(
    state: &State,
    key: &MetricKey,
    stat: Stat,
    period_s: i64,
    window: Range<i64>,
) -> Vec<(i64, f64)> {
    let incoming = key.namespace == "AWS/Logs" && key.name == "IncomingBytes" && stat == Stat::Sum;
    match key.dimensions.get("LogGroupName").filter(|_| incoming && key.dimensions.len() == 1) {
        Some(group) => state.logs.incoming_bytes(group, period_s, window, state.now_ms()),
        None => state.metrics.statistic(key, stat, period_s, window.start, window.end, state.now_ms()),
    }
}

fn metric_data(state: &State, input: &Value) -> Result<Value, WireError> {
    let (from, to) = window(input)?;
    let queries = list(input, "MetricDataQueries");
    if queries.is_empty() {
        return Err(invalid("MetricDataQueries is required."));
    }
    let mut series: BTreeMap<String, Points> = BTreeMap::new();
    let mut period = 0;
    for query in queries {
        let id = text(query, "Id").ok_or_else(|| invalid("A query has no Id."))?;
        let Some(wanted) = query.get("MetricStat") else { continue };
        let key = metric_key(wanted.get("Metric").unwrap_or(&Value::Null))?;
        let stat = stat_of(text(wanted, "Stat").unwrap_or_default())?;
        let of_query = period_of(wanted.get("Period"))?;
        period = period.max(of_query);
        let values = statistic(state, &key, stat, of_query, from..to);
        series.insert(id.to_owned(), values.into_iter().collect());
    }
    let step = period.max(60) * 1000;
    let mut periods = Vec::new();
    let mut at = from.div_euclid(step) * step;
    while at < to && at + step <= state.now_ms() && periods.len() < 100_000 {
        periods.push(at);
        at += step;
    }
    // An expression may name one that stands behind it: as many rounds as there are queries.
    for _ in 0..queries.len() {
        for query in queries {
            let (Some(id), Some(formula)) = (text(query, "Id"), text(query, "Expression")) else { continue };
            if let Ok(points) = expression::evaluate(formula, &series, &periods) {
                series.insert(id.to_owned(), points);
            }
        }
    }
    let ascending = text(input, "ScanBy") == Some("TimestampAscending");
    let mut results = Vec::new();
    for query in queries {
        let id = text(query, "Id").unwrap_or_default();
        if query.get("ReturnData").and_then(Value::as_bool) == Some(false) {
            continue;
        }
        let Some(points) = series.get(id) else {
            let formula = text(query, "Expression").unwrap_or_default();
            let why = expression::evaluate(formula, &series, &periods).err().unwrap_or_default();
            return Err(WireError::client("ValidationError", format!("Error in expression '{id}': {why}")));
        };
        let mut points: Vec<(i64, f64)> = points.iter().map(|(at, v)| (*at, *v)).collect();
        if !ascending {
            points.reverse();
        }
        let label = text(query, "Label").or_else(|| {
            text(query.get("MetricStat").and_then(|m| m.get("Metric")).unwrap_or(&Value::Null), "MetricName")
        });
        results.push(json!({
            "Id": id,
            "Label": label.unwrap_or(id),
            "Timestamps": points.iter().map(|(at, _)| timestamp(*at)).collect::<Vec<_>>(),
            "Values": points.iter().map(|(_, v)| json!(v)).collect::<Vec<_>>(),
            "StatusCode": "Complete",
        }));
    }
    Ok(json!({"MetricDataResults": results, "Messages": []}))
}

fn metric_statistics(state: &State, input: &Value) -> Result<Value, WireError> {
    let (from, to) = window(input)?;
    let key = metric_key(input)?;
    let period = period_of(input.get("Period"))?;
    let mut merged: BTreeMap<i64, Map<String, Value>> = BTreeMap::new();
    for (name, extended) in texts(input, "Statistics")
        .into_iter()
        .map(|n| (n, false))
        .chain(texts(input, "ExtendedStatistics").into_iter().map(|n| (n, true)))
    {
        let values = statistic(state, &key, stat_of(name)?, period, from..to);
        for (at, value) in values {
            let point = merged.entry(at).or_default();
            point.insert("Timestamp".to_owned(), timestamp(at));
            let value = json!(value);
            if extended {
                let all = point.entry("ExtendedStatistics").or_insert_with(|| json!({}));
                if let Some(map) = all.as_object_mut() {
                    map.insert(name.to_owned(), value);
                }
            } else {
                point.insert(name.to_owned(), value);
            }
        }
    }
    let points: Vec<Value> = merged.into_values().map(Value::Object).collect();
    Ok(json!({"Label": key.name, "Datapoints": points}))
}

fn list_metrics(state: &State, input: &Value) -> Result<Value, WireError> {
    let (namespace, name) = (text(input, "Namespace"), text(input, "MetricName"));
    let filters = list(input, "Dimensions");
    let found: Vec<Value> = state
        .metrics
        .keys()
        .filter(|k| namespace.is_none_or(|n| n == k.namespace) && name.is_none_or(|n| n == k.name))
        .filter(|k| {
            filters.iter().all(|f| {
                let found = text(f, "Name").and_then(|n| k.dimensions.get(n));
                found.is_some_and(|v| text(f, "Value").is_none_or(|wanted| wanted == v))
            })
        })
        .map(|k| json!({"Namespace": k.namespace, "MetricName": k.name, "Dimensions": dimensions(k)}))
        .collect();
    let (found, next) = page(found, text(input, "NextToken"), None, 500).map_err(|()| bad_token())?;
    Ok(json!({"Metrics": found, "NextToken": next}))
}
