//! What an operator wants out of every text besides what is built in: patterns with a name each.
//!
//! INVARIANT: no pattern matches the empty text, each is compiled within [`LARGEST`], and each name is one that a placeholder can bear and no built-in kind has.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};
use thiserror::Error;

use super::{Found, Kind, Redacted, SecretKind, redact_with};

/// Patterns of one operator, letters of a name, bytes of a pattern, and of what it is compiled to.
const MOST: usize = 50;
const NAME: usize = 24;
const LONGEST: usize = 1000;
const LARGEST: usize = 1 << 20;
/// Part of a pattern that is taken out alone, as it is with the built-in ones.
const SECRET: &str = "secret";

const KNOWN: [SecretKind; 9] = [
    SecretKind::AwsKeyId,
    SecretKind::AwsSecret,
    SecretKind::Bearer,
    SecretKind::Token,
    SecretKind::Password,
    SecretKind::PrivateKey,
    SecretKind::ApiKey,
    SecretKind::Email,
    SecretKind::Card,
];

/// Takes out what is built in, and what an operator's own patterns match. Cheap to clone; the default
/// has none of these.
#[derive(Debug, Clone, Default)]
pub struct Redactor(Arc<[Own]>);

impl Redactor {
    /// With patterns of one's own: names, and regular expressions. Of a pattern with a group named
    /// `secret` only what that matches is taken out.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn new<'a>(
        patterns: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<PatternError>> {
        let (mut all, mut wrong): (Vec<Own>, Vec<PatternError>) = (Vec::new(), Vec::new());
        for (name, pattern) in patterns {
            match Own::parse(name, pattern) {
                Ok(own) if all.iter().any(|known| known.name == own.name) => {
                    wrong.push(PatternError::Twice(name.to_owned()));
                }
                Ok(own) => all.push(own),
                Err(error) => wrong.push(error),
            }
        }
        if all.len() > MOST {
            wrong.push(PatternError::TooMany(all.len()));
        }
        if wrong.is_empty() { Ok(Self(all.into())) } else { Err(wrong) }
    }

    /// As [`redact`](super::redact), with the patterns of one's own besides.
    pub fn redact(&self, text: &str) -> Redacted {
        redact_with(text, &self.0)
    }
}

/// One pattern.
#[derive(Debug)]
pub(super) struct Own {
    name: Arc<str>,
    regex: Regex,
    in_part: bool,
}

impl Own {
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    fn parse(name: &str, pattern: &str) -> Result<Self, PatternError> {
        let fits = (1..=NAME).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
        if !fits {
            return Err(PatternError::Name(name.chars().take(60).collect()));
        }
        let named = || name.to_owned();
        if KNOWN.iter().any(|kind| kind.as_str() == name) {
            return Err(PatternError::BuiltIn(named()));
        }
        if pattern.len() > LONGEST {
            return Err(PatternError::TooLong { name: named(), bytes: pattern.len() });
        }
        let read = regex_syntax::parse(pattern);
        let read = read.map_err(|error| PatternError::Syntax { name: named(), why: why(&error) })?;
        match read.properties().minimum_len() {
            None => return Err(PatternError::Never(named())),
            Some(0) => return Err(PatternError::Empty(named())),
            Some(_) => {}
        }
        let regex = RegexBuilder::new(pattern).size_limit(LARGEST).build();
        let regex = regex.map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => PatternError::TooLarge(named()),
            other => PatternError::Syntax { name: named(), why: other.to_string() },
        })?;
        let in_part = regex.capture_names().flatten().any(|group| group == SECRET);
        Ok(Self { name: name.into(), regex, in_part })
    }
}

/// What is wrong with an expression, in one line.
fn why(error: &regex_syntax::Error) -> String {
    match error {
        regex_syntax::Error::Parse(error) => {
            format!("{} at character {}", error.kind(), error.span().start.column)
        }
        regex_syntax::Error::Translate(error) => {
            format!("{} at character {}", error.kind(), error.span().start.column)
        }
        other => other.to_string(),
    }
}

/// What of a text the patterns match, in no order; spans may overlap.
pub(super) fn find(text: &str, own: &[Own], found: &mut Vec<Found>) {
    for (at, own) in own.iter().enumerate() {
        let mut add = |span: std::ops::Range<usize>| {
            if !span.is_empty() {
                found.push(Found { at: span, kind: Kind::Own(at) });
            }
        };
        if own.in_part {
            let all = own.regex.captures_iter(text);
            all.filter_map(|captures| captures.name(SECRET)).for_each(|part| add(part.range()));
        } else {
            own.regex.find_iter(text).for_each(|whole| add(whole.range()));
        }
    }
}

/// What is wrong with a pattern.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PatternError {
    /// The placeholder cannot bear that name.
    #[error("`{0}` cannot name a pattern: a name has 1 to {most} lower-case letters or `_`", most = NAME)]
    Name(String),
    /// A kind of that name is built in.
    #[error("`{0}` is built in: give the pattern another name")]
    BuiltIn(String),
    /// Two bear one name.
    #[error("`{0}` names two patterns: put them together with `|`")]
    Twice(String),
    /// It cannot be read.
    #[error("the pattern `{name}` is no regular expression: {why}")]
    Syntax {
        /// Its name.
        name: String,
        /// What is wrong with it, and where.
        why: String,
    },
    /// It matches where there is nothing.
    #[error("the pattern `{0}` matches the empty text: it has to match at least one character")]
    Empty(String),
    /// It matches nowhere.
    #[error("the pattern `{0}` cannot match any text")]
    Never(String),
    /// Its text is too long.
    #[error("the pattern `{name}` has {bytes} bytes: at most {most}", most = LONGEST)]
    TooLong {
        /// Its name.
        name: String,
        /// Its length.
        bytes: usize,
    },
    /// It would take too much memory.
    #[error(
        "the pattern `{0}` is too large once compiled: repeat less, or use `[0-9]` for `\\d` and `[a-z]` for `\\w`"
    )]
    TooLarge(String),
    /// There are too many.
    #[error("{0} patterns are too many: at most {most}", most = MOST)]
    TooMany(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(pattern: &str) -> Result<Redactor, String> {
        Redactor::new([("customer", pattern)])
            .map_err(|wrong| wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }

    #[test]
    fn own_patterns_are_taken_out_beside_what_is_built_in_and_counted_by_name() {
        let redactor =
            Redactor::new([("customer", r"\bC-\d{6}\b"), ("plate", "plate=(?P<secret>[A-Z]+)")]).unwrap();
        let redacted = redactor.redact("C-123456 and C-654321: plate=ABC password=hunter2");
        assert_eq!(
            redacted.text,
            "[redacted:customer] and [redacted:customer]: plate=[redacted:plate] password=[redacted:password]"
        );
        assert_eq!(redacted.own, [("customer".into(), 2), ("plate".into(), 1)].into());
        assert_eq!((redacted.total(), redacted.counts.len()), (4, 1));
        assert_eq!(redactor.redact(&redacted.text).text, redacted.text);
        assert_eq!(redactor.redact(&redacted.text).total(), 0);
    }

    #[test]
    fn overlaps_hide_nothing_of_either() {
        // Of an address, of a card and of a password, whatever part an own pattern takes.
        for (pattern, text, gone) in [
            ("@example", "mail jane@example.com now", "jane"),
            ("4111", "card 4111 1111 1111 1111 declined", "1111"),
            ("hunter", "password=hunter2x y", "2x"),
            (r"user=\w+ password=\w+", "user=bob password=hunter2", "bob"),
            ("(?s).+", "anything\nat all", "all"),
        ] {
            let redactor = one(pattern).unwrap();
            let once = redactor.redact(text).text;
            assert!(!once.contains(gone), "{pattern}: {once}");
            assert_eq!(redactor.redact(&once).text, once, "{pattern}");
        }
    }

    #[test]
    fn letters_of_any_script_are_cut_whole() {
        assert_eq!(one("Kundin .+?ß").unwrap().redact("für Kundin Großß!").text, "für [redacted:customer]ß!");
    }

    #[test]
    fn what_cannot_be_used_is_said_with_its_name() {
        for (pattern, wanted) in [
            ("C-(", "the pattern `customer` is no regular expression: unclosed group at character 3"),
            (r"\p{Klingon}", "Unicode property not found"),
            ("(?=x)", "look-around"),
            ("[0-9]*", "matches the empty text"),
            (r"\b", "matches the empty text"),
            ("", "matches the empty text"),
            (r"[^\s\S]", "cannot match any text"),
            (r"\w{1000}\w{1000}", "is too large once compiled"),
            (&"x".repeat(1001), "has 1001 bytes"),
        ] {
            let said = one(pattern).unwrap_err();
            assert!(said.contains(wanted) && !said.contains('\n'), "{pattern}: {said}");
        }
        let wrong =
            Redactor::new([("Id", "x"), ("email", "x"), ("a", "x"), ("a", "y"), ("b", "(")]).unwrap_err();
        assert_eq!(wrong.len(), 4, "{wrong:?}");
        let names: Vec<String> = (0..51)
            .map(|n| {
                "abcdefghij".chars().nth(n / 10).into_iter().chain("abcdefghij".chars().nth(n % 10)).collect()
            })
            .collect();
        let many = Redactor::new(names.iter().map(|name| (name.as_str(), "x"))).unwrap_err();
        assert_eq!(many, [PatternError::TooMany(51)]);
    }
}
