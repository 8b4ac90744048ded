//! A scenario: one incident as a directory, `scenario.toml` with runbooks beside it.

mod expected;

use std::path::{Path, PathBuf};

use midwatch_policy::Catalog;
use serde_json::Value;

pub use expected::{Answer, Approver, Expected, ExpectedAction, ExpectedCause, Outcome};

use crate::world::State;

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
    /// The line, from 1; 0 where the file as a whole is meant.
    pub line: usize,
    /// What is wrong.
    pub message: String,
    /// How to mend it.
    pub remedy: String,
}

/// A parsed and checked scenario.
#[derive(Debug, Clone)]
pub struct Scenario {
    dir: PathBuf,
    id: String,
    title: String,
    catalog: Catalog,
    approver: Approver,
    expected: Expected,
}

impl Scenario {
    /// Loads the scenario in a directory.
    pub fn load(dir: &Path) -> Result<Self, ScenarioError> {
        Err(ScenarioError {
            problems: vec![Problem {
                file: dir.join("scenario.toml"),
                line: 0,
                message: "scenarios cannot be read by this version".to_owned(),
                remedy: "use a later one".to_owned(),
            }],
        })
    }

    /// Its id: the name of its directory.
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

    /// The directory with its runbooks.
    pub fn runbooks(&self) -> &Path {
        &self.dir
    }

    /// What the person who is asked does.
    pub fn approver(&self) -> &Approver {
        &self.approver
    }

    /// What is expected of whoever handles the incident.
    pub fn expected(&self) -> &Expected {
        &self.expected
    }

    /// The alarm that starts the incident, in the shape of an EventBridge event.
    pub fn alarm_event(&self) -> Value {
        Value::Null
    }

    /// The state in which its world begins.
    pub(crate) fn state(&self) -> State {
        State::new(0, "123456789012", "us-east-1")
    }
}
