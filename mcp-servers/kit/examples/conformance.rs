//! A server with the tools, resources and prompts that the official MCP conformance suite asks for by
//! name, behind the same serving code as every Midwatch server: what holds for it holds for them.
//!
//! `conformance ADDR` serves streamable HTTP there. `tests/foreign/conformance.py` runs the suite on it.

use std::{sync::Arc, time::Duration};

use midwatch_mcp::{http, server_info};
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
        GetPromptRequestParams, GetPromptResponse, GetPromptResult, JsonObject, ListPromptsResult,
        ListResourceTemplatesResult, ListResourcesResult, ListToolsResult, PaginatedRequestParams,
        ProgressNotificationParam, Prompt, PromptArgument, PromptMessage, PromptsCapability,
        ReadResourceRequestParams, ReadResourceResponse, ReadResourceResult, Resource, ResourceContents,
        ResourceTemplate, ResourcesCapability, Role, SamplingCapability, ServerConfig, Tool, ToolAnnotations,
    },
    service::RequestContext,
};
use serde_json::json;
use tokio_util::sync::CancellationToken;

/// One red pixel.
const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==";
/// A WAV file without a sample.
const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";
/// The suite wants to see that what comes between arrives before the answer.
const BETWEEN: Duration = Duration::from_millis(50);

#[derive(Debug, Clone)]
struct Everything;

const TOOLS: [(&str, &str); 10] = [
    ("test_simple_text", "A text."),
    ("test_image_content", "An image."),
    ("test_audio_content", "A sound."),
    ("test_embedded_resource", "A resource inside the answer."),
    ("test_multiple_content_types", "Text, image and resource."),
    ("test_error_handling", "Fails."),
    ("test_tool_with_progress", "Says three times how far it is."),
    ("test_logging_tool", "Logs nothing to a client that did not ask."),
    ("test_missing_capability", "Needs a client that samples."),
    ("test_streaming_elicitation", "Answers after progress, and never asks the client."),
];

fn tool((name, description): &(&'static str, &'static str)) -> Tool {
    let mut schema = JsonObject::new();
    schema.insert("type".to_owned(), json!("object"));
    let reads = ToolAnnotations::new().read_only(true);
    Tool::new(*name, *description, Arc::new(schema)).with_annotations(reads)
}

fn text_resource(uri: &str, text: &str, mime_type: &str) -> ResourceContents {
    ResourceContents::text(text, uri).with_mime_type(mime_type)
}

async fn progress(context: &RequestContext<RoleServer>) {
    let Some(token) = context.meta.get_progress_token() else { return };
    for percent in [0.0, 50.0, 100.0] {
        let told = ProgressNotificationParam::new(token.clone(), percent).with_total(100.0);
        // A client that has gone is no reason to fail.
        let _ = context.peer.notify_progress(told).await;
        tokio::time::sleep(BETWEEN).await;
    }
}

impl ServerHandler for Everything {
    fn get_info(&self) -> ServerConfig {
        let about = "Everything the suite asks for.";
        let mut info = server_info("midwatch-conformance", env!("CARGO_PKG_VERSION"), about);
        info.capabilities.completions = Some(JsonObject::new());
        info.capabilities.prompts = Some(PromptsCapability::default());
        info.capabilities.resources = Some(ResourcesCapability::default());
        info
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        TOOLS.iter().find(|(known, _)| *known == name).map(tool)
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(TOOLS.iter().map(tool).collect()))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let embedded = |uri: &str, text: &str, mime_type: &str| {
            ContentBlock::resource(text_resource(uri, text, mime_type))
        };
        let content = match &*request.name {
            "test_simple_text" => vec![ContentBlock::text("A simple text.")],
            "test_image_content" => vec![ContentBlock::image(PNG, "image/png")],
            "test_audio_content" => vec![ContentBlock::audio(WAV, "audio/wav")],
            "test_embedded_resource" => vec![embedded("test://embedded-resource", "Inside.", "text/plain")],
            "test_multiple_content_types" => vec![
                ContentBlock::text("Several:"),
                ContentBlock::image(PNG, "image/png"),
                embedded("test://mixed-content-resource", "{\"value\":123}", "application/json"),
            ],
            "test_error_handling" => {
                return Ok(CallToolResult::error(vec![ContentBlock::text("It failed, as asked.")]).into());
            }
            "test_tool_with_progress" | "test_streaming_elicitation" => {
                progress(&context).await;
                vec![ContentBlock::text("Done.")]
            }
            "test_logging_tool" => vec![ContentBlock::text("Nothing was logged to the client.")],
            "test_missing_capability" => {
                let mut needed = ClientCapabilities::default();
                needed.sampling = Some(SamplingCapability::default());
                return Err(ErrorData::missing_required_client_capability(needed));
            }
            other => return Err(ErrorData::invalid_params(format!("no tool `{other}`"), None)),
        };
        Ok(CallToolResult::success(content).into())
    }

    async fn list_resources(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        Ok(ListResourcesResult::with_all_items(vec![
            Resource::new("test://static-text", "text").with_mime_type("text/plain"),
            Resource::new("test://static-binary", "binary").with_mime_type("image/png"),
        ]))
    }

    async fn list_resource_templates(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        let template = ResourceTemplate::new("test://template/{id}/data", "template");
        Ok(ListResourceTemplatesResult::with_all_items(vec![template]))
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        let uri = request.uri.as_str();
        let id = uri.strip_prefix("test://template/").and_then(|rest| rest.strip_suffix("/data"));
        let contents = match (uri, id) {
            ("test://static-text", _) => text_resource(uri, "A static text.", "text/plain"),
            ("test://static-binary", _) => ResourceContents::blob(PNG, uri).with_mime_type("image/png"),
            (_, Some(id)) => text_resource(uri, &json!({ "id": id }).to_string(), "application/json"),
            _ => return Err(ErrorData::resource_not_found(format!("no resource at `{uri}`"), None)),
        };
        Ok(ReadResourceResult::new(vec![contents]).into())
    }

    async fn list_prompts(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        let prompt = |name: &str, arguments: &[&str]| {
            let argument = |name: &&str| PromptArgument::new(*name).with_required(true);
            let arguments: Vec<_> = arguments.iter().map(argument).collect();
            Prompt::new(name, Some("For the suite."), Some(arguments))
        };
        Ok(ListPromptsResult::with_all_items(vec![
            prompt("test_simple_prompt", &[]),
            prompt("test_prompt_with_arguments", &["arg1", "arg2"]),
            prompt("test_prompt_with_embedded_resource", &["resourceUri"]),
            prompt("test_prompt_with_image", &[]),
        ]))
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        _: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        let given = |name: &str| {
            let arguments = request.arguments.as_ref();
            arguments.and_then(|given| given.get(name)).and_then(|value| value.as_str()).unwrap_or_default()
        };
        let says = |content| PromptMessage::new(Role::User, content);
        let messages = match &*request.name {
            "test_simple_prompt" => vec![says(ContentBlock::text("A simple prompt."))],
            "test_prompt_with_arguments" => {
                let text = format!("arg1 is '{}', arg2 is '{}'", given("arg1"), given("arg2"));
                vec![says(ContentBlock::text(text))]
            }
            "test_prompt_with_embedded_resource" => {
                let resource = text_resource(given("resourceUri"), "Inside.", "text/plain");
                vec![says(ContentBlock::resource(resource)), says(ContentBlock::text("Read it."))]
            }
            "test_prompt_with_image" => {
                vec![says(ContentBlock::image(PNG, "image/png")), says(ContentBlock::text("Look at it."))]
            }
            other => return Err(ErrorData::invalid_params(format!("no prompt `{other}`"), None)),
        };
        Ok(GetPromptResult::new(messages).into())
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let addr = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8700".to_owned()).parse()?;
    let bound = http::bind(Everything, http::HttpSettings::on(addr)).await?;
    let stop = CancellationToken::new();
    let interrupted = stop.clone();
    tokio::spawn(async move {
        let _ = tokio::signal::ctrl_c().await;
        interrupted.cancel();
    });
    Ok(bound.run(stop).await?)
}
