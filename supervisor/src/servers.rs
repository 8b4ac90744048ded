//! The servers of an incident, started in this process: each is the same server that its own
//! binary serves, behind an in-memory pipe.

use std::path::PathBuf;

use midwatch_deployments::DeploymentsServer;
use midwatch_logs::LogsServer;
use midwatch_mcp::{Client, ConnectError, Ctx, connect_in_process};
use midwatch_metrics::MetricsServer;
use midwatch_runbooks::{RunbooksConfig, RunbooksServer};

use crate::tools::Toolbox;

/// Starts the servers that only read.
pub async fn readers(ctx: &Ctx, runbooks: Option<PathBuf>) -> Toolbox {
    let config = RunbooksConfig {
        directory: runbooks,
        knowledge_base_id: std::env::var("MIDWATCH_KNOWLEDGE_BASE").ok(),
    };
    let mut toolbox = Toolbox::new();
    let (logs, metrics, deployments, runbooks) = tokio::join!(
        Box::pin(connect_in_process(LogsServer::new(ctx.clone()))),
        Box::pin(connect_in_process(MetricsServer::new(ctx.clone()))),
        Box::pin(connect_in_process(DeploymentsServer::new(ctx.clone()))),
        Box::pin(connect_in_process(RunbooksServer::new(ctx.clone(), config))),
    );
    for (name, client) in
        [("logs", logs), ("metrics", metrics), ("deployments", deployments), ("runbooks", runbooks)]
    {
        attach(&mut toolbox, name, client).await;
    }
    toolbox
}

/// Adds a server, or notes why it is not there.
pub(crate) async fn attach(toolbox: &mut Toolbox, name: &'static str, client: Result<Client, ConnectError>) {
    match client {
        Ok(client) => toolbox.attach(name, client).await,
        Err(error) => toolbox.without(name, &error.to_string()),
    }
}
