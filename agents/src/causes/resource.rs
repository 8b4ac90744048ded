//! The service itself, without a deployment: memory, capacity, limits of managed resources, death.

use std::collections::BTreeMap;

use midwatch_policy::CauseKind;

use super::{RankedCause, Weighing, add_runbook, dependency, fact};
use crate::signals::{ErrorClass, Signals};

pub(super) fn weigh(signals: &Signals) -> Vec<RankedCause> {
    let mut causes = vec![memory(signals), saturation(signals), outage(signals)];
    causes.extend(throttling(signals));
    causes
}

fn alarm_metric(signals: &Signals, parts: &[&str]) -> bool {
    signals.alarm.as_ref().is_some_and(|alarm| {
        let text = format!("{} {}", alarm.metric_name(), alarm.name.to_lowercase());
        parts.iter().any(|part| text.contains(part))
    })
}

/// Whether a deployment of the service began within a quarter of an hour before the onset.
pub(super) fn fresh_deployment(signals: &Signals) -> bool {
    signals.deployments.iter().filter(|d| d.own).any(|d| match (d.started_at(), signals.onset) {
        (Some(at), Some(onset)) => (-20..900).contains(&onset.duration_since(at).as_secs()),
        _ => false,
    })
}

fn memory(signals: &Signals) -> RankedCause {
    let mut weighing = Weighing::new(CauseKind::MemoryLeak, signals.scene.service.clone());
    let kills = signals.oom_kills();
    if kills > 0 {
        let claim = signals
            .health
            .as_ref()
            .and_then(|h| fact::stopped(h, "oom", "stopped because memory ran out (kind `oom`)"));
        weighing.add("tasks were killed for want of memory", if kills > 1 { 0.55 } else { 0.4 }, claim);
    }
    let share = signals.share(|p| p.class == ErrorClass::Memory);
    if share > 0.0 {
        let claim = signals.patterns.iter().find(|p| p.class == ErrorClass::Memory).and_then(fact::pattern);
        weighing.add("errors speak of memory", 0.2 + 0.15 * share, claim);
    }
    let rising = signals.metrics.iter().find(|m| m.metric_name().contains("mem") && m.change == "up");
    if let Some(metric) = rising {
        weighing.add("memory use rises", 0.15, fact::ratio("Memory", metric));
    } else if alarm_metric(signals, &["memory", "heap", "oom"]) {
        weighing.add("the alarm is about memory", 0.15, fact::alarm(signals));
    }
    if weighing.0.factors.is_empty() {
        return weighing.done();
    }
    if signals.health.as_ref().is_some_and(|h| h.restarts >= 2) {
        weighing.add("tasks keep being replaced", 0.05, None);
    }
    let resized = signals.deployments.iter().filter(|d| d.own).any(|d| {
        d.changed.iter().flat_map(|c| &c.changes).any(|c| {
            let text = c.text().to_lowercase();
            ["memory", "heap", "xmx", "max-old-space", "gomemlimit"].iter().any(|word| text.contains(word))
        })
    });
    if resized && fresh_deployment(signals) {
        weighing.add("a deployment just before changed the memory it may use", -0.4, None);
    }
    add_runbook(&mut weighing, signals, 0.15);
    weighing.done()
}

fn saturation(signals: &Signals) -> RankedCause {
    let mut weighing = Weighing::new(CauseKind::Saturation, signals.scene.service.clone());
    let ratio = signals.traffic_ratio();
    let claim = || signals.traffic.as_ref().and_then(|t| fact::ratio("Traffic", t));
    match ratio {
        Some(r) if r >= 2.0 => weighing.add("traffic is at least twice its baseline", 0.42, claim()),
        Some(r) if r >= 1.4 => weighing.add("traffic is well above its baseline", 0.34, claim()),
        Some(r) if r >= 1.2 => weighing.add("traffic is above its baseline", 0.15, claim()),
        Some(_) => weighing.add("traffic did not grow", -0.25, claim()),
        None => {}
    }
    let full = |class: ErrorClass| class == ErrorClass::Limit;
    let share = signals.share(|p| full(p.class));
    if share > 0.0 {
        let pattern = signals.patterns.iter().find(|p| full(p.class));
        weighing.add(
            "pools, queues or limits are used up",
            0.12 + 0.2 * share,
            pattern.and_then(fact::pattern),
        );
    }
    let slow = signals.share(|p| p.class == ErrorClass::Timeout && p.names.is_empty());
    if slow > 0.0 {
        weighing.add("requests time out without naming anybody", 0.15 * slow, None);
    }
    if alarm_metric(
        signals,
        &[
            "cpu",
            "latency",
            "duration",
            "responsetime",
            "queue",
            "concurren",
            "p99",
            "p95",
            "saturat",
            "surge",
        ],
    ) {
        weighing.add("the alarm is about load or latency", 0.12, fact::alarm(signals));
    }
    let busy = signals.metrics.iter().find(|m| {
        m.change == "up"
            && ["cpu", "queue", "concurren", "latency", "responsetime"]
                .iter()
                .any(|p| m.metric_name().contains(p))
    });
    if let Some(metric) = busy {
        weighing.add("load metrics rise", 0.12, fact::ratio("Load", metric));
    }
    if let Some(health) = &signals.health
        && health.stopped_tasks.iter().any(|t| t.kind == "capacity")
    {
        weighing.add(
            "tasks could not be placed for want of capacity",
            0.2,
            fact::stopped(health, "capacity", "stopped for want of capacity"),
        );
    }
    if weighing.0.factors.iter().all(|f| f.weight <= 0.0) {
        return weighing.done();
    }
    if fresh_deployment(signals) {
        weighing.add("a deployment began just before", -0.15, None);
    } else if signals.deployments_read {
        weighing.add("nothing was deployed just before", 0.08, None);
    }
    if signals.oom_kills() > 0 {
        weighing.add("tasks were killed for want of memory", -0.2, None);
    }
    add_runbook(&mut weighing, signals, 0.2);
    weighing.done()
}

/// One cause for each resource that errors name; one for the service where they name none.
fn throttling(signals: &Signals) -> Vec<RankedCause> {
    let mut by_resource: BTreeMap<Option<String>, f64> = BTreeMap::new();
    for pattern in signals.patterns.iter().filter(|p| p.class == ErrorClass::Throttling) {
        let key = pattern.resource.clone().or_else(|| pattern.names.first().cloned());
        let share = signals.share(|p| std::ptr::eq(p, pattern));
        *by_resource.entry(key).or_default() += share;
    }
    // Lines that name nobody belong to the one that others name.
    if by_resource.len() == 2
        && let Some(nameless) = by_resource.remove(&None)
    {
        for share in by_resource.values_mut() {
            *share += nameless;
        }
    }
    by_resource
        .into_iter()
        .map(|(resource, share)| {
            let named = resource.is_some();
            let only =
                || signals.scene.depends_on.first().filter(|_| signals.scene.depends_on.len() == 1).cloned();
            let reference = resource.clone().or_else(only).or_else(|| signals.scene.service.clone());
            let mut weighing = Weighing::new(CauseKind::Throttling, reference);
            let pattern = signals.patterns.iter().find(|p| {
                p.class == ErrorClass::Throttling
                    && (resource.is_none() || p.resource == resource || p.names.first() == resource.as_ref())
            });
            weighing.add(
                "a resource refuses requests over its limit",
                0.3 + 0.3 * share.min(1.0),
                pattern.and_then(fact::pattern),
            );
            if named {
                weighing.add("the errors name it", 0.12, None);
            }
            if alarm_metric(signals, &["throttl", "capacity", "429"]) {
                weighing.add("the alarm is about throttling", 0.15, fact::alarm(signals));
            }
            if signals.traffic_ratio().is_some_and(|r| r >= 1.4) {
                let claim = signals.traffic.as_ref().and_then(|t| fact::ratio("Traffic", t));
                weighing.add("traffic grew as well", 0.05, claim);
            }
            add_runbook(&mut weighing, signals, 0.15);
            weighing.done()
        })
        .collect()
}

fn outage(signals: &Signals) -> RankedCause {
    let mut weighing = Weighing::new(CauseKind::Outage, signals.scene.service.clone());
    let name = signals.scene.service.as_deref().unwrap_or("the service");
    if let Some(health) = &signals.health {
        match (health.running, health.desired) {
            (Some(0), Some(desired)) if desired > 0 => {
                weighing.add("no task is running", 0.7, fact::tasks(name, health));
            }
            (Some(running), Some(desired)) if running.saturating_mul(2) < desired => {
                weighing.add("less than half of its tasks are running", 0.25, fact::tasks(name, health));
            }
            _ => {}
        }
    }
    if signals.traffic_stopped() {
        let claim =
            signals.traffic.as_ref().and_then(|t| fact::metric_stopped("Traffic against its baseline", t));
        weighing.add("traffic stopped", 0.35, claim);
    }
    if signals.activity.as_ref().is_some_and(|a| a.quiet) {
        weighing.add("it logs nothing any more", 0.3, fact::silence(signals));
    }
    if weighing.0.factors.is_empty() {
        return weighing.done();
    }
    if signals.alarm.as_ref().is_some_and(|a| a.state == "INSUFFICIENT_DATA") {
        weighing.add("the alarm has no data", 0.1, fact::alarm(signals));
    }
    let alive = signals.traffic_now().is_some_and(|r| r >= 0.5) && !signals.traffic_stopped();
    if alive && signals.healthy() != Some(false) {
        weighing.add("it still serves traffic", -0.5, None);
    }
    let failed_start = fresh_deployment(signals)
        && signals.health.as_ref().is_some_and(|h| {
            h.stopped_tasks.iter().any(|t| matches!(t.kind.as_str(), "crash" | "image_pull" | "health_check"))
        });
    if failed_start {
        weighing.add("its tasks fail since a deployment just before", -0.3, None);
    }
    if signals.oom_kills() > 1 {
        weighing.add("its tasks were killed for want of memory", -0.25, None);
    }
    if dependency::blamed(signals).is_some_and(|blamed| blamed.failing != Some(false)) {
        weighing.add("its last errors name another that fails", -0.25, None);
    }
    add_runbook(&mut weighing, signals, 0.15);
    weighing.done()
}
