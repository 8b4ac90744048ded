//! Serves the remediation tools to any MCP client, on stdio or streamable HTTP.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Context as _;
use clap::Parser;
use midwatch_mcp::{Principal, PrincipalKind, ServeArgs, exit_code};
use midwatch_policy::Rules;
use midwatch_remediation::{IAM_POLICY, KillSwitch, RemediationConfig, RemediationServer, SpendStore};

/// MCP server: plans rollbacks, restarts and scaling by reading. Its mutating tools refuse here:
/// permits come from the desk of `midwatch serve`, which connects to this server.
#[derive(Parser)]
#[command(name = "midwatch-remediation", version)]
struct Args {
    /// File that records spent permits; one process holds it at a time.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_SPEND")]
    spend: Option<PathBuf>,
    /// File whose existence stops every change.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_KILL_SWITCH_FILE")]
    kill_switch: Option<PathBuf>,
    /// File whose existence says that a change freeze is on.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CHANGE_FREEZE_FILE")]
    change_freeze: Option<PathBuf>,
    /// Policy (Cedar) in place of the shipped one.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_POLICY")]
    policy: Option<PathBuf>,
    /// Name under which this server is addressed in permits.
    #[arg(long, value_name = "NAME", default_value = "midwatch-remediation")]
    audience: String,
    /// Name of the caller on stdio, as permits know it.
    #[arg(long, value_name = "NAME")]
    caller: Option<String>,
    /// What the caller on stdio is: `agent_client` or `supervisor`.
    #[arg(long, value_name = "KIND", default_value = "agent_client")]
    caller_kind: PrincipalKind,
    /// Name of the role to assume for changing, in the account of each service.
    #[arg(long, value_name = "NAME")]
    acting_role: Option<String>,
    #[command(flatten)]
    serve: ServeArgs,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Args { spend, kill_switch, change_freeze, policy, audience, caller, caller_kind, acting_role, serve } =
        Args::parse();
    let build = |ctx| {
        let spend = match spend {
            Some(path) => SpendStore::open(&path).with_context(|| format!("in `{}`", path.display()))?,
            None => SpendStore::in_memory()?,
        };
        let rules = match policy {
            Some(path) => {
                let text = std::fs::read_to_string(&path)
                    .with_context(|| format!("cannot read `{}`", path.display()))?;
                Rules::parse(&text).with_context(|| format!("in `{}`", path.display()))?
            }
            None => Rules::embedded()?,
        };
        let config = RemediationConfig {
            rules: Some(rules.into()),
            change_freeze,
            audience,
            local_caller: caller.map(|name| Principal::new(&name, caller_kind)).transpose()?,
            kill_switch: KillSwitch::new(kill_switch),
            acting_role,
            ..RemediationConfig::planning_only(spend)
        };
        Ok(RemediationServer::new(ctx, config))
    };
    let served = serve.run(IAM_POLICY, build).await;
    exit_code("midwatch-remediation", served)
}
