//! An alarm as its message has it, and what is kept of it.
//!
//! INVARIANT: whatever is read becomes an `Alarm` of the rest of the house here and nowhere else: its texts bounded, free
//! of control characters and of secrets, and marked where that took away what tells it from others.

use std::collections::BTreeMap;

use midwatch_policy::redact;

use super::{Alarm, Watch, WatchedMetric, mark::Mark, message::AlarmError};

/// Longest text that is kept of any one field.
const LONGEST: usize = 2_000;
/// Dimensions that are kept of a metric; `CloudWatch` has no more.
const DIMENSIONS: usize = 30;
/// Those that the catalog finds a service by: they are kept before all others.
const KNOWN: [&str; 4] = ["service", "ServiceName", "ClusterName", "StateMachineArn"];

/// An alarm as its message has it.
pub(super) struct Raw(pub(super) Alarm);

impl Raw {
    /// What is kept of it.
    pub(super) fn keep(self, shape: &'static str) -> Result<Alarm, AlarmError> {
        let said = Mark::of(&self.0);
        let Alarm { name, arn, account, region, reason, description, watch, suppressed, .. } = self.0;
        let alarm = Alarm {
            name: text(name),
            arn: arn.map(text),
            account: account.map(text),
            region: region.map(text),
            reason: text(reason),
            description: description.map(text).filter(|description| !description.is_empty()),
            watch: watched(watch),
            suppressed: suppressed.map(text),
            ..self.0
        };
        if alarm.name.trim().is_empty() {
            return Err(AlarmError::Malformed { shape, problem: "the alarm's name is empty".to_owned() });
        }
        let mark = (Mark::of(&alarm) != said).then_some(said);
        Ok(Alarm { mark, ..alarm })
    }
}

fn watched(watch: Watch) -> Watch {
    match watch {
        Watch::Metric { metric } => Watch::Metric { metric: metric_of(metric) },
        Watch::Math { expression, metrics } => Watch::Math {
            expression: text(expression),
            metrics: metrics.into_iter().map(metric_of).collect(),
        },
        Watch::Composite { rule, children } => {
            Watch::Composite { rule: text(rule), children: children.into_iter().map(text).collect() }
        }
        Watch::Unstated => Watch::Unstated,
    }
}

fn metric_of(metric: WatchedMetric) -> WatchedMetric {
    WatchedMetric {
        namespace: text(metric.namespace),
        name: text(metric.name),
        stat: metric.stat.map(text),
        period_s: metric.period_s,
        dimensions: bounded(metric.dimensions),
    }
}

fn bounded(mut all: BTreeMap<String, String>) -> BTreeMap<String, String> {
    let known: Vec<_> = KNOWN.iter().filter_map(|name| all.remove_entry(*name)).collect();
    known.into_iter().chain(all).take(DIMENSIONS).map(|(name, value)| (text(name), text(value))).collect()
}

/// Bounded, without characters that move a cursor, and without secrets; they are taken out before
/// it is cut, so that none is cut in two and missed.
#[allow(clippy::needless_pass_by_value, reason = "it is mapped over options of texts")]
fn text(raw: String) -> String {
    let raw = shorten(&raw, 10 * LONGEST);
    // First as it stands: some secrets are known by their lines.
    let plain = redact(&raw).text;
    if !plain.chars().any(char::is_control) {
        return shorten(&plain, LONGEST);
    }
    let clean: String = plain.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    shorten(&redact(&clean).text, LONGEST)
}

pub(super) fn shorten(raw: &str, longest: usize) -> String {
    match raw.char_indices().nth(longest) {
        Some((at, _)) => format!("{}…", raw.get(..at).unwrap_or_default()),
        None => raw.to_owned(),
    }
}
