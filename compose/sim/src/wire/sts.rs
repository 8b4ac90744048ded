//! STS: who is calling, and roles to assume. Every role exists and every caller may assume it.

use serde_json::Value;
use sha2::Digest as _;

use super::{WireBody, WireError};
use crate::world::State;

/// Answers one call.
pub(crate) fn handle(state: &mut State, op: &str, input: &Value) -> Result<WireBody, WireError> {
    let account = state.account();
    let result = match op {
        "GetCallerIdentity" => format!(
            "<Arn>arn:aws:sts::{account}:assumed-role/midwatch/world</Arn>\
             <UserId>AROAEXAMPLEWORLD:world</UserId><Account>{account}</Account>"
        ),
        "AssumeRole" => {
            let text = |name: &str| input.get(name).and_then(Value::as_str).unwrap_or_default();
            let (role, session) = (text("RoleArn"), text("RoleSessionName"));
            if !role.contains(":role/") || session.is_empty() {
                return Err(WireError::client("ValidationError", "RoleArn and RoleSessionName are needed"));
            }
            let assumed = role.replace(":iam:", ":sts:").replace(":role/", ":assumed-role/");
            format!(
                "<AssumedRoleUser><AssumedRoleId>AROAEXAMPLEWORLD:{session}</AssumedRoleId>\
                 <Arn>{assumed}/{session}</Arn></AssumedRoleUser><Credentials>\
                 <AccessKeyId>{}</AccessKeyId><SecretAccessKey>world</SecretAccessKey>\
                 <SessionToken>world</SessionToken><Expiration>{}</Expiration></Credentials>",
                key(role, session),
                // The SDK compares this with the clock of the machine, not with the world's.
                "2099-01-01T00:00:00Z"
            )
        }
        _ => return Err(WireError::unknown_operation(op)),
    };
    Ok(WireBody::Xml(framed(op, &result, &state.next_request_id())))
}

/// A key of its own for every role and session: callers keep an account's rates by it.
fn key(role: &str, session: &str) -> String {
    let made_of = hex::encode_upper(sha2::Sha256::digest(format!("{role} {session}")));
    format!("ASIA{}", made_of.get(..16).unwrap_or_default())
}

/// A result in the frame of the query protocol.
pub(crate) fn framed(op: &str, result: &str, id: &str) -> String {
    format!(
        "<{op}Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><{op}Result>{result}</{op}Result>\
         <ResponseMetadata><RequestId>{id}</RequestId></ResponseMetadata></{op}Response>"
    )
}
