//! Recognising times at the place where the reader stands.

fn at(text: &[u8], place: usize) -> u8 {
    text.get(place).copied().unwrap_or(0)
}

/// Whether `text` follows a form: `0` is a digit, everything else itself.
fn follows(text: &[u8], from: usize, form: &[u8]) -> bool {
    form.iter().enumerate().all(|(n, want)| match want {
        b'0' => at(text, from + n).is_ascii_digit(),
        other => at(text, from + n) == *other,
    })
}

/// Bytes of `12:00`, `12:00:01`, `12:00:01.123`, with a zone behind it.
fn clock(text: &[u8], from: usize) -> Option<usize> {
    let mut to = from;
    to += if follows(text, to, b"00:00") {
        5
    } else if follows(text, to, b"0:00") {
        4
    } else {
        return None;
    };
    if follows(text, to, b":00") {
        to += 3;
        if matches!(at(text, to), b'.' | b',') && at(text, to + 1).is_ascii_digit() {
            to += 1;
            while at(text, to).is_ascii_digit() {
                to += 1;
            }
        }
    }
    if at(text, to) == b'Z' {
        to += 1;
    } else if follows(text, to, b"+00:00") || follows(text, to, b"-00:00") {
        to += 6;
    } else if follows(text, to, b"+0000") || follows(text, to, b"-0000") {
        to += 5;
    }
    (!at(text, to).is_ascii_alphanumeric()).then_some(to - from)
}

/// Bytes of a date that begins with the year, and of the time behind it.
pub(crate) fn date(text: &[u8]) -> Option<usize> {
    if !(follows(text, 0, b"0000-00-00") || follows(text, 0, b"0000/00/00") || follows(text, 0, b"00/")) {
        return None;
    }
    if at(text, 2) == b'/' {
        // 21/Nov/2026:02:01:07 +0000
        let named = MONTHS.iter().any(|month| text.get(3..6) == Some(month.as_slice()));
        if !named || !follows(text, 6, b"/0000:00:00:00") {
            return None;
        }
        let zone = follows(text, 20, b" +0000") || follows(text, 20, b" -0000");
        return Some(if zone { 26 } else { 20 });
    }
    let behind = match at(text, 10) {
        b'T' | b't' | b' ' | b'_' => clock(text, 11).map(|n| n + 11),
        _ => None,
    };
    behind.or_else(|| (!at(text, 10).is_ascii_alphanumeric()).then_some(10))
}

const DAYS: [&[u8; 3]; 7] = [b"Mon", b"Tue", b"Wed", b"Thu", b"Fri", b"Sat", b"Sun"];
const MONTHS: [&[u8; 3]; 12] =
    [b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec"];

/// Bytes of `Sun Jul 17 15:09:16 2005`, `Jul 17 15:09:16`, `Jul 17`, with a zone or a year.
pub(crate) fn calendar(text: &[u8]) -> Option<usize> {
    let blanks = |from: usize| (from..text.len()).take_while(|n| at(text, *n) == b' ').count().min(2);
    let mut to = 0;
    if DAYS.iter().any(|day| text.get(..3) == Some(day.as_slice())) {
        to = 3 + usize::from(at(text, 3) == b',');
        to += blanks(to);
    }
    MONTHS.iter().any(|month| text.get(to..to + 3) == Some(month.as_slice())).then_some(())?;
    to += 3;
    let gap = blanks(to);
    to += gap;
    let digits = (to..text.len()).take_while(|n| at(text, *n).is_ascii_digit()).count();
    if gap == 0 || !(1..=2).contains(&digits) {
        return None;
    }
    to += digits;
    // Each of these may follow after one blank.
    if at(text, to) == b' '
        && let Some(n) = clock(text, to + 1)
    {
        to += n + 1;
    }
    if at(text, to) == b' ' {
        let zone = (to + 1..text.len()).take_while(|n| at(text, *n).is_ascii_uppercase()).count();
        if (3..=4).contains(&zone) && follows(text, to + 1 + zone, b" 0000") {
            to += 1 + zone;
        }
    }
    if follows(text, to, b" 0000") && !at(text, to + 5).is_ascii_alphanumeric() {
        to += 5;
    }
    (!at(text, to).is_ascii_alphanumeric()).then_some(to)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_measured_to_their_end() {
        for (text, bytes) in [
            ("2026-11-21T02:01:07.123Z pool", 24),
            ("2026-11-21 02:01:07,123 pool", 23),
            ("2026-11-21", 10),
            ("2026-11-21T02:01:07+01:00]", 25),
            ("21/Nov/2026:02:01:07 +0000]", 26),
        ] {
            assert_eq!(date(text.as_bytes()), Some(bytes), "{text}");
        }
        for (text, bytes) in
            [("Sun Jul 17 15:09:16 2005", 24), ("Jul  7 08:06:15 x", 15), ("Thu Sep  2 EDT 2004", 19)]
        {
            assert_eq!(calendar(text.as_bytes()), Some(bytes), "{text}");
        }
        for text in ["Mon Amour 3", "May the 4th", "Sunday", "2026-11-21abc"] {
            assert_eq!(calendar(text.as_bytes()).or(date(text.as_bytes())), None, "{text}");
        }
    }
}
