//! Converse, called by the real client.

use aws_sdk_bedrockruntime::{
    Client,
    error::ProvideErrorMetadata,
    operation::converse::{ConverseOutput, builders::ConverseFluentBuilder},
    types::{
        CachePointBlock, CachePointType, ContentBlock, ConversationRole, ConverseTokensRequest,
        CountTokensInput, InferenceConfiguration, Message, StopReason, SystemContentBlock, Tool,
        ToolConfiguration, ToolInputSchema, ToolResultBlock, ToolResultContentBlock, ToolResultStatus,
        ToolSpecification, ToolUseBlock,
    },
};
use aws_smithy_types::Document;
use serde_json::json;

use super::{Mind, Prank};
use crate::{
    wire::{Injection, Misbehaviour, WireError},
    world::{
        State,
        played::{Played, play},
    },
};

const MODEL: &str =
    "arn:aws:bedrock:us-east-1:123456789012:inference-profile/global.anthropic.claude-sonnet-4-6";

async fn world(mind: Mind) -> (Played, Client) {
    let mut state = State::new(1_795_226_400_000, "123456789012", "us-east-1");
    state.bedrock_api.mind = mind;
    let played = play(state).await;
    let client = Client::new(&played.config);
    (played, client)
}

fn document(value: &serde_json::Value) -> Document {
    match value {
        serde_json::Value::Object(map) => {
            Document::Object(map.iter().map(|(key, value)| (key.clone(), document(value))).collect())
        }
        serde_json::Value::String(text) => Document::String(text.clone()),
        other => panic!("{other}"),
    }
}

fn tools(names: &[&str]) -> ToolConfiguration {
    let tool = |name: &&str| {
        let schema = ToolInputSchema::Json(document(&json!({ "type": "object" })));
        Tool::ToolSpec(
            ToolSpecification::builder().name(*name).description("d").input_schema(schema).build().unwrap(),
        )
    };
    ToolConfiguration::builder().set_tools(Some(names.iter().map(tool).collect())).build().unwrap()
}

fn message(role: ConversationRole, content: Vec<ContentBlock>) -> Message {
    Message::builder().role(role).set_content(Some(content)).build().unwrap()
}

fn user(text: &str) -> Message {
    message(ConversationRole::User, vec![ContentBlock::Text(text.to_owned())])
}

fn asks(client: &Client) -> ConverseFluentBuilder {
    client.converse().model_id(MODEL).tool_config(tools(&["error_patterns", "conclude"]))
}

fn content(output: &ConverseOutput) -> &[ContentBlock] {
    output.output().unwrap().as_message().unwrap().content()
}

fn calls(output: &ConverseOutput) -> Vec<&str> {
    content(output).iter().filter_map(|block| block.as_tool_use().ok()).map(ToolUseBlock::name).collect()
}

#[tokio::test]
async fn the_playbook_answers_over_the_wire() {
    let (_played, client) = world(Mind::Playbook).await;
    let output = asks(&client).messages(user("hello")).send().await.unwrap();
    // Without a task it has nothing to work on, and says so rather than calling anything.
    assert_eq!(output.stop_reason(), &StopReason::EndTurn);
    assert!(content(&output)[0].as_text().unwrap().contains("no task"));
    let usage = output.usage().unwrap();
    assert!(usage.input_tokens() > 0 && usage.output_tokens() > 0);
    assert_eq!(usage.total_tokens(), usage.input_tokens() + usage.output_tokens());
    assert!(output.metrics().unwrap().latency_ms() > 0);
}

#[tokio::test]
async fn a_task_makes_the_playbook_call_tools_and_take_their_results() {
    let (_played, client) = world(Mind::Playbook).await;
    let task = json!({
        "kind": "task", "incident": "inc-20261121-0204-a1b2", "specialist": "log_analyst", "service": "checkout-api",
        "alarm": {"name": "checkout-api-5xx", "state": "ALARM", "at": "2026-11-21T02:04:00Z"},
        "from": "2026-11-21T01:34:00Z", "to": "2026-11-21T02:05:00Z", "question": "What is wrong?",
    });
    let first = asks(&client).messages(user(&task.to_string())).send().await.unwrap();
    assert_eq!(first.stop_reason(), &StopReason::ToolUse);
    assert_eq!(calls(&first), ["error_patterns"]);
    // Its tool is not to be had: it concludes with what it knows, in the same conversation.
    let results = content(&first)
        .iter()
        .filter_map(|block| block.as_tool_use().ok())
        .map(|call| {
            let result = ToolResultBlock::builder()
                .tool_use_id(call.tool_use_id())
                .content(ToolResultContentBlock::Text("timeout".to_owned()))
                .status(ToolResultStatus::Error)
                .build();
            ContentBlock::ToolResult(result.unwrap())
        })
        .collect();
    let second = asks(&client)
        .messages(user(&task.to_string()))
        .messages(message(ConversationRole::Assistant, content(&first).to_vec()))
        .messages(message(ConversationRole::User, results))
        .send()
        .await
        .unwrap();
    assert_eq!(calls(&second), ["conclude"]);
    let finding = content(&second)[0].as_tool_use().unwrap().input().as_object().unwrap();
    assert_eq!(finding["verdict"].as_string(), Some("unclear"));
}

#[tokio::test]
async fn a_repeated_prefix_is_read_from_the_cache_until_it_expires() {
    let (played, client) = world(Mind::Playbook).await;
    let point = || CachePointBlock::builder().r#type(CachePointType::Default).build().unwrap();
    let system = "You investigate incidents. ".repeat(400);
    let ask = |text: &str| {
        asks(&client)
            .system(SystemContentBlock::Text(system.clone()))
            .system(SystemContentBlock::CachePoint(point()))
            .messages(user(text))
    };
    let first = ask("one").send().await.unwrap();
    let written = first.usage().unwrap().cache_write_input_tokens().unwrap();
    assert!(written > 2500, "{written}");
    assert_eq!(first.usage().unwrap().cache_read_input_tokens(), Some(0));
    let second = ask("another question").send().await.unwrap();
    let usage = second.usage().unwrap();
    assert_eq!(usage.cache_read_input_tokens(), Some(written));
    assert_eq!(usage.cache_write_input_tokens(), Some(0));
    // What follows the cache point is all that is read anew.
    assert_eq!(usage.input_tokens(), 4);
    played.shared.pass(301_000).await;
    let late = ask("one").send().await.unwrap();
    assert_eq!(late.usage().unwrap().cache_read_input_tokens(), Some(0));
    assert_eq!(late.usage().unwrap().cache_write_input_tokens(), Some(written));
}

#[tokio::test]
async fn a_conversation_grows_on_its_cached_prefix() {
    let (_played, client) = world(Mind::Playbook).await;
    let point = || {
        ContentBlock::CachePoint(CachePointBlock::builder().r#type(CachePointType::Default).build().unwrap())
    };
    let task = "Look at the checkout service. ".repeat(300);
    let first = |marked: bool| {
        let mut content = vec![ContentBlock::Text(task.clone())];
        content.extend(marked.then(point));
        message(ConversationRole::User, content)
    };
    let one = asks(&client).messages(first(true)).send().await.unwrap();
    let written = one.usage().unwrap().cache_write_input_tokens().unwrap();
    let call =
        ToolUseBlock::builder().tool_use_id("t1").name("error_patterns").input(document(&json!({}))).build();
    let result = ToolResultBlock::builder()
        .tool_use_id("t1")
        .content(ToolResultContentBlock::Json(document(&json!({ "patterns": "none" }))))
        .build();
    let two = asks(&client)
        .messages(first(false))
        .messages(message(ConversationRole::Assistant, vec![ContentBlock::ToolUse(call.unwrap())]))
        .messages(message(ConversationRole::User, vec![ContentBlock::ToolResult(result.unwrap()), point()]))
        .send()
        .await
        .unwrap();
    let usage = two.usage().unwrap();
    assert_eq!(usage.cache_read_input_tokens(), Some(written));
    assert!(usage.cache_write_input_tokens().unwrap() > 0);
    assert_eq!(usage.input_tokens(), 0);
}

#[tokio::test]
async fn conversations_that_are_not_well_formed_are_refused() {
    let (_played, client) = world(Mind::Playbook).await;
    let said = |text: &str| message(ConversationRole::Assistant, vec![ContentBlock::Text(text.to_owned())]);
    let call = |id: &str| {
        let call = ToolUseBlock::builder()
            .tool_use_id(id)
            .name("error_patterns")
            .input(document(&json!({})))
            .build();
        message(ConversationRole::Assistant, vec![ContentBlock::ToolUse(call.unwrap())])
    };
    let result = |id: &str| {
        let text = ToolResultContentBlock::Text("x".to_owned());
        let result = ToolResultBlock::builder().tool_use_id(id).content(text).build();
        message(ConversationRole::User, vec![ContentBlock::ToolResult(result.unwrap())])
    };
    let limits = |tokens| InferenceConfiguration::builder().max_tokens(tokens).build();
    let bare = || client.converse().model_id(MODEL);
    for (request, expected) in [
        (bare(), "at least one message"),
        (client.converse().model_id("nonsense").messages(user("x")), "model identifier is invalid"),
        (bare().messages(said("x")), "must start with a user message"),
        (bare().messages(user("x")).messages(user("y")), "roles must alternate"),
        (bare().messages(user(" ")), "is blank"),
        (
            bare().messages(user("x")).messages(call("a")).messages(result("a")),
            "toolConfig field must be defined",
        ),
        (asks(&client).messages(user("x")).messages(call("a")).messages(user("y")), "following Ids: a"),
        (
            asks(&client).messages(user("x")).messages(said("y")).messages(result("a")),
            "exceeds the number of toolUse",
        ),
        (bare().messages(user("x")).tool_config(tools(&["a b"])), "must match"),
        (bare().messages(user("x")).tool_config(tools(&["a", "a"])), "twice"),
        (bare().messages(user("x")).inference_config(limits(0)), "maxTokens"),
        (bare().messages(user(&"long ".repeat(200_000))), "too long"),
    ] {
        let error = request.send().await.unwrap_err();
        assert_eq!(error.code(), Some("ValidationException"), "{expected}");
        assert!(error.message().unwrap().contains(expected), "{expected}: {:?}", error.message());
    }
}

#[tokio::test]
async fn every_failure_of_the_provider_arrives_as_its_own_error() {
    let (played, client) = world(Mind::Playbook).await;
    for (code, status) in [
        ("ThrottlingException", 429),
        ("ModelNotReadyException", 429),
        ("ModelTimeoutException", 408),
        ("ModelErrorException", 424),
        ("ServiceUnavailableException", 503),
        ("InternalServerException", 500),
        ("ValidationException", 400),
        ("AccessDeniedException", 403),
        ("ResourceNotFoundException", 404),
        ("ServiceQuotaExceededException", 400),
    ] {
        played.shared.with(|state| {
            state.injections = vec![Injection {
                api: "bedrock:Converse".into(),
                contains: None,
                misbehaviour: Misbehaviour::Error(WireError::with_status(code, status, "scripted")),
                from_ms: i64::MIN,
                until_ms: i64::MAX,
                skip: 0,
                times: Some(1),
                seen: 0,
            }];
        });
        let error = asks(&client).messages(user("x")).send().await.unwrap_err();
        assert_eq!(error.code(), Some(code));
        assert_eq!(error.raw_response().unwrap().status().as_u16(), status);
        asks(&client).messages(user("x")).send().await.unwrap();
    }
}

#[tokio::test]
async fn a_hostile_model_does_what_is_asked_of_it() {
    let (_played, client) = world(Mind::Hostile(Prank::ALL.to_vec())).await;
    let mut stops = Vec::new();
    for prank in Prank::ALL {
        let output = asks(&client).messages(user("x")).send().await.unwrap();
        stops.push(output.stop_reason().as_str().to_owned());
        let names = calls(&output);
        match prank {
            Prank::UnknownTool => assert_eq!(names, ["open_a_shell"]),
            Prank::FakeCitations => assert_eq!(names, ["conclude"]),
            Prank::MutatingTools => assert!(names.contains(&"rollback_deployment")),
            Prank::WrongArguments | Prank::Repetition => assert_eq!(names, ["error_patterns"]),
            Prank::CallFlood => assert!(names.len() > 50, "{}", names.len()),
            Prank::Empty | Prank::ContentFiltered | Prank::ContextExceeded => {
                assert!(content(&output).is_empty());
            }
            Prank::HugeOutput => {
                // The output limit holds for it too.
                assert_eq!(output.usage().unwrap().output_tokens(), 4096);
                assert_eq!(output.stop_reason(), &StopReason::MaxTokens);
            }
            _ => assert!(!content(&output).is_empty()),
        }
    }
    for stop in [
        "tool_use",
        "end_turn",
        "max_tokens",
        "guardrail_intervened",
        "content_filtered",
        "malformed_tool_use",
        "malformed_model_output",
        "model_context_window_exceeded",
    ] {
        assert!(stops.iter().any(|found| found == stop), "{stop}: {stops:?}");
    }
}

#[tokio::test]
async fn the_output_limit_cuts_an_answer_off() {
    let (_played, client) = world(Mind::Hostile(vec![Prank::Chatter, Prank::UnknownTool])).await;
    let ask = || {
        let limit = InferenceConfiguration::builder().max_tokens(5).build();
        asks(&client).messages(user("x")).inference_config(limit)
    };
    let text = ask().send().await.unwrap();
    assert_eq!(text.stop_reason(), &StopReason::MaxTokens);
    assert_eq!(content(&text)[0].as_text().unwrap().len(), 20);
    let call = ask().send().await.unwrap();
    assert_eq!(call.stop_reason(), &StopReason::MaxTokens);
    assert_eq!(content(&call)[0].as_tool_use().unwrap().input(), &document(&json!({})));
}

#[tokio::test]
async fn tokens_are_counted_as_converse_counts_them() {
    let (_played, client) = world(Mind::Playbook).await;
    let conversation = ConverseTokensRequest::builder().messages(user("hello there, sixteen")).build();
    let counted = client
        .count_tokens()
        .model_id("global.anthropic.claude-haiku-4-5-20251001-v1:0")
        .input(CountTokensInput::Converse(conversation))
        .send()
        .await
        .unwrap();
    assert_eq!(counted.input_tokens(), 5);
    let output =
        client.converse().model_id(MODEL).messages(user("hello there, sixteen")).send().await.unwrap();
    assert_eq!(output.usage().unwrap().input_tokens(), 5);
}
