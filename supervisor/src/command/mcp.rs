//! `midwatch mcp NAME`: each server, out of this binary, as its own binary serves it. For images
//! that hold one binary instead of seven.

use std::{ffi::OsString, process::ExitCode};

use clap::{Args, Parser};
use midwatch_deployments::DeploymentsServer;
use midwatch_logs::LogsArgs;
use midwatch_mcp::{ServeArgs, arguments_of, exit_code};
use midwatch_metrics::MetricsServer;
use midwatch_remediation::RemediationArgs;
use midwatch_runbooks::RunbooksArgs;
use midwatch_workflows::WorkflowsServer;

/// Arguments of `mcp`: read by the server's own command line, which has a `--log` of its own.
#[derive(Debug, Args)]
pub struct McpArgs {
    #[arg(value_name = "SERVER ARGUMENTS", trailing_var_arg = true, allow_hyphen_values = true)]
    rest: Vec<OsString>,
}

/// Serve one of the MCP servers: each reads, but remediation, which acts behind permits
#[derive(Debug, Parser)]
#[command(name = "midwatch mcp", version, max_term_width = 100)]
enum Server {
    /// CloudWatch Logs: error patterns with onset and baseline, bounded queries
    Logs(LogsArgs),
    /// CloudWatch alarms, their history, and metrics against a baseline
    Metrics(ServeArgs),
    /// Deployments by CodeDeploy and ECS, what they changed, and whether services live
    Deployments(ServeArgs),
    /// The runbooks that fit an error or a symptom
    Runbooks(RunbooksArgs),
    /// Step Functions: which executions fail, where and why, beside the last good one
    Workflows(ServeArgs),
    /// Plans changes, and makes them on a permit
    Remediation(Box<RemediationArgs>),
}

pub(super) async fn run(arguments: McpArgs) -> ExitCode {
    let command = std::iter::once(OsString::from("midwatch mcp")).chain(arguments.rest);
    match arguments_of(command.collect()) {
        Server::Logs(args) => exit_code("midwatch mcp logs", Box::pin(args.run()).await),
        Server::Metrics(args) => {
            let served = args.run(midwatch_metrics::IAM_POLICY, |ctx| Ok(MetricsServer::new(ctx)));
            exit_code("midwatch mcp metrics", Box::pin(served).await)
        }
        Server::Deployments(args) => {
            let served = args.run(midwatch_deployments::IAM_POLICY, |ctx| Ok(DeploymentsServer::new(ctx)));
            exit_code("midwatch mcp deployments", Box::pin(served).await)
        }
        Server::Runbooks(args) => exit_code("midwatch mcp runbooks", Box::pin(args.run()).await),
        Server::Workflows(args) => {
            let served = args.run(midwatch_workflows::IAM_POLICY, |ctx| Ok(WorkflowsServer::new(ctx)));
            exit_code("midwatch mcp workflows", Box::pin(served).await)
        }
        Server::Remediation(args) => exit_code("midwatch mcp remediation", Box::pin(args.run()).await),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn each_server_has_the_command_line_of_its_own_binary() {
        Server::command().debug_assert();
        let read = |line: &str| Server::try_parse_from(line.split(' '));
        assert!(matches!(read("mcp logs --max-scan-gb 3 --http 127.0.0.1:0"), Ok(Server::Logs(_))));
        assert!(matches!(read("mcp metrics --list-tools"), Ok(Server::Metrics(_))));
        assert!(matches!(read("mcp deployments --iam-policy"), Ok(Server::Deployments(_))));
        assert!(matches!(read("mcp runbooks --runbooks d"), Ok(Server::Runbooks(_))));
        assert!(matches!(read("mcp workflows --list-tools"), Ok(Server::Workflows(_))));
        assert!(matches!(read("mcp remediation --audience a"), Ok(Server::Remediation(_))));
        assert!(read("mcp metrics --max-scan-gb 3").is_err() && read("mcp").is_err());
    }
}
