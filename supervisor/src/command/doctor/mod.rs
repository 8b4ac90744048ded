//! `midwatch doctor`: what is configured, reachable and permitted, what is missing, and how to
//! mend it. Everything is tried the way an incident would use it: through the servers.

mod cloud;
mod guests;
mod local;

use std::{io::Write as _, process::ExitCode, sync::Arc};

use midwatch_mcp::{Aws, Ctx, SystemClock};
use serde::Serialize;

use crate::terminal::{
    style::{BAD, FAINT, GOOD, STRONG, WARN},
    text::{clean, wrap},
};

use super::args::{DoctorArgs, Format};

/// How a check came out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum State {
    /// As it should be.
    Ok,
    /// It works without, but less well.
    Warn,
    /// It will not work.
    Fail,
    /// Not tried, because something before it failed or is not configured.
    Skipped,
}

/// One check.
#[derive(Debug, Clone, Serialize)]
struct Check {
    area: &'static str,
    name: String,
    state: State,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    mend: Option<String>,
}

impl Check {
    fn new(area: &'static str, name: impl Into<String>, state: State, detail: impl Into<String>) -> Self {
        Self { area, name: name.into(), state, detail: detail.into(), mend: None }
    }

    fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

pub(super) async fn run(arguments: DoctorArgs) -> anyhow::Result<ExitCode> {
    let mut checks = local::store(arguments.store.clone());
    let (catalog, catalog_checks) = local::catalog(arguments.catalog.as_deref());
    checks.extend(catalog_checks);
    checks.extend(local::runbooks(arguments.runbooks.as_deref()));
    checks.extend(local::embedded());
    let catalog = Arc::new(catalog);
    let ctx = Ctx::new(Aws::ambient(), Arc::clone(&catalog), Arc::new(SystemClock));
    if let Some(file) = &arguments.mcp_servers {
        checks.extend(guests::checks(file, arguments.policy.as_deref()).await);
    }
    checks.extend(cloud::checks(&ctx, arguments.runbooks).await);

    let failed = checks.iter().any(|c| c.state == State::Fail);
    let mut out = anstream::stdout();
    match arguments.format {
        Format::Json => {
            let all = serde_json::json!({ "ok": !failed, "checks": checks });
            writeln!(out, "{}", crate::terminal::text::escaped(&serde_json::to_string_pretty(&all)?))?;
        }
        Format::Text => write(&mut out, &checks)?,
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn write(out: &mut impl std::io::Write, checks: &[Check]) -> std::io::Result<()> {
    let mut area = "";
    for check in checks {
        if check.area != area {
            area = check.area;
            writeln!(out, "\n {STRONG}{area}{STRONG:#}")?;
        }
        let (colour, mark) = match check.state {
            State::Ok => (GOOD, "✓"),
            State::Warn => (WARN, "!"),
            State::Fail => (BAD, "✗"),
            State::Skipped => (FAINT, "·"),
        };
        for (at, line) in wrap(&check.detail, 68).iter().enumerate() {
            let (mark, name) = if at == 0 { (mark, clean(&check.name)) } else { (" ", String::new()) };
            writeln!(out, "  {colour}{mark}{colour:#} {name:<26} {line}")?;
        }
        for line in check.mend.iter().flat_map(|mend| wrap(mend, 66)) {
            writeln!(out, "    {:<26} {FAINT}→ {line}{FAINT:#}", "")?;
        }
    }
    let count = |state| checks.iter().filter(|c| c.state == state).count();
    writeln!(
        out,
        "\n {} well, {} to look at, {} to mend, {} not tried\n",
        count(State::Ok),
        count(State::Warn),
        count(State::Fail),
        count(State::Skipped)
    )
}
