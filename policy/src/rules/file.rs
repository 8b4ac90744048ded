//! Rules in a file, with their examples beside it: `night.cedar` and `night.examples.toml`.

use std::path::{Path, PathBuf};

use super::{Rules, RulesError};

/// Why a file of rules cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RulesFileError {
    /// It, or its examples, cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Its rules are wrong, or do not keep the examples.
    #[error("in `{}`", path.display())]
    Wrong {
        /// The file: of the rules, or of the examples that are not kept.
        path: PathBuf,
        /// What is wrong.
        source: RulesError,
    },
}

impl Rules {
    /// Where the examples of a file of rules stand, if it has any.
    pub fn examples_beside(rules: &Path) -> PathBuf {
        rules.with_extension("examples.toml")
    }

    /// Reads a file of rules, and holds them to the examples beside it if there are any.
    pub fn read(path: &Path) -> Result<Self, RulesFileError> {
        let rules = Self::parse(&text(path)?)
            .map_err(|source| RulesFileError::Wrong { path: path.to_owned(), source })?;
        let beside = Self::examples_beside(path);
        match text(&beside) {
            Ok(examples) => {
                rules.keeping(&examples).map_err(|source| RulesFileError::Wrong { path: beside, source })
            }
            Err(RulesFileError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                Ok(rules)
            }
            Err(error) => Err(error),
        }
    }
}

fn text(path: &Path) -> Result<String, RulesFileError> {
    std::fs::read_to_string(path).map_err(|source| RulesFileError::Read { path: path.to_owned(), source })
}
