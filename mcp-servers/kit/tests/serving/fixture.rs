//! A small server behind the kit.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use midwatch_mcp::{Progress, Time, ToolError};
use rmcp::{
    Json, ServerHandler,
    handler::server::{router::tool::ToolRouter, wrapper::Parameters},
    model::{CallToolRequestParams, CallToolResult, ServerConfig},
    tool, tool_handler, tool_router,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Args {
    /// What is said back, such as `a`.
    text: String,
    /// How often.
    #[serde(default)]
    times: Option<u32>,
    /// How loud.
    #[serde(default)]
    voice: Option<Voice>,
    /// When.
    #[serde(default)]
    at: Option<Time>,
    /// Where.
    #[serde(default)]
    place: Option<Place>,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
enum Voice {
    /// Hardly.
    Quiet,
    /// Very.
    Loud,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Place {
    /// Its name.
    name: String,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Echo {
    text: String,
}

#[derive(Debug, Clone)]
pub(crate) struct Fixture {
    /// Calls that came to their end.
    pub(crate) done: Arc<AtomicUsize>,
    /// How long is long.
    long: Duration,
    tool_router: ToolRouter<Self>,
}

#[tool_router]
impl Fixture {
    pub(crate) fn new() -> Self {
        Self::with(Duration::from_millis(150))
    }

    pub(crate) fn with(long: Duration) -> Self {
        Self { done: Arc::default(), long, tool_router: Self::tool_router() }
    }

    #[tool(description = "Says it back.", annotations(read_only_hint = true))]
    async fn echo(&self, Parameters(args): Parameters<Args>) -> Result<Json<Echo>, ToolError> {
        match args.text.as_str() {
            "panic" => panic!("a defect with a `secret`"),
            "missing" => Err(ToolError::not_found("no such thing", "try another")),
            _ => {
                let at = args.at.map(|at| at.to_string()).unwrap_or_default();
                let place = args.place.map(|place| place.name).unwrap_or_default();
                let times = usize::try_from(args.times.unwrap_or(1)).unwrap();
                let text = if matches!(args.voice, Some(Voice::Loud)) {
                    args.text.to_uppercase()
                } else {
                    args.text
                };
                Ok(Json(Echo { text: text.repeat(times) + &at + &place }))
            }
        }
    }

    #[tool(description = "Reads for long.", annotations(read_only_hint = true))]
    async fn read_long(&self) -> String {
        Progress::current().step(|| "half".to_owned()).await;
        tokio::time::sleep(self.long).await;
        self.done.fetch_add(1, Ordering::SeqCst);
        "read".to_owned()
    }

    #[tool(description = "Reads without end.", annotations(read_only_hint = true))]
    async fn read_endless(&self) -> String {
        std::future::pending().await
    }

    #[tool(description = "Writes for longer.", annotations(read_only_hint = false))]
    async fn write_longest(&self) -> String {
        tokio::time::sleep(Duration::from_millis(900)).await;
        self.done.fetch_add(1, Ordering::SeqCst);
        "written".to_owned()
    }

    #[tool(description = "Writes for long.", annotations(read_only_hint = false))]
    async fn write_long(&self) -> String {
        tokio::time::sleep(self.long).await;
        self.done.fetch_add(1, Ordering::SeqCst);
        "written".to_owned()
    }
}

#[tool_handler(router = self.tool_router)]
impl ServerHandler for Fixture {
    fn get_info(&self) -> ServerConfig {
        midwatch_mcp::server_info("fixture", "1.2.3", "For tests.")
    }
}

pub(crate) fn call(tool: &'static str, arguments: Value) -> CallToolRequestParams {
    CallToolRequestParams::new(tool).with_arguments(arguments.as_object().cloned().unwrap())
}

pub(crate) fn kind(result: &CallToolResult) -> Value {
    assert_eq!(result.is_error, Some(true), "{result:?}");
    result.structured_content.as_ref().unwrap()["error"]["kind"].clone()
}

pub(crate) fn texts(result: &CallToolResult) -> Vec<&str> {
    result.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str()).collect()
}
