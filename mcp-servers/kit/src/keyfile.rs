//! The file of public keys whose permits are accepted: written by `midwatch keys`, read by the
//! remediation server at each act.

use midwatch_policy::{PublicKey, PublicKeys, Timestamp};
use serde::{Deserialize, Serialize};

/// Whether permits of a key are accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyState {
    /// The desk signs with it.
    Active,
    /// The desk signs with another one now; what it signed is still accepted.
    Retired,
    /// Nothing it signed is accepted any more.
    Revoked,
}

/// One public key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyEntry {
    /// Its PASERK text, `k4.public.…`.
    pub public: String,
    /// Whether its permits are accepted.
    pub state: KeyState,
    /// When it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<Timestamp>,
    /// When it was revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revoked_at: Option<Timestamp>,
}

/// All of them: `[[key]]` tables in TOML, `{"key": […]}` in JSON.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyFile {
    /// The keys.
    #[serde(default)]
    pub key: Vec<KeyEntry>,
}

/// Why a key file cannot be used. None of its keys is accepted then.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// Not TOML, or not of this form. The source names line and column.
    #[error("keys are not readable: each is a [[key]] with `public` and `state`")]
    Toml(#[from] toml::de::Error),
    /// Not a key.
    #[error("key {number} is no public key: {why}")]
    Key {
        /// Its place, from 1.
        number: usize,
        /// What is wrong with it.
        why: midwatch_policy::KeyError,
    },
    /// Two entries could contradict each other.
    #[error("the key `{0}` stands there twice")]
    Twice(String),
    /// It cannot be written.
    #[error("the keys cannot be written as TOML")]
    Write(#[from] toml::ser::Error),
}

impl KeyFile {
    /// Parses the file. A key that is none, or stands there twice, makes all of it unusable.
    pub fn parse(text: &str) -> Result<Self, KeyFileError> {
        let file: Self = toml::from_str(text)?;
        let mut seen = std::collections::BTreeSet::new();
        for (at, entry) in file.key.iter().enumerate() {
            let id = PublicKey::parse(&entry.public)
                .map_err(|why| KeyFileError::Key { number: at + 1, why })?
                .id();
            if !seen.insert(id.clone()) {
                return Err(KeyFileError::Twice(id));
            }
        }
        Ok(file)
    }

    /// As it is written.
    pub fn render(&self) -> Result<String, KeyFileError> {
        Ok(toml::to_string(self)?)
    }

    /// The keys whose permits are accepted.
    pub fn accepted(&self) -> PublicKeys {
        let good = self.key.iter().filter(|entry| entry.state != KeyState::Revoked);
        good.filter_map(|entry| PublicKey::parse(&entry.public).ok()).collect()
    }
}

#[cfg(test)]
mod tests {
    use midwatch_policy::SigningKey;

    use super::*;

    fn entry(state: KeyState) -> KeyEntry {
        let public = SigningKey::generate().unwrap().public().unwrap().to_string();
        KeyEntry { public, state, created_at: "2026-11-21T02:00:00Z".parse().ok(), revoked_at: None }
    }

    #[test]
    fn what_was_written_is_read_and_revoked_keys_are_not_accepted() {
        let file = KeyFile {
            key: vec![entry(KeyState::Active), entry(KeyState::Retired), entry(KeyState::Revoked)],
        };
        let read = KeyFile::parse(&file.render().unwrap()).unwrap();
        assert_eq!(read, file);
        assert_eq!(read.accepted().ids().count(), 2);
        assert!(KeyFile::parse("").unwrap().accepted().is_empty());
    }

    #[test]
    fn one_bad_key_makes_none_good() {
        let good = KeyFile { key: vec![entry(KeyState::Active)] }.render().unwrap();
        let one = good.clone();
        assert!(matches!(KeyFile::parse(&format!("{good}{one}")), Err(KeyFileError::Twice(_))));
        let broken = format!("{good}\n[[key]]\npublic = \"k4.public.AAAA\"\nstate = \"active\"\n");
        assert!(matches!(KeyFile::parse(&broken), Err(KeyFileError::Key { number: 2, .. })));
        assert!(matches!(KeyFile::parse(&good.replace("active", "on")), Err(KeyFileError::Toml(_))));
    }
}
