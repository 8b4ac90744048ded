//! Serves the remediation tools to any MCP client, on stdio or streamable HTTP.

use std::process::ExitCode;

use clap::Parser;
use midwatch_mcp::{arguments, exit_code};
use midwatch_remediation::RemediationArgs;

/// MCP server: plans rollbacks, restarts and scaling by reading, and makes them on a permit that a
/// person's approval signed for exactly that change.
///
/// To plan only, give a catalog. To act, it also needs: the desk (--desk, with its token for this
/// server in MIDWATCH_DESK_TOKEN or the file MIDWATCH_DESK_TOKEN_FILE names), the approvers' public
/// keys (--keys), a store of spent permits (--spend), and callers that are known by name (--callers
/// with --http, or --caller on stdio). Until all are there, every change is refused and nothing is
/// asked. Keys, policy, calendar and runbooks are read again at each act; one that is broken refuses.
#[derive(Parser)]
#[command(name = "midwatch-remediation", version)]
struct Arguments {
    #[command(flatten)]
    args: RemediationArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("midwatch-remediation", arguments::<Arguments>().args.run().await)
}
