//! Conditions on JSON lines: `{ $.status >= 500 && $.level = "ERR*" }`.

use regex::Regex;
use serde_json::Value;

use super::regex;

const MAX_DEPTH: usize = 20;
const MAX_CONDITIONS: usize = 100;

/// A condition on a parsed line.
#[derive(Debug)]
pub(in crate::wire::logs) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Test { path: Vec<Step>, test: Test },
}

#[derive(Debug)]
pub(in crate::wire::logs) enum Step {
    Key(String),
    Index(usize),
}

#[derive(Debug)]
pub(in crate::wire::logs) enum Test {
    Exists,
    NotExists,
    Is(Value),
    Text { glob: String, negated: bool },
    Matches { regex: Regex, negated: bool },
    Number { operator: Operator, number: f64 },
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(in crate::wire::logs) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

const OPERATORS: [(&str, Operator); 6] = [
    ("!=", Operator::NotEqual),
    ("<=", Operator::LessOrEqual),
    (">=", Operator::GreaterOrEqual),
    ("=", Operator::Equal),
    ("<", Operator::Less),
    (">", Operator::Greater),
];

impl Condition {
    /// Whether the condition holds for a line. What is not there meets `NOT EXISTS` only.
    pub(super) fn holds(&self, line: &Value) -> bool {
        match self {
            Self::And(all) => all.iter().all(|one| one.holds(line)),
            Self::Or(any) => any.iter().any(|one| one.holds(line)),
            Self::Test { path, test } => {
                let found = path.iter().try_fold(line, |at, step| match step {
                    Step::Key(key) => at.get(key),
                    Step::Index(index) => at.get(index),
                });
                match (found, test) {
                    (None, Test::NotExists) | (Some(_), Test::Exists) => true,
                    (None, _) | (Some(_), Test::NotExists) => false,
                    (Some(value), test) => test.holds(value),
                }
            }
        }
    }
}

impl Test {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Self::Exists => true,
            Self::NotExists => false,
            Self::Is(expected) => value == expected,
            Self::Text { glob, negated } => {
                scalar(value).is_some_and(|text| glob_matches(glob, &text) != *negated)
            }
            Self::Matches { regex, negated } => {
                scalar(value).is_some_and(|text| regex.is_match(&text) != *negated)
            }
            Self::Number { operator, number } => value.as_f64().is_some_and(|found| match operator {
                Operator::Equal => found.total_cmp(number).is_eq(),
                Operator::NotEqual => found.total_cmp(number).is_ne(),
                Operator::Less => found < *number,
                Operator::LessOrEqual => found <= *number,
                Operator::Greater => found > *number,
                Operator::GreaterOrEqual => found >= *number,
            }),
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// `*` stands for any run of characters.
fn glob_matches(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, middle)) = pieces.split_last() else { return rest.is_empty() };
    for piece in middle {
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Parses `{ … }`.
pub(super) fn parse(text: &str) -> Result<Condition, String> {
    let mut parser = Parser { rest: text.trim(), conditions: 0 };
    parser.need("{")?;
    let condition = parser.or(0)?;
    parser.need("}")?;
    if parser.rest.is_empty() {
        Ok(condition)
    } else {
        Err(format!("`{}` follows the condition", parser.rest))
    }
}

struct Parser<'t> {
    rest: &'t str,
    conditions: usize,
}

impl<'t> Parser<'t> {
    fn take(&mut self, symbol: &str) -> bool {
        match self.rest.strip_prefix(symbol) {
            Some(rest) => {
                self.rest = rest.trim_start();
                true
            }
            None => false,
        }
    }

    fn need(&mut self, symbol: &str) -> Result<(), String> {
        if self.take(symbol) { Ok(()) } else { Err(format!("`{symbol}` is missing before `{}`", self.rest)) }
    }

    /// Takes characters while they are of a kind.
    fn run(&mut self, of: impl Fn(char) -> bool) -> &'t str {
        let end = self.rest.find(|ch| !of(ch)).unwrap_or(self.rest.len());
        let (run, rest) = self.rest.split_at_checked(end).unwrap_or((self.rest, ""));
        self.rest = rest;
        run
    }

    fn word(&mut self, word: &str) -> bool {
        let mut ahead = Self { rest: self.rest, conditions: 0 };
        let found = ahead.run(char::is_alphabetic).eq_ignore_ascii_case(word);
        if found {
            self.rest = ahead.rest.trim_start();
        }
        found
    }

    fn or(&mut self, depth: usize) -> Result<Condition, String> {
        let mut any = vec![self.and(depth)?];
        while self.take("||") {
            any.push(self.and(depth)?);
        }
        Ok(Condition::Or(any))
    }

    fn and(&mut self, depth: usize) -> Result<Condition, String> {
        let mut all = vec![self.test(depth)?];
        while self.take("&&") {
            all.push(self.test(depth)?);
        }
        Ok(Condition::And(all))
    }

    fn test(&mut self, depth: usize) -> Result<Condition, String> {
        self.conditions += 1;
        if depth > MAX_DEPTH || self.conditions > MAX_CONDITIONS {
            return Err("the pattern is too large".to_owned());
        }
        if self.take("(") {
            let inner = self.or(depth + 1)?;
            self.need(")")?;
            return Ok(inner);
        }
        let path = self.path()?;
        let test = self.predicate()?;
        Ok(Condition::Test { path, test })
    }

    fn path(&mut self) -> Result<Vec<Step>, String> {
        if !self.rest.starts_with('$') {
            return Err(format!("a property such as `$.level` is missing before `{}`", self.rest));
        }
        self.run(|ch| ch == '$');
        let mut path = Vec::new();
        loop {
            if let Some(rest) = self.rest.strip_prefix('.') {
                self.rest = rest;
                let key = self.run(|ch| ch.is_alphanumeric() || matches!(ch, '_' | '-' | '@'));
                if key.is_empty() {
                    return Err("a property name is missing after `.`".to_owned());
                }
                path.push(Step::Key(key.to_owned()));
            } else if let Some(rest) = self.rest.strip_prefix('[') {
                self.rest = rest;
                let index = self
                    .run(|ch| ch.is_ascii_digit())
                    .parse()
                    .map_err(|_| "an index is missing after `[`")?;
                self.rest = self.rest.strip_prefix(']').ok_or("`]` is missing after an index")?;
                path.push(Step::Index(index));
            } else {
                self.rest = self.rest.trim_start();
                return Ok(path);
            }
        }
    }

    fn predicate(&mut self) -> Result<Test, String> {
        if self.word("exists") {
            return Ok(Test::Exists);
        }
        if self.word("not") {
            return if self.word("exists") {
                Ok(Test::NotExists)
            } else {
                Err("`NOT` needs `EXISTS`".to_owned())
            };
        }
        if self.word("is") {
            let expected =
                [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))];
            return expected
                .into_iter()
                .find_map(|(word, value)| self.word(word).then_some(Test::Is(value)))
                .ok_or_else(|| "`IS` needs `NULL`, `TRUE` or `FALSE`".to_owned());
        }
        let operator = OPERATORS
            .into_iter()
            .find_map(|(symbol, operator)| self.take(symbol).then_some(operator))
            .ok_or_else(|| format!("a comparison is missing before `{}`", self.rest))?;
        self.comparison(operator)
    }

    fn comparison(&mut self, operator: Operator) -> Result<Test, String> {
        let negated = operator == Operator::NotEqual;
        let equality = negated || operator == Operator::Equal;
        let close =
            |rest: &'t str, mark: char| rest.split_once(mark).ok_or(format!("`{mark}` is not closed"));
        let test = if let Some(rest) = self.rest.strip_prefix('"') {
            let (text, rest) = close(rest, '"')?;
            self.rest = rest;
            Test::Text { glob: text.to_owned(), negated }
        } else if let Some(rest) = self.rest.strip_prefix('%') {
            let (pattern, rest) = close(rest, '%')?;
            self.rest = rest;
            Test::Matches { regex: regex(pattern)?, negated }
        } else {
            let word = self.run(|ch| ch.is_alphanumeric() || matches!(ch, '_' | '-' | '.' | '*' | '+' | '/'));
            match word.parse::<f64>() {
                Ok(number) if number.is_finite() => Test::Number { operator, number },
                _ if word.is_empty() => return Err("a value is missing after a comparison".to_owned()),
                _ => Test::Text { glob: word.to_owned(), negated },
            }
        };
        self.rest = self.rest.trim_start();
        if !equality && !matches!(test, Test::Number { .. }) {
            return Err("only numbers can be less or greater".to_owned());
        }
        Ok(test)
    }
}
