//! Who is known at the desk: people, supervisors, servers, each by a token of which only the
//! SHA-256 is kept.
//!
//! The file is read at every call, so that who was removed is gone at once; one that cannot be
//! read lets nobody in.

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use midwatch_policy::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    error::DeskError,
    principal::{Principal, PrincipalKind},
    ring::directory::{PrivateError, make_private_dir, read_private, write_whole},
};

/// The file in the desk's directory.
const ROSTER: &str = "principals.json";
/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;

/// The principals in a file.
#[derive(Debug, Clone)]
pub struct Roster(PathBuf);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Unique, whatever the case.
    pub name: String,
    /// What it may do.
    pub kind: MemberKind,
    /// Roles of a person.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<String>,
    /// SHA-256 of the token, in hex.
    token_sha256: String,
    /// When it was added.
    pub added_at: Timestamp,
}

/// What kind of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum MemberKind {
    /// A person, who approves and declines
    Person,
    /// A supervisor, which files requests
    Asker,
    /// A remediation server, which fetches permits; its name is their audience
    Server,
}

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    principals: Vec<Member>,
}

/// Why the roster cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum RosterError {
    /// Not a name.
    #[error("`{0}` is no name: use 1 to 64 ASCII letters, digits, `-`, `_`, `.` or `@`")]
    Name(String),
    /// Not a role.
    #[error("`{0}` is no role: use lower-case ASCII letters, digits, `-` or `_`, as in the policy's @ask")]
    Role(String),
    /// A person without a role approves nothing.
    #[error("a person needs a role, such as --role oncall")]
    NoRole,
    /// Only people have roles.
    #[error("only a person has roles")]
    Roles,
    /// The name is taken.
    #[error("`{0}` is there already: remove it first to give it a new token")]
    There(String),
    /// No such name.
    #[error("there is no `{0}`; see `midwatch approvers list`")]
    Unknown(String),
    /// Others could read it.
    #[error("others can read `{0}`: `chmod 600` it")]
    Readable(String),
    /// Not what was written there.
    #[error("`{path}` is not readable")]
    Form {
        /// The file.
        path: String,
        /// Why.
        source: serde_json::Error,
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

impl Roster {
    /// The roster in a desk's directory, which need not be there yet.
    pub fn new(directory: &Path) -> Self {
        Self(directory.join(ROSTER))
    }

    /// Adds a principal and returns its token, which is kept nowhere.
    pub fn add(
        &self,
        name: &str,
        kind: MemberKind,
        roles: Vec<String>,
        now: Timestamp,
    ) -> Result<String, RosterError> {
        check(name, kind, &roles)?;
        let _turn = self.turn()?;
        let mut all = self.read()?;
        if all.principals.iter().any(|member| member.name.eq_ignore_ascii_case(name)) {
            return Err(RosterError::There(name.to_owned()));
        }
        let token = hex::encode(rand::random::<[u8; TOKEN_BYTES]>());
        let token_sha256 = hex::encode(digest(&token));
        all.principals.push(Member { name: name.to_owned(), kind, roles, token_sha256, added_at: now });
        self.write(&all)?;
        Ok(token)
    }

    /// Removes a principal: its token is good for nothing from now on.
    pub fn remove(&self, name: &str) -> Result<(), RosterError> {
        let _turn = self.turn()?;
        let mut all = self.read()?;
        let before = all.principals.len();
        all.principals.retain(|member| member.name != name);
        if all.principals.len() == before {
            return Err(RosterError::Unknown(name.to_owned()));
        }
        self.write(&all)
    }

    /// All of them.
    pub fn members(&self) -> Result<Vec<Member>, RosterError> {
        Ok(self.read()?.principals)
    }

    /// Whose token this is. Every member is compared with, in the same time for every guess.
    pub(super) fn whose(&self, token: &str) -> Result<Option<Principal>, DeskError> {
        let presented = digest(token);
        let mut found = None;
        for member in self.trusted()? {
            let mut kept = [0; 32];
            let whole = hex::decode_to_slice(&member.token_sha256, &mut kept).is_ok();
            if bool::from(kept.ct_eq(&presented)) && whole {
                found = Some(member.principal());
            }
        }
        Ok(found)
    }

    /// Whether a supervisor of that name is known.
    pub(super) fn is_asker(&self, name: &str) -> Result<bool, DeskError> {
        Ok(self.trusted()?.iter().any(|member| member.kind == MemberKind::Asker && member.name == name))
    }

    /// All of them, for a decision.
    pub(super) fn trusted(&self) -> Result<Vec<Member>, DeskError> {
        self.members().map_err(|error| {
            tracing::error!(%error, "the desk's principals cannot be read, so nobody is let in");
            DeskError::internal("the desk cannot read who is known to it")
        })
    }

    fn read(&self) -> Result<Members, RosterError> {
        match read_private(&self.0) {
            Ok(text) => {
                serde_json::from_str(&text).map_err(|source| RosterError::Form { path: self.shown(), source })
            }
            Err(PrivateError::Readable) => Err(RosterError::Readable(self.shown())),
            Err(PrivateError::File(error)) if error.kind() == io::ErrorKind::NotFound => {
                Ok(Members::default())
            }
            Err(PrivateError::File(source)) => Err(RosterError::File { path: self.shown(), source }),
        }
    }

    fn write(&self, all: &Members) -> Result<(), RosterError> {
        let text = serde_json::to_string_pretty(all)
            .map_err(|source| RosterError::Form { path: self.shown(), source })?;
        write_whole(&self.0, text.as_bytes(), 0o600)
            .map_err(|source| RosterError::File { path: self.shown(), source })
    }

    /// One change at a time, also between processes.
    fn turn(&self) -> Result<File, RosterError> {
        let file = |source| RosterError::File { path: self.shown(), source };
        if let Some(parent) = self.0.parent() {
            make_private_dir(parent).map_err(file)?;
        }
        let lock = midwatch_mcp::open_lock(&self.0.with_extension("lock")).map_err(file)?;
        lock.lock().map_err(file)?;
        Ok(lock)
    }

    fn shown(&self) -> String {
        self.0.display().to_string()
    }
}

impl Member {
    fn principal(&self) -> Principal {
        let kind = match self.kind {
            MemberKind::Person => PrincipalKind::Person { roles: self.roles.clone() },
            MemberKind::Asker => PrincipalKind::Asker,
            MemberKind::Server => PrincipalKind::Server,
        };
        Principal { name: self.name.clone(), kind }
    }
}

fn digest(token: &str) -> [u8; 32] {
    Sha256::digest(token.trim().as_bytes()).into()
}

fn check(name: &str, kind: MemberKind, roles: &[String]) -> Result<(), RosterError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_.@".contains(c);
    if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
        return Err(RosterError::Name(crate::terminal::text::clean(name)));
    }
    let role = |role: &String| {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_';
        !role.is_empty() && role.len() <= 64 && role.bytes().all(plain)
    };
    if let Some(wrong) = roles.iter().find(|text| !role(text)) {
        return Err(RosterError::Role(crate::terminal::text::clean(wrong)));
    }
    match (kind, roles.is_empty()) {
        (MemberKind::Person, true) => Err(RosterError::NoRole),
        (MemberKind::Asker | MemberKind::Server, false) => Err(RosterError::Roles),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-11-21T02:06:00Z".parse().unwrap()
    }

    #[test]
    fn a_token_names_who_holds_it_and_is_kept_nowhere() {
        let directory = tempfile::tempdir().unwrap();
        let roster = Roster::new(&directory.path().join("desk"));
        let token =
            roster.add("first-on-call", MemberKind::Person, vec!["oncall".to_owned()], now()).unwrap();
        let other = roster.add("midwatch", MemberKind::Asker, Vec::new(), now()).unwrap();
        assert_eq!((token.len(), other.len()), (64, 64));
        assert_ne!(token, other);
        assert_eq!(roster.whose(&token).unwrap(), Some(Principal::person("first-on-call", ["oncall"])));
        assert_eq!(roster.whose(&other).unwrap(), Some(Principal::asker("midwatch")));
        for wrong in ["", "0", token.get(1..).unwrap(), &format!("{token}0"), &token.to_uppercase()] {
            if *wrong != token {
                assert_eq!(roster.whose(wrong).unwrap(), None, "{wrong}");
            }
        }
        let text = std::fs::read_to_string(directory.path().join("desk").join(ROSTER)).unwrap();
        assert!(!text.contains(&token) && !text.contains(&other));
        roster.remove("first-on-call").unwrap();
        assert_eq!(roster.whose(&token).unwrap(), None);
    }

    #[test]
    fn names_are_plain_and_unique_whatever_the_case_and_kind() {
        let directory = tempfile::tempdir().unwrap();
        let roster = Roster::new(directory.path());
        let oncall = || vec!["oncall".to_owned()];
        roster.add("p", MemberKind::Person, oncall(), now()).unwrap();
        assert!(matches!(roster.add("P", MemberKind::Asker, Vec::new(), now()), Err(RosterError::There(_))));
        for name in ["", "a b", "p\u{430}", "a\nb", "a\u{202e}b", &"a".repeat(65)] {
            assert!(matches!(
                roster.add(name, MemberKind::Person, oncall(), now()),
                Err(RosterError::Name(_))
            ));
        }
        assert!(matches!(roster.add("q", MemberKind::Person, Vec::new(), now()), Err(RosterError::NoRole)));
        assert!(matches!(roster.add("q", MemberKind::Server, oncall(), now()), Err(RosterError::Roles)));
        assert!(matches!(
            roster.add("q", MemberKind::Person, vec!["On Call".to_owned()], now()),
            Err(RosterError::Role(_))
        ));
        assert_eq!(roster.members().unwrap().len(), 1);
    }

    #[test]
    fn a_file_that_others_can_read_lets_nobody_in() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        let roster = Roster::new(directory.path());
        let token = roster.add("p", MemberKind::Person, vec!["oncall".to_owned()], now()).unwrap();
        let path = directory.path().join(ROSTER);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(roster.whose(&token).is_err());
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert!(roster.whose(&token).unwrap().is_some());
    }
}
