//! The command line of the server: of its own binary, and of `midwatch mcp runbooks`.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use midwatch_mcp::ServeArgs;

use crate::{IAM_POLICY, RunbooksConfig, RunbooksServer};

/// Arguments of the runbooks server.
#[derive(Debug, Clone, Args)]
pub struct RunbooksArgs {
    /// Directory of Markdown runbooks, with all directories below it.
    #[arg(long, value_name = "DIR", env = "MIDWATCH_RUNBOOKS")]
    runbooks: Option<PathBuf>,
    /// Bedrock knowledge base to ask first.
    #[arg(long, value_name = "ID", env = "MIDWATCH_KNOWLEDGE_BASE")]
    knowledge_base: Option<String>,
    /// Reranking model of Bedrock that puts what the knowledge base finds into order: an id such as
    /// amazon.rerank-v1:0, or an ARN.
    #[arg(long, value_name = "MODEL", env = "MIDWATCH_RERANK_MODEL", requires = "knowledge_base")]
    rerank_model: Option<String>,
    #[command(flatten)]
    serve: ServeArgs,
}

impl RunbooksArgs {
    /// Does what the arguments say: prints, or serves to the end.
    pub async fn run(self) -> anyhow::Result<()> {
        if let Some(directory) = &self.runbooks {
            std::fs::read_dir(directory).with_context(|| {
                format!(
                    "the runbook directory `{}` cannot be read: name one that exists (--runbooks, MIDWATCH_RUNBOOKS)",
                    directory.display()
                )
            })?;
        }
        let config = RunbooksConfig {
            directory: self.runbooks,
            knowledge_base_id: self.knowledge_base,
            rerank_model: self.rerank_model,
        };
        self.serve.run(IAM_POLICY, |ctx| Ok(RunbooksServer::new(ctx, config))).await
    }
}
