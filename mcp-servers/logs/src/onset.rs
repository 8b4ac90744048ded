//! When did it begin, and is it still going on?
//!
//! Onset: a cumulative sum (Page, 1954) of the log-likelihood that events come at the incident's
//! rate rather than the baseline's. Each event raises it, quiet time lowers it, never below zero;
//! where it passes a threshold, the run began at the event that last lifted it from zero. A stray
//! early error decays away, while the first of a burst is kept, to the event and not to a bin. The
//! threshold is learnt from the baseline, so that a service whose noise comes in bursts needs more.
//! "First bin over three sigma" was rejected: it depends on where the bins lie and fails at counts
//! of one or two.

use midwatch_mcp::Window;
use midwatch_policy::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Whether something still happens at the end of the window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Nothing says that it stopped.
    Ongoing,
    /// It has been silent for longer than its rate explains.
    Ceased,
}

/// `n` events at one time: single events, or all of a bin at its begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    pub(crate) at: Timestamp,
    pub(crate) n: u64,
}

/// Odds of a thousand to one before a run counts.
const THRESHOLD: f64 = 7.0;
/// How much more than the baseline's own worst run is needed.
const MARGIN: f64 = 1.5;
/// Silence up to this long is never read as an end.
const GRACE_S: f64 = 120.0;

/// When the rate first rose clearly above the baseline's. Both lists are in order of time.
pub(crate) fn onset(window: Window, events: &[Tick], baseline: Window, before: &[Tick]) -> Option<Timestamp> {
    let count = |ticks: &[Tick]| ticks.iter().map(|tick| tick.n).sum::<u64>() as f64;
    // Half an event more than was seen: nothing seen is not proof of never.
    let usual = (count(before) + 0.5) / baseline.seconds();
    let present = count(events) / window.seconds();
    let raised = present.max(2.0 * usual);
    let usual_worst = run(baseline.from, before, usual, raised, f64::INFINITY).highest;
    let threshold = THRESHOLD.max(MARGIN * usual_worst);
    let first = run(window.from, events, usual, raised, threshold);
    let began = first.began?;
    // Over a long window the rate of the run itself is far above the window's. Measured with that,
    // stray events just before the run no longer count as its begin.
    let of_run: Vec<Tick> =
        events.iter().filter(|tick| began <= tick.at && tick.at <= first.peak).copied().collect();
    let seconds = first.peak.duration_since(began).as_secs_f64();
    let own = if seconds > 0.0 { count(&of_run) / seconds } else { raised };
    let second = run(began, &of_run, usual, own.max(raised), THRESHOLD);
    Some(second.began.unwrap_or(began))
}

/// What the cumulative sum did.
struct Run {
    /// Where the run began that first passed the threshold.
    began: Option<Timestamp>,
    /// Where that run was highest; what follows lowers the sum.
    peak: Timestamp,
    /// The highest sum of all.
    highest: f64,
}

fn run(from: Timestamp, events: &[Tick], usual: f64, raised: f64, threshold: f64) -> Run {
    let (gain, loss) = ((raised / usual).ln(), raised - usual);
    let (mut sum, mut lifted, mut last) = (0.0_f64, from, from);
    let (mut top, mut found) = (0.0_f64, Run { began: None, peak: from, highest: 0.0 });
    for tick in events {
        sum -= loss * tick.at.duration_since(last).as_secs_f64();
        last = tick.at;
        if sum <= 0.0 {
            if found.began.is_some() {
                break;
            }
            (sum, lifted) = (0.0, tick.at);
        }
        sum += gain * tick.n as f64;
        found.highest = found.highest.max(sum);
        if sum >= threshold && found.began.is_none() {
            found.began = Some(lifted);
        }
        if found.began.is_some() && sum > top {
            (top, found.peak) = (sum, tick.at);
        }
    }
    found
}

/// Whether events that came at some rate since `began` have stopped before `end`.
pub(crate) fn status(began: Timestamp, last: Timestamp, count: u64, end: Timestamp) -> Status {
    let silence = end.duration_since(last).as_secs_f64();
    let rate = match count {
        // A single event that is five minutes old is over.
        0 | 1 => 4.6 / 300.0,
        _ => (count - 1) as f64 / last.duration_since(began).as_secs_f64().max(1.0),
    };
    // Expected 4.6 events and seen none: one in a hundred.
    if silence > GRACE_S && silence * rate > 4.6 { Status::Ceased } else { Status::Ongoing }
}

/// Whether a service that logged `lines` in the window, the last at `last`, is quiet: nothing at
/// all, far less than it used to, or silent at the end for longer than its rate explains.
pub(crate) fn is_quiet(
    window: Window,
    lines: u64,
    last: Option<Timestamp>,
    baseline: Window,
    before: u64,
) -> bool {
    let Some(last) = last.filter(|_| lines > 0) else { return true };
    let (rate, usual) = (lines as f64 / window.seconds(), before as f64 / baseline.seconds());
    let silence = window.to.duration_since(last).as_secs_f64();
    let compared = crate::change::compare(lines, window.seconds(), before, baseline.seconds());
    rate < usual / 10.0 && compared.is_clear() || silence > GRACE_S && silence * rate.max(usual) > 10.0
}

#[cfg(test)]
mod tests {
    use midwatch_mcp::Time;

    use super::*;

    const START: i64 = 1_795_224_600_000;

    fn at(seconds: f64) -> Timestamp {
        #[allow(clippy::cast_possible_truncation, reason = "seconds of a test")]
        Time::from_millis(START + (seconds * 1000.0) as i64).0
    }

    fn window(from: f64, to: f64) -> Window {
        Window { from: at(from), to: at(to) }
    }

    fn ticks(seconds: impl IntoIterator<Item = f64>) -> Vec<Tick> {
        seconds.into_iter().map(|s| Tick { at: at(s), n: 1 }).collect()
    }

    fn every(step: f64, from: f64, to: f64) -> impl Iterator<Item = f64> {
        let n = ((to - from) / step).ceil();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "counts of a test")]
        (0..n as u32).map(move |i| from + f64::from(i) * step)
    }

    #[test]
    fn a_burst_begins_at_its_first_event_whatever_came_before() {
        let (base, now) = (window(-1800.0, 0.0), window(0.0, 1800.0));
        // Nothing before; a stray error ten minutes early.
        let events = ticks(std::iter::once(600.0).chain(every(4.0, 1200.0, 1500.0)));
        assert_eq!(onset(now, &events, base, &[]), Some(at(1200.0)));
        // Steady noise before and during.
        let noise = ticks(every(37.0, -1800.0, 0.0));
        let mut both: Vec<f64> = every(37.0, 5.0, 1800.0).chain(every(3.0, 900.0, 1800.0)).collect();
        both.sort_by(f64::total_cmp);
        let found = onset(now, &ticks(both), base, &noise).unwrap();
        assert!((at(860.0)..=at(905.0)).contains(&found), "{found}");
    }

    #[test]
    fn strays_just_before_a_burst_do_not_blur_it() {
        let (base, now) = (window(-1800.0, 0.0), window(0.0, 1800.0));
        let before = ticks([-1500.0, -1100.0, -700.0, -300.0, -20.0]);
        let strays = [200.0, 1436.0, 1450.0, 1470.0, 1488.0];
        let events = ticks(strays.into_iter().chain(every(0.8, 1500.0, 1800.0)));
        assert_eq!(onset(now, &events, base, &before), Some(at(1500.0)));
        // Also when it is over before the window is.
        let events = ticks(strays.into_iter().chain(every(0.8, 1500.0, 1560.0)));
        assert_eq!(onset(now, &events, base, &before), Some(at(1500.0)));
    }

    #[test]
    fn noise_has_no_onset() {
        let (base, now) = (window(-1800.0, 0.0), window(0.0, 1800.0));
        let steady = ticks(every(20.0, 0.0, 1800.0));
        assert_eq!(onset(now, &steady, base, &ticks(every(20.0, -1800.0, 0.0))), None);
        assert_eq!(onset(now, &ticks([900.0]), base, &[]), None);
        assert_eq!(onset(now, &[], base, &[]), None);
        // Bursts of ten every five minutes, as they always came.
        let burst = |from: f64| every(300.0, from, from + 1800.0).flat_map(|s| every(1.0, s, s + 10.0));
        assert_eq!(onset(now, &ticks(burst(0.0)), base, &ticks(burst(-1800.0))), None);
    }

    #[test]
    fn slow_new_errors_have_an_onset_too() {
        let (base, now) = (window(-3600.0, 0.0), window(0.0, 3600.0));
        assert_eq!(onset(now, &ticks(every(300.0, 600.0, 3600.0)), base, &[]), Some(at(600.0)));
    }

    #[test]
    fn bins_work_as_events_do() {
        let (base, now) = (window(-1800.0, 0.0), window(0.0, 1800.0));
        let bins: Vec<Tick> = (0..30_u32)
            .map(|m| Tick { at: at(f64::from(m) * 60.0), n: if m >= 16 { 20 } else { 1 } })
            .collect();
        let before: Vec<Tick> =
            (0..30_u32).map(|m| Tick { at: at(f64::from(m) * 60.0 - 1800.0), n: 1 }).collect();
        let found = onset(now, &bins, base, &before).unwrap();
        assert!((at(900.0)..=at(960.0)).contains(&found), "{found}");
    }

    #[test]
    fn silence_is_an_end_only_when_the_rate_says_so() {
        assert_eq!(status(at(0.0), at(300.0), 70, at(360.0)), Status::Ongoing);
        assert_eq!(status(at(0.0), at(300.0), 70, at(600.0)), Status::Ceased);
        assert_eq!(status(at(0.0), at(3000.0), 6, at(3600.0)), Status::Ongoing);
        assert_eq!(status(at(0.0), at(0.0), 1, at(240.0)), Status::Ongoing);
        assert_eq!(status(at(0.0), at(0.0), 1, at(400.0)), Status::Ceased);
    }

    #[test]
    fn a_dead_service_is_quiet() {
        let (base, now) = (window(-1800.0, 0.0), window(0.0, 1800.0));
        assert!(is_quiet(now, 0, None, base, 9000));
        assert!(is_quiet(now, 0, None, base, 0));
        assert!(is_quiet(now, 4500, Some(at(900.0)), base, 9000));
        assert!(is_quiet(now, 40, Some(at(1799.0)), base, 9000));
        assert!(!is_quiet(now, 8000, Some(at(1799.0)), base, 9000));
        assert!(!is_quiet(now, 3, Some(at(1300.0)), base, 4));
    }

    proptest::proptest! {
        #[test]
        fn an_onset_is_an_event_of_the_window(
            mut now in proptest::collection::vec(0.0_f64..1800.0, 0..60),
            mut before in proptest::collection::vec(-1800.0_f64..0.0, 0..60),
        ) {
            now.sort_by(f64::total_cmp);
            before.sort_by(f64::total_cmp);
            let events = ticks(now);
            let found = onset(window(0.0, 1800.0), &events, window(-1800.0, 0.0), &ticks(before));
            if let Some(found) = found {
                proptest::prop_assert!(events.iter().any(|tick| tick.at == found));
            }
        }
    }
}
