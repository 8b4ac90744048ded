//! Text on its way out: secrets gone, one line, bounded, and never the markup of where it goes.

use midwatch_policy::redact;

use crate::terminal::text::{clean, fit};

/// One line of at most `most` characters, without secrets. Redacted before it is cut, so that no
/// secret is cut in half and missed.
pub(super) fn line(text: &str, most: usize) -> String {
    let near: String = text.chars().take(most.saturating_mul(4).saturating_add(1024)).collect();
    fit(&clean(&redact(&near).text), most)
}

/// The same of what was put together from texts without secrets.
pub(super) fn shown(text: &str, most: usize) -> String {
    fit(&clean(text), most)
}

/// At most `most` bytes, cut between characters.
pub(super) fn bytes(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    let room = most.saturating_sub('…'.len_utf8());
    let kept = text.get(..text.floor_char_boundary(room)).unwrap_or_default();
    format!("{kept}…")
}

/// Slack's markup: `<`, `>` and `&` are all that begins a link, a mention or an entity; an `@word`
/// is broken up besides, since old integrations look for it.
pub(super) fn mrkdwn(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '@' => out.push_str("@\u{2060}"),
            // Emphasis and code: read as signs, not as markup.
            '*' | '_' | '~' | '`' => out.extend([c, '\u{2060}']),
            c => out.push(c),
        }
    }
    out
}

/// Printable ASCII: for e-mail subjects and header values.
pub(super) fn ascii(text: &str, most: usize) -> String {
    let kept: String = text.chars().map(|c| if c.is_ascii_graphic() || c == ' ' { c } else { '?' }).collect();
    kept.trim().chars().take(most).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_secret_at_the_cut_is_gone_whole() {
        let text = format!("{} password=hunter2secret", "x".repeat(60));
        assert!(!line(&text, 78).contains("hunter"));
        assert_eq!(line("a\nb\u{202e}c\u{7}", 10), "a b c");
        assert_eq!(bytes("aäö€", 4), "a…");
    }

    #[test]
    fn what_would_wake_a_whole_channel_is_only_text() {
        let escaped = mrkdwn("<!channel> <https://evil.example|login> @here & *bold*");
        assert!(!escaped.contains('<') && !escaped.contains('>') && !escaped.contains("@here"), "{escaped}");
        assert!(escaped.starts_with("&lt;!channel&gt;"));
    }

    proptest! {
        #[test]
        fn whatever_comes_in_stays_bounded_and_in_one_line(text in ".{0,400}", most in 4_usize..200) {
            prop_assert!(line(&text, most).chars().count() <= most);
            prop_assert!(!line(&text, most).chars().any(char::is_control));
            prop_assert!(bytes(&text, most).len() <= most);
            prop_assert!(!mrkdwn(&text).contains(['<', '>']));
            prop_assert!(ascii(&text, most).bytes().all(|b| (32..127).contains(&b)));
        }
    }
}
