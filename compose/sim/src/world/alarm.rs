//! Alarms: they follow their metric by CloudWatch's rules, and keep their history.

use serde_json::json;

use super::{
    State, composite, flows,
    metrics::{MetricKey, Stat},
    traffic::{ServiceMetrics, series_key, throttle_key},
};
use crate::{
    scenario::spec::{AlarmMetric, AlarmSource, AlarmSpec, AlarmState, Comparison, Missing, Spec},
    time,
};

/// One change of state.
#[derive(Debug, Clone)]
pub(crate) struct Transition {
    pub(crate) at_ms: i64,
    pub(crate) from: AlarmState,
    pub(crate) to: AlarmState,
    pub(crate) reason: String,
    pub(crate) reason_data: String,
}

/// An alarm and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct Alarm {
    pub(crate) spec: AlarmSpec,
    pub(crate) state: AlarmState,
    pub(crate) since_ms: i64,
    pub(crate) reason: String,
    pub(crate) reason_data: String,
    pub(crate) history: Vec<Transition>,
    /// Its metric does not breach where the scenario says that it fires: then it is in alarm for
    /// as long as a fault of its service is in effect.
    pub(crate) by_fault: bool,
    pub(super) fired: bool,
}

impl AlarmState {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl Comparison {
    pub(crate) const fn api_name(self) -> &'static str {
        match self {
            Self::Greater => "GreaterThanThreshold",
            Self::GreaterOrEqual => "GreaterThanOrEqualToThreshold",
            Self::Less => "LessThanThreshold",
            Self::LessOrEqual => "LessThanOrEqualToThreshold",
        }
    }

    const fn prose(self) -> &'static str {
        match self {
            Self::Greater => "greater than",
            Self::GreaterOrEqual => "greater than or equal to",
            Self::Less => "less than",
            Self::LessOrEqual => "less than or equal to",
        }
    }

    fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Greater => value > threshold,
            Self::GreaterOrEqual => value >= threshold,
            Self::Less => value < threshold,
            Self::LessOrEqual => value <= threshold,
        }
    }
}

impl Missing {
    pub(crate) const fn api_name(self) -> &'static str {
        match self {
            Self::Shown => "missing",
            Self::Ignore => "ignore",
            Self::Breaching => "breaching",
            Self::NotBreaching => "notBreaching",
        }
    }
}

/// The metrics an alarm reads, with ids. Two, with an expression over them, for a rate.
pub(crate) fn metrics_of(alarm: &AlarmSpec, spec: &Spec) -> Vec<(&'static str, MetricKey, String)> {
    let Some(service) = spec.services.get(alarm.service) else { return Vec::new() };
    let keys = ServiceMetrics::of(service);
    let one = |key| vec![("m1", key, alarm.stat.clone())];
    match &alarm.source {
        AlarmSource::Rule(..) => Vec::new(),
        AlarmSource::Filter(n) => spec.metric_filters.get(*n).map(|f| one(f.key())).unwrap_or_default(),
        AlarmSource::Series(n) => spec.series.get(*n).map(|s| one(series_key(s))).unwrap_or_default(),
        AlarmSource::Metric(metric) => match metric {
            AlarmMetric::ErrorRate => {
                vec![("errors", keys.errors, "Sum".to_owned()), ("requests", keys.requests, "Sum".to_owned())]
            }
            AlarmMetric::Errors => one(keys.errors),
            AlarmMetric::Requests => one(keys.requests),
            AlarmMetric::LatencyMs => one(keys.latency),
            AlarmMetric::Cpu => one(keys.cpu),
            AlarmMetric::Memory => one(keys.memory),
            AlarmMetric::RunningTasks => one(keys.running),
            AlarmMetric::ExecutionsFailed => {
                let machine = spec.machines.iter().find(|machine| machine.service == alarm.service);
                machine
                    .map(|machine| one(flows::metric(spec, machine, "ExecutionsFailed")))
                    .unwrap_or_default()
            }
            AlarmMetric::Throttles => {
                let table = spec.faults.iter().find_map(|f| f.throttles.as_ref()).map(|(table, _)| table);
                one(throttle_key(table.map_or("table", String::as_str)))
            }
        },
    }
}

/// The expression of an alarm on a rate.
pub(crate) const RATE: &str = "100 * FILL(errors, 0) / requests";

/// The alarm's values by period, `None` where there is no datapoint; oldest first.
fn datapoints(state: &State, spec: &Spec, alarm: &AlarmSpec, now_ms: i64) -> Vec<(i64, Option<f64>)> {
    let period_ms = alarm.period_s * 1000;
    let end = now_ms.div_euclid(period_ms) * period_ms;
    let begin = end - period_ms * i64::try_from(alarm.periods).unwrap_or(1);
    let read = |key: &MetricKey, stat: &str| {
        let stat = Stat::parse(stat).unwrap_or(Stat::Average);
        state.metrics.statistic(key, stat, alarm.period_s, begin, end, now_ms)
    };
    let metrics = metrics_of(alarm, spec);
    let values: Vec<(i64, f64)> = match metrics.as_slice() {
        [(_, key, stat)] => read(key, stat),
        [(_, errors, stat), (_, requests, _)] => {
            let errors = read(errors, stat);
            let errors_at = |at| errors.iter().find(|(t, _)| *t == at).map_or(0.0, |(_, v)| *v);
            read(requests, stat).into_iter().map(|(at, n)| (at, 100.0 * errors_at(at) / n)).collect()
        }
        _ => Vec::new(),
    };
    (0..alarm.periods)
        .map(|n| begin + period_ms * i64::try_from(n).unwrap_or(0))
        .map(|at| (at, values.iter().find(|(t, _)| *t == at).map(|(_, v)| *v)))
        .collect()
}

fn texts(points: &[(i64, f64)]) -> Vec<String> {
    let at = |ms: i64| time::timestamp(ms).strftime("%d/%m/%y %H:%M:%S");
    points.iter().map(|(ms, v)| format!("{v} ({})", at(*ms))).collect()
}

/// What the rules say of these datapoints; `None` means the state stays as it is.
fn judge(alarm: &AlarmSpec, points: &[(i64, Option<f64>)]) -> Option<AlarmState> {
    let present: Vec<bool> = points
        .iter()
        .filter_map(|(_, value)| value.map(|v| alarm.comparison.breaches(v, alarm.threshold)))
        .collect();
    let absent = points.len() - present.len();
    if present.is_empty() {
        match alarm.missing {
            Missing::Shown => return Some(AlarmState::InsufficientData),
            Missing::Ignore => return None,
            Missing::Breaching | Missing::NotBreaching => {}
        }
    }
    let breaching =
        present.iter().filter(|b| **b).count() + if alarm.missing == Missing::Breaching { absent } else { 0 };
    Some(if breaching >= alarm.datapoints { AlarmState::Alarm } else { AlarmState::Ok })
}

impl Alarm {
    pub(crate) fn new(spec: AlarmSpec, begin_ms: i64) -> Self {
        let reason = match spec.rule() {
            Some(_) => format!("{} was created and its alarm rule evaluates to OK", spec.name),
            None => "Threshold Crossed: the last datapoints were within the threshold".to_owned(),
        };
        let mut alarm = Self {
            state: AlarmState::Ok,
            since_ms: begin_ms - 6 * 86_400_000,
            reason,
            reason_data: "{}".to_owned(),
            history: Vec::new(),
            by_fault: false,
            fired: false,
            spec,
        };
        for (at_ms, to) in alarm.spec.history.clone() {
            let reason = format!("Threshold Crossed: alarm went to {} by its datapoints", to.as_str());
            alarm.change(at_ms, to, reason, "{}".to_owned());
        }
        alarm
    }

    pub(super) fn change(&mut self, at_ms: i64, to: AlarmState, reason: String, reason_data: String) {
        if to == self.state {
            return;
        }
        self.history.push(Transition {
            at_ms,
            from: self.state,
            to,
            reason: reason.clone(),
            reason_data: reason_data.clone(),
        });
        (self.state, self.since_ms, self.reason, self.reason_data) = (to, at_ms, reason, reason_data);
    }

    /// Its state at a moment of its history.
    pub(super) fn at(&self, at_ms: i64) -> AlarmState {
        let before = self.history.iter().rev().find(|t| t.at_ms <= at_ms);
        before.map_or_else(|| self.history.first().map_or(self.state, |t| t.from), |t| t.to)
    }

    /// As CloudWatch words it: only the datapoints that speak for the new state are counted.
    fn crossed(&self, to: AlarmState, points: &[(i64, Option<f64>)]) -> String {
        let spec = &self.spec;
        if to == AlarmState::InsufficientData {
            return format!("Insufficient Data: {} datapoints were unknown.", points.len());
        }
        let up = to == AlarmState::Alarm;
        let counted: Vec<(i64, f64)> = points
            .iter()
            .rev()
            .filter_map(|(at, v)| Some((*at, (*v)?)))
            .filter(|(_, v)| spec.comparison.breaches(*v, spec.threshold) == up)
            .collect();
        let absent = points.iter().filter(|(_, v)| v.is_none()).count();
        let missing = match spec.missing {
            Missing::Breaching if up && absent > 0 => Some("Breaching"),
            Missing::NotBreaching if !up && absent > 0 => Some("NonBreaching"),
            _ => None,
        };
        let treated = missing.map(|how| {
            let (s, were) = if absent == 1 { ("", "was") } else { ("s", "were") };
            format!("{absent} missing datapoint{s} {were} treated as [{how}]")
        });
        let many = counted.len();
        if let (0, Some(treated)) = (many, &treated) {
            return format!(
                "Threshold Crossed: no datapoints were received for {absent} period{} and {treated}.",
                if absent == 1 { "" } else { "s" },
            );
        }
        let least = if up { spec.datapoints } else { spec.periods - spec.datapoints + 1 };
        format!(
            "Threshold Crossed: {many} out of the last {} datapoints [{}] {} {}{} the threshold ({:?}){} \
             (minimum {least} datapoint{} for {} -> {} transition).",
            spec.periods,
            texts(&counted).join(", "),
            if many == 1 { "was" } else { "were" },
            if up { "" } else { "not " },
            spec.comparison.prose(),
            spec.threshold,
            treated.map(|t| format!(" and {t}")).unwrap_or_default(),
            if least == 1 { "" } else { "s" },
            self.state.as_str(),
            to.as_str(),
        )
    }

    fn explain(&self, to: AlarmState, points: &[(i64, Option<f64>)], now_ms: i64) -> (String, String) {
        let spec = &self.spec;
        let shown: Vec<(i64, f64)> = points.iter().rev().filter_map(|(at, v)| Some((*at, (*v)?))).collect();
        let reason = if judge(spec, points) == Some(to) {
            self.crossed(to, points)
        } else {
            let last: Vec<String> = texts(&shown);
            format!(
                "Alarm set to {}; its last datapoints are [{}], the threshold is {:?}.",
                to.as_str(),
                last.join(", "),
                spec.threshold,
            )
        };
        let data = json!({
            "version": "1.0",
            "queryDate": time::alarm_text(now_ms),
            "startDate": time::alarm_text(points.first().map_or(now_ms, |(at, _)| *at)),
            "period": spec.period_s,
            "recentDatapoints": shown.iter().rev().map(|(_, v)| *v).collect::<Vec<_>>(),
            "threshold": spec.threshold,
        });
        (reason, data.to_string())
    }
}

/// Since when the first alarm would have been in alarm without a break by its metric or its rule
/// alone, where that is before the time that the scenario says.
pub(crate) fn due_since(state: &State, spec: &Spec) -> Option<i64> {
    let alarm = &state.alarms.first()?.spec;
    if let Some(rule) = alarm.rule() {
        return composite::due_since(state, spec, rule);
    }
    let wants = alarm.period_s * 1000 * (i64::try_from(alarm.periods).unwrap_or(1) + 1);
    let settled = spec.begin_ms + wants;
    let mut since = None;
    let mut at = spec.alarm_ms.div_euclid(time::MINUTE_MS) * time::MINUTE_MS + 10_000;
    if at > spec.alarm_ms {
        at -= time::MINUTE_MS;
    }
    while at > settled && judge(alarm, &datapoints(state, spec, alarm, at)) == Some(AlarmState::Alarm) {
        since = Some(at);
        at -= time::MINUTE_MS;
    }
    since
}

/// Fires the alarm that starts the incident, at its time.
pub(crate) fn fire(state: &mut State, spec: &Spec) {
    let Some(mut alarm) = state.alarms.first().cloned() else { return };
    if alarm.fired {
        return;
    }
    alarm.fired = true;
    if let Some(rule) = alarm.spec.rule().cloned() {
        // What it is computed from is judged at its time too, and not only at the next full minute.
        judge_metrics(state, spec, spec.alarm_ms, |name| rule.names().contains(&name));
        composite::evaluate(state, spec.alarm_ms);
        alarm.by_fault = !composite::holds(state, &rule);
        let (reason, data) = composite::explain(state, &rule, AlarmState::Alarm, &alarm.spec.name);
        alarm.change(spec.alarm_ms, AlarmState::Alarm, reason, data);
    } else {
        let points = datapoints(state, spec, &alarm.spec, spec.alarm_ms);
        alarm.by_fault = judge(&alarm.spec, &points) != Some(AlarmState::Alarm);
        let (reason, data) = alarm.explain(AlarmState::Alarm, &points, spec.alarm_ms);
        alarm.change(spec.alarm_ms, AlarmState::Alarm, reason, data);
    }
    if let Some(slot) = state.alarms.first_mut() {
        *slot = alarm;
    }
    composite::evaluate(state, spec.alarm_ms);
}

/// Evaluates every alarm: those on metrics, and then those on other alarms.
pub(crate) fn evaluate(state: &mut State, spec: &Spec, now_ms: i64) {
    judge_metrics(state, spec, now_ms, |_| true);
    composite::evaluate(state, now_ms);
}

fn judge_metrics(state: &mut State, spec: &Spec, now_ms: i64, wanted: impl Fn(&str) -> bool) {
    for index in 0..state.alarms.len() {
        let Some(alarm) = state.alarms.get(index) else { continue };
        if alarm.spec.rule().is_some() || !wanted(&alarm.spec.name) {
            continue;
        }
        // Before its time, the first alarm only has the history that the scenario writes.
        let settled =
            spec.begin_ms + alarm.spec.period_s * 1000 * (i64::try_from(alarm.spec.periods).unwrap_or(1) + 1);
        if index == 0 && !alarm.fired || now_ms < settled || alarm.since_ms > now_ms {
            continue;
        }
        let points = datapoints(state, spec, &alarm.spec, now_ms);
        let verdict = if alarm.by_fault {
            let on = state.faults.any(alarm.spec.service, now_ms);
            Some(if on { AlarmState::Alarm } else { AlarmState::Ok })
        } else {
            judge(&alarm.spec, &points)
        };
        let Some(to) = verdict.filter(|to| *to != alarm.state) else { continue };
        let (reason, data) = alarm.explain(to, &points, now_ms);
        if let Some(alarm) = state.alarms.get_mut(index) {
            alarm.change(now_ms, to, reason, data);
        }
    }
}
