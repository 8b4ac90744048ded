//! One piece of a word, between punctuation: is it a name or a value?

use crate::mask::{ADDRESS, HEX, ID, MAIL, NUMBER, PATH, PATH_END};

fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// Masks an atom: what stands between brackets, quotes, blanks, `=`, `,`, `:`, `;`, `|`.
pub(crate) fn atom(text: &[u8], out: &mut Vec<u8>) {
    // A full stop ends a sentence, not a value.
    let kept = text.iter().rev().take_while(|b| matches!(b, b'.' | b'!' | b'?' | b'*')).count();
    let (text, tail) = text.split_at_checked(text.len() - kept).unwrap_or((text, &[]));
    let slashes = text.iter().filter(|b| matches!(b, b'/' | b'\\')).count();
    let rooted = matches!(text.first(), Some(b'/' | b'\\'));
    // Java writes `/10.0.0.1` for an address without a name.
    let address = slashes == 1 && text.get(1).is_some_and(u8::is_ascii_digit);
    if rooted && !address && (slashes > 1 || text.iter().any(u8::is_ascii_digit)) && text.len() > 2 {
        path(text, out);
    } else if slashes > 0 {
        for part in text.split_inclusive(|b| matches!(b, b'/' | b'\\')) {
            match part.split_last() {
                Some((slash @ (b'/' | b'\\'), body)) => {
                    plain(body, out);
                    out.push(*slash);
                }
                _ => plain(part, out),
            }
        }
    } else {
        plain(text, out);
    }
    out.extend_from_slice(tail);
}

/// A path or an address: kept for show, with its ids masked, and one value all the same.
pub(crate) fn path(text: &[u8], out: &mut Vec<u8>) {
    out.push(PATH);
    for part in text.split_inclusive(|b| !is_word(*b)) {
        match part.split_last() {
            Some((last, body)) if !is_word(*last) => {
                piece(body, out);
                out.push(*last);
            }
            _ => piece(part, out),
        }
    }
    out.push(PATH_END);
}

/// An atom without slashes.
fn plain(text: &[u8], out: &mut Vec<u8>) {
    if is_mail(text) {
        out.push(MAIL);
        return;
    }
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        if is_base64(text) {
            out.push(ID);
        } else {
            out.extend_from_slice(text);
        }
        return;
    }
    let unsigned = text.strip_prefix(b"-").or_else(|| text.strip_prefix(b"+")).unwrap_or(text);
    if unsigned.iter().all(|b| b.is_ascii_digit() || *b == b'.') {
        number(unsigned, out);
    } else if is_hex(unsigned) {
        out.push(HEX);
    } else if is_uuid(text) || is_base64(text) {
        out.push(ID);
    } else if let Some(unit) = unit_of(unsigned) {
        number(unsigned.get(..unsigned.len() - unit).unwrap_or(unsigned), out);
        out.extend_from_slice(unsigned.get(unsigned.len() - unit..).unwrap_or_default());
    } else if is_coordinate(text) {
        out.push(ID);
    } else if digits >= 2 && is_host(text) {
        out.push(ADDRESS);
    } else {
        pieces(text, out);
    }
}

/// Pieces between hyphens, underscores, full stops and the like, each for itself.
fn pieces(text: &[u8], out: &mut Vec<u8>) {
    let mut from = 0;
    for (place, byte) in text.iter().enumerate() {
        if !is_word(*byte) {
            let body = text.get(from..place).unwrap_or_default();
            piece(body, out);
            // A sign, in `blk_-7983`, is the number's.
            let signs = *byte == b'-'
                && body.is_empty()
                && place > 0
                && text.get(place + 1).is_some_and(u8::is_ascii_digit);
            if !signs {
                out.push(*byte);
            }
            from = place + 1;
        }
    }
    piece(text.get(from..).unwrap_or_default(), out);
}

/// Digits become one mark, full stops between them stay; four groups are an address.
fn number(text: &[u8], out: &mut Vec<u8>) {
    let groups = || text.split(|b| *b == b'.');
    if groups().count() == 4 && groups().all(|group| (1..=3).contains(&group.len())) {
        out.push(ADDRESS);
        return;
    }
    let mut inside = false;
    for byte in text {
        if byte.is_ascii_digit() {
            if !inside {
                out.push(NUMBER);
            }
            inside = true;
        } else {
            out.push(*byte);
            inside = false;
        }
    }
}

fn piece(text: &[u8], out: &mut Vec<u8>) {
    let digits = text.iter().filter(|b| b.is_ascii_digit()).count();
    if digits == 0 {
        out.extend_from_slice(text);
        return;
    }
    if digits == text.len() {
        out.push(NUMBER);
        return;
    }
    if text.len() >= 8 && text.iter().all(u8::is_ascii_hexdigit) {
        out.push(HEX);
        return;
    }
    let turns =
        text.windows(2).filter(|w| matches!(w, [a, b] if a.is_ascii_digit() != b.is_ascii_digit())).count();
    let trailing = text.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let leading = text.iter().take_while(|b| b.is_ascii_digit()).count();
    let letters = text.len() - digits;
    if turns >= 2 && (text.len() >= 6 || digits >= 4) {
        out.push(ID);
    } else if turns == 1 && (trailing >= 2 && letters >= 4 || trailing >= 4) {
        out.extend_from_slice(text.get(..letters).unwrap_or_default());
        out.push(NUMBER);
    } else if matches!(text, [b'v' | b'V', ..]) && letters == 1 {
        // A version.
        out.extend_from_slice(text.get(..1).unwrap_or_default());
        out.push(NUMBER);
    } else if turns == 1 && leading >= 2 {
        out.push(NUMBER);
        out.extend_from_slice(text.get(leading..).unwrap_or_default());
    } else {
        // `s3`, `ec2`, `v2`, `sha256`, `utf8`: names.
        out.extend_from_slice(text);
    }
}

/// Of time, bytes and rates; in lower case.
const UNITS: [&[u8]; 32] = [
    b"ms",
    b"s",
    b"us",
    "µs".as_bytes(),
    b"ns",
    b"m",
    b"h",
    b"d",
    b"min",
    b"mins",
    b"sec",
    b"secs",
    b"b",
    b"k",
    b"kb",
    b"mb",
    b"gb",
    b"tb",
    b"g",
    b"t",
    b"kib",
    b"mib",
    b"gib",
    b"tib",
    b"%",
    b"hz",
    b"khz",
    b"mhz",
    b"ghz",
    b"kbps",
    b"mbps",
    b"pct",
];

/// Bytes of the unit behind a number: `ms`, `KB`, `s`, `%`.
fn unit_of(text: &[u8]) -> Option<usize> {
    let number = text.iter().take_while(|b| b.is_ascii_digit() || **b == b'.').count();
    let unit = text.get(number..)?;
    let known = unit.len() <= 4 && UNITS.iter().any(|known| known.eq_ignore_ascii_case(unit));
    (number > 0 && known).then_some(unit.len())
}

fn is_hex(text: &[u8]) -> bool {
    let (digits, prefixed) = match text {
        [b'0', b'x' | b'X', rest @ ..] => (rest, true),
        _ => (text, false),
    };
    !digits.is_empty() && (prefixed || digits.len() >= 8) && digits.iter().all(u8::is_ascii_hexdigit)
}

fn is_uuid(text: &[u8]) -> bool {
    text.len() == 36
        && text.iter().enumerate().all(|(n, b)| match n {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        })
}

/// A long run of letters of mixed case and digits; camel case has far fewer capitals.
fn is_base64(text: &[u8]) -> bool {
    if text.len() < 24 || !text.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'=')) {
        return false;
    }
    let upper = text.iter().skip(1).filter(|b| b.is_ascii_uppercase()).count();
    let lower = text.iter().filter(|b| b.is_ascii_lowercase()).count();
    lower > 0 && upper * 3 >= lower
}

fn is_mail(text: &[u8]) -> bool {
    let Some(place) = text.iter().position(|b| *b == b'@') else { return false };
    let domain = text.get(place + 1..).unwrap_or_default();
    place > 0 && domain.contains(&b'.') && domain.first().is_some_and(u8::is_ascii_alphanumeric)
}

/// `R62-M1-N4`, `eu1-az2-r17`: two pieces or more that are a letter or two and a number.
fn is_coordinate(text: &[u8]) -> bool {
    let short = |piece: &[u8]| {
        let digits = piece.iter().filter(|b| b.is_ascii_digit()).count();
        (1..=3).contains(&digits) && (1..=2).contains(&(piece.len() - digits))
    };
    text.split(|b| *b == b'-').filter(|piece| short(piece)).count() >= 2
}

/// `node-12.cluster.internal`, `part-00017.parquet`: the last part a short word, digits before it.
fn is_host(text: &[u8]) -> bool {
    let mut parts = text.rsplit(|b| *b == b'.');
    let last = parts.next().unwrap_or_default();
    let named = (2..=10).contains(&last.len()) && last.iter().all(u8::is_ascii_lowercase);
    let ok = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    named && parts.next().is_some_and(|part| !part.is_empty()) && text.iter().all(ok)
}
