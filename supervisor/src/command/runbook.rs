//! `midwatch runbook lint`: what a careful junior at three in the morning could not follow.

mod contract;
mod prose;
#[cfg(test)]
mod tests;

use std::{
    collections::BTreeMap,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use clap::{Args, Subcommand};
use midwatch_policy::{Catalog, RunbookContract};
use serde::Serialize;
use serde_json::json;

use super::{args::Format, triage};
use crate::terminal::{
    style::{BAD, FAINT, GOOD, STRONG, WARN},
    text::{clean, escaped},
};

/// Arguments of `runbook`.
#[derive(Debug, Args)]
pub struct RunbookArgs {
    /// What to do with runbooks.
    #[command(subcommand)]
    pub what: RunbookCommand,
}

/// What to do with runbooks.
#[derive(Debug, Subcommand)]
pub enum RunbookCommand {
    /// Report what could not be followed at night; exit status 1 where something is an error
    Lint {
        /// Directories of Markdown runbooks, or single ones
        #[arg(value_name = "DIR|FILE", required = true)]
        paths: Vec<PathBuf>,
        /// The service catalog; with it, services that runbooks name have to be there
        #[arg(long, value_name = "FILE", env = "MIDWATCH_CATALOG")]
        catalog: Option<PathBuf>,
        /// How to write the result
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Severity {
    /// It cannot be followed, or code would not follow it.
    Error,
    /// Somebody would have to ask.
    Warn,
}

/// One thing that is wrong with a runbook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    file: String,
    line: usize,
    severity: Severity,
    message: String,
    remedy: String,
}

/// Where findings about one runbook go.
#[derive(Debug)]
pub(super) struct Found<'a> {
    file: &'a str,
    all: &'a mut Vec<Finding>,
}

impl Found<'_> {
    fn add(&mut self, severity: Severity, line: usize, message: impl Into<String>, remedy: &str) {
        self.all.push(Finding {
            file: self.file.to_owned(),
            line,
            severity,
            message: message.into(),
            remedy: remedy.to_owned(),
        });
    }

    fn error(&mut self, line: usize, message: impl Into<String>, remedy: &str) {
        self.add(Severity::Error, line, message, remedy);
    }

    fn warn(&mut self, line: usize, message: impl Into<String>, remedy: &str) {
        self.add(Severity::Warn, line, message, remedy);
    }
}

pub(super) fn run(arguments: &RunbookArgs) -> anyhow::Result<ExitCode> {
    let RunbookCommand::Lint { paths, catalog, format } = &arguments.what;
    let catalog = match catalog {
        Some(path) => Some(triage::catalog(Some(path))?),
        None => None,
    };
    let mut files = 0;
    let mut findings = Vec::new();
    for path in paths {
        let found = markdown(path)?;
        files += found.len();
        findings.extend(lint(&found, catalog.as_ref()));
    }
    findings.sort_by(|a, b| (&a.file, a.line, a.severity).cmp(&(&b.file, b.line, b.severity)));
    findings.dedup();
    let errors = findings.iter().filter(|finding| finding.severity == Severity::Error).count();
    let mut out = anstream::stdout();
    if *format == Format::Json {
        let warnings = findings.len() - errors;
        let json = json!({"files": files, "errors": errors, "warnings": warnings, "findings": findings});
        writeln!(out, "{}", escaped(&serde_json::to_string_pretty(&json)?))?;
    } else {
        for finding in &findings {
            show(&mut out, finding)?;
        }
        let style = if errors > 0 { BAD } else { GOOD };
        let warnings = findings.len() - errors;
        writeln!(out, "{style}{files} runbooks, {errors} errors, {warnings} warnings{style:#}")?;
    }
    Ok(if errors > 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn show(out: &mut impl std::io::Write, finding: &Finding) -> std::io::Result<()> {
    let (style, word) = match finding.severity {
        Severity::Error => (BAD, "error"),
        Severity::Warn => (WARN, "warning"),
    };
    let (file, message) = (clean(&finding.file), clean(&finding.message));
    writeln!(out, "{STRONG}{file}:{}{STRONG:#}: {style}{word}{style:#}: {message}", finding.line)?;
    writeln!(out, "    {FAINT}{}{FAINT:#}", clean(&finding.remedy))
}

/// The Markdown files of a directory and below, or the one file that was named.
fn markdown(path: &Path) -> anyhow::Result<Vec<PathBuf>> {
    if path.is_file() {
        return Ok(vec![path.to_owned()]);
    }
    if !path.is_dir() {
        bail!("there is no file or directory `{}`", path.display());
    }
    let (mut found, mut open) = (Vec::new(), vec![path.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type()?);
            if entry.file_name().as_encoded_bytes().starts_with(b".") {
                continue;
            }
            let markdown = path.extension().is_some_and(|e| e == "md" || e == "markdown");
            if kind.is_dir() {
                open.push(path);
            } else if kind.is_file() && markdown {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() {
        bail!("there is no Markdown file (`.md`) in `{}`", path.display());
    }
    Ok(found)
}

/// Everything about the runbooks of one directory.
fn lint(files: &[PathBuf], catalog: Option<&Catalog>) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut ids: BTreeMap<String, String> = BTreeMap::new();
    for path in files {
        let file = path.display().to_string();
        let mut found = Found { file: &file, all: &mut all };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) => {
                found.error(1, format!("cannot be read: {error}"), "make it a readable file in UTF-8");
                continue;
            }
        };
        let (head, body) = match RunbookContract::split(&text) {
            Ok((head, body)) => (head, body),
            Err(error) => {
                for problem in error.problems(&text) {
                    found.error(problem.line.unwrap_or(1), problem.message, &problem.remedy);
                }
                continue;
            }
        };
        match &head {
            None => found.warn(
                1,
                "no contract: it is found and read, but allows nothing",
                "begin it with TOML between `+++` lines: id, title, signatures, cause, action",
            ),
            Some(contract) => {
                if let Some(other) = ids.insert(contract.id.clone(), file.clone()) {
                    let message = format!("the id `{}` is also that of `{other}`", contract.id);
                    let line = contract::line_of(&text, "id");
                    found.error(line, message, "give every runbook an id of its own");
                }
                contract::lint(contract, &text, catalog, &mut found);
            }
        }
        let first = text.get(..text.len() - body.len()).unwrap_or_default().matches('\n').count() + 1;
        prose::lint(body, first, path.parent().unwrap_or(Path::new(".")), &mut found);
    }
    all
}
