//! Keys: the one that signs, and the set of those whose signatures are accepted.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use pasetors::{
    Public,
    keys::{AsymmetricKeyPair, AsymmetricPublicKey, AsymmetricSecretKey, Generate},
    paserk::{FormatAsPaserk, Id},
    token::UntrustedToken,
    version4::{PublicToken, V4},
};
use serde::{Deserialize, Serialize};

use super::PermitError;

/// Why a text is not a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not a PASERK of the right kind.
    #[error("key is not of the form `{expected}…`")]
    Form {
        /// How it has to begin.
        expected: &'static str,
    },
    /// The bytes are no key: the halves do not belong together, or they are all zero.
    #[error("key's bytes are not a key")]
    Bytes,
    /// The system gave no randomness.
    #[error("no key could be made")]
    Randomness,
}

/// The key that signs permits; held by the desk alone.
///
/// Neither serialised nor cloned; printing shows the id of its public half. Wiped when dropped.
pub struct SigningKey(AsymmetricSecretKey<V4>);

/// A key whose permits are accepted.
#[derive(Clone, PartialEq)]
pub struct PublicKey(AsymmetricPublicKey<V4>);

/// The keys whose permits are accepted, by id. Several at once, so that keys can be rotated.
#[derive(Debug, Clone, Default)]
pub struct PublicKeys(BTreeMap<String, PublicKey>);

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Footer {
    kid: String,
}

const SECRET: &str = "k4.secret.";
const PUBLIC: &str = "k4.public.";

impl SigningKey {
    /// A new key.
    pub fn generate() -> Result<Self, KeyError> {
        let pair = AsymmetricKeyPair::<V4>::generate().map_err(|_| KeyError::Randomness)?;
        Ok(Self(pair.secret.clone()))
    }

    /// Reads a key from its PASERK text, `k4.secret.…`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let body = text.trim().strip_prefix(SECRET).ok_or(KeyError::Form { expected: SECRET })?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| KeyError::Form { expected: SECRET })?;
        // The library panics on a seed of zeros.
        if bytes.iter().take(32).all(|byte| *byte == 0) {
            return Err(KeyError::Bytes);
        }
        AsymmetricSecretKey::from(&bytes).map(Self).map_err(|_| KeyError::Bytes)
    }

    /// The PASERK text, to be written to the key file and nowhere else.
    pub fn expose_secret(&self) -> String {
        format!("{SECRET}{}", URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }

    /// The public half.
    pub fn public(&self) -> Result<PublicKey, KeyError> {
        AsymmetricPublicKey::try_from(&self.0).map(PublicKey).map_err(|_| KeyError::Bytes)
    }

    /// Signs for one purpose; a signature for one purpose is none for another.
    pub(super) fn sign(&self, payload: &[u8], purpose: &[u8]) -> Result<String, KeyError> {
        let footer =
            serde_json::to_string(&Footer { kid: self.public()?.id() }).map_err(|_| KeyError::Bytes)?;
        PublicToken::sign(&self.0, payload, Some(footer.as_bytes()), Some(purpose))
            .map_err(|_| KeyError::Bytes)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({})", self.public().map(|key| key.id()).unwrap_or_default())
    }
}

impl PublicKey {
    /// Reads a key from its PASERK text, `k4.public.…`.
    pub fn parse(text: &str) -> Result<Self, KeyError> {
        let body = text.trim().strip_prefix(PUBLIC).ok_or(KeyError::Form { expected: PUBLIC })?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| KeyError::Form { expected: PUBLIC })?;
        if bytes.iter().all(|byte| *byte == 0) {
            return Err(KeyError::Bytes);
        }
        AsymmetricPublicKey::from(&bytes).map(Self).map_err(|_| KeyError::Bytes)
    }

    /// The id, `k4.pid.…`, which permits name.
    pub fn id(&self) -> String {
        let mut id = String::new();
        // Writing to a string does not fail.
        let _ = Id::from(&self.0).fmt(&mut id);
        id
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PUBLIC}{}", URL_SAFE_NO_PAD.encode(self.0.as_bytes()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

impl PublicKeys {
    /// Accepts one more key.
    pub fn accept(&mut self, key: PublicKey) {
        self.0.insert(key.id(), key);
    }

    /// Accepts a key no longer; says whether it was accepted before.
    pub fn revoke(&mut self, id: &str) -> bool {
        self.0.remove(id).is_some()
    }

    /// Whether no key is accepted, so that nothing can be permitted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ids of the accepted keys.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// The payload of a token that one of the keys signed for this purpose.
    pub(super) fn open(&self, token: &str, purpose: &[u8]) -> Result<Vec<u8>, PermitError> {
        let untrusted = UntrustedToken::<Public, V4>::try_from(token).map_err(|_| PermitError::Form)?;
        let footer: Footer =
            serde_json::from_slice(untrusted.untrusted_footer()).map_err(|_| PermitError::Footer)?;
        let key = self.0.get(&footer.kid).ok_or(PermitError::UnknownKey(footer.kid))?;
        let trusted = PublicToken::verify(&key.0, &untrusted, None, Some(purpose))
            .map_err(|_| PermitError::Signature)?;
        Ok(trusted.payload().as_bytes().to_vec())
    }
}

impl FromIterator<PublicKey> for PublicKeys {
    fn from_iter<I: IntoIterator<Item = PublicKey>>(keys: I) -> Self {
        Self(keys.into_iter().map(|key| (key.id(), key)).collect())
    }
}
