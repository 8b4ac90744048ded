//! Our request as the SDK's.

use std::collections::HashMap;

use aws_sdk_bedrockruntime::{
    operation::converse::builders::ConverseFluentBuilder,
    types::{
        AnyToolChoice, AutoToolChoice, CachePointBlock, CachePointType, CacheTtl, ContentBlock,
        ConversationRole, GuardrailConfiguration, GuardrailTrace, InferenceConfiguration,
        Message as SdkMessage, ReasoningContentBlock, ReasoningTextBlock, SpecificToolChoice,
        SystemContentBlock, Tool, ToolChoice as SdkToolChoice, ToolConfiguration, ToolInputSchema,
        ToolResultBlock, ToolResultContentBlock, ToolResultStatus, ToolSpecification, ToolUseBlock,
    },
};
use aws_smithy_types::Blob;

use super::{Family, document};
use crate::model::{
    CachePoint, Content, Guardrail, Message, ModelRequest, Reasoning, Role, SystemBlock, ToolChoice,
    ToolEntry, ToolResult, ToolResultContent, ToolStatus, ToolUse,
};

/// What cannot be sent, for the operator.
type Why = String;

fn why(error: impl std::fmt::Display) -> Why {
    error.to_string()
}

pub(super) fn fill(
    call: ConverseFluentBuilder,
    model_id: &str,
    family: Family,
    request: &ModelRequest,
    tools: Vec<Tool>,
) -> Result<ConverseFluentBuilder, Why> {
    let mut call = call.model_id(model_id);
    for block in &request.system {
        match block {
            SystemBlock::Text(text) => call = call.system(SystemContentBlock::Text(text.clone())),
            SystemBlock::CachePoint(point) if family.cache_points => {
                call = call.system(SystemContentBlock::CachePoint(cache_point(point)?));
            }
            SystemBlock::CachePoint(_) => {}
        }
    }
    for message in &request.messages {
        call = call.messages(self::message(message, family)?);
    }
    let inference = InferenceConfiguration::builder()
        .set_max_tokens(request.inference.max_tokens.map(|n| i32::try_from(n).unwrap_or(i32::MAX)))
        .set_temperature(request.inference.temperature.filter(|_| family.temperature))
        .set_top_p(request.inference.top_p.filter(|_| family.temperature))
        .set_stop_sequences(
            (!request.inference.stop_sequences.is_empty()).then(|| request.inference.stop_sequences.clone()),
        )
        .build();
    call = call.inference_config(inference);
    if !tools.is_empty() {
        let choice = request.tools.as_ref().and_then(|config| config.tool_choice.as_ref());
        let choice = choice.filter(|_| family.tool_choice).map(tool_choice).transpose()?;
        let config = ToolConfiguration::builder().set_tools(Some(tools)).set_tool_choice(choice);
        call = call.tool_config(config.build().map_err(why)?);
    }
    if let Some(guardrail) = &request.guardrail {
        call = call.guardrail_config(self::guardrail(guardrail));
    }
    if !request.metadata.is_empty() {
        let metadata: HashMap<String, String> = request.metadata.clone().into_iter().collect();
        call = call.set_request_metadata(Some(metadata));
    }
    Ok(call)
}

pub(super) fn tools(entries: &[ToolEntry], family: Family) -> Result<Vec<Tool>, Why> {
    let mut tools = Vec::new();
    for entry in entries {
        match entry {
            ToolEntry::ToolSpec(spec) => {
                let description = if spec.description.is_empty() { &spec.name } else { &spec.description };
                let built = ToolSpecification::builder()
                    .name(&spec.name)
                    .description(description)
                    .input_schema(ToolInputSchema::Json(document::from_json(&spec.input_schema.value())))
                    .build();
                tools.push(Tool::ToolSpec(built.map_err(why)?));
            }
            ToolEntry::CachePoint(point) if family.cached_tools => {
                tools.push(Tool::CachePoint(cache_point(point)?));
            }
            ToolEntry::CachePoint(_) => {}
        }
    }
    Ok(tools)
}

fn message(message: &Message, family: Family) -> Result<SdkMessage, Why> {
    let role = match message.role {
        Role::User => ConversationRole::User,
        Role::Assistant => ConversationRole::Assistant,
    };
    let mut built = SdkMessage::builder().role(role);
    for block in &message.content {
        let block = match block {
            Content::Text(text) => ContentBlock::Text(text.clone()),
            Content::ToolUse(call) => ContentBlock::ToolUse(tool_use(call)?),
            Content::ToolResult(result) => ContentBlock::ToolResult(tool_result(result)?),
            Content::ReasoningContent(thought) => ContentBlock::ReasoningContent(reasoning(thought)?),
            Content::CachePoint(point) if family.cache_points => {
                ContentBlock::CachePoint(cache_point(point)?)
            }
            Content::CachePoint(_) => continue,
        };
        built = built.content(block);
    }
    built.build().map_err(why)
}

fn cache_point(point: &CachePoint) -> Result<CachePointBlock, Why> {
    CachePointBlock::builder()
        .r#type(CachePointType::from(point.kind.as_str()))
        .set_ttl(point.ttl.as_deref().map(CacheTtl::from))
        .build()
        .map_err(why)
}

fn tool_use(call: &ToolUse) -> Result<ToolUseBlock, Why> {
    ToolUseBlock::builder()
        .tool_use_id(&call.tool_use_id)
        .name(&call.name)
        .input(document::from_json(&call.input))
        .build()
        .map_err(why)
}

/// Structured results go as text: the SDK's documents are hash maps, and the same result would be
/// other bytes in each request, which no provider can cache.
fn tool_result(result: &ToolResult) -> Result<ToolResultBlock, Why> {
    let mut built =
        ToolResultBlock::builder().tool_use_id(&result.tool_use_id).set_status(result.status.map(|status| {
            match status {
                ToolStatus::Success => ToolResultStatus::Success,
                ToolStatus::Error => ToolResultStatus::Error,
            }
        }));
    for content in &result.content {
        let text = match content {
            ToolResultContent::Json(json) => json.as_str().to_owned(),
            ToolResultContent::Text(text) => text.clone(),
        };
        built = built.content(ToolResultContentBlock::Text(text));
    }
    built.build().map_err(why)
}

fn reasoning(thought: &Reasoning) -> Result<ReasoningContentBlock, Why> {
    Ok(match thought {
        Reasoning::ReasoningText(thought) => ReasoningContentBlock::ReasoningText(
            ReasoningTextBlock::builder()
                .text(&thought.text)
                .set_signature(thought.signature.clone())
                .build()
                .map_err(why)?,
        ),
        Reasoning::RedactedContent(text) => {
            let bytes = aws_smithy_types::base64::decode(text).map_err(why)?;
            ReasoningContentBlock::RedactedContent(Blob::new(bytes))
        }
    })
}

fn tool_choice(choice: &ToolChoice) -> Result<SdkToolChoice, Why> {
    Ok(match choice {
        ToolChoice::Auto {} => SdkToolChoice::Auto(AutoToolChoice::builder().build()),
        ToolChoice::Any {} => SdkToolChoice::Any(AnyToolChoice::builder().build()),
        ToolChoice::Tool { name } => {
            SdkToolChoice::Tool(SpecificToolChoice::builder().name(name).build().map_err(why)?)
        }
    })
}

fn guardrail(guardrail: &Guardrail) -> GuardrailConfiguration {
    GuardrailConfiguration::builder()
        .guardrail_identifier(&guardrail.guardrail_identifier)
        .guardrail_version(&guardrail.guardrail_version)
        .set_trace(guardrail.trace.as_deref().map(GuardrailTrace::from))
        .build()
}
