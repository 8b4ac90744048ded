//! Reading events one by one with FilterLogEvents: for small windows, and where there is no Insights.

use std::borrow::Cow;

use aws_sdk_cloudwatchlogs::Client;
use midwatch_mcp::{AwsResult, Time, ToolError, Window};
use midwatch_policy::{Timestamp, without_colours};

use crate::{
    fields,
    insights::Rates,
    line::{self, Line},
};

/// Bytes of a message that are kept for examples and references; what it says was read from all of it.
const KEPT: usize = 8192;
/// Bytes of what it says that are mined.
const MINED: usize = 4096;

/// One log event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Event {
    pub(crate) at: Timestamp,
    pub(crate) stream: String,
    /// What was logged, without its colours, and the further lines that were joined to it.
    pub(crate) message: String,
    /// What was logged, with its colours, where it has some: what Logs Insights sees.
    coloured: Option<Box<str>>,
    /// Bytes of its own message: what names it.
    own: usize,
    /// What it says, where the message was cut.
    said: Option<Box<Said>>,
}

/// What was read of a message before it was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    line: Line<'static>,
    /// Its fields, as JSON; empty where it has none.
    fields: String,
}

impl Event {
    pub(crate) fn new(at: Timestamp, stream: impl Into<String>, message: impl Into<String>) -> Self {
        let mut message = message.into();
        let plain = without_colours(&message);
        let mut coloured = None;
        if plain.len() < message.len() {
            let plain = plain.into_owned();
            let logged = std::mem::replace(&mut message, plain);
            coloured = Some(logged.get(..logged.floor_char_boundary(KEPT)).unwrap_or_default().into());
        }
        Self { at, stream: stream.into(), own: message.len(), message, coloured, said: None }
    }

    /// Its message as Logs Insights sees it.
    pub(crate) fn logged(&self) -> &str {
        self.coloured.as_deref().unwrap_or(&self.message)
    }

    /// What it says; `None` for what is no warning or error.
    pub(crate) fn line(&self) -> Option<Line<'_>> {
        match &self.said {
            Some(said) => Some(Line { text: Cow::Borrowed(&said.line.text), ..said.line.clone() }),
            None => line::read(&self.message),
        }
    }

    /// Where its fields stand: a JSON text with all that are told.
    pub(crate) fn fields(&self) -> &str {
        self.said.as_ref().map_or(&self.message, |said| &said.fields)
    }

    /// Reads it, and lets go of what is not shown. `None` for what is no warning or error.
    pub(crate) fn clipped(mut self) -> Option<Self> {
        let line = line::read(&self.message)?;
        if self.message.len() > KEPT {
            let text = line.text.get(..line.text.floor_char_boundary(MINED)).unwrap_or_default().to_owned();
            let line = Line { text: Cow::Owned(text), ..line };
            self.said = Some(Box::new(Said { line, fields: fields::kept(&self.message) }));
            self.message.truncate(self.message.floor_char_boundary(KEPT));
            self.message.shrink_to_fit();
        }
        Some(self)
    }

    /// What names it: the same, however it was read.
    pub(crate) fn name(&self) -> &str {
        self.message.get(..self.message.floor_char_boundary(self.own.min(KEPT))).unwrap_or_default()
    }

    /// Bytes that it takes.
    pub(crate) fn size(&self) -> usize {
        let said = self.said.as_ref().map_or(0, |said| said.line.text.len() + said.fields.len());
        let coloured = self.coloured.as_ref().map_or(0, |logged| logged.len());
        self.message.len() + coloured + self.stream.len() + said + size_of::<Self>()
    }
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
        token = page.next_token;
        found.events.extend(page.events.unwrap_or_default().into_iter().map(|event| {
            let at = Time::from_millis(event.timestamp.unwrap_or_default()).0;
            Event::new(at, event.log_stream_name.unwrap_or_default(), event.message.unwrap_or_default())
        }));
        if token.is_none() {
            found.whole = true;
            break;
        }
    }
    found.events.retain(|event| window.contains(event.at));
    found.events.sort_by_key(|event| event.at);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_still_says_what_it_said_and_keeps_its_name() {
        let json = serde_json::json!({ "body": "x".repeat(20_000), "level": "error", "message": "no stock" });
        let event = Event::new(Timestamp::UNIX_EPOCH, "s", json.to_string());
        let (name, whole) = (event.name().to_owned(), event.line().unwrap().text.into_owned());
        let cut = event.clone().clipped().unwrap();
        assert_eq!((cut.name(), cut.line().unwrap().text.as_ref()), (name.as_str(), whole.as_str()));
        assert!(cut.size() < 13_000 && cut.message.len() <= KEPT, "{}", cut.size());
        let json =
            serde_json::json!({ "body": "x".repeat(20_000), "level": "error", "tenant": {"id": "acme"} });
        let cut = Event::new(Timestamp::UNIX_EPOCH, "s", json.to_string()).clipped().unwrap();
        assert_eq!(cut.fields(), r#"{"tenant.id":"acme"}"#);
        assert_eq!(Event::new(Timestamp::UNIX_EPOCH, "s", "INFO fine").clipped(), None);
        let short = Event::new(Timestamp::UNIX_EPOCH, "s", "ERROR no stock");
        assert_eq!(short.clone().clipped(), Some(short));
    }
}
