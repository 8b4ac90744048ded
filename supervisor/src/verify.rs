//! Verify: after an action, recovery is watched until it has held for the runbook's stability
//! window, by the same signs as closing.

use std::time::Duration;

use midwatch_policy::{SignedDuration, Timestamp, Verification};
use serde::{Deserialize, Serialize};

use crate::{
    alarm::AlarmState,
    case::Case,
    event::Event,
    signs::{self, Seen},
};

/// How often it is looked at, on the incident's clock.
const EVERY: Duration = Duration::from_secs(30);
/// How long recovery may take to begin.
const PATIENCE: SignedDuration = SignedDuration::from_mins(12);

/// How recovery was judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verified {
    /// Whether it recovered.
    pub recovered: bool,
    /// In a sentence.
    pub text: String,
    /// State of the alarm, last read.
    pub alarm: Option<AlarmState>,
    /// When the alarm went back to OK, if it is there.
    pub back: Option<Timestamp>,
    /// When it began to hold.
    pub since: Option<Timestamp>,
}

/// Watches until recovery has held for the contract's window, or did not begin in time, which runs from the act:
/// however often the watch is interrupted, an act that does not help is given up when it would have been.
pub async fn verify(case: &Case, onset: Timestamp, acted: Timestamp, by: &Verification) -> Verified {
    let verified = case.step("verify", watch(case, onset, acted, by)).await;
    case.recorder.note(Event::Verified { recovered: verified.recovered, text: verified.text.clone() });
    verified
}

async fn watch(case: &Case, onset: Timestamp, acted: Timestamp, by: &Verification) -> Verified {
    let window = Duration::from_secs(u64::from(by.stability_window_s));
    let mut since: Option<Timestamp> = None;
    let mut back: Option<Timestamp> = None;
    loop {
        case.clock.sleep(EVERY).await;
        let (seen, measured) = tokio::join!(signs::look(case, onset), signs::measure(case, by, onset));
        let seen = Seen { measured, ..seen };
        let now = case.now();
        back = match seen.alarm {
            Some(AlarmState::Ok) => back.or(seen.alarm_since).or(Some(now)),
            _ => None,
        };
        since = if seen.well() { since.or(Some(now)) } else { None };
        let stable = since.map_or(SignedDuration::ZERO, |since| now.duration_since(since));
        case.recorder.note(Event::Watched {
            alarm: seen.alarm,
            signs: seen.conditions(),
            stable_s: u64::try_from(stable.as_secs()).unwrap_or(0),
            window_s: window.as_secs(),
        });
        if since.is_some() && stable >= SignedDuration::try_from(window).unwrap_or(SignedDuration::MAX) {
            break Verified { back, ..recovered(&seen, since, window) };
        }
        if since.is_none() && now.duration_since(acted) >= PATIENCE {
            break not_recovered(&seen, now.duration_since(acted));
        }
        if case.cancel.is_cancelled() {
            break not_recovered(&seen, now.duration_since(acted));
        }
    }
}

fn recovered(seen: &Seen, since: Option<Timestamp>, window: Duration) -> Verified {
    let signs: Vec<String> = seen.conditions().into_iter().map(|c| c.text).collect();
    let text = format!("recovered and held for {} s: {}", window.as_secs(), signs.join(", "));
    Verified { recovered: true, text, alarm: seen.alarm, back: None, since }
}

fn not_recovered(seen: &Seen, waited: SignedDuration) -> Verified {
    let missing: Vec<String> = seen.conditions().into_iter().filter(|c| !c.holds).map(|c| c.text).collect();
    let text =
        format!("did not recover within {} minutes of the action: {}", waited.as_mins(), missing.join(", "));
    Verified { recovered: false, text, alarm: seen.alarm, back: None, since: None }
}
