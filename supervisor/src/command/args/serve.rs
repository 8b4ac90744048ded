//! Arguments of `serve`.

use std::{net::SocketAddr, path::PathBuf};

use clap::Args;

use super::ModelChoice;

/// Arguments of `serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// The configuration; docs/serve.md has all of it
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CONFIG")]
    pub config: Option<PathBuf>,
    /// Only say what is wrong with the configuration and what it names
    #[arg(long)]
    pub check: bool,
    /// Where to listen, over what the file says
    #[arg(long, value_name = "ADDRESS:PORT", env = "MIDWATCH_LISTEN")]
    pub listen: Option<SocketAddr>,
    /// Service catalog, over what the file says
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CATALOG")]
    pub catalog: Option<PathBuf>,
    /// Directory of Markdown runbooks, over what the file says
    #[arg(long, value_name = "DIR", env = "MIDWATCH_RUNBOOKS")]
    pub runbooks: Option<PathBuf>,
    /// Third-party MCP servers, in the `mcpServers` form; docs/third-party.md; over what the file says
    #[arg(long, value_name = "FILE", env = "MIDWATCH_MCP_SERVERS")]
    pub mcp_servers: Option<PathBuf>,
    /// The policy (Cedar) that decides about their tools, over what the file says
    #[arg(long, value_name = "FILE", env = "MIDWATCH_POLICY")]
    pub policy: Option<PathBuf>,
    /// Keep incidents in this store, over what the file says
    #[arg(long, value_name = "FILE", env = "MIDWATCH_STORE")]
    pub store: Option<PathBuf>,
    /// Which model reasons, over what the file says
    #[arg(long, value_enum, env = "MIDWATCH_MODEL")]
    pub model: Option<ModelChoice>,
}
