//! Files for their owner only: what is kept of incidents, alarms and acts is nobody else's to read.
//!
//! A store that an older version left open to others is closed to them when it is opened, and that is said: it keeps
//! nobody from starting. One that everybody can write is not opened: what it says may be anybody's.
//!
//! INVARIANT: no store is opened and closed here to look at it: closing a file gives up every lock that this process
//! holds on it, and SQLite's are of that kind.

use std::{
    ffi::OsString,
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

/// What only the owner may read and write.
const OWNER: u32 = 0o600;
/// What anybody else may do with a file.
const OTHERS: u32 = 0o077;
/// What everybody may write.
const EVERYBODY_WRITES: u32 = 0o002;
/// What SQLite puts beside a store.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// A store that is not opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` can be written by everybody on this machine, so nobody knows whose words it holds: look whether it is right, \
     then `chmod 600` it"
)]
pub struct Exposed(String);

/// Makes a file that is not there yet.
pub fn create_private(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(OWNER).open(path)
}

/// Makes an empty file for a store unless there is one: SQLite gives what it puts beside a store the store's own mode.
/// One that is there is made its owner's, with what lies beside it. Where that fails, whoever opens it says so.
pub fn private_store(path: &Path) -> Result<(), Exposed> {
    if let Err(error) = create_private(path)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        tracing::debug!(%error, path = %path.display(), "a file could not be made");
    }
    let with = |end: &str| {
        let mut name = OsString::from(path);
        name.push(end);
        PathBuf::from(name)
    };
    let files = BESIDE.map(with);
    if let Some(open) = files.iter().find(|file| mode(file).is_some_and(|mode| mode & EVERYBODY_WRITES != 0))
    {
        return Err(Exposed(open.display().to_string()));
    }
    for file in &files {
        if let Some(mode) = mode(file) {
            keep_others_out(file, mode, |permissions| std::fs::set_permissions(file, permissions));
        }
    }
    Ok(())
}

/// Opens a file to be locked, or makes it. Whoever can open it can hold the lock, and keep us from starting.
pub fn open_lock(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(false).read(true).write(true).mode(OWNER).open(path)?;
    keep_others_out(path, file.metadata()?.permissions().mode(), |permissions| {
        file.set_permissions(permissions)
    });
    Ok(file)
}

/// The mode of a file that is there. What a link leads to may be anything, and is left alone.
fn mode(file: &Path) -> Option<u32> {
    let metadata = std::fs::symlink_metadata(file).ok().filter(std::fs::Metadata::is_file)?;
    Some(metadata.permissions().mode())
}

/// Takes away from others what they may do with a file, and says so: somebody may have meant it.
fn keep_others_out(file: &Path, mode: u32, set: impl FnOnce(Permissions) -> io::Result<()>) {
    if mode & OTHERS == 0 {
        return;
    }
    let (path, was) = (file.display(), format!("{:04o}", mode & 0o7777));
    match set(Permissions::from_mode(mode & 0o7777 & !OTHERS)) {
        Ok(()) => {
            tracing::warn!(%path, was, "others could open a file of Midwatch's: now only its owner can");
        }
        Err(error) => {
            tracing::warn!(%path, was, %error, "others can open a file of Midwatch's, and it is not ours to change: `chmod 600` it");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn make(path: &Path, mode: u32) {
        std::fs::write(path, "x").unwrap();
        std::fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn of(path: &Path) -> u32 {
        mode(path).unwrap() & 0o7777
    }

    #[test]
    fn a_store_and_what_lies_beside_it_are_made_their_owners() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        private_store(&at("new.db")).unwrap();
        assert_eq!(of(&at("new.db")), 0o600);
        for (name, mode) in
            [("old.db", 0o644), ("old.db-wal", 0o664), ("old.db-shm", 0o640), ("old.db-x", 0o644)]
        {
            make(&at(name), mode);
        }
        private_store(&at("old.db")).unwrap();
        assert_eq!(["old.db", "old.db-wal", "old.db-shm"].map(|name| of(&at(name))), [0o600; 3]);
        assert_eq!(of(&at("old.db-x")), 0o644, "that is none of ours");
        assert_eq!(std::fs::read(at("old.db")).unwrap(), b"x");
        // What its owner may not do stays so.
        make(&at("kept.db"), 0o440);
        private_store(&at("kept.db")).unwrap();
        assert_eq!(of(&at("kept.db")), 0o400);
    }

    #[test]
    fn what_a_link_leads_to_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        make(&at("elsewhere"), 0o644);
        std::os::unix::fs::symlink(at("elsewhere"), at("a.db-shm")).unwrap();
        private_store(&at("a.db")).unwrap();
        assert_eq!(of(&at("elsewhere")), 0o644);
    }

    #[test]
    fn what_everybody_can_write_is_not_opened_and_named() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        make(&at("a.db"), 0o644);
        make(&at("a.db-wal"), 0o666);
        let said = private_store(&at("a.db")).unwrap_err().to_string();
        assert!(
            said.contains("a.db-wal` can be written by everybody") && said.contains("chmod 600"),
            "{said}"
        );
        assert_eq!(of(&at("a.db")), 0o644, "whoever looks finds it as it was");
    }

    #[test]
    fn a_lock_is_its_owners_and_held_once() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        for old in [None, Some(0o644), Some(0o666)] {
            if let Some(mode) = old {
                make(&path, mode);
            }
            let lock = open_lock(&path).unwrap();
            assert_eq!(of(&path), 0o600, "{old:?}");
            lock.try_lock().unwrap();
            assert!(open_lock(&path).unwrap().try_lock().is_err());
        }
        assert_eq!(std::fs::read(&path).unwrap(), b"x", "what it says is left");
    }
}
