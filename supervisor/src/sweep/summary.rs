//! The first useful summary: a few lines that code writes from what was read, each with the ids
//! of its evidence.

use std::fmt::Write as _;

use midwatch_agents::{signals::Signals, sweep::MissingPart};

use crate::intake::Opened;

use super::line::{clock, fed, plural};

/// Lines of the summary, most important first.
pub(crate) fn lines(opened: &Opened, signals: &Signals, missing: &[MissingPart], late: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let subject = opened.service.as_ref().map_or_else(|| opened.alarm.name.clone(), |s| s.name.to_string());
    lines.extend(errors(&subject, signals));
    lines.extend(executions(signals));
    lines.extend(alarm(signals));
    lines.extend(deployment(signals));
    lines.extend(life(&subject, signals));
    lines.extend(dependencies(signals));
    if lines.is_empty() {
        lines.push(format!("Nothing could be read about {subject} yet."));
    }
    lines.extend(gaps(missing, late));
    lines
}

/// What went wrong, in one line.
pub(crate) fn headline(opened: &Opened, signals: &Signals) -> Option<String> {
    let subject = opened.service.as_ref().map_or_else(|| opened.alarm.name.clone(), |s| s.name.to_string());
    errors(&subject, signals).or_else(|| life(&subject, signals))
}

fn cite(id: Option<&String>) -> String {
    id.map(|id| format!(" [{id}]")).unwrap_or_default()
}

fn errors(subject: &str, signals: &Signals) -> Option<String> {
    let errors = signals.errors.as_ref()?;
    let total = errors.total;
    let mut line = format!(
        "{subject}: {total} error line{} in the window, {} before it",
        plural(total),
        errors.baseline_total
    );
    if let Some(onset) = errors.onset.or(signals.onset) {
        let _ = write!(line, ", since {}", clock(onset));
    }
    line.push_str(&cite(errors.evidence.as_ref()));
    line.push('.');
    if let Some(worst) = signals.patterns.first() {
        let kind = if worst.is_new { "New" } else { "More than before" };
        let text = worst.template.chars().take(160).collect::<String>();
        let _ = write!(line, " {kind}, {} times: {text} [{}].", worst.count, worst.evidence);
    }
    Some(line)
}

fn executions(signals: &Signals) -> Option<String> {
    let found = signals.executions.as_ref().filter(|found| found.failing())?;
    Some(format!(
        "{} of {} executions of {} failed, {} of {} before{}.",
        found.window.failed + found.window.timed_out,
        found.window.started,
        found.name(),
        found.baseline.failed + found.baseline.timed_out,
        found.baseline.started,
        cite(found.evidence.as_ref())
    ))
}

fn alarm(signals: &Signals) -> Option<String> {
    let alarm = signals.alarm.as_ref()?;
    let since = alarm.state_since.map(|at| format!(" since {}", clock(at))).unwrap_or_default();
    let flapping = if signals.flapping() { "; it goes in and out" } else { "" };
    Some(format!(
        "The alarm is in {}{since}{}{flapping}{}.",
        alarm.state,
        cite(alarm.evidence.as_ref()),
        fed(alarm)
    ))
}

fn deployment(signals: &Signals) -> Option<String> {
    if !signals.deployments_read {
        return None;
    }
    let Some(newest) = signals.deployments.iter().find(|d| d.own) else {
        return Some("No deployment of this service in 24 hours.".to_owned());
    };
    let deployment = &newest.deployment;
    let at = deployment.created_at.map(|at| format!(" at {}", clock(at))).unwrap_or_default();
    let status = serde_json::to_value(deployment.status).ok();
    let status = status.as_ref().and_then(|s| s.as_str()).unwrap_or("unknown").replace('_', " ");
    let cited = cite(deployment.evidence.as_ref());
    Some(format!("The last deployment began{at} and is {status}: {}{cited}.", deployment.deployment_id))
}

fn life(subject: &str, signals: &Signals) -> Option<String> {
    let mut line = String::new();
    if let Some(health) = &signals.health
        && let (Some(running), Some(desired)) = (health.running, health.desired)
    {
        let _ = write!(line, "{running} of {desired} tasks run{}.", cite(health.evidence.as_ref()));
    }
    if signals.oom_kills() > 0 {
        let _ = write!(line, " {} were killed for want of memory.", signals.oom_kills());
    }
    if signals.silent() {
        let _ = write!(line, " {subject} went quiet: silence is not health.");
    }
    (!line.is_empty()).then(|| line.trim().to_owned())
}

fn dependencies(signals: &Signals) -> Option<String> {
    let troubled: Vec<String> = signals
        .dependencies
        .iter()
        .filter_map(|d| {
            d.worst.as_ref().map(|(id, count, _)| format!("{} ({count} error lines [{id}])", d.name))
        })
        .collect();
    (!troubled.is_empty()).then(|| format!("Also in trouble: {}.", troubled.join(", ")))
}

fn gaps(missing: &[MissingPart], late: usize) -> Option<String> {
    let mut names: Vec<String> = missing
        .iter()
        .map(|part| match &part.service {
            Some(service) => format!("{} of {service}", part.tool),
            None => part.tool.clone(),
        })
        .collect();
    if late > 0 {
        names.push(format!("{late} part{} still on the way", plural(late as u64)));
    }
    (!names.is_empty()).then(|| format!("Not read yet: {}.", names.join(", ")))
}
