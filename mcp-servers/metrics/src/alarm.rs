//! The tool `get_alarm`, and reading alarms of every kind.

use std::collections::BTreeMap;

use aws_sdk_cloudwatch::{
    Client,
    types::{AlarmType, CompositeAlarm, Dimension, MetricAlarm, MetricStat},
};
use midwatch_mcp::{AwsResult, Time, ToolError, clean, named, no_arn, redaction_note, rounded};

use crate::{
    composite,
    feeds::{Read, feeds},
    server::MetricsServer,
    shapes::{Alarm, AlarmState, AlarmSummary, GetAlarmArgs, Input, Metric},
};

const REASON_BYTES: usize = 600;
const DESCRIPTION_BYTES: usize = 1500;

/// An alarm as CloudWatch describes it.
#[derive(Debug, Clone)]
pub(crate) enum Described {
    /// Of a metric or of metric math.
    Metric(Box<MetricAlarm>),
    /// Of other alarms.
    Composite(Box<CompositeAlarm>),
}

pub(crate) async fn get_alarm(server: &MetricsServer, args: GetAlarmArgs) -> Result<Alarm, ToolError> {
    let name = name(&args.alarm_name)?;
    let owner = server.owner(args.service.as_deref(), name)?;
    let client = server.client(owner).await?;
    match describe(&client, name).await? {
        Described::Metric(alarm) => {
            let mut out = of_metric(&alarm);
            let read: Vec<Read> = inputs(&alarm).into_iter().map(Read::itself).collect();
            feeds(&server.logs(owner).await?, &read, &mut out).await;
            Ok(out)
        }
        Described::Composite(alarm) => {
            let (mut out, read) = composite::read(&client, &alarm, &server.ctx().catalog).await;
            feeds(&server.logs(owner).await?, &read, &mut out).await;
            Ok(out)
        }
    }
}

/// The name that an argument means.
pub(crate) fn name(given: &str) -> Result<&str, ToolError> {
    no_arn("alarm_name", given, ":alarm:")?;
    // `transition:NAME/TIME`, where a name may have a `/` itself.
    let transition = given.trim().strip_prefix("transition:").and_then(|given| given.rsplit_once('/'));
    if let Some((name, at)) = transition
        && !name.is_empty()
        && Time::parse(at).is_ok()
    {
        return Ok(name);
    }
    Ok(named(given, &["alarm", "history"]))
}

/// The alarm of exactly that name.
pub(crate) async fn describe(client: &Client, name: &str) -> Result<Described, ToolError> {
    let found = client
        .describe_alarms()
        .alarm_names(name)
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm)
        .send()
        .await
        .aws("cloudwatch:DescribeAlarms")?;
    if let Some(alarm) = found.composite_alarms().iter().find(|alarm| alarm.alarm_name() == Some(name)) {
        return Ok(Described::Composite(Box::new(alarm.clone())));
    }
    if let Some(alarm) = found.metric_alarms().iter().find(|alarm| alarm.alarm_name() == Some(name)) {
        return Ok(Described::Metric(Box::new(alarm.clone())));
    }
    let similar = similar(client, name).await;
    let mend = if similar.is_empty() {
        "check the name, the region (`region` of the service in the catalog, else AWS_REGION) and the account"
            .to_owned()
    } else {
        format!("check the name; there are: {}", similar.join(", "))
    };
    let region = client.config().region().map(|region| format!(" in {region}")).unwrap_or_default();
    Err(ToolError::not_found(format!("no alarm `{}`{region}", midwatch_mcp::clip(name, 120)), mend))
}

/// Alarms whose name begins like this one's.
async fn similar(client: &Client, name: &str) -> Vec<String> {
    let prefix: String = name.chars().take((name.chars().count() / 2).max(3)).collect();
    let found = client
        .describe_alarms()
        .alarm_name_prefix(prefix)
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm)
        .max_records(10)
        .send()
        .await;
    match found {
        Ok(found) => {
            let metric = found.metric_alarms().iter().filter_map(|a| a.alarm_name());
            let composite = found.composite_alarms().iter().filter_map(|a| a.alarm_name());
            metric.chain(composite).take(8).map(str::to_owned).collect()
        }
        Err(_) => Vec::new(),
    }
}

fn of_metric(alarm: &MetricAlarm) -> Alarm {
    let summary = summary_of_metric(alarm);
    let mut out = shell(summary, alarm.alarm_description());
    let mut inputs = inputs(alarm).into_iter();
    out.metric = inputs.next();
    out.expression = expression(alarm);
    if let (Some(first), Some(_)) = (&out.metric, &out.expression) {
        out.inputs = inputs.map(|one| Input::beside(first, one)).collect();
    }
    out.threshold = alarm.threshold();
    out.comparison = alarm.comparison_operator().map(|operator| operator.as_str().to_owned());
    out.evaluation_periods = alarm.evaluation_periods();
    // What is as it usually is goes without saying.
    out.datapoints_to_alarm =
        alarm.datapoints_to_alarm().filter(|wanted| Some(*wanted) != alarm.evaluation_periods());
    out.treat_missing_data =
        alarm.treat_missing_data().filter(|counts_as| *counts_as != "missing").map(str::to_owned);
    if alarm.threshold_metric_id().is_some() {
        out.notes.push("its threshold is a band that CloudWatch learns (anomaly detection)".to_owned());
    }
    out
}

pub(crate) fn shell(summary: AlarmSummary, description: Option<&str>) -> Alarm {
    let description = description.filter(|text| !text.is_empty()).map(|text| clean(text, DESCRIPTION_BYTES));
    let marks = description.as_ref().map(|d| d.marks.clone()).unwrap_or_default();
    let redacted = description.as_ref().map_or(0, |d| d.redacted);
    Alarm {
        reference: summary.reference,
        name: summary.name,
        state: summary.state,
        state_since: summary.state_since,
        reason: summary.reason,
        description: description.map(|d| d.text),
        metric: None,
        inputs: Vec::new(),
        threshold: None,
        comparison: None,
        evaluation_periods: None,
        datapoints_to_alarm: None,
        treat_missing_data: None,
        expression: None,
        children: Vec::new(),
        fed_by: Vec::new(),
        screened: marks.iter().map(|mark| mark.as_str().to_owned()).collect(),
        notes: redaction_note(redacted).into_iter().collect(),
    }
}

/// A metric alarm in short.
pub(crate) fn summary_of_metric(alarm: &MetricAlarm) -> AlarmSummary {
    let since = alarm.state_transitioned_timestamp().or(alarm.state_updated_timestamp());
    summary(alarm.alarm_name(), AlarmState::of(alarm.state_value()), since, alarm.state_reason())
}

/// A composite alarm in short.
pub(crate) fn summary_of_composite(alarm: &CompositeAlarm) -> AlarmSummary {
    let since = alarm.state_transitioned_timestamp().or(alarm.state_updated_timestamp());
    let short = summary(alarm.alarm_name(), AlarmState::of(alarm.state_value()), since, alarm.state_reason());
    AlarmSummary { composite: true, ..short }
}

fn summary(
    name: Option<&str>,
    state: AlarmState,
    since: Option<&aws_smithy_types::DateTime>,
    reason: Option<&str>,
) -> AlarmSummary {
    let name = name.unwrap_or_default().to_owned();
    AlarmSummary {
        reference: format!("alarm:{name}"),
        name,
        service: None,
        state,
        state_since: since.map(time),
        reason: told(reason.unwrap_or_default(), REASON_BYTES),
        composite: false,
        child_of: None,
    }
}

/// CloudWatch's reason, without the noise of its sums, and its datapoints cut where it is long: what they were compared
/// with stands at its end.
pub(crate) fn told(reason: &str, most: usize) -> String {
    let text = clean(&without_noise(reason), 4 * most).text;
    if text.len() <= most {
        return text;
    }
    let tail = text.get(text.ceil_char_boundary(text.len() - most / 2)..).unwrap_or_default();
    let head = text.get(..text.floor_char_boundary(most / 2)).unwrap_or_default();
    format!("{head} … [{} bytes cut] … {tail}", text.len() - head.len() - tail.len())
}

/// A text whose decimals are told as numbers are: `17.94871794871795` is `17.9487`.
fn without_noise(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(|c: char| c.is_ascii_digit()) {
        // A number, or a name with digits in it, as a whole.
        let begin = rest.get(..at).map_or(0, |head| head.trim_end_matches(is_part).len());
        let (head, tail) = rest.split_at_checked(begin).unwrap_or((rest, ""));
        let (word, tail) =
            tail.split_at_checked(tail.find(|c| !is_part(c)).unwrap_or(tail.len())).unwrap_or((tail, ""));
        let is_decimal = word.split_once('.').is_some_and(|(whole, fraction)| {
            let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
            digits(whole.trim_start_matches('-')) && digits(fraction) && fraction.len() > 4
        });
        out.push_str(head);
        match word.parse::<f64>().ok().filter(|_| is_decimal) {
            Some(number) => out.push_str(&rounded(number).to_string()),
            None => out.push_str(word),
        }
        rest = tail;
    }
    out + rest
}

/// All metrics an alarm reads; the one it watches, or its first input, comes first.
pub(crate) fn inputs(alarm: &MetricAlarm) -> Vec<Metric> {
    if let (Some(namespace), Some(name)) = (alarm.namespace(), alarm.metric_name()) {
        let stat = alarm
            .statistic()
            .map(aws_sdk_cloudwatch::types::Statistic::as_str)
            .or(alarm.extended_statistic())
            .unwrap_or("Average");
        return vec![Metric {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            stat: stat.to_owned(),
            dimensions: dimensions(alarm.dimensions()),
            period_s: alarm.period().unwrap_or(60),
        }];
    }
    let mut stats: Vec<(bool, &MetricStat)> = alarm
        .metrics()
        .iter()
        .filter_map(|query| Some((query.return_data() != Some(true), query.metric_stat()?)))
        .collect();
    stats.sort_by_key(|(hidden, _)| *hidden);
    stats.into_iter().filter_map(|(_, stat)| metric_of(stat)).collect()
}

fn metric_of(stat: &MetricStat) -> Option<Metric> {
    let metric = stat.metric()?;
    Some(Metric {
        namespace: metric.namespace()?.to_owned(),
        name: metric.metric_name()?.to_owned(),
        stat: stat.stat().unwrap_or("Average").to_owned(),
        dimensions: dimensions(metric.dimensions()),
        period_s: stat.period().unwrap_or(60),
    })
}

/// The metric math whose result is compared with the threshold.
fn expression(alarm: &MetricAlarm) -> Option<String> {
    let band = alarm.threshold_metric_id();
    alarm
        .metrics()
        .iter()
        .filter(|query| query.id() != band)
        .find(|query| query.return_data() == Some(true) && query.expression().is_some())
        .or_else(|| alarm.metrics().iter().find(|query| query.expression().is_some()))
        .and_then(|query| query.expression())
        .map(str::to_owned)
}

/// Dimensions by name.
pub(crate) fn dimensions(list: &[Dimension]) -> BTreeMap<String, String> {
    list.iter()
        .filter_map(|d| Some((d.name()?.to_owned(), d.value().unwrap_or_default().to_owned())))
        .collect()
}

/// A time of the SDK.
pub(crate) fn time(at: &aws_smithy_types::DateTime) -> Time {
    Time::from_millis(at.to_millis().unwrap_or_default())
}

#[cfg(test)]
#[path = "alarm_tests.rs"]
mod tests;
