//! Totals over all scenarios.

use serde::Serialize;

use super::Played;

/// From this confidence on, being wrong counts as confidently wrong.
const CONFIDENT: f64 = 0.7;
/// Bins of the calibration error.
const BINS: u32 = 5;

/// What all of them came to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Totals {
    scenarios: usize,
    passed: usize,
    /// Share of the judged ones with the right verdict and cause.
    accuracy: Option<f64>,
    /// Wrong with a confidence of 0.7 or more.
    confidently_wrong: usize,
    calibration: Option<Calibration>,
    /// Closed as transient or recovered though it was not.
    early_closes: usize,
    escalated: usize,
    actions: usize,
    model_calls: u64,
    input_tokens: u64,
    /// Of those, read from the provider's cache.
    cached_input_tokens: u64,
    /// The share of that, in percent.
    cache_hit_percent: Option<u64>,
    output_tokens: u64,
    cost_micro_usd: u64,
    timings_ms: Spread,
    wall_ms: Spread,
}

/// How well confidence says how often it is right.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Calibration {
    /// Mean squared difference of confidence and being right; 0 is best.
    brier: f64,
    /// Expected calibration error over five bins; 0 is best.
    ece: f64,
}

/// Means and the worst.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
struct Spread {
    first_summary_mean: u64,
    first_summary_max: u64,
    report_mean: u64,
    report_max: u64,
}

pub(super) fn totals(played: &[Played]) -> Totals {
    let runs: Vec<_> = played.iter().filter_map(|p| p.run.as_ref()).collect();
    let judged: Vec<(f64, bool)> =
        played.iter().filter_map(|p| Some((p.run.as_ref()?.confidence, p.correct?))).collect();
    let right = judged.iter().filter(|(_, right)| *right).count();
    let input: u64 = runs.iter().map(|r| r.usage.input_tokens).sum();
    let cached: u64 = runs.iter().map(|r| r.usage.cached_input_tokens).sum();
    Totals {
        scenarios: played.len(),
        passed: played.iter().filter(|p| p.passed).count(),
        accuracy: ratio(right, judged.len()).map(round),
        confidently_wrong: judged.iter().filter(|(c, right)| !right && *c >= CONFIDENT).count(),
        calibration: (!judged.is_empty())
            .then(|| Calibration { brier: round(brier(&judged)), ece: round(ece(&judged)) }),
        early_closes: played.iter().filter(|p| p.closed_early).count(),
        escalated: runs.iter().filter(|r| r.escalated).count(),
        actions: runs.iter().map(|r| r.actions.len()).sum(),
        model_calls: runs.iter().map(|r| u64::from(r.usage.model_calls)).sum(),
        input_tokens: input,
        cached_input_tokens: cached,
        cache_hit_percent: (cached * 100).checked_div(input),
        output_tokens: runs.iter().map(|r| r.usage.output_tokens).sum(),
        cost_micro_usd: runs.iter().map(|r| r.usage.cost_micro_usd).sum(),
        timings_ms: spread(&runs.iter().map(|r| r.timings_ms).collect::<Vec<_>>()),
        wall_ms: spread(&runs.iter().map(|r| r.wall_ms).collect::<Vec<_>>()),
    }
}

fn ratio(some: usize, all: usize) -> Option<f64> {
    (all > 0).then(|| some as f64 / all as f64)
}

fn round(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

fn brier(judged: &[(f64, bool)]) -> f64 {
    let squares: f64 = judged.iter().map(|(c, right)| (c - f64::from(u8::from(*right))).powi(2)).sum();
    if judged.is_empty() { 0.0 } else { squares / judged.len() as f64 }
}

fn ece(judged: &[(f64, bool)]) -> f64 {
    let width = 1.0 / f64::from(BINS);
    let mut error = 0.0;
    for bin in 0..BINS {
        let (low, last) = (f64::from(bin) * width, bin + 1 == BINS);
        let inside: Vec<_> = judged.iter().filter(|(c, _)| *c >= low && (last || *c < low + width)).collect();
        if inside.is_empty() {
            continue;
        }
        let count = inside.len() as f64;
        let confidence = inside.iter().map(|(c, _)| c).sum::<f64>() / count;
        let right = inside.iter().filter(|(_, right)| *right).count() as f64 / count;
        error += (confidence - right).abs() * count / judged.len() as f64;
    }
    error
}

fn spread(timings: &[crate::run::Timings]) -> Spread {
    let mean = |values: &mut dyn Iterator<Item = u64>| {
        let (count, sum) = values.fold((0u64, 0u64), |(n, sum), value| (n + 1, sum + value));
        sum.checked_div(count).unwrap_or(0)
    };
    Spread {
        first_summary_mean: mean(&mut timings.iter().map(|t| t.first_summary)),
        first_summary_max: timings.iter().map(|t| t.first_summary).max().unwrap_or(0),
        report_mean: mean(&mut timings.iter().map(|t| t.report)),
        report_max: timings.iter().map(|t| t.report).max().unwrap_or(0),
    }
}

impl Totals {
    /// Lines for people.
    pub(super) fn lines(&self) -> Vec<String> {
        let share = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.3}"));
        let seconds = |ms: u64| format!("{:.1} s", ms as f64 / 1000.0);
        vec![
            format!(
                "{} of {} passed, accuracy {}, confidently wrong {}, early closes {}, Brier {}, ECE {}",
                self.passed,
                self.scenarios,
                share(self.accuracy),
                self.confidently_wrong,
                self.early_closes,
                share(self.calibration.map(|c| c.brier)),
                share(self.calibration.map(|c| c.ece))
            ),
            format!(
                "{} model calls, {} tokens in ({} % from the cache), {} out, {}",
                self.model_calls,
                self.input_tokens,
                self.cache_hit_percent.unwrap_or(0),
                self.output_tokens,
                crate::terminal::text::dollars(self.cost_micro_usd)
            ),
            format!(
                "first summary {} (worst {}), report {} (worst {}) on the incident's clock; {} and {} on the wall",
                seconds(self.timings_ms.first_summary_mean),
                seconds(self.timings_ms.first_summary_max),
                seconds(self.timings_ms.report_mean),
                seconds(self.timings_ms.report_max),
                seconds(self.wall_ms.first_summary_mean),
                seconds(self.wall_ms.report_mean)
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calibration_is_zero_for_the_all_knowing_and_one_for_the_confidently_wrong() {
        assert!(brier(&[(1.0, true), (0.0, false)]) < 1e-9);
        assert!((brier(&[(1.0, false)]) - 1.0).abs() < 1e-9);
        assert!(ece(&[(1.0, true), (1.0, true)]) < 1e-9);
        let half = [(0.5, true), (0.5, false)];
        assert!(ece(&half) < 1e-9);
        assert!((ece(&[(0.9, false)]) - 0.9).abs() < 1e-9);
    }
}
