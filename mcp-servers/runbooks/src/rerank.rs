//! Passages put into order by a reranking model of Bedrock, which reads each beside the question.

use aws_sdk_bedrockagentruntime::{
    Client,
    error::BuildError,
    types::{
        BedrockRerankingConfiguration, BedrockRerankingModelConfiguration, RerankDocument,
        RerankDocumentType, RerankQuery, RerankQueryContentType, RerankSource, RerankSourceType,
        RerankTextDocument, RerankingConfiguration, RerankingConfigurationType,
    },
};
use midwatch_mcp::{AwsResult, ToolError, clip};

use crate::index::Match;

/// Bytes of a passage that are read: at about 500 tokens a longer one is counted as several, and a hundred
/// of them are one query.
const PASSAGE: usize = 1500;

/// The name of a model in this region: an ARN as it is, an id of a foundation model as one.
pub(crate) fn model_arn(model: &str, region: &str) -> String {
    if model.starts_with("arn:") {
        return model.to_owned();
    }
    let partition = match region {
        china if china.starts_with("cn-") => "aws-cn",
        gov if gov.starts_with("us-gov-") => "aws-us-gov",
        _ => "aws",
    };
    format!("arn:{partition}:bedrock:{region}::foundation-model/{model}")
}

/// The passages in the order of the model, best first, with its scores (0 to 1). Those of which it says nothing
/// come last, as they were.
pub(crate) async fn rerank(
    client: &Client,
    model_arn: &str,
    query: &str,
    passages: Vec<Match>,
) -> Result<Vec<Match>, (Vec<Match>, ToolError)> {
    let configured = configuration(model_arn).and_then(|configuration| Ok((configuration, asked(query)?)));
    let sources = passages.iter().map(source).collect::<Result<Vec<_>, _>>();
    let (Ok((configuration, asked)), Ok(sources)) = (configured, sources) else {
        return Err((passages, ToolError::internal("the question to the reranking model cannot be written")));
    };
    let sent = client
        .rerank()
        .queries(asked)
        .set_sources(Some(sources))
        .reranking_configuration(configuration)
        .send()
        .await
        .aws("bedrock:Rerank");
    match sent {
        Ok(answer) => {
            let said = answer.results().iter().map(|result| (result.index(), result.relevance_score()));
            Ok(ordered(passages, said))
        }
        Err(error) => Err((passages, error)),
    }
}

fn ordered(passages: Vec<Match>, said: impl Iterator<Item = (i32, f32)>) -> Vec<Match> {
    let mut passages: Vec<Option<Match>> = passages.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(passages.len());
    for (index, score) in said {
        let passage = usize::try_from(index).ok().and_then(|index| passages.get_mut(index)?.take());
        let score = if score.is_finite() { f64::from(score).clamp(0.0, 1.0) } else { 0.0 };
        ordered.extend(passage.map(|passage| Match { score: (score * 1000.0).round() / 1000.0, ..passage }));
    }
    ordered.extend(passages.into_iter().flatten().map(|passage| Match { score: 0.0, ..passage }));
    ordered
}

fn configuration(model_arn: &str) -> Result<RerankingConfiguration, BuildError> {
    let model = BedrockRerankingModelConfiguration::builder().model_arn(model_arn).build()?;
    RerankingConfiguration::builder()
        .r#type(RerankingConfigurationType::BedrockRerankingModel)
        .bedrock_reranking_configuration(
            BedrockRerankingConfiguration::builder().model_configuration(model).build(),
        )
        .build()
}

fn asked(query: &str) -> Result<RerankQuery, BuildError> {
    RerankQuery::builder()
        .r#type(RerankQueryContentType::Text)
        .text_query(RerankTextDocument::builder().text(query).build())
        .build()
}

fn source(passage: &Match) -> Result<RerankSource, BuildError> {
    let text = RerankTextDocument::builder().text(clip(&passage.chunk.text, PASSAGE)).build();
    let document = RerankDocument::builder().r#type(RerankDocumentType::Text).text_document(text).build()?;
    RerankSource::builder().r#type(RerankSourceType::Inline).inline_document_source(document).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chunk::Chunk;

    fn passage(id: &str) -> Match {
        Match {
            runbook_id: id.to_owned(),
            chunk: Chunk { headings: Vec::new(), text: id.to_owned() },
            score: 0.5,
        }
    }

    #[test]
    fn a_model_is_an_id_or_an_arn() {
        let of = |region| model_arn("amazon.rerank-v1:0", region);
        assert_eq!(of("eu-central-1"), "arn:aws:bedrock:eu-central-1::foundation-model/amazon.rerank-v1:0");
        assert!(of("us-gov-west-1").starts_with("arn:aws-us-gov:bedrock:us-gov-west-1:"));
        assert_eq!(model_arn("arn:aws:x", "eu-west-1"), "arn:aws:x");
    }

    #[test]
    fn nothing_is_lost_and_nothing_stands_twice_whatever_the_model_says() {
        let passages = || vec![passage("a"), passage("b"), passage("c")];
        let said = [(2, 0.93), (2, 0.9), (-1, 1.0), (7, 1.0), (0, f32::NAN)];
        let ordered = ordered(passages(), said.into_iter());
        let seen: Vec<(&str, f64)> = ordered.iter().map(|one| (one.runbook_id.as_str(), one.score)).collect();
        assert_eq!(seen, [("c", 0.93), ("a", 0.0), ("b", 0.0)]);
    }
}
