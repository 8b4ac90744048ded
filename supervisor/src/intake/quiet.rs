//! When an alarm is not to be looked at: maintenance windows and silences, from the configuration.
//!
//! INVARIANT: what is quiet is written down with its reason and its end, and looked at again then:
//! an alarm that still fires when its maintenance ends becomes an incident.

use midwatch_policy::{Fields, Freeze, Problem, Service, ServiceName, SignedDuration, Timestamp, glob};
use serde::{Deserialize, Serialize};

use crate::alarm::Alarm;

/// What CloudWatch suppresses is known by this name.
const CLOUDWATCH: &str = "CloudWatch";
/// How long CloudWatch is waited for, where it does not say how long it suppresses: it sends the alarm again when it does
/// not any more, and that message may be lost.
const UNSAID: SignedDuration = SignedDuration::from_hours(4);

/// Alarms that nobody wants to hear of until some time.
#[derive(Debug, Clone, PartialEq)]
struct Silence {
    id: String,
    reason: String,
    from: Option<Timestamp>,
    until: Timestamp,
    alarms: Vec<String>,
    services: Vec<ServiceName>,
    account: Option<String>,
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Quiet {
    maintenance: Vec<Freeze>,
    silences: Vec<Silence>,
}

/// Why an alarm is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hush {
    /// What says so: ``maintenance `db-upgrade` ``.
    pub by: String,
    /// Why, in the words of whoever wrote it.
    pub reason: String,
    /// Until when; nothing only where a version before this one wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Hush {
    /// Of an alarm that CloudWatch suppresses: to the end of its mute window, where it says one.
    pub fn of_cloudwatch(alarm: &Alarm, now: Timestamp) -> Option<Self> {
        let suppressed = alarm.suppressed.as_ref()?;
        let until = alarm.suppressed_until.or_else(|| now.checked_add(UNSAID).ok())?;
        let (by, reason) = (CLOUDWATCH.to_owned(), suppressed.clone());
        (now < until).then_some(Self { by, reason, until: Some(until) })
    }

    /// Whether CloudWatch suppresses it, and not the configuration.
    pub fn is_by_cloudwatch(&self) -> bool {
        self.by == CLOUDWATCH
    }
}

impl Quiet {
    /// Reads `[[maintenance]]` and `[[silence]]` tables.
    pub fn read(file: &mut Fields<'_>, problems: &mut Vec<Problem>) -> Self {
        let maintenance: Vec<Freeze> = file
            .tables("maintenance", problems)
            .into_iter()
            .filter_map(|table| Freeze::read(table, problems))
            .collect();
        let silences = file
            .tables("silence", problems)
            .into_iter()
            .filter_map(|table| Silence::read(table, problems))
            .collect();
        Self { maintenance, silences }
    }

    /// Services that are named, with what names them.
    pub fn named(&self) -> impl Iterator<Item = (String, &ServiceName)> {
        let windows = self.maintenance.iter().flat_map(|window| {
            window.services().map(move |name| (format!("maintenance `{}`", window.id), name))
        });
        let silences = self.silences.iter().flat_map(|silence| {
            silence.services.iter().map(move |name| (format!("silence `{}`", silence.id), name))
        });
        windows.chain(silences)
    }

    /// Whether an alarm is quiet now; of several reasons the one that lasts longest.
    pub fn hush(&self, alarm: &Alarm, service: Option<&Service>, now: Timestamp) -> Option<Hush> {
        let windows = self.maintenance.iter().filter(|window| {
            window.from <= now && now < window.to && service.is_some_and(|service| window.covers(service))
        });
        let windows = windows.map(|window| Hush {
            by: format!("maintenance `{}`", window.id),
            reason: window.reason.clone(),
            until: Some(window.to),
        });
        let silences = self.silences.iter().filter(|silence| silence.covers(alarm, service, now));
        let silences = silences.map(|silence| Hush {
            by: format!("silence `{}`", silence.id),
            reason: silence.reason.clone(),
            until: Some(silence.until),
        });
        windows.chain(silences).max_by_key(|hush| hush.until)
    }
}

impl Silence {
    fn read(mut table: Fields<'_>, problems: &mut Vec<Problem>) -> Option<Self> {
        let before = problems.len();
        let id = table.text("id", "give it a short name: `id = \"noisy-canary\"`", problems);
        let reason = table.text("reason", "say why to people: `reason = \"…\"`", problems);
        let from = if table.has("from") { table.moment("from", problems) } else { None };
        let until = table.moment("until", problems);
        let alarms: Vec<String> = table.take("alarms", "[\"canary-*\"]", problems).unwrap_or_default();
        let services: Vec<ServiceName> =
            table.take("services", "[\"checkout-api\"]", problems).unwrap_or_default();
        let account = table.take("account", "\"123456789012\"", problems);
        if alarms.is_empty() && services.is_empty() {
            problems.push(table.wrong("it would silence everything", "name `alarms` or `services`"));
        }
        if alarms.iter().any(|pattern| pattern.trim_matches('*').is_empty()) {
            problems.push(table.wrong("`*` would silence everything", "write a part of the alarm's name"));
        }
        table.finish("id, reason, from, until, alarms, services, account", problems);
        (problems.len() == before).then_some(())?;
        Some(Self { id: id?, reason: reason?, from, until: until?, alarms, services, account })
    }

    fn covers(&self, alarm: &Alarm, service: Option<&Service>, now: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= now)
            && now < self.until
            && self.account.as_ref().is_none_or(|account| alarm.account.as_ref() == Some(account))
            && (self.alarms.is_empty() || self.alarms.iter().any(|pattern| glob(pattern, &alarm.name)))
            && (self.services.is_empty()
                || service.is_some_and(|service| self.services.contains(&service.name)))
    }
}
