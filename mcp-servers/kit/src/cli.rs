//! The command line that every server binary has.

use std::{io::Write as _, net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

use anyhow::Context as _;
use clap::Args;
use midwatch_policy::Catalog;
use rmcp::ServerHandler;
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

use crate::{
    aws::{Aws, AwsSettings, CALLS_PER_SECOND},
    clock::SystemClock,
    connect::{connect_in_process, serve_stdio},
    ctx::Ctx,
    http::{self, Access, HttpSettings, Token},
    principal::{NewPrincipal, Principal, Principals},
    work::{GRACE, Work},
};

/// Arguments of every server binary; flatten them into its own.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// A file (TOML) with these settings: the long names, with `_` for `-`, such as `catalog = "catalog.toml"`.
    /// Paths in it are relative to where it lies. Flags and environment variables go before it.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_SERVER_CONFIG")]
    pub config: Option<PathBuf>,
    /// Serve streamable HTTP on this address (path /mcp) instead of stdio, such as 127.0.0.1:8710.
    /// Callers present the bearer token in MIDWATCH_TOKEN or the file MIDWATCH_TOKEN_FILE names, or
    /// each one of its own (--callers); without either, only a loopback address is accepted.
    #[arg(long, value_name = "ADDR", env = "MIDWATCH_HTTP")]
    pub http: Option<SocketAddr>,
    /// Who may call over HTTP, each with a token of its own (TOML: [[caller]] name, kind,
    /// token_sha256). Read at start.
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CALLERS")]
    pub callers: Option<PathBuf>,
    /// Make a token for a caller, print it once with the entry for the callers file, and exit. KIND
    /// is `supervisor`, `agent_client` or, which means something to midwatch-remediation only, `desk`.
    #[arg(long, num_args = 2, value_names = ["NAME", "KIND"])]
    pub new_caller: Option<Vec<String>>,
    /// A further host name under which HTTP callers may address this server; several with commas.
    #[arg(long, value_name = "NAME", value_delimiter = ',', env = "MIDWATCH_ALLOW_HOST")]
    pub allow_host: Vec<String>,
    /// A browser origin that may call over HTTP, such as https://ops.example.com. None otherwise.
    #[arg(long, value_name = "ORIGIN", value_delimiter = ',', env = "MIDWATCH_ALLOW_ORIGIN")]
    pub allow_origin: Vec<String>,
    /// How many seconds calls under way have to end after SIGTERM or SIGINT; then those that read are cut off, also at
    /// AWS. A second signal cuts them off at once. Changes that were begun are always brought to their end.
    #[arg(long, value_name = "SECONDS", default_value_t = GRACE.as_secs(), env = "MIDWATCH_GRACE")]
    pub grace: u64,
    /// Service catalog (TOML).
    #[arg(long, value_name = "FILE", env = "MIDWATCH_CATALOG")]
    pub catalog: Option<PathBuf>,
    /// AWS region where the catalog names none.
    #[arg(long, value_name = "REGION")]
    pub region: Option<String>,
    /// AWS profile.
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Calls of one AWS operation a second, 20 at once at most: the account's quotas are for its people,
    /// too. What comes faster waits its turn, 6 s at most. 0: as many as come.
    #[arg(long, value_name = "N", default_value_t = CALLS_PER_SECOND, env = "MIDWATCH_AWS_CALLS_PER_SECOND")]
    pub aws_calls_per_second: u32,
    /// Print the tools as JSON and exit. Contacts nothing.
    #[arg(long)]
    pub list_tools: bool,
    /// Print the least IAM policy this server works with and exit.
    #[arg(long)]
    pub iam_policy: bool,
    /// What to log to stderr, as `tracing` directives.
    #[arg(long, value_name = "FILTER", default_value = "info,rmcp=warn", env = "MIDWATCH_LOG")]
    pub log: String,
}

impl ServeArgs {
    /// Does what the arguments say: prints, or builds the server and serves it to its end.
    pub async fn run<S>(
        self,
        iam_policy: &str,
        build: impl FnOnce(Ctx) -> anyhow::Result<S>,
    ) -> anyhow::Result<()>
    where
        S: ServerHandler + Clone + Send + Sync + 'static,
    {
        if self.iam_policy {
            return print(iam_policy.trim_end());
        }
        if let Some([name, kind]) = self.new_caller.as_deref() {
            return new_caller(name, kind);
        }
        start_tracing(&self.log)?;
        let ctx = self.ctx()?;
        let work = ctx.work.clone();
        let server = build(ctx)?;
        if self.list_tools {
            let client = Box::pin(connect_in_process(server)).await?;
            return print(&serde_json::to_string_pretty(&client.list_all_tools().await?)?);
        }
        let (stop, grace) = (CancellationToken::new(), Duration::from_secs(self.grace));
        tokio::spawn(stop_on_signals(stop.clone(), work.clone()));
        let Some(addr) = self.http else {
            return Ok(Box::pin(serve_stdio(server, work, grace, stop)).await?);
        };
        let settings = HttpSettings {
            access: self.access()?,
            allowed_hosts: self.allow_host,
            allowed_origins: self.allow_origin,
            work,
            grace,
            ..HttpSettings::on(addr)
        };
        let bound = Box::pin(http::bind(server, settings)).await?;
        tracing::info!(addr = %bound.local_addr(), path = http::PATH, "serving streamable HTTP");
        Ok(bound.run(stop).await?)
    }

    fn access(&self) -> anyhow::Result<Access> {
        match (&self.callers, token()?) {
            (Some(_), Some(_)) => {
                anyhow::bail!(
                    "both MIDWATCH_TOKEN and --callers are given: remove one, so that it is clear who may call"
                )
            }
            (Some(file), None) => Ok(Access::Principals(
                Principals::load(file)
                    .with_context(|| format!("in the callers file `{}`", file.display()))?,
            )),
            (None, Some(token)) => Ok(Access::Token(token)),
            (None, None) => Ok(Access::Local),
        }
    }

    fn ctx(&self) -> anyhow::Result<Ctx> {
        let catalog = match &self.catalog {
            None => Catalog::default(),
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .with_context(|| format!("cannot read the catalog `{}`", path.display()))?;
                Catalog::parse(&text).with_context(|| format!("in `{}`", path.display()))?
            }
        };
        let settings = AwsSettings {
            region: self.region.clone(),
            profile: self.profile.clone(),
            calls_per_second: self.aws_calls_per_second,
            ..AwsSettings::default()
        };
        Ok(Ctx::new(Aws::new(settings), Arc::new(catalog), Arc::new(SystemClock)))
    }
}

/// The end of every server's `main`: what went wrong goes to stderr in one line, with its causes and
/// without a backtrace, which would tell an operator nothing about a wrong file or address.
pub fn exit_code(name: &str, served: anyhow::Result<()>) -> ExitCode {
    match served {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Without stderr there is nobody to tell.
            let _ = writeln!(std::io::stderr().lock(), "{name}: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// What logs whole requests and answers, headers included, when it may.
const LOUD: [&str; 8] = [
    "rmcp",
    "aws_smithy_runtime",
    "aws_smithy_runtime_api",
    "aws_smithy_http_client",
    "aws_config",
    "hyper",
    "hyper_util",
    "h2",
];

/// The filter, with what logs bodies held at `info` unless it is named. Only a filter whose default
/// is more verbose than that is changed: `warn` stays `warn` for all.
fn without_bodies(filter: &str) -> String {
    fn target(directive: &str) -> &str {
        directive.split(['=', '[']).next().unwrap_or_default().trim()
    }
    let is_loud = |directive: &str| {
        let level = directive.rsplit('=').next().unwrap_or(directive).trim().to_ascii_lowercase();
        let for_all = !directive.contains('=') || target(directive).is_empty();
        for_all && ["debug", "trace", "4", "5"].contains(&level.as_str())
    };
    let mut quiet = filter.to_owned();
    if filter.split(',').any(is_loud) {
        for name in LOUD.iter().filter(|name| filter.split(',').all(|directive| target(directive) != **name))
        {
            quiet.extend([",", name, "=info"]);
        }
    }
    quiet
}

/// Logs to stderr: stdout belongs to MCP. Clients and the protocol stay at `info` unless the filter
/// names them, because at `debug` and `trace` they log whole requests.
pub fn start_tracing(filter: &str) -> anyhow::Result<()> {
    let filter = without_bodies(filter);
    let filter = EnvFilter::try_new(&filter).with_context(|| format!("`{filter}` is no log filter"))?;
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        // It would say so on stderr, by a macro that panics where stderr cannot be written: with a log
        // file on a full disk, every event would break off whoever noted it.
        .log_internal_errors(false)
        .with_ansi(std::io::IsTerminal::is_terminal(&std::io::stderr()))
        .try_init()
        .map_err(|error| anyhow::anyhow!("logging cannot be set up: {error}"))
}

fn token() -> anyhow::Result<Option<Token>> {
    let text = match (std::env::var("MIDWATCH_TOKEN"), std::env::var_os("MIDWATCH_TOKEN_FILE")) {
        (Ok(text), _) => text,
        (Err(_), Some(path)) => {
            let path = PathBuf::from(path);
            std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the token file `{}`", path.display()))?
        }
        (Err(_), None) => return Ok(None),
    };
    Ok(Some(Token::parse(&text)?))
}

/// The token goes to stdout once and is kept nowhere.
fn new_caller(name: &str, kind: &str) -> anyhow::Result<()> {
    let NewPrincipal { token, entry } = NewPrincipal::make(&Principal::new(name, kind.parse()?)?)?;
    print(&format!("# The token of `{name}`, shown this once; give it to the caller alone:\n{token}\n"))?;
    print(&format!(
        "# Add this to the callers file (--callers) and start the server again:\n{}",
        entry.trim_end()
    ))
}

/// The first signal asks to end; the second one says that the grace is over.
async fn stop_on_signals(stop: CancellationToken, work: Work) {
    stop_on_signal(stop).await;
    stop_on_signal(CancellationToken::new()).await;
    work.cut_off();
}

/// Cancels on SIGINT or SIGTERM: how every process of ours is asked to end.
pub async fn stop_on_signal(stop: CancellationToken) {
    let interrupt = tokio::signal::ctrl_c();
    match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! { _ = interrupt => {}, _ = terminate.recv() => {} }
        }
        Err(_) => {
            // Without a handler for SIGTERM the process simply ends on it.
            let _ = interrupt.await;
        }
    }
    stop.cancel();
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(writeln!(std::io::stdout().lock(), "{text}")?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_are_never_logged_by_default_and_a_quiet_filter_stays_quiet() {
        for quiet in ["", "info", "warn", "error", "off", "warn,midwatch_logs=debug", "rmcp=trace"] {
            assert_eq!(without_bodies(quiet), quiet);
        }
        for loud in ["trace", "debug", "TRACE", "5", "info, debug", "[call]=trace"] {
            let filter = without_bodies(loud);
            for name in LOUD {
                assert!(filter.split(',').any(|d| d == format!("{name}=info")), "{filter}");
            }
            assert!(EnvFilter::try_new(&filter).is_ok(), "{filter}");
        }
        let named = without_bodies("trace,rmcp=debug,aws_smithy_runtime=warn");
        assert!(!named.contains("rmcp=info") && !named.contains("aws_smithy_runtime=info"), "{named}");
        assert!(named.contains("aws_smithy_runtime_api=info"), "{named}");
    }

    #[derive(Debug, clap::Parser)]
    struct Program {
        #[command(flatten)]
        serve: ServeArgs,
    }

    #[test]
    fn every_flag_that_serves_has_a_variable() {
        use clap::CommandFactory as _;
        // What makes the program do something else, and what AWS has variables of its own for.
        let without = ["new-caller", "list-tools", "iam-policy", "help", "version", "region", "profile"];
        let command = Program::command();
        let flags = command.get_arguments().filter_map(|flag| Some((flag.get_long()?, flag)));
        for (name, flag) in flags.filter(|(name, _)| !without.contains(name)) {
            let variable = flag.get_env().unwrap_or_else(|| panic!("--{name} has no variable"));
            assert!(variable.to_str().unwrap().starts_with("MIDWATCH_"), "--{name}");
        }
        let several = ["program", "--allow-host", "a,b", "--allow-host", "c"];
        let given = <Program as clap::Parser>::try_parse_from(several).unwrap();
        assert_eq!(given.serve.allow_host, ["a", "b", "c"]);
    }

    #[test]
    fn an_error_is_an_exit_code() {
        assert_eq!(exit_code("midwatch-test", Err(anyhow::anyhow!("no such file"))), ExitCode::FAILURE);
        assert_eq!(exit_code("midwatch-test", Ok(())), ExitCode::SUCCESS);
    }
}
