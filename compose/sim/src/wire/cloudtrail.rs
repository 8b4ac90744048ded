//! CloudTrail: who called what. What the scenario deployed was asked for by its author, on the command line; what was
//! changed since, by whoever calls this world.

use serde_json::{Value, json};

use super::{
    WireBody, WireError,
    input::{list, page, text, time_ms},
    timestamp,
};
use crate::{scenario::spec::DeployKind, world::State};

/// How long after the call CodeDeploy and ECS write a deployment down.
const BEFORE_MS: i64 = 400;

/// Answers one call.
pub(crate) fn handle(state: &mut State, op: &str, input: &Value) -> Result<WireBody, WireError> {
    match op {
        "LookupEvents" => lookup_events(state, input).map(WireBody::Json),
        _ => Err(WireError::unknown_operation(op)),
    }
}

/// One call that changed something.
struct Record {
    at_ms: i64,
    /// `service:Operation`.
    api: String,
    role: &'static str,
    session: String,
    agent: &'static str,
    request: Value,
    response: Value,
}

/// Newest first.
fn records(state: &State) -> Vec<Record> {
    let spec = &state.spec;
    let mut all: Vec<Record> = Vec::new();
    for d in spec.deployments.iter().filter(|d| d.at_ms <= state.now_ms()) {
        let Some(of) = spec.services.get(d.service) else { continue };
        let (api, request, response) = match d.kind {
            DeployKind::CodeDeploy => (
                "codedeploy:CreateDeployment",
                json!({"applicationName": of.name}),
                json!({"deploymentId": d.id}),
            ),
            DeployKind::Ecs => {
                ("ecs:UpdateService", json!({"cluster": of.cluster, "service": of.name}), Value::Null)
            }
        };
        all.push(Record {
            at_ms: d.at_ms - BEFORE_MS,
            api: api.to_owned(),
            role: "deploy",
            session: d.author.clone(),
            agent: "aws-cli/2.31.4 md/awscrt#0.27.6 ua/2.1 os/linux",
            request,
            response,
        });
    }
    for made in state.mutations.iter().filter(|made| made.accepted) {
        let at_ms = made.at.as_millisecond();
        let started = state.codedeploy.deployments.iter().find(|d| d.created_ms == at_ms);
        let response = match (made.api.as_str(), started) {
            ("codedeploy:CreateDeployment", Some(d)) => json!({"deploymentId": d.id}),
            _ => Value::Null,
        };
        all.push(Record {
            at_ms,
            api: made.api.clone(),
            role: "midwatch",
            session: "world".to_owned(),
            agent: "aws-sdk-rust/1.3.9 ua/2.1 os/linux lang/rust",
            request: made.input.clone(),
            response,
        });
    }
    all.sort_by_key(|record| std::cmp::Reverse(record.at_ms));
    all
}

fn lookup_events(state: &State, input: &Value) -> Result<Value, WireError> {
    let name = match list(input, "LookupAttributes") {
        [] => None,
        [one] if text(one, "AttributeKey") == Some("EventName") => text(one, "AttributeValue"),
        _ => {
            return Err(WireError::client(
                "InvalidLookupAttributesException",
                "one attribute is taken, and this world knows EventName",
            ));
        }
    };
    let from = time_ms(input, "StartTime").unwrap_or(i64::MIN);
    let to = time_ms(input, "EndTime").unwrap_or(i64::MAX);
    if from > to {
        return Err(WireError::client("InvalidTimeRangeException", "StartTime is after EndTime"));
    }
    let account = state.account();
    let found: Vec<Value> = records(state)
        .into_iter()
        .filter(|record| (from..=to).contains(&record.at_ms))
        .filter_map(|record| {
            let (source, operation) = record.api.split_once(':')?;
            if name.is_some_and(|name| name != operation) {
                return None;
            }
            let Record { at_ms, role, session, .. } = &record;
            let event = json!({
                "eventVersion": "1.11",
                "userIdentity": {
                    "type": "AssumedRole",
                    "arn": format!("arn:aws:sts::{account}:assumed-role/{role}/{session}"),
                    "accountId": account,
                    "sessionContext": {"sessionIssuer": {"type": "Role", "userName": role}},
                },
                "eventTime": crate::time::timestamp(*at_ms).to_string(),
                "eventSource": format!("{source}.amazonaws.com"),
                "eventName": operation,
                "awsRegion": state.region(),
                "sourceIPAddress": "198.51.100.7",
                "userAgent": record.agent,
                "requestParameters": record.request,
                "responseElements": record.response,
                "readOnly": false,
            });
            Some(json!({
                "EventId": format!("{at_ms:032x}"),
                "EventName": operation,
                "ReadOnly": "false",
                "EventTime": timestamp(*at_ms),
                "EventSource": format!("{source}.amazonaws.com"),
                "Username": session,
                "Resources": [],
                "CloudTrailEvent": event.to_string(),
            }))
        })
        .collect();
    let size = input.get("MaxResults").and_then(Value::as_u64);
    let (events, next) = page(found, text(input, "NextToken"), size, 50)
        .map_err(|()| WireError::client("InvalidNextTokenException", "the token is not one of mine"))?;
    Ok(json!({"Events": events, "NextToken": next}))
}
