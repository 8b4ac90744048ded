//! Reading a Logs Insights query before it runs: what it may not do, what would be endless, and what
//! is plainly a mistake. Pure. AWS has the last word on syntax; what is caught here costs nothing.

use midwatch_mcp::{ToolError, Window};

use crate::lex::{Kind, Lexed, Token, lex, without_comments};

const MAX_QUERY_BYTES: usize = 4000;
/// Rows of a query, whatever it says; pages are cut from them.
pub(crate) const MAX_ROWS: usize = 1000;
/// Bins of time that a query may count by: AWS gives no more rows.
const MAX_BINS: f64 = 10_000.0;
const COMMANDS: [&str; 15] = [
    "fields",
    "display",
    "filter",
    "filterindex",
    "pattern",
    "parse",
    "sort",
    "stats",
    "limit",
    "dedup",
    "unnest",
    "anomaly",
    "head",
    "tail",
    "diff",
];
/// Words between a field and a value, or behind a field.
const OPERATORS: [&str; 13] =
    ["like", "in", "not", "and", "or", "as", "asc", "desc", "by", "is", "ispresent", "between", "matches"];

/// A query that may run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Linted {
    pub(crate) query: String,
    pub(crate) notes: Vec<String>,
    /// How often it reads the bytes of the window: `diff` reads the time before as well.
    pub(crate) passes: u32,
}

/// Refuses what a bounded query has no use for, and bounds the rest.
pub(crate) fn lint(query: &str, window: Window) -> Result<Linted, ToolError> {
    let query = without_comments(query);
    let query = query.trim();
    if query.is_empty() {
        return Err(ToolError::invalid(
            "the query is empty",
            "for example: fields @timestamp, @message | limit 20",
        ));
    }
    if query.len() > MAX_QUERY_BYTES {
        return Err(ToolError::invalid(
            format!("the query has {} bytes", query.len()),
            format!("at most {MAX_QUERY_BYTES} are allowed"),
        ));
    }
    if query.to_ascii_lowercase().contains("unmask") {
        return Err(ToolError::refused("`unmask` is not allowed", "work with the masked values"));
    }
    let lexed = lex(query);
    if let Some(open) = lexed.open {
        let (message, mend) = match open {
            ')' | ']' => (format!("a `{open}` closes nothing"), "take it out".to_owned()),
            _ => (
                format!("a `{open}` is not closed"),
                format!("close it, or write `\\{open}` for the sign itself"),
            ),
        };
        return Err(ToolError::invalid(message, mend));
    }
    within_what_was_named(query, &lexed)?;
    let mut linted = Linted { query: String::new(), notes: Vec::new(), passes: 1 };
    let mut commands = Vec::new();
    let mut is_limited = false;
    for command in lexed.tokens.split(|token| token.kind == Kind::Pipe) {
        let text = text_of(query, command);
        let word = word_at(query, command, 0);
        match word.as_str() {
            "" => {
                return Err(ToolError::invalid(
                    "a command between two `|` is empty, or does not begin with a word",
                    "take one of the `|` out",
                ));
            }
            "join" | "lookup" => return Err(unnamed(&word)),
            "estimate" => {
                return Err(ToolError::refused(
                    "`estimate` is asked before every query anyway",
                    "leave it out: the result says in `cost` what was estimated",
                ));
            }
            "limit" | "head" | "tail" => {
                is_limited = true;
                if rows_of(query, command)?.is_some_and(|n| n > MAX_ROWS) {
                    linted.notes.push(format!("limited to {MAX_ROWS} rows"));
                    commands.push(format!("{word} {MAX_ROWS}"));
                    continue;
                }
            }
            "diff" => linted.passes = 2,
            "stats" => bounded_groups(query, command, window)?,
            known if COMMANDS.contains(&known) => {}
            other => {
                return Err(ToolError::invalid(
                    format!("`{}` is not a command of Logs Insights QL", midwatch_mcp::clip(other, 40)),
                    format!("commands, divided by `|`, are: {}", COMMANDS.join(", ")),
                ));
            }
        }
        commands.push(text.to_owned());
    }
    if !is_limited {
        commands.push(format!("limit {MAX_ROWS}"));
    }
    linted.query = commands.join(" | ");
    Ok(linted)
}

/// Refuses whatever reads other groups than those that were named and priced: `SOURCE` anywhere, and
/// queries in brackets, which read the window once more at the least.
fn within_what_was_named(query: &str, lexed: &Lexed) -> Result<(), ToolError> {
    let Lexed { tokens, has_escaped_quote, .. } = lexed;
    if tokens.iter().any(|token| token.kind == Kind::Pipe && token.depth > 0) {
        return Err(nested());
    }
    for (n, token) in tokens.iter().enumerate() {
        let next = tokens.get(n + 1);
        let begins =
            n.checked_sub(1).and_then(|before| tokens.get(before)).is_none_or(|b| b.kind == Kind::Pipe);
        if token.kind == Kind::Word
            && word_at(query, tokens, n) == "source"
            && (begins || is_read(query, next))
        {
            return Err(unnamed("SOURCE"));
        }
        // `in (fields a)`, which needs no pipe.
        if token.kind == Kind::Open
            && COMMANDS.contains(&word_at(query, tokens, n + 1).as_str())
            && tokens.get(n + 2).is_some_and(|after| matches!(after.kind, Kind::Word | Kind::Quoted))
            && !OPERATORS.contains(&word_at(query, tokens, n + 2).as_str())
        {
            return Err(nested());
        }
        // A reader that knows no escapes in quotes ends them sooner, and sees code where we see text.
        if *has_escaped_quote
            && token.kind == Kind::Quoted
            && text_at(query, token).to_lowercase().contains("source")
        {
            return Err(unnamed("SOURCE"));
        }
    }
    Ok(())
}

/// Whether what follows `source` is what is read, as it is not where `source` is a field.
fn is_read(query: &str, next: Option<&Token>) -> bool {
    match next.map(|next| next.kind) {
        Some(Kind::Quoted | Kind::Open | Kind::Regex) => true,
        Some(Kind::Word) => {
            next.is_some_and(|next| !OPERATORS.contains(&text_at(query, next).to_ascii_lowercase().as_str()))
        }
        _ => false,
    }
}

fn unnamed(word: &str) -> ToolError {
    ToolError::refused(
        format!("`{word}` is not allowed: it reads what was not named and priced"),
        "name the log groups in `log_groups`, and ask two questions instead of a join; a field of that name stands in backticks",
    )
}

fn nested() -> ToolError {
    ToolError::refused(
        "a query within a query is not allowed: it reads what was not priced",
        "ask two questions: give the values that the first one found to the second, as `in [\"a\", \"b\"]`",
    )
}

/// The number of rows that `limit`, `head` and `tail` ask for; none is AWS's own.
fn rows_of(query: &str, command: &[Token]) -> Result<Option<usize>, ToolError> {
    let number = word_at(query, command, 1);
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    match command.len() {
        1 if word_at(query, command, 0) != "limit" => Ok(None),
        // More digits than fit are more rows than there may be.
        2 if is_number => Ok(Some(number.parse().unwrap_or(usize::MAX))),
        _ => Err(ToolError::invalid(
            format!("`{}` names no whole number of rows", midwatch_mcp::clip(text_of(query, command), 80)),
            format!("for example: limit 20; at most {MAX_ROWS}"),
        )),
    }
}

fn text_at<'q>(query: &'q str, token: &Token) -> &'q str {
    query.get(token.at.clone()).unwrap_or_default()
}

/// The text from the first of these tokens to the last.
fn text_of<'q>(query: &'q str, tokens: &[Token]) -> &'q str {
    let ends = tokens.first().zip(tokens.last());
    ends.and_then(|(first, last)| query.get(first.at.start..last.at.end)).unwrap_or_default()
}

/// A word in small letters; nothing where there is none.
fn word_at(query: &str, tokens: &[Token], n: usize) -> String {
    tokens
        .get(n)
        .filter(|token| token.kind == Kind::Word)
        .map(|token| text_at(query, token).to_ascii_lowercase())
        .unwrap_or_default()
}

/// Refuses to count by what makes more groups than there are rows.
fn bounded_groups(query: &str, command: &[Token], window: Window) -> Result<(), ToolError> {
    let Some(by) = (0..command.len()).rev().find(|n| word_at(query, command, *n) == "by") else {
        return Ok(());
    };
    let by = command.get(by + 1..).unwrap_or_default();
    let is_divider =
        |token: &Token| token.kind == Kind::Sign(',') && by.first().is_some_and(|b| b.depth == token.depth);
    for field in by.split(is_divider) {
        let field: String = text_of(query, field).to_ascii_lowercase().split_whitespace().collect();
        let field = field.as_str();
        let bare = field.trim_matches(['(', ')', '`']);
        if matches!(bare, "@message" | "@ptr" | "@timestamp" | "@ingestiontime") {
            return Err(ToolError::refused(
                format!("by `{bare}` every line is a group of its own"),
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

#[cfg(test)]
#[path = "ql_tests.rs"]
mod tests;
