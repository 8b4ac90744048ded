//! Has something become more or less frequent? A test that holds for small counts.
//!
//! Two windows, two counts: if nothing changed, each event falls into the present window with the
//! probability that its share of the time gives, so the count there is binomial. That is exact for
//! three events as for three thousand. A ratio alone was rejected: 1 → 3 is no finding, 1000 → 3000 is.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a pattern's rate in the window compares with the baseline.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Not once in the baseline.
    New,
    /// Clearly more frequent.
    Grew,
    /// No clear difference.
    Steady,
    /// Clearly less frequent.
    Shrank,
    /// In the baseline, not once in the window.
    Gone,
}

/// Below this, a difference is not put down to chance.
const CLEAR: f64 = 0.01;
/// A clear but small growth is no finding.
const FACTOR: f64 = 1.5;

/// A comparison of two counts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Compared {
    pub(crate) change: Change,
    /// The probability of a difference at least this great by chance alone, one-sided.
    pub(crate) chance: f64,
}

impl Compared {
    /// Whether the difference is not put down to chance.
    pub(crate) fn is_clear(self) -> bool {
        self.chance < CLEAR
    }
}

/// Compares `now` events in `now_s` seconds with `before` events in `before_s` seconds.
pub(crate) fn compare(now: u64, now_s: f64, before: u64, before_s: f64) -> Compared {
    let share = (now_s / (now_s + before_s)).clamp(1e-9, 1.0 - 1e-9);
    let total = now + before;
    let more = at_least(now, total, share);
    let fewer = at_least(before, total, 1.0 - share);
    let ratio = (now as f64 / now_s) / (before as f64 / before_s).max(1e-12);
    let (change, chance) = match (now, before) {
        (0, 0) => (Change::Steady, 1.0),
        (_, 0) => (Change::New, more),
        (0, _) => (Change::Gone, fewer),
        _ if more < CLEAR && ratio >= FACTOR => (Change::Grew, more),
        _ if fewer < CLEAR && ratio <= 1.0 / FACTOR => (Change::Shrank, fewer),
        _ => (Change::Steady, more.min(fewer)),
    };
    Compared { change, chance }
}

/// P(X ≥ k) for X binomial over `n` with probability `p`.
fn at_least(k: u64, n: u64, p: f64) -> f64 {
    if k == 0 {
        return 1.0;
    }
    let (n_f, k_f) = (n as f64, k as f64);
    let spread = (n_f * p * (1.0 - p)).sqrt();
    if n > 5000 && spread > 20.0 {
        return upper_tail((k_f - 0.5 - n_f * p) / spread);
    }
    // Term by term from k upwards; each follows from the one before.
    let mut term = (ln_choose(n_f, k_f) + k_f * p.ln() + (n_f - k_f) * (1.0 - p).ln()).exp();
    let odds = p / (1.0 - p);
    let (mut sum, mut i) = (0.0, k_f);
    while i <= n_f && (term > 1e-18 || i < n_f * p) {
        sum += term;
        term *= (n_f - i) / (i + 1.0) * odds;
        i += 1.0;
    }
    sum.clamp(0.0, 1.0)
}

/// Upper tail of the normal distribution (Abramowitz and Stegun 26.2.17).
fn upper_tail(z: f64) -> f64 {
    if z < 0.0 {
        return 1.0 - upper_tail(-z);
    }
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let poly = t
        * (0.319_381_530
            + t * (-0.356_563_782 + t * (1.781_477_937 + t * (-1.821_255_978 + t * 1.330_274_429))));
    (poly * (-z * z / 2.0).exp() / (2.0 * std::f64::consts::PI).sqrt()).clamp(0.0, 1.0)
}

fn ln_choose(n: f64, k: f64) -> f64 {
    ln_factorial(n) - ln_factorial(k) - ln_factorial(n - k)
}

/// Stirling's series; exact sums where it would be too coarse.
fn ln_factorial(n: f64) -> f64 {
    if n < 16.0 {
        let mut sum = 0.0;
        let mut i = 2.0;
        while i <= n {
            sum += f64::ln(i);
            i += 1.0;
        }
        return sum;
    }
    n * n.ln() - n + 0.5 * (2.0 * std::f64::consts::PI * n).ln() + 1.0 / (12.0 * n)
        - 1.0 / (360.0 * n.powi(3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(now: u64, before: u64) -> Change {
        compare(now, 1800.0, before, 1800.0).change
    }

    #[test]
    fn small_counts_are_not_over_read() {
        assert_eq!(change(3, 1), Change::Steady);
        assert_eq!(change(1, 3), Change::Steady);
        assert_eq!(change(12, 1), Change::Grew);
        assert_eq!(change(3000, 1000), Change::Grew);
        assert_eq!(change(1100, 1000), Change::Steady);
        assert_eq!(change(1, 12), Change::Shrank);
        assert_eq!(change(2, 0), Change::New);
        assert_eq!(change(0, 2), Change::Gone);
        assert_eq!(change(0, 0), Change::Steady);
        assert!(!compare(1, 60.0, 0, 60.0).is_clear());
        assert!(compare(73, 300.0, 0, 300.0).is_clear());
    }

    #[test]
    fn windows_of_different_length_are_compared_by_rate() {
        // 10 in five minutes against 60 in half an hour is the same rate.
        assert_eq!(compare(10, 300.0, 60, 1800.0).change, Change::Steady);
        assert_eq!(compare(60, 300.0, 60, 1800.0).change, Change::Grew);
        assert_eq!(compare(60, 1800.0, 60, 300.0).change, Change::Shrank);
    }

    #[test]
    fn tails_are_those_of_the_binomial() {
        assert!((at_least(2, 3, 0.5) - 0.5).abs() < 1e-9);
        assert!((at_least(5, 5, 0.5) - 1.0 / 32.0).abs() < 1e-9);
        assert!((at_least(60, 100, 0.5) - 0.028_444).abs() < 1e-5);
        // Where the sum gives way to the normal distribution they agree.
        let (sum, normal) = (at_least(2600, 5000, 0.5), upper_tail((2599.5 - 2500.0) / 1250_f64.sqrt()));
        assert!((sum - normal).abs() < 2e-4, "{sum} {normal}");
    }

    proptest::proptest! {
        #[test]
        fn more_events_never_look_less_like_growth(now in 1_u64..400, before in 1_u64..400) {
            let (a, b) = (compare(now, 600.0, before, 900.0), compare(now + 1, 600.0, before, 900.0));
            proptest::prop_assert!(!(a.change == Change::Grew && b.change == Change::Steady));
            proptest::prop_assert!((0.0..=1.0).contains(&a.chance));
        }
    }
}
