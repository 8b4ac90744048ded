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
fn length(span: SignedDuration) -> String {
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

    /// A window against a baseline: the one given, or the same length just before this one.
    pub fn baseline(
        self,
        from: Option<Time>,
        to: Option<Time>,
        max: SignedDuration,
    ) -> Result<Self, ToolError> {
        match (from, to) {
            (Some(from), Some(to)) => Self::new(from, to, max),
            (None, None) => {
                Ok(Self { from: self.from.checked_sub(self.span()).unwrap_or(Timestamp::MIN), to: self.from })
            }
            _ => Err(ToolError::invalid(
                "only one end of the baseline was given",
                "give both baseline_from and baseline_to, or neither",
            )),
        }
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
}
