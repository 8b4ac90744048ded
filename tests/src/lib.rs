//! The real daemon, servers and foreign parts together.

/// Texts that give orders, from `tests/injections.jsonl` and the file that `MIDWATCH_INJECTIONS` names: one JSON
/// object with `text` in each line.
///
/// # Panics
/// Where a line is none.
#[allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "for tests")]
pub fn orders() -> Vec<String> {
    let more = std::env::var("MIDWATCH_INJECTIONS").map(|file| std::fs::read_to_string(file).unwrap());
    let more = more.unwrap_or_default();
    let rows = include_str!("../tests/injections.jsonl").lines().chain(more.lines());
    rows.filter(|line| !line.trim().is_empty())
        .map(|line| {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            row["text"].as_str().unwrap().to_owned()
        })
        .collect()
}
