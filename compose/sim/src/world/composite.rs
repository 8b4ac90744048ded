//! Composite alarms: they follow other alarms, by their rule.

use serde_json::json;

use super::{State, alarm::Alarm, event};
use crate::{
    scenario::{
        rule::Rule,
        spec::{AlarmState, Spec},
    },
    time,
};

/// Whether a rule holds as the alarms stand.
pub(super) fn holds(state: &State, rule: &Rule) -> bool {
    rule.holds(&|name| named(state, name).map(|alarm| alarm.state))
}

fn named<'a>(state: &'a State, name: &str) -> Option<&'a Alarm> {
    state.alarms.iter().find(|alarm| alarm.spec.name == name)
}

/// Evaluates every composite alarm. One may be computed from another, so it goes on until nothing
/// changes; rules in a circle do not get into the world.
pub(super) fn evaluate(state: &mut State, now_ms: i64) {
    for _ in 0..state.alarms.len() {
        let mut changed = false;
        for index in 0..state.alarms.len() {
            changed |= follow(state, index, now_ms);
        }
        if !changed {
            return;
        }
    }
}

fn follow(state: &mut State, index: usize, now_ms: i64) -> bool {
    let Some(alarm) = state.alarms.get(index) else { return false };
    let Some(rule) = alarm.spec.rule() else { return false };
    // Before its time, the first alarm only has the history that the scenario writes.
    if index == 0 && !alarm.fired || alarm.since_ms > now_ms {
        return false;
    }
    let on = if alarm.by_fault { state.faults.any(alarm.spec.service, now_ms) } else { holds(state, rule) };
    let to = if on { AlarmState::Alarm } else { AlarmState::Ok };
    if to == alarm.state {
        return false;
    }
    let (reason, data) = explain(state, rule, to, &alarm.spec.name);
    if let Some(alarm) = state.alarms.get_mut(index) {
        alarm.change(now_ms, to, reason, data);
    }
    true
}

/// Reason and reason data as CloudWatch writes them: of the alarms in the rule, the one that changed last,
/// and those in ALARM.
pub(super) fn explain(state: &State, rule: &Rule, to: AlarmState, name: &str) -> (String, String) {
    let children: Vec<&Alarm> = rule.names().into_iter().filter_map(|name| named(state, name)).collect();
    let reason = match children.iter().max_by_key(|child| child.since_ms) {
        Some(last) => format!(
            "{} transitioned to {} at {}",
            event::arn(state, last),
            last.state.as_str(),
            time::timestamp(last.since_ms).strftime("%A %d %B, %Y %H:%M:%S UTC"),
        ),
        None => format!("{name} went to {}; no alarm of its rule exists", to.as_str()),
    };
    let triggering: Vec<_> = children
        .iter()
        .filter(|child| child.state == AlarmState::Alarm)
        .map(|child| {
            json!({
                "arn": event::arn(state, child),
                "state": {"value": child.state.as_str(), "timestamp": time::alarm_text(child.since_ms)},
            })
        })
        .collect();
    (reason, json!({ "triggeringAlarms": triggering }).to_string())
}

/// Since when a rule has held without a break before the time of the scenario, where it did.
pub(super) fn due_since(state: &State, spec: &Spec, rule: &Rule) -> Option<i64> {
    let mut since = None;
    let mut at = spec.alarm_ms - time::MINUTE_MS;
    while at > spec.begin_ms && rule.holds(&|name| named(state, name).map(|alarm| alarm.at(at))) {
        since = Some(at);
        at -= time::MINUTE_MS;
    }
    since
}
