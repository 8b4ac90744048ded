//! The runbooks of a scenario: a directory, or texts that are written to one when a world starts.

use std::path::{Path, PathBuf};

/// Where the runbooks of a world are. What was written for it is removed with it.
#[derive(Debug)]
pub(crate) enum Runbooks {
    /// As the author keeps them.
    Kept(PathBuf),
    /// Written for one world.
    Written(tempfile::TempDir),
}

impl Runbooks {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Written(dir) => dir.path(),
        }
    }
}

/// Every Markdown file of a directory, by name; none where there is no directory.
pub(super) fn read(dir: &Path) -> std::io::Result<Vec<(String, String)>> {
    let mut list = Vec::new();
    if !dir.is_dir() {
        return Ok(list);
    }
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let Some(name) = path.file_name().and_then(|n| n.to_str()) else { continue };
        if name.to_ascii_lowercase().ends_with(".md") {
            list.push((name.to_owned(), std::fs::read_to_string(&path)?));
        }
    }
    list.sort();
    Ok(list)
}

/// Writes runbooks to a directory of their own.
pub(super) fn write(list: &[(String, String)]) -> std::io::Result<Runbooks> {
    let dir = tempfile::Builder::new().prefix("midwatch-runbooks-").tempdir()?;
    for (name, text) in list {
        std::fs::write(dir.path().join(name), text)?;
    }
    Ok(Runbooks::Written(dir))
}
