//! Composite alarms: their children, by their rule and as CloudWatch lists them.
//!
//! `ChildrenOfAlarmName` tells of each child no more than its name and state, and takes no other argument.
//! So the children are also asked for by the names in the rule, at the same time: in full, and one that was
//! deleted is missed. Either answer does where the other fails.

use aws_sdk_cloudwatch::{
    Client,
    types::{AlarmType, CompositeAlarm, MetricAlarm},
};
use midwatch_mcp::{AwsResult, ToolError, clean};
use midwatch_policy::Catalog;

use crate::{
    alarm::{inputs, shell, summary_of_composite, summary_of_metric},
    feeds::Read,
    shapes::{Alarm, AlarmState, AlarmSummary},
};

/// Names that one request takes, and the most that a rule has.
const MAX_NAMES: usize = 100;
/// Children that are told.
const MAX_CHILDREN: usize = 40;
const NAME_BYTES: usize = 200;

/// A composite alarm with its children, and the metrics they read: of those in ALARM first.
pub(crate) async fn read(client: &Client, alarm: &CompositeAlarm, catalog: &Catalog) -> (Alarm, Vec<Read>) {
    let mut out = shell(summary_of_composite(alarm), alarm.alarm_description());
    out.expression = alarm.alarm_rule().map(str::to_owned);
    if alarm.actions_suppressed_by().is_some() {
        out.notes.push("its actions are suppressed by another alarm".to_owned());
    }
    let named = names_in(alarm.alarm_rule().unwrap_or_default());
    let (listed, described) =
        tokio::join!(listed(client, alarm.alarm_name().unwrap_or_default()), described(client, &named));
    let all = match (described, listed) {
        (Ok(mut described), Ok(listed)) => {
            described.extend(listed);
            described
        }
        (Ok(described), Err(error)) => {
            if named.is_empty() {
                out.notes.push(format!("its children could not be read: {}", error.message));
            }
            described
        }
        (Err(error), Ok(listed)) => {
            out.notes.push(format!("of its children only name and state could be read: {}", error.message));
            listed
        }
        (Err(error), Err(_)) => {
            let rule =
                if named.is_empty() { String::new() } else { format!("; its rule names {}", told(&named)) };
            out.notes.push(format!("its children could not be read: {}{rule}", error.message));
            return (out, Vec::new());
        }
    };
    let Children(mut all) = all;
    let gone: Vec<String> =
        named.into_iter().filter(|name| !all.iter().any(|child| child.name() == name)).collect();
    if !gone.is_empty() {
        let (they, verb) = if gone.len() == 1 { ("that alarm", "does") } else { ("those alarms", "do") };
        out.notes.push(format!("its rule names {}, but {they} {verb} not exist", told(&gone)));
    }
    all.sort_by_key(|child| child.summary().state != AlarmState::Alarm);
    if let Some(more) = all.len().checked_sub(MAX_CHILDREN).filter(|more| *more > 0) {
        out.notes.push(format!("{more} further children are not told"));
        all.truncate(MAX_CHILDREN);
    }
    let about = |child: &Child| {
        let dimensions = child.reads().into_iter().next().map(|read| read.metric.dimensions);
        catalog.service_of_alarm(child.name(), &dimensions.unwrap_or_default())
    };
    out.children = all
        .iter()
        .map(|child| AlarmSummary { service: about(child).map(|s| s.name.to_string()), ..child.summary() })
        .collect();
    (out, all.iter().flat_map(Child::reads).collect())
}

/// Names, in text for the reader.
fn told(names: &[String]) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{}`", clean(name, NAME_BYTES).text)).collect();
    names.join(", ")
}

#[derive(Debug)]
enum Child {
    Metric(Box<MetricAlarm>),
    Composite(Box<CompositeAlarm>),
}

impl Child {
    fn name(&self) -> &str {
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

    fn reads(&self) -> Vec<Read> {
        let Self::Metric(alarm) = self else { return Vec::new() };
        let read = |metric| Read { alarm: Some(self.name().to_owned()), metric };
        inputs(alarm).into_iter().map(read).collect()
    }
}

/// Children, each once: those that come first stay.
#[derive(Debug, Default)]
struct Children(Vec<Child>);

impl Children {
    fn take(&mut self, metric: Option<Vec<MetricAlarm>>, composite: Option<Vec<CompositeAlarm>>) {
        let metric = metric.into_iter().flatten().map(|alarm| Child::Metric(Box::new(alarm)));
        let composite = composite.into_iter().flatten().map(|alarm| Child::Composite(Box::new(alarm)));
        self.extend(metric.chain(composite));
    }

    fn extend(&mut self, more: impl IntoIterator<Item = Child>) {
        for child in more {
            if !self.0.iter().any(|known| known.name() == child.name()) {
                self.0.push(child);
            }
        }
    }
}

impl IntoIterator for Children {
    type Item = Child;
    type IntoIter = std::vec::IntoIter<Child>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

async fn listed(client: &Client, name: &str) -> Result<Children, ToolError> {
    let (mut all, mut token) = (Children::default(), None);
    // A rule has no more children than two such pages.
    for _ in 0..2 {
        let found = client
            .describe_alarms()
            .children_of_alarm_name(name)
            .max_records(100)
            .set_next_token(token)
            .send()
            .await
            .aws("cloudwatch:DescribeAlarms")?;
        token = found.next_token;
        all.take(found.metric_alarms, found.composite_alarms);
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

async fn described(client: &Client, names: &[String]) -> Result<Children, ToolError> {
    let mut all = Children::default();
    if names.is_empty() {
        return Ok(all);
    }
    let found = client
        .describe_alarms()
        .set_alarm_names(Some(names.iter().take(MAX_NAMES).cloned().collect()))
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm)
        .max_records(100)
        .send()
        .await
        .aws("cloudwatch:DescribeAlarms")?;
    all.take(found.metric_alarms, found.composite_alarms);
    Ok(all)
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
mod tests {
    use super::*;

    #[test]
    fn a_rule_names_its_children_in_every_way_to_write_them() {
        let rule = r#"ALARM("api (5xx)") OR (ok ( cart-backlog ) AND NOT ALARM(arn:aws:cloudwatch:us-east-1:123456789012:alarm:db))
            AND INSUFFICIENT_DATA("api (5xx)") OR TRUE"#;
        assert_eq!(names_in(rule), ["api (5xx)", "cart-backlog", "db"]);
        for none in ["", "TRUE", "((", "ALARM(", "ALARM(\"", "MAXIMUM(a)"] {
            assert_eq!(names_in(none), Vec::<String>::new(), "{none}");
        }
    }
}
