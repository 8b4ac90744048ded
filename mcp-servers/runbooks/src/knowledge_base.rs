//! Retrieval from a Bedrock knowledge base, put into order by a reranking model where there is one, with
//! answers in the shape of the local ones.

use aws_sdk_bedrockagentruntime::{
    Client,
    types::{
        KnowledgeBaseQuery, KnowledgeBaseRetrievalConfiguration, KnowledgeBaseRetrievalResult,
        KnowledgeBaseVectorSearchConfiguration, RetrievalResultContent,
    },
};
use aws_smithy_types::Document;
use midwatch_mcp::{Aws, AwsResult, Spent, ToolError};

use crate::{
    chunk::{Chunk, chunks},
    index::Match,
    rerank::{model_arn, rerank},
    shelf::Shelf,
};

/// A question to a knowledge base may have this many characters.
const LONGEST_QUERY: usize = 1000;
/// Where Bedrock puts the address of a document.
const SOURCE: &str = "x-amz-bedrock-kb-source-uri";

/// A knowledge base, and what orders what it finds.
#[derive(Debug, Clone)]
pub(crate) struct KnowledgeBase {
    pub(crate) id: String,
    /// Id or ARN of a reranking model.
    pub(crate) rerank_model: Option<String>,
}

/// What came of a question.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) matches: Vec<Match>,
    /// What was asked, also where it failed: that may have been counted.
    pub(crate) spent: Spent,
    pub(crate) note: Option<String>,
}

impl KnowledgeBase {
    /// Asks the knowledge base, and the model where `may` leaves something for it. The best piece of each document
    /// is kept. A model that fails leaves the order of the knowledge base.
    pub(crate) async fn ask(
        &self,
        aws: &Aws,
        query: &str,
        shelf: &Shelf,
        limit: usize,
        may: Option<Spent>,
    ) -> Result<Found, ToolError> {
        let base = aws.base().await?;
        let client = Client::new(&base);
        let query = query.chars().take(LONGEST_QUERY).collect::<String>();
        let mut matches = retrieve(&client, &self.id, &query, shelf, limit).await?;
        let mut spent = Spent { retrieval_queries: 1, ..Spent::default() };
        let mut note = None;
        if let (Some(model), true) = (&self.rerank_model, matches.len() > 1) {
            if may.is_none_or(|may| may.rerank_queries > 0) {
                spent.rerank_queries = 1;
                let region = base.region().map_or("us-east-1", AsRef::as_ref);
                matches = match rerank(&client, &model_arn(model, region), &query, matches).await {
                    Ok(ordered) => ordered,
                    Err((as_found, error)) => {
                        note = Some(format!(
                            "the reranking model did not answer ({error}): in the knowledge base's order"
                        ));
                        as_found
                    }
                };
            } else {
                note = Some(
                    "nothing is left to ask the reranking model with: in the knowledge base's order"
                        .to_owned(),
                );
            }
        }
        // Best first, so a document's first piece is its best.
        let mut best: Vec<Match> = Vec::new();
        for found in matches {
            if !best.iter().any(|known| known.runbook_id == found.runbook_id) {
                best.push(found);
            }
        }
        best.truncate(limit);
        Ok(Found { matches: best, spent, note })
    }
}

async fn retrieve(
    client: &Client,
    id: &str,
    query: &str,
    shelf: &Shelf,
    limit: usize,
) -> Result<Vec<Match>, ToolError> {
    let wanted = i32::try_from(limit.saturating_mul(4)).unwrap_or(20).clamp(1, 40);
    let found = client
        .retrieve()
        .knowledge_base_id(id)
        .retrieval_query(KnowledgeBaseQuery::builder().text(query).build())
        .retrieval_configuration(
            KnowledgeBaseRetrievalConfiguration::builder()
                .vector_search_configuration(
                    KnowledgeBaseVectorSearchConfiguration::builder().number_of_results(wanted).build(),
                )
                .build(),
        )
        .send()
        .await
        .aws("bedrock:Retrieve")?;
    Ok(found.retrieval_results().iter().filter_map(|result| convert(result, shelf)).collect())
}

fn convert(result: &KnowledgeBaseRetrievalResult, shelf: &Shelf) -> Option<Match> {
    let text = result.content().map(RetrievalResultContent::text).filter(|text| !text.trim().is_empty())?;
    let source = source(result);
    let runbook_id = source.as_deref().map_or_else(
        || midwatch_mcp::reference("passage", &[text]),
        |source| local_id(source, shelf).unwrap_or_else(|| stem(source).to_owned()),
    );
    let headings =
        chunks(text).into_iter().find(|c| !c.headings.is_empty()).map(|c| c.headings).unwrap_or_default();
    let score = result.score().filter(|score| score.is_finite()).unwrap_or(0.0).clamp(0.0, 1.0);
    Some(Match {
        runbook_id,
        chunk: Chunk { headings, text: text.to_owned() },
        score: (score * 1000.0).round() / 1000.0,
    })
}

/// The address of the document: its location, or what the metadata says.
fn source(result: &KnowledgeBaseRetrievalResult) -> Option<String> {
    let location = result.location();
    let s3 = location.and_then(|l| l.s3_location()).and_then(|l| l.uri());
    let web = location.and_then(|l| l.web_location()).and_then(|l| l.url());
    let confluence = location.and_then(|l| l.confluence_location()).and_then(|l| l.url());
    let metadata = result.metadata().and_then(|map| map.get(SOURCE)).and_then(Document::as_string);
    s3.or(web).or(confluence).or(metadata).map(str::to_owned)
}

/// The local runbook that a document is a copy of: the one of the same file name.
fn local_id(source: &str, shelf: &Shelf) -> Option<String> {
    let file = |path: &str| stem(path).to_ascii_lowercase();
    let wanted = file(source);
    shelf.runbooks.values().find(|r| file(&r.path) == wanted || r.id == wanted).map(|r| r.id.clone())
}

/// The file name without its extension.
fn stem(path: &str) -> &str {
    let path = path.split(['?', '#']).next().unwrap_or(path).trim_end_matches('/');
    let file = path.rsplit('/').next().unwrap_or(path);
    file.rsplit_once('.').map_or(file, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use aws_sdk_bedrockagentruntime::types::{
        RetrievalResultLocation, RetrievalResultLocationType, RetrievalResultS3Location,
    };

    use super::*;

    fn result(uri: &str, score: f64) -> KnowledgeBaseRetrievalResult {
        let location = RetrievalResultLocation::builder()
            .r#type(RetrievalResultLocationType::S3)
            .s3_location(RetrievalResultS3Location::builder().uri(uri).build())
            .build()
            .unwrap();
        KnowledgeBaseRetrievalResult::builder()
            .content(RetrievalResultContent::builder().text("## Steps\nRoll back.").build())
            .location(location)
            .score(score)
            .build()
    }

    #[test]
    fn a_passage_is_tied_to_the_local_runbook_of_the_same_file() {
        let mut shelf = Shelf::default();
        shelf.add("db/pool.md", "+++\nid='connection-pool'\ntitle='Pool'\n+++\n# Pool\n");
        let found = convert(&result("s3://kb/runbooks/Pool.md", 0.61), &shelf).unwrap();
        assert_eq!(found.runbook_id, "connection-pool");
        assert_eq!(found.chunk.headings, ["Steps"]);
        let other = convert(&result("s3://kb/x/other.pdf", 7.0), &shelf).unwrap();
        assert_eq!((other.runbook_id.as_str(), other.score), ("other", 1.0));
    }
}
