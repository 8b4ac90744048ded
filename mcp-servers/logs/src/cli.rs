//! The command line of the server: of its own binary, and of `midwatch mcp logs`.

use clap::Args;
use midwatch_mcp::ServeArgs;

use crate::{IAM_POLICY, LogsConfig, LogsServer};

/// Arguments of the logs server.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// Gigabytes that one call may have Logs Insights scan ($0.005 each).
    #[arg(long, value_name = "GB", default_value_t = 20)]
    max_scan_gb: u64,
}

impl LogsArgs {
    /// Does what the arguments say: prints, or serves to the end.
    pub async fn run(self) -> anyhow::Result<()> {
        let max_scan_bytes = self.max_scan_gb.saturating_mul(1_000_000_000);
        let config = LogsConfig { max_scan_bytes, ..LogsConfig::default() };
        self.serve.run(IAM_POLICY, |ctx| Ok(LogsServer::with_config(ctx, config))).await
    }
}
