//! The calendar: when changes are frozen, and when it is business hours for whom.
//!
//! A fact that policy and runbook contracts are asked with. Desk and remediation server read the
//! same file, each for itself.
//!
//! INVARIANTS:
//! - a freeze is a span of absolute time: it begins and ends at the same moment everywhere;
//! - business hours are local: nine o'clock stays nine o'clock when the clocks change;
//! - time zones come with the binary, so that a machine without any decides like every other.
//!
//! A freeze by cron expression was rejected: nobody reads one right at night.

mod freeze;
mod hours;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use jiff::Timestamp;

pub use freeze::Freeze;
use hours::Hours;

use crate::{
    catalog::{Catalog, Service},
    fields::Fields,
    problem::Problem,
};

/// Change freezes and business hours. By default there is no freeze and there are no hours.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Calendar {
    freezes: Vec<Freeze>,
    hours: Option<Hours>,
    owners: BTreeMap<String, Hours>,
}

/// Why a calendar cannot be used: everything that is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("calendar is wrong:\n  {}", Problem::lines(.0))]
pub struct CalendarError(pub Vec<Problem>);

impl Calendar {
    /// Parses a calendar: `[[freeze]]` tables, `[hours]`, and `[hours.owner.NAME]` where a team
    /// has others. Every problem is reported at once.
    pub fn parse(text: &str) -> Result<Self, CalendarError> {
        let mut problems = Vec::new();
        let mut calendar = Self::default();
        if let Some(mut file) = Fields::parse(text, &mut problems) {
            for table in file.tables("freeze", &mut problems) {
                let line = table.line();
                let Some(freeze) = Freeze::read(table, &mut problems) else { continue };
                if calendar.freezes.iter().any(|known| known.id == freeze.id) {
                    problems.push(Problem::new(
                        Some(line),
                        format!("the freeze `{}` stands there twice", freeze.id),
                        "give every freeze an `id` of its own",
                    ));
                }
                calendar.freezes.push(freeze);
            }
            if let Some(table) = file.table("hours", &mut problems) {
                (calendar.hours, calendar.owners) = hours::read(table, &mut problems);
            }
            file.finish("`[[freeze]]` and `[hours]`", &mut problems);
        }
        problems.sort_by_key(|problem| problem.line);
        if problems.is_empty() { Ok(calendar) } else { Err(CalendarError(problems)) }
    }

    /// The freeze that covers the service now; of several the one that lasts longest.
    pub fn freeze(&self, now: Timestamp, service: &Service) -> Option<&Freeze> {
        self.freezes
            .iter()
            .filter(|freeze| freeze.from <= now && now < freeze.to && freeze.covers(service))
            .max_by_key(|freeze| freeze.to)
    }

    /// Whether it is business hours for everybody who owns the service. An owner without hours of
    /// its own keeps those of everybody; where there are none, it never is.
    pub fn business_hours(&self, now: Timestamp, service: &Service) -> bool {
        let within = |hours: Option<&Hours>| hours.is_some_and(|hours| hours.contain(now));
        if service.owners.is_empty() {
            return within(self.hours.as_ref());
        }
        service.owners.iter().all(|owner| within(self.owners.get(owner).or(self.hours.as_ref())))
    }

    /// All freezes, in the order of the file.
    pub fn freezes(&self) -> &[Freeze] {
        &self.freezes
    }

    /// What the calendar names and the catalog does not have: such a freeze freezes nothing.
    pub fn unknown(&self, catalog: &Catalog) -> Vec<String> {
        let services = self.freezes.iter().flat_map(|freeze| {
            let missing = freeze.services().filter(|service| catalog.get(service).is_none());
            missing.map(|service| format!("the freeze `{}` names the service `{service}`", freeze.id))
        });
        let owned = |owner: &str| catalog.services().any(|s| s.owners.iter().any(|known| known == owner));
        let owners = self.owners.keys().filter(|owner| !owned(owner));
        services
            .chain(owners.map(|owner| format!("`[hours.owner]` names `{owner}`, who owns nothing")))
            .collect()
    }
}
