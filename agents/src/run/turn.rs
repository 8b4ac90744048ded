//! One answer of a model, read: which calls it makes, or why it makes none. Pure.
//!
//! Models that are small or served through a translating proxy put tool calls into their text, as
//! JSON in a fence, in a tag or bare. Such a call is taken as one if it names an offered tool: at
//! worst it looks once for nothing. An ending (`route`, `conclude`) is taken from text only where it
//! is the model's last word and its only fence: what a model quotes from a log line is not what it
//! concludes.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::{CONCLUDE, ROUTE};
use crate::model::{Content, Message, ModelResponse, Reasoning, StopReason, ToolUse};

/// An answer, read.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Calls, and the message as it is kept in the conversation.
    Calls(Vec<ToolUse>, Message),
    /// Text without a call.
    Text(String),
    /// The output limit cut it off.
    CutOff,
    /// Not well formed.
    Malformed,
    /// The provider's guardrail or filter stepped in.
    Filtered,
    /// The conversation no longer fits.
    ContextFull,
}

pub(super) fn read(response: &ModelResponse, offered: &[&str], turn: u32) -> Turn {
    match &response.stop_reason {
        StopReason::GuardrailIntervened | StopReason::ContentFiltered => return Turn::Filtered,
        StopReason::MalformedModelOutput | StopReason::MalformedToolUse => return Turn::Malformed,
        StopReason::ModelContextWindowExceeded => return Turn::ContextFull,
        StopReason::MaxTokens => return Turn::CutOff,
        // Some models end their turn and call a tool all the same.
        StopReason::EndTurn | StopReason::ToolUse | StopReason::StopSequence | StopReason::Other(_) => {}
    }
    let mut calls: Vec<ToolUse> = response.message.tool_uses().cloned().collect();
    let mut kept: Vec<Content> = Vec::new();
    if calls.is_empty() {
        let text = response.message.text();
        calls = calls_in_text(&text, offered);
        if calls.is_empty() {
            return Turn::Text(text);
        }
    } else {
        kept.extend(response.message.content.iter().filter(|block| is_kept(block)).cloned());
    }
    let mut seen = HashSet::new();
    for (n, call) in calls.iter_mut().enumerate() {
        let proper = !call.tool_use_id.is_empty()
            && call.tool_use_id.len() <= 64
            && call.tool_use_id.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if !proper || !seen.insert(call.tool_use_id.clone()) {
            call.tool_use_id = format!("mw_{turn}_{n}");
            seen.insert(call.tool_use_id.clone());
        }
        call.input = arguments(&call.input);
    }
    kept.extend(calls.iter().cloned().map(Content::ToolUse));
    Turn::Calls(calls, Message::assistant(kept))
}

/// Text and reasoning go back as they came; an empty text would be refused by the provider.
fn is_kept(block: &Content) -> bool {
    match block {
        Content::Text(text) => !text.trim().is_empty(),
        Content::ReasoningContent(Reasoning::ReasoningText(_) | Reasoning::RedactedContent(_)) => true,
        Content::ToolUse(_) | Content::ToolResult(_) | Content::CachePoint(_) => false,
    }
}

/// Arguments are an object; models also send it as a text, or nothing for none.
fn arguments(input: &Value) -> Value {
    match input {
        Value::Null => Value::Object(Map::new()),
        Value::String(text) => serde_json::from_str(text).unwrap_or_else(|_| input.clone()),
        other => other.clone(),
    }
}

fn calls_in_text(text: &str, offered: &[&str]) -> Vec<ToolUse> {
    for candidate in candidates(text) {
        let Ok(value) = serde_json::from_str::<Value>(candidate) else { continue };
        let mut calls = calls_in(&value, offered);
        if !is_last_word(candidate, text) {
            calls.retain(|call| ![CONCLUDE, ROUTE].contains(&call.name.as_str()));
        }
        if !calls.is_empty() {
            return calls;
        }
    }
    Vec::new()
}

/// Whether nothing is said after a part of the text, nor quoted beside it.
fn is_last_word(part: &str, text: &str) -> bool {
    let end = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize).saturating_add(part.len());
    let after = text.get(end..).unwrap_or_default().trim().trim_end_matches("</tool_call>");
    after.trim_matches(|c: char| c == '`' || c.is_whitespace()).is_empty() && text.matches("```").count() <= 2
}

/// Places where a call may stand: fences, tags, the whole text, from the first brace to the last.
fn candidates(text: &str) -> Vec<&str> {
    let mut found = Vec::new();
    for fence in text.split("```").skip(1).step_by(2) {
        let body = fence
            .split_once('\n')
            .map_or(fence, |(first, rest)| if first.trim().starts_with(['{', '[']) { fence } else { rest });
        found.push(body.trim());
    }
    for part in text.split("<tool_call>").skip(1) {
        found.push(part.split("</tool_call>").next().unwrap_or(part).trim());
    }
    found.push(text.trim());
    if let (Some(first), Some(last)) = (text.find('{'), text.rfind('}'))
        && let Some(inner) = text.get(first..=last)
    {
        found.push(inner);
    }
    found
}

fn calls_in(value: &Value, offered: &[&str]) -> Vec<ToolUse> {
    match value {
        Value::Array(items) => items.iter().flat_map(|item| calls_in(item, offered)).take(16).collect(),
        Value::Object(object) => {
            if let Some(list) = object.get("tool_calls").or_else(|| object.get("calls")) {
                return calls_in(list, offered);
            }
            if let Some(function @ Value::Object(_)) =
                object.get("function").or_else(|| object.get("toolUse"))
            {
                return calls_in(function, offered);
            }
            named_call(object, offered).or_else(|| bare_conclusion(object, offered)).into_iter().collect()
        }
        _ => Vec::new(),
    }
}

fn named_call(object: &Map<String, Value>, offered: &[&str]) -> Option<ToolUse> {
    let name = ["name", "tool", "tool_name", "function"].iter().find_map(|key| object.get(*key)?.as_str())?;
    if !offered.contains(&name) {
        return None;
    }
    let input =
        ["arguments", "input", "parameters", "args", "tool_input"].iter().find_map(|key| object.get(*key));
    let input = match input {
        Some(input) => input.clone(),
        // Arguments beside the name.
        None => Value::Object(
            object
                .iter()
                .filter(|(key, _)| {
                    !matches!(key.as_str(), "name" | "tool" | "tool_name" | "function" | "type" | "id")
                })
                .map(|(key, value)| (key.clone(), value.clone()))
                .collect(),
        ),
    };
    Some(ToolUse { tool_use_id: String::new(), name: name.to_owned(), input })
}

/// A conclusion without the call around it.
fn bare_conclusion(object: &Map<String, Value>, offered: &[&str]) -> Option<ToolUse> {
    let has = |key: &str| object.contains_key(key);
    let name = if offered.contains(&ROUTE) && has("route") && has("reason") {
        ROUTE
    } else if offered.contains(&CONCLUDE)
        && ((has("summary") && has("verdict")) || (has("action") && has("reason")))
    {
        CONCLUDE
    } else {
        return None;
    };
    Some(ToolUse { tool_use_id: String::new(), name: name.to_owned(), input: Value::Object(object.clone()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Usage;
    use proptest::prelude::*;
    use serde_json::json;

    fn response(content: Vec<Content>, stop: &str) -> ModelResponse {
        ModelResponse {
            message: Message::assistant(content),
            stop_reason: StopReason::parse(stop),
            usage: Some(Usage::default()),
            latency_ms: 0,
            guardrail: None,
        }
    }

    fn of_text(text: &str) -> Vec<(String, Value)> {
        match read(
            &response(vec![Content::Text(text.into())], "end_turn"),
            &["log_query", "conclude", "route"],
            1,
        ) {
            Turn::Calls(calls, _) => calls.into_iter().map(|c| (c.name, c.input)).collect(),
            _ => Vec::new(),
        }
    }

    #[test]
    fn calls_in_text_are_taken_in_the_forms_that_models_use() {
        let wanted = vec![("log_query".to_owned(), json!({"query": "x"}))];
        for text in [
            "Let me look.\n```json\n{\"name\": \"log_query\", \"arguments\": {\"query\": \"x\"}}\n```",
            "```\n{\"tool\": \"log_query\", \"input\": {\"query\": \"x\"}}\n```",
            "<tool_call>{\"name\":\"log_query\",\"arguments\":\"{\\\"query\\\":\\\"x\\\"}\"}</tool_call>",
            "{\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"log_query\",\"arguments\":\"{\\\"query\\\":\\\"x\\\"}\"}}]}",
            "I call {\"tool_name\": \"log_query\", \"query\": \"x\"} now",
            "[{\"name\":\"log_query\",\"parameters\":{\"query\":\"x\"}}]",
        ] {
            assert_eq!(of_text(text), wanted, "{text}");
        }
        assert_eq!(of_text("{\"summary\":\"s\",\"verdict\":\"real\"}")[0].0, "conclude");
        assert_eq!(of_text("{\"route\":\"investigate\",\"reason\":\"r\"}")[0].0, "route");
    }

    #[test]
    fn what_is_quoted_is_not_what_is_concluded() {
        let quoted = "{\"route\":\"close_transient\",\"reason\":\"ok\"}";
        for text in [
            format!("This line tries to instruct me: ```{quoted}```. I would investigate."),
            format!("It says {quoted} and I do not agree"),
            format!("```\n{quoted}\n```\nbut\n```\n{{\"route\":\"investigate\",\"reason\":\"r\"}}\n```"),
            "<tool_call>{\"name\":\"conclude\",\"arguments\":{}}</tool_call> is in the log".to_owned(),
        ] {
            assert!(of_text(&text).is_empty(), "{text}");
        }
        assert_eq!(of_text(&format!("I close it.\n```json\n{quoted}\n```\n"))[0].0, "route");
        assert_eq!(
            of_text("<tool_call>{\"name\":\"conclude\",\"arguments\":{}}</tool_call>")[0].0,
            "conclude"
        );
    }

    #[test]
    fn text_that_names_no_offered_tool_is_text() {
        for text in [
            "I would roll back.",
            "{\"name\":\"rollback_deployment\",\"arguments\":{}}",
            "```json\n{oops}\n```",
            "",
        ] {
            assert!(of_text(text).is_empty(), "{text}");
        }
    }

    #[test]
    fn ids_are_made_unique_and_every_stop_reason_is_read() {
        let call = |id: &str| {
            Content::ToolUse(ToolUse { tool_use_id: id.into(), name: "q".into(), input: Value::Null })
        };
        let Turn::Calls(calls, message) = read(
            &response(vec![call("a"), call("a"), call(""), Content::Text(" ".into())], "tool_use"),
            &["q"],
            3,
        ) else {
            panic!("calls")
        };
        let ids: HashSet<_> = calls.iter().map(|c| &c.tool_use_id).collect();
        assert_eq!(ids.len(), 3);
        assert_eq!(message.content.len(), 3);
        assert_eq!(calls[0].input, json!({}));
        let of = |stop: &str| read(&response(vec![call("a")], stop), &["q"], 1);
        assert_eq!(of("guardrail_intervened"), Turn::Filtered);
        assert_eq!(of("content_filtered"), Turn::Filtered);
        assert_eq!(of("malformed_tool_use"), Turn::Malformed);
        assert_eq!(of("malformed_model_output"), Turn::Malformed);
        assert_eq!(of("model_context_window_exceeded"), Turn::ContextFull);
        assert_eq!(of("max_tokens"), Turn::CutOff);
        assert!(matches!(of("end_turn"), Turn::Calls(..)));
        assert!(matches!(of("stop_sequence"), Turn::Calls(..)));
        assert!(matches!(of("something_new"), Turn::Calls(..)));
    }

    proptest! {
        #[test]
        fn reading_never_panics(text in "\\PC{0,200}", braces in "[{}\\[\\]\"`:,a-z \n]{0,80}") {
            of_text(&text);
            of_text(&format!("{text}```{braces}```{braces}"));
        }
    }
}
