//! Retrieval and reranking, called by the real client.

use aws_sdk_bedrockagentruntime::{
    Client,
    error::ProvideErrorMetadata,
    types::{
        BedrockRerankingConfiguration, BedrockRerankingModelConfiguration, FilterAttribute,
        KnowledgeBaseQuery, KnowledgeBaseRetrievalConfiguration, KnowledgeBaseRetrievalResult,
        KnowledgeBaseVectorSearchConfiguration, RerankDocument, RerankDocumentType, RerankQuery,
        RerankQueryContentType, RerankResult, RerankSource, RerankSourceType, RerankTextDocument,
        RerankingConfiguration, RerankingConfigurationType, RetrievalFilter,
    },
};
use aws_smithy_types::Document;

use super::RetrieveApi;
use crate::world::{
    State,
    played::{Played, play},
};

const POOL: &str = "+++\nid = \"pool\"\ntitle = \"Connection pool\"\nservices = [\"checkout-api\"]\n+++\n# Connection pool exhausted\n\nConnectionTimeoutException means that connections leak.\n\n## Remedy\n\nRoll back the deployment that lost the close call.\n";
const CARD: &str = "# Card processor\n\nThe processor answers 503 when it is in maintenance. Wait.\n";

async fn world() -> (Played, Client) {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("pool.md"), POOL).unwrap();
    std::fs::write(dir.path().join("card.md"), CARD).unwrap();
    std::fs::write(dir.path().join("notes.txt"), "connection pool").unwrap();
    let mut state = State::new(0, "123456789012", "us-east-1");
    state.retrieve_api = RetrieveApi::load(dir.path()).unwrap();
    let played = play(state).await;
    let client = Client::new(&played.config);
    (played, client)
}

fn asking(text: &str) -> KnowledgeBaseQuery {
    KnowledgeBaseQuery::builder().text(text).build()
}

fn search(number: i32, filter: Option<RetrievalFilter>) -> KnowledgeBaseRetrievalConfiguration {
    let search = KnowledgeBaseVectorSearchConfiguration::builder()
        .number_of_results(number)
        .set_filter(filter)
        .build();
    KnowledgeBaseRetrievalConfiguration::builder().vector_search_configuration(search).build()
}

#[tokio::test]
async fn the_section_that_answers_comes_first() {
    let (_played, client) = world().await;
    let ask = |text: &str| client.retrieve().knowledge_base_id("KB12345678").retrieval_query(asking(text));
    let found = ask("connection timeout, pool exhausted").send().await.unwrap();
    let best = &found.retrieval_results()[0];
    assert!(best.content().unwrap().text().contains("ConnectionTimeoutException"));
    assert_eq!(best.location().unwrap().s3_location().unwrap().uri(), Some("s3://runbooks/pool.md"));
    assert_eq!(best.metadata().unwrap()["id"], Document::from("pool"));
    assert!((0.0..1.0).contains(&best.score().unwrap()));
    let scores: Vec<f64> =
        found.retrieval_results().iter().filter_map(KnowledgeBaseRetrievalResult::score).collect();
    assert!(scores.is_sorted_by(|one, two| one >= two));

    let one = ask("the deployment processor").retrieval_configuration(search(1, None)).send().await.unwrap();
    assert_eq!(one.retrieval_results().len(), 1);
    let attribute =
        |value: &str| FilterAttribute::builder().key("services").value(value.into()).build().unwrap();
    let filter = |value| Some(RetrievalFilter::ListContains(attribute(value)));
    let kept =
        ask("deployment").retrieval_configuration(search(5, filter("checkout-api"))).send().await.unwrap();
    assert_eq!(kept.retrieval_results().len(), 1);
    let none = ask("deployment").retrieval_configuration(search(5, filter("other"))).send().await.unwrap();
    assert!(none.retrieval_results().is_empty());
    assert!(ask("zebra").send().await.unwrap().retrieval_results().is_empty());
}

#[tokio::test]
async fn bad_requests_are_refused() {
    let (_played, client) = world().await;
    let ask =
        |base: &str, text: &str| client.retrieve().knowledge_base_id(base).retrieval_query(asking(text));
    for request in [
        ask("not/a/base", "x"),
        ask("KB12345678", " "),
        ask("KB12345678", "x").retrieval_configuration(search(500, None)),
    ] {
        let error = request.send().await.unwrap_err();
        assert_eq!(error.code(), Some("ValidationException"), "{error:?}");
    }
}

#[tokio::test]
async fn sources_are_reranked() {
    let (_played, client) = world().await;
    let source = |text: &str| {
        let document = RerankDocument::builder()
            .r#type(RerankDocumentType::Text)
            .text_document(RerankTextDocument::builder().text(text).build())
            .build()
            .unwrap();
        RerankSource::builder()
            .r#type(RerankSourceType::Inline)
            .inline_document_source(document)
            .build()
            .unwrap()
    };
    let model = BedrockRerankingModelConfiguration::builder()
        .model_arn("arn:aws:bedrock:us-east-1::foundation-model/cohere.rerank-v3-5:0")
        .build()
        .unwrap();
    let config =
        BedrockRerankingConfiguration::builder().number_of_results(2).model_configuration(model).build();
    let answer = client
        .rerank()
        .queries(
            RerankQuery::builder()
                .r#type(RerankQueryContentType::Text)
                .text_query(RerankTextDocument::builder().text("pool exhausted").build())
                .build()
                .unwrap(),
        )
        .sources(source("the weather"))
        .sources(source("the pool is exhausted"))
        .sources(source("a pool"))
        .reranking_configuration(
            RerankingConfiguration::builder()
                .r#type(RerankingConfigurationType::BedrockRerankingModel)
                .bedrock_reranking_configuration(config)
                .build()
                .unwrap(),
        )
        .send()
        .await
        .unwrap();
    let order: Vec<i32> = answer.results().iter().map(RerankResult::index).collect();
    assert_eq!(order, [1, 2]);
}
