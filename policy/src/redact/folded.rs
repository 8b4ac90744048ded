//! Secrets whose name is written in look-alike or full-width letters, as escapes, or with signs in it that
//! nobody sees.

use super::{Found, rules};
use crate::screen::{look_alike, written};

/// Reads the text as it looks, and finds what stands there in the text as it is.
pub(super) fn find(text: &str, found: &mut Vec<Found>) {
    let Some((shown, places)) = as_it_looks(text) else { return };
    for Found { at, kind } in rules::find(&shown) {
        if let (Some(start), Some(end)) = (places.get(at.start), places.get(at.end)) {
            found.push(Found { at: *start..*end, kind });
        }
    }
}

/// The text with what looks like ASCII as that, and where each byte of it came from. `None` where nothing does.
fn as_it_looks(text: &str) -> Option<(String, Vec<usize>)> {
    let has_escapes = text.contains("\\u");
    if text.is_ascii() && !has_escapes {
        return None;
    }
    let (mut shown, mut places) = (String::with_capacity(text.len()), Vec::with_capacity(text.len() + 1));
    let (mut is_any, mut at) = (false, 0);
    while let Some(rest) = text.get(at..)
        && let Some(c) = rest.chars().next()
    {
        // `password\u003dhunter2`: signs of HTML are written so in JSON.
        let escape = if has_escapes && c == '\\' {
            written(rest).filter(|(c, len)| *len >= 6 && !c.is_control())
        } else {
            None
        };
        let (sign, len) = escape.unwrap_or((c, c.len_utf8()));
        let looks = if sign.is_ascii() { Some(sign) } else { look_alike(sign) };
        is_any |= looks != Some(c) || escape.is_some();
        if let Some(looks) = looks {
            shown.push(looks);
            places.resize(shown.len(), at);
        }
        at += len;
    }
    places.push(text.len());
    is_any.then_some((shown, places))
}
