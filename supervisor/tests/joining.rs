//! Alarms of one trouble become one incident, and those of another do not: measured on streams
//! whose troubles are known.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_precision_loss,
    clippy::format_push_string,
    dead_code,
    unreachable_pub,
    missing_debug_implementations,
    reason = "a test"
)]

#[path = "joining/stream.rs"]
mod stream;

use midwatch::intake::board::Grouping;
use stream::{Score, Stream, play};

/// Streams that are played.
const SEEDS: u64 = 100;
/// Each with its fifty troubles among sixty services spread over so many days.
const DAYS: i64 = 28;

#[test]
fn joining_is_right_at_least_ninety_nine_times_in_a_hundred() {
    let mut all = Score::default();
    for seed in 0..SEEDS {
        let stream = Stream::new(seed, DAYS);
        assert!(stream.sent.len() > 100 && stream.troubles >= 40, "seed {seed} is no stream");
        let score = play(&stream, seed, Grouping::default());
        println!("seed {seed}: precision {:.4} recall {:.4}", score.precision(), score.recall());
        all.add(&score);
    }
    println!(
        "{SEEDS} streams, {} alarms of {} troubles in {} incidents: precision {:.4}, recall {:.4}",
        all.alarms,
        all.troubles,
        all.incidents,
        all.precision(),
        all.recall()
    );
    assert!(all.precision() >= 0.99, "precision {:.4}", all.precision());
    assert!(all.recall() >= 0.99, "recall {:.4}", all.recall());
}

/// The measure itself tells bad from good: alarms by chance in one incident score badly.
#[test]
fn a_board_that_joins_everything_or_nothing_would_be_found_out() {
    let stream = Stream::new(3, DAYS);
    let good = play(&stream, 3, Grouping::default());
    assert!(good.related > good.alarms as u64, "{good:?}");
    let everything = good.alarms as u64 * (good.alarms as u64 - 1) / 2;
    assert!((good.related as f64 / everything as f64) < 0.2, "{good:?}");
}
