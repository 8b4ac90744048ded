//! The command line of the server: of its own binary, and of `midwatch mcp remediation`.

use std::{path::PathBuf, sync::Arc};

use anyhow::Context as _;
use clap::Args;
use midwatch_mcp::{Network, Principal, PrincipalKind, Remote, ServeArgs, Standing};
use midwatch_policy::Rules;

use crate::{
    DeskOverHttp, IAM_POLICY, KillSwitch, PermitSource, RemediationConfig, RemediationServer, SpendStore,
};

/// Arguments of the remediation server.
#[derive(Debug, Clone, Args)]
pub struct RemediationArgs {
    /// Where the desk is, such as https://desk.example.com or http://127.0.0.1:8700.
    #[arg(long, value_name = "URL", env = "MIDWATCH_DESK", requires_all = ["keys", "spend"])]
    desk: Option<String>,
    /// Nobody else listens on the network to the desk, such as between containers of one host: the
    /// token may go to it over plain HTTP.
    #[arg(long)]
    private_network: bool,
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
    /// File whose existence stops every change; so does the variable MIDWATCH_KILL_SWITCH, set to anything but `0` or
    /// nothing.
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

impl RemediationArgs {
    /// Does what the arguments say: prints, or serves to the end.
    pub async fn run(self) -> anyhow::Result<()> {
        let serve = self.serve.clone();
        serve.run(IAM_POLICY, |ctx| Ok(RemediationServer::new(ctx, self.config()?))).await
    }

    fn config(self) -> anyhow::Result<RemediationConfig> {
        let spend = match &self.spend {
            Some(path) => SpendStore::open(path).with_context(|| format!("in `{}`", path.display()))?,
            None => SpendStore::in_memory()?,
        };
        let network = Network::private_if(self.private_network);
        let source = self.desk.as_deref().map(|url| desk(network, url)).transpose()?;
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
            catalog: self.serve.catalog.map(Standing::catalog_in),
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
fn desk(network: Network, url: &str) -> anyhow::Result<Arc<dyn PermitSource>> {
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
    let remote = Remote::over(network, url, token.trim()).context("--desk")?;
    Ok(Arc::new(DeskOverHttp::new(remote)))
}
