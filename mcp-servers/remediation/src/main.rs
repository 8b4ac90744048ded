//! Serves the remediation tools to any MCP client, on stdio or streamable HTTP.

use std::{path::PathBuf, process::ExitCode, sync::Arc};

use anyhow::Context as _;
use clap::Parser;
use midwatch_mcp::{Principal, PrincipalKind, Remote, ServeArgs, Standing, exit_code};
use midwatch_policy::Rules;
use midwatch_remediation::{
    DeskOverHttp, IAM_POLICY, KillSwitch, PermitSource, RemediationConfig, RemediationServer, SpendStore,
};

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
struct Args {
    /// Where the desk is, such as https://desk.example.com or http://127.0.0.1:8700.
    #[arg(long, value_name = "URL", env = "MIDWATCH_DESK", requires_all = ["keys", "spend"])]
    desk: Option<String>,
    /// Public keys whose permits are accepted, as `midwatch keys` writes them.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_KEYS")]
    keys: Option<PathBuf>,
    /// File that records spent permits; one process holds it at a time.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_SPEND")]
    spend: Option<PathBuf>,
    /// Policy (Cedar) in place of the shipped one; the desk has the same.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_POLICY")]
    policy: Option<PathBuf>,
    /// Change freezes and business hours (TOML); the desk has the same.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CALENDAR")]
    calendar: Option<PathBuf>,
    /// Runbooks whose contracts changes are held to; the desk has the same.
    #[arg(long, value_name = "DIR", env = "MIDWATCH_RUNBOOKS")]
    runbooks: Option<PathBuf>,
    /// File whose existence says that a change freeze is on.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CHANGE_FREEZE_FILE")]
    change_freeze: Option<PathBuf>,
    /// File whose existence stops every change.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_KILL_SWITCH_FILE")]
    kill_switch: Option<PathBuf>,
    /// Name under which this server is addressed in permits: its name at the desk.
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

impl Args {
    fn config(self) -> anyhow::Result<RemediationConfig> {
        let spend = match &self.spend {
            Some(path) => SpendStore::open(path).with_context(|| format!("in `{}`", path.display()))?,
            None => SpendStore::in_memory()?,
        };
        let source = self.desk.as_deref().map(desk).transpose()?;
        let rules = match self.policy {
            Some(file) => Standing::rules_in(file),
            None => Rules::embedded()?.into(),
        };
        let calendar = self.calendar.map(Standing::calendar_in);
        let runbooks = self.runbooks.map(Standing::runbooks_in);
        // Read again at each act; what is broken already is better said now.
        rules.now().map_err(anyhow::Error::msg).context("the policy")?;
        calendar
            .as_ref()
            .map(Standing::now)
            .transpose()
            .map_err(anyhow::Error::msg)
            .context("the calendar")?;
        runbooks
            .as_ref()
            .map(Standing::now)
            .transpose()
            .map_err(anyhow::Error::msg)
            .context("the runbooks")?;
        let planning = RemediationConfig::planning_only(spend);
        let keys = self.keys.map_or(planning.keys, Standing::keys_in);
        if let Err(why) = keys.now() {
            tracing::warn!(why, "the approvers' keys cannot be used yet: every change is refused");
        }
        Ok(RemediationConfig {
            audience: self.audience,
            local_caller: self.caller.map(|name| Principal::new(&name, self.caller_kind)).transpose()?,
            source,
            keys,
            kill_switch: KillSwitch::new(self.kill_switch),
            acting_role: self.acting_role,
            rules: Some(rules),
            calendar,
            runbooks,
            change_freeze: self.change_freeze,
            spend: planning.spend,
            limits: planning.limits,
        })
    }
}

/// The desk there, with the token by which it knows this server.
fn desk(url: &str) -> anyhow::Result<Arc<dyn PermitSource>> {
    let token = match (std::env::var("MIDWATCH_DESK_TOKEN"), std::env::var_os("MIDWATCH_DESK_TOKEN_FILE")) {
        (Ok(token), _) => token,
        (Err(_), Some(file)) => {
            let file = PathBuf::from(file);
            std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read the desk's token file `{}`", file.display()))?
        }
        (Err(_), None) => anyhow::bail!(
            "--desk needs this server's token at the desk: set MIDWATCH_DESK_TOKEN or MIDWATCH_DESK_TOKEN_FILE"
        ),
    };
    anyhow::ensure!(!token.trim().is_empty(), "this server's token at the desk is empty");
    let remote = Remote::new(url, token.trim()).context("--desk")?;
    Ok(Arc::new(DeskOverHttp::new(remote)))
}

#[tokio::main]
async fn main() -> ExitCode {
    let args = Args::parse();
    let serve = args.serve.clone();
    let served = serve.run(IAM_POLICY, |ctx| Ok(RemediationServer::new(ctx, args.config()?))).await;
    exit_code("midwatch-remediation", served)
}
