//! Widths, times and amounts as people read them.

use std::fmt::Write as _;

use midwatch_policy::Timestamp;
use unicode_width::UnicodeWidthChar as _;

/// Columns that everything fits in, where there is room for them.
pub const WIDTH: usize = 100;
/// Columns below which nothing reads well any more: then lines are broken by the terminal.
pub const NARROWEST: usize = 40;
/// Columns before the text of a line, where there is room for them.
pub const GUTTER: usize = 11;

/// Marks that one letter may carry.
const MARKS: usize = 2;

/// Columns of standard output: what `COLUMNS` says, else what the terminal has, else all that are
/// ever used (a pipe, a file).
pub fn columns() -> usize {
    let said = std::env::var("COLUMNS").ok().and_then(|text| text.trim().parse().ok());
    let seen = || terminal_size::terminal_size_of(std::io::stdout()).map(|(width, _)| usize::from(width.0));
    said.or_else(seen).unwrap_or(WIDTH).clamp(NARROWEST, WIDTH)
}

/// Text from outside, safe for a terminal: one line, nothing that moves the cursor.
pub fn clean(text: &str) -> String {
    let mut marks = 0;
    let mut spaced = String::with_capacity(text.len());
    for c in text.chars() {
        let seen = c.is_control() || is_direction(c) || is_blank(c);
        // Marks belong on a letter, and not in a pile that covers the lines above and below.
        marks = if seen || c.width() != Some(0) { 0 } else { marks + 1 };
        if marks <= MARKS {
            spaced.push(if seen { ' ' } else { c });
        }
    }
    spaced.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Characters that reorder or hide what follows them.
const fn is_direction(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

/// Letters that show nothing and take room: what follows them would stand in another column, or line.
const fn is_blank(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}')
}

/// JSON whose texts hold characters that reorder or hide as escapes only, and mean the same.
pub fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if is_direction(c) || ('\u{7f}'..='\u{9f}').contains(&c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Columns that a letter takes: two if it is wide. A mark counts as one, so that columns also bound letters.
pub(super) fn wide(c: char) -> usize {
    c.width().unwrap_or(0).max(1)
}

fn long(text: &str) -> usize {
    text.chars().map(wide).sum()
}

/// At most `width` columns and letters, with an ellipsis where it was longer.
pub fn fit(text: &str, width: usize) -> String {
    if long(text) <= width {
        return text.to_owned();
    }
    let mut short = text.get(..within(text, width.saturating_sub(1))).unwrap_or_default().to_owned();
    short.truncate(short.trim_end().len());
    short.push('…');
    short
}

/// How many bytes of a text fit into `width` columns.
fn within(text: &str, width: usize) -> usize {
    let mut columns = 0;
    let past = text.char_indices().find(|(_, c)| {
        columns += wide(*c);
        columns > width
    });
    past.map_or(text.len(), |(at, _)| at)
}

/// Columns that a text takes, its colours left out.
pub fn visible(text: &str) -> usize {
    let mut columns = 0;
    let mut escape = false;
    for c in text.chars() {
        match (escape, c) {
            (false, '\u{1b}') => escape = true,
            (true, 'm') => escape = false,
            (true, _) => {}
            (false, _) => columns += wide(c),
        }
    }
    columns
}

/// After how many bytes to break a word that does not fit: behind a joint of a path, a name or a
/// number with a unit, else at the edge; one letter at least.
fn joint(word: &str, width: usize) -> usize {
    let edge = within(word, width).max(word.chars().next().map_or(0, char::len_utf8));
    let fits = word.get(..edge).unwrap_or(word);
    let behind = fits.rfind(['/', '-', '.', ':', '_', ',', ';', '=', '@', '#', '&', '?']).map(|at| at + 1);
    behind.filter(|at| fits.get(..*at).is_some_and(|head| long(head) * 3 >= width)).unwrap_or(edge)
}

/// Lines of at most `width` columns, broken at spaces.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    let mut columns = 0;
    for word in clean(text).split(' ') {
        let mut word = word;
        let mut length = long(word);
        if columns > 0 && columns + 1 + length > width {
            lines.push(std::mem::take(&mut line));
            columns = 0;
        }
        while length > width {
            let (head, rest) = word.split_at_checked(joint(word, width)).unwrap_or((word, ""));
            lines.push(head.to_owned());
            word = rest;
            length = long(word);
        }
        if columns > 0 {
            line.push(' ');
            columns += 1;
        }
        line.push_str(word);
        columns += length;
    }
    if !line.is_empty() {
        lines.push(line);
    }
    lines
}

/// `02:04:10`, in UTC.
pub fn clock(at: Timestamp) -> String {
    at.strftime("%H:%M:%S").to_string()
}

/// `180 ms`, `1.9 s`, `4 min 05 s`, `2 h 10 min`.
pub fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{}.{} s", ms / 1_000, ms % 1_000 / 100),
        60_000..3_600_000 => format!("{} min {:02} s", ms / 60_000, ms % 60_000 / 1_000),
        _ => format!("{} h {:02} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// `$0.0746`.
pub fn dollars(micro: u64) -> String {
    format!("${}.{:04}", micro / 1_000_000, micro % 1_000_000 / 100)
}

/// `1,204`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_move_a_cursor_or_reorder_text_is_gone() {
        assert_eq!(clean("a\u{1b}[31mb\r\n\tc\u{202e}d"), "a [31mb c d");
    }

    #[test]
    fn letters_that_show_nothing_and_piles_of_marks_are_gone() {
        assert_eq!(clean("a\u{3164}\u{2800}b"), "a b");
        let pile = format!("a{}b", "\u{301}".repeat(40));
        assert_eq!(clean(&pile), "a\u{301}\u{301}b");
    }

    #[test]
    fn wide_letters_take_two_columns() {
        let wide = "配置已更改 ".repeat(8);
        let lines = wrap(&wide, 24);
        assert!(lines.iter().all(|line| long(line) <= 24), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), wide.replace(' ', ""));
        assert_eq!(wrap("配置已更改", 5), ["配置", "已更", "改"]);
        assert_eq!(fit("配置已更改", 5), "配置…");
        assert_eq!(visible("\u{1b}[1m配置\u{1b}[0m"), 4);
        assert_eq!(wrap("配", 1), ["配"], "what does not fit anywhere stands alone");
    }

    #[test]
    fn json_shows_what_hides() {
        let json = serde_json::to_string("a\u{202e}b\u{e0041}").unwrap();
        let shown = escaped(&json);
        assert!(shown.is_ascii(), "{shown}");
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), "a\u{202e}b\u{e0041}");
    }

    #[test]
    fn lines_fit_and_nothing_is_lost() {
        let text = "one two three aVeryLongWordThatDoesNotFitAtAll four";
        let lines = wrap(text, 10);
        assert!(lines.iter().all(|l| l.chars().count() <= 10), "{lines:?}");
        assert_eq!(lines.concat().replace(' ', ""), text.replace(' ', ""));
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit("abcd", 4), "abcd");
    }

    #[test]
    fn a_word_that_does_not_fit_is_broken_at_a_joint() {
        let arn = "arn:aws:ecs:us-east-1:123456789012:service/production/cart";
        assert_eq!(
            wrap(&format!("see {arn}"), 24),
            ["see", "arn:aws:ecs:us-east-1:", "123456789012:service/", "production/cart"]
        );
        assert_eq!(wrap("ConnectionTimeoutException", 20), ["ConnectionTimeoutExc", "eption"]);
    }

    #[test]
    fn amounts_are_short() {
        assert_eq!([took(180), took(1_950), took(245_000)], ["180 ms", "1.9 s", "4 min 05 s"]);
        assert_eq!(dollars(74_600), "$0.0746");
        assert_eq!([count(7), count(1_204), count(1_234_567)], ["7", "1,204", "1,234,567"]);
    }
}
