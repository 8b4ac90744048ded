//! The colours that programs write for a terminal, also into logs that no terminal ever shows.

use std::borrow::Cow;

/// Begins of a control sequence: the character, and as JSON writes it.
const ESCAPE: char = '\u{1b}';
const WRITTEN: &str = "u001b";

/// The text without the sequences that set a colour or a weight. Between a word and its neighbour they hide
/// from every rule that looks for either. Others (concealed text, a moved cursor) stay, to be marked.
pub fn without_colours(text: &str) -> Cow<'_, str> {
    if !text.contains(ESCAPE) && !text.contains(WRITTEN) && !text.contains("u001B") {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find([ESCAPE, '\\']) {
        let (before, here) = rest.split_at_checked(at).unwrap_or((rest, ""));
        out.push_str(before);
        let taken = len(here).unwrap_or_else(|| {
            // A run of backslashes is one sign: half of it would change what the next one means.
            let kept = backslashes(here).max(1);
            out.push_str(here.get(..kept).unwrap_or(here));
            kept
        });
        rest = here.get(taken..).unwrap_or_default();
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn backslashes(text: &str) -> usize {
    text.len() - text.trim_start_matches('\\').len()
}

/// How long the sequence is that a text begins with, if all that it does is to set a colour or a weight.
pub(super) fn len(text: &str) -> Option<usize> {
    let body = text.strip_prefix(ESCAPE).or_else(|| {
        let (sign, body) = text.get(backslashes(text)..)?.split_at_checked(WRITTEN.len())?;
        (text.starts_with('\\') && sign.eq_ignore_ascii_case(WRITTEN)).then_some(body)
    })?;
    let body = body.strip_prefix('[')?;
    let end = body.find(|c: char| !(c.is_ascii_digit() || matches!(c, ';' | ':')))?;
    let (codes, rest) = body.split_at_checked(end)?;
    let ends = rest.starts_with('m') && codes.split(';').all(|code| code != "8");
    // `grep` and compilers clear the line behind each colour.
    (ends || rest.starts_with('K')).then_some(text.len() - rest.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_all_else_stays() {
        for (text, plain) in [
            ("\u{1b}[2m02:00\u{1b}[0m \u{1b}[1;31mERROR\u{1b}[m x", "02:00 ERROR x"),
            ("\u{1b}[38;5;196mred\u{1b}[K \u{1b}[38:2::1:2:3mtoo\u{1b}[0m", "red too"),
            (r#"{"log":"\u001b[31mERROR\u001B[0m x"}"#, r#"{"log":"ERROR x"}"#),
            (r#"{"log":"{\"m\":\"\\u001b[31mERROR\\u001b[0m\"}"}"#, r#"{"log":"{\"m\":\"ERROR\"}"}"#),
            (r"C:\new\\users \u001b", r"C:\new\\users \u001b"),
            ("\u{1b}[8mhidden\u{1b}[2J \u{1b}]0;t", "\u{1b}[8mhidden\u{1b}[2J \u{1b}]0;t"),
            ("ü\u{1b}", "ü\u{1b}"),
            ("m[31m", "m[31m"),
        ] {
            assert_eq!(without_colours(text), plain);
        }
    }
}
