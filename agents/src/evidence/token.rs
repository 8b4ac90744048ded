//! The parts of a sentence that state something countable: numbers, times, and names with digits
//! in them. A sentence is only a fact if each of them stands in what it cites.

use midwatch_policy::Timestamp;

/// Something a sentence states.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A number, and how many decimals it was written with.
    Number(f64, u32),
    /// A number of per cent, and how many decimals it was written with.
    Percent(f64, u32),
    /// Hours, minutes and, if given, seconds of a day, UTC.
    TimeOfDay(i8, i8, Option<i8>),
    /// A full time.
    Time(Timestamp),
    /// A name, id, version or date with digits in it.
    Name(String),
}

const WORDS: [(&str, f64); 19] = [
    ("two", 2.0),
    ("three", 3.0),
    ("four", 4.0),
    ("five", 5.0),
    ("six", 6.0),
    ("seven", 7.0),
    ("eight", 8.0),
    ("nine", 9.0),
    ("ten", 10.0),
    ("eleven", 11.0),
    ("twelve", 12.0),
    ("thirteen", 13.0),
    ("fifteen", 15.0),
    ("twenty", 20.0),
    ("thirty", 30.0),
    ("forty", 40.0),
    ("fifty", 50.0),
    ("hundred", 100.0),
    ("thousand", 1000.0),
];

const UNITS: [&str; 16] =
    ["%", "s", "ms", "m", "min", "mins", "h", "hr", "d", "x", "k", "kb", "mb", "gb", "sec", "rps"];

pub(super) fn tokens(sentence: &str) -> Vec<Token> {
    let mut found: Vec<Token> = Vec::new();
    // Whether the last word was the last token.
    let mut follows = false;
    for word in sentence.split(|c: char| c.is_whitespace() || "`\"'()[]{}<>;|".contains(c)) {
        let word = word.trim_matches(|c: char| ",.:!?*".contains(c));
        if word.is_empty() {
            continue;
        }
        let lower = word.to_lowercase();
        if matches!(lower.as_str(), "%" | "percent")
            && follows
            && let Some(Token::Number(number, decimals)) = found.last()
        {
            let percent = Token::Percent(*number, *decimals);
            found.pop();
            found.push(percent);
            follows = false;
            continue;
        }
        follows = true;
        if let Some((_, number)) = WORDS.iter().find(|(name, _)| *name == lower) {
            found.push(Token::Number(*number, 0));
        } else if word.contains(|c: char| c.is_numeric()) {
            found.push(token(word));
        } else {
            follows = false;
        }
    }
    found
}

fn token(word: &str) -> Token {
    if let Ok(time) = word.parse::<Timestamp>() {
        return Token::Time(time);
    }
    if let Some(time) = time_of_day(word) {
        return time;
    }
    let name = || Token::Name(word.to_owned());
    let bare = word.trim_start_matches(['~', '≈', '+', '#', '=']);
    let end = bare
        .char_indices()
        .find(|(n, c)| !(c.is_ascii_digit() || matches!(c, '.' | ',') || (*n == 0 && *c == '-')))
        .map_or(bare.len(), |(at, _)| at);
    let (digits, unit) = bare.split_at_checked(end).unwrap_or((bare, ""));
    let unit = unit.to_lowercase();
    if !unit.is_empty() && !UNITS.contains(&unit.as_str()) {
        return name();
    }
    let digits = digits.trim_end_matches(['.', ',']);
    let decimals = digits.rsplit_once('.').map_or(0, |(_, decimals)| decimals.len());
    match super::quote::parse_number(digits) {
        Some(number) if unit == "%" => Token::Percent(number, u32::try_from(decimals).unwrap_or(9)),
        Some(number) => Token::Number(number, u32::try_from(decimals).unwrap_or(9)),
        None => name(),
    }
}

fn time_of_day(word: &str) -> Option<Token> {
    let word = word.trim_end_matches("UTC").trim_end_matches('Z');
    let parts: Vec<&str> = word.split(':').collect();
    let part = |n: usize, below: i8| -> Option<i8> {
        let text = parts.get(n)?;
        let number: i8 = text.split('.').next()?.parse().ok()?;
        ((0..below).contains(&number) && text.len() >= 2).then_some(number)
    };
    match parts.len() {
        2 => Some(Token::TimeOfDay(part(0, 24)?, part(1, 60)?, None)),
        3 => Some(Token::TimeOfDay(part(0, 24)?, part(1, 60)?, Some(part(2, 60)?))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_times_and_names_are_told_apart() {
        let of = |text: &str| tokens(text);
        assert_eq!(
            of("73 errors, 5.5% of 1,234"),
            [Token::Number(73.0, 0), Token::Percent(5.5, 1), Token::Number(1234.0, 0)]
        );
        assert_eq!(of("at 97 % of 12"), [Token::Percent(97.0, 0), Token::Number(12.0, 0)]);
        assert_eq!(of("97 errors in %"), [Token::Number(97.0, 0)]);
        assert_eq!(of("since 02:01."), [Token::TimeOfDay(2, 1, None)]);
        assert_eq!(of("at 02:01:17Z"), [Token::TimeOfDay(2, 1, Some(17))]);
        assert_eq!(of("d-12 (v41)"), [Token::Name("d-12".into()), Token::Name("v41".into())]);
        assert_eq!(of("three tasks"), [Token::Number(3.0, 0)]);
        assert_eq!(of("30s 2x"), [Token::Number(30.0, 0), Token::Number(2.0, 0)]);
        assert!(matches!(of("2026-11-21T02:01:00Z")[..], [Token::Time(_)]));
        assert!(of("no numbers at all").is_empty());
    }
}
