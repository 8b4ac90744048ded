//! What Bedrock refuses before a model is asked.

use std::collections::HashSet;

use midwatch_agents::model::{Content, Message, ModelRequest, Role, SystemBlock, ToolEntry};

use crate::wire::WireError;

pub(super) const NO_MESSAGE: &str = "A conversation must have at least one message.";

type Checked = Result<(), WireError>;

/// Cache points in one request.
const MOST_CACHE_POINTS: usize = 4;

pub(super) fn model_id(id: &str) -> Checked {
    let plain = |id: &str| {
        id.contains('.')
            && id.chars().all(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '.' | '-' | ':' | '_'))
    };
    if plain(id) || id.starts_with("arn:") && id.contains(":bedrock:") {
        return Ok(());
    }
    Err(WireError::invalid("The provided model identifier is invalid."))
}

pub(super) fn conversation(request: &ModelRequest) -> Checked {
    inference(request)?;
    tools(request)?;
    cache_points(request)?;
    let Some(first) = request.messages.first() else {
        return Err(WireError::invalid(NO_MESSAGE));
    };
    if first.role != Role::User {
        return Err(WireError::invalid(
            "A conversation must start with a user message. Try again with a conversation that starts with a user \
             message.",
        ));
    }
    if request.messages.last().is_some_and(|last| last.role != Role::User) {
        return Err(WireError::invalid("The conversation must end with a user message."));
    }
    let mut before: Option<&Message> = None;
    for (index, message) in request.messages.iter().enumerate() {
        if before.is_some_and(|before| before.role == message.role) {
            return Err(WireError::invalid(format!(
                "messages.{index}: roles must alternate between user and assistant"
            )));
        }
        content(index, message)?;
        tool_results(index, before, message)?;
        before = Some(message);
    }
    let tool_blocks = request
        .messages
        .iter()
        .any(|message| message.tool_uses().next().is_some() || message.tool_results().next().is_some());
    if tool_blocks && request.tools.is_none() {
        return Err(WireError::invalid(
            "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
        ));
    }
    Ok(())
}

fn inference(request: &ModelRequest) -> Checked {
    let unit = |value: Option<f32>| value.is_none_or(|value| (0.0..=1.0).contains(&value));
    if request.inference.max_tokens == Some(0) {
        return Err(WireError::invalid("inferenceConfig.maxTokens: must be at least 1"));
    }
    if !unit(request.inference.temperature) || !unit(request.inference.top_p) {
        return Err(WireError::invalid("inferenceConfig: temperature and topP must be between 0 and 1"));
    }
    Ok(())
}

fn tools(request: &ModelRequest) -> Checked {
    let Some(config) = &request.tools else { return Ok(()) };
    let mut names = HashSet::new();
    for entry in &config.tools {
        let ToolEntry::ToolSpec(tool) = entry else { continue };
        if !identifier(&tool.name) {
            return Err(WireError::invalid(format!(
                "toolConfig.tools: name `{}` must match [a-zA-Z0-9_-]{{1,64}}",
                tool.name
            )));
        }
        if !names.insert(&tool.name) {
            return Err(WireError::invalid(format!(
                "toolConfig.tools: the name `{}` is there twice",
                tool.name
            )));
        }
        if tool.input_schema.value().get("type").and_then(serde_json::Value::as_str) != Some("object") {
            return Err(WireError::invalid(format!(
                "The value at toolConfig.tools `{}` inputSchema.json.type must be one of the following: object.",
                tool.name
            )));
        }
    }
    if names.is_empty() {
        return Err(WireError::invalid("toolConfig.tools: must have at least one tool"));
    }
    Ok(())
}

fn identifier(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.chars().all(|ch| ch.is_ascii_alphanumeric() || matches!(ch, '_' | '-'))
}

fn cache_points(request: &ModelRequest) -> Checked {
    let system = request.system.iter().filter(|block| matches!(block, SystemBlock::CachePoint(_))).count();
    let tools = request
        .tools
        .iter()
        .flat_map(|config| &config.tools)
        .filter(|entry| matches!(entry, ToolEntry::CachePoint(_)))
        .count();
    let messages = request
        .messages
        .iter()
        .flat_map(|message| &message.content)
        .filter(|block| matches!(block, Content::CachePoint(_)))
        .count();
    if system + tools + messages > MOST_CACHE_POINTS {
        return Err(WireError::invalid(format!(
            "a request may have at most {MOST_CACHE_POINTS} cache points"
        )));
    }
    Ok(())
}

fn content(index: usize, message: &Message) -> Checked {
    if message.content.is_empty() {
        return Err(WireError::invalid(format!(
            "The content field in the Message object at messages.{index} is empty. Add a ContentBlock object to the \
             content field and try again."
        )));
    }
    for (at, block) in message.content.iter().enumerate() {
        let misplaced = match (block, message.role) {
            (Content::Text(text), _) if text.trim().is_empty() => {
                return Err(WireError::invalid(format!(
                    "The text field in the ContentBlock object at messages.{index}.content.{at} is blank. Add text to \
                     the text field, and try again."
                )));
            }
            (Content::ToolUse(call), Role::Assistant) if !identifier(&call.name) => {
                return Err(WireError::invalid(format!(
                    "messages.{index}.content.{at}.toolUse.name: must match [a-zA-Z0-9_-]{{1,64}}"
                )));
            }
            (Content::ToolUse(call), Role::Assistant) if !call.input.is_object() => {
                return Err(WireError::invalid(format!(
                    "The format of the value at messages.{index}.content.{at}.toolUse.input is invalid. Provide a json \
                     object for the field and try again."
                )));
            }
            (Content::ToolUse(_), Role::User) => "toolUse",
            (Content::ToolResult(_), Role::Assistant) => "toolResult",
            _ => continue,
        };
        return Err(WireError::invalid(format!(
            "messages.{index}.content.{at}: `{misplaced}` is not allowed in a message of this role"
        )));
    }
    Ok(())
}

/// Every call of the turn before is answered, and nothing else is.
fn tool_results(index: usize, before: Option<&Message>, message: &Message) -> Checked {
    let calls: Vec<&str> =
        before.iter().flat_map(|before| before.tool_uses()).map(|call| call.tool_use_id.as_str()).collect();
    let results: Vec<&str> = message.tool_results().map(|result| result.tool_use_id.as_str()).collect();
    if results.len() > calls.len() {
        return Err(WireError::invalid(format!(
            "The number of toolResult blocks at messages.{index}.content exceeds the number of toolUse blocks of \
             previous turn."
        )));
    }
    let open: Vec<&str> = calls.into_iter().filter(|id| !results.contains(id)).collect();
    if !open.is_empty() {
        return Err(WireError::invalid(format!(
            "Expected toolResult blocks at messages.{index}.content for the following Ids: {}",
            open.join(", ")
        )));
    }
    Ok(())
}
