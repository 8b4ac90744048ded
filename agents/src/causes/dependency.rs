//! Does something else fail? What the errors name, what the named one says of itself, and who was
//! first.

use midwatch_policy::CauseKind;

use super::{RankedCause, Weighing, add_runbook, fact};
use crate::{
    finding::ClaimDraft,
    signals::{DependencySignal, ErrorClass, Signals, is_healthy},
};

/// Whom the errors blame most.
pub(super) struct Blamed {
    /// Its name.
    pub(super) name: String,
    /// Whether it fails by its own account, where it has one.
    pub(super) failing: Option<bool>,
    /// What shows it.
    pub(super) fact: Option<ClaimDraft>,
}

/// The one that most error lines of calls name, if those are a good part of all.
pub(super) fn blamed(signals: &Signals) -> Option<Blamed> {
    let named = |d: &&DependencySignal| share_naming(signals, d);
    let most = signals.dependencies.iter().max_by(|a, b| named(a).total_cmp(&named(b)))?;
    (named(&most) >= 0.3).then(|| Blamed {
        name: most.name.clone(),
        failing: fails(most),
        fact: fact::dependency_alarm(most).or_else(|| fact::dependency_errors(most)),
    })
}

/// The share of error lines that are failing calls and name it. A limit that was reached is first
/// of all the service's own (its pool, its queue); it speaks against whom it names only if that one
/// fails by its own account.
fn share_naming(signals: &Signals, dependency: &DependencySignal) -> f64 {
    let fails = fails(dependency) == Some(true);
    signals.share(|p| {
        let is_call = match p.class {
            ErrorClass::Call | ErrorClass::Timeout => true,
            ErrorClass::Limit => fails,
            ErrorClass::Throttling | ErrorClass::Memory | ErrorClass::Program => false,
        };
        is_call && p.names.contains(&dependency.name)
    })
}

/// Whether it fails by its own account; `None` where it has said nothing.
fn fails(dependency: &DependencySignal) -> Option<bool> {
    let alarm = (!dependency.alarms.is_empty()).then(|| dependency.alarms.iter().any(|a| a.state == "ALARM"));
    let health = dependency.health.as_ref().and_then(is_healthy).map(|healthy| !healthy);
    let errors = dependency.errors.as_ref().map(|e| dependency.worst.is_some() && e.total > e.baseline_total);
    let quiet = dependency.activity.as_ref().map(|a| a.quiet);
    let said: Vec<bool> = [alarm, health, errors, quiet].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.contains(&true))
}

pub(super) fn weigh(signals: &Signals) -> Vec<RankedCause> {
    signals.dependencies.iter().map(|dependency| one(signals, dependency)).collect()
}

fn one(signals: &Signals, dependency: &DependencySignal) -> RankedCause {
    let mut weighing = Weighing::new(CauseKind::Dependency, Some(dependency.name.clone()));
    let share = share_naming(signals, dependency);
    if share > 0.0 {
        let naming = signals.patterns.iter().find(|p| p.names.contains(&dependency.name));
        weighing.add(
            format!("calls to {} fail", dependency.name),
            0.25 + 0.3 * share,
            naming.and_then(fact::pattern),
        );
    }
    // Another's trouble without a trace of it in our errors is a coincidence until shown otherwise,
    // unless our errors are time-outs that name nobody.
    let nameless = signals.share(|p| {
        matches!(p.class, ErrorClass::Call | ErrorClass::Timeout | ErrorClass::Limit) && p.names.is_empty()
    });
    let touched = if share > 0.0 { 1.0 } else { 0.3 + 0.6 * nameless };
    if dependency.declared && (share > 0.0 || nameless > 0.3) {
        weighing.add("the catalog says the service calls it", 0.08, None);
    }
    add_own_account(&mut weighing, signals, dependency, touched);
    if share >= 0.5 && signals.deployments_read && !super::resource::fresh_deployment(signals) {
        weighing.add("nothing was deployed just before", 0.1, None);
    }
    if fails(dependency) == Some(false) {
        weighing.add(format!("{} is well by its own account", dependency.name), -0.35, well(dependency));
    }
    if share >= 0.3 {
        add_runbook(&mut weighing, signals, 0.15);
    }
    weighing.done()
}

fn well(dependency: &DependencySignal) -> Option<ClaimDraft> {
    dependency
        .health
        .as_ref()
        .and_then(|health| fact::tasks(&dependency.name, health))
        .or_else(|| fact::dependency_errors(dependency))
}

fn add_own_account(weighing: &mut Weighing, signals: &Signals, dependency: &DependencySignal, touched: f64) {
    let first = |at: Option<midwatch_policy::Timestamp>| match (at, signals.onset) {
        (Some(at), Some(onset)) => onset.duration_since(at).as_secs() >= -120,
        _ => false,
    };
    if let Some(alarm) = dependency.alarms.iter().find(|alarm| alarm.state == "ALARM") {
        weighing.add("its own alarm is firing", 0.2 * touched, fact::dependency_alarm(dependency));
        if first(alarm.state_since) {
            weighing.add("its alarm began no later than our errors", 0.08 * touched, None);
        }
    }
    let grew = dependency.errors.as_ref().is_some_and(|e| e.total > e.baseline_total.saturating_mul(2));
    if let (true, Some((_, _, onset))) = (grew, &dependency.worst) {
        weighing.add("it logs new errors itself", 0.2 * touched, fact::dependency_errors(dependency));
        if first(*onset) {
            weighing.add("its errors began no later than ours", 0.1 * touched, None);
        }
    }
    if let Some(health) = &dependency.health
        && is_healthy(health) == Some(false)
    {
        weighing.add("its tasks are not well", 0.2 * touched, fact::tasks(&dependency.name, health));
    }
    if dependency.activity.as_ref().is_some_and(|a| a.quiet)
        || dependency.traffic.as_ref().is_some_and(|t| t.change == "stopped")
    {
        weighing.add("it went silent", 0.15 * touched, None);
    }
    if signals.deployments.iter().any(|d| {
        !d.own
            && d.deployment.service.as_deref() == Some(dependency.name.as_str())
            && d.candidate
                .as_ref()
                .and_then(|c| c.seconds_before_onset)
                .is_some_and(|s| (-20..3600).contains(&s))
    }) {
        weighing.add("it was deployed shortly before", 0.1 * touched, None);
    }
}
