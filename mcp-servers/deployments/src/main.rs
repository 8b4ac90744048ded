//! Serves the deployments tools to any MCP client, on stdio or streamable HTTP.

use std::process::ExitCode;

use clap::Parser;
use midwatch_deployments::{DeploymentsServer, IAM_POLICY};
use midwatch_mcp::{ServeArgs, arguments, exit_code};

/// MCP server: deployments by CodeDeploy and ECS, what they changed, how well they fit an onset,
/// and whether a service's tasks live. Reads only.
#[derive(Parser)]
#[command(name = "midwatch-deployments", version)]
struct Args {
    #[command(flatten)]
    serve: ServeArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let served = arguments::<Args>().serve.run(IAM_POLICY, |ctx| Ok(DeploymentsServer::new(ctx))).await;
    exit_code("midwatch-deployments", served)
}
