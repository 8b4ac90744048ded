//! Lengths of time in words.

/// `45 s`, `3 min`, `3 min 20 s`, `2 h 5 min`, `3 days`.
pub(crate) fn span(seconds: i64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3600);
    match seconds {
        ..120 => format!("{seconds} s"),
        120..3600 if seconds % 60 == 0 => format!("{minutes} min"),
        120..3600 => format!("{minutes} min {} s", seconds % 60),
        3600..172_800 => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} days", hours / 24),
    }
}
