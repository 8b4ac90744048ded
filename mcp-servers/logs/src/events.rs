//! Reading events one by one with FilterLogEvents: for small windows, and where there is no Insights.

use aws_sdk_cloudwatchlogs::Client;
use midwatch_mcp::{AwsResult, Time, ToolError, Window};
use midwatch_policy::Timestamp;

use crate::insights::Rates;

/// One log event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) stream: String,
    pub(crate) message: String,
}

/// Events in order of time, and whether they are all there are.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) events: Vec<Event>,
    pub(crate) whole: bool,
}

/// Reads every event of a window, up to `pages` pages of 10 000 events or 1 MB each.
pub(crate) async fn read(
    client: &Client,
    rates: &Rates,
    group: &str,
    window: Window,
    pages: usize,
) -> Result<Events, ToolError> {
    let mut found = Events::default();
    let mut token = None;
    for _ in 0..pages {
        rates.read().await?;
        let page = client
            .filter_log_events()
            .log_group_name(group)
            .start_time(window.from.as_millisecond())
            .end_time(window.to.as_millisecond() - 1)
            .set_next_token(token)
            .send()
            .await
            .aws("logs:FilterLogEvents")?;
        found.events.extend(page.events().iter().map(|event| Event {
            at: Time::from_millis(event.timestamp().unwrap_or_default()).0,
            stream: event.log_stream_name().unwrap_or_default().to_owned(),
            message: event.message().unwrap_or_default().to_owned(),
        }));
        token = page.next_token().map(str::to_owned);
        if token.is_none() {
            found.whole = true;
            break;
        }
    }
    found.events.retain(|event| window.contains(event.at));
    found.events.sort_by_key(|event| event.at);
    Ok(found)
}
