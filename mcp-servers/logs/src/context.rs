//! The tool `log_context`: what else a stream logged around one event.

use aws_sdk_cloudwatchlogs::types::OutputLogEvent;
use midwatch_mcp::{AwsResult, MAX_RESULT_BYTES, Time, ToolError, clean, fit, redaction_note};

use crate::{
    events::Event,
    patterns::event_reference,
    server::LogsServer,
    shapes::{ContextEvent, LogContext, LogContextArgs},
};

const MESSAGE_BYTES: usize = 2000;

pub(crate) async fn log_context(server: &LogsServer, args: LogContextArgs) -> Result<LogContext, ToolError> {
    let (before, after) = (args.before.unwrap_or(10).min(50), args.after.unwrap_or(10).clamp(1, 50));
    let insights = server.insights(&args.log_group).await?;
    let at = args.at.0.as_millisecond();
    let page = |count: u32| {
        insights
            .client
            .get_log_events()
            .log_group_name(&args.log_group)
            .log_stream_name(&args.log_stream)
            .limit(i32::try_from(count).unwrap_or(50))
    };
    insights.rates.read().await;
    let following = page(after).start_time(at).start_from_head(true).send().await.aws("logs:GetLogEvents")?;
    let preceding = if before == 0 {
        Vec::new()
    } else {
        insights.rates.read().await;
        let found = page(before).end_time(at).start_from_head(false).send().await.aws("logs:GetLogEvents")?;
        found.events.unwrap_or_default()
    };

    let event = |event: &OutputLogEvent| Event {
        at: Time::from_millis(event.timestamp().unwrap_or_default()).0,
        stream: args.log_stream.clone(),
        message: event.message().unwrap_or_default().to_owned(),
    };
    let mut events: Vec<Event> = preceding.iter().map(event).filter(|event| event.at < args.at.0).collect();
    events.extend(following.events().iter().map(event));
    events.sort_by_key(|event| event.at);

    let mut redacted = 0;
    let mut result = LogContext {
        events: events
            .iter()
            .map(|event| {
                let message = clean(&event.message, MESSAGE_BYTES);
                redacted += message.redacted;
                ContextEvent {
                    reference: event_reference(&args.log_group, event),
                    timestamp: event.at.into(),
                    message: message.text,
                    screened: message.marks.iter().map(|mark| mark.as_str().to_owned()).collect(),
                }
            })
            .collect(),
        notes: redaction_note(redacted).into_iter().collect(),
    };
    if result.events.is_empty() {
        result.notes.push("the stream has no events around that time".to_owned());
    }
    // The event itself stands in the middle: what is farthest from it goes first.
    let at = args.at.0;
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
