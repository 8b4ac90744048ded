//! The desk's signature under the head of a journal, so that the chain cannot be rewritten unseen.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Digest, PermitError, PublicKeys, SignError, SigningKey};
use crate::id::IncidentId;

/// No permit, and no other signature of the same key, passes for this one.
const PURPOSE: &[u8] = b"midwatch journal head 1";

/// How far a journal had come, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Seal {
    /// The incident.
    pub incident: IncidentId,
    /// How many entries its journal had.
    pub entries: u32,
    /// Hash of the last one.
    pub head: Digest,
    /// When it was signed, by the desk's clock.
    pub at: Timestamp,
}

impl Seal {
    /// Signs it.
    pub fn sign(&self, key: &SigningKey) -> Result<String, SignError> {
        let payload = serde_json_canonicalizer::to_vec(self)?;
        key.sign(&payload, PURPOSE).map_err(|_| SignError::Key)
    }

    /// What was signed, if one of the keys did.
    pub fn open(signature: &str, keys: &PublicKeys) -> Result<Self, PermitError> {
        let payload = keys.open(signature, PURPOSE)?;
        serde_json::from_slice(&payload).map_err(|error| PermitError::Claims(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seal_is_read_with_its_key_and_is_no_permit() {
        let key = SigningKey::generate().unwrap();
        let keys: PublicKeys = [key.public().unwrap()].into_iter().collect();
        let seal = Seal {
            incident: IncidentId::parse("inc-1").unwrap(),
            entries: 7,
            head: Digest::of(b"head"),
            at: "2026-11-21T02:06:00Z".parse().unwrap(),
        };
        let signature = seal.sign(&key).unwrap();
        assert_eq!(Seal::open(&signature, &keys).unwrap(), seal);
        assert_eq!(super::super::read(&signature, &keys), Err(PermitError::Signature));
        let other: PublicKeys = [SigningKey::generate().unwrap().public().unwrap()].into_iter().collect();
        assert!(matches!(Seal::open(&signature, &other), Err(PermitError::UnknownKey(_))));
    }
}
