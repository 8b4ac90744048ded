//! Observations in, signals out.

use std::borrow::Cow;

use midwatch_policy::Timestamp;
use serde_json::{Map, Value};

use super::{
    DependencySignal, DeploymentSignal, LineKind, PatternSignal, RunbookSignal, Scene, ScreenedSignal,
    Signals,
    text::{
        ErrorClass, classify, classify_naming, is_access_log, named_outright, named_parties,
        throttled_resource,
    },
};
use crate::{
    brief::DeploymentStatus,
    view::{
        Alarm, AlarmHistory, AlarmList, ChangedFields, Correlation, Deployment, DeploymentList,
        ErrorPatterns, Example, Executions, Health, MetricWindow, Observation, Pattern, RunbookHit,
        RunbookHits, WorkflowComparison, WorkflowFailure,
    },
};

pub(super) fn read(scene: &Scene, observations: &[Observation]) -> Signals {
    let mut signals = Signals { scene: scene.clone(), ..Signals::default() };
    for name in &scene.depends_on {
        dependency(&mut signals, name, Declared::Yes);
    }
    for observation in observations {
        take(&mut signals, observation);
    }
    finish(&mut signals);
    signals
}

fn take(signals: &mut Signals, observation: &Observation) {
    let about = observation.service().map(Cow::into_owned);
    let own = match (&about, &signals.scene.service) {
        (Some(about), Some(own)) => about == own,
        _ => true,
    };
    match observation.tool.as_str() {
        "error_patterns" => {
            if let Some(view) = observation.view::<ErrorPatterns>() {
                take_patterns(signals, view, own, about.as_deref());
            }
        }
        "get_alarm" => {
            if let Some(alarm) = observation.view::<Alarm>()
                && (alarm.name == signals.scene.alarm || (signals.alarm.is_none() && own))
            {
                signals.alarm = Some(alarm);
            }
        }
        "alarm_history" => {
            if let Some(history) = observation.view::<AlarmHistory>()
                && (history.alarm_name == signals.scene.alarm || (signals.history.is_none() && own))
            {
                signals.history = Some(history);
            }
        }
        "list_alarms" => {
            if let Some(list) = observation.view::<AlarmList>() {
                take_alarms(signals, list, own, about.as_deref());
            }
        }
        "metric_window" => {
            if let Some(metric) = observation.view::<MetricWindow>() {
                let role = observation.args.get("role").and_then(|role| role.as_str());
                take_metric(signals, metric, role, own, about.as_deref());
            }
        }
        "service_health" => {
            if let Some(health) = observation.view::<Health>() {
                if own {
                    signals.health = Some(health);
                } else if let Some(name) = about {
                    dependency(signals, &name, Declared::No).health = Some(health);
                }
            }
        }
        "list_deployments" => {
            if let Some(list) = observation.view::<DeploymentList>() {
                signals.deployments_read |= own;
                for found in list.deployments {
                    take_deployment(signals, found, about.as_deref());
                }
            }
        }
        "correlate" => {
            if let Some(correlation) = observation.view::<Correlation>() {
                take_correlation(signals, correlation, about.as_deref());
            }
        }
        "what_changed" => {
            if let Some(changed) = observation.view::<ChangedFields>()
                && let Some(signal) = find_deployment(signals, &changed.deployment_id)
            {
                signal.changed = Some(changed);
            }
        }
        "list_executions" if own => {
            if let Some(found) = observation.view::<Executions>()
                && signals.executions.is_none()
            {
                signals.executions = Some(found);
            }
        }
        "explain_failure" if own => {
            if let Some(found) = observation.view::<WorkflowFailure>() {
                take_workflow_failure(signals, found);
            }
        }
        "compare_executions" if own => {
            signals.workflow_compared =
                observation.view::<WorkflowComparison>().or(signals.workflow_compared.take());
        }
        "search_runbooks" => {
            if let Some(hits) = observation.view::<RunbookHits>() {
                for hit in hits.hits {
                    take_runbook(signals, hit);
                }
            }
        }
        "get_runbook" => {
            if let Some(hit) = observation.view::<RunbookHit>() {
                take_runbook(signals, hit);
            }
        }
        _ => {}
    }
}

fn take_patterns(signals: &mut Signals, view: ErrorPatterns, own: bool, about: Option<&str>) {
    for pattern in &view.patterns {
        let examples = pattern.examples.iter().filter_map(|e| e.evidence.clone());
        if let Some(evidence) = pattern.evidence.clone().or_else(|| examples.into_iter().next()) {
            for finding in &pattern.screened {
                let found = ScreenedSignal { evidence: evidence.clone(), finding: finding.clone() };
                if !signals.screened.contains(&found) {
                    signals.screened.push(found);
                }
            }
        }
    }
    let relevant = view.patterns.iter().filter(|p| is_relevant(p));
    if own {
        for pattern in relevant {
            let signal = pattern_signal(&signals.scene, pattern);
            // A later, narrower look at the same pattern does not count its lines twice.
            match signals.patterns.iter_mut().find(|known| known.template == signal.template) {
                Some(known) if known.count < signal.count => *known = signal,
                Some(_) => {}
                None => signals.patterns.push(signal),
            }
        }
        if signals.errors.is_none() {
            signals.errors = view.errors;
            signals.window_minutes =
                view.from.zip(view.to).map(|(from, to)| to.duration_since(from).as_secs() as f64 / 60.0);
        }
        if signals.activity.is_none() {
            signals.activity = view.activity;
        }
    } else if let Some(name) = about {
        let worst = relevant
            .max_by_key(|p| p.count)
            .and_then(|p| Some((p.evidence.clone()?, p.count, p.onset.or(p.first_seen))));
        let dependency = dependency(signals, name, Declared::No);
        dependency.errors = view.errors;
        dependency.activity = view.activity;
        dependency.worst = worst;
    }
}

/// New or grown, and an error: what is as frequent as before is noise.
fn is_relevant(pattern: &Pattern) -> bool {
    let level = pattern.level.to_uppercase();
    let changed = match pattern.change.as_str() {
        "new" | "grew" => true,
        "steady" | "shrank" | "gone" => false,
        _ => pattern.count > pattern.baseline_count.saturating_mul(2),
    };
    // A few lines more than before are chance, unless the server found a rise or says otherwise.
    let clear = pattern.onset.is_some() || pattern.chance.map_or(pattern.count >= 3, |chance| chance < 0.01);
    changed && clear && pattern.count > 0 && !matches!(level.as_str(), "INFO" | "DEBUG" | "TRACE")
}

fn pattern_signal(scene: &Scene, pattern: &Pattern) -> PatternSignal {
    let mut text = format!("{} {}", pattern.exception.as_deref().unwrap_or_default(), pattern.template);
    // A line that tries to instruct is no witness: of its text only what the miner keeps counts,
    // and it names nobody.
    let screened = !pattern.screened.is_empty();
    if !screened {
        let always = pattern.fields.iter().filter(|field| field.values == 1);
        let mut shared: Map<String, Value> =
            always.map(|field| (field.name.clone(), Value::from(field.value.as_str()))).collect();
        for example in pattern.examples.iter().take(3) {
            text.push('\n');
            text.push_str(&example.message);
            // As they were logged: a host by itself is one only beside the name of its field.
            shared.extend(example.fields.clone());
            if !shared.is_empty() {
                text.push('\n');
                text.push_str(&Value::Object(std::mem::take(&mut shared)).to_string());
            }
        }
    }
    let class = if screened {
        ErrorClass::Program
    } else if !named_outright(&text, &scene.depends_on).is_empty() {
        classify_naming(&text)
    } else {
        classify(&text)
    };
    let names = match class {
        ErrorClass::Call | ErrorClass::Timeout | ErrorClass::Throttling => {
            named_parties(&text, scene.service.as_deref(), &scene.depends_on)
        }
        // A pool is the service's own, whatever it leads to; who is named outright counts all the same.
        ErrorClass::Limit => named_outright(&text, &scene.depends_on),
        ErrorClass::Memory | ErrorClass::Program => Vec::new(),
    };
    let resource =
        (class == ErrorClass::Throttling).then(|| throttled_resource(&text, &scene.depends_on)).flatten();
    let kind = if is_access_log(&pattern.template) {
        LineKind::Request
    } else if pattern.level.to_lowercase().starts_with("warn") {
        LineKind::Warning
    } else {
        LineKind::Error
    };
    let group = |e: &Example| {
        let group = if e.log_group.is_empty() { &pattern.log_group } else { &e.log_group };
        Some(group.clone()).filter(|group| !group.is_empty())
    };
    let example = pattern
        .examples
        .iter()
        .filter(|e| !e.log_stream.is_empty())
        .find_map(|e| Some((group(e)?, e.log_stream.clone(), e.timestamp?)));
    PatternSignal {
        evidence: pattern.evidence.clone().unwrap_or_default(),
        template: pattern.template.clone(),
        text,
        class,
        names,
        resource,
        count: pattern.count,
        baseline_count: pattern.baseline_count,
        is_new: pattern.change == "new" || pattern.baseline_count == 0,
        ongoing: pattern.status != "ceased",
        kind,
        witness: !screened && kind == LineKind::Error,
        first_seen: pattern.first_seen,
        onset: pattern.onset,
        example,
    }
}

fn take_alarms(signals: &mut Signals, list: AlarmList, own: bool, about: Option<&str>) {
    for alarm in list.alarms.into_iter().filter(|alarm| !alarm.name.is_empty()) {
        let whose = alarm.service.clone().or_else(|| about.map(str::to_owned));
        let mine = match (&whose, &signals.scene.service) {
            (Some(whose), Some(mine)) => whose == mine,
            _ => own,
        };
        if let (false, Some(name)) = (mine, whose) {
            dependency(signals, &name, Declared::No).alarms.push(alarm);
        }
    }
}

fn take_metric(
    signals: &mut Signals,
    metric: MetricWindow,
    role: Option<&str>,
    own: bool,
    about: Option<&str>,
) {
    match (role, own, about) {
        (Some("traffic"), true, _) => signals.traffic = Some(metric),
        (Some("errors"), true, _) => signals.error_metric = Some(metric),
        (Some("traffic"), false, Some(name)) => {
            dependency(signals, name, Declared::No).traffic = Some(metric);
        }
        (_, true, _) => signals.metrics.push(metric),
        _ => {}
    }
}

fn take_workflow_failure(signals: &mut Signals, found: WorkflowFailure) {
    if let Some(evidence) = &found.evidence {
        for finding in &found.screened {
            let screened = ScreenedSignal { evidence: evidence.clone(), finding: finding.clone() };
            if !signals.screened.contains(&screened) {
                signals.screened.push(screened);
            }
        }
    }
    if signals.workflow_failure.is_none() {
        signals.workflow_failure = Some(found);
    }
}

fn take_deployment(signals: &mut Signals, found: Deployment, about: Option<&str>) {
    let whose = found.service.clone().or_else(|| about.map(str::to_owned));
    let own = whose.is_none() || whose == signals.scene.service || signals.scene.service.is_none();
    match find_deployment(signals, &found.deployment_id) {
        Some(known) => known.deployment = found,
        None => signals.deployments.push(DeploymentSignal {
            deployment: found,
            own,
            candidate: None,
            changed: None,
        }),
    }
}

fn take_correlation(signals: &mut Signals, correlation: Correlation, about: Option<&str>) {
    for candidate in correlation.candidates.into_iter().filter(|c| !c.deployment_id.is_empty()) {
        if find_deployment(signals, &candidate.deployment_id).is_none() {
            let deployment = Deployment {
                evidence: candidate.evidence.clone(),
                deployment_id: candidate.deployment_id.clone(),
                service: candidate.service.clone(),
                status: candidate.status.unwrap_or(DeploymentStatus::Unknown),
                created_at: candidate.started_at,
                completed_at: None,
                revision: String::new(),
                previous_revision: None,
                creator: None,
                description: None,
            };
            take_deployment(signals, deployment, about);
        }
        if let Some(signal) = find_deployment(signals, &candidate.deployment_id) {
            signal.candidate = Some(candidate);
        }
    }
}

fn find_deployment<'s>(signals: &'s mut Signals, id: &str) -> Option<&'s mut DeploymentSignal> {
    signals.deployments.iter_mut().find(|known| known.deployment.deployment_id == id)
}

fn take_runbook(signals: &mut Signals, hit: RunbookHit) {
    if hit.runbook_id.is_empty() {
        return;
    }
    match signals.runbooks.iter_mut().find(|known| known.hit.runbook_id == hit.runbook_id) {
        Some(known) => {
            let contract = known.hit.contract.clone();
            let better = hit.score > known.hit.score;
            if better {
                known.hit = hit;
            } else if known.hit.contract.is_none() {
                known.hit.contract = hit.contract;
            }
            if known.hit.contract.is_none() {
                known.hit.contract = contract;
            }
        }
        None => signals.runbooks.push(RunbookSignal { hit, matched: None }),
    }
}

#[derive(Clone, Copy)]
enum Declared {
    Yes,
    No,
}

fn dependency<'s>(signals: &'s mut Signals, name: &str, declared: Declared) -> &'s mut DependencySignal {
    let at = signals.dependencies.iter().position(|d| d.name == name).unwrap_or_else(|| {
        signals.dependencies.push(DependencySignal { name: name.to_owned(), ..DependencySignal::default() });
        signals.dependencies.len() - 1
    });
    // The index was just found or made.
    #[allow(clippy::indexing_slicing)]
    let found = &mut signals.dependencies[at];
    if matches!(declared, Declared::Yes) {
        found.declared = true;
    }
    found
}

fn finish(signals: &mut Signals) {
    if !signals.patterns.iter().any(|p| p.witness) {
        // Only warnings or access log lines: better than nothing.
        for pattern in &mut signals.patterns {
            pattern.witness = !signals.screened.iter().any(|s| s.evidence == pattern.evidence);
        }
    }
    // What says something about causes first, then by lines.
    signals.patterns.sort_by(|a, b| {
        let weight = |p: &PatternSignal| (p.witness, p.count);
        weight(b).cmp(&weight(a)).then_with(|| a.template.cmp(&b.template))
    });
    let names: Vec<String> = signals.patterns.iter().flat_map(|p| p.names.clone()).collect();
    for name in names {
        dependency(signals, &name, Declared::No);
    }
    signals.deployments.sort_by_key(|d| std::cmp::Reverse(d.started_at()));
    // What an execution failed with is an error as well as what a log line says. A cause that tries
    // to instruct is no witness: then only its error name counts.
    let failed = signals.workflow_failure.as_ref().and_then(|failure| {
        let cause = failure.cause.as_deref().filter(|_| failure.screened.is_empty()).unwrap_or_default();
        Some((failure.evidence.clone()?, format!("{} {cause}", failure.error.as_deref()?)))
    });
    for runbook in &mut signals.runbooks {
        runbook.matched = runbook.hit.contract.as_ref().and_then(|contract| {
            let for_us = contract.services.is_empty()
                || signals.scene.service.as_ref().is_none_or(|own| contract.services.contains(own));
            let texts = signals.patterns.iter().map(|p| (p.evidence.as_str(), p.text.as_str()));
            let mut pairs = texts
                .chain(failed.iter().map(|(evidence, text)| (evidence.as_str(), text.as_str())))
                .flat_map(|(evidence, text)| contract.signatures.iter().map(move |s| (evidence, text, s)));
            let found = pairs.find(|(_, text, s)| {
                !s.trim().is_empty() && text.to_lowercase().contains(&s.trim().to_lowercase())
            })?;
            for_us.then(|| (found.0.to_owned(), found.2.clone()))
        });
    }
    signals.runbooks.sort_by(|a, b| {
        b.matched.is_some().cmp(&a.matched.is_some()).then_with(|| b.hit.score.total_cmp(&a.hit.score))
    });
    signals.onset = onset(signals);
}

/// The first sign of trouble: the rise of a pattern, or the first line of a new one; the errors'
/// rise; without logs, the error metric's rise or the silence, at last the alarm itself.
fn onset(signals: &Signals) -> Option<Timestamp> {
    let most = signals.patterns.iter().map(|p| p.count).max().unwrap_or(0);
    // A pattern of a few stray lines does not date the incident.
    let weighty = |p: &&PatternSignal| p.count.saturating_mul(4) >= most;
    let of_patterns = signals
        .patterns
        .iter()
        .filter(weighty)
        .filter_map(|p| p.onset.or(p.first_seen.filter(|_| p.is_new)))
        .min();
    let of_errors =
        signals.errors.as_ref().filter(|e| e.total > e.baseline_total).and_then(|e| e.onset.or(e.first_seen));
    let of_metric = signals.error_metric.as_ref().filter(|m| m.change == "up").and_then(|m| m.onset);
    let of_silence = signals.traffic.as_ref().filter(|m| m.change == "stopped").and_then(|m| m.onset);
    // Where executions fail, their first failure dates it; lines of the log may say it a little earlier.
    if let Some(first) = signals.executions.as_ref().filter(|e| e.failing()).and_then(|e| e.first_failure_at)
    {
        let near = |at: &Timestamp| (0..300).contains(&first.duration_since(*at).as_secs());
        return Some(of_patterns.filter(near).unwrap_or(first));
    }
    of_patterns.or(of_errors).or(of_metric).or(of_silence).or(Some(signals.scene.fired_at))
}

impl DeploymentSignal {
    /// When it began.
    pub fn started_at(&self) -> Option<Timestamp> {
        self.deployment.created_at.or_else(|| self.candidate.as_ref()?.started_at)
    }
}
