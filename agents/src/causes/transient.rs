//! Did it pass by itself? Only positive signs of life say so; silence is not health.

use midwatch_policy::CauseKind;

use super::{RankedCause, Weighing, fact};
use crate::signals::Signals;

/// Whether everything that closing asks for was seen: the alarm back in OK, the errors over,
/// traffic near its baseline, tasks well, no coming and going. What was not seen is not so.
pub fn is_over(signals: &Signals) -> bool {
    let traffic = signals.traffic_now().map(|ratio| (0.5..=2.0).contains(&ratio));
    let alive = match (traffic, signals.healthy()) {
        (Some(false), _) | (_, Some(false)) | (None, None) => false,
        (Some(true), _) | (None, Some(true)) => true,
    };
    signals.alarm_is_ok()
        && signals.errors_ongoing() == Some(false)
        && alive
        && !signals.silent()
        && !signals.flapping()
        && signals.oom_kills() == 0
}

pub(super) fn weigh(signals: &Signals) -> Vec<RankedCause> {
    if !signals.alarm_is_ok() {
        return Vec::new();
    }
    let mut weighing = Weighing::new(CauseKind::Transient, signals.scene.service.clone());
    weighing.add("the alarm is back in OK", 0.3, fact::alarm(signals));
    match signals.errors_ongoing() {
        Some(false) => weighing.add("the errors are over", 0.25, fact::errors(signals)),
        Some(true) => weighing.add("errors are still being logged", -0.6, fact::errors(signals)),
        None => weighing.add("the logs could not be read", -0.2, None),
    }
    let traffic = signals.traffic.as_ref();
    match signals.traffic_now() {
        Some(ratio) if (0.5..=2.0).contains(&ratio) => {
            weighing.add(
                "traffic is near its baseline",
                0.25,
                traffic.and_then(|t| fact::ratio("Traffic", t)),
            );
        }
        Some(_) => {
            weighing.add(
                "traffic is far from its baseline",
                -0.4,
                traffic.and_then(|t| fact::ratio("Traffic", t)),
            );
        }
        None => weighing.add("traffic is not known", -0.15, None),
    }
    let name = signals.scene.service.as_deref().unwrap_or("the service");
    let tasks = signals.health.as_ref().and_then(|h| fact::tasks(name, h));
    match signals.healthy() {
        Some(true) => weighing.add("its tasks are well", 0.2, tasks),
        Some(false) => weighing.add("its tasks are not well", -0.6, tasks),
        None => {}
    }
    if signals.silent() {
        weighing.add("it went silent", -1.0, fact::silence(signals));
    }
    if signals.flapping() {
        weighing.add("it keeps coming back", -0.6, fact::history(signals));
    }
    if signals.oom_kills() > 0 {
        weighing.add("tasks were killed for want of memory", -0.6, None);
    }
    vec![weighing.done()]
}
