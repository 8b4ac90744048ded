//! Intake: an alarm becomes an incident, or part of one, and is written down before its sender is
//! told that it may forget it.
//!
//! A message goes one way: a source (`sqs`, `sns`, `webhook`) parses it and hands it to the
//! `door`; the `board`, which is pure, decides what it means; the door writes alarm and decision
//! into the `inbox` in one commit; only then is the source told, and only then does anything
//! happen. At the start the board is what the inbox says: it applies what was decided and decides
//! nothing again.

pub mod board;
pub mod door;
pub mod identity;
pub mod inbox;
pub mod queue;
pub mod quiet;
pub mod refused;
pub mod relations;
pub mod sources;

use std::fmt::Write as _;

use midwatch_policy::{
    Catalog, IdError, IncidentId, Service, ServiceName, SignedDuration, Timestamp, Whence,
};

use crate::alarm::{Alarm, AlarmState};

/// How far before the alarm the incident's window begins.
const BEFORE: SignedDuration = SignedDuration::from_mins(30);
/// How far after the alarm it reaches at most, where the alarm is old.
const AFTER: SignedDuration = SignedDuration::from_hours(2);

/// An incident, just opened.
#[derive(Debug, Clone)]
pub struct Opened {
    /// Its id.
    pub id: IncidentId,
    /// The alarm.
    pub alarm: Alarm,
    /// The service it is about, if the catalog knows it.
    pub service: Option<Service>,
    /// When it was opened.
    pub at: Timestamp,
}

/// Opens an incident for an alarm.
pub fn open(alarm: Alarm, catalog: &Catalog, now: Timestamp, salt: u32) -> Result<Opened, IdError> {
    let service = service_of(&alarm, catalog).cloned();
    let id = incident_id(&alarm, salt)?;
    Ok(Opened { id, alarm, service, at: now })
}

/// The same again, of an incident that was opened before.
pub fn reopen(id: IncidentId, alarm: Alarm, catalog: &Catalog, at: Timestamp) -> Opened {
    let service = service_of(&alarm, catalog).cloned();
    Opened { id, alarm, service, at }
}

/// The id of the incident that an alarm opens.
pub fn incident_id(alarm: &Alarm, salt: u32) -> Result<IncidentId, IdError> {
    let moment = alarm.at.strftime("%Y%m%d-%H%M");
    IncidentId::parse(format!("inc-{moment}-{:06x}", salt & 0x00ff_ffff))
}

/// The service an alarm is about; of a composite alarm, the one its children are about.
pub fn service_of<'a>(alarm: &Alarm, catalog: &'a Catalog) -> Option<&'a Service> {
    let none = std::collections::BTreeMap::new();
    let from = Whence { account: alarm.account.as_deref(), region: alarm.region.as_deref() };
    let dimensions = alarm.dimensions();
    let named = dimensions.get("service").and_then(|name| ServiceName::parse(name.as_str()).ok());
    named
        .and_then(|name| catalog.get(&name))
        .filter(|service| from.may_be_of(service))
        .or_else(|| catalog.service_of_alarm_from(&alarm.name, &dimensions, from))
        .or_else(|| {
            alarm.children().iter().find_map(|child| catalog.service_of_alarm_from(child, &none, from))
        })
}

impl Opened {
    /// The window that is looked at, as of `now`.
    pub fn window(&self, now: Timestamp) -> (Timestamp, Timestamp) {
        let anchor = self.alarm.at.min(now);
        let from = anchor.saturating_sub(BEFORE).unwrap_or(anchor);
        let latest = anchor.saturating_add(AFTER).unwrap_or(now);
        (from, now.min(latest))
    }

    /// One line about the service, for people.
    pub fn about(&self) -> String {
        let Some(service) = &self.service else {
            return "no service of the catalog: only what the alarm names can be read".to_owned();
        };
        let environment = format!("{:?}", service.environment).to_lowercase();
        let mut line = format!("{}, tier {}, {environment}", service.name, service.tier.get());
        if let Some(region) = service.region.as_ref().or(self.alarm.region.as_ref()) {
            let _ = write!(line, ", {region}");
        }
        if !service.owners.is_empty() {
            let _ = write!(line, ", owned by {}", service.owners.join(", "));
        }
        line
    }

    /// Whether the alarm came as one that fires.
    pub fn fires(&self) -> bool {
        self.alarm.state == AlarmState::Alarm
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::alarm;

    fn fixture(name: &str) -> Alarm {
        let path = format!("{}/tests/fixtures/alarms/{name}.json", env!("CARGO_MANIFEST_DIR"));
        alarm::parse(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    #[test]
    fn the_same_names_in_another_account_or_region_are_another_service() {
        let service = |name: &str, more: &str| {
            format!(
                "[[service]]\nname='{name}'\ntier=1\nenvironment='production'\nalarms=['pay-*']\n{more}\n"
            )
        };
        let (staging, production) = ("account='111111111111'", "account='222222222222'");
        let catalog = Catalog::parse(
            &[
                service("a-anywhere", ""),
                service("b-staging", staging),
                service("c-euw1", &format!("{production}\nregion='eu-west-1'")),
                service("d-use1", &format!("{production}\nregion='us-east-1'")),
            ]
            .concat(),
        )
        .unwrap();
        let of = |account: Option<&str>, region: Option<&str>| {
            let alarm = Alarm {
                name: "pay-5xx".to_owned(),
                account: account.map(str::to_owned),
                region: region.map(str::to_owned),
                ..fixture("sns-metric")
            };
            service_of(&alarm, &catalog).unwrap().name.to_string()
        };
        assert_eq!(of(Some("222222222222"), Some("us-east-1")), "d-use1");
        assert_eq!(of(Some("222222222222"), Some("eu-west-1")), "c-euw1");
        assert_eq!(of(Some("111111111111"), Some("eu-west-1")), "b-staging");
        assert_eq!(of(Some("333333333333"), Some("eu-west-1")), "a-anywhere");
        assert_eq!(of(None, None), "a-anywhere");
    }

    #[test]
    fn a_time_that_cannot_be_is_taken_as_now_and_said() {
        let now: Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
        for said in ["2099-01-01T00:00:00Z", "1970-01-01T00:00:00Z", "2026-11-21T02:05:01Z"] {
            let alarm = Alarm { at: said.parse().unwrap(), ..fixture("sns-metric") };
            let taken = alarm.at_a_time_that_can_be(now);
            assert_eq!(taken.at, now);
            assert!(taken.reason.contains(said), "{}", taken.reason);
        }
        let alarm = Alarm { at: "2026-11-21T02:05:00Z".parse().unwrap(), ..fixture("sns-metric") };
        assert_eq!(alarm.clone().at_a_time_that_can_be(now), alarm);
    }

    #[test]
    fn a_composite_alarm_is_about_the_service_of_its_children() {
        let catalog =
            Catalog::parse("[[service]]\nname='web'\ntier=1\nenvironment='production'\nalarms=['child-*']")
                .unwrap();
        let alarm = fixture("sns-composite");
        let opened = open(alarm, &catalog, "2021-11-10T02:46:00Z".parse().unwrap(), 0x01ab_cdef).unwrap();
        assert_eq!(opened.service.as_ref().unwrap().name.as_str(), "web");
        assert_eq!(opened.id.as_str(), "inc-20211110-0245-abcdef");
        assert!(opened.about().starts_with("web, tier 1, production, us-east-1"));
    }

    #[test]
    fn the_window_of_an_old_alarm_does_not_reach_to_now() {
        let catalog = Catalog::default();
        let now: Timestamp = "2026-11-21T00:00:00Z".parse().unwrap();
        let opened = open(fixture("eventbridge-metric"), &catalog, now, 1).unwrap();
        let (from, to) = opened.window(now);
        assert_eq!(from.to_string(), "2019-10-02T16:34:40.989Z");
        assert_eq!(to.to_string(), "2019-10-02T19:04:40.989Z");
        let early: Timestamp = "2019-10-02T17:06:00Z".parse().unwrap();
        assert_eq!(opened.window(early).1, early);
    }
}
