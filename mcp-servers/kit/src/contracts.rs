//! The runbook contracts of a directory, each with the digest of its file.
//!
//! INVARIANT: all or nothing. A contract may forbid an action, so a directory in which one file
//! cannot be read or understood is an error that names every such file, and nothing is acted on.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use midwatch_policy::{Digest, RunbookContract};

/// A runbook larger than this is not one.
const LARGEST: u64 = 1024 * 1024;
/// More files than this are not a directory of runbooks.
const MOST: usize = 5000;

/// A contract, and the file it stands in.
#[derive(Debug, Clone, PartialEq)]
pub struct Contract {
    /// What it says.
    pub contract: RunbookContract,
    /// Of the whole file's bytes: both sides hold an action to the same text.
    pub digest: Digest,
    /// The file, below the directory.
    pub file: String,
}

/// All of them, by id.
#[derive(Debug, Clone, Default)]
pub struct Contracts(BTreeMap<String, Contract>);

/// Why they cannot be used; one line for each file.
#[derive(Debug, thiserror::Error)]
#[error("runbook contracts cannot be used:\n  {}", .0.join("\n  "))]
pub struct ContractsError(pub Vec<String>);

impl Contracts {
    /// Reads every Markdown file below a directory. Files without front matter have no contract and
    /// are passed over; what starts with a dot is hidden.
    pub fn load(directory: &Path) -> Result<Self, ContractsError> {
        let mut problems = Vec::new();
        let mut files = Vec::new();
        survey(directory, &mut files, &mut problems);
        files.sort();
        let mut read = Vec::new();
        for path in files {
            let name = path.strip_prefix(directory).unwrap_or(&path).display().to_string();
            match std::fs::read(&path) {
                Ok(bytes) => read.push((name, bytes)),
                Err(error) => problems.push(format!("`{name}` cannot be read: {error}")),
            }
        }
        Self::gather(read, problems)
    }

    /// From files that were read already: name and bytes of each.
    pub fn of(files: impl IntoIterator<Item = (String, Vec<u8>)>) -> Result<Self, ContractsError> {
        Self::gather(files, Vec::new())
    }

    fn gather(
        files: impl IntoIterator<Item = (String, Vec<u8>)>,
        mut problems: Vec<String>,
    ) -> Result<Self, ContractsError> {
        let mut all: BTreeMap<String, Contract> = BTreeMap::new();
        for (file, bytes) in files {
            let Ok(text) = std::str::from_utf8(&bytes) else {
                problems.push(format!("`{file}` is not UTF-8 text"));
                continue;
            };
            let contract = match RunbookContract::split(text) {
                Ok((Some(contract), _)) => contract,
                Ok((None, _)) => continue,
                Err(error) => {
                    problems.push(format!("`{file}`: {}", in_one_line(&error)));
                    continue;
                }
            };
            if let Some(first) = all.get(&contract.id) {
                problems
                    .push(format!("`{file}` has the id `{}` of `{}`: rename one", contract.id, first.file));
                continue;
            }
            let digest = Digest::of(&bytes);
            all.insert(contract.id.clone(), Contract { contract, digest, file });
        }
        if problems.is_empty() { Ok(Self(all)) } else { Err(ContractsError(problems)) }
    }

    /// The contract of that id.
    pub fn get(&self, id: &str) -> Option<&Contract> {
        self.0.get(id)
    }

    /// All, ordered by id.
    pub fn iter(&self) -> impl Iterator<Item = &Contract> {
        self.0.values()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn survey(root: &Path, files: &mut Vec<PathBuf>, problems: &mut Vec<String>) {
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(format!("the directory `{}` cannot be read: {error}", directory.display()));
                continue;
            }
        };
        for entry in entries {
            let Ok((path, kind)) = entry.and_then(|e| Ok((e.path(), e.file_type()?))) else {
                problems.push(format!("an entry of `{}` cannot be read", directory.display()));
                continue;
            };
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            let markdown = path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("md") || e.eq_ignore_ascii_case("markdown"));
            if hidden || !markdown && !kind.is_dir() {
                continue;
            }
            if kind.is_dir() {
                open.push(path);
            } else if !kind.is_file() {
                problems.push(format!("`{}` is not a plain file; links are not followed", path.display()));
            } else if files.len() == MOST {
                problems.push(format!("more than {MOST} files: `{}` was not read", path.display()));
            } else if std::fs::metadata(&path).is_ok_and(|meta| meta.len() > LARGEST) {
                problems.push(format!("`{}` has more than {LARGEST} bytes", path.display()));
            } else {
                files.push(path);
            }
        }
    }
}

/// An error and its sources in one line.
pub fn in_one_line(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(source.to_string().trim());
        next = source.source();
    }
    text.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    const POOL: &str = "+++\nid = \"pool\"\ntitle = \"Pool\"\naction = \"restart_service\"\n+++\n# Pool\n";

    #[test]
    fn contracts_are_found_with_the_digest_of_their_file() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("db")).unwrap();
        std::fs::write(directory.path().join("db/pool.md"), POOL).unwrap();
        std::fs::write(directory.path().join("prose.md"), "# No contract\n").unwrap();
        std::fs::write(directory.path().join("notes.txt"), "+++\nbroken").unwrap();
        let all = Contracts::load(directory.path()).unwrap();
        assert_eq!(all.len(), 1);
        let pool = all.get("pool").unwrap();
        assert_eq!((pool.digest, pool.file.as_str()), (Digest::of(POOL.as_bytes()), "db/pool.md"));
        std::fs::write(directory.path().join("db/pool.md"), format!("{POOL}\n")).unwrap();
        assert_ne!(Contracts::load(directory.path()).unwrap().get("pool").unwrap().digest, pool.digest);
    }

    #[test]
    fn one_file_that_cannot_be_used_makes_all_unusable_and_every_one_is_named() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("a.md"), POOL).unwrap();
        std::fs::write(directory.path().join("b.md"), POOL).unwrap();
        std::fs::write(directory.path().join("c.md"), "+++\nid='c'\n").unwrap();
        std::fs::write(directory.path().join("d.md"), b"\xff\xfe").unwrap();
        std::os::unix::fs::symlink("a.md", directory.path().join("e.md")).unwrap();
        let error = Contracts::load(directory.path()).unwrap_err();
        assert_eq!(error.0.len(), 4, "{error}");
        for says in ["`pool` of `a.md`", "c.md", "d.md", "e.md"] {
            assert!(error.to_string().contains(says), "{says}: {error}");
        }
        assert!(Contracts::load(&directory.path().join("nowhere")).is_err());
    }
}
