//! The file of the store: held by one process, and still the one that was opened.
//!
//! Two locks, because each fails somewhere: SQLite's own, and an advisory lock on a file beside it,
//! which also works between hosts where the shared file system passes such locks on. A lease by time
//! was rejected: after a crash it would keep the only server from acting for as long as it runs, and
//! it trusts clocks of several hosts.

use std::{
    fs::{File, TryLockError},
    io::{Read as _, Write as _},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use super::SpendError;

/// A store's file while it is held.
#[derive(Debug)]
pub(super) struct Place {
    path: PathBuf,
    /// Which file it was when it was opened: device and inode.
    identity: Option<(u64, u64)>,
    /// Held for as long as this lives.
    _lock: File,
}

impl Place {
    /// Holds the place, or says who does.
    pub(super) fn take(path: &Path) -> Result<Self, SpendError> {
        let mut beside = path.as_os_str().to_owned();
        beside.push(".lock");
        let mut lock = midwatch_mcp::open_lock(Path::new(&beside)).map_err(SpendError::Lock)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // For the message only.
                let _ = lock.read_to_string(&mut holder);
                let who = midwatch_mcp::clip(holder.trim(), 100).into_owned();
                return Err(SpendError::Held(if who.is_empty() { who } else { format!(" ({who})") }));
            }
            Err(TryLockError::Error(error)) => return Err(SpendError::Lock(error)),
        }
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        let who = format!("process {} on {}\n", std::process::id(), host.trim());
        // For the message only.
        let _ = lock.set_len(0).and_then(|()| lock.write_all(who.as_bytes()));
        Ok(Self { path: path.to_owned(), identity: None, _lock: lock })
    }

    /// Notes which file it is, once it is there.
    pub(super) fn remember(&mut self) -> Result<(), SpendError> {
        self.identity = Some(self.now()?);
        Ok(())
    }

    /// Whether the path still names the file that is open. A store copied over it, or removed, would
    /// otherwise go unnoticed: what is written would be lost with the old file.
    pub(super) fn unchanged(&self) -> Result<(), SpendError> {
        match self.now() {
            Ok(now) if Some(now) == self.identity => Ok(()),
            _ => Err(SpendError::Exchanged(self.path.display().to_string())),
        }
    }

    fn now(&self) -> Result<(u64, u64), SpendError> {
        let meta = std::fs::metadata(&self.path).map_err(SpendError::Lock)?;
        Ok((meta.dev(), meta.ino()))
    }
}
