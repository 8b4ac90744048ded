//! The guard at dispatch: whatever a tool does, the caller gets an answer.
//!
//! `rmcp` sends no response when a tool panics, does not abort a handler whose call was cancelled, and says of a request
//! that it cannot read that there is no such method. So every server is served behind this wrapper. (That it drops a line
//! over 16 MiB without a word is mended where lines are read.)

use std::{panic::AssertUnwindSafe, time::Duration};

use futures::FutureExt;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, CompleteRequestParams, CompleteResult,
        ContentBlock, CustomRequest, CustomResult, GetPromptRequestParams, GetPromptResponse, JsonObject,
        ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult, ListToolsResult,
        PaginatedRequestParams, ReadResourceRequestParams, ReadResourceResponse, ServerConfig, Tool,
    },
    service::RequestContext,
};
use tracing::Instrument;

use crate::{
    arguments,
    error::{ErrorKind, ToolError},
    listed::listed,
    malformed,
    output::clip,
    progress::Progress,
    text::plain_text,
    work::Work,
};

/// How long a reading call may take.
const READ_DEADLINE: Duration = Duration::from_mins(2);
/// How large a result may be whatever its server thinks.
const HARD_LIMIT: usize = 1024 * 1024;

/// A server with a guard before its tools. What it does not guard it passes on: a method that is missing
/// here would be answered by `rmcp`'s empty default, whatever the server itself knows.
///
/// INVARIANT: a call of a tool that is not marked read-only is never dropped half way, neither at
/// the deadline nor on cancellation nor when the server ends: what it began must reach its own end and record.
#[derive(Debug, Clone)]
pub struct Guarded<S> {
    server: S,
    work: Work,
}

impl<S> Guarded<S> {
    /// This server, which is never asked to end.
    pub fn new(server: S) -> Self {
        Self::under(server, Work::default())
    }

    /// This server, whose calls are part of that work: while it closes none is taken.
    pub const fn under(server: S, work: Work) -> Self {
        Self { server, work }
    }
}

impl<S: ServerHandler> ServerHandler for Guarded<S> {
    fn get_info(&self) -> ServerConfig {
        self.server.get_info()
    }

    fn get_tool(&self, name: &str) -> Option<Tool> {
        self.server.get_tool(name)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        let mut list = self.server.list_tools(request, context).await?;
        list.tools = list.tools.into_iter().map(listed).collect();
        Ok(list)
    }

    async fn list_resources(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourcesResult, ErrorData> {
        self.server.list_resources(request, context).await
    }

    async fn list_resource_templates(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListResourceTemplatesResult, ErrorData> {
        self.server.list_resource_templates(request, context).await
    }

    async fn read_resource(
        &self,
        request: ReadResourceRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<ReadResourceResponse, ErrorData> {
        self.server.read_resource(request, context).await
    }

    async fn complete(
        &self,
        request: CompleteRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CompleteResult, ErrorData> {
        self.server.complete(request, context).await
    }

    async fn list_prompts(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListPromptsResult, ErrorData> {
        self.server.list_prompts(request, context).await
    }

    async fn get_prompt(
        &self,
        request: GetPromptRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<GetPromptResponse, ErrorData> {
        self.server.get_prompt(request, context).await
    }

    async fn on_custom_request(
        &self,
        request: CustomRequest,
        _context: RequestContext<RoleServer>,
    ) -> Result<CustomResult, ErrorData> {
        Err(malformed::refusal(&request))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let span = tracing::info_span!("tool_call", tool = %clip(&request.name, 80));
        // First in, last out: what a call leaves behind when it is dropped is under way before this ends.
        let _under_way = self.work.hold();
        if self.work.is_closing() {
            return Ok(unavailable("the server is shutting down and takes no calls any more"));
        }
        let tool = self.server.get_tool(&request.name);
        let given = request.arguments.clone();
        let hints = tool.as_ref().and_then(|tool| tool.annotations.as_ref());
        let reads = hints.is_some_and(|hints| hints.read_only_hint == Some(true));
        let cancelled = context.ct.clone();
        let progress = Progress::of(&context);
        let call = AssertUnwindSafe(self.server.call_tool(request, context)).catch_unwind();
        let call = progress.during(call);
        async {
            let outcome = if reads {
                tokio::select! {
                    outcome = call => outcome,
                    () = cancelled.cancelled() => return Ok(answer(ErrorKind::Timeout, "the caller cancelled the call")),
                    () = self.work.is_cut_off() => return Ok(unavailable("the call was cut off: the server is shutting down")),
                    () = tokio::time::sleep(READ_DEADLINE) => return Ok(answer(ErrorKind::Timeout, "the call took too long")),
                }
            } else {
                call.await
            };
            match outcome {
                Ok(Ok(CallToolResponse::Complete(result))) => Ok(checked(result, tool.as_ref(), given.as_ref()).into()),
                Ok(other) => other,
                Err(panic) => {
                    tracing::error!(panic = %panic_text(panic.as_ref()), "a tool panicked");
                    Ok(with_text(ToolError::internal("the tool failed").into_result()).into())
                }
            }
        }
        .instrument(span)
        .await
    }
}

fn answer(kind: ErrorKind, message: &str) -> CallToolResponse {
    let mend = "ask for less: a narrower window, fewer groups";
    with_text(ToolError::new(kind, message, mend).into_result()).into()
}

fn unavailable(message: &str) -> CallToolResponse {
    let mend = "ask once more, when the server is back";
    with_text(ToolError::new(ErrorKind::Unavailable, message, mend).into_result()).into()
}

/// Explains bare text errors (rmcp's own about arguments) in the common shape, refuses oversized results,
/// and gives every result its short text.
fn checked(result: CallToolResult, tool: Option<&Tool>, given: Option<&JsonObject>) -> CallToolResult {
    if result.is_error == Some(true) && result.structured_content.is_none() {
        let text = result.content.iter().find_map(|block| block.as_text()).map_or("", |text| &text.text);
        return with_text(arguments::explained(text, tool, given).into_result());
    }
    let size: usize =
        result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.len()).sum();
    if size > HARD_LIMIT {
        tracing::error!(size, "a result was too large to send");
        let mend = "ask for a narrower window or a lower limit";
        return with_text(ToolError::refused("the result is too large", mend).into_result());
    }
    with_text(result)
}

/// The short text in place of `rmcp`'s copy of the JSON. A text that a tool wrote itself stays.
fn with_text(mut result: CallToolResult) -> CallToolResult {
    if let (Some(value), [only]) = (&result.structured_content, result.content.as_slice()) {
        let json = value.to_string();
        if only.as_text().is_some_and(|text| text.text == json) {
            result.content = vec![ContentBlock::text(plain_text(value))];
        }
    }
    result
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}
