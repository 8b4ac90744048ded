//! Serves runbooks to any MCP client, on stdio or streamable HTTP.

use std::process::ExitCode;

use clap::Parser;
use midwatch_mcp::{arguments, exit_code};
use midwatch_runbooks::RunbooksArgs;

/// MCP server: finds the runbooks that fit an error or a symptom. Reads only.
#[derive(Debug, Parser)]
#[command(name = "midwatch-runbooks", version)]
struct Arguments {
    #[command(flatten)]
    args: RunbooksArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("midwatch-runbooks", arguments::<Arguments>().args.run().await)
}
