//! What cannot be had from samples: lines that are all different, lines without end.

use midwatch_mining::Miner;

use crate::busy::Busy;

/// Parts that the lines are made in.
const BATCHES: usize = 500;

/// The most memory the process ever had, in MB.
fn peak_mb() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}

/// Words that no dictionary has, without digits: a worst case, for nothing is masked.
fn word(seed: &mut u64) -> String {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    (0..8).map(|n| char::from(b'a' + u8::try_from((*seed >> (20 + 5 * n)) % 26).unwrap_or(0))).collect()
}

pub(crate) fn table() {
    println!("| strain | lines | templates | lines/s | peak memory of the process |\n|---|---|---|---|---|");
    let before = peak_mb();
    println!("| (before) | | | | {before:.0} MB |");
    // Lines are made in batches, outside of the time that counts.
    let strain = |name: &str, lines: usize, line: &mut dyn FnMut(usize) -> String| {
        let mut miner = Miner::new();
        let mut spent = 0.0;
        let size = lines.div_ceil(BATCHES);
        for batch in 0..BATCHES {
            let made: Vec<String> = (batch * size..lines.min((batch + 1) * size)).map(&mut *line).collect();
            let begun = Busy::now();
            for line in &made {
                std::hint::black_box(miner.add(line, 0));
            }
            spent += begun.seconds();
        }
        let begun = Busy::now();
        miner.settle();
        spent += begun.seconds();
        println!(
            "| {name} | {lines} | {} | {:.2} M | {:.0} MB |",
            miner.len(),
            lines as f64 / spent / 1e6,
            peak_mb()
        );
    };
    let mut seed = 1;
    strain("a million lines, all words random", 1_000_000, &mut |_| {
        (0..8).map(|_| word(&mut seed)).collect::<Vec<_>>().join(" ")
    });
    strain("a million lines, one random name in each", 1_000_000, &mut |_| {
        format!("session of {} ended after an error in the store", word(&mut seed))
    });
    strain("a million lines, an id in each", 1_000_000, &mut |n| {
        format!("request {:016x} took {} ms", (n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15), n % 977)
    });
    let long = "x1 ".repeat(350_000);
    strain("a thousand lines of a megabyte", 1000, &mut |n| format!("{n} {long}"));
    println!();
}
