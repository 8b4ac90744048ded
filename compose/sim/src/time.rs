//! World time is Unix milliseconds inside; texts and timestamps at the edges.

use jiff::Timestamp;

/// Milliseconds of a minute.
pub(crate) const MINUTE_MS: i64 = 60_000;

/// Unix milliseconds as a timestamp.
pub(crate) fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// As alarms write it: `2019-10-02T17:04:40.989+0000`.
pub(crate) fn alarm_text(ms: i64) -> String {
    timestamp(ms).strftime("%Y-%m-%dT%H:%M:%S.%3f+0000").to_string()
}

/// Parses a span such as `90s`, `3m`, `1h30m`, `250ms` or `0` into milliseconds; a leading `-`
/// or `+` is kept as the sign.
pub(crate) fn parse_span(text: &str) -> Option<i64> {
    let text = text.trim();
    let (sign, mut rest) = match text.strip_prefix('-') {
        Some(rest) => (-1, rest),
        None => (1, text.strip_prefix('+').unwrap_or(text)),
    };
    if rest == "0" {
        return Some(0);
    }
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, after) = rest.split_at_checked(digits)?;
        let letters = after.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(after.len());
        let (unit, next) = after.split_at_checked(letters)?;
        let factor = match unit {
            "ms" => 1.0,
            "s" => 1000.0,
            "m" | "min" => 60_000.0,
            "h" => 3_600_000.0,
            "d" => 86_400_000.0,
            _ => return None,
        };
        total += number.parse::<f64>().ok()? * factor;
        rest = next.trim_start();
    }
    #[expect(clippy::cast_possible_truncation, reason = "spans of scenarios are far below 2^53 ms")]
    let total = total.round() as i64;
    Some(sign * total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read_with_their_sign() {
        assert_eq!(parse_span("-3m"), Some(-180_000));
        assert_eq!(parse_span("+1h30m"), Some(5_400_000));
        assert_eq!(parse_span("250ms"), Some(250));
        assert_eq!(parse_span("1.5s"), Some(1500));
        assert_eq!(parse_span("0"), Some(0));
        for bad in ["", "-", "3", "m", "3 parsecs", "2026-01-01T00:00:00Z"] {
            assert_eq!(parse_span(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn alarms_write_times_their_own_way() {
        assert_eq!(alarm_text(1_570_035_880_989), "2019-10-02T17:04:40.989+0000");
    }
}
