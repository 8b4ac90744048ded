//! Patterns: regular expressions within bounds, and the two forms of `parse`.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

/// Bounds on the compiled automaton; a longer pattern is refused.
const SIZE_LIMIT: usize = 1 << 20;
const NEST_LIMIT: u32 = 60;

/// Compiles a pattern of a query.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .nest_limit(NEST_LIMIT)
        .build()
        .map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("the regular expression is not valid: {reason}")
        })
}

/// The pattern of a `parse` before its names are known.
pub(super) enum Compiled {
    Glob(String),
    Regex(Regex),
}

/// Capture group index and the field it fills.
pub(super) type Captures = Vec<(usize, Arc<str>)>;

impl Compiled {
    /// Pairs captures with names; the error says what does not fit.
    pub(super) fn finish(self, aliases: Vec<Arc<str>>) -> Result<(Regex, Captures), String> {
        match self {
            Self::Glob(glob) => {
                let stars = glob.matches('*').count();
                if stars == 0 {
                    return Err("the pattern of `parse` has no `*` to take a value from".to_owned());
                }
                if stars != aliases.len() {
                    return Err(format!(
                        "the pattern has {stars} `*` but {} names follow `as`",
                        aliases.len()
                    ));
                }
                Ok((compile(&glob_regex(&glob))?, aliases.into_iter().enumerate().map(up).collect()))
            }
            Self::Regex(regex) if aliases.is_empty() => {
                let named: Captures = regex
                    .capture_names()
                    .enumerate()
                    .filter_map(|(index, name)| Some((index, Arc::from(name?))))
                    .collect();
                if named.is_empty() {
                    return Err("the regular expression has no named group such as `(?<name>…)`".to_owned());
                }
                Ok((regex, named))
            }
            Self::Regex(regex) => {
                let groups = regex.captures_len() - 1;
                if groups != aliases.len() {
                    return Err(format!(
                        "the regular expression has {groups} groups but {} names follow `as`",
                        aliases.len()
                    ));
                }
                Ok((regex, aliases.into_iter().enumerate().map(up).collect()))
            }
        }
    }
}

/// Group 0 is the whole match.
fn up((index, name): (usize, Arc<str>)) -> (usize, Arc<str>) {
    (index + 1, name)
}

/// `*` takes as little as it can, except at the end, where it takes the rest.
fn glob_regex(glob: &str) -> String {
    let pieces: Vec<&str> = glob.split('*').collect();
    let last = pieces.len().saturating_sub(1);
    let mut pattern = String::from(if glob.starts_with('*') { "(?s)^" } else { "(?s)" });
    for (index, piece) in pieces.iter().enumerate() {
        pattern.push_str(&regex::escape(piece));
        if index < last {
            let rest = index + 1 == last && pieces.last().is_some_and(|piece| piece.is_empty());
            pattern.push_str(if rest { "(.*)" } else { "(.*?)" });
        }
    }
    pattern
}
