//! Files for their owner only: what is kept of incidents, alarms and acts is nobody else's to read.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

/// What only the owner may read and write.
const OWNER: u32 = 0o600;

/// Makes a file that is not there yet.
pub fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER).open(path)
}

/// Makes an empty file unless there is one: SQLite gives what it puts beside a store the store's own mode. Where that
/// fails, whoever opens it says so.
pub fn reserve_private(path: &Path) {
    if let Err(error) = create_private(path)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        tracing::debug!(%error, path = %path.display(), "a file could not be made");
    }
}
