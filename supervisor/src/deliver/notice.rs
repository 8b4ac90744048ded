//! A notice: what people are told, before any channel gives it a form.
//!
//! INVARIANTS:
//! - every text in it is one bounded line without secrets; it is cleaned here, where it is made,
//!   and escaped once more by the channel that it leaves by;
//! - what came from outside (an alarm's name, its reason, an asker's words) stands in lines of
//!   their own that say so, and is shown as a quotation, never among our words; the name of an alarm
//!   of no known service stands in the headline as well, short and in quotation marks;
//! - it holds no permit, no token and no way to approve by itself: a person answers at the desk,
//!   as themselves.

mod make;
#[cfg(test)]
mod tests;

use midwatch_policy::{Environment, IncidentId, Service, ServiceName, Tier, Timestamp};
use serde::{Deserialize, Serialize};

use super::text;
use crate::{alarm::Alarm, intake::Opened, others::Others};

/// Longest headline, in characters.
pub(super) const HEADLINE: usize = 140;
/// Longest name of an alarm in a headline, in characters.
const NAME: usize = 70;
/// Longest line, in characters.
const LINE: usize = 600;
/// Most lines.
const LINES: usize = 20;

/// What kind of thing is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The team's own alarm, passed on because there is no outcome.
    RawAlarm,
    /// A person has to look.
    Escalation,
    /// A person is asked to approve an action.
    Approval,
    /// Something is still open.
    Reminder,
    /// Somebody has it.
    Acknowledged,
    /// It is over.
    AllClear,
    /// The report.
    Report,
    /// Somebody tries a route.
    Test,
}

impl Kind {
    /// All of them, the most urgent first: in this order they leave.
    pub const ALL: [Self; 8] = [
        Self::RawAlarm,
        Self::Escalation,
        Self::Approval,
        Self::Reminder,
        Self::Acknowledged,
        Self::AllClear,
        Self::Report,
        Self::Test,
    ];

    /// As it is written in configuration and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RawAlarm => "raw_alarm",
            Self::Escalation => "escalation",
            Self::Approval => "approval",
            Self::Reminder => "reminder",
            Self::Acknowledged => "acknowledged",
            Self::AllClear => "all_clear",
            Self::Report => "report",
            Self::Test => "test",
        }
    }

    /// Whether somebody has to acknowledge it.
    pub const fn wants_a_person(self) -> bool {
        match self {
            Self::RawAlarm | Self::Escalation | Self::Approval | Self::Reminder => true,
            Self::Acknowledged | Self::AllClear | Self::Report | Self::Test => false,
        }
    }

    /// Whether it goes to those who were told before, and to nobody else.
    pub const fn is_follow_up(self) -> bool {
        matches!(self, Self::Acknowledged | Self::AllClear)
    }

    pub(super) fn priority(self) -> i64 {
        Self::ALL.iter().position(|kind| *kind == self).and_then(|at| i64::try_from(at).ok()).unwrap_or(0)
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// For the record.
    Info,
    /// To be looked at.
    Warning,
    /// Something is broken.
    Error,
    /// Customers are cut off, or may be.
    Critical,
}

impl Severity {
    /// As it is written, PagerDuty's way.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// What a notice is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The incident.
    pub incident: IncidentId,
    /// The service, if the catalog knows it.
    pub service: Option<Service>,
    /// Name of the alarm, from outside.
    pub alarm: String,
    /// Region, where it is known.
    pub region: Option<String>,
    /// The other alarms of the incident, as far as they had come in.
    #[serde(default, skip_serializing_if = "Others::is_none")]
    pub others: Others,
}

impl About {
    /// An incident, its alarm and the service that the alarm is about.
    pub fn new(incident: &IncidentId, alarm: &Alarm, service: Option<&Service>) -> Self {
        let region = service.and_then(|s| s.region.as_ref()).or(alarm.region.as_ref());
        Self {
            incident: incident.clone(),
            service: service.cloned(),
            alarm: text::line(&alarm.name, 120),
            region: region.map(|region| text::line(region, 30)),
            others: Others::default(),
        }
    }

    /// The same, with the other alarms of the incident.
    #[must_use]
    pub fn with(self, others: Others) -> Self {
        Self { others, ..self }
    }

    /// An incident that was opened.
    pub fn opened(opened: &Opened) -> Self {
        Self::new(&opened.id, &opened.alarm, opened.service.as_ref())
    }

    /// The service's name.
    pub fn service_name(&self) -> Option<&ServiceName> {
        self.service.as_ref().map(|service| &service.name)
    }

    /// The service's tier.
    pub fn tier(&self) -> Option<Tier> {
        self.service.as_ref().map(|service| service.tier)
    }

    /// The name that people know it by: the service's, or the alarm's where the catalog has none.
    fn name(&self) -> String {
        match self.service_name() {
            Some(name) => name.to_string(),
            None => format!("alarm \"{}\"", text::line(&self.alarm.replace('"', "'"), NAME)),
        }
    }

    /// How bad something is that a person has to look at.
    fn severity(&self) -> Severity {
        match &self.service {
            Some(s) if s.environment != Environment::Production => Severity::Warning,
            Some(s) if s.tier.get() <= 1 => Severity::Critical,
            _ => Severity::Error,
        }
    }
}

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Midwatch's own words.
    Midwatch,
    /// Text from outside: data, whatever it says.
    Outside,
}

/// One line of a notice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    /// What it is about, such as `why`.
    pub label: String,
    /// What it says.
    pub text: String,
    /// Who wrote it.
    pub origin: Origin,
}

/// What people are told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// What it is about.
    pub about: About,
    /// What kind of thing it is.
    pub kind: Kind,
    /// What tells two of a kind apart in one incident, such as the request's id; else empty.
    pub subject: String,
    /// How bad it is.
    pub severity: Severity,
    /// When it was made.
    pub at: Timestamp,
    /// In our words, with the name that the catalog knows, or the alarm's, quoted.
    pub headline: String,
    /// What there is to say.
    pub lines: Vec<Line>,
    /// Whether it says that the incident is over, so that a page for it may be closed.
    pub over: Over,
}

/// Whether an incident is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// It is.
    Yes,
    /// It is not, or nobody knows.
    No,
}

impl Notice {
    /// What identifies it: a second one with the same key is the same.
    pub fn key(&self) -> String {
        format!("{}/{}/{}", self.about.incident, self.kind.as_str(), self.subject)
    }

    /// All of it as plain text, at most `most` bytes.
    pub fn plain(&self, most: usize) -> String {
        use std::fmt::Write as _;
        let mut out = format!("{}\n", self.headline);
        for line in &self.lines {
            let _ = match line.origin {
                Origin::Midwatch => write!(out, "\n{}: {}", line.label, line.text),
                Origin::Outside => write!(out, "\n{} (quoted): \"{}\"", line.label, line.text),
            };
        }
        let _ = write!(out, "\n\nIncident {} · midwatch incidents show {0}", self.about.incident);
        text::bytes(&out, most)
    }
}
