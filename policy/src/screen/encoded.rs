//! What a text carries encoded: base64, hexadecimal, binary, ASCII85, `\u` and percent escapes.

use std::sync::LazyLock;

use base64::{Engine as _, engine::general_purpose};
use regex::bytes::Regex;

use super::{Mark, MarkKind, fold, patterns};

/// The bytes of an encoded run, if it is one.
type Decode = fn(&str) -> Option<Vec<u8>>;

static BASE64: LazyLock<Regex> = LazyLock::new(|| patterns::compile(r"[A-Za-z0-9+/_-]{20,}={0,2}"));
static HEX: LazyLock<Regex> =
    LazyLock::new(|| patterns::compile(r"(?i)(?:(?:0x|\\x)?[0-9a-f]{2}[ ,:]?){16,}"));
static BINARY: LazyLock<Regex> = LazyLock::new(|| patterns::compile(r"(?:[01]{8}[ ,]?){8,}"));
static UNICODE: LazyLock<Regex> =
    LazyLock::new(|| patterns::compile(r"(?i)(?:\\{1,2}u\{?[0-9a-f]{4}\}?){8,}"));
static PERCENT: LazyLock<Regex> =
    LazyLock::new(|| patterns::compile(r"(?:%[0-9A-Fa-f]{2}|\+|[A-Za-z0-9.,:'_-]){16,}"));
static ENTITY: LazyLock<Regex> = LazyLock::new(|| patterns::compile(r"(?i)(?:&#x?[0-9a-f]{2,5};){8,}"));
static ASCII85: LazyLock<Regex> = LazyLock::new(|| patterns::compile(r"<~[!-uz\s]{20,}~>"));

/// Marks every encoded run whose plain text speaks to its reader.
pub(super) fn find(text: &str, marks: &mut Vec<Mark>) {
    let decoders: [(&str, &Regex, Decode); 7] = [
        ("", &BASE64, base64),
        ("", &HEX, hexadecimal),
        ("01", &BINARY, binary),
        ("\\u", &UNICODE, unicode),
        ("%", &PERCENT, percent),
        ("&#", &ENTITY, entity),
        ("<~", &ASCII85, ascii85),
    ];
    for (hint, pattern, decode) in decoders {
        if !text.contains(hint) {
            continue;
        }
        for run in pattern.find_iter(text.as_bytes()) {
            let Ok(encoded) = std::str::from_utf8(run.as_bytes()) else { continue };
            let Some(plain) = decode(encoded).and_then(|bytes| String::from_utf8(bytes).ok()) else {
                continue;
            };
            let words = plain.chars().filter(|c| c.is_alphabetic() || *c == ' ').count();
            if words * 10 < plain.chars().count() * 7 {
                continue;
            }
            let mut inner = Vec::new();
            patterns::find(&fold::fold(&plain), None, &mut inner);
            if !inner.is_empty() {
                marks.push(Mark { kind: MarkKind::Disguised, start: run.start(), end: run.end() });
            }
        }
    }
}

/// The bytes that a run of base64 stands for, with the signs for URLs or without.
pub(crate) fn base64(run: &str) -> Option<Vec<u8>> {
    let run = run.trim_end_matches('=');
    let whole = run.get(..run.len() - usize::from(run.len() % 4 == 1)).unwrap_or(run);
    general_purpose::STANDARD_NO_PAD
        .decode(whole)
        .or_else(|_| general_purpose::URL_SAFE_NO_PAD.decode(whole))
        .ok()
}

fn hexadecimal(run: &str) -> Option<Vec<u8>> {
    let digits: String = run.to_ascii_lowercase().replace("0x", "").replace("\\x", "");
    hex::decode(digits.chars().filter(char::is_ascii_hexdigit).collect::<String>()).ok()
}

fn binary(run: &str) -> Option<Vec<u8>> {
    run.split([' ', ','])
        .flat_map(|group| group.as_bytes().chunks(8))
        .map(|bits| u8::from_str_radix(std::str::from_utf8(bits).ok()?, 2).ok())
        .collect()
}

fn unicode(run: &str) -> Option<Vec<u8>> {
    let text: Option<String> = run
        .split(['\\', 'u', 'U', '{', '}'])
        .filter(|part| !part.is_empty())
        .map(|part| u32::from_str_radix(part, 16).ok().and_then(char::from_u32))
        .collect();
    text.map(String::into_bytes)
}

fn percent(run: &str) -> Option<Vec<u8>> {
    if !run.contains('%') {
        return None;
    }
    let mut bytes = run.bytes();
    let mut plain = Vec::with_capacity(run.len());
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            b'%' => {
                let pair = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    Some(plain)
}

fn entity(run: &str) -> Option<Vec<u8>> {
    let text: Option<String> = run
        .split(['&', '#', ';'])
        .filter(|part| !part.is_empty())
        .map(|part| {
            let number = match part.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => part.parse().ok()?,
            };
            char::from_u32(number)
        })
        .collect();
    text.map(String::into_bytes)
}

fn ascii85(run: &str) -> Option<Vec<u8>> {
    let body = run.strip_prefix("<~")?.strip_suffix("~>")?;
    let mut plain = Vec::with_capacity(body.len());
    let mut group: Vec<u32> = Vec::with_capacity(5);
    let mut flush = |group: &mut Vec<u32>| -> Option<()> {
        let keep = group.len().checked_sub(1)?;
        group.resize(5, 84);
        let word = group.iter().try_fold(0u32, |word, digit| word.checked_mul(85)?.checked_add(*digit))?;
        plain.extend(word.to_be_bytes().iter().take(keep));
        group.clear();
        Some(())
    };
    for byte in body.bytes().filter(|b| !b.is_ascii_whitespace()) {
        match byte {
            b'z' if group.is_empty() => {
                group.extend([0; 5]);
            }
            b'!'..=b'u' => group.push(u32::from(byte - b'!')),
            _ => return None,
        }
        if group.len() == 5 {
            flush(&mut group)?;
        }
    }
    if !group.is_empty() {
        flush(&mut group)?;
    }
    Some(plain)
}
