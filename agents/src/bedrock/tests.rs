//! Against the wire: requests and answers as Bedrock's endpoint has them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::{Credentials, provider::SharedCredentialsProvider};
use aws_smithy_runtime_api::{
    client::{
        http::{HttpConnector, HttpConnectorFuture, SharedHttpConnector, http_client_fn},
        orchestrator::{HttpRequest, HttpResponse},
        result::ConnectorError,
    },
    http::StatusCode,
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

use super::BedrockModel;
use crate::json::Json;
use crate::model::{
    CachePoint, CallLimits, Content, Guardrail, Inference, Message, Model, ModelError, ModelErrorKind,
    ModelRequest, ModelResponse, StopReason, SystemBlock, ToolChoice, ToolConfig, ToolEntry, ToolResult,
    ToolResultContent, ToolSpec, ToolStatus, ToolUse,
};

const CLAUDE: &str = "global.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// The endpoint: one answer for every request, which are kept.
#[derive(Clone)]
struct Endpoint {
    answer: Arc<dyn Fn() -> Answer + Send + Sync>,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

enum Answer {
    Http(u16, &'static str, Value),
    Refused,
    Never,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

impl HttpConnector for Endpoint {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        let body = serde_json::from_slice(body).unwrap_or(Value::Null);
        self.seen.lock().unwrap().push((request.uri().to_owned(), body));
        match (self.answer)() {
            Answer::Http(status, kind, body) => {
                let mut response =
                    HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::from(body.to_string()));
                response.headers_mut().insert("content-type", "application/json");
                if !kind.is_empty() {
                    response.headers_mut().insert("x-amzn-errortype", kind);
                }
                HttpConnectorFuture::ready(Ok(response))
            }
            Answer::Refused => HttpConnectorFuture::ready(Err(ConnectorError::io(
                std::io::Error::new(std::io::ErrorKind::ConnectionRefused, "connection refused").into(),
            ))),
            Answer::Never => HttpConnectorFuture::new(std::future::pending()),
        }
    }
}

fn endpoint(answer: impl Fn() -> Answer + Send + Sync + 'static) -> Endpoint {
    Endpoint { answer: Arc::new(answer), seen: Arc::default() }
}

fn model(endpoint: &Endpoint, id: &str) -> BedrockModel {
    let connector = SharedHttpConnector::new(endpoint.clone());
    let config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url("http://127.0.0.1:9")
        .credentials_provider(SharedCredentialsProvider::new(Credentials::new("a", "b", None, None, "test")))
        .http_client(http_client_fn(move |_, _| connector.clone()))
        .build();
    BedrockModel::new(&config, id)
}

fn request() -> ModelRequest {
    ModelRequest {
        system: vec![SystemBlock::Text("s".into()), SystemBlock::CachePoint(CachePoint::default())],
        messages: vec![
            Message::user(vec![Content::Text("hi".into()), Content::CachePoint(CachePoint::default())]),
            Message::assistant(vec![Content::ToolUse(ToolUse {
                tool_use_id: "t1".into(),
                name: "q".into(),
                input: json!({"a": 1}),
            })]),
            Message::user(vec![Content::ToolResult(ToolResult {
                tool_use_id: "t1".into(),
                content: vec![ToolResultContent::Json(Json::of(&json!({"b": [1, 2.5, null]})))],
                status: Some(ToolStatus::Success),
            })]),
        ],
        inference: Inference { max_tokens: Some(500), temperature: Some(0.0), ..Inference::default() },
        tools: Some(ToolConfig {
            tools: vec![
                ToolEntry::ToolSpec(ToolSpec {
                    name: "q".into(),
                    description: "d".into(),
                    input_schema: Json::of(
                        &json!({"type": "object", "properties": {"a": {"type": "integer"}}}),
                    ),
                }),
                ToolEntry::CachePoint(CachePoint::default()),
            ],
            tool_choice: Some(ToolChoice::Tool { name: "q".into() }),
        }),
        guardrail: Some(Guardrail {
            guardrail_identifier: "g".into(),
            guardrail_version: "1".into(),
            trace: Some("enabled".into()),
        }),
        metadata: [("specialist".to_owned(), "x".to_owned())].into(),
        ..ModelRequest::default()
    }
}

fn ask(model: &BedrockModel, timeout: Duration) -> Result<ModelResponse, ModelError> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(async { model.converse(&request(), &CallLimits::within(timeout)).await })
}

const SOON: Duration = Duration::from_secs(5);

fn fine() -> Answer {
    Answer::Http(
        200,
        "",
        json!({"output": {"message": {"role": "assistant", "content": [
        {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "s"}}},
        {"text": "t"},
        {"toolUse": {"toolUseId": "t2", "name": "q", "input": {"z": 1, "a": {"n": -2, "f": 0.5}}}}]}},
        "stopReason": "tool_use", "metrics": {"latencyMs": 551},
        "usage": {"inputTokens": 30, "outputTokens": 62, "totalTokens": 1096, "cacheReadInputTokens": 1000, "cacheWriteInputTokens": 4}}),
    )
}

#[test]
fn a_request_and_its_answer_survive_the_wire() {
    let endpoint = endpoint(fine);
    let model = model(&endpoint, CLAUDE);
    let answer = ask(&model, SOON).unwrap();
    assert_eq!((answer.stop_reason, answer.latency_ms), (StopReason::ToolUse, 551));
    let usage = answer.usage.unwrap();
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens),
        (30, 62, 1000, 4)
    );
    assert_eq!(answer.message.tool_uses().next().unwrap().input, json!({"z": 1, "a": {"n": -2, "f": 0.5}}));
    let seen = endpoint.seen.lock().unwrap();
    let (uri, body) = &seen[0];
    assert!(uri.contains("/model/global.anthropic.claude-sonnet-4-5-20250929-v1%3A0/converse"), "{uri}");
    // The same JSON that our own types write and read: a simulated endpoint needs no other parser.
    let read: ModelRequest = serde_json::from_value(body.clone()).unwrap();
    let mut sent = request();
    let Content::ToolResult(result) = &mut sent.messages[2].content[0] else { panic!("result") };
    result.content = vec![ToolResultContent::Text(json!({"b": [1, 2.5, null]}).to_string())];
    assert_eq!(read, sent);
}

#[test]
fn what_a_family_does_not_understand_is_left_out() {
    for (id, points, tool_points, choice) in [
        (CLAUDE, true, true, true),
        ("amazon.nova-lite-v1:0", true, false, true),
        ("meta.llama3-3-70b-instruct-v1:0", false, false, false),
    ] {
        let endpoint = endpoint(fine);
        ask(&model(&endpoint, id), SOON).unwrap();
        let seen = endpoint.seen.lock().unwrap();
        let body = &seen[0].1;
        assert_eq!(body["system"][1].get("cachePoint").is_some(), points, "{id}");
        assert_eq!(body["messages"][0]["content"][1].get("cachePoint").is_some(), points, "{id}");
        assert_eq!(body["toolConfig"]["tools"][1].get("cachePoint").is_some(), tool_points, "{id}");
        assert_eq!(body["toolConfig"].get("toolChoice").is_some(), choice, "{id}");
    }
}

#[test]
fn every_error_class_is_told_apart_and_asked_once() {
    use ModelErrorKind as Kind;
    let cases: [(u16, &str, &str, Kind, bool); 16] = [
        (429, "ThrottlingException", "slow", Kind::Throttled, false),
        (429, "ModelNotReadyException", "wait", Kind::Throttled, false),
        (500, "InternalServerException", "oops", Kind::Unavailable, true),
        (503, "ServiceUnavailableException", "later", Kind::Unavailable, false),
        (408, "ModelTimeoutException", "long", Kind::Timeout, true),
        (424, "ModelErrorException", "broke", Kind::Other, true),
        (400, "ServiceQuotaExceededException", "quota", Kind::Quota, false),
        (400, "ValidationException", "bad field", Kind::Validation, false),
        (400, "ValidationException", "Input is too long for requested model.", Kind::ContextTooLong, false),
        (
            400,
            "ValidationException",
            "prompt is too long: 210000 tokens > 200000 maximum",
            Kind::ContextTooLong,
            false,
        ),
        (403, "AccessDeniedException", "no", Kind::AccessDenied, false),
        (403, "ExpiredTokenException", "old", Kind::AccessDenied, false),
        (403, "UnrecognizedClientException", "who", Kind::AccessDenied, false),
        (404, "ResourceNotFoundException", "where", Kind::NotFound, false),
        (502, "", "", Kind::Unavailable, true),
        (418, "TeapotException", "tea", Kind::Validation, false),
    ];
    for (status, code, message, kind, unknown) in cases {
        let endpoint = endpoint(move || Answer::Http(status, code, json!({ "message": message })));
        let error = ask(&model(&endpoint, CLAUDE), SOON).unwrap_err();
        assert_eq!(
            (error.kind, error.usage_unknown()),
            (kind, unknown),
            "{status} {code} {message}: {error}"
        );
        assert_eq!(endpoint.seen.lock().unwrap().len(), 1, "the SDK must not retry");
    }
}

#[test]
fn silence_refusal_and_cancelling_are_told_apart() {
    let error = ask(&model(&endpoint(|| Answer::Refused), CLAUDE), SOON).unwrap_err();
    assert_eq!((error.kind, error.usage_unknown()), (ModelErrorKind::Unavailable, false));
    let error = ask(&model(&endpoint(|| Answer::Never), CLAUDE), Duration::from_millis(30)).unwrap_err();
    assert_eq!((error.kind, error.usage_unknown()), (ModelErrorKind::Timeout, true));
    let limits = CallLimits::within(SOON);
    limits.cancel.cancel();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let model = model(&endpoint(fine), CLAUDE);
    let error = runtime.block_on(model.converse(&request(), &limits)).unwrap_err();
    assert_eq!(error.kind, ModelErrorKind::Cancelled);
}

#[test]
fn strange_answers_are_errors_or_read_as_far_as_they_go() {
    let without_usage = json!({"output": {"message": {"role": "assistant", "content": [{"text": "x"}]}}, "stopReason": "end_turn"});
    let answer =
        ask(&model(&endpoint(move || Answer::Http(200, "", without_usage.clone())), CLAUDE), SOON).unwrap();
    assert_eq!(answer.usage, None, "what was used is not known");
    let html = endpoint(|| Answer::Http(200, "", json!("<html>")));
    let error = ask(&model(&html, CLAUDE), SOON).unwrap_err();
    assert!(error.usage_unknown());
    let new = json!({"output": {"message": {"role": "assistant", "content": []}}, "stopReason": "brand_new", "usage": {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}});
    let answer = ask(&model(&endpoint(move || Answer::Http(200, "", new.clone())), CLAUDE), SOON).unwrap();
    assert_eq!(answer.stop_reason, StopReason::Other("brand_new".into()));
}

#[test]
fn a_guardrails_trace_is_kept_without_what_it_matched() {
    let answer = json!({"output": {"message": {"role": "assistant", "content": [{"text": "no"}]}},
        "stopReason": "guardrail_intervened", "usage": {"inputTokens": 9, "outputTokens": 1, "totalTokens": 10},
        "trace": {"guardrail": {"actionReason": "Guardrail blocked.",
            "inputAssessment": {"g": {"contentPolicy": {"filters": [
                {"type": "PROMPT_ATTACK", "confidence": "HIGH", "action": "BLOCKED"}]}}},
            "outputAssessments": {"g": [{"sensitiveInformationPolicy": {
                "piiEntities": [{"match": "someone@example.com", "type": "EMAIL", "action": "ANONYMIZED"}],
                "regexes": [{"name": "badge", "match": "B-99-secret", "action": "BLOCKED"}]}}]}}}});
    let answer = ask(&model(&endpoint(move || Answer::Http(200, "", answer.clone())), CLAUDE), SOON).unwrap();
    assert_eq!(answer.stop_reason, StopReason::GuardrailIntervened);
    let trace = answer.guardrail.unwrap();
    assert_eq!(trace.reason.as_deref(), Some("Guardrail blocked."));
    assert_eq!(
        trace.in_words(),
        "input, content: PROMPT_ATTACK BLOCKED; output, sensitive information: EMAIL ANONYMIZED; \
         output, sensitive information: badge BLOCKED"
    );
    let kept = serde_json::to_string(&trace).unwrap();
    assert!(!kept.contains("someone@") && !kept.contains("B-99"), "{kept}");
    assert!(ask(&model(&endpoint(fine), CLAUDE), SOON).unwrap().guardrail.is_none());
}
