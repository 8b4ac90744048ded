//! `midwatch-logs`: the server on stdio or streamable HTTP.

use std::process::ExitCode;

use clap::Parser;
use midwatch_logs::{IAM_POLICY, LogsConfig, LogsServer};
use midwatch_mcp::{ServeArgs, exit_code};

/// MCP server for CloudWatch Logs: error patterns with onset and baseline, bounded queries.
///
/// Speaks MCP on stdio unless --http is given. Uses the ordinary AWS credential chain and
/// AWS_ENDPOINT_URL*; it only reads.
#[derive(Debug, Parser)]
#[command(name = "midwatch-logs", version)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
    /// Gigabytes that one call may have Logs Insights scan ($0.005 each).
    #[arg(long, value_name = "GB", default_value_t = 20)]
    max_scan_gb: u64,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { serve, max_scan_gb } = Args::parse();
    let max_scan_bytes = max_scan_gb.saturating_mul(1_000_000_000);
    let config = LogsConfig { max_scan_bytes, ..LogsConfig::default() };
    let served = serve.run(IAM_POLICY, |ctx| Ok(LogsServer::with_config(ctx, config))).await;
    exit_code("midwatch-logs", served)
}
