//! Serves the workflows tools to any MCP client, on stdio or streamable HTTP.

use std::process::ExitCode;

use clap::Parser;
use midwatch_mcp::{ServeArgs, arguments, exit_code};
use midwatch_workflows::{IAM_POLICY, WorkflowsServer};

/// MCP server: executions of Step Functions state machines, where and why they fail, and what
/// differs from the last good one. Reads only.
#[derive(Parser)]
#[command(name = "midwatch-workflows", version)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let served = arguments::<Args>().serve.run(IAM_POLICY, |ctx| Ok(WorkflowsServer::new(ctx))).await;
    exit_code("midwatch-workflows", served)
}
