//! BM25 over a handful of texts, as scores from 0 to 1.

use std::collections::{HashMap, HashSet};

const K1: f64 = 1.2;
const B: f64 = 0.75;
/// The score at which the answer is halfway sure.
const HALF: f64 = 6.0;

/// Texts that can be searched.
pub(super) struct Corpus {
    texts: Vec<HashMap<String, f64>>,
    lengths: Vec<f64>,
    holding: HashMap<String, f64>,
    average: f64,
}

impl Corpus {
    pub(super) fn new<'t>(texts: impl Iterator<Item = &'t str>) -> Self {
        let mut corpus =
            Self { texts: Vec::new(), lengths: Vec::new(), holding: HashMap::new(), average: 1.0 };
        for text in texts {
            let mut counts: HashMap<String, f64> = HashMap::new();
            for word in words(text) {
                *counts.entry(word).or_default() += 1.0;
            }
            for word in counts.keys() {
                *corpus.holding.entry(word.clone()).or_default() += 1.0;
            }
            corpus.lengths.push(counts.values().sum());
            corpus.texts.push(counts);
        }
        let total: f64 = corpus.lengths.iter().sum();
        corpus.average = (total / corpus.lengths.len().max(1) as f64).max(1.0);
        corpus
    }

    /// Indexes and scores of all texts, best first.
    pub(super) fn all(&self, query: &str) -> Vec<(usize, f64)> {
        let asked: HashSet<String> = words(query).collect();
        let mut scores: Vec<(usize, f64)> = self
            .texts
            .iter()
            .zip(&self.lengths)
            .map(|(text, length)| {
                let raw: f64 = asked.iter().map(|word| self.weight(word, text, *length)).sum();
                raw / (raw + HALF)
            })
            .enumerate()
            .collect();
        scores.sort_by(|(_, one), (_, two)| two.total_cmp(one));
        scores
    }

    /// The texts that share a word with the query.
    pub(super) fn ranked(&self, query: &str) -> Vec<(usize, f64)> {
        self.all(query).into_iter().filter(|(_, score)| *score > 0.0).collect()
    }

    fn weight(&self, word: &str, text: &HashMap<String, f64>, length: f64) -> f64 {
        let Some(count) = text.get(word) else { return 0.0 };
        let holding = self.holding.get(word).copied().unwrap_or_default();
        let total = self.texts.len() as f64;
        let rarity = (1.0 + (total - holding + 0.5) / (holding + 0.5)).ln();
        rarity * count * (K1 + 1.0) / (count + K1 * (1.0 - B + B * length / self.average))
    }
}

/// Words in lower case; a compound such as `ConnectionTimeoutException` also by its parts.
fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|ch: char| !ch.is_alphanumeric()).filter(|word| !word.is_empty()).flat_map(|word| {
        let mut parts = vec![word.to_lowercase()];
        let mut part = String::new();
        for ch in word.chars() {
            if ch.is_uppercase() && part.chars().any(char::is_lowercase) {
                parts.push(std::mem::take(&mut part).to_lowercase());
            }
            part.push(ch);
        }
        if parts.len() > 1 {
            parts.push(part.to_lowercase());
        }
        parts
    })
}
