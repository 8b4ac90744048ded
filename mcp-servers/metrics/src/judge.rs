//! Does a window depart from its baseline, how, and since when? Pure.
//!
//! The window is searched for the run of points that lies farthest from the baseline's level, in
//! units of the baseline's own noise and weighted with the length of the run. That finds a step, a
//! bump that is over again, and a slow rise by the same rule, and the begin of the run is the onset.
//! Comparing two averages was rejected: a ten-minute outage drowns in a two-hour window.

use midwatch_mcp::{Time, Window, rounded};
use midwatch_policy::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::shapes::Point;

/// How a window departs from its baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Not clearly.
    None,
    /// It rose.
    Up,
    /// It fell, but not to nothing.
    Down,
    /// It fell to nothing and stayed there: zero, or for sums also no data at all.
    Stopped,
    /// There is no data where there used to be, and what that means cannot be told.
    Missing,
}

/// What the numbers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Nature {
    /// Sums and sample counts: a period in which nothing happened may have no point.
    Counted,
    /// Averages, percentiles, extremes: a missing point says nothing about the value.
    Measured,
}

impl Nature {
    pub(crate) fn of(stat: &str) -> Self {
        if stat.eq_ignore_ascii_case("sum") || stat.eq_ignore_ascii_case("samplecount") {
            Self::Counted
        } else {
            Self::Measured
        }
    }
}

/// What was asked about: points by period over a window.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Series<'a> {
    pub(crate) window: Window,
    pub(crate) points: &'a [Point],
}

/// What is to be said of a window.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Judgement {
    pub(crate) change: Change,
    pub(crate) onset: Option<Timestamp>,
    pub(crate) recovered_at: Option<Timestamp>,
    /// Each run that departs, the clearest first.
    pub(crate) runs: Vec<Departure>,
}

/// A run of periods that departs from the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Departure {
    /// Begin of its first period.
    pub from: Time,
    /// End of its last period.
    pub to: Time,
    /// How: not `none`.
    pub change: Change,
    /// Average of its points.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub avg: Option<f64>,
    /// That in multiples of the baseline's level; absent where the level is nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ratio: Option<f64>,
}

/// How far from the baseline, in units of its noise, a run has to be.
const CLEAR: f64 = 5.0;
/// And in units of its level.
const RELATIVE: f64 = 0.25;
/// Runs that are told at most.
const MAX_RUNS: usize = 5;
/// Expected events that did not come before a count has stopped: one chance in a thousand.
const EXPECTED: f64 = 7.0;

/// Judges a window. `late_s` is how far behind the present data may be: missing points within it
/// say nothing.
pub(crate) fn judge(
    now: Series<'_>,
    before: Series<'_>,
    period_s: f64,
    nature: Nature,
    late_s: f64,
) -> Judgement {
    let silence = silent_since(now, before, period_s, nature, late_s);
    // What the silence says need not be found in its zeros again.
    let begin = silence.map(|(_, begin)| begin);
    let lively = now.points.partition_point(|p| begin.is_none_or(|begin| p.at.0 < begin));
    let points = now.points.get(..lively).unwrap_or_default();
    let level = level(before, period_s, nature);
    let points = level.map_or(points, |level| without_running(points, now.window, period_s, nature, level));
    let runs = level.map(|level| runs(points, level)).unwrap_or_default();
    let told = |run: &Run| {
        let level = level.map_or(0.0, |level| level.of);
        let at = |n: usize| points.get(n).map_or(now.window.from, |p| p.at.0);
        Departure {
            from: Time(at(run.begin)),
            to: Time(add(Time(at(run.end)), period_s).min(now.window.to)),
            change: run.change(),
            avg: Some(rounded(run.mean)),
            ratio: (level.abs() > 1e-12).then(|| (run.mean / level * 1e4).round() / 1e4),
        }
    };
    let silent = silence.map(|(change, begin)| Departure {
        from: Time(begin),
        to: Time(now.window.to),
        change,
        avg: (change == Change::Stopped).then_some(0.0),
        ratio: (change == Change::Stopped).then_some(0.0),
    });
    let after = runs.first().map(|run| points.get(run.end + 1..).unwrap_or_default());
    let all: Vec<Departure> = silent.into_iter().chain(runs.iter().map(told)).take(MAX_RUNS).collect();
    Judgement {
        change: all.first().map_or(Change::None, |run| run.change),
        onset: all.first().map(|run| run.from.0),
        // One point back at the old level may be chance.
        recovered_at: match (silence, after) {
            (None, Some([first, _, ..])) => Some(first.at.0),
            _ => None,
        },
        runs: all,
    }
}

/// A sum whose period is not over will rise: it says something where it is above the level already, and nothing below.
fn without_running(
    points: &[Point],
    window: Window,
    period_s: f64,
    nature: Nature,
    level: Level,
) -> &[Point] {
    match points.split_last() {
        Some((last, over))
            if nature == Nature::Counted && add(last.at, period_s) > window.to && last.value < level.of =>
        {
            over
        }
        _ => points,
    }
}

/// Where a baseline lies, and how far about that its points do.
#[derive(Debug, Clone, Copy)]
struct Level {
    of: f64,
    noise: f64,
}

fn level(before: Series<'_>, period_s: f64, nature: Nature) -> Option<Level> {
    match nature {
        Nature::Counted => {
            let periods = (before.window.seconds() / period_s).max(1.0);
            let of = before.points.iter().map(|p| p.value).sum::<f64>() / periods;
            Some(Level { of, noise: spread(before.points, of).max((of + 0.5).sqrt()) })
        }
        Nature::Measured if before.points.is_empty() => None,
        Nature::Measured => {
            let of = median(before.points.iter().map(|p| p.value).collect());
            Some(Level { of, noise: spread(before.points, of).max(of.abs() * 0.1).max(1e-9) })
        }
    }
}

/// Every run that is clear: the clearest of all, then the clearest of what is left on either side of it.
fn runs(points: &[Point], level: Level) -> Vec<Run> {
    let (mut found, mut parts) = (Vec::new(), vec![(0, points)]);
    while let Some((offset, part)) = parts.pop() {
        let Some(run) = farthest_run(part, level).filter(|run| run.is_clear(level)) else { continue };
        parts.push((offset, part.get(..run.begin).unwrap_or_default()));
        parts.push((offset + run.end + 1, part.get(run.end + 1..).unwrap_or_default()));
        found.push(Run { begin: offset + run.begin, end: offset + run.end, ..run });
    }
    found.sort_by(|a, b| b.score.abs().total_cmp(&a.score.abs()));
    found
}

/// Whether the end of the window is silent where the baseline was not.
fn silent_since(
    now: Series<'_>,
    before: Series<'_>,
    period_s: f64,
    nature: Nature,
    late_s: f64,
) -> Option<(Change, Timestamp)> {
    let lively = now.points.iter().rev().find(|p| p.value != 0.0);
    let begin = lively.map_or(now.window.from, |p| add(p.at, period_s));
    let zeros = now.points.iter().any(|p| p.at.0 >= begin);
    // Points that are not there yet are no silence; zeros that were reported are.
    let silence = now.window.to.duration_since(begin).as_secs_f64() - if zeros { 0.0 } else { late_s };
    let usual = before.points.iter().map(|p| p.value).sum::<f64>() / before.window.seconds();
    let density = before.points.len() as f64 * period_s / before.window.seconds();
    let found = |change| Some((change, begin));
    match nature {
        Nature::Counted if usual * silence >= EXPECTED && silence >= 2.0 * period_s => found(Change::Stopped),
        Nature::Measured
            if zeros && usual > 0.0 && silence >= 3.0 * period_s && all_above_zero(before.points) =>
        {
            found(Change::Stopped)
        }
        Nature::Measured if !zeros && density * silence / period_s >= 3.0 && density > 0.5 => {
            found(Change::Missing)
        }
        _ => None,
    }
}

fn all_above_zero(points: &[Point]) -> bool {
    points.iter().all(|p| p.value > 0.0)
}

#[derive(Debug)]
struct Run {
    begin: usize,
    end: usize,
    mean: f64,
    score: f64,
}

impl Run {
    fn is_clear(&self, level: Level) -> bool {
        let relative = (self.mean - level.of).abs() / level.of.abs().max(1e-9);
        self.score.abs() >= CLEAR && relative >= RELATIVE
    }

    const fn change(&self) -> Change {
        if self.score > 0.0 { Change::Up } else { Change::Down }
    }
}

/// The run of points whose mean is farthest from the level, weighted with its length.
fn farthest_run(points: &[Point], level: Level) -> Option<Run> {
    let mut best: Option<Run> = None;
    for begin in 0..points.len() {
        let mut sum = 0.0;
        for (n, point) in points.iter().skip(begin).enumerate() {
            sum += point.value - level.of;
            let length = (n + 1) as f64;
            let score = sum / (level.noise * length.sqrt());
            if best.as_ref().is_none_or(|run| score.abs() > run.score.abs()) {
                best = Some(Run { begin, end: begin + n, mean: level.of + sum / length, score });
            }
        }
    }
    best
}

/// The spread of points about a level: robust, so that one spike in the baseline hides nothing.
fn spread(points: &[Point], level: f64) -> f64 {
    1.4826 * median(points.iter().map(|p| (p.value - level).abs()).collect())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    let at = |i: usize| values.get(i).copied().unwrap_or_default();
    if n % 2 == 1 { at(n / 2) } else { f64::midpoint(at((n / 2).saturating_sub(1)), at(n / 2)) }
}

fn add(at: Time, seconds: f64) -> Timestamp {
    jiff::SignedDuration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|span| at.0.checked_add(span).ok())
        .unwrap_or(at.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: i64 = 1_795_224_600_000;

    fn at(minute: i64) -> Time {
        Time::from_millis(START + minute * 60_000)
    }

    fn points(from: i64, values: &[f64]) -> Vec<Point> {
        (from..).zip(values).map(|(minute, value)| Point { at: at(minute), value: *value }).collect()
    }

    /// Thirty minutes against the thirty before, one point a minute.
    fn judged(now: &[Point], before: &[Point], nature: Nature) -> Judgement {
        let window = |from, to| Window { from: at(from).0, to: at(to).0 };
        judge(
            Series { window: window(0, 30), points: now },
            Series { window: window(-30, 0), points: before },
            60.0,
            nature,
            120.0,
        )
    }

    fn wave(level: f64, n: usize) -> Vec<f64> {
        (0..n).map(|i| level * (1.0 + 0.05 * (i as f64 * 1.7).sin())).collect()
    }

    #[test]
    fn a_step_is_found_at_its_begin() {
        let before = points(-30, &wave(100.0, 30));
        let mut now = wave(100.0, 30);
        for value in now.iter_mut().skip(12) {
            *value *= 3.0;
        }
        let found = judged(&points(0, &now), &before, Nature::Counted);
        assert_eq!((found.change, found.onset, found.recovered_at), (Change::Up, Some(at(12).0), None));
        for value in now.iter_mut().skip(12) {
            *value /= 9.0;
        }
        assert_eq!(judged(&points(0, &now), &before, Nature::Measured).change, Change::Down);
    }

    #[test]
    fn a_bump_that_is_over_says_so() {
        let mut now = wave(2.0, 30);
        for value in now.iter_mut().skip(5).take(4) {
            *value = 40.0;
        }
        let found = judged(&points(0, &now), &points(-30, &wave(2.0, 30)), Nature::Measured);
        assert_eq!(
            (found.change, found.onset, found.recovered_at),
            (Change::Up, Some(at(5).0), Some(at(9).0))
        );
    }

    #[test]
    fn every_run_is_told_the_clearest_first_and_no_more_than_a_few() {
        let mut now = wave(100.0, 30);
        for (range, times) in [(3..6, 3.0), (12..20, 5.0), (24..28, 0.2)] {
            for value in now.get_mut(range).unwrap() {
                *value *= times;
            }
        }
        let found = judged(&points(0, &now), &points(-30, &wave(100.0, 30)), Nature::Counted);
        let told: Vec<_> = found.runs.iter().map(|run| (run.change, run.from, run.to)).collect();
        assert_eq!(
            told,
            [(Change::Up, at(12), at(20)), (Change::Up, at(3), at(6)), (Change::Down, at(24), at(28))]
        );
        assert_eq!(
            (found.change, found.onset, found.recovered_at),
            (Change::Up, Some(at(12).0), Some(at(20).0))
        );
        assert!((found.runs[0].ratio.unwrap() - 5.0).abs() < 0.2, "{found:?}");
        assert!((found.runs[2].avg.unwrap() - 20.0).abs() < 2.0, "{found:?}");

        let spikes: Vec<f64> = (0..30).map(|n| if n % 3 == 0 { 900.0 } else { 100.0 }).collect();
        let many = judged(&points(0, &spikes), &points(-30, &wave(100.0, 30)), Nature::Measured);
        assert!(many.runs.len() <= MAX_RUNS, "{many:?}");
    }

    #[test]
    fn what_rose_before_it_stopped_is_told_too() {
        let mut now = wave(100.0, 20);
        for value in now.iter_mut().skip(14) {
            *value *= 4.0;
        }
        let found = judged(&points(0, &now), &points(-30, &wave(100.0, 30)), Nature::Counted);
        assert_eq!((found.change, found.onset, found.recovered_at), (Change::Stopped, Some(at(20).0), None));
        let told: Vec<_> = found.runs.iter().map(|run| (run.change, run.from, run.to)).collect();
        assert_eq!(told, [(Change::Stopped, at(20), at(30)), (Change::Up, at(14), at(20))]);
    }

    #[test]
    fn noise_is_no_change() {
        let before = points(-30, &wave(100.0, 30));
        assert_eq!(judged(&points(0, &wave(103.0, 30)), &before, Nature::Counted).change, Change::None);
        let few = points(-30, &[0.0, 1.0, 0.0, 0.0, 2.0]);
        assert_eq!(
            judged(&points(0, &[1.0, 0.0, 2.0, 0.0, 0.0]), &few, Nature::Counted).change,
            Change::None
        );
        assert_eq!(judged(&[], &[], Nature::Counted).change, Change::None);
    }

    #[test]
    fn errors_from_nothing_rise() {
        let mut values = vec![0.0; 30];
        for value in values.iter_mut().skip(20) {
            *value = 12.0;
        }
        let found = judged(&points(0, &values), &points(-30, &[0.0; 30]), Nature::Counted);
        assert_eq!((found.change, found.onset), (Change::Up, Some(at(20).0)));
        // Reported only when there are any.
        let found = judged(&points(20, &[12.0; 10]), &[], Nature::Counted);
        assert_eq!((found.change, found.onset), (Change::Up, Some(at(20).0)));
    }

    #[test]
    fn traffic_that_falls_to_nothing_has_stopped_whether_zero_or_absent() {
        let before = points(-30, &wave(500.0, 30));
        let mut values = wave(500.0, 30);
        values.truncate(10);
        let absent = judged(&points(0, &values), &before, Nature::Counted);
        assert_eq!((absent.change, absent.onset), (Change::Stopped, Some(at(10).0)));
        values.resize(30, 0.0);
        assert_eq!(judged(&points(0, &values), &before, Nature::Counted), absent);
        assert_eq!(judged(&[], &before, Nature::Counted).change, Change::Stopped);
    }

    #[test]
    fn a_period_that_is_not_over_is_no_fall_but_can_be_a_rise() {
        let window = |from, to| Window { from: at(from).0, to: at(to).0 };
        let before = points(-30, &wave(5000.0, 30));
        let last = |value: f64, nature| {
            let mut now = wave(5000.0, 10);
            now.push(value);
            // The eleventh minute has run for a third of its time.
            let seen = Window { from: at(0).0, to: add(at(10), 20.0) };
            judge(
                Series { window: seen, points: &points(0, &now) },
                Series { window: window(-30, 0), points: &before },
                60.0,
                nature,
                0.0,
            )
        };
        assert_eq!(last(1500.0, Nature::Counted).change, Change::None);
        let rise = last(15_000.0, Nature::Counted);
        assert_eq!((rise.change, rise.onset), (Change::Up, Some(at(10).0)));
        assert_eq!(
            last(1500.0, Nature::Measured).change,
            Change::Down,
            "an average is not lower for being early"
        );
    }

    #[test]
    fn points_that_are_late_are_no_silence() {
        let before = points(-30, &wave(500.0, 30));
        assert_eq!(judged(&points(0, &wave(500.0, 28)), &before, Nature::Counted).change, Change::None);
    }

    #[test]
    fn a_measure_that_nobody_reports_is_missing_and_not_zero() {
        let before = points(-30, &wave(0.4, 30));
        let found = judged(&points(0, &wave(0.4, 10)), &before, Nature::Measured);
        assert_eq!((found.change, found.onset), (Change::Missing, Some(at(10).0)));
    }

    proptest::proptest! {
        #[test]
        fn any_points_are_judged(
            now in proptest::collection::vec(-1e6_f64..1e6, 0..40),
            before in proptest::collection::vec(-1e6_f64..1e6, 0..40),
            counted in proptest::bool::ANY,
        ) {
            let nature = if counted { Nature::Counted } else { Nature::Measured };
            let found = judged(&points(0, &now), &points(-30, &before), nature);
            proptest::prop_assert_eq!(found.change == Change::None, found.onset.is_none());
            proptest::prop_assert_eq!(found.change == Change::None, found.runs.is_empty());
            proptest::prop_assert!(found.runs.len() <= MAX_RUNS);
            let mut runs = found.runs;
            runs.sort_by_key(|run| run.from);
            proptest::prop_assert!(runs.windows(2).all(|two| two[0].to <= two[1].from));
        }
    }
}
