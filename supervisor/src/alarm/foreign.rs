//! Alarms that CloudWatch did not write: Alertmanager's webhook, and a plain shape for everything else.
//!
//! They become the same `Alarm`: labels and dimensions are its dimensions, and the dimension
//! `service` names a service of the catalog.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::{
    Alarm, AlarmState, Severity, Watch, WatchedMetric,
    message::{AlarmError, malformed, time},
    raw::{Raw, shorten},
};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawAlert {
    status: RawStatus,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    starts_at: String,
    #[serde(default)]
    ends_at: Option<String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum RawStatus {
    Firing,
    Resolved,
}

/// One of Alertmanager's alerts.
pub(super) fn from_alert(value: &Value) -> Result<Raw, AlarmError> {
    let shape = "Alertmanager";
    let raw = RawAlert::deserialize(value).map_err(|error| malformed(shape, &error))?;
    let mut labels = raw.labels;
    let called = labels.remove("alertname").unwrap_or_default();
    let severity = labels.remove("severity").and_then(|word| severity(&word));
    let mut take = |names: [&str; 2]| names.into_iter().find_map(|label| labels.remove(label));
    let account = take(["account", "aws_account_id"]);
    let region = take(["region", "aws_region"]);
    let (state, at) = match raw.status {
        RawStatus::Firing => (RawState::Firing, raw.starts_at),
        RawStatus::Resolved => (RawState::Ok, raw.ends_at.unwrap_or(raw.starts_at)),
    };
    let said = |key: &str| raw.annotations.get(key).cloned();
    plain(
        shape,
        RawPlain {
            name: called,
            state,
            at,
            service: labels.remove("service"),
            account,
            region,
            severity,
            reason: said("summary").or_else(|| said("message")),
            description: said("description"),
            dimensions: labels,
        },
    )
}

/// Whether a list of plain alarms has nothing beside them: what is not known is an error, as in each of them.
pub(super) fn only_alarms(value: &Value) -> Result<(), AlarmError> {
    let other = value.as_object().and_then(|map| map.keys().find(|key| *key != "alarms"));
    let problem = |key: &String| format!("unknown field `{}` beside `alarms`", shorten(key, 40));
    other.map_or(Ok(()), |key| Err(AlarmError::Malformed { shape: "generic", problem: problem(key) }))
}

/// See docs/serve.md.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlain {
    name: String,
    state: RawState,
    at: String,
    service: Option<String>,
    account: Option<String>,
    region: Option<String>,
    severity: Option<Severity>,
    reason: Option<String>,
    description: Option<String>,
    #[serde(default)]
    dimensions: BTreeMap<String, String>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "snake_case")]
enum RawState {
    Firing,
    Ok,
    NoData,
}

/// An alarm in the plain shape.
pub(super) fn from_plain(value: &Value) -> Result<Raw, AlarmError> {
    let shape = "generic";
    plain(shape, RawPlain::deserialize(value).map_err(|error| malformed(shape, &error))?)
}

fn plain(shape: &'static str, raw: RawPlain) -> Result<Raw, AlarmError> {
    let mut dimensions = raw.dimensions;
    if let Some(service) = raw.service {
        dimensions.insert("service".to_owned(), service);
    }
    let metric = WatchedMetric {
        namespace: shape.to_owned(),
        name: raw.name.clone(),
        stat: None,
        period_s: None,
        dimensions,
    };
    Ok(Raw(Alarm {
        name: raw.name,
        arn: None,
        account: raw.account,
        region: raw.region,
        state: match raw.state {
            RawState::Firing => AlarmState::Alarm,
            RawState::Ok => AlarmState::Ok,
            RawState::NoData => AlarmState::InsufficientData,
        },
        previous: None,
        at: time(shape, &raw.at)?,
        reason: raw.reason.unwrap_or_default(),
        description: raw.description,
        threshold: None,
        watch: Watch::Metric { metric },
        suppressed: None,
        suppressed_until: None,
        severity: raw.severity,
        mark: None,
    }))
}

/// The words that people write into the label.
fn severity(word: &str) -> Option<Severity> {
    match word.to_ascii_lowercase().as_str() {
        "critical" | "page" | "emergency" | "p1" | "sev1" => Some(Severity::Critical),
        "high" | "error" | "major" | "p2" | "sev2" => Some(Severity::High),
        "warning" | "warn" | "minor" | "p3" | "sev3" => Some(Severity::Warning),
        "info" | "none" | "low" | "p4" | "p5" => Some(Severity::Info),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm::parse_all;

    #[test]
    fn alertmanagers_alerts_become_alarms_of_their_own() {
        let message = r#"{"version":"4","receiver":"midwatch","status":"firing","alerts":[
            {"status":"firing","labels":{"alertname":"HighErrors","severity":"page","service":"checkout-api",
              "region":"eu-west-1","pod":"a"},"annotations":{"summary":"5xx over 5 %"},
              "startsAt":"2026-11-21T02:04:00.5Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"x"},
            {"status":"resolved","labels":{"alertname":"Slow"},"startsAt":"2026-11-21T01:00:00+01:00",
              "endsAt":"2026-11-21T02:00:00+01:00"}]}"#;
        let alarms = parse_all(message).unwrap().alarms;
        assert_eq!(alarms.len(), 2);
        assert_eq!(alarms[0].state, AlarmState::Alarm);
        assert_eq!(alarms[0].severity, Some(Severity::Critical));
        assert_eq!(alarms[0].region.as_deref(), Some("eu-west-1"));
        assert_eq!(alarms[0].dimensions().get("service").unwrap(), "checkout-api");
        assert_eq!(alarms[0].dimensions().get("region"), None);
        assert_eq!(alarms[0].reason, "5xx over 5 %");
        assert_eq!(alarms[1].state, AlarmState::Ok);
        assert_eq!(alarms[1].at.to_string(), "2026-11-21T01:00:00Z");
    }

    #[test]
    fn the_plain_shape_is_strict_about_what_it_does_not_know() {
        let one = r#"{"name":"queue is long","state":"firing","at":"2026-11-21T02:04:00Z","service":"a",
            "severity":"high","dimensions":{"queue":"q"}}"#;
        let alarms = parse_all(one).unwrap().alarms;
        assert_eq!(alarms[0].dimensions().len(), 2);
        let list = format!(r#"{{"alarms":[{one},{one}]}}"#);
        assert_eq!(parse_all(&list).unwrap().alarms.len(), 2);
        let beside = format!(r#"{{"alarms":[{one}],"alarmz":1}}"#);
        assert!(parse_all(&beside).unwrap_err().to_string().contains("alarmz"));
        let typo = one.replace("severity", "severety");
        assert!(parse_all(&typo).unwrap_err().to_string().contains("severety"));
        let late = one.replace("2026-11-21T02:04:00Z", "yesterday");
        assert!(parse_all(&late).unwrap_err().to_string().contains("yesterday"));
        assert!(parse_all(r#"{"alarms":[]}"#).unwrap_err().to_string().contains("no alarms"));
    }

    #[test]
    fn what_aws_delivers_is_read_as_before() {
        for name in ["eventbridge-metric", "sns-composite", "lambda-metric"] {
            let path = format!("{}/tests/fixtures/alarms/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let message = std::fs::read_to_string(path).unwrap();
            assert_eq!(parse_all(&message).unwrap().alarms, [crate::alarm::parse(&message).unwrap()]);
        }
    }
}
