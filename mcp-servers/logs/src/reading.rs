//! Reading one log group over one window, by the cheapest way that works.
//!
//! Small windows are read whole with FilterLogEvents, which costs nothing per byte. Others go
//! through Logs Insights: lines that look like trouble, and counts of all lines. Where Insights is
//! missing, forbidden or not to be paid for, FilterLogEvents stands in, and a note says so.

use midwatch_mcp::{ErrorKind, ToolError, Window};
use midwatch_policy::{SignedDuration, Timestamp};

use crate::{
    events::{self, Event},
    insights::{Answer, Insights, time_of},
    onset::Tick,
    stack, words,
};

/// Pieces of the window that a sample is spread over.
const SLICES: i32 = 6;
/// Pages that FilterLogEvents may take in place of Insights.
const FALLBACK_PAGES: usize = 20;
const DIRECT_PAGES: usize = 6;

/// What one group logged in one window.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    /// Lines that may be warnings or errors, in order of time.
    pub(crate) lines: Vec<Event>,
    /// These are only some of them.
    pub(crate) sampled: bool,
    /// Lines of any kind.
    pub(crate) total: u64,
    /// The last line of any kind.
    pub(crate) last: Option<Timestamp>,
    /// Bytes that one more pass over the window would scan.
    pub(crate) bytes: u64,
    /// What the reader should know.
    pub(crate) notes: Vec<String>,
}

/// Reads every line of a window without Logs Insights, where there are few enough.
pub(crate) async fn whole(
    insights: &Insights,
    group: &str,
    window: Window,
) -> Result<Option<Reading>, ToolError> {
    let events = events::read(&insights.client, &insights.rates, group, window, DIRECT_PAGES).await?;
    Ok(events.whole.then(|| of_events(events, usize::MAX)))
}

/// How much of a window is kept at most.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Most {
    /// Lines that look like trouble, about; where there are more, a sample of them.
    pub(crate) lines: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
}

/// Reads a window by Logs Insights. The caller has taken two passes over its bytes from the call's bound.
pub(crate) async fn query(
    insights: &Insights,
    group: &str,
    window: Window,
    most: Most,
) -> Result<Reading, ToolError> {
    match ask(insights, group, window, most).await {
        Err(error) if matches!(error.kind, ErrorKind::Unavailable | ErrorKind::AccessDenied) => {
            let found = freely(insights, group, window, &error.message, most.bytes).await;
            found.map_err(|_| error)
        }
        other => other,
    }
}

/// Reads the first events of a window without Logs Insights: for nothing, and not all there is.
pub(crate) async fn freely(
    insights: &Insights,
    group: &str,
    window: Window,
    why: &str,
    most_bytes: usize,
) -> Result<Reading, ToolError> {
    let events = events::read(&insights.client, &insights.rates, group, window, FALLBACK_PAGES).await?;
    let mut reading = of_events(events, most_bytes);
    reading.notes.push(format!("`{group}` was read without Logs Insights: {why}"));
    if reading.sampled {
        reading.notes.push(format!(
            "only the first {} events of `{group}` could be read: counts are those of the part that was read",
            reading.total
        ));
    }
    Ok(reading)
}

fn of_events(events: events::Events, most_bytes: usize) -> Reading {
    let mut reading = Reading {
        total: events.events.len() as u64,
        last: events.events.last().map(|event| event.at),
        bytes: events.events.iter().map(|event| event.message.len() as u64).sum(),
        sampled: !events.whole,
        ..Reading::default()
    };
    reading.keep(stack::join(events.events), most_bytes);
    reading
}

impl Reading {
    /// Keeps the lines that may be warnings or errors, as much of them as is shown, and of these as many
    /// as have room: each second one, or each third, so that all times keep their share.
    fn keep(&mut self, events: Vec<Event>, most_bytes: usize) {
        let mut lines: Vec<Event> = events.into_iter().filter_map(Event::clipped).collect();
        let bytes: usize = lines.iter().map(Event::size).sum();
        if bytes > most_bytes {
            let each = bytes.div_ceil(most_bytes.max(1));
            let mut n = 0_usize;
            lines.retain(|_| {
                n += 1;
                n % each == 1
            });
            self.sampled = true;
            self.notes.push(format!("the lines are long: one of {each} was kept"));
        }
        self.lines = lines;
    }
}

async fn ask(insights: &Insights, group: &str, window: Window, most: Most) -> Result<Reading, ToolError> {
    let groups = [group.to_owned()];
    let wanted = lines_query(most.lines);
    let (lines, counts) = tokio::try_join!(
        insights.run(&groups, window, &wanted),
        insights.run(
            &groups,
            window,
            "stats count(*) as n, max(@timestamp) as latest by bin(1m) | limit 10000"
        ),
    )?;
    let mut reading = Reading { bytes: lines.bytes.max(counts.bytes), ..Reading::default() };
    for row in &counts.rows {
        reading.total += row.get("n").and_then(|n| n.parse::<f64>().ok()).map_or(0, crate::insights::whole);
        let latest = row.get("latest").or_else(|| row.get("bin(1m)")).and_then(|text| time_of(text));
        reading.last = reading.last.max(latest);
    }
    let is_all = usize::try_from(lines.matched).is_ok_and(|matched| matched <= lines.rows.len());
    let is_partial = lines.partial.is_some();
    let is_full = lines.rows.len() >= most.lines;
    reading.notes.extend(lines.partial.or(counts.partial).map(|why| format!("`{group}`: {why}")));
    let mut events = events_of(lines, window);
    if !is_all && is_full {
        reading.sampled = true;
        if insights.meter.take(reading.bytes) {
            events = sample(insights, &groups, window, most.lines).await?;
        } else {
            reading
                .notes
                .push(format!("`{group}`: the sample is of the window's begin: more would be too dear"));
        }
    } else if is_partial {
        reading.sampled = true;
    }
    let read = events.len();
    let events = stack::join(events);
    if events.len() < read {
        reading.notes.push(format!(
            "`{group}` logs stack traces line by line: of them only the lines that name an error were fetched"
        ));
    }
    reading.keep(events, most.bytes);
    Ok(reading)
}

fn lines_query(limit: usize) -> String {
    format!(
        "fields @timestamp, @message, @logStream | filter @message like /{}/ | sort @timestamp asc | limit {limit}",
        *words::CANDIDATE
    )
}

/// A sample from all over the window rather than its first lines.
async fn sample(
    insights: &Insights,
    groups: &[String],
    window: Window,
    most: usize,
) -> Result<Vec<Event>, ToolError> {
    let step = window.span() / SLICES;
    let query = lines_query((most / usize::try_from(SLICES).unwrap_or(1)).max(1));
    let slice = |n: i32| Window {
        from: window.from.checked_add(step * n).unwrap_or(window.from),
        to: if n + 1 == SLICES {
            window.to
        } else {
            window.from.checked_add(step * (n + 1)).unwrap_or(window.to)
        },
    };
    let runs = (0..SLICES).map(|n| {
        let query = &query;
        async move { insights.run(groups, slice(n), query).await.map(|answer| events_of(answer, slice(n))) }
    });
    let mut lines: Vec<Event> = futures::future::try_join_all(runs).await?.into_iter().flatten().collect();
    lines.sort_by_key(|event| event.at);
    Ok(lines)
}

fn events_of(answer: Answer, window: Window) -> Vec<Event> {
    let mut events: Vec<Event> = answer
        .rows
        .into_iter()
        .filter_map(|mut row| {
            let at = time_of(row.get("@timestamp")?)?;
            let mut field = |name: &str| row.remove(name).unwrap_or_default();
            window.contains(at).then(|| Event::new(at, field("@logStream"), field("@message")))
        })
        .collect();
    events.sort_by_key(|event| event.at);
    events
}

/// Counts by minute of the lines that match each of these regular expressions. For when a sample was read; the
/// caller has taken a pass over the window's bytes.
pub(crate) async fn count(
    insights: &Insights,
    group: &str,
    window: Window,
    regexes: &[String],
) -> Result<Vec<Tick>, ToolError> {
    let like: Vec<String> = regexes.iter().map(|regex| format!("@message like /{regex}/")).collect();
    let query = format!("filter {} | stats count(*) as n by bin(1m) | limit 10000", like.join(" and "));
    let answer = insights.run(&[group.to_owned()], window, &query).await?;
    let mut ticks: Vec<Tick> = answer
        .rows
        .iter()
        .filter_map(|row| {
            let n = row.get("n")?.parse::<f64>().ok().map(crate::insights::whole)?;
            Some(Tick { at: time_of(row.get("bin(1m)")?)?.max(window.from), n })
        })
        .collect();
    ticks.retain(|tick| window.contains(tick.at));
    ticks.sort_by_key(|tick| tick.at);
    Ok(ticks)
}

/// The part of an hour, a day, … that a window is, for cost estimates.
pub(crate) fn share_of_age(
    window: Window,
    created: Timestamp,
    now: Timestamp,
    retention_days: Option<i32>,
) -> f64 {
    let mut age = now.duration_since(created);
    if let Some(days) = retention_days.filter(|days| *days > 0) {
        age = age.min(SignedDuration::from_hours(24 * i64::from(days)));
    }
    (window.seconds() / age.as_secs_f64().max(1.0)).clamp(0.0, 1.0)
}
