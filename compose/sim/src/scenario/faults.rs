//! `[[fault]]` and its lines.

use super::{
    machines,
    raw::{Cure, Level, RawFault, RawScenario, StopKind},
    reader::Reader,
    spec::{FaultSpec, LineSpec, Rate, Spec},
};

pub(super) fn faults(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    let ids: Vec<String> = raw
        .fault
        .iter()
        .enumerate()
        .map(|(n, f)| {
            f.get_ref().id.as_ref().map_or_else(|| format!("fault-{}", n + 1), |id| id.get_ref().clone())
        })
        .collect();
    for (n, written) in raw.fault.iter().enumerate() {
        let f = written.get_ref();
        let service = r.service(&f.service).unwrap_or(0);
        let follows = f.follows.as_ref().and_then(|name| {
            let found = ids.iter().position(|id| id == name.get_ref()).filter(|at| *at < n);
            if found.is_none() {
                r.problem(
                    name.span(),
                    format!("there is no earlier fault `{}`", name.get_ref()),
                    "a fault can follow one that stands above it; give that one this `id`",
                );
            }
            found
        });
        let deployment = f.deployment.as_ref().and_then(|name| {
            let found = spec.find_deployment(name.get_ref());
            if found.is_none() {
                let (message, remedy) = spec.no_deployment(name.get_ref());
                r.problem(name.span(), message, remedy);
            }
            found
        });
        let fault = fault(r, written.span(), f, service, follows, deployment, spec);
        spec.faults.push(fault);
    }
}

fn fault(
    r: &mut Reader<'_>,
    place: std::ops::Range<usize>,
    f: &RawFault,
    service: usize,
    follows: Option<usize>,
    deployment: Option<usize>,
    spec: &Spec,
) -> FaultSpec {
    let lead = follows.and_then(|i| spec.faults.get(i)).map(|f| f.at_ms);
    let deployed = deployment.and_then(|i| spec.deployments.get(i)).map(|d| d.at_ms + 60_000);
    let at_ms = r.when_or(f.at.as_ref(), lead.or(deployed).unwrap_or(spec.alarm_ms - 180_000));
    let until_ms = f.until.as_ref().map(|text| r.when(text));
    if let (Some(until), Some(text)) = (until_ms, &f.until)
        && until <= at_ms
    {
        r.problem(text.span(), "this fault ends before it begins", "move `until` after `at`");
    }
    if let (Some(at), Some(d)) = (&f.at, deployment.and_then(|i| spec.deployments.get(i)))
        && at_ms < d.at_ms
    {
        r.problem(
            at.span(),
            format!("this fault begins before the deployment `{}` that brings it", d.id),
            "move `at` after the deployment, or remove `deployment`",
        );
    }
    let lines: Vec<LineSpec> = f.line.iter().map(|line| line_spec(r, line, f, service, spec)).collect();
    let silent_effects = f.latency_ms.is_none()
        && f.traffic.is_none()
        && f.cpu.is_none()
        && f.memory.is_none()
        && f.throttles.is_none()
        && f.tasks_down.is_none()
        && f.task_stops.is_none()
        && f.state.is_none()
        && !f.silent;
    let says_error = lines.is_empty() || lines.iter().any(|l| matches!(l.level, Level::Error | Level::Fatal));
    let usual_share = if silent_effects && says_error { 0.2 } else { 0.0 };
    let cured_by = f
        .cured_by
        .as_ref()
        .map_or_else(|| usual_cures(f, follows, deployment), |cures| cures.get_ref().clone().into_vec());
    let eased_by = f.eased_by.as_ref().map(|e| e.get_ref().clone().into_vec()).unwrap_or_default();
    if deployment.is_none() && cured_by.contains(&Cure::Rollback) {
        r.problem(
            f.cured_by.as_ref().map_or(place, toml::Spanned::span),
            "a rollback is to cure this fault, but it names no deployment",
            "add `deployment = \"…\"`",
        );
    }
    let tasks = spec.services.get(service).map_or(1, |s| s.tasks);
    let quiet = f.traffic.as_ref().is_some_and(|t| *t.get_ref() <= 0.0);
    FaultSpec {
        service,
        at_ms,
        until_ms,
        ramp_ms: r.span_or(f.ramp.as_ref(), 0),
        deployment,
        follows,
        cured_by,
        eased_by,
        ease_to: f.ease_to.unwrap_or(0.0).clamp(0.0, 1.0),
        regrows_ms: r.span_or(f.regrows_in.as_ref(), 30 * 60_000),
        needs_tasks: f.needs_tasks.unwrap_or((tasks * 3).div_ceil(2)).max(tasks + 1),
        error_share: r.share(f.error_share.as_ref(), usual_share),
        latency_ms: f.latency_ms.unwrap_or(0.0),
        traffic: f.traffic.as_ref().map_or(1.0, |t| t.get_ref().max(0.0)),
        silent: f.silent || quiet,
        cpu: f.cpu,
        memory: f.memory,
        throttles: f.throttles.as_ref().map(|t| (t.table.clone(), t.per_minute)),
        tasks_down: f.tasks_down.unwrap_or(0),
        task_stops: f.task_stops.as_ref().map(|stops| {
            let every = r.span(&stops.every).max(10_000);
            (every, stops.kind.unwrap_or(StopKind::Crash), stops.reason.clone())
        }),
        state: f.state.as_ref().and_then(|written| machines::state_fault(r, written, service, spec)),
        lines,
    }
}

fn usual_cures(f: &RawFault, follows: Option<usize>, deployment: Option<usize>) -> Vec<Cure> {
    let oom = f.task_stops.as_ref().is_some_and(|t| t.kind == Some(StopKind::Oom));
    if deployment.is_some() {
        vec![Cure::Rollback]
    } else if follows.is_some() || f.eased_by.is_some() {
        Vec::new()
    } else if f.needs_tasks.is_some() {
        vec![Cure::Scale]
    } else if f.memory.is_some() || oom {
        vec![Cure::Restart]
    } else {
        Vec::new()
    }
}

fn line_spec(
    r: &mut Reader<'_>,
    written: &toml::Spanned<super::raw::RawLine>,
    f: &RawFault,
    service: usize,
    spec: &Spec,
) -> LineSpec {
    let line = written.get_ref();
    if line.count.is_some() && line.per_minute.is_some() {
        r.problem(written.span(), "a line has both `count` and `per_minute`", "keep one of them");
    }
    let requests = spec.services.get(service).map_or(0.0, |s| s.requests_per_minute);
    let share = f.error_share.as_ref().map_or(0.1, |s| *s.get_ref());
    // As many lines as requests fail, shared between the fault's lines.
    let usual = (requests * share / f.line.len().max(1) as f64).clamp(2.0, 40.0);
    let stack: Vec<_> =
        line.stack.iter().map(|text| r.template(&toml::Spanned::new(written.span(), text.clone()))).collect();
    LineSpec {
        text: r.template(&line.text),
        level: line.level.unwrap_or(Level::Error),
        rate: match (line.count, line.per_minute) {
            (Some(count), _) => Rate::Count(count),
            (None, rate) => Rate::PerMinute(rate.unwrap_or(usual).clamp(0.0, 6000.0)),
        },
        logger: line.logger.clone(),
        stack,
        raw: line.raw || line.text.get_ref().starts_with('{'),
    }
}
