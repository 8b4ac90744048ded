//! Serves runbooks to any MCP client, on stdio or streamable HTTP.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use midwatch_mcp::{ServeArgs, exit_code};
use midwatch_runbooks::{IAM_POLICY, RunbooksConfig, RunbooksServer};

/// MCP server: finds the runbooks that fit an error or a symptom. Reads only.
#[derive(Parser)]
#[command(name = "midwatch-runbooks", version)]
struct Args {
    /// Directory of Markdown runbooks, with all directories below it.
    #[arg(long, value_name = "DIR", env = "MIDWATCH_RUNBOOKS")]
    runbooks: Option<PathBuf>,
    /// Bedrock knowledge base to ask first.
    #[arg(long, value_name = "ID", env = "MIDWATCH_KNOWLEDGE_BASE")]
    knowledge_base: Option<String>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let config = RunbooksConfig { directory: args.runbooks, knowledge_base_id: args.knowledge_base };
    let served = args.serve.run(IAM_POLICY, |ctx| Ok(RunbooksServer::new(ctx, config))).await;
    exit_code("midwatch-runbooks", served)
}
