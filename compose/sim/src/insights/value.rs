//! Values of a query, how they compare and how they are written.

use std::{borrow::Cow, cmp::Ordering};

use jiff::{Timestamp, tz::TimeZone};

/// A value while a query runs. Text that reads as a number is a number wherever one is wanted.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value<'a> {
    /// The field is not in the record.
    Missing,
    Number(f64),
    Text(Cow<'a, str>),
    /// Milliseconds since the epoch; written as a date.
    Time(i64),
    /// Written `1` or `0`.
    Flag(bool),
}

impl<'a> Value<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }

    /// A number, or missing where the arithmetic has no answer.
    pub(super) fn number(number: f64) -> Self {
        if number.is_finite() { Self::Number(number) } else { Self::Missing }
    }

    pub(super) fn count(count: usize) -> Self {
        Self::Number(count as f64)
    }

    pub(super) fn into_owned(self) -> Value<'static> {
        match self {
            Self::Missing => Value::Missing,
            Self::Number(number) => Value::Number(number),
            Self::Text(text) => Value::Text(Cow::Owned(text.into_owned())),
            Self::Time(ms) => Value::Time(ms),
            Self::Flag(flag) => Value::Flag(flag),
        }
    }

    pub(super) fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Missing => Value::Missing,
            Self::Number(number) => Value::Number(*number),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Time(ms) => Value::Time(*ms),
            Self::Flag(flag) => Value::Flag(*flag),
        }
    }

    pub(super) fn is_missing(&self) -> bool {
        matches!(self, Self::Missing)
    }

    pub(super) fn truth(&self) -> bool {
        match self {
            Self::Flag(flag) => *flag,
            Self::Number(number) => *number != 0.0,
            Self::Missing | Self::Text(_) | Self::Time(_) => false,
        }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Missing => None,
            Self::Number(number) => Some(*number),
            Self::Text(text) => number_in(text),
            Self::Time(ms) => Some(*ms as f64),
            Self::Flag(flag) => Some(f64::from(u8::from(*flag))),
        }
    }

    /// Milliseconds, for functions on times.
    pub(super) fn as_time(&self) -> Option<i64> {
        match self {
            Self::Time(ms) => Some(*ms),
            other => other.as_number().and_then(whole),
        }
    }

    /// The value as it is written in a result; `None` when it is missing.
    pub(super) fn render(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Missing => None,
            Self::Number(number) => Some(Cow::Owned(render_number(*number))),
            Self::Text(text) => Some(Cow::Borrowed(text)),
            Self::Time(ms) => Some(Cow::Owned(render_time(*ms))),
            Self::Flag(flag) => Some(Cow::Borrowed(if *flag { "1" } else { "0" })),
        }
    }

    /// Equality of a filter: numbers by value, the rest by what is written. Missing equals nothing.
    pub(super) fn equals(&self, other: &Self) -> bool {
        if let (Self::Flag(flag), Self::Text(text)) | (Self::Text(text), Self::Flag(flag)) = (self, other) {
            let word = if *flag { "true" } else { "false" };
            return text.eq_ignore_ascii_case(word) || *text == (if *flag { "1" } else { "0" });
        }
        match (self.as_number(), other.as_number()) {
            (Some(one), Some(two)) => one.total_cmp(&two).is_eq() || one - two == 0.0,
            _ => matches!((self.render(), other.render()), (Some(one), Some(two)) if one == two),
        }
    }

    /// Order of a comparison in a filter; `None` when a side is missing.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self.as_number(), other.as_number()) {
            (Some(one), Some(two)) => Some(one.total_cmp(&two)),
            _ => Some(self.render()?.cmp(&other.render()?)),
        }
    }

    /// Order of `sort asc`: missing, then text in natural order, then numbers.
    pub(super) fn sort_order(&self, other: &Self) -> Ordering {
        match (self.as_number(), other.as_number()) {
            (Some(one), Some(two)) => one.total_cmp(&two),
            (one, two) => {
                let rank = |value: &Self, number: Option<f64>| match number {
                    Some(_) => 2,
                    None if value.is_missing() => 0,
                    None => 1,
                };
                rank(self, one).cmp(&rank(other, two)).then_with(|| {
                    natural(&self.render().unwrap_or_default(), &other.render().unwrap_or_default())
                })
            }
        }
    }
}

/// The whole number nearest to zero, when it fits.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked first")]
pub(super) fn whole(number: f64) -> Option<i64> {
    (number.abs() < 9.0e15).then_some(number as i64)
}

fn number_in(text: &str) -> Option<f64> {
    let text = text.trim();
    // `parse::<f64>` would also take `inf`, `nan` and `infinity`, which are words in a log line.
    let first = text.bytes().find(|byte| !matches!(byte, b'+' | b'-'))?;
    if !first.is_ascii_digit() && first != b'.' {
        return None;
    }
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn render_number(number: f64) -> String {
    match whole(number) {
        Some(int) if number.fract() == 0.0 => int.to_string(),
        _ => {
            let text = format!("{number:.4}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        }
    }
}

fn render_time(ms: i64) -> String {
    match Timestamp::from_millisecond(ms) {
        Ok(time) => time.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M:%S.%3f").to_string(),
        Err(_) => ms.to_string(),
    }
}

/// Natural order: runs of digits compare by length, then value; everything else by character.
fn natural(one: &str, two: &str) -> Ordering {
    let (mut one, mut two) = (one, two);
    loop {
        let (head_one, rest_one) = chunk(one);
        let (head_two, rest_two) = chunk(two);
        let digits = |text: &str| text.starts_with(|first: char| first.is_ascii_digit());
        let order = if digits(head_one) && digits(head_two) {
            head_one.len().cmp(&head_two.len()).then_with(|| head_one.cmp(head_two))
        } else {
            head_one.cmp(head_two)
        };
        if order.is_ne() || head_one.is_empty() {
            return order;
        }
        (one, two) = (rest_one, rest_two);
    }
}

fn chunk(text: &str) -> (&str, &str) {
    let digits = text.starts_with(|first: char| first.is_ascii_digit());
    let end = text.find(|ch: char| ch.is_ascii_digit() != digits).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}
