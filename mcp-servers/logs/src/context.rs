//! The tool `log_context`: what else a stream logged around one event.

use std::collections::BTreeMap;

use aws_sdk_cloudwatchlogs::types::OutputLogEvent;
use midwatch_mcp::{AwsResult, MAX_RESULT_BYTES, Redactions, Time, ToolError, fit, within};

use crate::{
    events::Event,
    fields,
    patterns::event_reference,
    seen::Place,
    server::LogsServer,
    shapes::{ContextEvent, LogContext, LogContextArgs},
};

const MESSAGE_BYTES: usize = 2000;

pub(crate) async fn log_context(server: &LogsServer, args: LogContextArgs) -> Result<LogContext, ToolError> {
    let before = within("before", args.before, 10, 0..=50)?;
    let after = within("after", args.after, 10, 1..=50)?;
    let place = place(server, &args).await?;
    let insights = server.insights(&place.source).await?;
    let at = place.at.as_millisecond();
    let page = |count: u32| {
        insights
            .client
            .get_log_events()
            .log_group_name(&place.source.group)
            .log_stream_name(&place.stream)
            .limit(i32::try_from(count).unwrap_or(50))
    };
    insights.rates.read().await?;
    let following = page(after).start_time(at).start_from_head(true).send().await.aws("logs:GetLogEvents")?;
    let preceding = if before == 0 {
        Vec::new()
    } else {
        insights.rates.read().await?;
        let found = page(before).end_time(at).start_from_head(false).send().await.aws("logs:GetLogEvents")?;
        found.events.unwrap_or_default()
    };

    let event = |event: &OutputLogEvent| {
        let at = Time::from_millis(event.timestamp().unwrap_or_default()).0;
        Event::new(at, place.stream.as_str(), event.message().unwrap_or_default())
    };
    let mut events: Vec<Event> = preceding.iter().map(event).filter(|event| event.at < place.at).collect();
    events.extend(following.events().iter().map(event));
    events.sort_by_key(|event| event.at);

    let mut redacted = Redactions::default();
    let mut result = LogContext {
        events: events
            .iter()
            .map(|event| {
                let told = fields::told(server.redactor(), &event.message, MESSAGE_BYTES);
                redacted.add(&told.redacted);
                let is_whole = event.message.len() <= MESSAGE_BYTES;
                let reference = event_reference(&place.source, event);
                server.seen().note(&reference, Place { at: event.at, ..place.clone() });
                ContextEvent {
                    reference,
                    timestamp: event.at.into(),
                    message: told.text,
                    fields: if is_whole { BTreeMap::new() } else { told.fields },
                    screened: told.marks.iter().map(|mark| mark.as_str().to_owned()).collect(),
                    screened_at: told.places,
                }
            })
            .collect(),
        notes: Vec::new(),
    };
    result.notes.extend(redacted.note());
    if result.events.is_empty() {
        result.notes.push("the stream has no events around that time".to_owned());
    }
    // The event itself stands in the middle: what is farthest from it goes first.
    let at = place.at;
    let dropped = fit(&mut result, MAX_RESULT_BYTES, |result| {
        let far = |event: Option<&ContextEvent>| {
            event.map_or(0, |e| e.timestamp.0.duration_since(at).as_millis().abs())
        };
        if result.events.len() <= 1 {
            return false;
        }
        if far(result.events.first()) > far(result.events.last()) {
            result.events.remove(0);
        } else {
            result.events.pop();
        }
        true
    });
    if dropped > 0 {
        result.notes.push(format!("{dropped} events were left out to keep the result small"));
    }
    Ok(result)
}

/// The event that is asked for: by its `ref`, or by group, stream and time.
async fn place(server: &LogsServer, args: &LogContextArgs) -> Result<Place, ToolError> {
    match (&args.reference, &args.log_group, &args.log_stream, args.at) {
        (Some(reference), None, None, None) if args.service.is_none() => {
            let other = reference.trim();
            if other.contains(':') && !other.starts_with("log:") {
                return Err(ToolError::invalid(
                    format!("`{}` is no event's ref", midwatch_mcp::clip(other, 120)),
                    "give the ref of an event, `log:…`: the examples of a pattern and the lines around an event have one",
                ));
            }
            server.seen().place(reference).ok_or_else(|| {
                ToolError::not_found(
                    format!("`{}` is not known here, or no longer", midwatch_mcp::clip(reference, 120)),
                    "give log_group, log_stream and at of the event instead",
                )
            })
        }
        (None, Some(group), Some(stream), Some(at)) => {
            let source = server.source(group, args.service.as_deref()).await?;
            Ok(Place { source, stream: stream.clone(), at: at.0 })
        }
        _ => Err(ToolError::invalid(
            "an event is named by its ref alone, or by log_group, log_stream and at together",
            "give ref alone, or the other three, with service where several have such a group",
        )),
    }
}
