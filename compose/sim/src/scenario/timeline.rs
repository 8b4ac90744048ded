//! Deployments, faults, series, alarms and what else happens at a time.

use std::collections::BTreeMap;

use rand::RngExt;

use super::{
    raw::{
        AlarmMetric, Comparison, Cure, DeployKind, DeploymentStatus, InjectKind, Level, Missing, RawAlarm,
        RawDeployment, RawFault, RawInject, RawScenario, StopKind,
    },
    reader::Reader,
    spec::{
        AlarmSource, AlarmSpec, DeploymentSpec, FaultSpec, LineSpec, Rate, SeriesSpec, Spec, TaskStopSpec,
    },
};
use crate::{
    logs::Line,
    random,
    wire::{Injection, Misbehaviour, WireError},
};

const DAY_MS: i64 = 86_400_000;

pub(super) fn deployments(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    for (n, written) in raw.deployment.iter().enumerate() {
        let d = written.get_ref();
        let Some(service) = r.service(&d.service) else { continue };
        let deployment = deployment(r, d, n, service, spec);
        if spec.deployments.iter().any(|other| other.id == deployment.id) {
            r.problem(
                d.id.as_ref().map_or(written.span(), toml::Spanned::span),
                format!("deployment `{}` stands there twice", deployment.id),
                "give each an id of its own",
            );
        }
        spec.deployments.push(deployment);
    }
    // What ran before: every service has a deployment that can be gone back to.
    for index in 0..spec.services.len() {
        let Some(service) = spec.services.get(index) else { continue };
        let mut rng = random::generator(spec.seed, &service.name, 1);
        let first = raw
            .deployment
            .iter()
            .map(toml::Spanned::get_ref)
            .filter(|d| d.service.get_ref() == &service.name)
            .filter_map(|d| d.previous_commit.as_ref())
            .next();
        let before = spec
            .deployments
            .iter()
            .filter(|d| d.service == index)
            .map(|d| d.at_ms)
            .min()
            .unwrap_or(spec.alarm_ms)
            .min(spec.begin_ms);
        let at_ms = before - rng.random_range(5..12) * DAY_MS - rng.random_range(0..20_000_000);
        spec.deployments.push(DeploymentSpec {
            service: index,
            id: generated_id(&mut rng, service.deploys_with),
            kind: service.deploys_with,
            at_ms,
            takes_ms: 180_000,
            status: DeploymentStatus::Succeeded,
            commit: full_commit(first.map_or("", |c| c.get_ref()), &mut rng),
            author: "release-bot".to_owned(),
            pull_request: rng.random_range(300..900),
            message: format!("Routine release of {}", service.name),
            env: BTreeMap::new(),
            routine: true,
        });
    }
}

fn deployment(
    r: &mut Reader<'_>,
    d: &RawDeployment,
    n: usize,
    service: usize,
    spec: &Spec,
) -> DeploymentSpec {
    let mut rng = random::generator(spec.seed, "deployment", i64::try_from(n).unwrap_or(0));
    let kind = spec.services.get(service).map_or(DeployKind::Ecs, |s| s.deploys_with);
    if let Some(wanted) = d.kind
        && wanted != kind
    {
        r.problem(
            d.service.span(),
            format!("`{}` is deployed in two ways", d.service.get_ref()),
            "use one `kind` for all deployments of a service, or set `deploys_with` on the service",
        );
    }
    let id = d.id.as_ref().map_or_else(|| generated_id(&mut rng, kind), |id| id.get_ref().clone());
    if let Some(text) = &d.id
        && let Err(why) = midwatch_policy::AwsName::parse(text.get_ref().clone())
    {
        r.problem(text.span(), why.to_string(), "use an id such as `d-8K2LQ7XVN`");
    }
    let status = d.status.unwrap_or(DeploymentStatus::Succeeded);
    let at_ms = r.when(&d.at);
    let default_takes = if status == DeploymentStatus::InProgress { 30 * 60_000 } else { 50_000 };
    let takes_ms = r.span_or(d.takes.as_ref(), default_takes).max(1000);
    let ends_ms = at_ms + takes_ms;
    if status == DeploymentStatus::InProgress && (ends_ms <= spec.start_ms || at_ms > spec.start_ms) {
        r.problem(
            d.at.span(),
            "a deployment in progress has to have begun before the alarm is delivered and end after it",
            "move `at`, or make `takes` longer",
        );
    }
    if status != DeploymentStatus::InProgress && ends_ms > spec.start_ms && at_ms <= spec.start_ms {
        r.problem(
            d.at.span(),
            "this deployment is still running when the alarm is delivered",
            "set `status = \"in_progress\"`, move `at` earlier, or make `takes` shorter",
        );
    }
    if at_ms > spec.start_ms {
        r.problem(
            d.at.span(),
            "this deployment lies in the future of the alarm",
            "move `at` before the alarm: later deployments are only made by actions",
        );
    }
    let commit = full_commit(d.commit.as_ref().map_or("", |c| c.get_ref()), &mut rng);
    DeploymentSpec {
        service,
        id,
        kind,
        at_ms,
        takes_ms,
        status,
        commit,
        author: d.author.clone().unwrap_or_else(|| "dev-team".to_owned()),
        pull_request: d.pull_request.unwrap_or_else(|| rng.random_range(1000..4000)),
        message: d.message.clone().unwrap_or_else(|| "Release".to_owned()),
        env: d.env.clone(),
        routine: false,
    }
}

fn generated_id(rng: &mut random::Rng, kind: DeployKind) -> String {
    match kind {
        DeployKind::CodeDeploy => {
            let letters: Vec<char> = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789".chars().collect();
            let tail: String = (0..9).filter_map(|_| random::pick(rng, &letters)).collect();
            format!("d-{tail}")
        }
        DeployKind::Ecs => random::hex(rng, 21),
    }
}

/// Fills a short commit up to forty digits.
fn full_commit(text: &str, rng: &mut random::Rng) -> String {
    let rest = random::hex(rng, 40_usize.saturating_sub(text.len()));
    format!("{text}{rest}")
}

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
                r.problem(
                    name.span(),
                    format!("there is no deployment `{}`", name.get_ref()),
                    "use the `id` of a [[deployment]], or the name of a service that has exactly one",
                );
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
}

fn alarm(
    r: &mut Reader<'_>,
    place: std::ops::Range<usize>,
    a: &RawAlarm,
    service: usize,
    spec: &Spec,
) -> AlarmSpec {
    let metric = a.metric.unwrap_or(AlarmMetric::ErrorRate);
    let named = spec.services.get(service);
    let name = named.map_or("", |s| s.name.as_str());
    let (suffix, stat, comparison, threshold, missing) = match metric {
        AlarmMetric::ErrorRate => ("5xx-error-rate", "Average", Comparison::Greater, 5.0, Missing::Missing),
        AlarmMetric::Errors => ("5xx-count", "Sum", Comparison::Greater, 10.0, Missing::NotBreaching),
        AlarmMetric::Requests => {
            let low = named.map_or(1.0, |s| s.requests_per_minute * 0.2);
            ("traffic-low", "Sum", Comparison::Less, low, Missing::Breaching)
        }
        AlarmMetric::LatencyMs => ("latency-p99", "p99", Comparison::Greater, 1000.0, Missing::Missing),
        AlarmMetric::Cpu => ("cpu-high", "Average", Comparison::Greater, 85.0, Missing::Missing),
        AlarmMetric::Memory => ("memory-high", "Average", Comparison::Greater, 85.0, Missing::Missing),
        AlarmMetric::Throttles => {
            ("throttled-requests", "Sum", Comparison::Greater, 10.0, Missing::NotBreaching)
        }
        AlarmMetric::RunningTasks => {
            let all = named.map_or(1.0, |s| f64::from(s.tasks));
            ("running-tasks-low", "Minimum", Comparison::Less, all, Missing::Breaching)
        }
    };
    let source = match &a.series {
        None => AlarmSource::Metric(metric),
        Some(wanted) => match spec.series.iter().position(|s| &s.name == wanted.get_ref()) {
            Some(index) => AlarmSource::Series(index),
            None => {
                r.problem(
                    wanted.span(),
                    format!("there is no series `{}`", wanted.get_ref()),
                    "use the `name` of a [[series]]",
                );
                AlarmSource::Metric(metric)
            }
        },
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

pub(super) fn task_stops(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    for written in &raw.task_stop {
        let t = written.get_ref();
        let Some(service) = r.service(&t.service) else { continue };
        let at_ms = r.when(&t.at);
        let kind = t.kind.unwrap_or(StopKind::Crash);
        spec.task_stops.push(TaskStopSpec { service, at_ms, kind, reason: t.reason.clone() });
    }
}

pub(super) fn logs(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    for written in &raw.log {
        let log = written.get_ref();
        let service = log.service.as_ref().and_then(|name| r.service(name));
        let group = log
            .group
            .clone()
            .or_else(|| service.and_then(|i| spec.services.get(i)).map(|s| s.log_group.clone()));
        let Some(group) = group else {
            r.problem(written.span(), "these lines have no log group", "add `service` or `group`");
            continue;
        };
        let stream: std::sync::Arc<str> = log.stream.clone().unwrap_or_else(|| "imported".to_owned()).into();
        let mut lines: Vec<Line> = Vec::new();
        let mut add = |at_ms: i64, text: &str| {
            lines.push(Line {
                stream: stream.clone(),
                timestamp_ms: at_ms,
                ingestion_ms: at_ms + 800,
                message: text.into(),
            });
        };
        match (&log.file, &log.text) {
            (None, Some(text)) => {
                let at = r.when_or(log.at.as_ref(), spec.alarm_ms - 60_000);
                add(at, text);
            }
            (Some(file), None) => {
                let path = r.file.parent().unwrap_or(std::path::Path::new(".")).join(file.get_ref());
                match std::fs::read_to_string(&path) {
                    Ok(text) => {
                        for (n, (at, message)) in entries(&text).into_iter().enumerate() {
                            let Some(at) = at else {
                                r.problems.push(super::Problem {
                                    file: path.clone(),
                                    line: n + 1,
                                    message: "this line begins with no time".to_owned(),
                                    remedy: "begin it with `2026-11-21T02:01:00Z ` or `-3m `; indent it to \
                                             continue the line before"
                                        .to_owned(),
                                });
                                continue;
                            };
                            let at = r.when(&toml::Spanned::new(file.span(), at));
                            add(at, &message);
                        }
                    }
                    Err(why) => r.problem(
                        file.span(),
                        format!("`{}` cannot be read: {why}", file.get_ref()),
                        "name a file beside scenario.toml",
                    ),
                }
            }
            _ => r.problem(written.span(), "a [[log]] has either `file` or `text`", "write one of them"),
        }
        spec.logs.push((group, lines));
    }
}

/// Lines of a log file with the time they begin with; indented lines continue the one before.
fn entries(text: &str) -> Vec<(Option<String>, String)> {
    let mut out: Vec<(Option<String>, String)> = Vec::new();
    for line in text.lines().filter(|l| !l.trim().is_empty()) {
        if line.starts_with([' ', '\t'])
            && let Some((_, last)) = out.last_mut()
        {
            last.push('\n');
            last.push_str(line);
            continue;
        }
        let (at, rest) = line.split_once(' ').unwrap_or((line, ""));
        let known = crate::time::parse_span(at).is_some() || at.parse::<jiff::Timestamp>().is_ok();
        out.push((known.then(|| at.to_owned()), rest.to_owned()));
    }
    out
}

pub(super) fn injections(r: &mut Reader<'_>, raw: &RawScenario, spec: &mut Spec) {
    const SERVICES: [&str; 7] =
        ["logs", "cloudwatch", "codedeploy", "ecs", "sts", "bedrock", "bedrock-agent"];
    for written in &raw.inject {
        let i = written.get_ref();
        let api = i.api.get_ref();
        let service = api.split_once(':').map_or(api.as_str(), |(service, _)| service);
        if !api.contains('*') && !(SERVICES.contains(&service) && api.contains(':')) {
            r.problem(
                i.api.span(),
                format!("`{api}` is no API of this world"),
                format!(
                    "write `service:Operation`, `*` matches anything; services are {}",
                    SERVICES.join(", ")
                ),
            );
        }
        let by_ms = r.span_or(i.by.as_ref(), 60_000);
        spec.injections.push(Injection {
            api: api.clone(),
            contains: i.contains.clone(),
            misbehaviour: misbehaviour(i, by_ms),
            from_ms: r.when_or(i.from.as_ref(), i64::MIN),
            until_ms: r.when_or(i.until.as_ref(), i64::MAX),
            skip: i.skip,
            times: i.times,
            seen: 0,
        });
    }
}

fn misbehaviour(i: &RawInject, by_ms: i64) -> Misbehaviour {
    let (code, status, message) = match *i.fails_with.get_ref() {
        InjectKind::Slow => return Misbehaviour::Slow { ms: by_ms },
        InjectKind::TimeOut => return Misbehaviour::TimeOut { ms: by_ms },
        InjectKind::TimeOutAfterEffect => return Misbehaviour::TimeOutAfterEffect { ms: by_ms },
        InjectKind::Throttling => ("ThrottlingException", 400, "Rate exceeded"),
        InjectKind::AccessDenied => (
            "AccessDeniedException",
            400,
            "User: arn:aws:sts::123456789012:assumed-role/midwatch/world is not authorized to perform this \
             action because no identity-based policy allows it",
        ),
        InjectKind::ExpiredCredentials => {
            ("ExpiredTokenException", 403, "The security token included in the request is expired")
        }
        InjectKind::ServerError => ("InternalServerException", 500, "An internal error occurred"),
        InjectKind::Unavailable => {
            ("ServiceUnavailableException", 503, "The service is temporarily unavailable")
        }
        InjectKind::NotFound => ("ResourceNotFoundException", 400, "The resource does not exist"),
        InjectKind::Error => ("ServiceException", 500, "The call failed"),
    };
    // Bedrock's REST protocol answers throttling with 429 and denied access with 403.
    let status = match (i.api.get_ref().starts_with("bedrock"), *i.fails_with.get_ref()) {
        (true, InjectKind::Throttling) => 429,
        (true, InjectKind::AccessDenied) => 403,
        (true, InjectKind::NotFound) => 404,
        _ => status,
    };
    Misbehaviour::Error(WireError::with_status(
        i.code.as_deref().unwrap_or(code),
        i.status.unwrap_or(status),
        i.message.clone().unwrap_or_else(|| message.to_owned()),
    ))
}

impl Spec {
    /// The deployment an author means: by its id, or by a service that has exactly one written.
    pub(super) fn find_deployment(&self, text: &str) -> Option<usize> {
        if let Some(index) = self.deployments.iter().position(|d| d.id == text) {
            return Some(index);
        }
        let service = self.services.iter().position(|s| s.name == text)?;
        let recent = |d: &&DeploymentSpec| d.service == service && !d.routine;
        let mut of_service = self.deployments.iter().filter(recent);
        let only = of_service.next()?;
        if of_service.next().is_some() {
            return None;
        }
        self.deployments.iter().position(|d| d.id == only.id)
    }

    /// The ARN of an ECS service deployment.
    pub(crate) fn service_deployment_arn(&self, deployment: &DeploymentSpec) -> String {
        let (cluster, name) =
            self.services.get(deployment.service).map_or(("", ""), |s| (s.cluster.as_str(), s.name.as_str()));
        format!(
            "arn:aws:ecs:{}:{}:service-deployment/{cluster}/{name}/{}",
            self.region, self.account, deployment.id
        )
    }
}
