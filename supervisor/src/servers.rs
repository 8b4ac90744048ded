//! The servers of an incident, started in this process, each the same server that its own binary
//! serves, behind an in-memory pipe; or reached over HTTP where they run elsewhere.

use std::{collections::BTreeMap, path::PathBuf};

use midwatch_deployments::DeploymentsServer;
use midwatch_logs::LogsServer;
use midwatch_mcp::{Client, ConnectError, Ctx, Remote, connect_in_process};
use midwatch_metrics::MetricsServer;
use midwatch_policy::Redactor;
use midwatch_runbooks::{RunbooksConfig, RunbooksServer};
use midwatch_workflows::WorkflowsServer;

use crate::tools::Toolbox;

/// The servers that only read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// CloudWatch Logs.
    Logs,
    /// Alarms and metrics.
    Metrics,
    /// What was deployed when, and whether services live.
    Deployments,
    /// What people wrote down.
    Runbooks,
    /// Executions of state machines.
    Workflows,
}

impl Reader {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Logs, Self::Metrics, Self::Deployments, Self::Runbooks, Self::Workflows];

    /// As tools, configuration and messages call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Logs => "logs",
            Self::Metrics => "metrics",
            Self::Deployments => "deployments",
            Self::Runbooks => "runbooks",
            Self::Workflows => "workflows",
        }
    }
}

/// Starts the servers that only read.
pub async fn readers(ctx: &Ctx, runbooks: Option<PathBuf>) -> Toolbox {
    Box::pin(readers_at(ctx, runbooks, BTreeMap::new(), Redactor::default())).await
}

/// Starts the servers that only read, but for those that run elsewhere: they are connected to, all at once and
/// [without being waited for](Toolbox::settled). `redactor` is what
/// the logs server here takes out; one elsewhere has its own.
pub async fn readers_at(
    ctx: &Ctx,
    runbooks: Option<PathBuf>,
    mut elsewhere: BTreeMap<Reader, Remote>,
    redactor: Redactor,
) -> Toolbox {
    let mut toolbox = Toolbox::new();
    for reader in Reader::ALL {
        let name = reader.name();
        if let Some(remote) = elsewhere.remove(&reader) {
            toolbox.attach_elsewhere(name, remote);
            continue;
        }
        let client = match reader {
            Reader::Logs => {
                Box::pin(connect_in_process(LogsServer::new(ctx.clone()).redacting(redactor.clone()))).await
            }
            Reader::Metrics => Box::pin(connect_in_process(MetricsServer::new(ctx.clone()))).await,
            Reader::Deployments => Box::pin(connect_in_process(DeploymentsServer::new(ctx.clone()))).await,
            Reader::Workflows => Box::pin(connect_in_process(WorkflowsServer::new(ctx.clone()))).await,
            Reader::Runbooks => {
                let config = RunbooksConfig {
                    directory: runbooks.clone(),
                    knowledge_base_id: std::env::var("MIDWATCH_KNOWLEDGE_BASE").ok(),
                    rerank_model: std::env::var("MIDWATCH_RERANK_MODEL").ok(),
                };
                Box::pin(connect_in_process(RunbooksServer::new(ctx.clone(), config))).await
            }
        };
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
