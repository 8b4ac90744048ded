//! Alarms that CloudWatch did not write: Alertmanager's webhook, and a plain shape for everything else.
//!
//! They become the same `Alarm`: labels and dimensions are its dimensions, and the dimension
//! `service` names a service of the catalog.

use std::collections::BTreeMap;

use midwatch_policy::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{
    Alarm, AlarmError, AlarmState, Severity, Watch, WatchedMetric,
    wire::{bounded, malformed, name, open, shorten, text},
};

/// Most alarms that one message may hold.
const MOST: usize = 200;

/// Reads the alarms of a message in any known shape. There is at least one.
pub fn parse_all(message: &str) -> Result<Vec<Alarm>, AlarmError> {
    let message = message.trim_start_matches('\u{feff}');
    let value: Value = serde_json::from_str(message).map_err(AlarmError::Json)?;
    if value.get("alerts").is_some_and(Value::is_array) {
        let raw = RawGroup::deserialize(&value).map_err(|error| malformed("Alertmanager", &error))?;
        return some("Alertmanager", raw.alerts, from_alert);
    }
    if value.get("alarms").is_some_and(Value::is_array) {
        let raw = RawPlainList::deserialize(&value).map_err(|error| malformed("generic", &error))?;
        return some("generic", raw.alarms, from_plain);
    }
    if value.get("name").is_some() && value.get("state").is_some() {
        let raw = RawPlain::deserialize(&value).map_err(|error| malformed("generic", &error))?;
        return Ok(vec![from_plain(raw)?]);
    }
    Ok(vec![open(&value)?])
}

fn some<T>(
    shape: &'static str,
    raw: Vec<T>,
    read: impl Fn(T) -> Result<Alarm, AlarmError>,
) -> Result<Vec<Alarm>, AlarmError> {
    if raw.is_empty() || raw.len() > MOST {
        let problem = format!("it has {} alarms; from 1 to {MOST} are read", raw.len());
        return Err(AlarmError::Malformed { shape, problem });
    }
    raw.into_iter().map(read).collect()
}

#[derive(Deserialize)]
struct RawGroup {
    alerts: Vec<RawAlert>,
}

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

fn from_alert(raw: RawAlert) -> Result<Alarm, AlarmError> {
    let shape = "Alertmanager";
    let mut labels = raw.labels;
    let called = labels.remove("alertname").unwrap_or_default();
    let severity = labels.remove("severity").and_then(|word| severity(&word));
    let mut take = |names: [&str; 2]| names.into_iter().find_map(|label| labels.remove(label));
    let account = take(["account", "aws_account_id"]);
    let region = take(["region", "aws_region"]);
    let (state, at) = match raw.status {
        RawStatus::Firing => (AlarmState::Alarm, raw.starts_at),
        RawStatus::Resolved => (AlarmState::Ok, raw.ends_at.unwrap_or(raw.starts_at)),
    };
    let said = |key: &str| raw.annotations.get(key).cloned();
    plain(
        shape,
        RawPlain {
            name: called,
            state: RawState::from(state),
            at,
            service: None,
            account,
            region,
            severity,
            reason: said("summary").or_else(|| said("message")),
            description: said("description"),
            dimensions: labels,
        },
    )
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPlainList {
    alarms: Vec<RawPlain>,
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

impl From<AlarmState> for RawState {
    fn from(state: AlarmState) -> Self {
        match state {
            AlarmState::Ok => Self::Ok,
            AlarmState::Alarm => Self::Firing,
            AlarmState::InsufficientData => Self::NoData,
        }
    }
}

fn from_plain(raw: RawPlain) -> Result<Alarm, AlarmError> {
    plain("generic", raw)
}

fn plain(shape: &'static str, raw: RawPlain) -> Result<Alarm, AlarmError> {
    let mut dimensions = bounded(raw.dimensions);
    if let Some(service) = raw.service {
        dimensions.insert("service".to_owned(), text(service));
    }
    let called = name(shape, raw.name)?;
    let at: Timestamp = raw.at.parse().map_err(|_| AlarmError::Malformed {
        shape,
        problem: format!("`{}` is not a time such as 2026-11-21T02:04:00Z", shorten(&raw.at, 40)),
    })?;
    let metric = WatchedMetric {
        namespace: shape.to_owned(),
        name: called.clone(),
        stat: None,
        period_s: None,
        dimensions,
    };
    Ok(Alarm {
        name: called,
        arn: None,
        account: raw.account.map(text),
        region: raw.region.map(text),
        state: match raw.state {
            RawState::Firing => AlarmState::Alarm,
            RawState::Ok => AlarmState::Ok,
            RawState::NoData => AlarmState::InsufficientData,
        },
        previous: None,
        at,
        reason: raw.reason.map(text).unwrap_or_default(),
        description: raw.description.map(text),
        threshold: None,
        watch: Watch::Metric { metric },
        suppressed: None,
        severity: raw.severity,
    })
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

    #[test]
    fn alertmanagers_alerts_become_alarms_of_their_own() {
        let message = r#"{"version":"4","receiver":"midwatch","status":"firing","alerts":[
            {"status":"firing","labels":{"alertname":"HighErrors","severity":"page","service":"checkout-api",
              "region":"eu-west-1","pod":"a"},"annotations":{"summary":"5xx over 5 %"},
              "startsAt":"2026-11-21T02:04:00.5Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"x"},
            {"status":"resolved","labels":{"alertname":"Slow"},"startsAt":"2026-11-21T01:00:00+01:00",
              "endsAt":"2026-11-21T02:00:00+01:00"}]}"#;
        let alarms = parse_all(message).unwrap();
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
        let alarms = parse_all(one).unwrap();
        assert_eq!(alarms[0].dimensions().len(), 2);
        let list = format!(r#"{{"alarms":[{one},{one}]}}"#);
        assert_eq!(parse_all(&list).unwrap().len(), 2);
        let typo = one.replace("severity", "severety");
        assert!(parse_all(&typo).unwrap_err().to_string().contains("severety"));
        let late = one.replace("2026-11-21T02:04:00Z", "yesterday");
        assert!(parse_all(&late).unwrap_err().to_string().contains("yesterday"));
        assert!(parse_all(r#"{"alarms":[]}"#).unwrap_err().to_string().contains("0 alarms"));
    }

    #[test]
    fn what_aws_delivers_is_read_as_before() {
        for name in ["eventbridge-metric", "sns-composite", "lambda-metric"] {
            let path = format!("{}/tests/fixtures/alarms/{name}.json", env!("CARGO_MANIFEST_DIR"));
            let message = std::fs::read_to_string(path).unwrap();
            assert_eq!(parse_all(&message).unwrap(), [crate::alarm::parse(&message).unwrap()]);
        }
    }
}
