//! The tool `log_query`: one bounded Logs Insights query.

use midwatch_mcp::{
    Clean, MAX_RESULT_BYTES, Progress, Redactions, ToolError, Window, clean_with, fit, limit, reference,
};
use midwatch_policy::{Redactor, SignedDuration};

use crate::{
    insights::Insights,
    meter::Meter,
    patterns::PLACES,
    price::{self, Basis, Plan, Price},
    ql::{Linted, lint},
    scope::Source,
    server::LogsServer,
    shapes::{LogQuery, LogQueryArgs, Statistics},
};

const MAX_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);
const MAX_VALUE_BYTES: usize = 1000;
const STOPPED: &str = "the query was stopped early: these are the results up to then";

pub(crate) async fn log_query(
    server: &LogsServer,
    args: LogQueryArgs,
    progress: &Progress,
    meter: &Meter,
) -> Result<LogQuery, ToolError> {
    let mut cut = Vec::new();
    let window = Window::begun(args.from, args.to, MAX_WINDOW, server.ctx().clock.now(), &mut cut)?;
    let limit = limit(args.limit, 50, 500)?;
    let Linted { query, mut notes, passes } = lint(&args.query, window)?;
    notes.extend(cut);
    let sources = server.sources(args.service.as_deref(), &args.log_groups).await?;
    server.in_one_place(&sources).await?;
    let first = sources.first().ok_or_else(|| ToolError::internal("no group was named"))?;
    let groups: Vec<String> = sources.iter().map(|source| source.group.clone()).collect();
    let insights = server.insights(first).await?.of_call(progress, meter);
    let keys: Vec<String> = sources.iter().map(Source::key).collect();
    let asked = [keys.join(","), query.clone(), args.from.to_string(), args.to.to_string()];
    let (answer, cost, skipped) = if let Some(cursor) = &args.cursor {
        let Cursor { id, row, is_partial } = Cursor::parse(cursor, &asked)?;
        // The rows are kept at AWS: reading on costs nothing.
        let mut answer = insights.results(id).await?;
        answer.partial = answer.partial.or(is_partial.then_some(STOPPED));
        (answer, Price::of(0.0, Basis::Estimate), row)
    } else {
        let (readable, stored) = sizes(server, &insights, &groups, &mut notes).await?;
        let plan = Plan { groups: &readable, windows: &[window], passes, stored };
        let cost = price::afford(&insights, &server.metrics(first).await?, plan).await?;
        let answer = insights.run(&readable, window, &query).await?;
        (answer, cost, 0)
    };
    let (mut redacted, mut marks, mut places) = (Redactions::default(), Vec::new(), Vec::new());
    let found = answer.rows.len();
    let rows = answer
        .rows
        .into_iter()
        .skip(skipped)
        .take(limit)
        .enumerate()
        .map(|(at, row)| {
            row.into_iter()
                .filter(|(name, _)| name != "@ptr")
                .map(|(name, value)| {
                    let value = cell(server.redactor(), &name, &value);
                    redacted.add(&value.kinds);
                    let name = clean_with(server.redactor(), &name, 200).text;
                    places.extend(value.places_in(&name).into_iter().map(|place| (at, place)));
                    marks.extend(value.marks);
                    (name, value.text)
                })
                .collect()
        })
        .collect();
    marks.sort_unstable();
    marks.dedup();
    notes.extend(answer.partial.map(str::to_owned));
    notes.extend(redacted.note());
    let parts = asked.each_ref().map(String::as_str);
    let is_partial = answer.partial.is_some();
    let mut result = LogQuery {
        reference: reference("query", &parts),
        status: if is_partial { "partial" } else { "complete" }.to_owned(),
        columns: answer.columns.iter().map(|name| clean_with(server.redactor(), name, 200).text).collect(),
        rows,
        statistics: Statistics {
            records_matched: answer.matched,
            records_scanned: answer.scanned,
            bytes_scanned: answer.bytes,
        },
        spent: meter.spent(),
        cost,
        truncated: found > skipped.saturating_add(limit),
        next_cursor: None,
        screened: marks.iter().map(|mark| mark.as_str().to_owned()).collect(),
        screened_at: places.iter().take(PLACES).map(|(at, place)| format!("row {at} {place}")).collect(),
        notes,
    };
    if places.len() > PLACES {
        result.notes.push(format!("{} further places are marked", places.len() - PLACES));
    }
    let dropped = fit(&mut result, MAX_RESULT_BYTES, |result| result.rows.pop().is_some());
    if dropped > 0 {
        result.truncated = true;
        result
            .notes
            .push(format!("{dropped} rows were left out to keep the result small: next_cursor gives them"));
    }
    if result.truncated && !result.rows.is_empty() {
        let row = skipped + result.rows.len();
        result.next_cursor = answer.id.map(|id| Cursor { id: &id, row, is_partial }.text(&asked));
    }
    Ok(result)
}

/// Which of the groups exist, and how many bytes they store, as far as is known.
async fn sizes(
    server: &LogsServer,
    insights: &Insights,
    groups: &[String],
    notes: &mut Vec<String>,
) -> Result<(Vec<String>, Option<f64>), ToolError> {
    let (mut readable, mut bytes) = (Vec::new(), Some(0.0));
    for group in groups {
        match server.size(&insights.client, group).await {
            Ok(size) => {
                bytes = bytes.zip(size).map(|(sum, size)| sum + size.all());
                readable.push(group.clone());
            }
            Err(error) if groups.len() > 1 => notes.push(format!("{}; {}", error.message, error.mend)),
            Err(error) => return Err(error),
        }
    }
    if readable.is_empty() {
        return Err(ToolError::not_found("none of the log groups exists", notes.join("; ")));
    }
    Ok((readable, bytes))
}

/// A value, cleaned as what it is: a value of its column. `hunter2` is a word; under `password` it is a
/// secret, whatever it looks like.
fn cell(redactor: &Redactor, name: &str, value: &str) -> Clean {
    let plain = |c: char| if matches!(c, '"' | '\'' | '\\') || c.is_control() { 'x' } else { c };
    let shielded: String = value.trim().chars().take(200).map(plain).collect();
    let is_divider = |c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | ' '));
    for word in name.split(is_divider).filter(|word| !word.is_empty()) {
        let named = clean_with(redactor, &format!("{word}=\"{shielded}\""), MAX_VALUE_BYTES);
        let inner =
            named.text.strip_prefix(word).and_then(|text| text.strip_prefix("=\"")?.strip_suffix('"'));
        if let Some(inner) = inner.filter(|inner| is_placeholder(inner)) {
            return Clean { text: inner.to_owned(), places: Vec::new(), ..named };
        }
    }
    clean_with(redactor, value, MAX_VALUE_BYTES)
}

/// Whether a text is what redaction left of a secret, and nothing else.
fn is_placeholder(text: &str) -> bool {
    let kind = text.strip_prefix("[redacted:").and_then(|text| text.strip_suffix(']'));
    kind.is_some_and(|kind| !kind.contains(['[', ']']))
}

/// Where to read on: a query at AWS, a row of its answer, and whether it was stopped early. It carries a
/// digest of these and of what was asked, so that rows of one question are not taken for another's.
/// That is against mixing up, not against forging: whoever can ask here may ask AWS the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cursor<'a> {
    id: &'a str,
    row: usize,
    is_partial: bool,
}

impl<'a> Cursor<'a> {
    fn text(&self, asked: &[String]) -> String {
        let Self { id, row, is_partial } = self;
        let bare = format!("{id}:{row}:{}", if *is_partial { "p" } else { "c" });
        let parts: Vec<&str> = asked.iter().map(String::as_str).chain([bare.as_str()]).collect();
        reference(&bare, &parts)
    }

    /// Refuses whatever this tool did not give for the same question.
    fn parse(text: &'a str, asked: &[String]) -> Result<Self, ToolError> {
        let mut parts = text.split(':');
        let cursor = parts.next().zip(parts.next()).zip(parts.next()).and_then(|((id, row), ended)| {
            Some(Self { id, row: row.parse().ok()?, is_partial: ended == "p" })
        });
        let is_id = |id: &str| {
            (1..=64).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        cursor.filter(|cursor| is_id(cursor.id) && cursor.text(asked) == text).ok_or_else(|| {
            ToolError::invalid(
                "the cursor is none of this tool's for this query, these groups and this window",
                "give next_cursor of the result before, and all else but limit unchanged",
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_cleaned_as_one_of_its_column() {
        for (name, value, shown) in [
            ("password", "hunter2secret", "[redacted:password]"),
            ("api_key", "my long secret, with signs \"' in it", "[redacted:password]"),
            ("max(password)", "hunter2secret", "[redacted:password]"),
            ("user.apiKey", "0123abcd", "[redacted:password]"),
            ("user", "alice", "alice"),
            ("@message", "password=hunter2secret for alice", "password=[redacted:password] for alice"),
            ("message", "bob@acme.com logged in", "[redacted:email] logged in"),
            ("token", "", ""),
            ("n", "24", "24"),
            ("@timestamp", "2026-11-21 02:03:00.000", "2026-11-21 02:03:00.000"),
        ] {
            assert_eq!(cell(&Redactor::default(), name, value).text, shown, "{name}");
        }
    }

    #[test]
    fn a_cursor_is_of_one_question_and_says_how_its_query_ended() {
        let asked = ["/a", "fields b", "from", "to"].map(str::to_owned);
        for is_partial in [true, false] {
            let cursor = Cursor { id: "ab12-3", row: 50, is_partial };
            let text = cursor.text(&asked);
            assert_eq!(Cursor::parse(&text, &asked).unwrap(), cursor);
            for n in 0..asked.len() {
                let mut other = asked.clone();
                other[n].push('x');
                assert!(Cursor::parse(&text, &other).is_err(), "{n}");
            }
            for (from, to) in
                [("ab12-3", "ab12-4"), (":50:", ":0:"), (":p:", ":c:"), (":c:", ":p:"), (":50:", ":050:")]
            {
                let forged = text.replacen(from, to, 1);
                assert!(forged == text || Cursor::parse(&forged, &asked).is_err(), "{forged}");
            }
        }
        for cursor in ["", "50", "ab12-3:50", "a b:1:c", "a:-1:c", "../x:1:c:0", "a:1:c:2"] {
            assert!(Cursor::parse(cursor, &asked).is_err(), "{cursor}");
        }
    }
}
