//! BM25 over the pieces of all runbooks, in memory.
//!
//! A query is never parsed: it is cut into words with the index's own analyser and each word
//! becomes a term, so no text whatever is a syntax error or an operator. Scores are multiplied by
//! what the contract says (service, signature) and pressed into 0 to 1.

use std::collections::BTreeMap;

use midwatch_policy::{RunbookContract, ServiceName};
use tantivy::{
    Index as Tantivy, IndexReader, TantivyDocument, TantivyError, Term,
    collector::TopDocs,
    query::{BooleanQuery, BoostQuery, Occur, Query, TermQuery},
    schema::{FAST, Field, IndexRecordOption, STORED, Schema, TextFieldIndexing, TextOptions, Value},
    tokenizer::{
        Language, LowerCaser, RemoveLongFilter, SimpleTokenizer, Stemmer, StopWordFilter, TextAnalyzer,
    },
};

use crate::{
    chunk::{Chunk, chunks},
    shelf::Shelf,
};

/// Name of the analyser within the index.
const ANALYSER: &str = "prose";
/// Words of a query that are looked for; log lines can be long.
const MOST_WORDS: usize = 64;
/// Pieces that are considered before they are grouped by runbook.
const POOL: usize = 200;
/// The BM25 score that counts as one half.
const HALF: f32 = 8.0;

/// A piece of a runbook that answers a query.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The runbook.
    pub runbook_id: String,
    /// Its piece.
    pub chunk: Chunk,
    /// From 0 to 1.
    pub score: f64,
}

/// The index and the pieces it stands for.
pub struct Index {
    reader: IndexReader,
    analyser: TextAnalyzer,
    fields: Fields,
    pieces: Vec<(String, Chunk)>,
    contracts: BTreeMap<String, RunbookContract>,
}

impl std::fmt::Debug for Index {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Index").field("pieces", &self.pieces.len()).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy)]
struct Fields {
    piece: Field,
    title: Field,
    headings: Field,
    signatures: Field,
    text: Field,
}

impl Index {
    /// Indexes every piece of every runbook.
    pub fn build(shelf: &Shelf) -> Result<Self, TantivyError> {
        let analyser = TextAnalyzer::builder(SimpleTokenizer::default())
            .filter(RemoveLongFilter::limit(64))
            .filter(LowerCaser)
            .filter_dynamic(
                StopWordFilter::new(Language::English).unwrap_or_else(|| StopWordFilter::remove([])),
            )
            .filter(Stemmer::new(Language::English))
            .build();
        let (schema, fields) = schema();
        let index = Tantivy::create_in_ram(schema);
        index.tokenizers().register(ANALYSER, analyser.clone());
        let mut writer = index.writer_with_num_threads(1, 15_000_000)?;
        let mut pieces = Vec::new();
        for runbook in shelf.runbooks.values() {
            let signatures = runbook.contract.as_ref().map(|c| c.signatures.join("\n")).unwrap_or_default();
            for chunk in chunks(&runbook.text) {
                let mut document = TantivyDocument::default();
                document.add_u64(fields.piece, pieces.len() as u64);
                document.add_text(fields.title, spread(&runbook.title));
                document.add_text(fields.headings, spread(&chunk.headings.join("\n")));
                document.add_text(fields.signatures, spread(&signatures));
                document.add_text(fields.text, spread(&chunk.text));
                writer.add_document(document)?;
                pieces.push((runbook.id.clone(), chunk));
            }
        }
        writer.commit()?;
        let contracts =
            shelf.runbooks.values().filter_map(|r| Some((r.id.clone(), r.contract.clone()?))).collect();
        Ok(Self { reader: index.reader()?, analyser, fields, pieces, contracts })
    }

    /// The best piece of each of the best runbooks.
    pub fn search(
        &self,
        query: &str,
        service: Option<&ServiceName>,
        limit: usize,
    ) -> Result<Vec<Match>, TantivyError> {
        let words = self.words(query);
        if words.is_empty() {
            return Ok(Vec::new());
        }
        let searcher = self.reader.searcher();
        let mut best: BTreeMap<&str, (f32, &Chunk)> = BTreeMap::new();
        for (score, address) in
            searcher.search(&self.query(&words), &TopDocs::with_limit(POOL).order_by_score())?
        {
            let document: TantivyDocument = searcher.doc(address)?;
            let piece = document.get_first(self.fields.piece).and_then(|value| value.as_u64());
            let Some((id, chunk)) = piece.and_then(|at| self.pieces.get(usize::try_from(at).ok()?)) else {
                continue;
            };
            // A heading without text finds its runbook, but a piece with text reads better.
            let score = if chunk.text.is_empty() { score * 0.8 } else { score };
            let entry = best.entry(id).or_insert((score, chunk));
            if score > entry.0 {
                *entry = (score, chunk);
            }
        }
        let mut matches: Vec<Match> = best
            .into_iter()
            .map(|(id, (score, chunk))| {
                let score = score * self.contracts.get(id).map_or(1.0, |c| fit(c, query, service));
                let score = (f64::from(score / (score + HALF)) * 1000.0).round() / 1000.0;
                Match { runbook_id: id.to_owned(), chunk: chunk.clone(), score }
            })
            .collect();
        matches.sort_by(|a, b| b.score.total_cmp(&a.score).then_with(|| a.runbook_id.cmp(&b.runbook_id)));
        matches.truncate(limit);
        Ok(matches)
    }

    /// The distinct words of a query, as they stand in the index.
    fn words(&self, query: &str) -> Vec<String> {
        let (mut analyser, mut words) = (self.analyser.clone(), Vec::new());
        let spread = spread(query);
        let mut stream = analyser.token_stream(&spread);
        while let Some(token) = stream.next() {
            if !words.contains(&token.text) {
                words.push(token.text.clone());
            }
            if words.len() == MOST_WORDS {
                break;
            }
        }
        words
    }

    fn query(&self, words: &[String]) -> BooleanQuery {
        let f = self.fields;
        let weights = [(f.text, 1.0), (f.headings, 1.5), (f.title, 2.0), (f.signatures, 2.5)];
        let terms = words.iter().flat_map(|word| {
            weights.into_iter().map(move |(field, weight)| {
                let term = TermQuery::new(Term::from_field_text(field, word), IndexRecordOption::WithFreqs);
                (Occur::Should, Box::new(BoostQuery::new(Box::new(term), weight)) as Box<dyn Query>)
            })
        });
        BooleanQuery::new(terms.collect())
    }
}

fn schema() -> (Schema, Fields) {
    let mut builder = Schema::builder();
    let indexing =
        TextFieldIndexing::default().set_tokenizer(ANALYSER).set_index_option(IndexRecordOption::WithFreqs);
    let text = TextOptions::default().set_indexing_options(indexing);
    let fields = Fields {
        piece: builder.add_u64_field("piece", FAST | STORED),
        title: builder.add_text_field("title", text.clone()),
        headings: builder.add_text_field("headings", text.clone()),
        signatures: builder.add_text_field("signatures", text.clone()),
        text: builder.add_text_field("text", text),
    };
    (builder.build(), fields)
}

/// How well a contract fits beyond its words.
fn fit(contract: &RunbookContract, query: &str, service: Option<&ServiceName>) -> f32 {
    let service = match service {
        Some(service) if contract.services.contains(service) => 1.6,
        Some(_) if !contract.services.is_empty() => 0.5,
        _ => 1.0,
    };
    let query = folded(query);
    let said = |signature: &String| {
        let signature = folded(signature);
        !signature.is_empty() && query.contains(&signature)
    };
    service * if contract.signatures.iter().any(said) { 2.0 } else { 1.0 }
}

/// Lower case, with runs of anything but letters and digits as one space: a signature is found in
/// an error template whatever punctuation and line breaks stand between its words.
fn folded(text: &str) -> String {
    let words: Vec<String> =
        text.split(|c: char| !c.is_alphanumeric()).filter(|w| !w.is_empty()).map(str::to_lowercase).collect();
    format!(" {} ", words.join(" "))
}

/// `ConnectionTimeoutException` is also looked for as `Connection Timeout Exception`.
fn spread(text: &str) -> String {
    let mut out = text.to_owned();
    for word in text.split(|c: char| !c.is_alphanumeric()) {
        let mut parts = String::new();
        let mut before = None;
        for c in word.chars() {
            if c.is_uppercase() && before.is_some_and(|b: char| b.is_lowercase() || b.is_numeric()) {
                parts.push(' ');
            }
            parts.push(c);
            before = Some(c);
        }
        if parts.len() > word.len() {
            out.push(' ');
            out.push_str(&parts);
        }
    }
    out
}

#[cfg(test)]
mod tests;
