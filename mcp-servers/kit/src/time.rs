//! Times and windows in tool arguments and results.

use std::{borrow::Cow, fmt};

use jiff::{Timestamp, fmt::temporal::DateTimeParser};
use midwatch_policy::SignedDuration;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, de};

use crate::error::ToolError;

/// A point in time on the wire: RFC 3339 in UTC going out; coming in, any offset is understood,
/// also CloudWatch's `+0000`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub Timestamp);

impl Time {
    /// Reads RFC 3339, or the same with a `+0000`-like offset.
    pub fn parse(text: &str) -> Result<Self, ToolError> {
        static PARSER: DateTimeParser = DateTimeParser::new();
        let text = text.trim();
        PARSER
            .parse_timestamp(text)
            .or_else(|error| with_colon(text).ok_or(error).and_then(|fixed| PARSER.parse_timestamp(&fixed)))
            .map(Self)
            .map_err(|_| {
                ToolError::invalid(
                    format!("`{}` is not a time", crate::clip(text, 60)),
                    "give absolute times as RFC 3339 in UTC, such as 2026-11-21T02:04:00Z",
                )
            })
    }

    /// Refuses a time that has not come: of what is to happen nothing is known.
    pub fn has_come(self, argument: &str, present: Timestamp) -> Result<(), ToolError> {
        if self.0 <= present.checked_add(SKEW).unwrap_or(present) {
            return Ok(());
        }
        Err(ToolError::invalid(
            format!("`{argument}` ({self}) is after the present ({present:.0})"),
            "give a time that has come",
        ))
    }

    /// The begin of its second: for a time that is reckoned and not read, fractions say nothing.
    #[must_use]
    pub fn to_the_second(self) -> Self {
        Self(
            Timestamp::from_second(self.0.as_second() - i64::from(self.0.subsec_nanosecond() < 0))
                .unwrap_or(self.0),
        )
    }

    /// From milliseconds since 1970, as CloudWatch Logs counts; out-of-range values are clamped.
    pub fn from_millis(millis: i64) -> Self {
        let clamped = if millis < 0 { Timestamp::MIN } else { Timestamp::MAX };
        Self(Timestamp::from_millisecond(millis).unwrap_or(clamped))
    }
}

/// `…+0000` → `…+00:00`.
fn with_colon(text: &str) -> Option<String> {
    let (head, tail) = text.split_at_checked(text.len().checked_sub(2)?)?;
    let sign = head.len().checked_sub(3)?;
    matches!(head.as_bytes().get(sign), Some(b'+' | b'-')).then(|| format!("{head}:{tail}"))
}

impl From<Timestamp> for Time {
    fn from(at: Timestamp) -> Self {
        Self(at)
    }
}

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: de::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        Self::parse(&text).map_err(|error| de::Error::custom(format!("{}; {}", error.message, error.mend)))
    }
}

impl JsonSchema for Time {
    fn schema_name() -> Cow<'static, str> {
        "Time".into()
    }
    fn inline_schema() -> bool {
        true
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

/// A length of time as the pages say it: days from two on, then hours, minutes, seconds; two of them at most.
pub fn length(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let (large, small, per) = match seconds {
        172_800.. => ("days", "h", (86_400, 3600)),
        3600.. => ("h", "min", (3600, 60)),
        60.. => ("min", "s", (60, 1)),
        _ => return format!("{seconds} s"),
    };
    match (seconds / per.0, seconds % per.0 / per.1) {
        (whole, 0) => format!("{whole} {large}"),
        (whole, rest) => format!("{whole} {large} {rest} {small}"),
    }
}

/// So far ahead of ours a caller's clock may be.
const SKEW: SignedDuration = SignedDuration::from_mins(1);

/// A half-open span of time: `from` is in it, `to` is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Its begin.
    pub from: Timestamp,
    /// Its end.
    pub to: Timestamp,
}

impl Window {
    /// A window of at most `max`.
    pub fn new(from: Time, to: Time, max: SignedDuration) -> Result<Self, ToolError> {
        let (from, to) = (from.0, to.0);
        if from >= to {
            return Err(ToolError::invalid(
                format!("`from` ({from}) is not before `to` ({to})"),
                "swap them or widen the window",
            ));
        }
        if to.duration_since(from) > max {
            return Err(ToolError::invalid(
                format!("the window spans {}", length(to.duration_since(from))),
                format!("ask for at most {} at once", length(max)),
            ));
        }
        Ok(Self { from, to })
    }

    /// The same of what has happened: a window that has not begun is refused, one that has not ended is cut to the
    /// present, and that is noted. Of a time that has not come there is nothing, which is not that nothing happened.
    pub fn begun(
        from: Time,
        to: Time,
        max: SignedDuration,
        present: Timestamp,
        notes: &mut Vec<String>,
    ) -> Result<Self, ToolError> {
        let ahead = present.checked_add(SKEW).unwrap_or(present);
        if from >= to || to.0 <= ahead {
            return Self::new(from, to, max);
        }
        if from.0 >= present {
            return Err(ToolError::invalid(
                format!("the window begins at {from}, after the present ({present:.0})"),
                "ask for a window that has begun",
            ));
        }
        let window = Self::new(from, Time(present), max)?;
        notes.push(format!("the window was cut at the present ({present:.0}): {to} has not come yet"));
        Ok(window)
    }

    /// A window against a baseline: the one given, or the same length just before this one. One that overlaps the
    /// window is refused: compared with a part of itself, nothing departs.
    pub fn baseline(
        self,
        from: Option<Time>,
        to: Option<Time>,
        max: SignedDuration,
    ) -> Result<Self, ToolError> {
        match (from, to) {
            (Some(from), Some(to)) => {
                let given = Self::new(from, to, max)?;
                if given.overlaps(self) {
                    return Err(ToolError::invalid(
                        format!(
                            "the baseline ({} to {}) overlaps the window ({} to {})",
                            given.from, given.to, self.from, self.to
                        ),
                        format!(
                            "end it at {} or before, begin it at {} or after, or leave both its ends out",
                            self.from, self.to
                        ),
                    ));
                }
                Ok(given)
            }
            (None, None) => Ok(self.before()),
            _ => Err(ToolError::invalid(
                "only one end of the baseline was given",
                "give both baseline_from and baseline_to, or neither",
            )),
        }
    }

    /// The same length just before it.
    #[must_use]
    pub fn before(self) -> Self {
        Self { from: self.from.checked_sub(self.span()).unwrap_or(Timestamp::MIN), to: self.from }
    }

    /// Whether the two have time in common.
    pub fn overlaps(self, other: Self) -> bool {
        self.from < other.to && other.from < self.to
    }

    /// How long it is.
    pub fn span(self) -> SignedDuration {
        self.to.duration_since(self.from)
    }

    /// Its length in seconds; never zero.
    pub fn seconds(self) -> f64 {
        self.span().as_secs_f64().max(0.001)
    }

    /// Whether a time lies in it.
    pub fn contains(self, at: Timestamp) -> bool {
        self.from <= at && at < self.to
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    #[test]
    fn times_of_aws_are_understood_and_utc_goes_out() {
        for text in
            ["2026-11-21T02:04:00.989+0000", "2026-11-21T02:04:00.989Z", "2026-11-21T03:04:00.989+01:00"]
        {
            assert_eq!(time(text).to_string(), "2026-11-21T02:04:00.989Z");
        }
        for text in ["", "yesterday", "02:04", "2026-11-21", "é0", "+0"] {
            assert!(Time::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn lengths_are_said_in_the_units_of_the_pages() {
        let said = |seconds| length(SignedDuration::from_secs(seconds));
        assert_eq!(
            [59, 60, 90, 3600, 88_200].map(said),
            ["59 s", "1 min", "1 min 30 s", "1 h", "24 h 30 min"]
        );
        assert_eq!([14 * 86_400, 3_450_356].map(said), ["14 days", "39 days 22 h"]);
        assert_eq!(time("2026-11-21T02:00:49.987Z").to_the_second(), time("2026-11-21T02:00:49Z"));
    }

    #[test]
    fn windows_are_bounded_and_the_baseline_is_just_before() {
        let hour = SignedDuration::from_hours(1);
        let window = Window::new(time("2026-11-21T02:00:00Z"), time("2026-11-21T02:30:00Z"), hour).unwrap();
        let before = window.baseline(None, None, hour).unwrap();
        assert_eq!((before.from, before.to), (time("2026-11-21T01:30:00Z").0, window.from));
        assert!(window.contains(window.from) && !window.contains(window.to));
        assert!(window.baseline(Some(time("2026-11-21T01:30:00Z")), None, hour).is_err());
        assert!(Window::new(time("2026-11-21T02:30:00Z"), time("2026-11-21T02:30:00Z"), hour).is_err());
        assert!(Window::new(time("2026-11-21T02:00:00Z"), time("2026-11-21T03:30:00Z"), hour).is_err());
    }

    #[test]
    fn a_baseline_that_overlaps_the_window_is_refused() {
        let hour = SignedDuration::from_hours(1);
        let window = Window::new(time("2026-11-21T02:00:00Z"), time("2026-11-21T02:30:00Z"), hour).unwrap();
        let given = |from: &str, to: &str| window.baseline(Some(time(from)), Some(time(to)), hour);
        for (from, to) in [
            ("2026-11-21T02:00:00Z", "2026-11-21T02:30:00Z"),
            ("2026-11-21T01:30:00Z", "2026-11-21T02:00:01Z"),
            ("2026-11-21T02:29:59Z", "2026-11-21T03:00:00Z"),
            ("2026-11-21T01:55:00Z", "2026-11-21T02:35:00Z"),
        ] {
            let error = given(from, to).unwrap_err();
            assert!(error.message.contains("overlaps"), "{error:?}");
            assert!(error.mend.starts_with("end it at 2026-11-21T02:00:00Z or before"), "{error:?}");
        }
        assert!(given("2026-11-21T01:30:00Z", "2026-11-21T02:00:00Z").is_ok());
        assert!(given("2026-11-21T02:30:00Z", "2026-11-21T03:00:00Z").is_ok());
    }

    #[test]
    fn a_window_has_begun_and_ends_at_the_present() {
        let hour = SignedDuration::from_hours(1);
        let present = time("2026-11-21T02:00:00Z").0;
        let begun = |from: &str, to: &str| {
            let mut notes = Vec::new();
            Window::begun(time(from), time(to), hour, present, &mut notes).map(|window| (window, notes.len()))
        };
        // The caller's clock may be a little ahead of ours.
        let (ahead, notes) = begun("2026-11-21T01:30:00Z", "2026-11-21T02:00:40Z").unwrap();
        assert_eq!((ahead.to, notes), (time("2026-11-21T02:00:40Z").0, 0));
        assert!(begun("2026-11-21T02:00:10Z", "2026-11-21T02:00:40Z").is_ok());
        assert!(time("2026-11-21T02:00:40Z").has_come("onset", present).is_ok());
        assert!(time("2026-11-21T02:01:01Z").has_come("onset", present).is_err());
        let (cut, notes) = begun("2026-11-21T01:30:00Z", "2030-01-01T00:00:00Z").unwrap();
        assert_eq!((cut.to, notes), (present, 1));
        for (from, to, says) in [
            ("2026-11-21T02:00:10Z", "2026-11-21T02:30:00Z", "after the present (2026-11-21T02:00:00Z)"),
            ("2030-01-01T00:00:00Z", "2030-01-01T00:30:00Z", "after the present"),
            ("2030-01-01T00:30:00Z", "2030-01-01T00:00:00Z", "is not before"),
            ("2026-11-21T00:30:00Z", "2030-01-01T00:00:00Z", "spans 1 h 30 min"),
        ] {
            let error = begun(from, to).unwrap_err();
            assert!(error.message.contains(says), "{error:?}");
        }
    }
}
