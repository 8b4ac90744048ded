//! Does a citation resolve? Only if the cited bytes contain what is quoted.
//!
//! A quote is a text that stands in a string of the evidence, a number that is one of its numbers,
//! or `field=value` for a field of the evidence (an array's value is its length).

use midwatch_policy::{EvidenceId, Timestamp};
use serde_json::Value;

use super::book::{Evidence, EvidenceBook};
use crate::finding::Citation;

/// A citation that resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Resolved {
    /// The evidence.
    pub evidence: EvidenceId,
    /// What in it was quoted.
    pub matched: Matched,
}

/// What in the evidence was quoted.
#[derive(Debug, Clone, PartialEq)]
pub enum Matched {
    /// Text in one of its strings.
    Text(String),
    /// One of its numbers.
    Number(f64),
    /// A time.
    Time(Timestamp),
    /// A truth value of a field.
    Flag(bool),
}

/// Why a citation does not resolve.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum WhyNot {
    /// There is no such evidence.
    #[error("there is no evidence `{0}`")]
    NoSuchEvidence(String),
    /// Nothing is quoted.
    #[error("nothing is quoted from `{0}`")]
    NothingQuoted(String),
    /// The evidence does not contain it.
    #[error("`{evidence}` does not contain `{quote}`")]
    NotThere {
        /// The evidence.
        evidence: String,
        /// What was quoted.
        quote: String,
    },
}

/// Quotes shorter than this have to be whole words.
const SHORT: usize = 5;

impl EvidenceBook {
    /// Resolves a citation.
    pub fn resolve(&self, citation: &Citation) -> Result<Resolved, WhyNot> {
        let evidence = self
            .get(&citation.evidence)
            .ok_or_else(|| WhyNot::NoSuchEvidence(citation.evidence.trim().to_owned()))?;
        let quote = citation.quote.trim().trim_matches('`').trim();
        if quote.is_empty() || quote == "\"\"" {
            return Err(WhyNot::NothingQuoted(evidence.id.to_string()));
        }
        match_quote(&evidence, quote)
            .map(|matched| Resolved { evidence: evidence.id.clone(), matched })
            .ok_or_else(|| WhyNot::NotThere {
                evidence: evidence.id.to_string(),
                quote: quote.chars().take(80).collect(),
            })
    }
}

fn match_quote(evidence: &Evidence, quote: &str) -> Option<Matched> {
    let value = evidence.value();
    field(&value, quote)
        .or_else(|| number(&value, quote))
        .or_else(|| text(&value, quote))
        .or_else(|| text(&value, unquoted(quote)))
}

fn unquoted(quote: &str) -> &str {
    quote.strip_prefix('"').and_then(|q| q.strip_suffix('"')).unwrap_or(quote)
}

/// `field=value`, `field: value` or `"field": value`.
fn field(value: &Value, quote: &str) -> Option<Matched> {
    let (name, wanted) = quote.split_once(['=', ':'])?;
    let name = unquoted(name.trim());
    let wanted = unquoted(wanted.trim().trim_end_matches(','));
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if !is_name || wanted.is_empty() {
        return None;
    }
    let mut found = None;
    walk(value, &mut |key, child| {
        if key == name && found.is_none() {
            found = value_is(child, wanted);
        }
    });
    found
}

fn value_is(value: &Value, wanted: &str) -> Option<Matched> {
    match value {
        Value::String(text) if text == wanted => Some(as_time_or_text(text)),
        Value::String(text) => {
            // The same instant in other words is the same instant.
            let (a, b) = (text.parse::<Timestamp>().ok()?, wanted.parse::<Timestamp>().ok()?);
            (a == b).then_some(Matched::Time(a))
        }
        Value::Number(number) => {
            let (a, b) = (number.as_f64()?, parse_number(wanted)?);
            same(a, b).then_some(Matched::Number(a))
        }
        Value::Bool(flag) => (flag.to_string() == wanted).then_some(Matched::Flag(*flag)),
        Value::Array(items) => {
            let wanted = parse_number(wanted)?;
            let length = items.len() as f64;
            same(length, wanted).then_some(Matched::Number(length))
        }
        Value::Null | Value::Object(_) => None,
    }
}

fn as_time_or_text(text: &str) -> Matched {
    text.parse::<Timestamp>().map_or_else(|_| Matched::Text(text.to_owned()), Matched::Time)
}

fn number(value: &Value, quote: &str) -> Option<Matched> {
    let wanted = parse_number(quote)?;
    numbers(value).into_iter().find(|n| same(*n, wanted)).map(Matched::Number)
}

fn text(value: &Value, quote: &str) -> Option<Matched> {
    let wanted = squeeze(quote);
    if wanted.is_empty() {
        return None;
    }
    let short = wanted.chars().count() < SHORT;
    strings(value).into_iter().find_map(|text| {
        let squeezed = squeeze(text);
        let there = if short { whole_word(&squeezed, &wanted) } else { on_word_edges(&squeezed, &wanted) };
        there.then(|| as_time_or_text(quote))
    })
}

/// White space is not evidence.
fn squeeze(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn whole_word(text: &str, word: &str) -> bool {
    crate::signals::text::contains_word(text, word)
}

/// A quote may begin and end anywhere, except within a number: `7 errors` is not in `17 errors`.
fn on_word_edges(text: &str, quote: &str) -> bool {
    let digit = |c: Option<char>| c.is_some_and(|c| c.is_ascii_digit());
    text.match_indices(quote).any(|(at, _)| {
        let before = text.get(..at).and_then(|t| t.chars().next_back());
        let after = text.get(at + quote.len()..).and_then(|t| t.chars().next());
        !(digit(before) && digit(quote.chars().next()) || digit(after) && digit(quote.chars().next_back()))
    })
}

/// A number as people and models write it: `1,234`, `5 %`, `-60`.
pub(super) fn parse_number(text: &str) -> Option<f64> {
    let text = text.trim().trim_end_matches('%').trim().replace(',', "");
    let shape = text.trim_start_matches(['-', '+']);
    if !shape.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().filter(|n: &f64| n.is_finite())
}

/// Equal as printed: models and people round to what they write.
pub(super) fn same(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * a.abs().max(b.abs()).max(1.0)
}

fn walk<'v>(value: &'v Value, visit: &mut impl FnMut(&'v str, &'v Value)) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Value::Object(object) => {
            for (key, child) in object {
                visit(key, child);
                walk(child, visit);
            }
        }
        _ => {}
    }
}

/// Every number of a value.
pub(super) fn numbers(value: &Value) -> Vec<f64> {
    match value {
        Value::Number(number) => number.as_f64().into_iter().collect(),
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Object(object) => object.values().flat_map(numbers).collect(),
        _ => Vec::new(),
    }
}

/// Every string of a value, without keys.
pub(super) fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(strings).collect(),
        Value::Object(object) => object.values().flat_map(strings).collect(),
        _ => Vec::new(),
    }
}
