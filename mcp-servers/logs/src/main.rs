//! `midwatch-logs`: the server on stdio or streamable HTTP.

use std::process::ExitCode;

use clap::Parser;
use midwatch_logs::LogsArgs;
use midwatch_mcp::{arguments, exit_code};

/// MCP server for CloudWatch Logs: error patterns with onset and baseline, bounded queries.
///
/// Speaks MCP on stdio unless --http is given. Uses the ordinary AWS credential chain and
/// AWS_ENDPOINT_URL*; it only reads.
#[derive(Debug, Parser)]
#[command(name = "midwatch-logs", version)]
struct Arguments {
    #[command(flatten)]
    args: LogsArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("midwatch-logs", arguments::<Arguments>().args.run().await)
}
