//! Tokens of a query, read on demand: whether `/` divides or opens a pattern is known to the parser only.

use super::error::{CompileError, Span};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Token {
    /// A field, function or keyword as written.
    Word(String),
    /// A field name in back quotes: never a keyword.
    Quoted(String),
    Text(String),
    Number(f64),
    Symbol(&'static str),
    End,
}

impl Token {
    /// How an error message names it.
    pub(super) fn describe(&self) -> String {
        match self {
            Self::Word(word) | Self::Quoted(word) => format!("`{word}`"),
            Self::Text(_) => "a string".to_owned(),
            Self::Number(number) => format!("`{number}`"),
            Self::Symbol(symbol) => format!("`{symbol}`"),
            Self::End => "the end of the query".to_owned(),
        }
    }
}

/// Longest first, so that `<=` is not read as `<`.
const SYMBOLS: [&str; 19] =
    ["!=", "<=", ">=", "=~", "=", "<", ">", "|", "(", ")", "[", "]", ",", "+", "-", "*", "/", "%", "^"];

#[derive(Debug, Clone)]
pub(super) struct Lexer<'q> {
    source: &'q str,
    position: usize,
}

impl<'q> Lexer<'q> {
    pub(super) fn new(source: &'q str) -> Self {
        Self { source, position: 0 }
    }

    fn rest(&self) -> &'q str {
        self.source.get(self.position..).unwrap_or_default()
    }

    /// Skips white space and `#` comments.
    fn skip_blank(&mut self) {
        loop {
            let trimmed = self.rest().trim_start();
            self.position = self.source.len() - trimmed.len();
            if !trimmed.starts_with('#') {
                return;
            }
            self.position += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    /// Goes back, to read what was taken for a `/` as a pattern.
    pub(super) fn rewind(&mut self, position: usize) {
        self.position = position;
    }

    pub(super) fn next(&mut self) -> Result<(Token, Span), CompileError> {
        self.skip_blank();
        let start = self.position;
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok((Token::End, Span { start, end: start }));
        };
        let token = match first {
            '"' | '\'' => Token::Text(self.delimited(first, "string")?),
            '`' => Token::Quoted(self.delimited('`', "back-quoted field name")?),
            '0'..='9' => self.number()?,
            '.' if rest.chars().nth(1).is_some_and(|next| next.is_ascii_digit()) => self.number()?,
            '@' | '_' => self.word(),
            _ if first.is_alphabetic() => self.word(),
            _ => {
                let Some(symbol) = SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) else {
                    let span = Span { start, end: start + first.len_utf8() };
                    let message = format!(
                        "unexpected character `{first}`; a field name with such characters needs back quotes"
                    );
                    return Err(CompileError::at(self.source, span, message));
                };
                self.position += symbol.len();
                Token::Symbol(symbol)
            }
        };
        Ok((token, Span { start, end: self.position }))
    }

    fn word(&mut self) -> Token {
        let rest = self.rest();
        let inside = |ch: char| ch.is_alphanumeric() || matches!(ch, '_' | '@' | '.');
        let end = rest.find(|ch| !inside(ch)).unwrap_or(rest.len());
        let word = rest.get(..end).unwrap_or_default().trim_end_matches('.');
        self.position += word.len();
        Token::Word(word.to_owned())
    }

    fn number(&mut self) -> Result<Token, CompileError> {
        let (start, rest) = (self.position, self.rest());
        let digits = |text: &str| text.find(|ch: char| !ch.is_ascii_digit()).unwrap_or(text.len());
        let mut end = digits(rest);
        if let Some(fraction) = rest.get(end..).and_then(|tail| tail.strip_prefix('.')) {
            end += 1 + digits(fraction);
        }
        let text = rest.get(..end).unwrap_or_default();
        self.position += end;
        text.parse().map(Token::Number).map_err(|_| {
            CompileError::at(
                self.source,
                Span { start, end: self.position },
                format!("`{text}` is not a number"),
            )
        })
    }

    /// Text between two `quote` characters. A backslash escapes the quote and itself; before anything else it stays,
    /// because people write patterns in strings.
    fn delimited(&mut self, quote: char, what: &str) -> Result<String, CompileError> {
        let start = self.position;
        let mut text = String::new();
        let mut chars = self.rest().char_indices().skip(1);
        while let Some((offset, ch)) = chars.next() {
            match ch {
                _ if ch == quote => {
                    self.position = start + offset + ch.len_utf8();
                    return Ok(text);
                }
                '\\' => match chars.next() {
                    Some((_, next)) if next == quote || next == '\\' && quote != '/' => text.push(next),
                    Some((_, 'n')) if quote != '/' => text.push('\n'),
                    Some((_, 't')) if quote != '/' => text.push('\t'),
                    Some((_, next)) => text.extend(['\\', next]),
                    None => break,
                },
                _ => text.push(ch),
            }
        }
        let span = Span { start, end: self.source.len() };
        Err(CompileError::at(self.source, span, format!("the {what} is not closed: `{quote}` is missing")))
    }

    /// A pattern between slashes; the position is at the first slash.
    pub(super) fn pattern(&mut self) -> Result<(String, Span), CompileError> {
        let start = self.position;
        let pattern = self.delimited('/', "regular expression")?;
        Ok((pattern, Span { start, end: self.position }))
    }
}
