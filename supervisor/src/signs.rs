//! Signs of life: the rules by which an incident may be called over, for closing as transient and
//! for verifying an action alike.
//!
//! INVARIANT: silence is never a sign of life. `INSUFFICIENT_DATA` is not OK; a log without errors
//! counts only beside traffic, or lines, that are there; what cannot be read does not hold.

use midwatch_agents::view::{Alarm, ErrorPatterns, Health, MetricWindow, Pattern};
use midwatch_policy::{Service, SignedDuration, Timestamp, Verification};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::time::Duration;

use crate::{
    alarm::AlarmState,
    case::{Case, args, time},
    event::Condition,
};

/// How late log lines and metric points may arrive.
pub const INGESTION_LAG: Duration = Duration::from_mins(1);
/// The span that is judged.
const SPAN: SignedDuration = SignedDuration::from_mins(2);
/// The span it is compared with.
const BASELINE: SignedDuration = SignedDuration::from_mins(60);
/// Deadline of one look.
const LOOK: Duration = Duration::from_secs(25);
/// Of the usual traffic, how much is near enough.
const NEAR: f64 = 0.5;

/// What was seen at one moment. `None`: it could not be read, or there is nothing to read.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Seen {
    /// State of the alarm.
    pub alarm: Option<AlarmState>,
    /// Since when it is in that state.
    pub alarm_since: Option<Timestamp>,
    /// Error lines a minute, now and usually.
    pub errors: Option<(f64, f64)>,
    /// Of them, a minute: lines of kinds that are clearly new or more frequent than usual.
    pub fresh: Option<f64>,
    /// All lines a minute, now and usually.
    pub lines: Option<(f64, f64)>,
    /// Traffic, as a share of what is usual; none at all is 0.
    pub traffic: Option<f64>,
    /// Whether the catalog says how traffic is measured.
    pub traffic_measured: bool,
    /// Tasks running and wanted.
    pub tasks: Option<(u32, u32)>,
    /// Whether the server calls the service healthy.
    pub healthy: Option<bool>,
    /// What the runbook's contract measures, where it does.
    pub measured: Option<Condition>,
}

impl Seen {
    /// Every condition, and whether it holds.
    pub fn conditions(&self) -> Vec<Condition> {
        let mut all = vec![self.alarm_is_ok()];
        all.extend(self.errors_are_gone());
        all.push(self.lives());
        all.extend(self.tasks_run());
        all.extend(self.measured.clone());
        all
    }

    /// Whether all of them hold.
    pub fn well(&self) -> bool {
        self.conditions().iter().all(|c| c.holds)
    }

    fn alarm_is_ok(&self) -> Condition {
        let text = match self.alarm {
            Some(state) => format!("alarm {state}"),
            None => "alarm unreadable".to_owned(),
        };
        Condition { text, holds: self.alarm == Some(AlarmState::Ok) }
    }

    /// Absent logs are no condition of their own: `lives` is.
    fn errors_are_gone(&self) -> Option<Condition> {
        let (now, usual) = self.errors?;
        // A few lines of the usual kinds more than on average are chance, of new kinds they are not.
        let by_chance = self.fresh.is_some_and(|fresh| fresh <= 0.5) && now <= 4.0 * usual + 2.0;
        let holds = now <= 2.0 * usual + 0.5 || by_chance;
        Some(Condition { text: format!("errors {}/min", short(now)), holds })
    }

    fn lives(&self) -> Condition {
        match (self.traffic_measured, self.traffic, self.lines) {
            (true, Some(share), _) => {
                let text = format!("traffic {:.0} %", share * 100.0);
                Condition { text, holds: share >= NEAR }
            }
            (true, None, _) => Condition { text: "traffic unreadable".to_owned(), holds: false },
            (false, _, Some((now, usual))) => {
                let text = format!("lines {}/min", short(now));
                Condition { text, holds: now > 0.0 && now >= 0.3 * usual }
            }
            (false, _, None) => Condition { text: "no sign of life".to_owned(), holds: false },
        }
    }

    fn tasks_run(&self) -> Option<Condition> {
        let (running, desired) = self.tasks?;
        let holds = desired > 0 && running >= desired && self.healthy != Some(false);
        Some(Condition { text: format!("tasks {running}/{desired}"), holds })
    }
}

/// Looks at everything that tells whether the incident is over. `onset` is when it began: what
/// was before is usual.
pub async fn look(case: &Case, onset: Timestamp) -> Seen {
    let service = case.opened.service.as_ref();
    let (read, logs, traffic, health) = tokio::join!(
        read_alarm(case),
        read_logs(case, service, onset),
        read_traffic(case, service, onset),
        read_health(case, service),
    );
    let minutes = minutes_of(SPAN);
    let usual = minutes_of(BASELINE);
    let rates = |now: u64, before: u64| (now as f64 / minutes, before as f64 / usual);
    let (alarm, alarm_since) = read.map_or((None, None), |(state, since)| (Some(state), since));
    Seen {
        alarm,
        alarm_since,
        errors: logs.as_ref().and_then(|l| l.errors.as_ref()).map(|e| rates(e.total, e.baseline_total)),
        fresh: logs.as_ref().map(|l| {
            l.patterns.iter().filter(|p| is_fresh(p)).map(|p| p.count).sum::<u64>() as f64 / minutes
        }),
        lines: logs.as_ref().and_then(|l| l.activity.as_ref()).map(|a| rates(a.lines, a.baseline_lines)),
        traffic: traffic.as_ref().and_then(share),
        traffic_measured: service.is_some_and(|s| s.traffic.is_some()),
        tasks: health.as_ref().and_then(|h| h.running.zip(h.desired)),
        healthy: health.as_ref().and_then(|h| h.healthy),
        measured: None,
    }
}

/// Whether these are errors of a kind that is new or more frequent, and clearly so. One line of a
/// rare kind that the hour before did not happen to hold is chance; so is a second one of a kind
/// that always came now and then, since every look is at many kinds at once.
fn is_fresh(pattern: &Pattern) -> bool {
    let clear = match pattern.change.as_str() {
        "new" => 0.01,
        "grew" => 0.001,
        _ => return false,
    };
    let warns = pattern.level.to_lowercase().starts_with("warn");
    !warns && pattern.chance.is_none_or(|chance| chance < clear)
}

/// Reads the metric that a runbook's contract verifies by: it has to stay at or below the
/// threshold, and one that cannot be read does not hold.
pub async fn measure(case: &Case, verification: &Verification, onset: Timestamp) -> Option<Condition> {
    let (metric, threshold) = (verification.metric.as_ref()?, verification.threshold?);
    let [from, to, baseline_from, baseline_to] = spans(case.now(), onset);
    let window = [("metric", json!(metric)), from, to, baseline_from, baseline_to];
    let service = case.opened.service.as_ref();
    let read: Option<MetricWindow> = read(case, "metrics", "metric_window", window, service).await;
    let worst = read.and_then(|w| w.points.iter().map(|p| p.value).max_by(f64::total_cmp));
    Some(match worst {
        Some(worst) => Condition {
            text: format!("{} {} of {}", metric.name, short(worst), short(threshold)),
            holds: worst <= threshold,
        },
        None => Condition { text: format!("{} unreadable", metric.name), holds: false },
    })
}

/// `0.7`, `18`.
fn short(rate: f64) -> String {
    if rate > 0.0 && rate < 9.95 { format!("{rate:.1}") } else { format!("{rate:.0}") }
}

fn minutes_of(span: SignedDuration) -> f64 {
    span.as_secs_f64() / 60.0
}

fn earlier(at: Timestamp, span: SignedDuration) -> Timestamp {
    at.saturating_sub(span).unwrap_or(at)
}

/// The span that is judged, ingestion lag left out, and the one it is compared with.
fn spans(now: Timestamp, onset: Timestamp) -> [(&'static str, Value); 4] {
    let lag = SignedDuration::try_from(INGESTION_LAG).unwrap_or_default();
    let to = earlier(now, lag);
    let usual_to = earlier(onset, SignedDuration::from_mins(2));
    [
        ("from", time(earlier(to, SPAN))),
        ("to", time(to)),
        ("baseline_from", time(earlier(usual_to, BASELINE))),
        ("baseline_to", time(usual_to)),
    ]
}

async fn read<T: DeserializeOwned, const N: usize>(
    case: &Case,
    server: &str,
    tool: &str,
    pairs: [(&str, Value); N],
    service: Option<&Service>,
) -> Option<T> {
    let mut arguments = args(pairs);
    if let Some(service) = service {
        arguments.insert("service".to_owned(), json!(service.name));
    }
    let admitted = case.read(server, tool, arguments, LOOK).await.ok()?;
    serde_json::from_value(admitted.result).ok()
}

async fn read_alarm(case: &Case) -> Option<(AlarmState, Option<Timestamp>)> {
    let service = case.opened.service.as_ref();
    let name = [("alarm_name", json!(case.opened.alarm.name))];
    let alarm: Alarm = read(case, "metrics", "get_alarm", name, service).await?;
    Some((serde_json::from_value(Value::String(alarm.state)).ok()?, alarm.state_since))
}

async fn read_logs(case: &Case, service: Option<&Service>, onset: Timestamp) -> Option<ErrorPatterns> {
    let service = service.filter(|s| !s.log_groups.is_empty() || s.ecs.is_some())?;
    read(case, "logs", "error_patterns", spans(case.now(), onset), Some(service)).await
}

async fn read_traffic(case: &Case, service: Option<&Service>, onset: Timestamp) -> Option<MetricWindow> {
    let service = service.filter(|s| s.traffic.is_some())?;
    let [from, to, baseline_from, baseline_to] = spans(case.now(), onset);
    let window = [("role", json!("traffic")), from, to, baseline_from, baseline_to];
    read(case, "metrics", "metric_window", window, Some(service)).await
}

async fn read_health(case: &Case, service: Option<&Service>) -> Option<Health> {
    let service = service.filter(|s| s.ecs.is_some())?;
    let health: Health = read(case, "deployments", "service_health", [], Some(service)).await?;
    health.known.then_some(health)
}

/// Traffic as a share of what is usual.
fn share(window: &MetricWindow) -> Option<f64> {
    if matches!(window.change.as_str(), "stopped" | "missing") {
        return Some(0.0);
    }
    let usual = window.baseline.as_ref().and_then(|b| b.avg);
    let now = window.stats.as_ref().and_then(|s| s.avg);
    match (now, usual, window.ratio) {
        (Some(now), Some(usual), _) if usual > 0.0 => Some(now / usual),
        (_, _, Some(ratio)) => Some(ratio),
        // Nothing is usual, and something is there.
        (Some(now), _, None) => Some(if now > 0.0 { 1.0 } else { 0.0 }),
        (None, _, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn well() -> Seen {
        Seen {
            alarm: Some(AlarmState::Ok),
            alarm_since: None,
            errors: Some((0.0, 0.1)),
            fresh: Some(0.0),
            lines: Some((100.0, 100.0)),
            traffic: Some(0.95),
            traffic_measured: true,
            tasks: Some((4, 4)),
            healthy: Some(true),
            measured: None,
        }
    }

    #[test]
    fn all_signs_together_are_well() {
        assert!(well().well());
    }

    #[test]
    fn each_missing_sign_alone_is_enough_to_stay() {
        type Change = fn(&mut Seen);
        let cases: [(&str, Change); 9] = [
            ("insufficient data", |s| s.alarm = Some(AlarmState::InsufficientData)),
            ("alarm unreadable", |s| s.alarm = None),
            ("errors go on", |s| s.errors = Some((20.0, 0.1))),
            ("traffic gone", |s| s.traffic = Some(0.0)),
            ("traffic unreadable", |s| s.traffic = None),
            ("too few tasks", |s| s.tasks = Some((2, 4))),
            ("scaled to nothing", |s| s.tasks = Some((0, 0))),
            ("unhealthy", |s| s.healthy = Some(false)),
            ("the contract's metric", |s| {
                s.measured = Some(Condition { text: "latency 900 of 500".to_owned(), holds: false });
            }),
        ];
        for (what, change) in cases {
            let mut seen = well();
            change(&mut seen);
            assert!(!seen.well(), "{what}");
        }
    }

    #[test]
    fn a_stray_line_of_a_usual_kind_is_chance_and_one_of_a_new_kind_is_not() {
        let stray = Seen { errors: Some((1.5, 0.2)), ..well() };
        assert!(stray.well());
        assert!(!Seen { fresh: Some(1.5), ..stray.clone() }.well());
        assert!(!Seen { fresh: None, ..stray.clone() }.well());
        assert!(!Seen { errors: Some((8.0, 0.2)), ..stray }.well());
    }

    #[test]
    fn one_line_of_a_rare_kind_is_not_fresh_and_a_rise_is() {
        let pattern = |level: &str, change: &str, chance: Option<f64>| Pattern {
            level: level.to_owned(),
            change: change.to_owned(),
            count: 1,
            chance,
            ..Pattern::default()
        };
        // One line in two minutes, none in sixty: two in sixty-two by chance.
        assert!(!is_fresh(&pattern("ERROR", "new", Some(2.0 / 62.0))));
        assert!(is_fresh(&pattern("ERROR", "new", Some(0.001))));
        assert!(is_fresh(&pattern("ERROR", "grew", None)));
        // Two in two minutes where there were two in sixty.
        assert!(!is_fresh(&pattern("ERROR", "grew", Some(0.006))));
        assert!(is_fresh(&pattern("ERROR", "grew", Some(0.0001))));
        assert!(!is_fresh(&pattern("WARN", "new", Some(0.0001))));
        assert!(!is_fresh(&pattern("ERROR", "steady", Some(0.0001))));
    }

    #[test]
    fn a_dead_service_without_a_traffic_metric_is_not_well() {
        let dead = Seen { traffic: None, traffic_measured: false, lines: Some((0.0, 80.0)), ..well() };
        assert!(!dead.well());
        let unknown = Seen { lines: None, errors: None, ..dead };
        assert!(!unknown.well());
    }
}
