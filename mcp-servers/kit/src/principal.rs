//! Who calls over HTTP: principals, each with a token of its own.
//!
//! INVARIANTS:
//! - only the SHA-256 of a token is kept, and every comparison looks at all entries in the same
//!   time for each;
//! - a name and a token belong to one principal: a file in which two share one is refused whole;
//! - who calls is said by the token alone, never by anything in the request.

use std::{fmt, path::Path};

use axum::http::{HeaderMap, header};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq;

/// Bytes of randomness in a token.
const TOKEN_BYTES: usize = 32;
/// A longer name is none.
const LONGEST_NAME: usize = 64;

/// What a principal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrincipalKind {
    /// Midwatch's supervisor.
    Supervisor,
    /// Another agent client.
    AgentClient,
    /// The desk, which fetches plans and changes nothing.
    Desk,
}

impl std::str::FromStr for PrincipalKind {
    type Err = PrincipalError;
    fn from_str(text: &str) -> Result<Self, PrincipalError> {
        match text {
            "supervisor" => Ok(Self::Supervisor),
            "agent_client" => Ok(Self::AgentClient),
            "desk" => Ok(Self::Desk),
            other => Err(PrincipalError::Kind(crate::clip(other, 40).into_owned())),
        }
    }
}

impl fmt::Display for PrincipalKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Supervisor => "supervisor",
            Self::AgentClient => "agent_client",
            Self::Desk => "desk",
        })
    }
}

/// Who calls, as it was authenticated. Over HTTP a server finds it among the extensions of the
/// request's `http::request::Parts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    name: String,
    kind: PrincipalKind,
}

impl Principal {
    /// A principal; its name is ASCII letters, digits, `-`, `_` and `.`.
    pub fn new(name: &str, kind: PrincipalKind) -> Result<Self, PrincipalError> {
        let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(plain) {
            return Err(PrincipalError::Name(crate::clip(name, 80).into_owned()));
        }
        Ok(Self { name: name.to_owned(), kind })
    }

    /// Its name: the subject of its permits.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is.
    pub const fn kind(&self) -> PrincipalKind {
        self.kind
    }
}

/// Why a list of principals cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PrincipalError {
    /// The file cannot be read.
    #[error("`{file}` cannot be read")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// Not TOML, or not of this form. The source names line and column.
    #[error("the callers are not readable: each is a [[caller]] with `name`, `kind` and `token_sha256`")]
    Toml(#[from] toml::de::Error),
    /// A name that is none.
    #[error("`{0}` is no name of a caller: 1 to 64 ASCII letters, digits, `-`, `_` and `.`")]
    Name(String),
    /// A kind there is not.
    #[error("`{0}` is no kind of caller: `supervisor`, `agent_client` or `desk`")]
    Kind(String),
    /// Not the digest of a token.
    #[error("`token_sha256` of `{0}` is not 64 lower-case hexadecimal digits: --new-caller makes an entry")]
    Digest(String),
    /// Two of one name.
    #[error("two callers are named `{0}`: names differ by more than case")]
    SameName(String),
    /// Two with one token.
    #[error("`{0}` and `{1}` have the same token: make a new one with --new-caller")]
    SameToken(String, String),
    /// Nobody could call.
    #[error("there is no caller in it: make one with --new-caller NAME KIND")]
    Nobody,
    /// The system gave no randomness.
    #[error("the system gave no randomness for a token")]
    Randomness,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    caller: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    name: String,
    kind: PrincipalKind,
    token_sha256: String,
}

#[derive(Clone)]
struct Known {
    principal: Principal,
    token: [u8; 32],
}

/// Everybody who may call, by their tokens. Printing shows names only.
#[derive(Clone)]
pub struct Principals(Vec<Known>);

impl fmt::Debug for Principals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|known| &known.principal)).finish()
    }
}

impl Principals {
    /// Reads a callers file.
    pub fn load(file: &Path) -> Result<Self, PrincipalError> {
        let read = |source| PrincipalError::Read { file: file.display().to_string(), source };
        Self::parse(&std::fs::read_to_string(file).map_err(read)?)
    }

    /// Parses `[[caller]]` tables with `name`, `kind` and `token_sha256`.
    pub fn parse(text: &str) -> Result<Self, PrincipalError> {
        let mut all: Vec<Known> = Vec::new();
        for entry in toml::from_str::<File>(text)?.caller {
            let principal = Principal::new(&entry.name, entry.kind)?;
            let token =
                digest_of(&entry.token_sha256).ok_or_else(|| PrincipalError::Digest(entry.name.clone()))?;
            if all.iter().any(|known| known.principal.name.eq_ignore_ascii_case(&entry.name)) {
                return Err(PrincipalError::SameName(entry.name));
            }
            if let Some(other) = all.iter().find(|known| known.token == token) {
                return Err(PrincipalError::SameToken(other.principal.name.clone(), entry.name));
            }
            all.push(Known { principal, token });
        }
        if all.is_empty() { Err(PrincipalError::Nobody) } else { Ok(Self(all)) }
    }

    /// Whose token this is. Looks at every entry, whichever fits.
    pub fn of_token(&self, token: &str) -> Option<&Principal> {
        let presented: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.0.iter().fold(None, |found, known| {
            if bool::from(known.token.ct_eq(&presented)) { Some(&known.principal) } else { found }
        })
    }

    pub(crate) fn of(&self, headers: &HeaderMap) -> Option<&Principal> {
        self.of_token(bearer(headers)?)
    }
}

/// The bearer token of a request; none where there are two, which could be read two ways.
pub(crate) fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut all = headers.get_all(header::AUTHORIZATION).iter();
    let (only, None) = (all.next()?, all.next()) else { return None };
    let (scheme, token) = only.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// A token that was just made, and the entry that lets it in. The token is shown once.
#[derive(Clone)]
pub struct NewPrincipal {
    /// For the caller, and nobody else.
    pub token: String,
    /// For the callers file.
    pub entry: String,
}

impl fmt::Debug for NewPrincipal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NewPrincipal(…)")
    }
}

impl NewPrincipal {
    /// Makes a token of 256 random bits for a principal.
    pub fn make(principal: &Principal) -> Result<Self, PrincipalError> {
        let mut bytes = [0; TOKEN_BYTES];
        let random = rustls::crypto::ring::default_provider().secure_random;
        random.fill(&mut bytes).map_err(|_| PrincipalError::Randomness)?;
        let token = format!("mwt_{}", hex::encode(bytes));
        let digest = hex::encode(Sha256::digest(token.as_bytes()));
        let Principal { name, kind } = principal;
        let entry =
            format!("[[caller]]\nname = \"{name}\"\nkind = \"{kind}\"\ntoken_sha256 = \"{digest}\"\n");
        Ok(Self { token, entry })
    }
}

fn digest_of(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    (lower && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(name: &str, kind: PrincipalKind) -> NewPrincipal {
        NewPrincipal::make(&Principal::new(name, kind).unwrap()).unwrap()
    }

    #[test]
    fn each_token_is_one_principal_and_nothing_else_is() {
        let a = made("midwatch", PrincipalKind::Supervisor);
        let b = made("editor-7", PrincipalKind::AgentClient);
        let all = Principals::parse(&format!("{}{}", a.entry, b.entry)).unwrap();
        assert_eq!(all.of_token(&a.token).unwrap().name(), "midwatch");
        assert_eq!(all.of_token(&b.token).unwrap().kind(), PrincipalKind::AgentClient);
        let digest = hex::encode(Sha256::digest(a.token.as_bytes()));
        for none in ["", "midwatch", digest.as_str(), a.token.get(1..).unwrap(), &a.token.to_uppercase()] {
            assert_eq!(all.of_token(none), None, "{none}");
        }
        assert!(!format!("{all:?} {a:?}").contains(&digest));
    }

    #[test]
    fn what_is_not_clear_is_refused_whole() {
        let a = made("midwatch", PrincipalKind::Supervisor).entry;
        let shared = a.replace("midwatch", "other");
        let named = made("Midwatch", PrincipalKind::AgentClient).entry;
        let refused = |text: &str| Principals::parse(text).unwrap_err();
        assert!(matches!(refused(&format!("{a}{shared}")), PrincipalError::SameToken(..)));
        assert!(matches!(refused(&format!("{a}{named}")), PrincipalError::SameName(_)));
        assert!(matches!(refused(""), PrincipalError::Nobody));
        assert!(matches!(refused(&a.replace("midwatch", "mid watch")), PrincipalError::Name(_)));
        assert!(matches!(refused(&a.replace("\"supervisor\"", "\"person\"")), PrincipalError::Toml(_)));
        assert!(matches!(
            refused(&a.replace("token_sha256 = \"", "token_sha256 = \"0")),
            PrincipalError::Digest(_)
        ));
        assert!(matches!(refused(&format!("{a}token = \"x\"\n")), PrincipalError::Toml(_)));
        assert!(
            Principals::load(Path::new("/nowhere/callers.toml")).unwrap_err().to_string().contains("nowhere")
        );
    }

    #[test]
    fn two_credentials_are_none() {
        let mut headers = HeaderMap::new();
        headers.append(header::AUTHORIZATION, "Bearer a".parse().unwrap());
        assert_eq!(bearer(&headers), Some("a"));
        headers.append(header::AUTHORIZATION, "Bearer b".parse().unwrap());
        assert_eq!(bearer(&headers), None);
    }
}
