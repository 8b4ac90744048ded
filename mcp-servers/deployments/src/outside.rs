//! Text from outside, on its way into a result: redacted, bounded, and marked where it speaks to
//! its reader.

use midwatch_policy::{MarkKind, redact, screen};

/// Longest free text that is passed on, in bytes.
const LONGEST: usize = 1000;

/// Free text without its secrets, and in what ways it addresses the reader. Empty text is none.
pub(crate) fn free_text(text: Option<&str>) -> (Option<String>, Vec<MarkKind>) {
    let Some(text) = text.map(str::trim).filter(|text| !text.is_empty()) else {
        return (None, Vec::new());
    };
    let mut kinds: Vec<MarkKind> = screen(text).into_iter().map(|mark| mark.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    (Some(midwatch_mcp::clip(&redact(text).text, LONGEST).into_owned()), kinds)
}

/// One line of free text without its secrets.
pub(crate) fn line(text: &str) -> String {
    free_text(Some(text)).0.unwrap_or_default()
}
