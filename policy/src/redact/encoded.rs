//! Secrets in what a text carries encoded: percent escapes, and base64.
//!
//! Of percent escapes only the secret goes, as of plain text. A run of base64 goes as a whole: in it nothing
//! can be read that would be worth keeping.

use std::sync::LazyLock;

use regex::bytes::Regex;

use super::{Found, Kind, SecretKind, rules};
use crate::screen::base64;

/// Escapes of what stands around a secret: where there are none, none is hidden.
static ESCAPED: LazyLock<Regex> = LazyLock::new(|| rules::compile(r"%(?:25)*(?:3[AaDd]|2[027]|40|5[BbDd])"));
static BASE64: LazyLock<Regex> = LazyLock::new(|| rules::compile(r"[A-Za-z0-9+/_-]{12,}={0,2}"));
/// How often a text may have been escaped.
const MOST_TIMES: usize = 3;

/// Every secret that shows only once the text is decoded.
pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    escaped(text, found);
    for run in BASE64.find_iter(text.as_bytes()) {
        let encoded = text.get(run.range()).unwrap_or_default();
        let before = text.get(..run.start()).unwrap_or_default();
        if let Some(kind) = in_base64(before, encoded) {
            found.push(Found { at: run.range(), kind });
        }
    }
}

/// Reads the text without its escapes, and finds what stands there in the text as it is.
fn escaped(text: &str, found: &mut Vec<Found>) {
    if !ESCAPED.is_match(text.as_bytes()) {
        return;
    }
    let mut plain = text.to_owned();
    let mut places: Vec<usize> = (0..=text.len()).collect();
    for _ in 0..MOST_TIMES {
        let Some((decoded, of)) = unescaped(&plain) else { break };
        places = of.into_iter().filter_map(|at| places.get(at).copied()).collect();
        plain = decoded;
    }
    for Found { at, kind } in rules::find(&plain) {
        if let (Some(start), Some(end)) = (places.get(at.start), places.get(at.end)) {
            found.push(Found { at: *start..*end, kind });
        }
    }
}

/// The text with each `%3D` as the sign it stands for, and where each byte of it came from. Signs beyond ASCII stay
/// as they are. `None` where there is nothing to decode.
fn unescaped(text: &str) -> Option<(String, Vec<usize>)> {
    let (mut plain, mut places) = (String::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
    let (mut at, mut is_any) = (0, false);
    while let Some(c) = text.get(at..).and_then(|rest| rest.chars().next()) {
        let sign = text
            .get(at + 1..at + 3)
            .filter(|_| c == '%')
            .and_then(|digits| u8::from_str_radix(digits, 16).ok())
            .filter(|byte| byte.is_ascii_graphic() || *byte == b' ');
        let (shown, length) = sign.map_or((c, c.len_utf8()), |byte| (char::from(byte), 3));
        is_any |= sign.is_some();
        plain.push(shown);
        places.resize(plain.len(), at);
        at += length;
    }
    places.push(at);
    is_any.then_some((plain, places))
}

/// What kind of secret a run of base64 carries. Behind `Basic` it is a name and a password.
fn in_base64(before: &str, run: &str) -> Option<Kind> {
    let plain = String::from_utf8(base64(run)?).ok()?;
    if plain.chars().any(|c| c.is_control() && !c.is_whitespace()) {
        return None;
    }
    let scheme = before.trim_end();
    let scheme = scheme.get(scheme.len().saturating_sub(5)..).unwrap_or_default();
    if scheme.eq_ignore_ascii_case("basic") && plain.contains(':') {
        return Some(Kind::Known(SecretKind::Bearer));
    }
    rules::find(&plain).first().map(|found| found.kind)
}
