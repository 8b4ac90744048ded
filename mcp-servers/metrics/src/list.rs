//! The tool `list_alarms`.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::{Client, types::AlarmType};
use midwatch_mcp::{AwsResult, MAX_RESULT_BYTES, ToolError, fit};
use midwatch_policy::{Catalog, Service, ServiceName};

use crate::{
    alarm::{inputs, summary_of_composite, summary_of_metric},
    server::MetricsServer,
    shapes::{AlarmList, AlarmState, AlarmSummary, ListAlarmsArgs},
};

const MAX_PAGES: usize = 20;

pub(crate) async fn list_alarms(
    server: &MetricsServer,
    args: ListAlarmsArgs,
) -> Result<AlarmList, ToolError> {
    let service = server.ctx().service(&args.service)?;
    let catalog = &server.ctx().catalog;
    let mut wanted = vec![service.name.clone()];
    if args.dependencies {
        wanted.extend(service.depends_on.iter().cloned());
    }
    // One listing for each account and region; what is no service of the catalog lives where this one does.
    let mut places: BTreeMap<(Option<&str>, Option<&str>), &Service> = BTreeMap::new();
    for name in &wanted {
        let owner = catalog.get(name).unwrap_or(service);
        let role = owner.role_arn.as_ref().map(midwatch_policy::AwsName::as_str);
        places.entry((role, owner.region.as_deref())).or_insert(owner);
    }
    let (mut alarms, mut notes, mut failed) = (Vec::new(), Vec::new(), None);
    for owner in places.values() {
        let client = server.client(Some(owner)).await?;
        match all(&client, args.state, &mut notes).await {
            Ok(found) => alarms.extend(found.into_iter().filter_map(|(mut summary, dimensions)| {
                let about = about(catalog, &wanted, &summary.name, &dimensions)?;
                summary.service = Some(about.to_string());
                Some(summary)
            })),
            Err(error) => {
                notes.push(format!("the alarms of `{}` could not be read: {}", owner.name, error.message));
                failed = Some(error);
            }
        }
    }
    if let (true, Some(error)) = (notes.len() >= places.len() && alarms.is_empty(), failed) {
        return Err(error);
    }
    let rank = |state| match state {
        AlarmState::Alarm => 0,
        AlarmState::InsufficientData => 1,
        AlarmState::Ok => 2,
    };
    alarms.sort_by(|a, b| (rank(a.state), &a.name).cmp(&(rank(b.state), &b.name)));
    alarms.dedup_by(|a, b| a.name == b.name && a.service == b.service);
    if alarms.is_empty() {
        notes.push(
            "no such alarms; the catalog's `alarms` patterns say which alarms are about a service".to_owned(),
        );
    }
    let mut result = AlarmList { alarms, notes };
    let dropped = fit(&mut result, MAX_RESULT_BYTES, |result| result.alarms.pop().is_some());
    if dropped > 0 {
        result.notes.push(format!("{dropped} alarms were left out to keep the result small"));
    }
    Ok(result)
}

/// Which of the wanted services an alarm is about.
fn about<'a>(
    catalog: &Catalog,
    wanted: &'a [ServiceName],
    alarm: &str,
    dimensions: &BTreeMap<String, String>,
) -> Option<&'a ServiceName> {
    match catalog.service_of_alarm(alarm, dimensions) {
        Some(service) => wanted.iter().find(|name| **name == service.name),
        // Something external, such as a database, has no catalog entry: its name has to do.
        None => wanted.iter().filter(|name| catalog.get(name).is_none()).find(|name| {
            alarm.contains(name.as_str()) || dimensions.values().any(|value| value == name.as_str())
        }),
    }
}

async fn all(
    client: &Client,
    state: Option<AlarmState>,
    notes: &mut Vec<String>,
) -> Result<Vec<(AlarmSummary, BTreeMap<String, String>)>, ToolError> {
    let (mut out, mut token) = (Vec::new(), None);
    for page in 0.. {
        let found = client
            .describe_alarms()
            .alarm_types(AlarmType::MetricAlarm)
            .alarm_types(AlarmType::CompositeAlarm)
            .set_state_value(state.map(AlarmState::sdk))
            .max_records(100)
            .set_next_token(token)
            .send()
            .await
            .aws("cloudwatch:DescribeAlarms")?;
        for alarm in found.metric_alarms() {
            let dimensions =
                inputs(alarm).into_iter().next().map(|metric| metric.dimensions).unwrap_or_default();
            out.push((summary_of_metric(alarm), dimensions));
        }
        out.extend(
            found.composite_alarms().iter().map(|alarm| (summary_of_composite(alarm), BTreeMap::new())),
        );
        token = found.next_token().map(str::to_owned);
        if token.is_none() {
            break;
        }
        if page + 1 == MAX_PAGES {
            notes.push("there are more than 2000 alarms: some were not looked at".to_owned());
            break;
        }
    }
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_told_apart_by_service_and_external_dependency() {
        let catalog = Catalog::parse(
            "[[service]]\nname='web'\ntier=1\nenvironment='production'\ndepends_on=['payments-db','cart']\n
             [[service]]\nname='cart'\ntier=1\nenvironment='production'\n",
        )
        .unwrap();
        let wanted: Vec<ServiceName> =
            ["web", "payments-db", "cart"].into_iter().map(|n| ServiceName::parse(n).unwrap()).collect();
        let of = |alarm: &str| about(&catalog, &wanted, alarm, &BTreeMap::new()).map(ToString::to_string);
        assert_eq!(of("web-5xx").as_deref(), Some("web"));
        assert_eq!(of("payments-db-connections").as_deref(), Some("payments-db"));
        assert_eq!(of("cart-latency").as_deref(), Some("cart"));
        assert_eq!(of("search-latency"), None);
        let only = &wanted[..1];
        assert_eq!(about(&catalog, only, "cart-latency", &BTreeMap::new()), None);
    }
}
