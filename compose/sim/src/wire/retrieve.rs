//! The Bedrock Agent Runtime: `Retrieve` over the runbooks of the scenario, and `Rerank`.

mod filter;
mod score;

#[cfg(test)]
mod tests;

use std::{fs, io, path::Path};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{WireBody, WireError};
use crate::world::State;
use score::Corpus;

/// Results where the request names no number, and the most there can be.
const USUAL_RESULTS: usize = 5;
const MOST_RESULTS: usize = 100;
/// A chunk longer than this is cut at the next paragraph.
const CHUNK_BYTES: usize = 1200;

/// What this API keeps between calls.
#[derive(Debug, Default)]
pub(crate) struct RetrieveApi {
    chunks: Vec<Chunk>,
}

/// A part of a document that is found as one.
#[derive(Debug, Clone, PartialEq)]
struct Chunk {
    uri: String,
    text: String,
    metadata: Map<String, Value>,
}

impl RetrieveApi {
    /// The Markdown files of a directory, as a knowledge base would have ingested them.
    pub(crate) fn load(dir: &Path) -> io::Result<Self> {
        let mut api = Self::default();
        let mut files: Vec<_> = fs::read_dir(dir)?.collect::<Result<Vec<_>, _>>()?;
        files.sort_by_key(fs::DirEntry::file_name);
        for file in files {
            let name = file.file_name().to_string_lossy().into_owned();
            if Path::new(&name).extension().is_some_and(|extension| extension.eq_ignore_ascii_case("md")) {
                api.add(&name, &fs::read_to_string(file.path())?);
            }
        }
        Ok(api)
    }

    /// Takes a document in: its front matter becomes metadata, its text is cut at headings.
    pub(crate) fn add(&mut self, name: &str, document: &str) {
        let (front, text) = document
            .strip_prefix("+++")
            .and_then(|rest| rest.split_once("\n+++"))
            .map_or(("", document), |(front, text)| (front, text));
        let uri = format!("s3://runbooks/{name}");
        let mut metadata: Map<String, Value> = toml::from_str::<toml::Table>(front)
            .ok()
            .and_then(|table| serde_json::to_value(table).ok())
            .and_then(|value| value.as_object().cloned())
            .unwrap_or_default();
        // Attributes of a knowledge base are flat.
        metadata.retain(|_, value| !value.is_object());
        metadata.insert("x-amz-bedrock-kb-source-uri".to_owned(), Value::String(uri.clone()));
        let chunks = chunks(text);
        self.chunks.extend(chunks.into_iter().map(|text| Chunk {
            uri: uri.clone(),
            text,
            metadata: metadata.clone(),
        }));
    }
}

/// Cuts at headings, and inside long sections at paragraphs.
fn chunks(text: &str) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    let mut current = String::new();
    for line in text.lines() {
        let full = current.len() > CHUNK_BYTES && line.trim().is_empty();
        if (line.starts_with('#') || full) && !current.trim().is_empty() {
            chunks.push(std::mem::take(&mut current).trim().to_owned());
        }
        current.push_str(line);
        current.push('\n');
    }
    if !current.trim().is_empty() {
        chunks.push(current.trim().to_owned());
    }
    chunks
}

/// Answers one call.
pub(crate) fn handle(
    state: &mut State,
    op: &str,
    resource: &str,
    input: &Value,
) -> Result<WireBody, WireError> {
    match op {
        "Retrieve" => retrieve(&state.retrieve_api, resource, &read(input)?).map(WireBody::Json),
        "Rerank" => rerank(&read(input)?).map(WireBody::Json),
        _ => Err(WireError::unknown_operation(op)),
    }
}

fn read<'de, T: Deserialize<'de>>(input: &'de Value) -> Result<T, WireError> {
    T::deserialize(input).map_err(|error| WireError::invalid(error.to_string()))
}

#[derive(Debug, Deserialize)]
struct Text {
    text: String,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Retrieve {
    retrieval_query: Text,
    #[serde(default)]
    retrieval_configuration: RetrievalConfiguration,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RetrievalConfiguration {
    #[serde(default)]
    vector_search_configuration: VectorSearch,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct VectorSearch {
    number_of_results: Option<usize>,
    filter: Option<Value>,
}

fn retrieve(api: &RetrieveApi, knowledge_base: &str, input: &Retrieve) -> Result<Value, WireError> {
    if knowledge_base.len() > 10 || !knowledge_base.chars().all(|ch| ch.is_ascii_alphanumeric()) {
        return Err(WireError::invalid("knowledgeBaseId must match [0-9a-zA-Z]{1,10}"));
    }
    let query = input.retrieval_query.text.trim();
    if query.is_empty() || query.chars().count() > 20_000 {
        return Err(WireError::invalid("retrievalQuery.text must have 1 to 20000 characters"));
    }
    let search = &input.retrieval_configuration.vector_search_configuration;
    let most = results(search.number_of_results)?;
    let mut chunks = Vec::new();
    for chunk in &api.chunks {
        if search.filter.as_ref().map_or(Ok(true), |filter| filter::holds(filter, &chunk.metadata, 0))? {
            chunks.push(chunk);
        }
    }
    let corpus = Corpus::new(chunks.iter().map(|chunk| chunk.text.as_str()));
    let found: Vec<Value> = corpus
        .ranked(query)
        .into_iter()
        .filter_map(|(at, score)| Some((chunks.get(at)?, score)))
        .take(most)
        .map(|(chunk, score)| {
            json!({
                "content": { "type": "TEXT", "text": chunk.text },
                "location": { "type": "S3", "s3Location": { "uri": chunk.uri } },
                "metadata": chunk.metadata,
                "score": score,
            })
        })
        .collect();
    Ok(json!({ "retrievalResults": found }))
}

fn results(asked: Option<usize>) -> Result<usize, WireError> {
    match asked {
        None => Ok(USUAL_RESULTS),
        Some(asked) if (1..=MOST_RESULTS).contains(&asked) => Ok(asked),
        Some(_) => Err(WireError::invalid(format!("numberOfResults must be between 1 and {MOST_RESULTS}"))),
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rerank {
    queries: Vec<Value>,
    sources: Vec<Value>,
    reranking_configuration: Value,
}

/// Scores sources against one query, best first.
fn rerank(input: &Rerank) -> Result<Value, WireError> {
    let [query] = input.queries.as_slice() else {
        return Err(WireError::invalid("queries must have exactly one member"));
    };
    let query = query.pointer("/textQuery/text").and_then(Value::as_str).unwrap_or_default();
    if query.is_empty() || !(1..=1000).contains(&input.sources.len()) {
        return Err(WireError::invalid("one text query and 1 to 1000 sources are required"));
    }
    let texts: Vec<String> = input
        .sources
        .iter()
        .map(|source| {
            let document = source.get("inlineDocumentSource");
            let text =
                document.and_then(|document| document.pointer("/textDocument/text")).and_then(Value::as_str);
            let json = document.and_then(|document| document.get("jsonDocument")).map(Value::to_string);
            text.map(str::to_owned).or(json).unwrap_or_default()
        })
        .collect();
    let model = input
        .reranking_configuration
        .pointer("/bedrockRerankingConfiguration/modelConfiguration/modelArn")
        .and_then(Value::as_str)
        .unwrap_or_default();
    if !(model.starts_with("arn:aws") && model.contains(":bedrock:") && model.contains("::foundation-model/"))
    {
        return Err(WireError::invalid("modelArn must be the ARN of a foundation model"));
    }
    let asked = input
        .reranking_configuration
        .pointer("/bedrockRerankingConfiguration/numberOfResults")
        .and_then(Value::as_u64)
        .and_then(|asked| usize::try_from(asked).ok());
    let most = asked.unwrap_or(texts.len()).max(1);
    let ranked = Corpus::new(texts.iter().map(String::as_str)).all(query);
    let ranked: Vec<Value> = ranked
        .into_iter()
        .take(most)
        .map(|(index, score)| json!({ "index": index, "relevanceScore": score }))
        .collect();
    Ok(json!({ "results": ranked }))
}
