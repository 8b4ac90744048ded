//! What PagerDuty says of an incident: its webhooks, version 3.
//!
//! The signature is an HMAC-SHA256 over the body, without a time. So a message that was caught can be
//! played again; that only acknowledges once more what a person acknowledged.

use midwatch_policy::IncidentId;
use ring::hmac;
use serde::Deserialize;

use crate::deliver::{secret::Secret, text};

use super::KEY;

/// Header with the signatures, separated by commas: one for each secret while that is changed.
pub const SIGNATURES: &str = "x-pagerduty-signature";

/// A person has an incident at PagerDuty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The incident, by the key it was told under.
    pub incident: IncidentId,
    /// Who, as PagerDuty names them, in a short line.
    pub by: String,
}

/// Whether one of the signatures is by this secret and over this body.
pub(in crate::deliver) fn is_signed(secret: &Secret, signatures: &str, body: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.reveal().as_bytes());
    let mut given = signatures.split(',').filter_map(|part| part.trim().strip_prefix("v1="));
    given.any(|hex| hex::decode(hex).is_ok_and(|tag| hmac::verify(&key, body, &tag).is_ok()))
}

/// Who has which incident now. Nothing for any other message, for the incidents of others, and for
/// what no person did: our own acknowledgements come back as those of an integration.
pub(in crate::deliver) fn read(body: &[u8]) -> Result<Option<Taken>, serde_json::Error> {
    #[derive(Deserialize)]
    struct Message {
        event: Event,
    }
    #[derive(Deserialize)]
    struct Event {
        #[serde(rename = "event_type")]
        kind: String,
        #[serde(default)]
        agent: Option<Agent>,
        #[serde(default)]
        data: Option<Data>,
    }
    #[derive(Deserialize)]
    struct Agent {
        r#type: String,
        #[serde(default)]
        summary: Option<String>,
    }
    #[derive(Deserialize)]
    struct Data {
        #[serde(default)]
        incident_key: Option<String>,
    }
    let Message { event } = serde_json::from_slice(body)?;
    let is_taken = matches!(event.kind.as_str(), "incident.acknowledged" | "incident.resolved");
    let person = event.agent.filter(|agent| agent.r#type == "user_reference");
    let key = event.data.and_then(|data| data.incident_key);
    let incident = key.as_deref().and_then(|key| key.strip_prefix(KEY));
    let incident = incident.and_then(|id| IncidentId::parse(id).ok());
    Ok(person.zip(incident).filter(|_| is_taken).map(|(person, incident)| {
        let name = person.summary.unwrap_or_else(|| "somebody".to_owned());
        Taken { incident, by: format!("{} (PagerDuty)", text::line(&name, 60)) }
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn message(kind: &str, agent: &str, key: &str) -> Vec<u8> {
        json!({"event": {
            "id": "01FHEVR6UJ8YJGHJMT5XYK83CF", "event_type": kind, "resource_type": "incident",
            "occurred_at": "2026-11-21T02:06:00.000Z", "client": null,
            "agent": {"id": "P8B9WR7", "type": agent, "summary": "first-on-call"},
            "data": {"id": "PGR0VU2", "type": "incident", "status": "acknowledged", "incident_key": key,
                     "title": "checkout-api: 5xx"},
        }})
        .to_string()
        .into_bytes()
    }

    #[test]
    fn a_person_who_takes_one_of_ours_is_heard() {
        for kind in ["incident.acknowledged", "incident.resolved"] {
            let taken = read(&message(kind, "user_reference", "midwatch/inc-1")).unwrap().unwrap();
            assert_eq!((taken.incident.as_str(), taken.by.as_str()), ("inc-1", "first-on-call (PagerDuty)"));
        }
    }

    #[test]
    fn nobody_else_is() {
        for (kind, agent, key) in [
            ("incident.acknowledged", "inbound_integration_reference", "midwatch/inc-1"),
            ("incident.acknowledged", "user_reference", "somebody-elses/inc-1"),
            ("incident.acknowledged", "user_reference", "midwatch/../etc"),
            ("incident.triggered", "user_reference", "midwatch/inc-1"),
        ] {
            assert_eq!(read(&message(kind, agent, key)).unwrap(), None, "{kind} {agent} {key}");
        }
        let ping = json!({"event": {"event_type": "pagey.ping", "data": {"message": "Hello"}}});
        assert_eq!(read(ping.to_string().as_bytes()).unwrap(), None);
        assert!(read(b"{}").is_err() && read(b"no JSON").is_err());
        assert!(read(Value::Null.to_string().as_bytes()).is_err());
    }

    /// The signature as Python's `hmac` computes it.
    #[test]
    fn only_what_is_signed_is_believed() {
        let secret = Secret::of("a-webhook-secret");
        let good = "v1=b64a886118b501d9df859a7c10fb09ebb73b9cabee705c1885a626d73f552e87";
        let body = b"{\"event\":{}}";
        let header = format!("v1=00ff, {good}");
        assert!(is_signed(&secret, &header, body));
        assert!(!is_signed(&Secret::of("another"), &header, body));
        assert!(!is_signed(&secret, &header, b"{\"event\":{ }}"));
        assert!(
            !is_signed(&secret, "", body)
                && !is_signed(&secret, "v1=", body)
                && !is_signed(&secret, good.trim_start_matches("v1="), body)
        );
    }
}
