//! What a query counts by: nothing that makes a group of every line, and no more bins than there are rows. Pure.

use midwatch_mcp::{ToolError, Window};
use regex::Regex;

use crate::{
    lex::{Kind, Token},
    ql::{text_at, text_of, word_at},
};

/// Bins of time that a query may count by: AWS gives no more rows.
const MAX_BINS: f64 = 10_000.0;
/// Fields that differ from line to line.
pub(crate) const ENDLESS: [&str; 4] = ["@message", "@ptr", "@timestamp", "@ingestiontime"];
/// Functions that make few values of many. `floor` and `ceil` make as many of a time as it has milliseconds.
const NARROWING: [&str; 11] = [
    "strlen",
    "strcontains",
    "ispresent",
    "isempty",
    "isblank",
    "isvalidip",
    "isvalidipv4",
    "isvalidipv6",
    "isipinsubnet",
    "isipv4insubnet",
    "isipv6insubnet",
];
/// Functions that cut time into bins, whose length is their last argument.
const BINNING: [&str; 3] = ["bin", "datefloor", "dateceil"];
/// Characters of a line that may be counted by: the begin that lines of one kind share.
const SHARED_BEGIN: usize = 100;

/// Why an expression makes more groups than there are rows.
enum Endless {
    /// It has a name in it that differs from line to line.
    Name(String),
    /// It has the line in it from a place on, or more of it than lines share.
    Rest(String),
    /// It cuts the window into so many bins.
    Bins(String, f64),
}

impl Endless {
    fn refused(self, window: Window) -> ToolError {
        let other = "count by a field that `parse` takes out of the message, by `bin(1m)` for time, or ask error_patterns";
        match self {
            Self::Name(name) => {
                ToolError::refused(format!("by `{name}` every line is a group of its own"), other)
            }
            Self::Rest(call) => ToolError::refused(
                format!("by `{call}` every line is a group of its own"),
                format!("give `substr` a length of at most {SHARED_BEGIN} as its third argument, or {other}"),
            ),
            Self::Bins(call, bins) => {
                let minutes = (window.seconds() / MAX_BINS / 60.0).ceil().max(1.0);
                ToolError::refused(
                    format!("`{call}` cuts the window into {bins:.0} bins; rows end at {MAX_BINS:.0}"),
                    format!("count by `bin({minutes:.0}m)` or a longer bin, or ask for a shorter window"),
                )
            }
        }
    }
}

/// Refuses to count by what makes more groups than there are rows.
pub(crate) fn bounded_groups(
    query: &str,
    command: &[Token],
    window: Window,
    endless: &[String],
) -> Result<(), ToolError> {
    let Some(by) = (0..command.len()).rev().find(|n| word_at(query, command, *n) == "by") else {
        return Ok(());
    };
    for part in items(command.get(by + 1..).unwrap_or_default()) {
        let (expression, _) = named(query, part);
        if let Some(why) = keeps_apart(query, expression, window, endless) {
            return Err(why.refused(window));
        }
    }
    Ok(())
}

/// What stands between the commas that are in no bracket of their own.
fn items(tokens: &[Token]) -> impl Iterator<Item = &[Token]> {
    let depth = tokens.first().map_or(0, |first| first.depth);
    tokens.split(move |token| token.kind == Kind::Sign(',') && token.depth == depth)
}

/// An expression, and the name that it is given: `trim(a) as b`.
fn named<'t>(query: &str, item: &'t [Token]) -> (&'t [Token], Option<&'t Token>) {
    match (0..item.len()).rev().find(|n| word_at(query, item, *n) == "as") {
        Some(at) => (item.get(..at).unwrap_or_default(), item.get(at + 1)),
        None => (item, None),
    }
}

/// Why an expression keeps each line apart from the others, if it does: by a name that differs from line to line, and
/// is not in a function that makes few values of it, or compared.
fn keeps_apart(query: &str, item: &[Token], window: Window, endless: &[String]) -> Option<Endless> {
    let depth = item.first().map_or(0, |first| first.depth);
    let is_compared = item.iter().filter(|token| token.depth == depth).any(|token| {
        let word = text_at(query, token).to_ascii_lowercase();
        matches!(token.kind, Kind::Sign('=' | '<' | '>' | '~')) || matches!(word.as_str(), "like" | "in")
    });
    if is_compared {
        return None;
    }
    let mut at = 0;
    while let Some(token) = item.get(at) {
        at += 1;
        match token.kind {
            Kind::Open => {
                let closes = |other: &Token| other.kind == Kind::Close && other.depth == token.depth;
                let close = item.iter().skip(at).position(closes);
                let end = close.map_or(item.len(), |close| at + close);
                let inner = item.get(at..end).unwrap_or_default();
                let function =
                    at.checked_sub(2).map(|before| word_at(query, item, before)).unwrap_or_default();
                let whole = item.get(at.saturating_sub(2)..=end).or(item.get(at..)).unwrap_or_default();
                let call = text_of(query, whole).to_ascii_lowercase().split_whitespace().collect();
                let why = of_call(query, &function, call, inner, window, endless);
                if why.is_some() {
                    return why;
                }
                at = end;
            }
            Kind::Word | Kind::Quoted => {
                let name = text_at(query, token).to_ascii_lowercase();
                let name = if name.starts_with('`') { name.trim_matches('`') } else { &name };
                if endless.iter().any(|own| own == name) {
                    return Some(Endless::Name(name.to_owned()));
                }
            }
            _ => {}
        }
    }
    None
}

/// The same of a call with these arguments.
fn of_call(
    query: &str,
    function: &str,
    call: String,
    inner: &[Token],
    window: Window,
    endless: &[String],
) -> Option<Endless> {
    let arguments: Vec<&[Token]> = items(inner).collect();
    if BINNING.contains(&function)
        && let Some(seconds) = arguments.last().and_then(|last| seconds(text_of(query, last)))
    {
        let bins = window.seconds() / seconds;
        return (bins > MAX_BINS).then_some(Endless::Bins(call, bins));
    }
    if NARROWING.contains(&function) {
        return None;
    }
    let why = arguments.iter().find_map(|argument| keeps_apart(query, argument, window, endless));
    match why {
        Some(Endless::Name(_)) if function == "substr" => {
            let length =
                arguments.get(2).and_then(|length| text_of(query, length).trim().parse::<usize>().ok());
            let is_begin = length.is_some_and(|length| length <= SHARED_BEGIN);
            (!is_begin).then_some(Endless::Rest(call))
        }
        why => why,
    }
}

/// Adds the names that a command gives to what differs from line to line: `fields @message as m`.
pub(crate) fn add_names(query: &str, command: &[Token], window: Window, endless: &mut Vec<String>) {
    for item in items(command.get(1..).unwrap_or_default()) {
        let (expression, Some(name)) = named(query, item) else { continue };
        if keeps_apart(query, expression, window, endless).is_some() {
            endless.push(text_at(query, name).trim_matches('`').to_ascii_lowercase());
        }
    }
}

/// Adds the names that `parse` gives to a line as a whole: `parse @message '*' as m`.
pub(crate) fn add_parsed(query: &str, command: &[Token], window: Window, endless: &mut Vec<String>) {
    let is_as = |n: &usize| word_at(query, command, *n) == "as";
    let end = (0..command.len()).rev().find(is_as).unwrap_or(command.len());
    let is_pattern = |n: &usize| {
        command.get(*n).is_some_and(|token| {
            token.kind == Kind::Regex || token.kind == Kind::Quoted && !text_at(query, token).starts_with('`')
        })
    };
    let Some(at) = (1..end).rev().find(is_pattern) else { return };
    let (Some(of), Some(pattern)) = (command.get(1..at), command.get(at)) else { return };
    if keeps_apart(query, of, window, endless).is_none() {
        return;
    }
    let names: Vec<&str> =
        items(command.get(end + 1..).unwrap_or_default()).map(|name| text_of(query, name)).collect();
    let taken = whole_lines(text_at(query, pattern), pattern.kind == Kind::Regex);
    endless.extend(taken.into_iter().filter_map(|group| match group {
        Group::Named(name) => Some(name.to_ascii_lowercase()),
        Group::Nth(n) => names.get(n).map(|name| name.trim_matches('`').to_ascii_lowercase()),
    }));
}

/// What takes a part out of a line.
#[derive(Debug, PartialEq, Eq)]
enum Group {
    Named(String),
    Nth(usize),
}

/// The groups of a pattern that hold all of a line: seen by trying it on some, which differ in what a pattern may ask for.
fn whole_lines(pattern: &str, is_regex: bool) -> Vec<Group> {
    const LINES: [&str; 3] = [
        "kestrel 7 owls, quartz: 93 - vexed (mud)",
        "2026-11-21 02:01:02,016 ERROR [main] o.e.Shop: kestrel 7 took 93 ms",
        r#"{"level": "ERROR", "message": "kestrel 7 took 93 ms", "n": [1]}"#,
    ];
    /// Signs at the ends that are left off.
    const SHORT: usize = 3;
    let inner = pattern.get(1..pattern.len().saturating_sub(1)).unwrap_or_default();
    let read = if is_regex { inner.to_owned() } else { glob(inner) };
    let Ok(regex) = Regex::new(&read) else { return Vec::new() };
    let is_whole = |group: usize| {
        LINES.iter().any(|line| {
            let taken = regex.captures(line).and_then(|captures| captures.get(group));
            taken.is_some_and(|taken| taken.len() + SHORT >= line.len())
        })
    };
    let groups = regex.capture_names().enumerate().skip(1).filter(|(group, _)| is_whole(*group));
    groups
        .map(|(group, name)| name.map_or(Group::Nth(group - 1), |name| Group::Named(name.to_owned())))
        .collect()
}

/// A pattern with `*` as a regular expression.
fn glob(pattern: &str) -> String {
    let parts: Vec<String> = pattern.split('*').map(regex::escape).collect();
    let read = parts.join("(.*?)");
    if pattern.ends_with('*') { format!("{read}$") } else { read }
}

/// The length of a bin: `5m`.
fn seconds(period: &str) -> Option<f64> {
    let period = period.trim().to_ascii_lowercase();
    let digits = period.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = period.split_at_checked(digits)?;
    let number: f64 = number.parse().ok()?;
    let unit = match unit.trim() {
        "ms" | "msec" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        "mo" | "mon" | "month" | "months" => 2_592_000.0,
        "q" | "qtr" | "quarter" | "quarters" => 7_776_000.0,
        "y" | "yr" | "year" | "years" => 31_536_000.0,
        _ => return None,
    };
    (number > 0.0).then_some(number * unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_that_takes_the_whole_line_is_told_from_one_that_takes_a_part() {
        for pattern in ["'*'", "'{*}'", "'**'"] {
            assert!(!whole_lines(pattern, false).is_empty(), "{pattern}");
        }
        for pattern in
            ["/(?<m>.*)/", "/^(?<m>.+)$/", r"/(?<m>[\s\S]*)/", r"/(?<m>\{.*\})/", "/(?<m>.*took.*)/"]
        {
            assert_eq!(whole_lines(pattern, true), [Group::Named("m".to_owned())], "{pattern}");
        }
        for pattern in ["'[*] *'", "'* *'", "'took * ms'", "'* ERROR *'"] {
            assert_eq!(whole_lines(pattern, false), [], "{pattern}");
        }
        for pattern in [r"/(?<ms>\d+) ms/", r"/(?<first>\S+)/", r#"/"message": "(?<m>[^"]*)"/"#, "/(?<open/"]
        {
            assert_eq!(whole_lines(pattern, true), [], "{pattern}");
        }
    }
}
