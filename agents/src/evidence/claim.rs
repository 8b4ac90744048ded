//! Fact or guess? A claim is a fact only if all of its citations resolve, everything countable in
//! its sentence stands in what it cites, and it states what is there rather than why.

use std::sync::Arc;

use midwatch_policy::Timestamp;
use serde_json::Value;

use super::{
    book::{Evidence, EvidenceBook},
    quote::{Matched, numbers, same, strings},
    token::{Token, tokens},
};
use crate::{
    finding::{Citation, Claim, ClaimDraft, Standing},
    signals::text::contains_word,
};

/// Words that make a sentence a conclusion or a supposition, by its own account.
const INFERENCE: [&str; 30] = [
    "because",
    "caused",
    "causes",
    "cause",
    "causing",
    "due to",
    "probably",
    "likely",
    "perhaps",
    "maybe",
    "might",
    "may have",
    "could have",
    "seems",
    "appears",
    "suggests",
    "indicates",
    "implies",
    "presumably",
    "suspect",
    "suspected",
    "therefore",
    "hence",
    "should",
    "would",
    "led to",
    "leads to",
    "result of",
    "responsible for",
    "root cause",
];

impl EvidenceBook {
    /// Checks a claim. `by` is who made it.
    pub fn check(&self, draft: &ClaimDraft, by: &str) -> Claim {
        let mut resolved = Vec::new();
        let mut citations: Vec<Citation> = Vec::new();
        let mut problems: Vec<String> = Vec::new();
        for citation in &draft.citations {
            match self.resolve(citation) {
                Ok(found) => {
                    resolved.push(found);
                    citations.push(citation.clone());
                }
                Err(why) => problems.push(why.to_string()),
            }
        }
        let mut ids = Vec::new();
        for found in &resolved {
            if !ids.contains(&found.evidence) {
                ids.push(found.evidence.clone());
            }
        }
        let cited: Vec<Arc<Evidence>> = ids.iter().filter_map(|id| self.get(id.as_str())).collect();
        if draft.text.trim().is_empty() {
            problems.push("it says nothing".to_owned());
        } else if draft.citations.is_empty() {
            problems.push("it cites nothing".to_owned());
        } else if problems.is_empty() {
            let matched: Vec<Matched> = resolved.into_iter().map(|found| found.matched).collect();
            let ratios = ratios(&citations, &matched);
            let values: Vec<Value> = cited.iter().map(|piece| piece.value()).collect();
            let ground = Ground::new(&cited, &values, &matched, ratios);
            problems.extend(
                tokens(&draft.text)
                    .into_iter()
                    .filter(|token| !ground.bears(token))
                    .map(|token| format!("{} is not in what it cites", shown(&token))),
            );
            let lower = ground.own_words(&draft.text).to_lowercase();
            if let Some(word) = INFERENCE.iter().find(|word| contains_word(&lower, word)) {
                problems.push(format!("`{word}`: it draws a conclusion"));
            }
        }
        let standing = match problems.into_iter().next() {
            None => Standing::Fact,
            Some(why) => Standing::Guess { why },
        };
        Claim { text: draft.text.clone(), standing, citations, evidence: ids, by: by.to_owned() }
    }
}

fn shown(token: &Token) -> String {
    match token {
        Token::Number(number, _) => format!("`{number}`"),
        Token::Percent(number, _) => format!("`{number} %`"),
        Token::TimeOfDay(hour, minute, None) => format!("`{hour:02}:{minute:02}`"),
        Token::TimeOfDay(hour, minute, Some(second)) => format!("`{hour:02}:{minute:02}:{second:02}`"),
        Token::Time(time) => format!("`{time}`"),
        Token::Name(name) => format!("`{name}`"),
    }
}

/// Everything that a claim's citations put under it.
struct Ground<'e> {
    ids: Vec<String>,
    texts: Vec<&'e str>,
    numbers: Vec<f64>,
    /// Quoted ratios, which may be said in per cent.
    ratios: Vec<f64>,
    times: Vec<Timestamp>,
}

impl<'e> Ground<'e> {
    /// `values` are those of what is cited.
    fn new(cited: &'e [Arc<Evidence>], values: &'e [Value], matched: &[Matched], ratios: Vec<f64>) -> Self {
        let arguments = cited.iter().flat_map(|piece| piece.origin.args.values());
        let texts: Vec<&str> = values.iter().chain(arguments).flat_map(strings).collect();
        let mut numbers: Vec<f64> = values.iter().flat_map(numbers).collect();
        numbers.extend(values.iter().flat_map(lengths));
        // How many things are cited may be said, too.
        numbers.push(cited.len() as f64);
        numbers.extend(computed(matched));
        let mut times: Vec<Timestamp> = texts.iter().filter_map(|text| text.parse().ok()).collect();
        times.extend(matched.iter().filter_map(|m| match m {
            Matched::Time(time) => Some(*time),
            _ => None,
        }));
        Self { ids: cited.iter().map(|e| e.id.to_string()).collect(), texts, numbers, ratios, times }
    }

    fn bears(&self, token: &Token) -> bool {
        match token {
            Token::Number(number, decimals) => {
                self.numbers.iter().any(|n| rounds_to(*n, *number, *decimals) || same(-*n, *number))
                    || self.says(&number.to_string())
            }
            Token::Percent(number, decimals) => {
                self.bears(&Token::Number(*number, *decimals))
                    || self.ratios.iter().any(|ratio| {
                        let percent = ratio * 100.0;
                        rounds_to(percent, *number, *decimals)
                            || (*decimals == 0 && *number != 0.0 && same(percent.round(), *number))
                    })
            }
            Token::TimeOfDay(hour, minute, second) => {
                let text = match second {
                    Some(second) => format!("{hour:02}:{minute:02}:{second:02}"),
                    None => format!("{hour:02}:{minute:02}"),
                };
                self.times.iter().any(|time| {
                    let clock = time.strftime("%H:%M:%S").to_string();
                    clock == text || (second.is_none() && clock.starts_with(&text))
                }) || self.says(&text)
            }
            Token::Time(time) => self.times.contains(time),
            Token::Name(name) => self.ids.contains(name) || self.says(name),
        }
    }

    /// The sentence without what it quotes in backticks: that a log line says `because` is no
    /// conclusion of whoever quotes the line. Only what stands in the evidence as it is, and is
    /// long enough to be a quotation and no word of the sentence, is one.
    fn own_words(&self, text: &str) -> String {
        const QUOTATION: usize = 24;
        text.split('`')
            .enumerate()
            .filter(|(n, part)| {
                let quoted = n % 2 == 1;
                let long = part.chars().count() >= QUOTATION;
                !(quoted && long && self.texts.iter().any(|text| text.contains(part)))
            })
            .map(|(_, part)| part)
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// Whether a cited text says it, not as a part of a longer word or number.
    fn says(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        self.texts.iter().any(|text| contains_word(&text.to_lowercase(), &name))
    }
}

/// Numbers that are quoted by the name of a ratio.
fn ratios(citations: &[Citation], matched: &[Matched]) -> Vec<f64> {
    citations
        .iter()
        .zip(matched)
        .filter_map(|(citation, matched)| match matched {
            Matched::Number(number) => {
                let (name, _) = citation.quote.split_once(['=', ':'])?;
                let name = name.trim().trim_matches(['`', '"']);
                (name == "ratio" || name.ends_with("_ratio")).then_some(*number)
            }
            _ => None,
        })
        .collect()
}

/// `1.93` may be said of 1.9287, and 2 of neither.
fn rounds_to(exact: f64, said: f64, decimals: u32) -> bool {
    if same(exact, said) {
        return true;
    }
    let scale = 10_f64.powi(i32::try_from(decimals.min(9)).unwrap_or(0));
    decimals > 0 && same((exact * scale).round(), (said * scale).round())
}

fn lengths(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => {
            let mut all = vec![items.len() as f64];
            all.extend(items.iter().flat_map(lengths));
            all
        }
        Value::Object(object) => object.values().flat_map(lengths).collect(),
        _ => Vec::new(),
    }
}

/// What can be computed from the *quoted* values alone, so that a claim has to quote what it
/// computes with: sum, differences, ratios and percentages of numbers; seconds and minutes between
/// times.
fn computed(matched: &[Matched]) -> Vec<f64> {
    let quoted: Vec<f64> = matched
        .iter()
        .filter_map(|m| match m {
            Matched::Number(number) => Some(*number),
            Matched::Text(text) => super::quote::parse_number(text),
            _ => None,
        })
        .collect();
    let times: Vec<Timestamp> = matched
        .iter()
        .filter_map(|m| match m {
            Matched::Time(time) => Some(*time),
            _ => None,
        })
        .collect();
    let mut found = Vec::new();
    if quoted.len() > 1 {
        found.push(quoted.iter().sum());
    }
    for (n, a) in quoted.iter().enumerate() {
        for (m, b) in quoted.iter().enumerate() {
            if n == m {
                continue;
            }
            found.push((a - b).abs());
            if *b != 0.0 {
                found.push(a / b);
                found.push((a / b * 100.0).round());
            }
        }
    }
    for (n, a) in times.iter().enumerate() {
        for b in times.iter().skip(n + 1) {
            let seconds = a.duration_since(*b).as_secs().abs() as f64;
            found.extend([seconds, (seconds / 60.0).floor(), (seconds / 60.0).round()]);
        }
    }
    // A duration in seconds may be said in minutes.
    found.extend(quoted.iter().filter(|n| **n >= 60.0 && same(**n % 60.0, 0.0)).map(|n| n / 60.0));
    found
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
