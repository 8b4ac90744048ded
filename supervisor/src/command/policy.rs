//! `midwatch policy`: checks a policy, and says what it would decide and why. Touches nothing.

mod explain;
#[cfg(test)]
mod tests;

use std::{
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use clap::{Args, Subcommand};
use midwatch_policy::{Problem, RuleSummary, Rules, RulesFileError};
use serde_json::json;

use super::args::Format;
use crate::terminal::style::{BAD, FAINT, GOOD, STRONG};

/// Arguments of `policy`.
#[derive(Debug, Args)]
pub struct PolicyArgs {
    /// What to do with it.
    #[command(subcommand)]
    pub what: PolicyCommand,
    /// How to write the result
    #[arg(long, global = true, value_enum, default_value_t = Format::Text)]
    pub format: Format,
}

/// What to do with a policy.
#[derive(Debug, Subcommand)]
pub enum PolicyCommand {
    /// Load a policy, hold it to its examples, and list its rules
    Check {
        /// The policy (Cedar); without it the shipped rules
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
        /// Examples that it has to keep, besides those in it and in FILE's `.examples.toml`
        #[arg(long, value_name = "FILE")]
        examples: Vec<PathBuf>,
    },
    /// Say which rule decides a call, why, and who would be asked
    Explain(Box<explain::ExplainArgs>),
    /// Write the shipped rules, to start your own from
    Default,
}

pub(super) fn run(arguments: &PolicyArgs) -> anyhow::Result<ExitCode> {
    match &arguments.what {
        PolicyCommand::Check { file, examples } => check(file.as_deref(), examples, arguments.format),
        PolicyCommand::Explain(explain) => explain::run(explain, arguments.format),
        PolicyCommand::Default => {
            write!(anstream::stdout(), "{}", Rules::embedded_text())?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// The rules of a file, or the shipped ones.
fn rules(file: Option<&Path>) -> anyhow::Result<Rules> {
    Ok(match file {
        Some(path) => Rules::read(path)?,
        None => Rules::embedded()?.keeping(Rules::embedded_examples())?,
    })
}

fn check(file: Option<&Path>, examples: &[PathBuf], format: Format) -> anyhow::Result<ExitCode> {
    let (found, kept, problems) = examine(file, examples)?;
    let mut out = anstream::stdout();
    if format == Format::Json {
        let all: Vec<_> = problems
            .iter()
            .map(|(path, p)| json!({"file": path, "line": p.line, "message": p.message, "remedy": p.remedy}))
            .collect();
        let json = json!({ "rules": found, "examples": kept, "problems": all });
        writeln!(out, "{}", serde_json::to_string_pretty(&json)?)?;
    } else {
        for rule in &found {
            list(&mut out, rule)?;
        }
        for (path, problem) in &problems {
            let line = problem.line.map(|line| format!(":{line}")).unwrap_or_default();
            writeln!(out, "{STRONG}{path}{line}{STRONG:#}: {}", problem.message)?;
            if !problem.remedy.is_empty() {
                writeln!(out, "    {FAINT}{}{FAINT:#}", problem.remedy)?;
            }
        }
        match problems.len() {
            0 => writeln!(out, "\n{GOOD}{} rules, {kept} examples, all kept{GOOD:#}", found.len())?,
            1 => writeln!(out, "\n{BAD}1 problem: nothing would be loaded{BAD:#}")?,
            many => writeln!(out, "\n{BAD}{many} problems: nothing would be loaded{BAD:#}")?,
        }
    }
    Ok(if problems.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(2) })
}

/// The rules, how many examples they keep, and every problem with the file it is in.
type Examined = (Vec<RuleSummary>, usize, Vec<(String, Problem)>);

fn examine(file: Option<&Path>, examples: &[PathBuf]) -> anyhow::Result<Examined> {
    let mut problems = Vec::new();
    let mut kept = 0;
    let loaded = match file {
        None => Rules::embedded().map_err(|error| ("the shipped rules".to_owned(), error)),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            Rules::parse(&text).map_err(|error| (path.display().to_string(), error))
        }
    };
    let rules = match loaded {
        Ok(rules) => rules,
        Err((path, error)) => {
            problems.extend(error.0.into_iter().map(|problem| (path.clone(), problem)));
            return Ok((Vec::new(), 0, problems));
        }
    };
    let mut files: Vec<(String, String)> = Vec::new();
    let beside = file.map(Rules::examples_beside).filter(|path| path.exists());
    for path in beside.iter().chain(examples) {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        files.push((path.display().to_string(), text));
    }
    if file.is_none() {
        files.push(("the shipped examples".to_owned(), Rules::embedded_examples().to_owned()));
    }
    for (path, text) in files {
        match rules.check_examples(&text) {
            Ok(0) => {
                let remedy = "write `[[example]]` tables in it".to_owned();
                let message = "there is no example in it".to_owned();
                problems.push((path, Problem { line: None, message, remedy }));
            }
            Ok(count) => kept += count,
            Err(error) => problems.extend(error.0.into_iter().map(|problem| (path.clone(), problem))),
        }
    }
    Ok((rules.list(), kept, problems))
}

fn list(out: &mut impl std::io::Write, rule: &RuleSummary) -> std::io::Result<()> {
    let style = if rule.effect == "forbid" { BAD } else { GOOD };
    write!(out, "{style}{:<7}{style:#} {STRONG}{}{STRONG:#}", rule.effect, rule.id)?;
    if !rule.asks.is_empty() {
        write!(out, "  asks {}", explain::asked(&rule.asks, rule.within_s.unwrap_or_default()))?;
    }
    writeln!(out, "\n        {FAINT}{}{FAINT:#}", rule.reason)
}

/// Names every problem of a policy file that could not be used.
fn loaded(file: Option<&Path>) -> anyhow::Result<Rules> {
    rules(file).map_err(|error| match error.downcast_ref::<RulesFileError>() {
        Some(RulesFileError::Wrong { .. }) => error.context("the policy cannot be used"),
        _ => error,
    })
}

/// A time as people write it in arguments.
fn moment(text: &str) -> anyhow::Result<midwatch_policy::Timestamp> {
    match text.parse() {
        Ok(moment) => Ok(moment),
        Err(_) => bail!("`{text}` is no time: write it like 2026-12-24T03:00:00Z, or with an offset"),
    }
}
