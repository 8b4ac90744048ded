//! Which alarms a composite alarm is made of, level by level. Pure: it says which names to ask for next, and is
//! given what was found.
//!
//! INVARIANT: a name is asked for once, whatever the rules say, and so is a level: alarms that are computed from each
//! other, which CloudWatch allows, end like all others.

use aws_sdk_cloudwatch::types::{CompositeAlarm, MetricAlarm};
use midwatch_mcp::clean;

use crate::{
    alarm::{inputs, summary_of_composite, summary_of_metric},
    feeds::Read,
    shapes::{AlarmState, AlarmSummary},
};

/// Levels of children that are read: those of the alarm, theirs, and those of these.
const DEEPEST: usize = 3;
/// Names that one request takes, and the most that a rule has.
pub(crate) const MAX_NAMES: usize = 100;
const NAME_BYTES: usize = 200;
/// Names in one note.
const MAX_TOLD: usize = 12;

/// An alarm below a composite one.
#[derive(Debug)]
pub(crate) enum Child {
    Metric(Box<MetricAlarm>),
    Composite(Box<CompositeAlarm>),
}

impl Child {
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Metric(alarm) => alarm.alarm_name(),
            Self::Composite(alarm) => alarm.alarm_name(),
        }
        .unwrap_or_default()
    }

    fn summary(&self) -> AlarmSummary {
        match self {
            Self::Metric(alarm) => summary_of_metric(alarm),
            Self::Composite(alarm) => summary_of_composite(alarm),
        }
    }

    fn named(&self) -> Vec<String> {
        match self {
            Self::Metric(_) => Vec::new(),
            Self::Composite(alarm) => names_in(alarm.alarm_rule().unwrap_or_default()),
        }
    }
}

/// An alarm below a composite one, and the composite alarm between them.
#[derive(Debug)]
pub(crate) struct Member {
    child: Child,
    of: Option<String>,
}

impl Member {
    pub(crate) fn summary(&self) -> AlarmSummary {
        AlarmSummary { child_of: self.of.clone(), ..self.child.summary() }
    }

    pub(crate) fn reads(&self) -> Vec<Read> {
        let Child::Metric(alarm) = &self.child else { return Vec::new() };
        let read = |metric| Read { alarm: Some(self.child.name().to_owned()), metric };
        inputs(alarm).into_iter().map(read).collect()
    }
}

/// A name to ask for, and the composite alarm whose rule has it; none for the alarm that was asked about.
type Named = (String, Option<String>);

/// All that is known of the alarms below one.
#[derive(Debug)]
pub(crate) struct Family {
    top: String,
    /// Levels that were taken.
    level: usize,
    /// Of this level, in the order of the rules.
    wanted: Vec<Named>,
    members: Vec<Member>,
    notes: Vec<String>,
}

impl Family {
    /// That of an alarm of this name, with this rule.
    pub(crate) fn new(top: &str, rule: &str) -> Self {
        let (members, notes) = (Vec::new(), Vec::new());
        let mut new = Self { top: top.to_owned(), level: 0, wanted: Vec::new(), members, notes };
        new.want(names_in(rule).into_iter().filter(|name| name != top).map(|name| (name, None)).collect());
        new
    }

    /// The names of the next level; none where it ends.
    pub(crate) fn wanted(&self) -> Vec<String> {
        self.wanted.iter().map(|(name, _)| name.clone()).collect()
    }

    /// What was found of them. What was not found does not exist.
    pub(crate) fn take(&mut self, found: Vec<Child>) {
        let wanted = std::mem::take(&mut self.wanted);
        let known = self.members.len();
        for child in found {
            let name = child.name();
            if name != self.top && !self.members.iter().any(|member| member.child.name() == name) {
                let of = wanted.iter().find(|(wanted, _)| wanted == name).and_then(|(_, of)| of.clone());
                self.members.push(Member { child, of });
            }
        }
        let is_found = |name: &str| self.members.iter().any(|member| member.child.name() == name);
        let gone = wanted.into_iter().filter(|(name, _)| *name != self.top && !is_found(name)).collect();
        self.notes.extend(by_rule(gone).into_iter().map(|(rule, names)| {
            let (they, verb) = if names.len() == 1 { ("that alarm", "does") } else { ("those alarms", "do") };
            format!("{rule} names {}, but {they} {verb} not exist", told(&names))
        }));
        self.level += 1;
        self.descend(known);
    }

    /// They could not be read.
    pub(crate) fn lose(&mut self, why: &str) {
        let lost = by_rule(std::mem::take(&mut self.wanted));
        self.notes.extend(
            lost.into_iter().map(|(rule, names)| {
                format!("{rule} names {}, which could not be read: {why}", told(&names))
            }),
        );
    }

    /// Looks below the members from this one on.
    fn descend(&mut self, from: usize) {
        let mut composite: Vec<&Member> = self.members.iter().skip(from).collect();
        composite.sort_by_key(|member| member.child.summary().state != AlarmState::Alarm);
        let mut next: Vec<Named> = Vec::new();
        for member in composite {
            let of = member.child.name();
            for name in member.child.named() {
                let is_known = self.members.iter().any(|known| known.child.name() == name)
                    || next.iter().any(|(known, _)| *known == name);
                if name == self.top {
                    self.notes
                        .push(format!("the rule of {} leads back to this alarm", told(&[of.to_owned()])));
                } else if !is_known {
                    next.push((name, Some(of.to_owned())));
                }
            }
        }
        if self.level < DEEPEST {
            self.want(next);
        } else if !next.is_empty() {
            let rules: Vec<String> = by_rule(next).into_iter().map(|(rule, _)| rule).collect();
            self.notes.push(format!(
                "children are followed {DEEPEST} levels down: what {} names was not read",
                rules.join(", ")
            ));
        }
    }

    fn want(&mut self, mut next: Vec<Named>) {
        if let Some(more) = next.len().checked_sub(MAX_NAMES).filter(|more| *more > 0) {
            self.notes.push(format!("{more} further alarms below it were not read"));
            next.truncate(MAX_NAMES);
        }
        self.wanted = next;
    }

    /// Its members, those in ALARM first and of them the nearest, and what there is to say of them.
    pub(crate) fn told(mut self) -> (Vec<Member>, Vec<String>) {
        self.members.sort_by_key(|member| member.child.summary().state != AlarmState::Alarm);
        (self.members, self.notes)
    }
}

/// Names by the rule that has them.
fn by_rule(named: Vec<Named>) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    for (name, of) in named {
        let rule = of.map_or_else(|| "its rule".to_owned(), |of| format!("the rule of {}", told(&[of])));
        match all.iter_mut().find(|(known, _)| *known == rule) {
            Some((_, names)) => names.push(name),
            None => all.push((rule, vec![name])),
        }
    }
    all
}

/// Names, in text for the reader.
pub(crate) fn told(names: &[String]) -> String {
    let shown = names.iter().take(MAX_TOLD);
    let shown: Vec<String> = shown.map(|name| format!("`{}`", clean(name, NAME_BYTES).text)).collect();
    match names.len().saturating_sub(MAX_TOLD) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The alarms that a rule names, each once: `ALARM("a") OR (OK(b) AND NOT ALARM(arn:…:alarm:c))`.
fn names_in(rule: &str) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut rest = rule;
    while let Some((head, after)) = rest.split_once('(') {
        let word = head.trim_end().rsplit(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
        rest = after.trim_start();
        let is_state = ["ALARM", "OK", "INSUFFICIENT_DATA"]
            .iter()
            .any(|state| word.is_some_and(|word| word.eq_ignore_ascii_case(state)));
        if !is_state {
            continue;
        }
        let (name, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once(')').unwrap_or((rest, "")),
        };
        rest = after;
        let name = name.split_once(":alarm:").map_or(name, |(_, name)| name).trim();
        if !name.is_empty() && !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

#[cfg(test)]
#[path = "family_tests.rs"]
mod tests;
