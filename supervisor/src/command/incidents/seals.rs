//! The desk's signatures under a journal: whether the chain is still the one that was signed.
//!
//! The chain alone shows that nobody altered an entry and left the rest as it was. Whoever can write
//! the store can rewrite all of it; then the desk's signatures do not fit any more.

use std::{fmt, path::Path};

use midwatch_mcp::KeyFile;
use midwatch_policy::{Digest, IncidentId, PermitError, Seal, Timestamp};
use serde::Serialize;
use serde_json::Value;

use crate::{desk::id_of, journal::Entry};

/// What the signatures are worth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub(super) enum Seals {
    /// The desk has signed nothing.
    None,
    /// Every signature is one of the desk's and fits.
    Verified {
        /// How many there are.
        count: usize,
        /// How many entries stand under the last one.
        entries: u32,
        /// When the last one was made, by the desk's clock.
        at: Timestamp,
        /// How many entries there are in all.
        of: usize,
    },
    /// There is nothing to verify them with.
    NoKeys {
        /// How many there are.
        count: usize,
        /// Where keys were looked for.
        keys: String,
    },
    /// One of them does not fit.
    DoesNotHold {
        /// The entry that it stands in.
        seq: u32,
        /// What is wrong.
        problem: String,
    },
}

impl Seals {
    /// Whether somebody has to look.
    pub(super) const fn is_wrong(&self) -> bool {
        matches!(self, Self::DoesNotHold { .. })
    }
}

impl fmt::Display for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = |count: &usize| if *count == 1 { "1 seal".to_owned() } else { format!("{count} seals") };
        match self {
            Self::None => f.write_str("not sealed: no desk has signed this journal"),
            Self::Verified { count, entries, at, of } => {
                write!(
                    f,
                    "{} of the desk, verified: the first {entries} of {of} entries are as they were at {at}",
                    all(count)
                )
            }
            Self::NoKeys { count, keys } => write!(
                f,
                "{} of the desk, cannot be verified: no keys at {keys} (give the desk's public-keys.toml with --keys)",
                all(count)
            ),
            Self::DoesNotHold { seq, problem } => {
                write!(f, "the desk's seal DOES NOT HOLD (entry {seq}): {problem}")
            }
        }
    }
}

/// Holds a journal to the signatures in it. `keys` are the desk's, if there are any at that place.
pub(super) fn judge(
    incident: &IncidentId,
    entries: &[Entry],
    (keys, at): (Option<&KeyFile>, &Path),
) -> Seals {
    let sealed: Vec<&Entry> = entries.iter().filter(|entry| entry.kind == "sealed").collect();
    let count = sealed.len();
    if count == 0 {
        return Seals::None;
    }
    let Some(keys) = keys.filter(|keys| !keys.key.is_empty()) else {
        return Seals::NoKeys { count, keys: at.display().to_string() };
    };
    let mut last = None;
    for entry in sealed {
        match holds(incident, entries, entry, keys) {
            Ok(seal) => last = Some(seal),
            Err(problem) => return Seals::DoesNotHold { seq: entry.seq, problem },
        }
    }
    last.map_or(Seals::None, |seal| Seals::Verified {
        count,
        entries: seal.entries,
        at: seal.at,
        of: entries.len(),
    })
}

fn holds(incident: &IncidentId, entries: &[Entry], entry: &Entry, keys: &KeyFile) -> Result<Seal, String> {
    let signature = entry.body.get("signature").and_then(Value::as_str).unwrap_or_default();
    let seal = Seal::open(signature, &keys.accepted()).map_err(|error| why(&error, keys))?;
    if seal.incident != *incident {
        return Err(format!("it is of another incident, `{}`", seal.incident));
    }
    if seal.entries >= entry.seq {
        return Err(format!("it is of {} entries and stands in entry {}", seal.entries, entry.seq));
    }
    let signed = entries.iter().find(|known| known.seq == seal.entries);
    if signed.is_none_or(|known| Digest::parse(&known.hash).ok() != Some(seal.head)) {
        return Err(format!(
            "entry {} is not the one that was signed at {}: the journal was rewritten",
            seal.entries, seal.at
        ));
    }
    Ok(seal)
}

fn why(error: &PermitError, keys: &KeyFile) -> String {
    let PermitError::UnknownKey(id) = error else {
        return format!("its signature is none of the desk's: {error}");
    };
    match keys.key.iter().find(|key| id_of(key) == *id) {
        Some(key) => {
            let since = key.revoked_at.map(|at| format!(" at {at}")).unwrap_or_default();
            format!(
                "it is signed with `{id}`, which was revoked{since}: whoever has that key can sign anything"
            )
        }
        None => format!("it is signed with `{id}`, which is no key of this desk"),
    }
}

#[cfg(test)]
mod tests {
    use midwatch_mcp::{KeyEntry, KeyState};
    use midwatch_policy::SigningKey;
    use serde_json::json;

    use super::*;

    fn file(key: &SigningKey, state: KeyState) -> KeyFile {
        let public = key.public().unwrap().to_string();
        KeyFile { key: vec![KeyEntry { public, state, created_at: None, revoked_at: None }] }
    }

    fn id() -> IncidentId {
        IncidentId::parse("inc-1").unwrap()
    }

    fn entry(seq: u32, kind: &str, body: Value) -> Entry {
        let hash = Digest::of(format!("{seq}").as_bytes()).to_string();
        let at = "2026-11-21T02:06:00Z".parse().unwrap();
        Entry { incident: id(), seq, at, kind: kind.to_owned(), body, prev: String::new(), hash }
    }

    fn seal(key: &SigningKey, incident: &IncidentId, entries: u32, head: Digest) -> Value {
        let at = "2026-11-21T02:06:00Z".parse().unwrap();
        let signature = Seal { incident: incident.clone(), entries, head, at }.sign(key).unwrap();
        json!({ "entries": entries, "head": head, "signature": signature })
    }

    fn journal(sealed: Value) -> Vec<Entry> {
        let plain = |seq| entry(seq, "routed", json!({}));
        vec![plain(1), plain(2), entry(3, "sealed", sealed), plain(4)]
    }

    #[test]
    fn a_seal_is_worth_what_its_key_and_its_head_say() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let head = |n: u32| Digest::of(format!("{n}").as_bytes());
        let good = seal(&key, &id(), 2, head(2));
        let judged = |sealed: &Value, keys: Option<&KeyFile>| {
            judge(&id(), &journal(sealed.clone()), (keys, Path::new("/desk/keys")))
        };
        let active = file(&key, KeyState::Active);
        let verified = judged(&good, Some(&active));
        assert!(matches!(verified, Seals::Verified { count: 1, entries: 2, of: 4, .. }), "{verified:?}");
        assert!(matches!(judged(&good, Some(&file(&key, KeyState::Retired))), Seals::Verified { .. }));
        for nothing in [None, Some(&KeyFile::default())] {
            assert!(judged(&good, nothing).to_string().contains("cannot be verified: no keys at /desk/keys"));
        }
        assert_eq!(judge(&id(), &[], (Some(&active), Path::new("k"))), Seals::None);
        let another = IncidentId::parse("inc-2").unwrap();
        let mut damaged = good.clone();
        damaged["signature"] = json!(good["signature"].as_str().unwrap().replacen("v4", "v3", 1));
        for (sealed, keys, says) in [
            (&good, file(&other, KeyState::Active), "no key of this desk"),
            (&good, file(&key, KeyState::Revoked), "revoked"),
            (&seal(&key, &another, 2, head(2)), active.clone(), "another incident"),
            (&seal(&key, &id(), 2, head(9)), active.clone(), "rewritten"),
            (&seal(&key, &id(), 3, head(3)), active.clone(), "stands in entry 3"),
            (&seal(&key, &id(), 0, head(0)), active.clone(), "rewritten"),
            (&damaged, active.clone(), "none of the desk's"),
            (&json!({}), active.clone(), "none of the desk's"),
        ] {
            let found = judged(sealed, Some(&keys));
            assert!(found.is_wrong() && found.to_string().contains(says), "{says}: {found}");
            assert!(found.to_string().contains("DOES NOT HOLD"));
        }
    }
}
