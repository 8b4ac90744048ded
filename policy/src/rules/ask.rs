//! `@ask("2 oncall, 1 owner")`: who has to approve.

use std::{collections::BTreeSet, fmt};

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::permit::Approver;

/// So many different people of one role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ask {
    /// The role, such as `oncall`.
    pub role: String,
    /// How many different people.
    pub people: u8,
}

impl fmt::Display for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.people, self.role)
    }
}

/// Parses `N role`, several separated by commas; N from 1 to 9.
pub(super) fn parse(text: &str) -> Option<Vec<Ask>> {
    text.split(',')
        .map(|part| {
            let (people, role) = part.trim().split_once(' ')?;
            let (people, role) = (people.parse::<u8>().ok()?, role.trim());
            ((1..=9).contains(&people) && is_role(role)).then(|| Ask { role: role.to_owned(), people })
        })
        .collect()
}

/// Whether it is a role as the desk knows them.
pub(crate) fn is_role(role: &str) -> bool {
    !role.is_empty()
        && role.len() <= 64
        && role.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-' || b == b'_')
}

/// Parses `30s`, `10m` or `2h`, up to a day.
pub(super) fn parse_within(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().next_back()?;
    let number: u32 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        _ => return None,
    };
    let span = SignedDuration::from_secs(i64::from(number) * seconds);
    (span > SignedDuration::ZERO && span <= SignedDuration::from_hours(24)).then_some(span)
}

/// Everything that was asked: for each role the largest number.
pub(super) fn all<'a>(asks: impl Iterator<Item = &'a Ask>) -> Vec<Ask> {
    let mut all: Vec<Ask> = Vec::new();
    for ask in asks {
        match all.iter_mut().find(|known| known.role == ask.role) {
            Some(known) => known.people = known.people.max(ask.people),
            None => all.push(ask.clone()),
        }
    }
    all.sort();
    all
}

/// A person is a name, counted once over all roles: in the first role they approved in.
pub(super) fn unmet(asks: &[Ask], approvers: &[Approver]) -> Vec<Ask> {
    let mut seen = BTreeSet::new();
    let people: Vec<&Approver> =
        approvers.iter().filter(|approver| seen.insert(approver.name.trim().to_lowercase())).collect();
    asks.iter()
        .filter_map(|ask| {
            let given = people.iter().filter(|approver| approver.role == ask.role).count();
            let missing = usize::from(ask.people).saturating_sub(given);
            let people = u8::try_from(missing).unwrap_or(u8::MAX);
            (people > 0).then(|| Ask { role: ask.role.clone(), people })
        })
        .collect()
}
