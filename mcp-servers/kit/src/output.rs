//! Bounding what leaves a server, and naming the parts of it.

use std::{borrow::Cow, fmt::Write as _, io, ops::RangeInclusive};

use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::error::ToolError;

/// How many bytes of JSON a result should have at most. A model pays for every one of them.
pub const MAX_RESULT_BYTES: usize = 64 * 1024;

/// At most `max` bytes of a text, cut between characters, with what is missing noted.
pub fn clip(text: &str, max: usize) -> Cow<'_, str> {
    if text.len() <= max {
        return Cow::Borrowed(text);
    }
    let kept = text.get(..text.floor_char_boundary(max)).unwrap_or_default();
    Cow::Owned(format!("{kept}… [{} bytes cut]", text.len() - kept.len()))
}

/// Shrinks a result step by step until it has at most `max` bytes of JSON. `shrink` removes the
/// least useful part and says whether there was one. Returns how many steps were needed.
pub fn fit<T: Serialize>(value: &mut T, max: usize, mut shrink: impl FnMut(&mut T) -> bool) -> usize {
    let mut steps = 0;
    while bytes(value) > max && shrink(value) {
        steps += 1;
    }
    steps
}

/// How many bytes of JSON a value has.
fn bytes<T: Serialize>(value: &T) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, part: &[u8]) -> io::Result<usize> {
            self.0 += part.len();
            Ok(part.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    // A value that cannot be serialised has no size; the caller's own serialisation reports it.
    if serde_json::to_writer(&mut count, value).is_err() { 0 } else { count.0 }
}

/// To six significant digits, whole numbers whole, and never a negative zero: what stands beyond that is
/// noise of sums, and a model pays for each digit.
pub fn rounded(value: f64) -> f64 {
    let told =
        if value.abs() < 1e5 { format!("{value:.5e}").parse().unwrap_or(value) } else { value.round() };
    // Adding a positive zero makes a negative one positive.
    told + 0.0
}

/// How many a call asks for by its `limit`: the usual number where it says nothing. Out of range is an error
/// that says the range: one that got less than it asked for would not know.
pub fn limit(asked: Option<u32>, usual: u32, most: u32) -> Result<usize, ToolError> {
    within("limit", asked, usual, 1..=most).map(|limit| limit as usize)
}

/// The same for a number by another name.
pub fn within(
    name: &str,
    asked: Option<u32>,
    usual: u32,
    range: RangeInclusive<u32>,
) -> Result<u32, ToolError> {
    let asked = asked.unwrap_or(usual);
    if range.contains(&asked) {
        return Ok(asked);
    }
    Err(ToolError::invalid(
        format!("`{name}` is {asked}"),
        format!("ask for {} to {}", range.start(), range.end()),
    ))
}

/// Which of these was meant by a name that is none of them, where one is near enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['-', '_', ' '], "");
    let wanted = plain(name);
    known
        .into_iter()
        .map(|one| (strsim::damerau_levenshtein(&wanted, &plain(one)), one))
        .filter(|(away, one)| *away <= (one.len() / 3).max(1))
        .min_by_key(|(away, _)| *away)
        .map(|(_, one)| one)
}

/// A stable reference for something that has no short name of its own: `pat:1f9c3a…`.
pub fn reference(kind: &str, parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update([0]);
    }
    let mut text = format!("{kind}:");
    for byte in hash.finalize().iter().take(6) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The name in a reference: results call a thing `deploy:d-1`, and whoever reads on gives that where `d-1` is wanted.
pub fn named<'a>(given: &'a str, kinds: &[&str]) -> &'a str {
    let given = given.trim();
    let name = |kind: &&str| given.strip_prefix(kind)?.strip_prefix(':');
    kinds.iter().find_map(name).filter(|name| !name.is_empty()).unwrap_or(given)
}

/// Refuses an ARN where a name is wanted, and says the name. It is not taken for the name: it may be of another account
/// or region than is looked at, where things of the same name are not the same.
pub fn no_arn(argument: &str, given: &str, before_the_name: &str) -> Result<(), ToolError> {
    let Some((_, name)) = given.strip_prefix("arn:").and_then(|arn| arn.split_once(before_the_name)) else {
        return Ok(());
    };
    let name = name.strip_suffix(":*").unwrap_or(name);
    Err(ToolError::invalid(
        format!("`{argument}` is an ARN"),
        format!(
            "give the name, `{}`, and the `service` of the catalog whose account and region it is in",
            clip(name, 512)
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_keeps_whole_characters() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("aéb", 2), "a… [3 bytes cut]");
    }

    #[test]
    fn fitting_stops_when_small_enough_or_empty() {
        let mut list = vec!["0123456789"; 10];
        assert!(fit(&mut list, 40, |l| l.pop().is_some()) > 0);
        assert_eq!(list.len(), 3);
        let mut stubborn = "x".repeat(100);
        assert_eq!(fit(&mut stubborn, 10, |_| false), 0);
    }

    #[test]
    fn numbers_have_six_digits() {
        assert_eq!(rounded(0.123_456_789).to_string(), "0.123457");
        assert_eq!(rounded(1_234_567.8).to_string(), "1234568");
        assert!(rounded(-0.0).is_sign_positive());
        assert!(rounded(f64::NAN).is_nan());
    }

    #[test]
    fn what_was_meant_is_near() {
        let known = ["from", "to", "service", "log_groups", "INSUFFICIENT_DATA"];
        assert_eq!(nearest("form", known), Some("from"));
        assert_eq!(nearest("logGroups", known), Some("log_groups"));
        assert_eq!(nearest("insufficient data", known), Some("INSUFFICIENT_DATA"));
        assert_eq!(nearest("region", known), None);
    }

    #[test]
    fn a_reference_is_taken_for_the_name_in_it() {
        let kinds = ["deploy", "candidate"];
        assert_eq!(named("candidate:d-1", &kinds), "d-1");
        assert_eq!(named(" deploy:arn:aws:ecs:x ", &kinds), "arn:aws:ecs:x");
        for other in ["d-1", "deploy", "deploy:", "deployment:d-1", "arn:aws:ecs:x"] {
            assert_eq!(named(other, &kinds), other);
        }
    }

    #[test]
    fn an_arn_is_answered_with_the_name_in_it() {
        let alarm = "arn:aws:cloudwatch:us-east-1:123456789012:alarm:checkout: 5xx";
        let error = no_arn("alarm_name", alarm, ":alarm:").unwrap_err();
        assert!(error.mend.starts_with("give the name, `checkout: 5xx`, and"), "{error:?}");
        let group = "arn:aws-cn:logs:cn-north-1:123456789012:log-group:/ecs/a:*";
        assert!(no_arn("log_groups", group, ":log-group:").unwrap_err().mend.contains("`/ecs/a`"));
        assert!(no_arn("alarm_name", "my:alarm:a", ":alarm:").is_ok());
    }

    #[test]
    fn references_are_stable_and_keep_parts_apart() {
        assert_eq!(reference("pat", &["a", "b"]), reference("pat", &["a", "b"]));
        assert_ne!(reference("pat", &["ab", ""]), reference("pat", &["a", "b"]));
    }
}
