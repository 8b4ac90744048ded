//! What the listings of alarms have in common: kinds, relatives, pages.

use serde_json::{Value, json};

use super::{
    super::{
        WireError,
        input::{page, text},
        timestamp,
    },
    bad_token,
};
use crate::{
    scenario::rule::Rule,
    world::{State, alarm::Alarm, event::arn},
};

/// Members that go with `ChildrenOfAlarmName` and `ParentsOfAlarmName`.
const BESIDE_RELATIVES: [&str; 2] = ["MaxRecords", "NextToken"];

/// What an alarm is computed from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Metric,
    Composite,
}

impl Kind {
    pub(super) const fn of(alarm: &Alarm) -> Self {
        if alarm.spec.rule().is_some() { Self::Composite } else { Self::Metric }
    }

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Metric => "MetricAlarm",
            Self::Composite => "CompositeAlarm",
        }
    }

    /// Whether it is among the types asked for; where none are, only metric alarms are.
    pub(super) fn wanted(self, types: &[&str]) -> bool {
        if types.is_empty() { self == Self::Metric } else { types.contains(&self.as_str()) }
    }
}

/// The alarms in the rule of another, or in whose rule it stands, where that is asked for. As in AWS, nothing
/// else may be asked in the same call, and little is told of each.
pub(super) fn relatives(state: &State, input: &Value) -> Result<Option<Vec<(Kind, Value)>>, WireError> {
    let (children, parents) = (text(input, "ChildrenOfAlarmName"), text(input, "ParentsOfAlarmName"));
    let Some(name) = children.or(parents) else { return Ok(None) };
    let own = if children.is_some() { "ChildrenOfAlarmName" } else { "ParentsOfAlarmName" };
    let beside = input.as_object().into_iter().flatten().map(|(key, _)| key.as_str());
    if let Some(other) = beside.into_iter().find(|key| *key != own && !BESIDE_RELATIVES.contains(key)) {
        return Err(WireError::client(
            "ValidationError",
            format!("{other} cannot be specified together with {own}"),
        ));
    }
    let named = state.alarms.iter().find(|alarm| alarm.spec.name == name);
    let names = |alarm: &Alarm| alarm.spec.rule().map(Rule::names).is_some_and(|all| all.contains(&name));
    let below = named.and_then(|alarm| alarm.spec.rule()).map(Rule::names).unwrap_or_default();
    let found = state.alarms.iter().filter(|alarm| match children {
        Some(_) => below.contains(&alarm.spec.name.as_str()),
        None => names(alarm),
    });
    let told = found.map(|alarm| {
        let mut told = json!({"AlarmName": alarm.spec.name, "AlarmArn": arn(state, alarm)});
        if let (Some(_), Some(map)) = (children, told.as_object_mut()) {
            map.insert("StateValue".to_owned(), alarm.state.as_str().into());
            map.insert("StateUpdatedTimestamp".to_owned(), timestamp(alarm.since_ms));
        }
        (Kind::of(alarm), told)
    });
    Ok(Some(told.collect()))
}

/// One page of alarms of both kinds.
pub(super) fn listed(found: Vec<(Kind, Value)>, input: &Value) -> Result<Value, WireError> {
    let size = input.get("MaxRecords").and_then(Value::as_u64);
    let (alarms, next) = page(found, text(input, "NextToken"), size, 100).map_err(|()| bad_token())?;
    let (composite, metric): (Vec<_>, Vec<_>) =
        alarms.into_iter().partition(|(kind, _)| *kind == Kind::Composite);
    let only = |list: Vec<(Kind, Value)>| list.into_iter().map(|(_, alarm)| alarm).collect::<Vec<_>>();
    Ok(json!({"MetricAlarms": only(metric), "CompositeAlarms": only(composite), "NextToken": next}))
}

/// A composite alarm as it is described.
pub(super) fn composite(state: &State, alarm: &Alarm, rule: &str) -> Value {
    json!({
        "AlarmName": alarm.spec.name,
        "AlarmArn": arn(state, alarm),
        "AlarmDescription": alarm.spec.description,
        "AlarmConfigurationUpdatedTimestamp": timestamp(state.spec.begin_ms - 30 * 86_400_000),
        "ActionsEnabled": true,
        "OKActions": [], "AlarmActions": [], "InsufficientDataActions": [],
        "AlarmRule": rule,
        "StateValue": alarm.state.as_str(),
        "StateReason": alarm.reason,
        "StateReasonData": alarm.reason_data,
        "StateUpdatedTimestamp": timestamp(alarm.since_ms),
        "StateTransitionedTimestamp": timestamp(alarm.since_ms),
    })
}
