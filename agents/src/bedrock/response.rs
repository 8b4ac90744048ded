//! The SDK's answer as ours.

use aws_sdk_bedrockruntime::{
    operation::converse::ConverseOutput,
    types::{ContentBlock, ConverseOutput as Output, ReasoningContentBlock, TokenUsage},
};

use super::{document, trace};
use crate::model::{
    Content, Message, ModelError, ModelErrorKind, ModelResponse, Reasoning, ReasoningText, StopReason,
    ToolUse, Usage,
};

pub(super) fn read(model_id: &str, answer: ConverseOutput) -> Result<ModelResponse, ModelError> {
    // The SDK fills in zeros where there is none.
    let usage = answer.usage.as_ref().map(usage).filter(|usage| *usage != Usage::default());
    let latency_ms = answer.metrics.map_or(0, |m| u64::try_from(m.latency_ms).unwrap_or(0));
    let stop_reason = StopReason::parse(answer.stop_reason.as_str());
    let guardrail = answer.trace.as_ref().and_then(trace::guardrail);
    let content = match answer.output {
        Some(Output::Message(message)) => message.content.into_iter().filter_map(block).collect(),
        // Nothing was said, for instance because the window was exceeded.
        None => Vec::new(),
        Some(_) => {
            let why = "the answer is of a kind that this program does not know";
            return Err(ModelError::new(ModelErrorKind::Other, model_id, why));
        }
    };
    Ok(ModelResponse { message: Message::assistant(content), stop_reason, usage, latency_ms, guardrail })
}

fn block(block: ContentBlock) -> Option<Content> {
    Some(match block {
        ContentBlock::Text(text) => Content::Text(text),
        ContentBlock::ToolUse(call) => Content::ToolUse(ToolUse {
            tool_use_id: call.tool_use_id,
            name: call.name,
            input: document::to_json(&call.input),
        }),
        ContentBlock::ReasoningContent(ReasoningContentBlock::ReasoningText(thought)) => {
            Content::ReasoningContent(Reasoning::ReasoningText(ReasoningText {
                text: thought.text,
                signature: thought.signature,
            }))
        }
        ContentBlock::ReasoningContent(ReasoningContentBlock::RedactedContent(blob)) => {
            Content::ReasoningContent(Reasoning::RedactedContent(aws_smithy_types::base64::encode(
                blob.as_ref(),
            )))
        }
        // Images, citations and whatever is newer: nothing an agent here asked for.
        _ => return None,
    })
}

fn usage(usage: &TokenUsage) -> Usage {
    let count = |n: i32| u64::try_from(n).unwrap_or(0);
    Usage {
        input_tokens: count(usage.input_tokens),
        output_tokens: count(usage.output_tokens),
        cache_read_tokens: count(usage.cache_read_input_tokens.unwrap_or(0)),
        cache_write_tokens: count(usage.cache_write_input_tokens.unwrap_or(0)),
    }
}
