//! `[[series]]` and `[[alarm]]`.

use super::{
    composite::{composite, in_a_circle},
    raw::{AlarmMetric, Comparison, Missing, RawAlarm, RawScenario},
    reader::Reader,
    spec::{AlarmSource, AlarmSpec, SeriesSpec, Spec},
};

pub(super) fn series(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    for written in &raw.series {
        let s = written.get_ref();
        let follows = s.follows.as_ref().and_then(|name| {
            let ids = raw.fault.iter().enumerate().map(|(n, f)| {
                f.get_ref().id.as_ref().map_or_else(|| format!("fault-{}", n + 1), |id| id.get_ref().clone())
            });
            let found = ids.into_iter().position(|id| &id == name.get_ref());
            if found.is_none() {
                r.problem(
                    name.span(),
                    format!("there is no fault `{}`", name.get_ref()),
                    "use the `id` of a [[fault]]",
                );
            }
            found.map(|index| (index, s.at_fault.unwrap_or(s.base)))
        });
        let mut points: Vec<(i64, f64)> = s.points.iter().map(|p| (r.when(&p.at), p.value)).collect();
        points.sort_by_key(|(at, _)| *at);
        spec.series.push(SeriesSpec {
            name: s.name.get_ref().clone(),
            namespace: s.namespace.clone().unwrap_or_else(|| "Application".to_owned()),
            dimensions: s.dimensions.clone(),
            base: s.base,
            noise: s.noise.unwrap_or(0.05),
            follows,
            points,
        });
    }
}

pub(super) fn alarms(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    if raw.alarm.is_empty() && !spec.services.is_empty() {
        let service = spec.faults.first().map_or(0, |f| f.service);
        let usual = RawAlarm {
            name: None,
            service: None,
            description: None,
            metric: None,
            series: None,
            filter: None,
            rule: None,
            stat: None,
            comparison: None,
            threshold: None,
            period: None,
            periods: None,
            datapoints: None,
            missing: None,
            history: Vec::new(),
        };
        let alarm = alarm(r, 0..0, &usual, service, spec);
        spec.alarms.push(alarm);
    }
    for written in &raw.alarm {
        let a = written.get_ref();
        let service = match &a.service {
            Some(name) => r.service(name).unwrap_or(0),
            None => spec.faults.first().map_or(0, |f| f.service),
        };
        let alarm = alarm(r, written.span(), a, service, spec);
        if spec.alarms.iter().any(|other| other.name == alarm.name) {
            r.problem(
                written.span(),
                format!("alarm `{}` stands there twice", alarm.name),
                "give each a `name` of its own",
            );
        }
        spec.alarms.push(alarm);
    }
    for (n, written) in raw.alarm.iter().enumerate() {
        if let Some(rule) = &written.get_ref().rule
            && in_a_circle(&spec.alarms, n)
        {
            r.problem(
                rule.span(),
                "this alarm is computed from itself",
                "take the alarm out of the rules below it",
            );
        }
    }
}

/// The metric of a metric filter; one with dimensions makes as many as there are values.
fn filtered(r: &mut Reader<'_>, wanted: &toml::Spanned<String>, spec: &Spec) -> Option<AlarmSource> {
    let Some(found) = spec.metric_filters.iter().position(|f| &f.name == wanted.get_ref()) else {
        r.problem(
            wanted.span(),
            format!("there is no metric filter `{}`", wanted.get_ref()),
            "use the `name` of a [[metric_filter]]",
        );
        return None;
    };
    if spec.metric_filters.get(found).is_some_and(|filter| !filter.dimensions.is_empty()) {
        r.problem(
            wanted.span(),
            format!("metric filter `{}` makes a metric for each value of its dimensions", wanted.get_ref()),
            "take an alarm on one without `dimensions`",
        );
    }
    Some(AlarmSource::Filter(found))
}

fn alarm(
    r: &mut Reader<'_>,
    place: std::ops::Range<usize>,
    a: &RawAlarm,
    service: usize,
    spec: &Spec,
) -> AlarmSpec {
    let metric =
        a.metric.unwrap_or(if a.filter.is_some() { AlarmMetric::Errors } else { AlarmMetric::ErrorRate });
    let named = spec.services.get(service);
    let name = named.map_or("", |s| s.name.as_str());
    let (suffix, stat, comparison, threshold, missing) = match metric {
        AlarmMetric::ErrorRate => ("5xx-error-rate", "Average", Comparison::Greater, 5.0, Missing::Shown),
        AlarmMetric::Errors => ("5xx-count", "Sum", Comparison::Greater, 10.0, Missing::NotBreaching),
        AlarmMetric::Requests => {
            let low = named.map_or(1.0, |s| s.requests_per_minute * 0.2);
            ("traffic-low", "Sum", Comparison::Less, low, Missing::Breaching)
        }
        AlarmMetric::LatencyMs => ("latency-p99", "p99", Comparison::Greater, 1000.0, Missing::Shown),
        AlarmMetric::Cpu => ("cpu-high", "Average", Comparison::Greater, 85.0, Missing::Shown),
        AlarmMetric::Memory => ("memory-high", "Average", Comparison::Greater, 85.0, Missing::Shown),
        AlarmMetric::Throttles => {
            ("throttled-requests", "Sum", Comparison::Greater, 10.0, Missing::NotBreaching)
        }
        AlarmMetric::RunningTasks => {
            let all = named.map_or(1.0, |s| f64::from(s.tasks));
            ("running-tasks-low", "Minimum", Comparison::Less, all, Missing::Breaching)
        }
        AlarmMetric::ExecutionsFailed => {
            if !spec.machines.iter().any(|machine| machine.service == service) {
                r.problem(
                    place.clone(),
                    format!("`{name}` has no [[state_machine]] whose executions could fail"),
                    "add one with this `service`, or name another service",
                );
            }
            ("workflow-failures", "Sum", Comparison::Greater, 2.0, Missing::NotBreaching)
        }
    };
    let usual = AlarmSource::Metric(metric);
    let source = match (&a.rule, &a.filter, &a.series) {
        (Some(rule), _, _) => composite(r, a, rule).unwrap_or(usual),
        (None, Some(wanted), _) => filtered(r, wanted, spec).unwrap_or(usual),
        (None, None, None) => usual,
        (None, None, Some(wanted)) => {
            let found = spec.series.iter().position(|s| &s.name == wanted.get_ref());
            if found.is_none() {
                r.problem(
                    wanted.span(),
                    format!("there is no series `{}`", wanted.get_ref()),
                    "use the `name` of a [[series]]",
                );
            }
            found.map_or(usual, AlarmSource::Series)
        }
    };
    let suffix = match (&source, &a.filter) {
        (AlarmSource::Rule(..), _) => "composite",
        (AlarmSource::Filter(_), Some(filter)) => filter.get_ref(),
        _ => suffix,
    };
    let threshold = a.threshold.unwrap_or(threshold);
    let in_seconds = source == AlarmSource::Metric(AlarmMetric::LatencyMs);
    let period_s = r.span_or(a.period.as_ref(), 60_000) / 1000;
    if period_s < 60 || period_s % 60 != 0 {
        r.problem(
            a.period.as_ref().map_or(place.clone(), toml::Spanned::span),
            "an alarm's period is a whole number of minutes",
            "write `period = \"1m\"` or `\"5m\"`",
        );
    }
    let periods = a.periods.unwrap_or(3).max(1);
    let datapoints = a.datapoints.unwrap_or(periods);
    if datapoints > periods || datapoints == 0 {
        r.problem(place, "`datapoints` is not between 1 and `periods`", "lower `datapoints`");
    }
    let mut history: Vec<_> =
        a.history.iter().map(|t| (r.when(&t.get_ref().at), t.get_ref().state)).collect();
    for (written, (at, _)) in a.history.iter().zip(&history) {
        if *at > spec.alarm_ms {
            r.problem(
                written.span(),
                "this transition lies after the alarm",
                "only what was before the alarm is written here; later the alarm follows its metric",
            );
        }
    }
    history.sort_by_key(|(at, _)| *at);
    AlarmSpec {
        name: a.name.clone().unwrap_or_else(|| format!("{name}-{suffix}")),
        service,
        description: a.description.clone().unwrap_or_else(|| format!("{suffix} of {name}")),
        source,
        stat: a
            .stat
            .clone()
            .unwrap_or_else(|| if a.series.is_some() { "Average".to_owned() } else { stat.to_owned() }),
        comparison: a.comparison.unwrap_or(if a.series.is_some() { Comparison::Greater } else { comparison }),
        threshold: if in_seconds { threshold / 1000.0 } else { threshold },
        period_s: period_s.max(60),
        periods: periods as usize,
        datapoints: datapoints.clamp(1, periods) as usize,
        missing: a.missing.unwrap_or(missing),
        history,
    }
}
