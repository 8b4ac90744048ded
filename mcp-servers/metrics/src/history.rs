//! The tool `alarm_history`.

use aws_sdk_cloudwatch::{
    Client,
    operation::describe_alarm_history::builders::DescribeAlarmHistoryFluentBuilder,
    types::{AlarmHistoryItem, AlarmType, HistoryItemType, ScanBy},
};
use midwatch_mcp::{AwsResult, ErrorKind, Time, ToolError, Window};
use midwatch_policy::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::{
    alarm::{self, Described, describe, summary_of_composite, summary_of_metric, time, told},
    server::MetricsServer,
    shapes::{AlarmHistory, AlarmHistoryArgs, AlarmState, Transition},
};

const MAX_WINDOW: SignedDuration = SignedDuration::from_hours(14 * 24);
/// So long at least CloudWatch keeps the history of an alarm; what it tells of the time before may be cut off.
const KEPT: SignedDuration = SignedDuration::from_hours(14 * 24 + 1);
const MAX_PAGES: usize = 5;
const REASON_BYTES: usize = 300;
/// Transitions that are returned; the newest are kept.
const MAX_SHOWN: usize = 60;

pub(crate) async fn alarm_history(
    server: &MetricsServer,
    args: AlarmHistoryArgs,
) -> Result<AlarmHistory, ToolError> {
    let mut notes = Vec::new();
    let present = server.ctx().clock.now();
    let window = Window::begun(args.from, args.to, MAX_WINDOW, present, &mut notes)?;
    let name = alarm::name(&args.alarm_name)?;
    let owner = server.owner(args.service.as_deref(), name)?;
    let client = server.client(owner).await?;
    let (mut items, mut token, mut begin) = (Vec::new(), None, Some(window.from));
    for page in 0.. {
        let found = changes(&client, name)
            .start_date(aws_smithy_types::DateTime::from_millis(window.from.as_millisecond()))
            .end_date(aws_smithy_types::DateTime::from_millis(window.to.as_millisecond()))
            .scan_by(ScanBy::TimestampDescending)
            .max_records(100)
            .set_next_token(token)
            .send()
            .await
            .aws("cloudwatch:DescribeAlarmHistory")?;
        token = found.next_token().map(str::to_owned);
        items.extend(found.alarm_history_items.unwrap_or_default());
        if token.is_none() {
            break;
        }
        if page + 1 == MAX_PAGES {
            notes.push(format!("only the newest {} state changes were read", items.len()));
            begin = None;
            break;
        }
    }
    let mut transitions: Vec<Transition> = items.iter().filter_map(|item| transition(name, item)).collect();
    transitions.retain(|transition| window.contains(transition.at.0));
    transitions.sort_by_key(|transition| transition.at);
    transitions.dedup_by(|a, b| a.at == b.at && a.to == b.to);
    let end = window.to.min(present).max(window.from);
    let reach = Reach::of(&client, name, window, present).await?;
    if reach == Reach::Short && begin.is_some() && !transitions.is_empty() {
        notes.push("CloudWatch keeps history for two weeks or somewhat longer: what was before the first change is not known".to_owned());
        begin = None;
    }
    let mut result = AlarmHistory {
        reference: format!("history:{name}"),
        alarm_name: name.to_owned(),
        times_in_alarm: entries(&transitions).count() as u64,
        seconds_in_alarm: seconds_in_alarm(&transitions, begin, end),
        flapping: flaps(&transitions),
        transitions,
        notes,
    };
    if result.transitions.len() > MAX_SHOWN {
        let cut = result.transitions.len() - MAX_SHOWN;
        result.transitions.drain(..cut);
        result.notes.push(format!("the oldest {cut} state changes are counted but not shown"));
    }
    if result.transitions.is_empty() {
        // CloudWatch has an empty history for what does not exist, too.
        match held(&client, &result.alarm_name, window, reach).await {
            Ok(Some(state)) => {
                let whole = if state == AlarmState::Alarm {
                    end.duration_since(window.from)
                } else {
                    SignedDuration::ZERO
                };
                result.seconds_in_alarm = Some(whole.as_secs());
                result.notes.push(format!(
                    "no change of state in the window: it was {} all along",
                    state.sdk().as_str()
                ));
            }
            Ok(None) => {
                result.notes.push(
                    "no change of state in the window is kept, and which state it was in is not known: CloudWatch keeps \
                     history for two weeks or somewhat longer"
                        .to_owned(),
                );
            }
            Err(error) if error.kind == ErrorKind::NotFound => return Err(error),
            Err(error) => result.notes.push(format!(
                "no change of state in the window; the alarm's state could not be read: {}",
                error.message
            )),
        }
    }
    Ok(result)
}

/// How far back the history that is kept tells of the begin of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// It is kept whole from there on.
    Whole,
    /// A change before it is still kept, which left this state.
    Before(AlarmState),
    /// It may begin later: what is missing may have been dropped.
    Short,
}

impl Reach {
    async fn of(client: &Client, alarm: &str, window: Window, present: Timestamp) -> Result<Self, ToolError> {
        if present.duration_since(window.from) <= KEPT {
            return Ok(Self::Whole);
        }
        let last = changes(client, alarm)
            .end_date(aws_smithy_types::DateTime::from_millis(window.from.as_millisecond()))
            .scan_by(ScanBy::TimestampDescending);
        let left = first(last, alarm).await?.map(|last| last.to);
        Ok(left.map_or(Self::Short, Self::Before))
    }
}

/// The state that an alarm was in over a window in which it did not change: the one that it left with its next change,
/// or has now.
async fn held(
    client: &Client,
    alarm: &str,
    window: Window,
    reach: Reach,
) -> Result<Option<AlarmState>, ToolError> {
    let now = match describe(client, alarm).await? {
        Described::Metric(alarm) => summary_of_metric(&alarm),
        Described::Composite(alarm) => summary_of_composite(&alarm),
    };
    if now.state_since.is_some_and(|since| since.0 <= window.from) {
        return Ok(Some(now.state));
    }
    match reach {
        Reach::Before(state) => Ok(Some(state)),
        Reach::Short => Ok(None),
        Reach::Whole => {
            let next = changes(client, alarm)
                .start_date(aws_smithy_types::DateTime::from_millis(window.to.as_millisecond()))
                .scan_by(ScanBy::TimestampAscending);
            Ok(first(next, alarm).await?.map(|next| next.from))
        }
    }
}

/// Asks for the changes of state of an alarm, whatever its kind.
fn changes(client: &Client, alarm: &str) -> DescribeAlarmHistoryFluentBuilder {
    client
        .describe_alarm_history()
        .alarm_name(alarm)
        .alarm_types(AlarmType::MetricAlarm)
        .alarm_types(AlarmType::CompositeAlarm)
        .history_item_type(HistoryItemType::StateUpdate)
}

async fn first(
    asked: DescribeAlarmHistoryFluentBuilder,
    alarm: &str,
) -> Result<Option<Transition>, ToolError> {
    let found = asked.max_records(1).send().await.aws("cloudwatch:DescribeAlarmHistory")?;
    Ok(found.alarm_history_items().first().and_then(|item| transition(alarm, item)))
}

fn transition(alarm: &str, item: &AlarmHistoryItem) -> Option<Transition> {
    let at = time(item.timestamp()?);
    let data: Value = serde_json::from_str(item.history_data().unwrap_or_default()).unwrap_or_default();
    let state = |which: &str| AlarmState::parse(data.get(which)?.get("stateValue")?.as_str()?);
    let (from, to) = match (state("oldState"), state("newState")) {
        (Some(from), Some(to)) => (from, to),
        _ => from_summary(item.history_summary()?)?,
    };
    let reason = data.pointer("/newState/stateReason").and_then(Value::as_str).unwrap_or_default();
    Some(Transition {
        reference: format!("transition:{alarm}/{at}"),
        at,
        from,
        to,
        reason: told(reason, REASON_BYTES),
    })
}

/// `Alarm updated from OK to ALARM`
fn from_summary(summary: &str) -> Option<(AlarmState, AlarmState)> {
    let (from, to) = summary.split_once(" from ")?.1.split_once(" to ")?;
    Some((AlarmState::parse(from.trim())?, AlarmState::parse(to.trim().trim_end_matches('.'))?))
}

fn entries(transitions: &[Transition]) -> impl Iterator<Item = Time> {
    transitions.iter().filter(|t| t.to == AlarmState::Alarm && t.from != AlarmState::Alarm).map(|t| t.at)
}

/// Three times into ALARM within an hour.
fn flaps(transitions: &[Transition]) -> bool {
    let at: Vec<Time> = entries(transitions).collect();
    at.windows(3).any(|three| match three {
        [first, _, third] => third.0.duration_since(first.0) <= SignedDuration::from_hours(1),
        _ => false,
    })
}

/// From the begin of the window, or of what was read of it. Without a change the state is not known.
fn seconds_in_alarm(transitions: &[Transition], begin: Option<Timestamp>, end: Timestamp) -> Option<i64> {
    let first = transitions.first()?;
    let begin = begin.unwrap_or(first.at.0);
    let mut since = (first.from == AlarmState::Alarm).then_some(begin);
    let mut sum = SignedDuration::ZERO;
    for transition in transitions {
        match (transition.to, since) {
            (AlarmState::Alarm, None) => since = Some(transition.at.0),
            (AlarmState::Ok | AlarmState::InsufficientData, Some(from)) => {
                sum += transition.at.0.duration_since(from);
                since = None;
            }
            _ => {}
        }
    }
    if let Some(from) = since {
        sum += end.duration_since(from).max(SignedDuration::ZERO);
    }
    Some(sum.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(second: i64, from: &str, to: &str) -> AlarmHistoryItem {
        let data = format!(
            r#"{{"version":"1.0","oldState":{{"stateValue":"{from}"}},"newState":{{"stateValue":"{to}","stateReason":"because"}}}}"#
        );
        AlarmHistoryItem::builder()
            .timestamp(aws_smithy_types::DateTime::from_secs(second))
            .history_summary(format!("Alarm updated from {from} to {to}"))
            .history_data(data)
            .build()
    }

    fn at(second: i64) -> Timestamp {
        Time::from_millis(second * 1000).0
    }

    fn read(items: &[AlarmHistoryItem]) -> Vec<Transition> {
        items.iter().filter_map(|item| transition("a", item)).collect()
    }

    #[test]
    fn transitions_come_from_the_data_or_else_the_summary() {
        let found = read(&[item(100, "OK", "ALARM")]);
        assert_eq!(
            (found[0].from, found[0].to, found[0].reason.as_str()),
            (AlarmState::Ok, AlarmState::Alarm, "because")
        );
        let bare = AlarmHistoryItem::builder()
            .timestamp(aws_smithy_types::DateTime::from_secs(1))
            .history_summary("Alarm updated from INSUFFICIENT_DATA to OK")
            .build();
        assert_eq!(read(&[bare])[0].from, AlarmState::InsufficientData);
        let foreign = AlarmHistoryItem::builder()
            .timestamp(aws_smithy_types::DateTime::from_secs(1))
            .history_summary("Alarm \"a\" created")
            .build();
        assert!(read(&[foreign]).is_empty());
    }

    #[test]
    fn three_times_within_an_hour_is_flapping() {
        let swing = |from: i64| [item(from, "OK", "ALARM"), item(from + 120, "ALARM", "OK")];
        let fast: Vec<_> = (0..3).flat_map(|n| swing(n * 600)).collect();
        let slow: Vec<_> = (0..3).flat_map(|n| swing(n * 7200)).collect();
        assert!(flaps(&read(&fast)) && !flaps(&read(&slow)));
        assert_eq!(seconds_in_alarm(&read(&fast), Some(at(0)), at(3600)), Some(360));
    }

    #[test]
    fn time_in_alarm_counts_from_the_edges_of_the_window() {
        let left = read(&[item(100, "ALARM", "OK")]);
        assert_eq!(seconds_in_alarm(&left, Some(at(0)), at(500)), Some(100));
        assert_eq!(seconds_in_alarm(&left, None, at(500)), Some(0), "older changes were not read");
        assert_eq!(seconds_in_alarm(&read(&[item(100, "OK", "ALARM")]), Some(at(0)), at(500)), Some(400));
        assert_eq!(seconds_in_alarm(&[], Some(at(0)), at(500)), None);
    }
}
