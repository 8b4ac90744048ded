//! The desk's keys: one signs, several are accepted.
//!
//! On disk: `signing-key`, which only its owner can read, and `public-keys.toml`, which is given
//! to remediation servers. The directory is read anew whenever something is signed, so that a
//! rotation needs no restart.

pub(super) mod directory;

use midwatch_mcp::KeyFile;
use midwatch_policy::{Claims, KeyError, PublicKeys, Seal, SignError, SigningKey};

pub use directory::{KeyDirectory, KeysError, id_of};

use super::error::{DeskError, Trouble};

/// Where the signing key is.
#[derive(Debug)]
pub enum KeyRing {
    /// A key of its own, which ends with it: for the world.
    Own(SigningKey),
    /// In a directory.
    Kept(KeyDirectory),
}

impl KeyRing {
    /// A throw-away key.
    pub fn throw_away() -> Result<Self, KeyError> {
        SigningKey::generate().map(Self::Own)
    }

    /// The keys whose permits are accepted.
    pub fn accepted(&self) -> Result<PublicKeys, DeskError> {
        match self {
            Self::Own(key) => Ok([key.public().map_err(|e| broken(&e))?].into_iter().collect()),
            Self::Kept(directory) => directory.known().map(|known| known.accepted()).map_err(|e| broken(&e)),
        }
    }

    /// All keys with their states, nobody's secret.
    pub fn known(&self) -> Result<KeyFile, DeskError> {
        match self {
            Self::Own(key) => Ok(KeyFile { key: vec![directory::entry(key, None).map_err(|e| broken(&e))?] }),
            Self::Kept(directory) => directory.known().map_err(|e| broken(&e)),
        }
    }

    pub(super) fn sign(&self, claims: &Claims) -> Result<String, DeskError> {
        self.with(|key| midwatch_policy::sign(claims, key).map(midwatch_policy::PermitToken::into_string))
    }

    pub(super) fn seal(&self, seal: &Seal) -> Result<String, DeskError> {
        self.with(|key| seal.sign(key))
    }

    fn with<T>(&self, work: impl FnOnce(&SigningKey) -> Result<T, SignError>) -> Result<T, DeskError> {
        match self {
            Self::Own(key) => work(key).map_err(|e| broken(&e)),
            Self::Kept(directory) => {
                let key = directory.signing().map_err(|e| broken(&e))?;
                work(&key).map_err(|e| broken(&e))
            }
        }
    }
}

fn broken(error: &dyn std::error::Error) -> DeskError {
    tracing::error!(%error, "the desk cannot sign");
    DeskError::new(
        Trouble::Internal,
        format!("the desk cannot sign: {error}"),
        "`midwatch keys list` says what is there",
    )
}
