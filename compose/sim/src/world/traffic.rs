//! One tick of the world: requests, what they leave in metrics and logs, tasks that die.

use std::{collections::BTreeMap, sync::Arc};

use rand::RngExt;

use super::{State, metrics::MetricKey};
use crate::{
    background::{self, Entry},
    logs::Line,
    random::{self, Rng},
    scenario::spec::{FaultSpec, LineSpec, Rate, ServiceSpec, Spec},
};

/// Length of a tick.
pub(crate) const TICK_MS: i64 = 10_000;
const TICKS_PER_MINUTE: f64 = 6.0;
/// After the alarm, lines that are counted up to it pause for this long: whoever reads the log at
/// once reads exactly the number that the scenario says.
const LULL_MS: i64 = 30_000;

/// The metrics a service has.
#[derive(Debug)]
pub(crate) struct ServiceMetrics {
    pub(crate) requests: MetricKey,
    pub(crate) errors: MetricKey,
    pub(crate) client_errors: MetricKey,
    pub(crate) latency: MetricKey,
    pub(crate) cpu: MetricKey,
    pub(crate) memory: MetricKey,
    pub(crate) running: MetricKey,
}

impl ServiceMetrics {
    pub(crate) fn of(service: &ServiceSpec) -> Self {
        let key = |namespace: &str, name: &str, dimensions: [(&str, &str); 2]| MetricKey {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            dimensions: dimensions.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
        };
        let alb = [("LoadBalancer", service.load_balancer.as_str()), ("TargetGroup", &service.target_group)];
        let ecs = [("ClusterName", service.cluster.as_str()), ("ServiceName", &service.name)];
        Self {
            requests: key("AWS/ApplicationELB", "RequestCount", alb),
            errors: key("AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", alb),
            client_errors: key("AWS/ApplicationELB", "HTTPCode_Target_4XX_Count", alb),
            latency: key("AWS/ApplicationELB", "TargetResponseTime", alb),
            cpu: key("AWS/ECS", "CPUUtilization", ecs),
            memory: key("AWS/ECS", "MemoryUtilization", ecs),
            running: key("ECS/ContainerInsights", "RunningTaskCount", ecs),
        }
    }
}

/// The metric of a table that is throttled.
pub(crate) fn throttle_key(table: &str) -> MetricKey {
    MetricKey {
        namespace: "AWS/DynamoDB".to_owned(),
        name: "ThrottledRequests".to_owned(),
        dimensions: BTreeMap::from([("TableName".to_owned(), table.to_owned())]),
    }
}

/// Lines that are counted: when each is written, by fault and line.
pub(crate) fn schedule(spec: &Spec) -> Vec<(i64, usize, usize)> {
    let mut due = Vec::new();
    for (f, fault) in spec.faults.iter().enumerate() {
        for (l, line) in fault.lines.iter().enumerate() {
            let Rate::Count(count) = line.rate else { continue };
            let from = fault.at_ms + 400;
            let to = fault.until_ms.unwrap_or(i64::MAX).min(spec.alarm_ms - 2500).max(from + 1000);
            let mut rng = random::generator(spec.seed, "count", i64::try_from(f * 1000 + l).unwrap_or(0));
            let step = (to - from) as f64 / f64::from(count.max(1));
            due.extend((0..count).map(|n| {
                let at = (f64::from(n) + rng.random_range(0.0..0.9)) * step;
                #[expect(clippy::cast_possible_truncation, reason = "milliseconds within a window")]
                (from + at as i64, f, l)
            }));
        }
    }
    due.sort_unstable();
    due
}

/// Everything that happens between `from_ms` and the end of the tick.
pub(crate) fn tick(state: &mut State, spec: &Spec, from_ms: i64) {
    for index in 0..spec.services.len() {
        service_tick(state, spec, index, from_ms);
    }
    for (f, fault) in spec.faults.iter().enumerate() {
        let strength = state.faults.strength(f, from_ms + TICK_MS / 2);
        if let Some((table, per_minute)) = &fault.throttles
            && strength > 0.0
        {
            let n = per_minute * strength / TICKS_PER_MINUTE;
            state.metrics.record_many(&throttle_key(table), from_ms, n.round(), 1.0, n.round());
        }
    }
    for (n, series) in spec.series.iter().enumerate() {
        let key = series_key(series);
        let mut rng =
            random::generator(spec.seed, &series.name, from_ms / TICK_MS + i64::try_from(n).unwrap_or(0));
        let scripted = series.points.iter().rev().find(|(at, _)| *at <= from_ms).map(|(_, value)| *value);
        let mut value = scripted.unwrap_or(series.base);
        if let Some((fault, at_fault)) = series.follows {
            value += (at_fault - value) * state.faults.strength(fault, from_ms + TICK_MS / 2);
        }
        state.metrics.record(&key, from_ms, value * (1.0 + series.noise * rng.random_range(-1.0..1.0)));
    }
}

pub(crate) fn series_key(series: &crate::scenario::spec::SeriesSpec) -> MetricKey {
    MetricKey {
        namespace: series.namespace.clone(),
        name: series.name.clone(),
        dimensions: series.dimensions.clone(),
    }
}

fn service_tick(state: &mut State, spec: &Spec, index: usize, from_ms: i64) {
    let Some(service) = spec.services.get(index) else { return };
    let mut rng = random::generator(spec.seed, &service.name, from_ms / TICK_MS);
    let middle = from_ms + TICK_MS / 2;
    let effects = state.faults.effects(index, service, middle);
    let holds = |(n, f): &(usize, &FaultSpec)| {
        f.service == index && f.tasks_down > 0 && state.faults.strength(*n, middle) > 0.5
    };
    let brought_by = spec.faults.iter().enumerate().find(holds).and_then(|(_, f)| spec.brought_by(f));
    state.ecs.hold_down(index, effects.tasks_down, from_ms, brought_by);
    stop_tasks(state, spec, index, from_ms);

    let busy = daily(middle) * rng.random_range(0.92..1.08);
    let requests =
        random::round(&mut rng, service.requests_per_minute * busy * effects.traffic / TICKS_PER_MINUTE);
    let failed = random::round(&mut rng, f64::from(requests) * effects.error_share).min(requests);
    let refused = random::round(&mut rng, f64::from(requests) * 0.02);
    let running = state.ecs.running(index, middle);
    let keys = ServiceMetrics::of(service);
    let metrics = &mut state.metrics;
    if requests > 0 {
        let n = f64::from(requests);
        metrics.record_many(&keys.requests, from_ms, n, 1.0, n);
        for _ in 0..4 {
            let spread = rng.random_range(0.4_f64..1.6);
            let seconds = effects.latency_ms * spread * spread / 1000.0;
            metrics.record_many(&keys.latency, from_ms, seconds * n / 4.0, seconds, n / 4.0);
        }
    }
    // A load balancer reports these counts only where they are not zero.
    for (key, n) in [(&keys.errors, failed), (&keys.client_errors, refused)] {
        if n > 0 {
            metrics.record_many(key, from_ms, n.into(), 1.0, n.into());
        }
    }
    if running > 0 {
        let share = f64::from(service.tasks.max(1)) / f64::from(running.max(service.tasks.max(1)));
        let mut wobble = || rng.random_range(0.96..1.04);
        metrics.record(&keys.cpu, from_ms, (effects.cpu * share * wobble()).min(100.0));
        metrics.record(&keys.memory, from_ms, (effects.memory * wobble()).min(100.0));
    }
    metrics.record(&keys.running, from_ms, running.into());

    let mut lines = Vec::new();
    let streams = state.ecs.streams(index, middle);
    if !effects.silent && !streams.is_empty() {
        let volume = service.lines_per_minute * busy * effects.traffic.max(0.15) / TICKS_PER_MINUTE;
        for _ in 0..random::round(&mut rng, volume) {
            let at_ms = from_ms + rng.random_range(0..TICK_MS);
            let entry = background::entry(&mut rng, service, effects.error_share, effects.latency_ms);
            let text = background::render(&mut rng, service.log_style, &service.name, at_ms, &entry);
            lines.push(line(&mut rng, &streams, at_ms, text));
        }
    }
    fault_lines(state, spec, index, from_ms, &mut rng, &streams, &mut lines);
    lines.sort_by_key(|line| line.timestamp_ms);
    state.logs.write(&service.log_group, lines);
}

fn fault_lines(
    state: &mut State,
    spec: &Spec,
    index: usize,
    from_ms: i64,
    rng: &mut Rng,
    streams: &[Arc<str>],
    lines: &mut Vec<Line>,
) {
    let to_ms = from_ms + TICK_MS;
    let Some(service) = spec.services.get(index) else { return };
    let mut add = |rng: &mut Rng, spec_line: &LineSpec, at_ms: i64| {
        let text = write(rng, service, spec_line, at_ms);
        lines.push(line(rng, streams, at_ms, text));
    };
    for &(at_ms, f, l) in state.due_lines(from_ms, to_ms) {
        let fault = spec.faults.get(f).filter(|fault| fault.service == index);
        if let Some(spec_line) = fault.and_then(|fault| fault.lines.get(l)) {
            add(rng, spec_line, at_ms);
        }
    }
    for (f, fault) in spec.faults.iter().enumerate().filter(|(_, fault)| fault.service == index) {
        for spec_line in &fault.lines {
            let per_minute = rate(spec, fault, spec_line, from_ms);
            if per_minute <= 0.0 {
                continue;
            }
            // Each possible line falls or not by the strength at its own moment, so that onset
            // and end are sharp within a tick.
            for _ in 0..random::round(rng, per_minute / TICKS_PER_MINUTE) {
                let at_ms = from_ms + rng.random_range(0..TICK_MS);
                if rng.random_bool(state.faults.strength(f, at_ms).clamp(0.0, 1.0)) {
                    add(rng, spec_line, at_ms);
                }
            }
        }
    }
}

/// Lines a minute at full strength in this tick, apart from those that are scheduled.
fn rate(spec: &Spec, fault: &FaultSpec, line: &LineSpec, from_ms: i64) -> f64 {
    match line.rate {
        Rate::PerMinute(rate) => rate,
        Rate::Count(_) if from_ms < spec.alarm_ms + LULL_MS => 0.0,
        Rate::Count(count) => {
            let until = fault.until_ms.unwrap_or(spec.alarm_ms).min(spec.alarm_ms);
            f64::from(count) * 60_000.0 / ((until - fault.at_ms) as f64).max(60_000.0)
        }
    }
}

fn write(rng: &mut Rng, service: &ServiceSpec, line: &LineSpec, at_ms: i64) -> Arc<str> {
    let message = line.text.fill(rng, &service.name);
    if line.raw {
        return message.into();
    }
    let entry = Entry {
        level: line.level,
        logger: line.logger.clone().unwrap_or_else(|| "app.request".to_owned()),
        message,
        stack: line.stack.iter().map(|frame| frame.fill(rng, &service.name)).collect(),
        status: None,
        duration_ms: None,
    };
    background::render(rng, service.log_style, &service.name, at_ms, &entry)
}

fn line(rng: &mut Rng, streams: &[Arc<str>], at_ms: i64, message: Arc<str>) -> Line {
    let stream = random::pick(rng, streams).cloned().unwrap_or_else(|| Arc::from("host/agent"));
    Line { stream, timestamp_ms: at_ms, ingestion_ms: at_ms + rng.random_range(300..2000), message }
}

fn stop_tasks(state: &mut State, spec: &Spec, index: usize, from_ms: i64) {
    let to_ms = from_ms + TICK_MS;
    for (n, fault) in spec.faults.iter().enumerate().filter(|(_, f)| f.service == index) {
        let Some((every, kind, reason)) = &fault.task_stops else { continue };
        // The first falls one interval after the onset, or just after it where that is sooner.
        let first = fault.at_ms + (*every).min(20_000);
        let k = (from_ms - first + every - 1).div_euclid(*every);
        let at_ms = first + k.max(0) * every;
        if (from_ms..to_ms).contains(&at_ms) && state.faults.strength(n, at_ms) > 0.5 {
            state.ecs.kill(index, at_ms, *kind, reason.as_deref(), spec.brought_by(fault));
        }
    }
    for stop in spec.task_stops.iter().filter(|s| s.service == index) {
        if (from_ms..to_ms).contains(&stop.at_ms) {
            state.ecs.kill(index, stop.at_ms, stop.kind, stop.reason.as_deref(), None);
        }
    }
}

/// The daily shape of traffic: lowest around 03:30 UTC.
fn daily(at_ms: i64) -> f64 {
    let day = at_ms.rem_euclid(86_400_000) as f64 / 86_400_000.0;
    1.0 - 0.25 * (std::f64::consts::TAU * (day - 0.146)).cos()
}
