//! Reading a Logs Insights query before it runs: what it may not do, what would be endless, and what
//! is plainly a mistake. Pure. AWS has the last word on syntax; what is caught here costs nothing.

use std::sync::LazyLock;

use midwatch_mcp::{ToolError, Window};
use regex::Regex;

use crate::{
    counting::{ENDLESS, add_names, add_parsed, bounded_groups},
    lex::{Kind, Lexed, Token, lex, without_comments},
};

const MAX_QUERY_BYTES: usize = 4000;
/// Rows of a query, whatever it says; pages are cut from them.
pub(crate) const MAX_ROWS: usize = 1000;
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
    // What differs from line to line, by whatever name.
    let mut endless = ENDLESS.map(str::to_owned).to_vec();
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
            "stats" => bounded_groups(query, command, window, &endless)?,
            "fields" | "display" => add_names(query, command, window, &mut endless),
            "parse" if takes_a_secret(text) => {
                return Err(ToolError::refused(
                    "this `parse` takes a secret out of its line, where nobody could tell any more what it is",
                    "take @message as a whole: in it secrets are redacted",
                ));
            }
            "parse" => add_parsed(query, command, window, &mut endless),
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

pub(crate) fn text_at<'q>(query: &'q str, token: &Token) -> &'q str {
    query.get(token.at.clone()).unwrap_or_default()
}

/// The text from the first of these tokens to the last.
pub(crate) fn text_of<'q>(query: &'q str, tokens: &[Token]) -> &'q str {
    let ends = tokens.first().zip(tokens.last());
    ends.and_then(|(first, last)| query.get(first.at.start..last.at.end)).unwrap_or_default()
}

/// A word in small letters; nothing where there is none.
pub(crate) fn word_at(query: &str, tokens: &[Token], n: usize) -> String {
    tokens
        .get(n)
        .filter(|token| token.kind == Kind::Word)
        .map(|token| text_at(query, token).to_ascii_lowercase())
        .unwrap_or_default()
}

/// Whether a `parse` takes out by itself what is redacted in a line: in place of what it takes stands a word
/// then that looks like a secret.
fn takes_a_secret(command: &str) -> bool {
    const LIKELY: &str = "Zq8vHunter2Kx9Wm4Tb7";
    static GROUP: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\(\?P?<\w+>(?:[^()\\]|\\.)*\)").ok());
    // What a pattern says of blanks and signs, as those.
    static SIGN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\\s[*+?]?|\[\^?[^\]\w]+\][*+?]?|\.[*+]\??|\\b|\(\?i\)").ok());
    let (Some(group), Some(sign)) = (GROUP.as_ref(), SIGN.as_ref()) else { return false };
    let shown = group.replace_all(command, LIKELY);
    let shown =
        if shown == command { command.replace('*', LIKELY).into() } else { sign.replace_all(&shown, "") };
    let shown = shown.replace(['\\', '?'], "");
    let redacted = midwatch_policy::redact(&shown).text;
    redacted.matches(LIKELY).count() < shown.matches(LIKELY).count()
}

#[cfg(test)]
#[path = "ql_tests.rs"]
mod tests;
