//! Masking what varies in a line, in one pass over its bytes.
//!
//! Masks are for what is certainly a value. Words are left alone; where they vary, comparing lines
//! finds out. A mask is one control byte, so that masked lines stay short and cannot be mistaken:
//! control bytes of the input become blanks. Regular expressions were rejected: ten times slower.

use std::borrow::Cow;

use crate::{segment, stamp, template};

/// Bytes of a line that are read; what follows is cut.
pub const MAX_LINE: usize = 4096;
/// Words of a line that are read.
const MAX_WORDS: usize = 96;

pub(crate) const NUMBER: u8 = 1;
pub(crate) const ID: u8 = 2;
pub(crate) const ADDRESS: u8 = 3;
pub(crate) const HEX: u8 = 4;
pub(crate) const TIME: u8 = 5;
pub(crate) const MAIL: u8 = 6;
/// Begins a path, which ends with the next.
pub(crate) const PATH: u8 = 7;
pub(crate) const PATH_END: u8 = 8;
/// What comparing lines found to vary.
pub(crate) const WILD: u8 = 14;

const BLANK: u8 = 1;
const DIGIT: u8 = 2;
/// Where only a closer look tells.
const LOOK: u8 = 4;
const SEPARATOR: u8 = 8;

const CLASS: [u8; 256] = classes();

#[allow(clippy::indexing_slicing, clippy::cast_possible_truncation, reason = "evaluated by the compiler")]
const fn classes() -> [u8; 256] {
    let mut table = [0; 256];
    let mut n = 0;
    while n < 256 {
        table[n] = match n as u8 {
            0..=32 | 127 => BLANK,
            b'0'..=b'9' => DIGIT,
            b'/' | b'\\' | b'@' => LOOK,
            b'=' | b',' | b';' | b':' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b'"'
            | b'\'' | b'|' | b'`' | b'#' => SEPARATOR,
            _ => 0,
        };
        n += 1;
    }
    table
}

fn class(byte: u8) -> u8 {
    CLASS.get(usize::from(byte)).copied().unwrap_or(0)
}

pub(crate) fn is_separator(byte: u8) -> bool {
    class(byte) == SEPARATOR
}

/// Whether a byte stands for a value.
pub(crate) const fn is_mark(byte: u8) -> bool {
    matches!(byte, 1..=8 | WILD)
}

/// The line with its values masked, for people: `<time>`, `<id>`, `<ip>`, `<hex>`, `<num>`, `<email>`.
pub fn mask(text: &str) -> Cow<'static, str> {
    let mut out = Vec::with_capacity(text.len().min(MAX_LINE));
    mask_into(text, &mut out);
    Cow::Owned(template::shown(&out))
}

/// Masks a line behind what stands in `out`. A time at its head is left out.
pub(crate) fn mask_into(text: &str, out: &mut Vec<u8>) {
    let text = text.get(..text.floor_char_boundary(MAX_LINE)).unwrap_or(text);
    let begin = out.len();
    let mut rest = text.as_bytes();
    for _ in 0..MAX_WORDS {
        let (used, blanks) = gap(rest);
        rest = rest.get(used..).unwrap_or_default();
        if rest.is_empty() {
            return;
        }
        if out.len() > begin {
            out.extend_from_slice(if blanks > 1 { b"  " } else { b" " });
        }
        let mut seen = 0;
        let end = rest
            .iter()
            .position(|b| {
                let class = class(*b);
                seen |= class;
                class == BLANK
            })
            .unwrap_or(rest.len());
        let used = if seen & (DIGIT | LOOK) == 0 && end < 24 {
            if let Some(used) = (end == 3 || end == 4).then(|| stamp::calendar(rest)).flatten() {
                out.push(TIME);
                used
            } else {
                out.extend_from_slice(rest.get(..end).unwrap_or_default());
                end
            }
        } else {
            word(rest, end, out)
        };
        rest = rest.get(used..).unwrap_or_default();
        if out.get(begin..) == Some(&[TIME]) {
            out.truncate(begin);
        }
    }
    out.extend_from_slice(&[b' ', WILD]);
}

/// Bytes up to the next word, and how many blanks are among them. Colours of a terminal are nothing.
fn gap(text: &[u8]) -> (usize, usize) {
    let (mut used, mut blanks) = (0, 0);
    while let Some(byte) = text.get(used).filter(|b| class(**b) == BLANK) {
        let colour = match text.get(used + 1..) {
            Some([b'[', rest @ ..]) if *byte == 0x1b => {
                rest.iter().take(12).position(u8::is_ascii_alphabetic).map(|letter| letter + 3)
            }
            _ => None,
        };
        used += colour.unwrap_or(1);
        blanks += usize::from(colour.is_none());
    }
    (used, blanks)
}

/// Masks a word, which ends at `end` unless a time reaches beyond it; says how much was used.
fn word(rest: &[u8], mut end: usize, out: &mut Vec<u8>) -> usize {
    let mut place = 0;
    while place < end {
        let here = rest.get(place..end).unwrap_or_default();
        let Some(first) = here.first().copied() else { break };
        if class(first) == SEPARATOR {
            out.push(first);
            place += 1;
            continue;
        }
        if first.is_ascii_digit()
            && let Some(used) = stamp::date(rest.get(place..).unwrap_or_default())
        {
            out.push(TIME);
            place += used;
            if place > end {
                end = (place..rest.len())
                    .find(|n| rest.get(*n).is_some_and(|b| class(*b) == BLANK))
                    .unwrap_or(rest.len());
            }
            continue;
        }
        if let Some(used) = colons(here) {
            out.push(ADDRESS);
            place += used;
            continue;
        }
        let stop = here.iter().position(|b| class(*b) == SEPARATOR).unwrap_or(here.len());
        if here.get(stop..).is_some_and(|tail| tail.starts_with(b"://")) {
            let closers = here.iter().rev().take_while(|b| b".,;:)]}>'\"".contains(b)).count();
            let used = (here.len() - closers).max(stop);
            let used = here
                .iter()
                .position(|b| matches!(b, b'"' | b'\'' | b'<' | b'>'))
                .map_or(used, |n| n.min(used));
            segment::path(here.get(..used).unwrap_or(here), out);
            place += used.max(1);
            continue;
        }
        segment::atom(here.get(..stop).unwrap_or(here), out);
        place += stop.max(1);
    }
    place
}

/// Bytes of an IPv6 or hardware address.
fn colons(text: &[u8]) -> Option<usize> {
    let (mut groups, mut length, mut digits, mut doubled) = (0, 0, 0, false);
    let mut end = 0;
    for (place, byte) in text.iter().enumerate() {
        match byte {
            b':' => {
                doubled |= length == 0 && place > 0;
                groups += 1;
                length = 0;
            }
            b if b.is_ascii_hexdigit() && length < 4 => {
                length += 1;
                digits += usize::from(b.is_ascii_digit());
            }
            _ => break,
        }
        end = place + 1;
    }
    let ends = text.get(end).is_none_or(|b| !b.is_ascii_alphanumeric());
    (ends && length > 0 && digits > 0 && (groups >= 5 || doubled && groups >= 2)).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_masked_and_words_are_not() {
        for (text, expected) in [
            ("2026-11-21T02:01:07.123Z pool exhausted", "pool exhausted"),
            ("order ord_8812 of 550e8400-e29b-41d4-a716-446655440000", "order ord_<num> of <id>"),
            ("connect 10.0.3.7:5432 took 3012ms (limit 30s)", "connect <ip> took <num>ms (limit <num>s)"),
            ("object 0x7ffe12 deadbeef01 at 12:00:01", "object <hex> <hex> at <time>"),
            ("table orders in S3 of EC2, sha256 and utf8", "table orders in S3 of EC2, sha256 and utf8"),
            ("thread http-nio-8080-exec-3", "thread http-nio-<num>-exec-<num>"),
            ("mail to jane.doe+x@example.org", "mail to <email>"),
            ("i-0abc12def3456789a gone", "i-<hex> gone"),
            ("ProvisionedThroughputExceededException", "ProvisionedThroughputExceededException"),
            ("used 93.5% of 1,024 MB", "used <num>% of <num> MB"),
            ("block blk_-7983508786213002472 lost", "block blk_<num> lost"),
            ("GET /users/8812/cart", "GET /users/<num>/cart"),
            ("see https://example.org/a/17?x=2.", "see https://example.org/a/<num>?x=<num>."),
            ("from fe80::1ff:fe23:4567:890a and 00:1B:44:11:3A:B7", "from <ip> and <ip>"),
            ("at Sun Jul 17 15:09:16 2005 done", "at <time> done"),
            ("a\u{1}b \u{1b}[31mred\u{1b}[0m", "a b red"),
        ] {
            assert_eq!(mask(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_masked_without_panic(text in "(?s).{0,200}|[0-9:/.@=a-f -]{0,80}") {
            let _ = mask(&text);
        }
    }
}
