//! Accuracy and speed, by system and on average.

use std::collections::{BTreeMap, BTreeSet};

use midwatch_mining::{Leaf, Miner, TemplateId};

use crate::{busy::Busy, samples::System};

/// Lines that the speed is measured over, at least.
const TIMED: usize = 400_000;

/// What was made of a sample.
pub(crate) struct Scores {
    pub(crate) ga: f64,
    pub(crate) fta: f64,
}

/// Scores of any parser's answer: by line, its group and that group's template.
pub(crate) fn scores(system: &System, answer: &[(String, String)]) -> Scores {
    let mut truly: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    let mut found: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (n, ((group, _), truth)) in answer.iter().zip(&system.groups).enumerate() {
        truly.entry(truth).or_default().insert(n);
        found.entry(group).or_default().insert(n);
    }
    let right: usize = found
        .values()
        .filter(|lines| {
            let truth =
                lines.first().and_then(|n| system.groups.get(*n)).and_then(|group| truly.get(group.as_str()));
            truth == Some(lines)
        })
        .map(BTreeSet::len)
        .sum();

    // By text: two groups of one text are one template.
    let blanks = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut known: BTreeSet<String> = BTreeSet::new();
    for ((_, text), truth) in answer.iter().zip(&system.templates) {
        texts.entry(blanks(text)).or_default().insert(blanks(truth));
        known.insert(blanks(truth));
    }
    let exact =
        texts.iter().filter(|(text, truths)| truths.len() == 1 && truths.contains(*text)).count() as f64;
    let (precision, recall) = (exact / texts.len().max(1) as f64, exact / known.len().max(1) as f64);
    Scores {
        ga: right as f64 / answer.len().max(1) as f64,
        fta: if exact > 0.0 { 2.0 * precision * recall / (precision + recall) } else { 0.0 },
    }
}

fn mine(system: &System) -> (Miner, Vec<TemplateId>) {
    let mut miner = Miner::new();
    let leaves: Vec<Leaf> = system.lines.iter().map(|line| miner.add(line, 0)).collect();
    miner.settle();
    let ids = leaves.iter().map(|leaf| miner.template(*leaf)).collect();
    (miner, ids)
}

fn answer(system: &System) -> Vec<(String, String)> {
    let (miner, ids) = mine(system);
    ids.iter().map(|id| (format!("{id:?}"), miner.starred(*id))).collect()
}

/// Lines a second, from the first line to templates that are settled: the median of three.
fn speed(system: &System) -> f64 {
    let rounds = TIMED.div_ceil(system.lines.len().max(1));
    let mut all: Vec<f64> = (0..3)
        .map(|_| {
            let begun = Busy::now();
            let mut miner = Miner::new();
            for _ in 0..rounds {
                for line in &system.lines {
                    std::hint::black_box(miner.add(line, 0));
                }
            }
            miner.settle();
            (rounds * system.lines.len()) as f64 / begun.seconds()
        })
        .collect();
    all.sort_by(f64::total_cmp);
    all.get(1).copied().unwrap_or_default()
}

pub(crate) fn table(systems: &[System]) {
    println!(
        "| midwatch | lines | true templates | found | GA | FTA | lines/s |\n|---|---|---|---|---|---|---|"
    );
    let mut sums = (0.0, 0.0, 0.0);
    for system in systems {
        let answer = answer(system);
        let scores = scores(system, &answer);
        let speed = speed(system);
        let count = |all: BTreeSet<&String>| all.len();
        let (truth, found) =
            (count(system.groups.iter().collect()), count(answer.iter().map(|(g, _)| g).collect()));
        println!(
            "| {} | {} | {truth} | {found} | {:.3} | {:.3} | {:.2} M |",
            system.name,
            system.lines.len(),
            scores.ga,
            scores.fta,
            speed / 1e6
        );
        // Speeds are averaged by time, not by rate.
        sums = (sums.0 + scores.ga, sums.1 + scores.fta, sums.2 + 1.0 / speed);
    }
    let n = systems.len() as f64;
    println!(
        "| mean of {} | | | | {:.3} | {:.3} | {:.2} M |\n",
        systems.len(),
        sums.0 / n,
        sums.1 / n,
        n / sums.2 / 1e6
    );
}

/// For development: true groups that were split or mixed, and templates that read otherwise.
pub(crate) fn differences(system: &System) {
    let answer = answer(system);
    let mut of_truth: BTreeMap<&String, BTreeMap<&(String, String), usize>> = BTreeMap::new();
    let mut of_found: BTreeMap<&String, BTreeMap<&String, usize>> = BTreeMap::new();
    for (found, truth) in answer.iter().zip(&system.templates) {
        *of_truth.entry(truth).or_default().entry(found).or_default() += 1;
        *of_found.entry(&found.0).or_default().entry(truth).or_default() += 1;
    }
    for (truth, found) in &of_truth {
        let mixed = found.keys().any(|found| of_found.get(&found.0).is_some_and(|truths| truths.len() > 1));
        let other = found.keys().all(|found| found.1 != **truth);
        if found.len() > 1 || mixed || other {
            let what = match (found.len() > 1, mixed) {
                (true, _) => "SPLIT",
                (false, true) => "MIXED",
                (false, false) => "text",
            };
            println!("{what} {truth}");
            for ((_, text), lines) in found.iter().take(8) {
                println!("      {lines:5} {text}");
            }
        }
    }
}
