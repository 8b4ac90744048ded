//! Permits: signed leave for one act, verified where the act happens.
//!
//! A permit is a PASETO v4.public token, so whoever can verify one cannot make one. The desk
//! signs [`Claims`] after a person approved exactly that plan; the remediation server turns the
//! token into an [`Authorised`] action in two steps, and only that type lets its code act:
//!
//! 1. [`verify`] checks form, key, signature and every claim against what is about to be done;
//! 2. [`VerifiedPermit::against`] compares the terms it was approved on with those of now, just before.
//!
//! INVARIANT: `VerifiedPermit` and `Authorised` have no other constructor, cannot be cloned,
//! defaulted or deserialised, and `Authorised` carries the action itself: nothing can be
//! authorised by one permit and executed with other arguments. Spending a permit once is the
//! server's store's work. The token library's own claim rules are not used: they read the system
//! clock and know neither our claims nor `Clock`.

mod digest;
mod key;
mod seal;
#[cfg(test)]
mod tests;

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use digest::{Digest, DigestError};
pub use key::{KeyError, PublicKey, PublicKeys, SigningKey};
pub use seal::Seal;

use crate::{
    action::{Action, ActionKind},
    approval::RunbookRef,
    id::{IncidentId, PermitId, RequestId},
    rules::Claimed,
    terms::Terms,
};

/// A permit that is longer is refused unread. An ordinary one has about 1500 bytes.
const LONGEST_TOKEN: usize = 16 * 1024;
/// No permit is good for longer, whatever it says.
const LONGEST_LIFE: SignedDuration = SignedDuration::from_hours(1);
/// Signed along with every permit, so that no other signature of the same key passes for one.
const PURPOSE: &[u8] = b"midwatch permit 2";

/// A person who said yes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Approver {
    /// Name of the person, unique at the desk.
    pub name: String,
    /// The role in which they approved, such as `oncall`.
    pub role: String,
    /// Where they said so, such as `terminal`.
    pub channel: String,
}

/// Everything that a permit says, and all of it is checked or recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The permit; spent once.
    pub permit: PermitId,
    /// The request at the desk that it answers.
    pub request: RequestId,
    /// The incident that it is for.
    pub incident: IncidentId,
    /// The caller that may use it.
    pub subject: String,
    /// The identity of the server that may act on it.
    pub audience: String,
    /// The tool.
    pub tool: ActionKind,
    /// Which version of the tool's arguments was approved: see [`Action::schema_digest`].
    pub schema: Digest,
    /// What was approved, exactly: see [`Action::digest`].
    pub arguments: Digest,
    /// Where, on what and to what end it was approved: must be so when it starts.
    pub terms: Terms,
    /// Who approved.
    pub approvers: Vec<Approver>,
    /// The policies that asked for approval.
    pub policies: Vec<String>,
    /// Digest of everything that the approvers were shown: see [`Shown::digest`](crate::Shown::digest).
    pub shown: Digest,
    /// The runbook that the asker follows, whose contract the action is held to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<RunbookRef>,
    /// Runbooks whose contracts it is held to whether the asker follows them or not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_to: Vec<RunbookRef>,
    /// What the caller said of itself when it asked: policy is asked with it once more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claimed: Option<Claimed>,
    /// Not good before.
    pub not_before: Timestamp,
    /// Not good from then on.
    pub expires: Timestamp,
}

/// A signed permit. Its text goes from the desk to the remediation server and nowhere else, so it
/// does not print.
#[derive(Clone, PartialEq, Eq)]
pub struct PermitToken(String);

impl PermitToken {
    /// The text, to hand to the server.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// The text, to hand to the server.
    pub fn into_string(self) -> String {
        self.0
    }
}

impl fmt::Debug for PermitToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PermitToken(…)")
    }
}

/// What is about to be done, by whom, and where: every claim is compared with it.
#[derive(Debug, Clone, Copy)]
pub struct Demand<'a> {
    /// The authenticated caller.
    pub subject: &'a str,
    /// The identity of this server.
    pub audience: &'a str,
    /// The request whose permit was fetched.
    pub request: &'a RequestId,
    /// The incident, where the caller named one.
    pub incident: Option<&'a IncidentId>,
    /// The typed action, defaults filled in.
    pub action: &'a Action,
    /// The time by the server's clock.
    pub now: Timestamp,
}

/// Why a permit is no leave to act. One for each thing that can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PermitError {
    /// Longer than any permit.
    #[error("permit is too long")]
    TooLong,
    /// Not a PASETO of version 4 with the purpose `public`.
    #[error("permit is not a v4.public token")]
    Form,
    /// The footer does not name a key.
    #[error("permit does not name its key")]
    Footer,
    /// Signed with a key that is not, or no longer, accepted.
    #[error("permit is signed with the key `{0}`, which is not accepted")]
    UnknownKey(String),
    /// The signature is not one of that key over these claims.
    #[error("permit's signature is wrong")]
    Signature,
    /// Signed, but not readable as claims: a missing, unknown or repeated field, or another form.
    #[error("permit's claims are not readable: {0}")]
    Claims(String),
    /// For another server.
    #[error("permit is for the server `{0}`")]
    Audience(String),
    /// For another caller.
    #[error("permit is for the caller `{0}`")]
    Subject(String),
    /// For another request.
    #[error("permit answers the request `{0}`")]
    Request(RequestId),
    /// For another incident.
    #[error("permit is for the incident `{0}`")]
    Incident(IncidentId),
    /// For another tool.
    #[error("permit is for the tool `{0}`")]
    Tool(ActionKind),
    /// Approved under another version of the tool.
    #[error("permit was given for another version of the tool")]
    Schema,
    /// Approved with other arguments.
    #[error("permit was given for other arguments")]
    Arguments,
    /// Nobody approved.
    #[error("permit names no approver")]
    NoApprover,
    /// One person counted twice.
    #[error("permit counts the approver `{0}` twice")]
    RepeatedApprover(String),
    /// The caller approved its own request.
    #[error("permit was approved by its own subject `{0}`")]
    SelfApproval(String),
    /// No policy stands behind it.
    #[error("permit names no policy")]
    NoPolicy,
    /// Good for longer than any permit may be, or for no time at all.
    #[error("permit's lifetime is not between nothing and an hour")]
    Lifetime,
    /// Its time has not come.
    #[error("permit is not valid before {0}")]
    NotYetValid(Timestamp),
    /// Its time is over.
    #[error("permit expired at {0}")]
    Expired(Timestamp),
    /// The target is no longer what the approver was shown.
    #[error("target has changed since it was approved")]
    Stale {
        /// What the approver was shown.
        approved: Box<Terms>,
        /// As it would be now.
        live: Box<Terms>,
    },
}

/// Why claims could not be signed.
#[derive(Debug, thiserror::Error)]
pub enum SignError {
    /// They have no canonical form.
    #[error("claims cannot be written")]
    Claims(#[from] serde_json::Error),
    /// The key refused.
    #[error("claims cannot be signed")]
    Key,
}

/// A permit whose every claim holds for one action; its target has not been looked at yet.
#[derive(Debug)]
pub struct VerifiedPermit {
    claims: Claims,
    action: Action,
}

/// An action that may be executed, once. Only a verified permit whose terms still hold makes
/// one.
#[derive(Debug)]
pub struct Authorised {
    claims: Claims,
    action: Action,
}

impl VerifiedPermit {
    /// What the permit says.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// Compares the terms the approver was shown with those on which it would be done now, and gives
    /// leave to act if they are the same.
    pub fn against(self, live: &Terms) -> Result<Authorised, PermitError> {
        if self.claims.terms == *live {
            Ok(Authorised { claims: self.claims, action: self.action })
        } else {
            Err(PermitError::Stale { approved: Box::new(self.claims.terms), live: Box::new(live.clone()) })
        }
    }
}

impl Authorised {
    /// What may be done: this, and nothing else.
    pub const fn action(&self) -> &Action {
        &self.action
    }

    /// What the permit says.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// The permit, for what AWS records of the act.
    pub const fn permit(&self) -> &PermitId {
        &self.claims.permit
    }
}

impl Action {
    /// SHA-256 of the RFC 8785 form of the action: its tool and its complete, typed arguments.
    pub fn digest(&self) -> Result<Digest, DigestError> {
        Digest::of_json(self)
    }

    /// SHA-256 of the RFC 8785 form of the schema that actions have in this build.
    pub fn schema_digest() -> Result<Digest, DigestError> {
        Digest::of_json(&schemars::schema_for!(Action))
    }
}

/// Signs the claims. The caller is the desk; nothing else holds a [`SigningKey`].
pub fn sign(claims: &Claims, key: &SigningKey) -> Result<PermitToken, SignError> {
    let payload = serde_json_canonicalizer::to_vec(claims)?;
    key.sign(&payload, PURPOSE).map(PermitToken).map_err(|_| SignError::Key)
}

/// Checks everything that can be checked without looking at the target.
pub fn verify(token: &str, keys: &PublicKeys, demand: &Demand<'_>) -> Result<VerifiedPermit, PermitError> {
    let claims = read(token, keys)?;
    let Demand { subject, audience, request, incident, action, now } = *demand;
    if claims.audience != audience {
        return Err(PermitError::Audience(claims.audience));
    }
    if claims.subject != subject {
        return Err(PermitError::Subject(claims.subject));
    }
    if claims.request != *request {
        return Err(PermitError::Request(claims.request));
    }
    if incident.is_some_and(|incident| claims.incident != *incident) {
        return Err(PermitError::Incident(claims.incident));
    }
    if claims.tool != action.kind() {
        return Err(PermitError::Tool(claims.tool));
    }
    if Action::schema_digest().ok().as_ref() != Some(&claims.schema) {
        return Err(PermitError::Schema);
    }
    if action.digest().ok().as_ref() != Some(&claims.arguments) {
        return Err(PermitError::Arguments);
    }
    people(&claims)?;
    if claims.policies.is_empty() {
        return Err(PermitError::NoPolicy);
    }
    let life = claims.expires.duration_since(claims.not_before);
    if life <= SignedDuration::ZERO || life > LONGEST_LIFE {
        return Err(PermitError::Lifetime);
    }
    if now < claims.not_before {
        return Err(PermitError::NotYetValid(claims.not_before));
    }
    if now >= claims.expires {
        return Err(PermitError::Expired(claims.expires));
    }
    Ok(VerifiedPermit { claims, action: action.clone() })
}

/// Form, key and signature, and then claims in exactly one form: what was signed has to be the
/// canonical bytes of what was read, so that no repeated key, escape or number reads two ways.
fn read(token: &str, keys: &PublicKeys) -> Result<Claims, PermitError> {
    if token.len() > LONGEST_TOKEN {
        return Err(PermitError::TooLong);
    }
    let payload = keys.open(token, PURPOSE)?;
    let claims: Claims =
        serde_json::from_slice(&payload).map_err(|error| PermitError::Claims(error.to_string()))?;
    let canonical =
        serde_json_canonicalizer::to_vec(&claims).map_err(|error| PermitError::Claims(error.to_string()))?;
    if canonical == payload {
        Ok(claims)
    } else {
        Err(PermitError::Claims("not in canonical form".to_owned()))
    }
}

/// At least one person, each counted once, and none of them the caller. Names are compared as the
/// desk and policy compare them: spelling one in another case makes nobody else of it.
fn people(claims: &Claims) -> Result<(), PermitError> {
    if claims.approvers.is_empty() {
        return Err(PermitError::NoApprover);
    }
    let plain = |name: &str| name.trim().to_lowercase();
    for (index, approver) in claims.approvers.iter().enumerate() {
        let name = plain(&approver.name);
        if name == plain(&claims.subject) {
            return Err(PermitError::SelfApproval(approver.name.clone()));
        }
        if claims.approvers.iter().skip(index + 1).any(|other| plain(&other.name) == name) {
            return Err(PermitError::RepeatedApprover(approver.name.clone()));
        }
    }
    Ok(())
}
