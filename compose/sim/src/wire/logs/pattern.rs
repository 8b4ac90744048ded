//! Filter patterns of `FilterLogEvents`: terms, and conditions on JSON.
//!
//! Space-delimited patterns (`[ip, user, …]`) are refused rather than taken for terms.

mod json;

use regex::{Regex, RegexBuilder};

/// A parsed filter pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    Terms { all: Vec<Term>, any: Vec<Term>, none: Vec<Term> },
    Json(json::Condition),
}

/// Text that occurs, or a regular expression between percent signs.
#[derive(Debug)]
pub(super) enum Term {
    Text(String),
    Regex(Regex),
}

impl Term {
    fn occurs(&self, message: &str) -> bool {
        match self {
            Self::Text(text) => message.contains(text.as_str()),
            Self::Regex(regex) => regex.is_match(message),
        }
    }
}

impl Pattern {
    /// Parses a pattern; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.starts_with('{') {
            return json::parse(text).map(Self::Json);
        }
        if text.starts_with('[') {
            return Err("space-delimited patterns are not played by this world".to_owned());
        }
        let (mut all, mut any, mut none) = (Vec::new(), Vec::new(), Vec::new());
        let mut rest = text;
        while !rest.is_empty() {
            let into = match rest.chars().next() {
                Some('?') => &mut any,
                Some('-') => &mut none,
                _ => &mut all,
            };
            let body = rest.trim_start_matches(['?', '-']);
            let (term, after) = term(body)?;
            into.push(term);
            rest = after.trim_start();
        }
        // Beside terms that have to occur, optional ones decide nothing.
        if !all.is_empty() {
            any.clear();
        }
        Ok(Self::Terms { all, any, none })
    }

    /// Whether a line matches.
    pub(super) fn matches(&self, message: &str) -> bool {
        match self {
            Self::Json(condition) => {
                serde_json::from_str(message).is_ok_and(|line: serde_json::Value| condition.holds(&line))
            }
            Self::Terms { all, any, none } => {
                all.iter().all(|term| term.occurs(message))
                    && (any.is_empty() || any.iter().any(|term| term.occurs(message)))
                    && !none.iter().any(|term| term.occurs(message))
            }
        }
    }
}

/// One term at the start of `text`, and what follows it.
fn term(text: &str) -> Result<(Term, &str), String> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (phrase, rest) = quoted.split_once('"').ok_or("a quoted phrase is not closed")?;
        return Ok((Term::Text(phrase.to_owned()), rest));
    }
    if let Some(pattern) = text.strip_prefix('%') {
        let (pattern, rest) = pattern.split_once('%').ok_or("a regular expression is not closed with `%`")?;
        return Ok((Term::Regex(regex(pattern)?), rest));
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, ""));
    if word.is_empty() {
        return Err("a term is empty".to_owned());
    }
    if let Some(symbol) = word.chars().find(|ch| !(ch.is_alphanumeric() || matches!(ch, '_' | '.' | '/'))) {
        return Err(format!("a term with `{symbol}` has to be quoted: `\"{word}\"`"));
    }
    Ok((Term::Text(word.to_owned()), rest))
}

fn regex(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(1 << 20)
        .build()
        .map_err(|_| format!("`{pattern}` is not a regular expression"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_documented() {
        let plain = "[ERROR 400] BAD REQUEST from /a/b";
        let line =
            r#"{"level":"ERROR","status":503,"user":{"id":"u-17","vip":true},"tags":["x"],"gone":null}"#;
        for (pattern, message, expected) in [
            ("", plain, true),
            ("ERROR", plain, true),
            ("error", plain, false),
            ("ERROR REQUEST", plain, true),
            ("ERROR WARN", plain, false),
            ("\"BAD REQUEST\"", plain, true),
            ("\"REQUEST BAD\"", plain, false),
            ("?WARN ?ERROR", plain, true),
            ("?WARN ?FATAL", plain, false),
            ("ERROR -BAD", plain, false),
            ("ERROR -\"not there\"", plain, true),
            ("ERROR ?WARN", plain, true),
            ("%ERROR [0-9]+%", plain, true),
            ("{ $.level = \"ERROR\" }", line, true),
            ("{ $.level = ERROR }", line, true),
            ("{ $.level = \"ERR*\" }", line, true),
            ("{ $.level = \"*ARN\" }", line, false),
            ("{ $.level != \"INFO\" }", line, true),
            ("{ $.level = \"ERROR\" }", plain, false),
            ("{ $.status >= 500 && $.status < 504 }", line, true),
            ("{ ($.status = 500 || $.status = 503) && $.level = \"E*\" }", line, true),
            ("{ $.user.id = %u-[0-9]+% }", line, true),
            ("{ $.user.vip IS TRUE }", line, true),
            ("{ $.user.vip IS FALSE }", line, false),
            ("{ $.gone IS NULL }", line, true),
            ("{ $.nothing NOT EXISTS }", line, true),
            ("{ $.level EXISTS }", line, true),
            ("{ $.nothing = 1 }", line, false),
            ("{ $.tags[0] = \"x\" }", line, true),
        ] {
            let parsed = Pattern::parse(pattern).unwrap_or_else(|why| panic!("{pattern}: {why}"));
            assert_eq!(parsed.matches(message), expected, "{pattern}");
        }
    }

    #[test]
    fn what_is_not_a_pattern_is_refused() {
        for pattern in [
            "\"open",
            "%open",
            "%(%",
            "a:b",
            "[ip, user]",
            "{ $.a }",
            "{ $.a = }",
            "{ $.a = 1",
            "{ a = 1 }",
            "{ $.a ~ 1 }",
            "{ $.a = 1 && }",
            "{ ($.a = 1 }",
            "{ $.a = 1 } x",
            "?",
        ] {
            assert!(Pattern::parse(pattern).is_err(), "{pattern}");
        }
        assert!(Pattern::parse(&format!("{{ {}$.a = 1 }}", "(".repeat(5000))).is_err());
    }
}
