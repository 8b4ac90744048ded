//! Time periods such as `5m` or `1 hour`, and rounding a time to them.

use jiff::{Timestamp, civil::Date, tz::TimeZone};

const MINUTE: i64 = 60_000;
const DAY: i64 = 24 * 60 * MINUTE;
/// 1970-01-01 was a Thursday; weeks start on Monday.
const WEEK_OFFSET: i64 = 4 * DAY;

/// A period. Months and longer have no fixed length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Period {
    /// Milliseconds.
    Fixed(i64),
    /// Whole weeks, in milliseconds: they start on Monday.
    Weeks(i64),
    /// Calendar months.
    Months(i64),
}

/// Which edge of the period a time is moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    Start,
    End,
}

impl Period {
    /// `count` times the unit called `unit`, if there is such a unit and the period is not empty.
    pub(super) fn new(count: i64, unit: &str) -> Option<Self> {
        let length = match unit.to_ascii_lowercase().as_str() {
            "ms" | "msec" | "millisecond" | "milliseconds" => Self::Fixed(count),
            "s" | "sec" | "secs" | "second" | "seconds" => Self::Fixed(count.checked_mul(1000)?),
            "m" | "min" | "mins" | "minute" | "minutes" => Self::Fixed(count.checked_mul(MINUTE)?),
            "h" | "hr" | "hrs" | "hour" | "hours" => Self::Fixed(count.checked_mul(60 * MINUTE)?),
            "d" | "day" | "days" => Self::Fixed(count.checked_mul(DAY)?),
            "w" | "week" | "weeks" => Self::Weeks(count.checked_mul(7 * DAY)?),
            "mo" | "mon" | "month" | "months" => Self::Months(count),
            "q" | "qtr" | "quarter" | "quarters" => Self::Months(count.checked_mul(3)?),
            "y" | "yr" | "year" | "years" => Self::Months(count.checked_mul(12)?),
            _ => return None,
        };
        (count > 0).then_some(length)
    }

    /// Moves a time to an edge of the period that contains it.
    pub(super) fn round(self, ms: i64, edge: Edge) -> Option<i64> {
        let start = self.floor(ms)?;
        match edge {
            Edge::End if start != ms => self.after(start),
            Edge::Start | Edge::End => Some(start),
        }
    }

    fn floor(self, ms: i64) -> Option<i64> {
        match self {
            Self::Fixed(length) => ms.checked_sub(ms.checked_rem_euclid(length)?),
            Self::Weeks(length) => {
                let shifted = ms.checked_sub(WEEK_OFFSET)?;
                shifted.checked_sub(shifted.checked_rem_euclid(length)?)?.checked_add(WEEK_OFFSET)
            }
            Self::Months(length) => {
                let date = Timestamp::from_millisecond(ms).ok()?.to_zoned(TimeZone::UTC).date();
                let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
                first_of(month.checked_sub(month.checked_rem_euclid(length)?)?)
            }
        }
    }

    fn after(self, start: i64) -> Option<i64> {
        match self {
            Self::Fixed(length) | Self::Weeks(length) => start.checked_add(length),
            Self::Months(length) => {
                let date = Timestamp::from_millisecond(start).ok()?.to_zoned(TimeZone::UTC).date();
                let month = i64::from(date.year()) * 12 + i64::from(date.month()) - 1;
                first_of(month.checked_add(length)?)
            }
        }
    }
}

/// Midnight on the first day of a month counted from year 0.
fn first_of(month: i64) -> Option<i64> {
    let year = i16::try_from(month.div_euclid(12)).ok()?;
    let number = i8::try_from(month.rem_euclid(12) + 1).ok()?;
    let date = Date::new(year, number, 1).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp().as_millisecond())
}
