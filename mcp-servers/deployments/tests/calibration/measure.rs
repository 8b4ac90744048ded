//! How well scores agree with what happened.

use midwatch_deployments::correlate::{Candidate, correlate};

use super::trouble::{Setting, Trouble, troubles};

/// Below this nobody would call a deployment a suspect. Nearly all are below it, and rightly: with them, any score
/// would look well calibrated.
const SUSPECT: f64 = 0.05;
/// From here on it is named as the cause.
const NAMED: f64 = 0.5;

/// One score, and whether it was of the guilty one.
pub type Scored = (f64, bool);

/// A trouble, and what the score makes of it.
#[derive(Debug)]
pub struct Case {
    pub trouble: Trouble,
    pub candidates: Vec<Candidate>,
}

impl Case {
    /// A thousand for each seed.
    pub fn of(setting: Setting, seeds: std::ops::Range<u64>) -> Vec<Self> {
        let scored = |trouble: Trouble| Self {
            candidates: correlate(&trouble.deployments, &trouble.service, trouble.onset),
            trouble,
        };
        seeds.flat_map(|seed| troubles(setting, seed, 1000)).map(scored).collect()
    }

    pub fn is_guilty(&self, candidate: &Candidate) -> bool {
        self.trouble.guilty.as_ref() == Some(&candidate.deployment_id)
    }
}

/// The scores of many troubles beside what brought them.
#[derive(Debug, Default)]
pub struct Judged {
    /// All suspects, and the first of each trouble.
    pub suspects: Vec<Scored>,
    pub first: Vec<Scored>,
    /// Troubles that a deployment among the candidates brought; of those, the ones where it is the first candidate, and where
    /// it is named.
    pub brought: usize,
    found: usize,
    named: usize,
    /// The other troubles; of those, the ones where a deployment is named all the same.
    others: usize,
    falsely: usize,
}

impl Judged {
    pub fn new<'a>(cases: impl IntoIterator<Item = &'a Case>) -> Self {
        let mut judged = Self::default();
        for case in cases {
            let scored: Vec<Scored> = case.candidates.iter().map(|c| (c.score, case.is_guilty(c))).collect();
            let first = scored.first().copied().unwrap_or_default();
            let count = |counter: &mut usize, holds: bool| *counter += usize::from(holds);
            if case.trouble.guilty.is_some() {
                judged.brought += 1;
                count(&mut judged.found, first.1);
                count(&mut judged.named, first.1 && first.0 >= NAMED);
            } else {
                judged.others += 1;
                count(&mut judged.falsely, first.0 >= NAMED);
            }
            judged.first.push(first);
            judged.suspects.extend(scored.into_iter().filter(|(score, _)| *score >= SUSPECT));
        }
        judged
    }

    /// The first suspects that are named: how many, their mean score, and the share that is guilty.
    pub fn named_first(&self) -> (usize, f64, f64) {
        let named = || self.first.iter().filter(|(score, _)| *score >= NAMED);
        let count = named().count();
        let share = |sum: f64| sum / count.max(1) as f64;
        let mean = share(named().map(|(score, _)| score).sum());
        (count, mean, share(named().filter(|(_, guilty)| *guilty).count() as f64))
    }

    /// Expected calibration error of the suspects.
    pub fn ece(&self) -> f64 {
        ece(&self.suspects)
    }

    pub fn found(&self) -> f64 {
        self.found as f64 / self.brought as f64
    }

    pub fn named(&self) -> f64 {
        self.named as f64 / self.brought as f64
    }

    pub fn falsely(&self) -> f64 {
        self.falsely as f64 / self.others as f64
    }

    /// A line of a table: setting, troubles, calibration error of the suspects, and of the first ones with their Brier score;
    /// per cent found, named, and named falsely.
    pub fn line(&self, name: &str) -> String {
        format!(
            "| {name} | {} | {:.3} | {:.3} | {:.3} | {:.0} % | {:.0} % | {:.0} % |",
            self.brought + self.others,
            self.ece(),
            ece(&self.first),
            brier(&self.first),
            self.found() * 100.0,
            self.named() * 100.0,
            self.falsely() * 100.0
        )
    }

    pub fn table(&self) -> String {
        let mut table = "| score | suspects | mean score | guilty |\n|---|---|---|---|".to_owned();
        for (n, bin) in bins(&self.suspects).iter().enumerate() {
            let (from, to) = (n as f64 / 10.0, (n + 1) as f64 / 10.0);
            let from = from.max(SUSPECT);
            table += &format!("\n| {from} to {to} | {} | {:.2} | {:.2} |", bin.count, bin.mean, bin.guilty);
        }
        table
    }
}

/// A bin of a reliability table.
#[derive(Debug, Clone, Copy, Default)]
pub struct Bin {
    pub count: usize,
    /// Mean score, and the share that is guilty.
    pub mean: f64,
    pub guilty: f64,
}

impl Bin {
    pub fn off(&self) -> f64 {
        (self.mean - self.guilty).abs()
    }
}

/// Ten bins of scores, from 0 up.
pub fn bins(scored: &[Scored]) -> [Bin; 10] {
    let mut bins = [Bin::default(); 10];
    for (score, guilty) in scored {
        // Scores are hundredths, and 0.7 times 10 is a little less than 7.
        let bin = &mut bins[((score * 10.0 + 1e-9) as usize).min(9)];
        bin.count += 1;
        bin.mean += score;
        bin.guilty += f64::from(u8::from(*guilty));
    }
    for bin in &mut bins {
        let count = bin.count.max(1) as f64;
        bin.mean /= count;
        bin.guilty /= count;
    }
    bins
}

/// Expected calibration error: how far scores are from the share that is guilty, over all of them.
pub fn ece(scored: &[Scored]) -> f64 {
    bins(scored).iter().map(|bin| bin.off() * bin.count as f64).sum::<f64>() / scored.len() as f64
}

/// Brier score: the mean square of what a score is off.
pub fn brier(scored: &[Scored]) -> f64 {
    let square = |(score, guilty): &Scored| (score - f64::from(u8::from(*guilty))).powi(2);
    scored.iter().map(square).sum::<f64>() / scored.len() as f64
}
