//! The case study, in the binary itself, so that it plays anywhere.

use std::path::{Path, PathBuf};

use anyhow::Context as _;

/// The name of its directory, which is its id.
const NAME: &str = "pool-exhaustion-after-deploy";

macro_rules! case_study {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../../../compose/scenarios/pool-exhaustion-after-deploy/", $path)))),*]
    };
}

/// Its files: path below its directory, and content.
const FILES: &[(&str, &str)] = case_study![
    "scenario.toml",
    "runbooks/connection-pool-exhausted.md",
    "runbooks/slow-database-queries.md",
    "runbooks/task-out-of-memory.md",
];

/// The case study as a directory, which is removed when this is dropped.
#[derive(Debug)]
pub(super) struct Unpacked {
    directory: PathBuf,
    _parent: tempfile::TempDir,
}

impl Unpacked {
    pub(super) fn path(&self) -> &Path {
        &self.directory
    }
}

/// Writes the case study to a temporary directory.
pub(super) fn unpack() -> anyhow::Result<Unpacked> {
    let parent = tempfile::Builder::new().prefix("midwatch-").tempdir().context(
        "the embedded scenario needs a temporary directory; set TMPDIR to one that can be written",
    )?;
    let directory = parent.path().join(NAME);
    for (path, text) in FILES {
        let path = directory.join(path);
        let write = || {
            std::fs::create_dir_all(path.parent().unwrap_or(&directory))?;
            std::fs::write(&path, text)
        };
        write().with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    Ok(Unpacked { directory, _parent: parent })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_of_the_case_study_is_embedded() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/scenarios").join(NAME);
        let mut found = Vec::new();
        let mut open = vec![root.clone()];
        while let Some(directory) = open.pop() {
            for entry in std::fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    open.push(path);
                } else {
                    found.push(path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned());
                }
            }
        }
        found.sort();
        let mut embedded: Vec<&str> = FILES.iter().map(|(path, _)| *path).collect();
        embedded.sort_unstable();
        assert_eq!(embedded, found);
    }
}
