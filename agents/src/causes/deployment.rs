//! Did a deployment bring it? Closeness in time alone is weak; what the errors are about, what the
//! deployment changed and what else fails decide.

use std::collections::BTreeSet;

use midwatch_policy::{CauseKind, Timestamp};

use super::{RankedCause, Weighing, add_runbook, dependency, fact};
use crate::{
    brief::DeploymentStatus,
    signals::{
        DeploymentSignal, ErrorClass, Signals,
        text::{contains_word, words},
    },
};

/// Clocks of deployments and log lines differ a little.
const SLACK_S: i64 = 20;

pub(super) fn weigh(signals: &Signals) -> Vec<RankedCause> {
    let Some(onset) = signals.onset else { return Vec::new() };
    let own: Vec<&DeploymentSignal> = signals.deployments.iter().filter(|d| d.own).collect();
    // Of several before the onset, the newest is the first suspect.
    let newest_before =
        own.iter().filter_map(|d| d.started_at()).filter(|at| seconds(*at, onset) >= -SLACK_S).max();
    own.into_iter().filter_map(|d| one(signals, d, onset, newest_before)).collect()
}

fn one(
    signals: &Signals,
    signal: &DeploymentSignal,
    onset: Timestamp,
    newest_before: Option<Timestamp>,
) -> Option<RankedCause> {
    let started = signal.started_at()?;
    let id = &signal.deployment.deployment_id;
    let mut weighing = Weighing::new(CauseKind::Deployment, Some(id.clone()));
    if seconds(started, onset) < -SLACK_S {
        weighing.add("it began after the onset", -1.0, fact::correlation(signal));
        return Some(weighing.done());
    }
    let near = closeness(signal, started, onset);
    weighing.add(
        if near >= 0.5 { "it began shortly before the onset" } else { "it began before the onset" },
        0.38 * near,
        fact::correlation(signal).or_else(|| fact::deployment(signal)),
    );
    if newest_before.is_some_and(|newest| newest > started) {
        weighing.add("a newer deployment lies between it and the onset", -0.2, None);
    }
    add_errors(&mut weighing, signals, started, near);
    add_changes(&mut weighing, signals, signal, near);
    add_health(&mut weighing, signals, started, near);
    if matches!(signal.deployment.status, DeploymentStatus::Failed | DeploymentStatus::RolledBack)
        && near > 0.3
    {
        weighing.add("it failed or was taken back", 0.1, fact::deployment(signal));
    }
    let alarm = signals.traffic_ratio().filter(|ratio| *ratio >= 1.5);
    if alarm.is_some() && signals.share(|p| matches!(p.class, ErrorClass::Limit | ErrorClass::Timeout)) >= 0.5
    {
        let claim = signals.traffic.as_ref().and_then(|t| fact::ratio("Traffic", t));
        weighing.add("traffic grew as well, which would explain it", -0.2, claim);
    }
    super::workflow::add_to_deployment(&mut weighing, signals, onset, near);
    add_runbook(&mut weighing, signals, 0.2);
    Some(weighing.done())
}

fn add_errors(weighing: &mut Weighing, signals: &Signals, started: Timestamp, near: f64) {
    let fresh = signals
        .patterns
        .iter()
        .find(|p| p.is_new && p.first_seen.or(p.onset).is_some_and(|at| seconds(started, at) >= -SLACK_S));
    match fresh {
        Some(pattern) => {
            weighing.add("its errors are new since then", 0.1 + 0.15 * near, fact::pattern(pattern));
        }
        None if !signals.patterns.is_empty() => {
            weighing.add(
                "the errors had occurred before it",
                -0.1,
                signals.patterns.first().and_then(fact::pattern),
            );
        }
        None => {}
    }
    let program = signals.share(|p| matches!(p.class, ErrorClass::Program));
    let limit = signals.share(|p| p.class == ErrorClass::Limit);
    if program + limit >= 0.5 {
        weighing.add("the errors are about the service itself", 0.12, None);
    }
    let throttled = signals.share(|p| p.class == ErrorClass::Throttling);
    if throttled >= 0.4 {
        weighing.add("the errors are refusals of a resource over its limit", -0.35, None);
    }
    let memory = signals.share(|p| p.class == ErrorClass::Memory);
    if signals.oom_kills() >= 1 || memory >= 0.4 {
        weighing.add("tasks ran out of memory, which builds up over time", -0.25, None);
    }
}

fn add_changes(weighing: &mut Weighing, signals: &Signals, signal: &DeploymentSignal, near: f64) {
    let elsewhere = dependency::blamed(signals);
    // What it changed, and not what its author wrote of it: words that anybody can choose weigh nothing.
    let changes: Vec<String> =
        signal.changed.iter().flat_map(|c| &c.changes).map(crate::view::Change::text).collect();
    let told = changes.join(" ");
    let names_blamed = elsewhere.as_ref().is_some_and(|blamed| {
        let told = told.to_lowercase();
        contains_word(&told, &blamed.name.to_lowercase())
    });
    if let Some(blamed) = &elsewhere {
        if names_blamed {
            weighing.add(
                format!("it changed how the service calls {}, which the errors name", blamed.name),
                0.25,
                changed_field(signal, &blamed.name),
            );
        } else if blamed.failing == Some(false) && near >= 0.5 {
            weighing.add(format!("the errors name {}, which is well itself", blamed.name), -0.05, None);
        } else {
            let weight = if blamed.failing == Some(true) { -0.5 } else { -0.3 };
            weighing.add(
                format!("the errors name {}, which it did not change", blamed.name),
                weight,
                blamed.fact.clone(),
            );
        }
    }
    let shared = shared_words(signals, &told);
    if !shared.is_empty() && !names_blamed {
        let list = shared.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
        let field = shared.iter().find_map(|word| changed_field(signal, word));
        weighing.add(format!("what it changed and what fails share: {list}"), 0.12, field);
    }
}

fn changed_field(signal: &DeploymentSignal, about: &str) -> Option<crate::finding::ClaimDraft> {
    let about = about.to_lowercase();
    let mut changes = signal.changed.as_ref()?.changes.iter();
    let change = changes.find(|c| {
        let text = c.text();
        words(&text).contains(&about) || contains_word(&text.to_lowercase(), &about)
    })?;
    fact::change(signal, &change.field)
}

/// Distinctive words that stand in the errors and in what changed.
fn shared_words(signals: &Signals, told: &str) -> Vec<String> {
    const COMMON: [&str; 50] = [
        "error",
        "errors",
        "failed",
        "failure",
        "exception",
        "warn",
        "fatal",
        "with",
        "from",
        "this",
        "that",
        "java",
        "lang",
        "util",
        "null",
        "none",
        "true",
        "false",
        "task",
        "definition",
        "image",
        "version",
        "release",
        "update",
        "updated",
        "change",
        "changed",
        "deploy",
        "deployment",
        "service",
        "request",
        "http",
        "https",
        "host",
        "timeout",
        "timed",
        "code",
        "status",
        "message",
        "type",
        "value",
        "name",
        "main",
        "thread",
        "module",
        "file",
        "line",
        "call",
        "unable",
        "after",
    ];
    let own: BTreeSet<String> = words(signals.scene.service.as_deref().unwrap_or_default());
    let told = words(told);
    let mut shared: BTreeSet<String> = BTreeSet::new();
    for pattern in signals.patterns.iter().filter(|p| p.witness) {
        shared.extend(words(&pattern.template).intersection(&told).cloned());
    }
    shared.retain(|word| {
        word.chars().count() >= 4
            && !word.chars().any(|c| c.is_ascii_digit())
            && !own.contains(word)
            && !COMMON.contains(&word.as_str())
    });
    shared.into_iter().collect()
}

fn add_health(weighing: &mut Weighing, signals: &Signals, started: Timestamp, near: f64) {
    let Some(health) = &signals.health else { return };
    let failing = ["crash", "image_pull", "health_check"].into_iter().find(|kind| {
        health
            .stopped_tasks
            .iter()
            .any(|t| t.kind == *kind && t.stopped_at.is_some_and(|at| seconds(started, at) >= -SLACK_S))
    });
    if let Some(kind) = failing
        && near >= 0.3
    {
        let weight = if health.running == Some(0) { 0.45 } else { 0.2 };
        weighing.add("tasks fail since it began", weight, fact::stopped(health, kind, "failed since then"));
    }
}

/// 1 while it rolls out and in the ten minutes after, then half for every half hour.
fn closeness(signal: &DeploymentSignal, started: Timestamp, onset: Timestamp) -> f64 {
    let end = signal.deployment.completed_at.filter(|end| *end >= started).unwrap_or(started);
    let beyond = (seconds(end, onset) - 600).max(0) as f64;
    let fading = 0.5_f64.powf(beyond / 1800.0);
    // A rollout that never ends does not stay suspect for ever.
    let since_start = 0.5_f64.powf((seconds(started, onset) - 5400).max(0) as f64 / 1800.0);
    fading.min(since_start).max(0.05)
}

fn seconds(from: Timestamp, to: Timestamp) -> i64 {
    to.duration_since(from).as_secs()
}
