//! What a query counts by: nothing that makes a group of every line, and no more bins than there are rows. Pure.

use midwatch_mcp::{ToolError, Window};

use crate::{
    lex::{Kind, Token},
    ql::{text_at, text_of, word_at},
};

/// Bins of time that a query may count by: AWS gives no more rows.
const MAX_BINS: f64 = 10_000.0;
/// Fields that differ from line to line.
pub(crate) const ENDLESS: [&str; 4] = ["@message", "@ptr", "@timestamp", "@ingestiontime"];
/// Functions that make few values of many.
const NARROWING: [&str; 17] = [
    "bin",
    "datefloor",
    "dateceil",
    "strlen",
    "strcontains",
    "substr",
    "ispresent",
    "isempty",
    "isblank",
    "isvalidip",
    "isvalidipv4",
    "isvalidipv6",
    "isipinsubnet",
    "isipv4insubnet",
    "isipv6insubnet",
    "ceil",
    "floor",
];

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
    let by = command.get(by + 1..).unwrap_or_default();
    let is_divider =
        |token: &Token| token.kind == Kind::Sign(',') && by.first().is_some_and(|b| b.depth == token.depth);
    for part in by.split(is_divider) {
        let field: String = text_of(query, part).to_ascii_lowercase().split_whitespace().collect();
        let field = field.as_str();
        if let Some(name) = keeps_apart(query, part, endless) {
            return Err(ToolError::refused(
                format!("by `{name}` every line is a group of its own"),
                "count by a field that `parse` takes out of the message, by `bin(1m)` for time, or ask error_patterns",
            ));
        }
        if let Some(seconds) = bin_seconds(field)
            && window.seconds() / seconds > MAX_BINS
        {
            let minutes = (window.seconds() / MAX_BINS / 60.0).ceil().max(1.0);
            return Err(ToolError::refused(
                format!(
                    "`{field}` cuts the window into {:.0} bins; rows end at {MAX_BINS:.0}",
                    window.seconds() / seconds
                ),
                format!("count by `bin({minutes:.0}m)` or a longer bin, or ask for a shorter window"),
            ));
        }
    }
    Ok(())
}

/// The name in an expression by which each line is a group of its own: one that differs from line to line, and is
/// not in a function that makes few values of it, or compared.
fn keeps_apart(query: &str, part: &[Token], endless: &[String]) -> Option<String> {
    let is_compared = part.iter().any(|token| {
        let word = text_at(query, token).to_ascii_lowercase();
        matches!(token.kind, Kind::Sign('=' | '<' | '>' | '~')) || matches!(word.as_str(), "like" | "in")
    });
    let mut within: Vec<bool> = vec![is_compared];
    for (n, token) in part.iter().enumerate() {
        match token.kind {
            Kind::Open => {
                let function =
                    n.checked_sub(1).map(|before| word_at(query, part, before)).unwrap_or_default();
                let outer = within.last().copied().unwrap_or_default();
                within.push(outer || NARROWING.contains(&function.as_str()));
            }
            Kind::Close => {
                within.pop();
            }
            Kind::Word | Kind::Quoted if within.last() != Some(&true) => {
                let name = text_at(query, token).to_ascii_lowercase();
                let name = if name.starts_with('`') { name.trim_matches('`') } else { &name };
                if endless.iter().any(|own| own == name) {
                    return Some(name.to_owned());
                }
            }
            _ => {}
        }
    }
    None
}

/// Adds the names that a command gives to what differs from line to line: `fields @message as m`.
pub(crate) fn add_names(query: &str, command: &[Token], endless: &mut Vec<String>) {
    let items = command.get(1..).unwrap_or_default();
    let depth = items.first().map_or(0, |first| first.depth);
    for item in items.split(|token| token.kind == Kind::Sign(',') && token.depth == depth) {
        let Some(at) = (0..item.len()).rev().find(|n| word_at(query, item, *n) == "as") else { continue };
        let (expression, name) = item.split_at(at);
        if keeps_apart(query, expression, endless).is_some() {
            endless
                .extend(name.get(1).map(|name| text_at(query, name).trim_matches('`').to_ascii_lowercase()));
        }
    }
}

/// The length of `bin(5m)`.
fn bin_seconds(field: &str) -> Option<f64> {
    let inner = field.strip_prefix("bin(")?.split(')').next()?.trim();
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = inner.split_at_checked(digits)?;
    let number: f64 = number.parse().ok()?;
    let unit = match unit.trim() {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    };
    (number > 0.0).then_some(number * unit)
}
