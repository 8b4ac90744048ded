//! Who may do what: IAM roles with the policies that the servers print, and long-lived keys that
//! may assume one of them each. It shows that each server gets by with its policy, and that only
//! the remediation server can change something.
//!
//! Signatures are not checked: this keeps honest callers apart, and stops no liar.

use std::{collections::BTreeMap, path::Path};

use axum::http::{HeaderMap, header};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::wire::{Request, WireError};

/// Until then a session is good. The SDK compares it with the clock of the machine.
const EXPIRES: &str = "2099-01-01T00:00:00Z";

/// Why roles cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RolesError {
    /// The file is not there.
    #[error("cannot read `{file}`")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: std::io::Error,
    },
    /// It does not say what it should.
    #[error("in `{file}`: {why}")]
    Wrong {
        /// Which.
        file: String,
        /// What is wrong.
        why: String,
    },
}

/// A role, by its name.
#[derive(Debug)]
struct Role {
    name: String,
    account: String,
    /// Who may assume it.
    key: String,
    /// Patterns of actions such as `ecs:Describe*`.
    allows: Vec<String>,
}

/// All roles.
#[derive(Debug)]
pub(super) struct Roles(Vec<Role>);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    account: String,
    role: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// The access key that may assume it.
    key: String,
    /// The file of its IAM policy, beside this one.
    policy: String,
}

impl Roles {
    /// Reads `account` and `[role.NAME]` tables with `key` and `policy`.
    pub(super) fn load(file: &Path) -> Result<Self, RolesError> {
        let shown = |file: &Path| file.display().to_string();
        let read = |file: &Path| {
            std::fs::read_to_string(file).map_err(|source| RolesError::Read { file: shown(file), source })
        };
        let wrong = |file: &Path, why: String| RolesError::Wrong { file: shown(file), why };
        let all: File = toml::from_str(&read(file)?).map_err(|error| wrong(file, error.to_string()))?;
        let mut roles = Vec::new();
        for (name, Entry { key, policy }) in all.role {
            let policy = file.with_file_name(policy);
            let allows = actions(&read(&policy)?).map_err(|why| wrong(&policy, why))?;
            roles.push(Role { name, account: all.account.clone(), key, allows });
        }
        Ok(Self(roles))
    }

    /// Answers STS: the inside of the result.
    pub(super) fn assume(&self, headers: &HeaderMap, request: &Request) -> Result<String, WireError> {
        let key = key_of(headers)?;
        match request.op.as_str() {
            "GetCallerIdentity" => {
                let role = self.of_session(key).or_else(|| self.0.iter().find(|role| role.key == key));
                let Role { name, account, .. } = role.ok_or_else(unknown)?;
                Ok(format!(
                    "<Arn>arn:aws:sts::{account}:assumed-role/{name}/local</Arn><UserId>AROA{name}:local</UserId>\
                     <Account>{account}</Account>"
                ))
            }
            "AssumeRole" => {
                let text = |name: &str| request.input.get(name).and_then(Value::as_str).unwrap_or_default();
                let (arn, session) = (text("RoleArn"), text("RoleSessionName"));
                let wanted = arn.rsplit_once(":role/").map(|(_, name)| name);
                let role = self.0.iter().find(|role| Some(role.name.as_str()) == wanted && role.key == key);
                let Some(Role { name, account, .. }) = role else {
                    return Err(denied(&format!("{key} may not assume `{arn}`")));
                };
                Ok(format!(
                    "<AssumedRoleUser><AssumedRoleId>AROA{name}:{session}</AssumedRoleId>\
                     <Arn>arn:aws:sts::{account}:assumed-role/{name}/{session}</Arn></AssumedRoleUser><Credentials>\
                     <AccessKeyId>{}</AccessKeyId><SecretAccessKey>local</SecretAccessKey>\
                     <SessionToken>local</SessionToken><Expiration>{EXPIRES}</Expiration></Credentials>",
                    session_key(name)
                ))
            }
            other => Err(WireError::unknown_operation(other)),
        }
    }

    /// Whether a caller's role allows a call such as `ecs:UpdateService`.
    pub(super) fn admit(&self, headers: &HeaderMap, call: &str) -> Result<(), WireError> {
        let role = self.of_session(key_of(headers)?).ok_or_else(unknown)?;
        let action = action_of(call);
        if role.allows.iter().any(|pattern| midwatch_policy::glob(pattern, &action)) {
            return Ok(());
        }
        Err(denied(&format!("role `{}` does not allow {action}", role.name)))
    }

    /// A session is known by the key that only its role gets: they outlive this process.
    fn of_session(&self, key: &str) -> Option<&Role> {
        self.0.iter().find(|role| session_key(&role.name) == key)
    }
}

/// The IAM action of a call, where it is called otherwise.
fn action_of(call: &str) -> String {
    match call {
        "bedrock:Converse" => "bedrock:InvokeModel".to_owned(),
        "bedrock-agent:Retrieve" => "bedrock:Retrieve".to_owned(),
        "bedrock-agent:Rerank" => "bedrock:Rerank".to_owned(),
        other => other.to_owned(),
    }
}

fn session_key(role: &str) -> String {
    let digest = hex::encode_upper(Sha256::digest(role.as_bytes()));
    format!("ASIA{}", digest.get(..16).unwrap_or_default())
}

/// The access key of a signed request.
fn key_of(headers: &HeaderMap) -> Result<&str, WireError> {
    let signed = headers.get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let key = signed.and_then(|text| text.split_once("Credential=")?.1.split('/').next());
    key.ok_or_else(|| WireError::with_status("MissingAuthenticationToken", 403, "the request is not signed"))
}

fn unknown() -> WireError {
    WireError::with_status("UnrecognizedClientException", 403, "the access key belongs to no role")
}

fn denied(why: &str) -> WireError {
    WireError::with_status("AccessDeniedException", 403, why)
}

/// What an IAM policy allows. One with a `Deny` or other elements that this does not play is refused.
fn actions(policy: &str) -> Result<Vec<String>, String> {
    let policy: Value = serde_json::from_str(policy).map_err(|error| error.to_string())?;
    let statements = policy.get("Statement").and_then(Value::as_array).ok_or("there is no `Statement`")?;
    let mut all = Vec::new();
    for statement in statements {
        if statement.get("Effect").and_then(Value::as_str) != Some("Allow") {
            return Err("only statements that allow are played".to_owned());
        }
        match statement.get("Action") {
            Some(Value::String(one)) => all.push(one.clone()),
            Some(Value::Array(many)) => all.extend(many.iter().filter_map(|a| a.as_str().map(str::to_owned))),
            _ => return Err("a statement has no `Action`".to_owned()),
        }
    }
    Ok(all)
}
