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
use midwatch_policy::{SignedDuration, Timestamp};
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
    /// There were none: neither in the window nor in the baseline.
    None,
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
/// An end is believed where so long a silence is less probable than this.
const ENDED: f64 = 0.01;

/// An onset, and where else it may lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Onset {
    /// The event that the run begins with.
    pub(crate) at: Timestamp,
    /// What began may have begun before it first showed.
    pub(crate) earliest: Timestamp,
    /// The first events of the run may have been strays.
    pub(crate) latest: Timestamp,
}

/// Fall of the log-likelihood within which an onset is still believed. Found by simulation: Poisson events
/// whose rate rises five to seventyfold are then held 95 to 99 times of a hundred. The 1.92 of regular
/// problems, which a change point is not, holds them 74 to 86 times.
const BELIEVED: f64 = 5.0;
/// Ticks are taken for bins of a minute where more events than this share one time.
const BIN_S: f64 = 60.0;

/// When the rate first rose clearly above the baseline's. Both lists are in order of time.
pub(crate) fn onset(window: Window, events: &[Tick], baseline: Window, before: &[Tick]) -> Option<Onset> {
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
    let at = second.began.unwrap_or(began);
    let own = own_rate(at, first.peak, events).unwrap_or(raised);
    Some(interval(at, first.peak, window, events, usual, own.max(1.5 * usual)))
}

/// The rate between two times; `None` where there is only one.
fn own_rate(from: Timestamp, to: Timestamp, events: &[Tick]) -> Option<f64> {
    let seconds = to.duration_since(from).as_secs_f64();
    let n: u64 = events.iter().filter(|tick| from <= tick.at && tick.at <= to).map(|tick| tick.n).sum();
    (seconds > 0.0 && n > 1).then(|| (n - 1) as f64 / seconds)
}

/// The times from which a run at the rate `own` explains the events nearly as well as from `at`. An
/// onset earlier by a second costs a second without events; one later by an event leaves that event
/// to the usual rate.
fn interval(at: Timestamp, peak: Timestamp, window: Window, events: &[Tick], usual: f64, own: f64) -> Onset {
    let (gain, loss) = ((own / usual).ln(), own - usual);
    let shifted = |from: Timestamp, seconds: f64| {
        let span = SignedDuration::try_from_secs_f64(seconds.clamp(-1e9, 1e9)).unwrap_or_default();
        from.saturating_add(span).unwrap_or(from)
    };
    // Backwards: quiet time costs, each event before pays.
    let (mut cost, mut later) = (0.0, at);
    for tick in events.iter().rev().filter(|tick| tick.at < at) {
        let quiet = loss * later.duration_since(tick.at).as_secs_f64();
        if cost + quiet > BELIEVED {
            break;
        }
        cost = (cost + quiet - gain * tick.n as f64).max(0.0);
        later = tick.at;
    }
    let earliest = shifted(later, -(BELIEVED - cost).max(0.0) / loss.max(1e-9)).max(window.from);
    // Forwards: each event that is passed costs, the quiet time that is passed with it pays.
    let (mut cost, mut latest, mut here) = (0.0, at, at);
    for tick in events.iter().filter(|tick| at <= tick.at && tick.at <= peak) {
        cost -= loss * tick.at.duration_since(here).as_secs_f64();
        if cost <= BELIEVED {
            latest = tick.at;
        }
        here = tick.at;
        cost += gain * tick.n as f64;
        if cost > 4.0 * BELIEVED {
            break;
        }
    }
    // A bin of a minute hides where in it the events lie.
    let binned = events.iter().any(|tick| tick.n > 1);
    let latest = if binned { shifted(latest, BIN_S).min(window.to) } else { latest };
    Onset { at, earliest, latest }
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

/// Whether events go on, and what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Silence {
    pub(crate) status: Status,
    /// Seconds from the last event to the end.
    pub(crate) seconds: u64,
    /// Probability of so long a silence if they go on as before; [`ENDED`] or more unless they have ceased.
    pub(crate) chance: f64,
}

/// Whether the events of a window have stopped before its end, by how they came since the onset, or in the
/// baseline where the window has none.
pub(crate) fn silence(
    onset: Option<Onset>,
    window: Window,
    events: &[Tick],
    baseline: Window,
    before: &[Tick],
) -> Silence {
    let count = |ticks: &[Tick]| ticks.iter().map(|tick| tick.n).sum::<u64>();
    let (Some(first), Some(last)) = (events.first(), events.last()) else {
        if count(before) == 0 {
            return Silence { status: Status::None, seconds: 0, chance: 1.0 };
        }
        let seconds = window.seconds();
        let at_rate = (-seconds * count(before) as f64 / baseline.seconds()).exp();
        let chance = at_rate.max(between_bursts(seconds, before));
        return Silence { status: Status::Ceased, seconds: crate::insights::whole(seconds), chance };
    };
    let began = onset.map_or(first.at, |onset| onset.at);
    let run = events.get(events.partition_point(|tick| tick.at < began)..).unwrap_or_default();
    let (seconds, at_rate) = quiet_time(began, last.at, count(run), window.to);
    let chance = at_rate.max(between_bursts(seconds, run));
    let status = if chance < ENDED { Status::Ceased } else { Status::Ongoing };
    Silence { status, seconds: crate::insights::whole(seconds), chance }
}

/// Probability of a silence as one between two bursts. The rate alone says nothing of it: bursts of twenty
/// every ten minutes are two a minute, at which two minutes without any would be an end. The longest gap there was
/// so far is taken for one that one gap of ten exceeds, so that an end is believed after twice its length;
/// where there was none, after [`GRACE_S`]. A gap that the rate explains is no gap between bursts.
fn between_bursts(silence: f64, run: &[Tick]) -> f64 {
    let gaps = || {
        run.windows(2).filter_map(|pair| match pair {
            [one, next] => Some(next.at.duration_since(one.at).as_secs_f64()),
            _ => None,
        })
    };
    let (longest, whole) = gaps().fold((0.0_f64, 0.0), |(longest, sum), gap| (longest.max(gap), sum + gap));
    let events = run.iter().map(|tick| tick.n).sum::<u64>() as f64;
    let is_explained = events * (-longest * events / whole.max(1.0)).exp() >= ENDED;
    let longest = if is_explained { 0.0 } else { longest };
    0.1_f64.powf(silence / longest.max(GRACE_S / 2.0))
}

/// Seconds of silence, and the probability of it at the rate before.
fn quiet_time(began: Timestamp, last: Timestamp, count: u64, end: Timestamp) -> (f64, f64) {
    let silence = end.duration_since(last).as_secs_f64().max(0.0);
    let rate = match count {
        // A single event that is five minutes old is over.
        0 | 1 => 4.61 / 300.0,
        _ => (count - 1) as f64 / last.duration_since(began).as_secs_f64().max(1.0),
    };
    (silence, (-silence * rate).exp())
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

    /// The point alone.
    fn onset(now: Window, events: &[Tick], base: Window, before: &[Tick]) -> Option<Timestamp> {
        super::onset(now, events, base, before).map(|onset| onset.at)
    }

    /// Of so many events, evenly from one time to another.
    fn status(began: f64, last: f64, count: u32, end: f64) -> Status {
        let step = (last - began) / f64::from(count.saturating_sub(1).max(1));
        let events = ticks((0..count).map(|n| began + f64::from(n) * step));
        silence(None, window(began, end), &events, window(began - 60.0, began), &[]).status
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
    fn where_there_were_none_nothing_has_ceased() {
        let (now, before) = (window(0.0, 1800.0), window(-1800.0, 0.0));
        let silent = |events: &[Tick]| silence(None, now, &[], before, events);
        assert_eq!(silent(&[]), Silence { status: Status::None, seconds: 0, chance: 1.0 });
        let ceased = silent(&ticks((0..30).map(|n| f64::from(n * 60 - 1800))));
        assert_eq!((ceased.status, ceased.seconds), (Status::Ceased, 1800));
        assert!(ceased.chance < 1e-9, "{ceased:?}");
        assert!(silent(&ticks([-900.0])).chance > 0.3);
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
    fn an_onset_has_an_interval_as_wide_as_the_events_are_rare() {
        let (base, now) = (window(-1800.0, 0.0), window(0.0, 1800.0));
        let dense = super::onset(now, &ticks(every(1.0, 1200.0, 1500.0)), base, &[]).unwrap();
        let width = |onset: Onset| onset.latest.duration_since(onset.earliest).as_secs_f64();
        assert!(dense.earliest <= dense.at && dense.at <= dense.latest);
        assert!(width(dense) < 8.0, "{dense:?}");
        let rare = super::onset(now, &ticks(every(60.0, 1200.0, 1800.0)), base, &[]).unwrap();
        assert!((60.0..400.0).contains(&width(rare)), "{rare:?}");
    }

    #[test]
    fn the_interval_holds_the_true_onset_nineteen_times_of_twenty() {
        // Poisson events from a fixed sequence: usual every 100 s, then every 10 s from 900 s on.
        let mut seed = 7_u64;
        let mut gap = |mean: f64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            -mean * (((seed >> 11) as f64 + 1.0) / (1_u64 << 53) as f64).ln()
        };
        let (mut held, mut found) = (0, 0);
        for _ in 0..300 {
            let mut run = |from: f64, to: f64, mean: f64| {
                let mut all = Vec::new();
                let mut at = from + gap(mean);
                while at < to {
                    all.push(at);
                    at += gap(mean);
                }
                all
            };
            let before = ticks(run(-3600.0, 0.0, 100.0));
            let mut events = run(0.0, 900.0, 100.0);
            events.extend(run(900.0, 1800.0, 10.0));
            if let Some(onset) =
                super::onset(window(0.0, 1800.0), &ticks(events), window(-3600.0, 0.0), &before)
            {
                found += 1;
                held += u32::from(onset.earliest <= at(900.0) && at(900.0) <= onset.latest);
            }
        }
        assert!(found >= 295, "{found}");
        assert!(f64::from(held) >= 0.93 * f64::from(found), "{held} of {found}");
    }

    #[test]
    fn silence_is_an_end_only_when_the_rate_says_so() {
        assert_eq!(status(0.0, 300.0, 70, 360.0), Status::Ongoing);
        assert_eq!(status(0.0, 300.0, 70, 600.0), Status::Ceased);
        assert_eq!(status(0.0, 3000.0, 6, 3600.0), Status::Ongoing);
        assert_eq!(status(0.0, 0.0, 1, 240.0), Status::Ongoing);
        assert_eq!(status(0.0, 0.0, 1, 400.0), Status::Ceased);
    }

    #[test]
    fn a_pause_between_bursts_is_no_end() {
        let bursts = |n: u32| ticks((0..n * 20).map(|i| f64::from(i / 20) * 600.0 + f64::from(i % 20) / 4.0));
        let at_end = |n: u32, to: f64| {
            let (now, base) = (window(-600.0, to), window(-1200.0 - to, -600.0));
            silence(super::onset(now, &bursts(n), base, &[]), now, &bursts(n), base, &[])
        };
        let paused = at_end(5, 2800.0);
        assert_eq!((paused.status, paused.seconds), (Status::Ongoing, 395));
        assert!(paused.chance > 0.1, "{paused:?}");
        assert_eq!(at_end(5, 3100.0).status, Status::Ongoing, "a little more than the longest gap");
        let over = at_end(5, 3700.0);
        assert_eq!(over.status, Status::Ceased);
        assert!(over.chance < 0.01, "{over:?}");
        // One burst has no pauses to compare with.
        assert_eq!(at_end(1, 300.0).status, Status::Ceased);
        // What is not there in the window, but came in bursts before it.
        let absent = silence(None, window(2410.0, 2800.0), &[], window(0.0, 2410.0), &bursts(5));
        assert!(absent.chance > 0.1, "{absent:?}");
    }

    #[test]
    fn the_chance_of_a_silence_says_the_same_as_its_status() {
        for to in [60.0, 119.0, 121.0, 200.0, 900.0] {
            let found = silence(
                None,
                window(-60.0, 10.0 + to),
                &ticks(every(0.1, 0.0, 10.0)),
                window(-120.0, -60.0),
                &[],
            );
            assert_eq!(found.status == Status::Ceased, found.chance < ENDED, "{found:?}");
            assert_eq!(found.status == Status::Ceased, to > GRACE_S, "{found:?}");
        }
        // A gap that chance explains is no pause between bursts.
        let slow = ticks(every(100.0, 0.0, 4000.0).filter(|s| !(1000.0..1300.0).contains(s)));
        let found = silence(None, window(0.0, 4420.0), &slow, window(-60.0, 0.0), &[]);
        assert_eq!((found.status, found.seconds), (Status::Ceased, 520));
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
