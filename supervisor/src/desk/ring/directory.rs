//! Keys in a directory.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use midwatch_mcp::{KeyEntry, KeyFile, KeyState};
use midwatch_policy::{KeyError, PublicKey, SigningKey, Timestamp};

/// The file of the key that signs.
const PRIVATE: &str = "signing-key";
/// The file for remediation servers.
const PUBLIC: &str = "public-keys.toml";

/// Why the keys cannot be used or changed.
#[derive(Debug, thiserror::Error)]
pub enum KeysError {
    /// There are none.
    #[error("there is no signing key in `{0}`: make one with `midwatch keys create`")]
    None(String),
    /// There is one already.
    #[error(
        "there is a signing key in `{0}` already: `midwatch keys rotate` makes a new one and keeps the old one accepted"
    )]
    There(String),
    /// Others could sign.
    #[error("others can read `{0}`: `chmod 600` it, and replace what is in it if somebody may have read it")]
    Readable(String),
    /// No such key.
    #[error("there is no key `{0}`; see `midwatch keys list`")]
    Unknown(String),
    /// Not a key.
    #[error("`{path}` holds no key")]
    Key {
        /// The file.
        path: String,
        /// Why.
        source: KeyError,
    },
    /// Not what was written there.
    #[error("`{path}` is not readable")]
    Form {
        /// The file.
        path: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The file system.
    #[error("`{path}` cannot be read or written: {source}")]
    File {
        /// The file.
        path: String,
        /// Why.
        source: io::Error,
    },
}

/// A directory with keys.
#[derive(Debug, Clone)]
pub struct KeyDirectory(PathBuf);

/// The id of a key, `k4.pid.…`, which permits name.
pub fn id_of(entry: &KeyEntry) -> String {
    PublicKey::parse(&entry.public).map(|key| key.id()).unwrap_or_default()
}

pub(super) fn entry(key: &SigningKey, created_at: Option<Timestamp>) -> Result<KeyEntry, KeyError> {
    let public = key.public()?.to_string();
    Ok(KeyEntry { public, state: KeyState::Active, created_at, revoked_at: None })
}

impl KeyDirectory {
    /// Keys in this directory, which need not be there yet.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self(directory.into())
    }

    /// The file for remediation servers.
    pub fn public_file(&self) -> PathBuf {
        self.0.join(PUBLIC)
    }

    /// Makes the first key.
    pub fn create(&self, now: Timestamp) -> Result<KeyEntry, KeysError> {
        if self.0.join(PRIVATE).exists() {
            return Err(KeysError::There(self.0.display().to_string()));
        }
        make_private_dir(&self.0).map_err(|source| file(&self.0, source))?;
        self.add(now)
    }

    /// Makes a new key; the one before stays accepted, so that what it signed is still good.
    pub fn rotate(&self, now: Timestamp) -> Result<KeyEntry, KeysError> {
        self.signing()?;
        self.add(now)
    }

    /// Accepts a key no longer. Where it was the one that signs, nothing is signed until a new one
    /// is made.
    pub fn revoke(&self, id: &str, now: Timestamp) -> Result<KeyEntry, KeysError> {
        let mut all = self.known()?;
        let key = all
            .key
            .iter_mut()
            .find(|key| id_of(key) == id)
            .ok_or_else(|| KeysError::Unknown(id.to_owned()))?;
        let signed = id_of(key) == self.signing_id();
        key.state = KeyState::Revoked;
        key.revoked_at.get_or_insert(now);
        let key = key.clone();
        self.write_known(&all)?;
        if signed {
            let path = self.0.join(PRIVATE);
            fs::remove_file(&path).map_err(|source| file(&path, source))?;
        }
        Ok(key)
    }

    /// All keys.
    pub fn known(&self) -> Result<KeyFile, KeysError> {
        let path = self.public_file();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(KeyFile::default()),
            Err(source) => return Err(file(&path, source)),
        };
        KeyFile::parse(&text)
            .map_err(|source| KeysError::Form { path: path.display().to_string(), source: Box::new(source) })
    }

    /// The key that signs. A file that others can read is refused.
    pub fn signing(&self) -> Result<SigningKey, KeysError> {
        let path = self.0.join(PRIVATE);
        let shown = || path.display().to_string();
        let text = match read_private(&path) {
            Ok(text) => text,
            Err(PrivateError::Readable) => return Err(KeysError::Readable(shown())),
            Err(PrivateError::File(error)) if error.kind() == io::ErrorKind::NotFound => {
                return Err(KeysError::None(self.0.display().to_string()));
            }
            Err(PrivateError::File(source)) => return Err(file(&path, source)),
        };
        let key = SigningKey::parse(&text).map_err(|source| KeysError::Key { path: shown(), source })?;
        let id = key.public().map_err(|source| KeysError::Key { path: shown(), source })?.id();
        // A key that was revoked or that nobody was told of signs nothing. One that is only
        // accepted still stands here where a rotation was cut short.
        match self.known()?.key.iter().find(|known| id_of(known) == id) {
            Some(known) if known.state != KeyState::Revoked => Ok(key),
            _ => Err(KeysError::Unknown(id)),
        }
    }

    /// The id of the key in the private file, if there is one that can be read.
    fn signing_id(&self) -> String {
        self.signing().ok().and_then(|key| key.public().ok()).map(|key| key.id()).unwrap_or_default()
    }

    /// The public half is written first: a key that signs is always one that is known.
    fn add(&self, now: Timestamp) -> Result<KeyEntry, KeysError> {
        let path = self.0.join(PRIVATE);
        let unusable = |source| KeysError::Key { path: path.display().to_string(), source };
        let key = SigningKey::generate().map_err(unusable)?;
        let new = entry(&key, Some(now)).map_err(unusable)?;
        let mut all = self.known()?;
        for old in all.key.iter_mut().filter(|key| key.state == KeyState::Active) {
            old.state = KeyState::Retired;
        }
        all.key.insert(0, new.clone());
        self.write_known(&all)?;
        write_whole(&path, key.expose_secret().as_bytes(), 0o600).map_err(|source| file(&path, source))?;
        Ok(new)
    }

    fn write_known(&self, all: &KeyFile) -> Result<(), KeysError> {
        let path = self.public_file();
        let text = all.render().map_err(|source| KeysError::Form {
            path: path.display().to_string(),
            source: Box::new(source),
        })?;
        write_whole(&path, text.as_bytes(), 0o644).map_err(|source| file(&path, source))
    }
}

fn file(path: &Path, source: io::Error) -> KeysError {
    KeysError::File { path: path.display().to_string(), source }
}

/// Makes a directory that only its owner enters.
pub(crate) fn make_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Reads a secret of somebody's own: a token that others cannot read.
pub(crate) fn read_secret(path: &Path) -> Result<String, KeysError> {
    read_private(path).map_err(|error| match error {
        PrivateError::Readable => KeysError::Readable(path.display().to_string()),
        PrivateError::File(source) => file(path, source),
    })
}

/// Why a secret file was not read.
#[derive(Debug)]
pub(crate) enum PrivateError {
    /// Others can read it.
    Readable,
    /// The file system.
    File(io::Error),
}

/// Reads a file that only its owner may read.
pub(crate) fn read_private(path: &Path) -> Result<String, PrivateError> {
    let mut file = File::open(path).map_err(PrivateError::File)?;
    let mode = file.metadata().map_err(PrivateError::File)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(PrivateError::Readable);
    }
    let mut text = String::new();
    io::Read::read_to_string(&mut file, &mut text).map_err(PrivateError::File)?;
    Ok(text)
}

/// Writes a file as a whole or not at all, and to disk.
pub(crate) fn write_whole(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".new");
    let temporary = PathBuf::from(temporary);
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}
