//! The command line of the server: of its own binary, and of `midwatch mcp logs`.

use anyhow::Context as _;
use clap::Args;
use midwatch_mcp::ServeArgs;
use midwatch_policy::Redactor;

use crate::{IAM_POLICY, LogsConfig, LogsServer};

/// Arguments of the logs server.
#[derive(Debug, Clone, Args)]
pub struct LogsArgs {
    #[command(flatten)]
    serve: ServeArgs,
    /// Gigabytes that one call may have Logs Insights scan ($0.005 each).
    #[arg(long, value_name = "GB", default_value_t = 20, env = "MIDWATCH_MAX_SCAN_GB")]
    max_scan_gb: u64,
    /// Redact what this matches, too, such as customer=\bC-[0-9]{8}\b; of a pattern with a group
    /// (?P<secret>…) only what that matches. In the file: a table [redact] with names and patterns.
    #[arg(long, value_name = "NAME=REGEX")]
    redact: Vec<String>,
}

impl LogsArgs {
    /// Does what the arguments say: prints, or serves to the end.
    pub async fn run(self) -> anyhow::Result<()> {
        let max_scan_bytes = self.max_scan_gb.saturating_mul(1_000_000_000);
        let config = LogsConfig { max_scan_bytes, ..LogsConfig::default() };
        let redactor = redactor(&self.redact)?;
        let build = |ctx| Ok(LogsServer::with_config(ctx, config).redacting(redactor));
        self.serve.run(IAM_POLICY, build).await
    }
}

/// An operator's patterns; all that is wrong with them is told at once.
fn redactor(patterns: &[String]) -> anyhow::Result<Redactor> {
    let pairs: Vec<(&str, &str)> = patterns
        .iter()
        .map(|pattern| {
            pattern.split_once('=').context("`--redact` is NAME=REGEX, such as customer=C-[0-9]{8}")
        })
        .collect::<anyhow::Result<_>>()?;
    Redactor::new(pairs).map_err(|wrong| {
        let all: Vec<String> = wrong.iter().map(ToString::to_string).collect();
        anyhow::anyhow!("what is to be redacted cannot be used: {}", all.join("; "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_that_cannot_be_used_is_named() {
        let of = |patterns: &[&str]| redactor(&patterns.iter().map(|p| (*p).to_owned()).collect::<Vec<_>>());
        let good = of(&["key=a=b+", "plate=[A-Z]{2}"]).unwrap();
        assert_eq!(good.redact("a=bbb XY").text, "[redacted:key] [redacted:plate]");
        let said = of(&["a=(", "email=x", "b=x*"]).unwrap_err().to_string();
        assert!(said.contains("`a` is no regular expression: unclosed group"), "{said}");
        assert!(
            said.contains("`email` is built in") && said.contains("`b` matches the empty text"),
            "{said}"
        );
        assert!(of(&["a"]).unwrap_err().to_string().contains("NAME=REGEX"));
    }
}
