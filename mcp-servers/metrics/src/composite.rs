//! Composite alarms: their children, by their rule and as CloudWatch lists them, and what those are made of.
//!
//! `ChildrenOfAlarmName` tells of each child no more than its name and state, and takes no other argument.
//! So the children are also asked for by the names in the rule, at the same time: in full, and one that was
//! deleted is missed. Either answer does where the other fails. Of what lies deeper each level is one request,
//! by the names in the rules above it.

use aws_sdk_cloudwatch::{
    Client,
    types::{AlarmType, CompositeAlarm, MetricAlarm},
};
use midwatch_mcp::{AwsResult, ToolError};
use midwatch_policy::Catalog;

use crate::{
    alarm::{shell, summary_of_composite},
    family::{Child, Family, MAX_NAMES, told},
    feeds::Read,
    shapes::{Alarm, AlarmSummary},
};

/// Children that are told.
const MAX_CHILDREN: usize = 40;

/// A composite alarm with its children, and the metrics they read: of those in ALARM first.
pub(crate) async fn read(client: &Client, alarm: &CompositeAlarm, catalog: &Catalog) -> (Alarm, Vec<Read>) {
    let mut out = shell(summary_of_composite(alarm), alarm.alarm_description());
    out.expression = alarm.alarm_rule().map(str::to_owned);
    if alarm.actions_suppressed_by().is_some() {
        out.notes.push("its actions are suppressed by another alarm".to_owned());
    }
    let name = alarm.alarm_name().unwrap_or_default();
    let mut family = Family::new(name, alarm.alarm_rule().unwrap_or_default());
    let named = family.wanted();
    let both = tokio::join!(described(client, &named), listed(client, name));
    let children = match both {
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
    family.take(children);
    loop {
        let wanted = family.wanted();
        if wanted.is_empty() {
            break;
        }
        match described(client, &wanted).await {
            Ok(found) => family.take(found),
            Err(error) => family.lose(&error.message),
        }
    }
    let (mut all, notes) = family.told();
    out.notes.extend(notes);
    if let Some(more) = all.len().checked_sub(MAX_CHILDREN).filter(|more| *more > 0) {
        out.notes.push(format!("{more} further children are not told"));
        all.truncate(MAX_CHILDREN);
    }
    out.children = all
        .iter()
        .map(|member| {
            let summary = member.summary();
            let dimensions = member.reads().into_iter().next().map(|read| read.metric.dimensions);
            let service = catalog.service_of_alarm(&summary.name, &dimensions.unwrap_or_default());
            AlarmSummary { service: service.map(|service| service.name.to_string()), ..summary }
        })
        .collect();
    (out, all.iter().flat_map(crate::family::Member::reads).collect())
}

fn children(metric: Option<Vec<MetricAlarm>>, composite: Option<Vec<CompositeAlarm>>) -> Vec<Child> {
    let metric = metric.into_iter().flatten().map(|alarm| Child::Metric(Box::new(alarm)));
    let composite = composite.into_iter().flatten().map(|alarm| Child::Composite(Box::new(alarm)));
    metric.chain(composite).collect()
}

async fn listed(client: &Client, name: &str) -> Result<Vec<Child>, ToolError> {
    let (mut all, mut token) = (Vec::new(), None);
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
        all.extend(children(found.metric_alarms, found.composite_alarms));
        if token.is_none() {
            break;
        }
    }
    Ok(all)
}

async fn described(client: &Client, names: &[String]) -> Result<Vec<Child>, ToolError> {
    if names.is_empty() {
        return Ok(Vec::new());
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
    Ok(children(found.metric_alarms, found.composite_alarms))
}
