//! Showing a template.

use crate::mask::{ADDRESS, HEX, ID, MAIL, NUMBER, PATH, PATH_END, TIME, WILD, is_mark};

/// For people: what kind of value stands where.
pub(crate) fn shown(masked: &[u8]) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(masked.len() + 16);
    let at = |n: usize| masked.get(n).copied().unwrap_or(0);
    let mut n = 0;
    while n < masked.len() {
        let byte = at(n);
        n += 1;
        match byte {
            NUMBER => {
                let (mut colons, mut more) = (0, n);
                while matches!(at(more), b'.' | b',' | b':') && at(more + 1) == NUMBER {
                    colons += usize::from(at(more) == b':');
                    more += 2;
                }
                // `12:00:01` is a time; `a:1` beside `b:2` keeps its colon.
                let (name, to) = match colons {
                    0 => ("<num>", more),
                    2 => ("<time>", more),
                    _ => ("<num>", n),
                };
                out.extend_from_slice(name.as_bytes());
                n = to;
            }
            ADDRESS => {
                out.extend_from_slice(b"<ip>");
                if matches!(at(n), b':' | b'/') && at(n + 1) == NUMBER {
                    n += 2;
                }
            }
            ID => out.extend_from_slice(b"<id>"),
            HEX => out.extend_from_slice(b"<hex>"),
            TIME => out.extend_from_slice(b"<time>"),
            MAIL => out.extend_from_slice(b"<email>"),
            WILD => out.extend_from_slice(b"<*>"),
            PATH | PATH_END => {}
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

/// As the literature writes templates: every value is `<*>`.
pub(crate) fn starred(masked: &[u8]) -> String {
    let mut out: Vec<u8> = Vec::with_capacity(masked.len() + 16);
    let at = |n: usize| masked.get(n).copied().unwrap_or(0);
    let mut n = 0;
    while n < masked.len() {
        let byte = at(n);
        n += 1;
        if !is_mark(byte) {
            out.push(byte);
            continue;
        }
        out.extend_from_slice(b"<*>");
        if byte == PATH {
            n += masked.iter().skip(n).take_while(|b| **b != PATH_END).count() + 1;
        }
        if byte == NUMBER {
            // A unit is of the value.
            let unit =
                (n..masked.len()).take_while(|n| at(*n).is_ascii_alphabetic() || at(*n) == b'%').count();
            if unit <= 4 && !at(n + unit).is_ascii_alphanumeric() && at(n + unit) != b'_' {
                n += unit;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
