//! A scenario: one incident as a directory, `scenario.toml` with runbooks beside it.
//!
//! The file is read strictly (`raw`), then resolved (`resolve` and what it calls) into a `spec`
//! that cannot be wrong. Every problem names file, line and remedy. They come in three rounds, each
//! all at once: syntax, keys and types (`shape`), and then what they say.

mod alarms;
mod composite;
mod deployments;
mod expected;
mod faults;
mod filters;
mod inputs;
mod judge;
mod machines;
mod raw;
mod reader;
mod resolve;
pub(crate) mod rule;
mod runbooks;
mod shape;
pub(crate) mod spec;

mod variant;
mod warnings;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use midwatch_policy::{Catalog, ContractError, RunbookContract};

pub use expected::{Answer, Approver, Expected, ExpectedAction, ExpectedCause, Outcome};
pub(crate) use runbooks::Runbooks;
use spec::Spec;

/// Why a scenario cannot be played: every problem that was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", .problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
pub struct ScenarioError {
    /// The problems, in the order of the file.
    pub problems: Vec<Problem>,
}

/// One problem of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}: {message}; {remedy}", .file.display())]
pub struct Problem {
    /// The file it is in.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub remedy: String,
}

impl From<Problem> for ScenarioError {
    fn from(problem: Problem) -> Self {
        Self { problems: vec![problem] }
    }
}

/// A parsed and checked scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    dir: PathBuf,
    id: String,
    title: String,
    /// The file as it was written; variants are made from it.
    text: String,
    runbooks_dir: PathBuf,
    runbooks: Vec<(String, String)>,
    /// Runbooks that differ from those in the directory have to be written before use.
    changed: bool,
    catalog: Catalog,
    approver: Approver,
    expected: Expected,
    spec: Arc<Spec>,
}

impl Scenario {
    /// Loads the scenario in a directory, or of a `scenario.toml` that is named itself.
    pub fn load(dir: &Path) -> Result<Self, ScenarioError> {
        let dir = if dir.is_file() { dir.parent().unwrap_or(dir) } else { dir };
        let file = dir.join("scenario.toml");
        let text = std::fs::read_to_string(&file).map_err(|why| Problem {
            file: file.clone(),
            line: 1,
            message: format!("cannot be read: {why}"),
            remedy: "a scenario is a directory with a scenario.toml in it".to_owned(),
        })?;
        let id = std::fs::canonicalize(dir)
            .ok()
            .and_then(|path| path.file_name().map(|name| name.to_string_lossy().into_owned()))
            .unwrap_or_else(|| "scenario".to_owned());
        Self::parse(dir, &id, text, None)
    }

    /// Parses the text of a scenario; `runbooks` replaces those of its directory.
    fn parse(
        dir: &Path,
        id: &str,
        text: String,
        runbooks: Option<Vec<(String, String)>>,
    ) -> Result<Self, ScenarioError> {
        let file = dir.join("scenario.toml");
        let misshapen: Vec<Problem> = shape::check(&text)
            .into_iter()
            .map(|(at, message, remedy)| Problem {
                file: file.clone(),
                line: reader::line_of(&text, at.start),
                message,
                remedy,
            })
            .collect();
        if !misshapen.is_empty() {
            let mut problems = misshapen;
            problems.sort_by_key(|p| p.line);
            return Err(ScenarioError { problems });
        }
        let raw: raw::RawScenario = toml::from_str(&text).map_err(|why| Problem {
            file: file.clone(),
            line: why.span().map_or(1, |span| reader::line_of(&text, span.start)),
            message: why.message().trim().replace('\n', " "),
            remedy: "the keys are listed in compose/scenarios/README.md".to_owned(),
        })?;
        let named = raw.runbooks.as_ref();
        let runbooks_dir = dir.join(named.map_or("runbooks", |name| name.get_ref().as_str()));
        let mut problems = Vec::new();
        if let Some(name) = named
            && !runbooks_dir.is_dir()
        {
            problems.push(Problem {
                file: file.clone(),
                line: reader::line_of(&text, name.span().start),
                message: format!("there is no directory `{}`", name.get_ref()),
                remedy: "name the directory with the runbooks, relative to scenario.toml".to_owned(),
            });
        }
        let changed = runbooks.is_some();
        let list = runbooks.map_or_else(|| runbooks::read(&runbooks_dir), Ok).map_err(|why| Problem {
            file: runbooks_dir.clone(),
            line: 1,
            message: format!("runbooks cannot be read: {why}"),
            remedy: "they are UTF-8 Markdown files".to_owned(),
        })?;
        for (name, runbook) in &list {
            if let Err(why) = RunbookContract::split(runbook) {
                let readme = "see `Runbooks` in compose/scenarios/README.md for the front matter";
                let wrong = matches!(why, ContractError::Wrong(_));
                problems.extend(why.problems(runbook).into_iter().map(|problem| Problem {
                    file: runbooks_dir.join(name),
                    line: problem.line.unwrap_or(1),
                    message: problem.message.replace('\n', " "),
                    remedy: if wrong { problem.remedy } else { readme.to_owned() },
                }));
            }
        }
        match resolve::resolve(raw, id, &file, &text) {
            Ok(resolved) if problems.is_empty() => Ok(Self {
                dir: dir.to_owned(),
                id: id.to_owned(),
                title: resolved.title,
                runbooks_dir,
                runbooks: list,
                changed,
                catalog: resolved.catalog,
                approver: resolved.approver,
                expected: resolved.expected,
                spec: Arc::new(resolved.spec),
                text,
            }),
            Ok(_) => Err(ScenarioError { problems }),
            Err(more) => {
                problems.extend(more);
                Err(ScenarioError { problems })
            }
        }
    }

    /// Its id: the name of its directory; a variant's has its seed behind it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its title, for people.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The catalog of its services.
    pub fn catalog(&self) -> &Catalog {
        &self.catalog
    }

    /// What the person who is asked does.
    pub fn approver(&self) -> &Approver {
        &self.approver
    }

    /// What is expected of whoever handles the incident.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    pub(crate) fn spec(&self) -> Arc<Spec> {
        Arc::clone(&self.spec)
    }

    /// Its runbooks: names of files and their texts.
    pub(crate) fn runbooks(&self) -> &[(String, String)] {
        &self.runbooks
    }

    /// A directory with its runbooks.
    pub(crate) fn place_runbooks(&self) -> std::io::Result<Runbooks> {
        if self.changed || !self.runbooks_dir.is_dir() {
            runbooks::write(&self.runbooks)
        } else {
            Ok(Runbooks::Kept(self.runbooks_dir.clone()))
        }
    }
}
