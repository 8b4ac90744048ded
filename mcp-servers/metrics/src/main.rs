//! `midwatch-metrics`: the server on stdio or streamable HTTP.

use std::process::ExitCode;

use clap::Parser;
use midwatch_mcp::{ServeArgs, arguments, exit_code};
use midwatch_metrics::{IAM_POLICY, MetricsServer};

/// MCP server for CloudWatch alarms, their history, and metrics against a baseline.
///
/// Speaks MCP on stdio unless --http is given. Uses the ordinary AWS credential chain and
/// AWS_ENDPOINT_URL*; it only reads.
#[derive(Debug, Parser)]
#[command(name = "midwatch-metrics", version)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let served = arguments::<Args>().serve.run(IAM_POLICY, |ctx| Ok(MetricsServer::new(ctx))).await;
    exit_code("midwatch-metrics", served)
}
