//! `[[task_stop]]`, `[[log]]` and `[[inject]]`.

use super::{
    raw::{InjectKind, RawInject, RawScenario, StopKind},
    reader::Reader,
    spec::{Spec, TaskStopSpec},
};
use crate::{
    logs::Line,
    wire::{Injection, Misbehaviour, WireError},
};

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
    const SERVICES: [&str; 8] =
        ["logs", "cloudwatch", "codedeploy", "ecs", "states", "sts", "bedrock", "bedrock-agent"];
    for written in &raw.inject {
        let i = written.get_ref();
        let api = i.api.get_ref();
        let service = api.split_once(':').map_or(api.as_str(), |(service, _)| service);
        let known = SERVICES.contains(&service) && api.contains(':');
        if !known && !api.contains('*') {
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
