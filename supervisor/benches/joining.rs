//! `cargo bench -p midwatch --bench joining`: a table of how well alarms are put together.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::format_push_string,
    missing_debug_implementations,
    unreachable_pub,
    dead_code,
    reason = "a measurement"
)]

#[path = "../tests/joining/stream.rs"]
mod stream;

use midwatch::intake::board::Grouping;
use midwatch_policy::SignedDuration;
use stream::{Score, Stream, play};

/// Streams for each row.
const SEEDS: u64 = 100;

fn main() {
    println!(
        "| days | related | same service | sibling | alarms | troubles | incidents | precision | recall | worst precision | worst recall |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let usual = Grouping::default();
    for days in [3, 7, 14, 28, 56] {
        row(days, usual);
    }
    for (related, same_service, sibling) in [
        (10, 20, 3),
        (8, 20, 3),
        (6, 20, 3),
        (5, 20, 3),
        (6, 15, 3),
        (6, 30, 3),
        (6, 20, 2),
        (6, 20, 0),
        (5, 15, 2),
    ] {
        row(
            7,
            Grouping {
                related: SignedDuration::from_mins(related),
                same_service: SignedDuration::from_mins(same_service),
                sibling: SignedDuration::from_mins(sibling),
                ..usual
            },
        );
    }
}

fn row(days: i64, grouping: Grouping) {
    let (mut all, mut worst) = (Score::default(), (1.0_f64, 1.0_f64));
    for seed in 0..SEEDS {
        let score = play(&Stream::new(seed, days), seed, grouping);
        worst = (worst.0.min(score.precision()), worst.1.min(score.recall()));
        all.add(&score);
    }
    let minutes = |span: SignedDuration| span.as_mins();
    println!(
        "| {days} | {} m | {} m | {} m | {} | {} | {} | {:.4} | {:.4} | {:.4} | {:.4} |",
        minutes(grouping.related),
        minutes(grouping.same_service),
        minutes(grouping.sibling),
        all.alarms,
        all.troubles,
        all.incidents,
        all.precision(),
        all.recall(),
        worst.0,
        worst.1
    );
}
