//! Against the wire: requests and answers as such endpoints have them.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::json::Json;
use crate::model::{
    CachePoint, Content, Inference, Message, StopReason, SystemBlock, ToolChoice, ToolConfig, ToolEntry,
    ToolResult, ToolResultContent, ToolSpec, ToolStatus, ToolUse, Usage,
};

const KEY: &str = "test-key-0123456789abcdef";

/// What the endpoint does.
#[derive(Clone)]
enum Answer {
    Http(u16, &'static str, Value),
    /// Says how long its answer is, and closes before that.
    CutOff,
    Never,
}

/// The endpoint: one answer for every request; heads and bodies of the requests are kept.
struct Endpoint {
    url: String,
    seen: Arc<Mutex<Vec<(String, Value)>>>,
}

impl Endpoint {
    async fn new(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/v1", listener.local_addr().unwrap());
        let seen: Arc<Mutex<Vec<(String, Value)>>> = Arc::default();
        let kept = Arc::clone(&seen);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (answer, kept) = (answer.clone(), Arc::clone(&kept));
                tokio::spawn(async move {
                    let mut read = Vec::new();
                    let (head, body) = loop {
                        let mut buffer = [0; 4096];
                        let n = stream.read(&mut buffer).await.unwrap();
                        read.extend_from_slice(&buffer[..n]);
                        let text = String::from_utf8_lossy(&read).into_owned();
                        if let Some((head, body)) = text.split_once("\r\n\r\n") {
                            let length = head.to_lowercase();
                            let length = length.split("content-length: ").nth(1).unwrap();
                            let length: usize = length.split("\r\n").next().unwrap().parse().unwrap();
                            if body.len() >= length || n == 0 {
                                break (head.to_owned(), serde_json::from_str(body).unwrap());
                            }
                        }
                    };
                    kept.lock().unwrap().push((head, body));
                    match answer {
                        Answer::Http(status, headers, body) => {
                            let body = body.to_string();
                            let text = format!(
                                "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\nconnection: close\r\n\r\n{body}",
                                body.len()
                            );
                            stream.write_all(text.as_bytes()).await.unwrap();
                        }
                        Answer::CutOff => {
                            stream
                                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{")
                                .await
                                .unwrap();
                        }
                        Answer::Never => std::future::pending().await,
                    }
                });
            }
        });
        Self { url, seen }
    }

    fn model(&self, calling: Calling) -> OpenAiModel {
        OpenAiModel::new(config(&self.url, calling)).unwrap()
    }
}

fn config(url: &str, calling: Calling) -> OpenAiConfig {
    OpenAiConfig {
        base_url: url.to_owned(),
        model: "coder".to_owned(),
        price_id: "home/coder".to_owned(),
        key: ApiKey::new(KEY),
        calling,
        plain_http: PlainHttp::Loopback,
    }
}

#[expect(clippy::needless_pass_by_value, reason = "a script")]
fn said(message: Value, finish: Value) -> Answer {
    let usage =
        json!({"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60}});
    Answer::Http(200, "", json!({"choices": [{"message": message, "finish_reason": finish}], "usage": usage}))
}

fn request() -> ModelRequest {
    let spec = |name: &str| {
        ToolEntry::ToolSpec(ToolSpec {
            name: name.into(),
            description: "d".into(),
            input_schema: Json::of(&json!({"type": "object", "properties": {"q": {"type": "string"}}})),
        })
    };
    let call = ToolUse { tool_use_id: "t1".into(), name: "log_query".into(), input: json!({"q": "x"}) };
    let result = ToolResult {
        tool_use_id: "t1".into(),
        content: vec![ToolResultContent::Json(Json::of(&json!({"rows": 2})))],
        status: Some(ToolStatus::Success),
    };
    ModelRequest {
        system: vec![SystemBlock::Text("be brief".into()), SystemBlock::CachePoint(CachePoint::default())],
        messages: vec![
            Message::user(vec![Content::Text("task".into()), Content::Text("sweep".into())]),
            Message::assistant(vec![Content::ToolUse(call)]),
            Message::user(vec![Content::ToolResult(result), Content::CachePoint(CachePoint::default())]),
        ],
        inference: Inference { max_tokens: Some(300), temperature: Some(0.0), ..Inference::default() },
        tools: Some(ToolConfig {
            tools: vec![spec("log_query"), spec("conclude")],
            tool_choice: Some(ToolChoice::Tool { name: "conclude".into() }),
        }),
        ..ModelRequest::default()
    }
}

async fn ask(answer: Answer) -> Result<ModelResponse, ModelError> {
    let endpoint = Endpoint::new(answer).await;
    let limits = CallLimits::within(Duration::from_millis(1_500));
    endpoint.model(Calling::Tools).converse(&request(), &limits).await
}

#[tokio::test]
async fn a_conversation_is_sent_as_chat_completions() {
    let endpoint = Endpoint::new(said(json!({"content": "hm"}), json!("stop"))).await;
    let model = endpoint.model(Calling::Tools);
    model.converse(&request(), &CallLimits::within(Duration::from_secs(5))).await.unwrap();
    let (head, body) = endpoint.seen.lock().unwrap()[0].clone();
    assert!(head.starts_with("POST /v1/chat/completions HTTP/1.1"), "{head}");
    assert!(head.contains(&format!("Bearer {KEY}")));
    assert_eq!(
        body["messages"],
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "task\n\nsweep"},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "log_query", "arguments": "{\"q\":\"x\"}"}}]},
            {"role": "tool", "tool_call_id": "t1", "content": "{\"rows\":2}"},
        ])
    );
    assert_eq!((&body["max_tokens"], &body["model"]), (&json!(300), &json!("coder")));
    assert_eq!(body["tool_choice"], json!({"type": "function", "function": {"name": "conclude"}}));
    assert_eq!(body["tools"][0]["function"]["name"], "log_query");
    // The bound covers every byte that was sent.
    assert!(model.input_bound(&request()) >= body.to_string().len() as u64);
}

#[tokio::test]
async fn a_small_model_is_asked_for_json_of_a_schema() {
    let endpoint =
        Endpoint::new(said(json!({"content": "{\"name\":\"conclude\",\"arguments\":{}}"}), json!("stop")))
            .await;
    let model = endpoint.model(Calling::Schema);
    model.converse(&request(), &CallLimits::within(Duration::from_secs(5))).await.unwrap();
    let body = endpoint.seen.lock().unwrap()[0].1.clone();
    assert_eq!((body.get("tools"), body.get("tool_choice")), (None, None));
    let schema = &body["response_format"]["json_schema"]["schema"];
    assert_eq!(schema["properties"]["name"]["const"], "conclude", "only what must be called");
    let system = body["messages"][0]["content"].as_str().unwrap();
    assert!(system.contains("`log_query`") && system.contains("\"arguments\""));
    let said: Value = serde_json::from_str(body["messages"][2]["content"].as_str().unwrap()).unwrap();
    assert_eq!(said, json!({"name": "log_query", "arguments": {"q": "x"}}));
    assert_eq!(body["messages"][3], json!({"role": "user", "content": "Result: {\"rows\":2}"}));
    assert!(model.input_bound(&request()) >= body.to_string().len() as u64);
}

#[tokio::test]
async fn calls_and_usage_are_read_in_the_forms_that_servers_send() {
    let call = |arguments: Value| json!({"content": null, "tool_calls": [{"id": "a", "type": "function", "function": {"name": "log_query", "arguments": arguments}}]});
    for (message, finish) in [
        (call(json!("{\"q\":\"x\"}")), json!("tool_calls")),
        (call(json!({"q": "x"})), json!("stop")),
        (json!({"function_call": {"name": "log_query", "arguments": "{\"q\":\"x\"}"}}), Value::Null),
    ] {
        let response = ask(said(message, finish)).await.unwrap();
        let uses: Vec<_> = response.message.tool_uses().collect();
        assert_eq!((uses.len(), &uses[0].input), (1, &json!({"q": "x"})));
        assert_eq!(response.stop_reason, StopReason::ToolUse);
        let usage =
            Usage { input_tokens: 40, output_tokens: 7, cache_read_tokens: 60, cache_write_tokens: 0 };
        assert_eq!(response.usage, Some(usage));
    }
    // A call in a fence stays text here; the agent loop takes it as a call.
    let fenced = "```json\n{\"name\": \"log_query\", \"arguments\": {\"q\": \"x\"}}\n```";
    let response =
        ask(said(json!({"content": [{"type": "text", "text": fenced}]}), json!("stop"))).await.unwrap();
    assert_eq!((response.message.text().as_str(), response.stop_reason), (fenced, StopReason::EndTurn));
    // Without usage, or with half of it, what was used is not known.
    for usage in [
        Value::Null,
        json!({"prompt_tokens": 40}),
        json!({"completion_tokens": 7}),
        json!({"prompt_tokens": 0, "completion_tokens": 0}),
    ] {
        let bare = json!({"choices": [{"message": {"content": "x"}}], "usage": usage});
        assert_eq!(ask(Answer::Http(200, "", bare)).await.unwrap().usage, None, "{usage}");
    }
}

#[tokio::test]
async fn every_reason_to_stop_is_mapped() {
    for (finish, wanted) in [
        (json!("stop"), StopReason::EndTurn),
        (json!("length"), StopReason::MaxTokens),
        (json!("tool_calls"), StopReason::ToolUse),
        (json!("function_call"), StopReason::ToolUse),
        (json!("content_filter"), StopReason::ContentFiltered),
        (Value::Null, StopReason::EndTurn),
        (json!("brand_new"), StopReason::Other("brand_new".into())),
    ] {
        assert_eq!(ask(said(json!({"content": "x"}), finish)).await.unwrap().stop_reason, wanted);
    }
    let refused = ask(said(json!({"content": null, "refusal": "I will not."}), json!("stop"))).await.unwrap();
    assert_eq!(refused.stop_reason, StopReason::ContentFiltered);
}

#[tokio::test]
async fn every_error_is_classed_and_none_shows_the_key() {
    use ModelErrorKind as Kind;
    let error = |code: &str, message: &str| json!({"error": {"message": message, "code": code}});
    for (status, body, kind, unknown) in [
        (400, error("context_length_exceeded", "m"), Kind::ContextTooLong, false),
        (400, error("", "the request exceeds the available context size"), Kind::ContextTooLong, false),
        (400, error("invalid_value", "bad"), Kind::Validation, false),
        (
            401,
            error("invalid_api_key", "Incorrect API key provided: test-key-0123456789abcdef."),
            Kind::AccessDenied,
            false,
        ),
        (402, json!({"error": "pay"}), Kind::Quota, false),
        (403, json!({"message": "no"}), Kind::AccessDenied, false),
        (404, error("model_not_found", "no"), Kind::NotFound, false),
        (408, Value::Null, Kind::Timeout, true),
        (413, Value::Null, Kind::ContextTooLong, false),
        (422, json!({"detail": "no"}), Kind::Validation, false),
        (429, error("rate_limit_exceeded", "slow down"), Kind::Throttled, false),
        (429, error("insufficient_quota", "pay"), Kind::Quota, false),
        (500, Value::Null, Kind::Unavailable, true),
        (
            503,
            json!({"error": {"message": "Loading model", "type": "unavailable_error"}}),
            Kind::Unavailable,
            false,
        ),
        (504, Value::Null, Kind::Timeout, true),
        (307, Value::Null, Kind::Other, true),
    ] {
        let found = ask(Answer::Http(status, "retry-after: 7\r\n", body)).await.unwrap_err();
        assert_eq!((found.kind, found.usage_unknown()), (kind, unknown), "{found}");
        assert_eq!(found.retry_after, Some(Duration::from_secs(7)));
        assert!(!format!("{found} {found:?}").contains(KEY), "{found}");
    }
    for (answer, kind) in [
        (Answer::CutOff, Kind::Unavailable),
        (Answer::Never, Kind::Timeout),
        (Answer::Http(200, "", json!("hi")), Kind::Other),
        (Answer::Http(200, "", json!({"choices": []})), Kind::Other),
    ] {
        let found = ask(answer).await.unwrap_err();
        assert_eq!((found.kind, found.usage_unknown()), (kind, true), "{found}");
    }
    // Nobody listens there: nothing was charged.
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let model = OpenAiModel::new(config(&url, Calling::Tools)).unwrap();
    let found = model.converse(&request(), &CallLimits::within(Duration::from_secs(5))).await.unwrap_err();
    assert_eq!((found.kind, found.usage_unknown()), (Kind::Unavailable, false), "{found}");
    assert!(!format!("{model:?}").contains(KEY));
}

#[test]
fn addresses_that_would_leak_are_refused() {
    let with = |url: &str, plain_http| {
        OpenAiModel::new(OpenAiConfig { plain_http, ..config(url, Calling::Tools) })
            .map(|m| m.url.to_string())
    };
    for url in [
        "http://models.internal/v1",
        "ftp://127.0.0.1",
        "not a url",
        "https://u:p@h/v1",
        "https://h/v1?key=k",
        "",
    ] {
        let error = with(url, PlainHttp::Loopback).unwrap_err().to_string();
        assert!(!error.contains("u:p") && !error.contains("key=k"), "{error}");
    }
    for (url, wanted) in [
        ("https://api.openai.com/v1/", "https://api.openai.com/v1/chat/completions"),
        ("http://127.0.0.1:8080/v1", "http://127.0.0.1:8080/v1/chat/completions"),
        ("http://localhost:8080", "http://localhost:8080/chat/completions"),
        ("http://[::1]:1/v1", "http://[::1]:1/v1/chat/completions"),
    ] {
        assert_eq!(with(url, PlainHttp::Loopback).unwrap(), wanted);
    }
    assert!(with("http://models.internal/v1", PlainHttp::Anywhere).is_ok());
    let spaced = OpenAiConfig { key: ApiKey::new("a b"), ..config("https://h/v1", Calling::Tools) };
    assert!(matches!(OpenAiModel::new(spaced), Err(OpenAiError::Key)));
    let newer = OpenAiModel::new(config("https://api.openai.com/v1", Calling::Tools)).unwrap();
    assert_eq!(newer.body(&request())["max_completion_tokens"], 300);
}
