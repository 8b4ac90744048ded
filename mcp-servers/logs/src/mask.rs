//! Masking what varies in a message, so that lines of one kind become equal.
//!
//! Masks are for what is certainly a value: times, ids, addresses, numbers. Words are left alone;
//! where they vary, the miner finds out by comparing lines.

use std::{borrow::Cow, sync::LazyLock};

use regex::{Captures, Regex};

static PARTS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r#"(?x)
        (?P<keep>(?i:\bstatus(?:[_\ -]?code)?|\bhttp(?:/\d(?:\.\d)?)?)["']?\s*[=:]?\s*["']?[1-5]\d\d\b)
      | (?P<time>\b\d{4}-\d\d-\d\d[T\ ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d:?\d\d)?
               | \b\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d(?:\ [+-]\d{4})?
               | \b\d{4}[-/]\d\d[-/]\d\d\b
               | \b\d\d:\d\d:\d\d(?:[.,]\d+)?\b)
      | (?P<uuid>\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}\b)
      | (?P<mail>\b[\w.+-]+@[\w-]+\.[\w.]*\w)
      | (?P<ip>\b\d{1,3}(?:\.\d{1,3}){3}(?:[:/]\d+)?\b | \b(?:[0-9a-fA-F]{1,4}:){3,7}[0-9a-fA-F]{1,4}\b)
      | (?P<hex>\b0x[0-9a-fA-F]+\b)
      | (?P<quoted>"[^"\s]*\d[^"\s]*" | '[^'\s]*\d[^'\s]*')
      | (?P<num>\b\d+(?:[.,_]\d+)*(?P<unit>(?i:ms|s|us|µs|ns|m|h|min|mins|sec|secs|b|kb|mb|gb|kib|mib|gib|%))?\b)
      | (?P<word>[A-Za-z0-9]+(?:[-_][A-Za-z0-9]+)*)
        "#,
    )
    .ok()
});

/// The message with its values masked: `<time>`, `<id>`, `<ip>`, `<hex>`, `<num>`, `<email>`.
pub(crate) fn mask(text: &str) -> Cow<'_, str> {
    let Some(parts) = PARTS.as_ref() else { return Cow::Borrowed(text) };
    let masked = parts.replace_all(text, |captures: &Captures<'_>| {
        let has = |name| captures.name(name).is_some();
        let whole = captures.get(0).map_or("", |part| part.as_str());
        if has("word") {
            word(whole)
        } else if has("keep") {
            whole.to_owned()
        } else if has("time") {
            "<time>".to_owned()
        } else if has("uuid") {
            "<id>".to_owned()
        } else if has("mail") {
            "<email>".to_owned()
        } else if has("ip") {
            "<ip>".to_owned()
        } else if has("hex") {
            "<hex>".to_owned()
        } else if has("quoted") {
            let quote = whole.get(..1).unwrap_or_default();
            format!("{quote}<id>{quote}")
        } else {
            let unit = captures.name("unit").map_or("", |unit| unit.as_str());
            format!("<num>{unit}")
        }
    });
    match masked.trim_start().strip_prefix("<time>") {
        Some(rest) => Cow::Owned(rest.trim_start().to_owned()),
        None => masked,
    }
}

/// Masks the segments of a word that are values: `pool-5` → `pool-<num>`, `ord_x81k2` → `ord_<id>`.
fn word(text: &str) -> String {
    if text.len() >= 8 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return "<hex>".to_owned();
    }
    let mut out = String::with_capacity(text.len());
    for segment in text.split_inclusive(['-', '_']) {
        let (body, separator) = match segment.strip_suffix(['-', '_']) {
            Some(body) => (body, segment.get(body.len()..).unwrap_or_default()),
            None => (segment, ""),
        };
        out.push_str(match class(body) {
            Class::Text => body,
            Class::Number => "<num>",
            Class::Id => "<id>",
        });
        out.push_str(separator);
    }
    out
}

enum Class {
    Text,
    Number,
    Id,
}

fn class(segment: &str) -> Class {
    let digits = segment.bytes().filter(u8::is_ascii_digit).count();
    if digits == 0 {
        let (upper, lower) = (
            segment.bytes().skip(1).filter(u8::is_ascii_uppercase).count(),
            segment.bytes().filter(u8::is_ascii_lowercase).count(),
        );
        // Base64 without a digit; camel case has far fewer capitals.
        return if segment.len() >= 24 && upper * 3 >= lower { Class::Id } else { Class::Text };
    }
    if digits == segment.len() {
        return Class::Number;
    }
    let kind = |b: u8| b.is_ascii_digit();
    let turns = segment.as_bytes().windows(2).filter(|w| matches!(w, [a, b] if kind(*a) != kind(*b))).count();
    let trailing = segment.bytes().rev().take_while(u8::is_ascii_digit).count();
    if turns >= 2 && segment.len() >= 6 || trailing >= 4 || digits >= 2 && segment.len() >= 10 {
        Class::Id
    } else {
        // `s3`, `ec2`, `v2`, `sha256`, `utf8`: names.
        Class::Text
    }
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
            ("GET /users/8812/cart HTTP/1.1\" 503 12", "GET /users/<num>/cart HTTP/1.1\" 503 <num>"),
            ("status=502 upstream", "status=502 upstream"),
            ("table orders in S3 of EC2, sha256 and utf8", "table orders in S3 of EC2, sha256 and utf8"),
            ("key 'user-77' of \"a sentence with 3 words\"", "key '<id>' of \"a sentence with <num> words\""),
            ("thread http-nio-8080-exec-3", "thread http-nio-<num>-exec-<num>"),
            ("mail to jane.doe+x@example.org", "mail to <email>"),
            ("i-0abc12def3456789a gone", "i-<id> gone"),
            ("ProvisionedThroughputExceededException", "ProvisionedThroughputExceededException"),
            ("used 93.5% of 1,024 MB", "used <num>% of <num> MB"),
        ] {
            assert_eq!(mask(text), expected, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_masked_without_panic(text in "\\PC{0,200}") {
            let _ = mask(&text);
        }
    }
}
