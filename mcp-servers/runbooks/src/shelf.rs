//! The runbooks of a directory, read once.
//!
//! INVARIANT: a file that could not be used as it should be is named in `problems`; none is
//! skipped in silence. A runbook whose front matter is broken is still found and read, without a
//! contract: at night its prose is better than nothing, and code acts on contracts only.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use midwatch_policy::RunbookContract;

use crate::chunk;

/// A runbook larger than this is not one.
const LARGEST: u64 = 1024 * 1024;
/// More files than this are not a directory of runbooks.
const MOST: usize = 5000;

/// One runbook.
#[derive(Debug, Clone)]
pub struct Runbook {
    /// Unique id: the contract's, else the path without its extension.
    pub id: String,
    /// Title for people.
    pub title: String,
    /// Its contract, where the front matter has one.
    pub contract: Option<RunbookContract>,
    /// Its Markdown, without the front matter.
    pub text: String,
    /// Its path below the directory.
    pub path: String,
}

/// All runbooks and what was wrong with some.
#[derive(Debug, Default)]
pub struct Shelf {
    /// Runbooks by id.
    pub runbooks: BTreeMap<String, Runbook>,
    /// One line for each file that could not be used as it should be.
    pub problems: Vec<String>,
}

/// What tells whether a directory changed: path, length and time of change of each file.
pub type Fingerprint = Vec<(PathBuf, u64, Option<std::time::SystemTime>)>;

/// The Markdown files below a directory, and what could not be read on the way.
pub fn survey(root: &Path) -> (Fingerprint, Vec<String>) {
    let (mut found, mut problems, mut open) = (Fingerprint::new(), Vec::new(), vec![root.to_owned()]);
    while let Some(directory) = open.pop() {
        let entries = match std::fs::read_dir(&directory) {
            Ok(entries) => entries,
            Err(error) => {
                problems.push(format!("runbook directory `{}` cannot be read: {error}", directory.display()));
                continue;
            }
        };
        for entry in entries {
            let Ok((path, kind)) = entry.and_then(|e| Ok((e.path(), e.file_type()?))) else {
                problems.push(format!("an entry of `{}` cannot be read", name(root, &directory)));
                continue;
            };
            let hidden = path.file_name().is_some_and(|n| n.as_encoded_bytes().starts_with(b"."));
            let markdown = path
                .extension()
                .is_some_and(|e| e.eq_ignore_ascii_case("md") || e.eq_ignore_ascii_case("markdown"));
            if hidden {
            } else if kind.is_dir() {
                open.push(path);
            } else if kind.is_symlink() && markdown {
                problems.push(format!("`{}` is a symbolic link, which is not followed", name(root, &path)));
            } else if markdown && found.len() == MOST {
                problems.push(format!("more than {MOST} files: `{}` was not read", name(root, &path)));
            } else if markdown {
                match std::fs::metadata(&path) {
                    Ok(meta) => found.push((path, meta.len(), meta.modified().ok())),
                    Err(error) => problems.push(format!("`{}` cannot be read: {error}", name(root, &path))),
                }
            }
        }
    }
    found.sort();
    problems.sort();
    (found, problems)
}

impl Shelf {
    /// Reads the files of a survey.
    pub fn read(root: &Path, files: &Fingerprint, problems: Vec<String>) -> Self {
        let mut shelf = Self { problems, ..Self::default() };
        for (path, length, _) in files {
            let path_text = name(root, path);
            if *length > LARGEST {
                shelf.problems.push(format!("`{path_text}` has {length} bytes, at most {LARGEST} are read"));
                continue;
            }
            match std::fs::read_to_string(path) {
                Ok(text) => shelf.add(&path_text, &text),
                Err(error) => shelf.problems.push(format!("`{path_text}` cannot be read: {error}")),
            }
        }
        shelf
    }

    /// Adds one runbook. A second one of the same id is kept under its path.
    pub fn add(&mut self, path: &str, text: &str) {
        let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
        let (contract, body) = match RunbookContract::split(text) {
            Ok((contract, body)) => (contract, body),
            Err(error) => {
                self.problems
                    .push(format!("`{path}`: {}; it is searched, but has no contract", chain(&error)));
                (None, text)
            }
        };
        let mut id = contract.as_ref().map_or(stem, |c| c.id.as_str()).to_owned();
        if let Some(first) = self.runbooks.get(&id) {
            self.problems
                .push(format!("`{path}` has the id `{id}` of `{}`; it is found as `{path}`", first.path));
            path.clone_into(&mut id);
        }
        let title = contract
            .as_ref()
            .map(|c| c.title.clone())
            .or_else(|| chunk::title(body))
            .unwrap_or_else(|| stem.to_owned());
        let runbook =
            Runbook { id: id.clone(), title, contract, text: body.to_owned(), path: path.to_owned() };
        self.runbooks.insert(id, runbook);
    }
}

/// An error and its sources in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(source.to_string().trim());
        next = source.source();
    }
    text.replace('\n', " ")
}

fn name(root: &Path, path: &Path) -> String {
    let below = path.strip_prefix(root).unwrap_or(path);
    if below.as_os_str().is_empty() { ".".to_owned() } else { below.display().to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_runbooks_are_named_and_still_found() {
        let mut shelf = Shelf::default();
        shelf.add("pool.md", "+++\nid='pool'\ntitle='Pool'\n+++\n# Pool\n");
        shelf.add("copy.md", "+++\nid='pool'\ntitle='Pool again'\n+++\n");
        shelf.add("broken.md", "+++\nid='broken'\nacton='restart'\n+++\n# Broken\ntext");
        shelf.add("team/plain.md", "Plain\n=====\n");
        let ids: Vec<&str> = shelf.runbooks.keys().map(String::as_str).collect();
        assert_eq!(ids, ["broken", "copy.md", "pool", "team/plain"]);
        assert_eq!(shelf.runbooks["team/plain"].title, "Plain");
        assert!(shelf.runbooks["broken"].contract.is_none());
        assert!(shelf.problems[0].contains("has the id `pool` of `pool.md`"), "{:?}", shelf.problems);
        assert!(shelf.problems[1].contains("acton"), "{:?}", shelf.problems);
    }

    #[test]
    fn a_directory_that_is_not_there_is_a_problem_and_no_error() {
        let root = Path::new("no-such-directory");
        let (files, problems) = survey(root);
        assert!(files.is_empty() && problems.len() == 1, "{problems:?}");
        assert!(problems[0].contains("`no-such-directory`"), "{problems:?}");
    }
}
