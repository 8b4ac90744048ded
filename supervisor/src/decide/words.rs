//! The probable cause in a sentence or two.

use std::fmt::Write as _;

use midwatch_agents::signals::Signals;
use midwatch_policy::{CauseKind, screen};

use super::Diagnosis;

/// Why no cause is named: because the evidence names none, or because there is no evidence.
pub(crate) fn no_cause(signals: &Signals) -> &'static str {
    if signals.nothing_read() {
        "nothing could be read that would name a cause: no logs, metrics, tasks or deployments"
    } else {
        "the evidence names no cause"
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_uppercase().chain(letters).collect()).unwrap_or_default()
}

pub(super) fn cause(diagnosis: &Diagnosis, signals: &Signals) -> String {
    let which = diagnosis.cause.reference.as_deref().unwrap_or("one that is not named");
    let mut text = match diagnosis.cause.kind {
        CauseKind::Deployment => format!("Probably the deployment {which} brought it."),
        CauseKind::Dependency => format!("Probably something it depends on fails: {which}."),
        CauseKind::MemoryLeak => format!("Probably {which} runs out of memory until its tasks are killed."),
        CauseKind::Saturation => format!("Probably {which} has more work than it can do."),
        CauseKind::Throttling => {
            format!("Probably {which} is throttled: requests over its limit are refused.")
        }
        CauseKind::Outage => format!("Probably {which} is down."),
        CauseKind::Transient => "It seems to have passed by itself.".to_owned(),
        CauseKind::Unknown => capital(no_cause(signals)) + ".",
    };
    if diagnosis.cause.kind == CauseKind::Deployment
        && let Some(signal) = signals
            .deployments
            .iter()
            .find(|d| Some(&d.deployment.deployment_id) == diagnosis.cause.reference.as_ref())
    {
        if let Some(seconds) = signal.candidate.as_ref().and_then(|c| c.seconds_before_onset) {
            let side = if seconds >= 0 { "before" } else { "after" };
            let _ = write!(text, " It began {} s {side} the trouble.", seconds.abs());
        }
        let description = signal.deployment.description.as_deref().unwrap_or_default();
        // People decide by this text: words that give orders to a reader are not among it.
        if !screen(description).is_empty() {
            text.push_str(" Its message gives orders to whoever reads it, and is not repeated here.");
        } else if !description.is_empty() {
            // Between marks that it cannot close.
            let quoted: String = description.replace('"', "'").chars().take(120).collect();
            let _ = write!(text, " Its author wrote: \"{quoted}\".");
        }
    }
    let for_it: Vec<&str> =
        diagnosis.factors.iter().filter(|f| f.weight > 0.0).take(3).map(|f| f.text.as_str()).collect();
    if !for_it.is_empty() && diagnosis.cause.kind != CauseKind::Unknown {
        let _ = write!(text, " What speaks for it: {}.", for_it.join("; "));
    }
    text
}
