//! The tool `log_query`: one bounded Logs Insights query.

use midwatch_mcp::{
    MAX_RESULT_BYTES, Progress, Redactions, ToolError, Window, clean_with, fit, limit, reference,
};
use midwatch_policy::SignedDuration;

use crate::{
    insights::Insights,
    meter::Meter,
    price::{self, Basis, Plan, Price},
    ql::{Linted, lint},
    server::LogsServer,
    shapes::{LogQuery, LogQueryArgs, Statistics},
};

const MAX_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);
const MAX_VALUE_BYTES: usize = 1000;

pub(crate) async fn log_query(
    server: &LogsServer,
    args: LogQueryArgs,
    progress: &Progress,
    meter: &Meter,
) -> Result<LogQuery, ToolError> {
    let window = Window::new(args.from, args.to, MAX_WINDOW)?;
    let limit = limit(args.limit, 50, 500)?;
    let Linted { query, mut notes, passes } = lint(&args.query, window)?;
    let groups = server.groups(args.service.as_deref(), &args.log_groups)?;
    let first = groups.first().ok_or_else(|| ToolError::internal("no group was named"))?;
    let insights = server.insights(first).await?.of_call(progress, meter);
    let (readable, answer, cost, skipped) = if let Some(cursor) = &args.cursor {
        let (id, skipped) = place(cursor)?;
        // The rows are kept at AWS: reading on costs nothing.
        let answer = insights.results(id).await?;
        (groups, answer, Price::of(0.0, Basis::Estimate), skipped)
    } else {
        let (readable, stored) = sizes(server, &insights, &groups, &mut notes).await?;
        let plan = Plan { groups: &readable, windows: &[window], passes, stored };
        let cost = price::afford(&insights, &server.metrics(first).await?, plan).await?;
        let answer = insights.run(&readable, window, &query).await?;
        (readable, answer, cost, 0)
    };
    let (mut redacted, mut marks) = (Redactions::default(), Vec::new());
    let found = answer.rows.len();
    let rows = answer
        .rows
        .into_iter()
        .skip(skipped)
        .take(limit)
        .map(|row| {
            row.into_iter()
                .filter(|(name, _)| name != "@ptr")
                .map(|(name, value)| {
                    let value = clean_with(server.redactor(), &value, MAX_VALUE_BYTES);
                    redacted.add(&value.kinds);
                    marks.extend(value.marks);
                    (clean_with(server.redactor(), &name, 200).text, value.text)
                })
                .collect()
        })
        .collect();
    marks.sort_unstable();
    marks.dedup();
    notes.extend(answer.partial.map(str::to_owned));
    notes.extend(redacted.note());
    let (from, to) = (window.from.to_string(), window.to.to_string());
    let mut result = LogQuery {
        reference: reference("query", &[&readable.join(","), &query, &from, &to]),
        status: if answer.partial.is_some() { "partial" } else { "complete" }.to_owned(),
        columns: answer.columns,
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
        notes,
    };
    let dropped = fit(&mut result, MAX_RESULT_BYTES, |result| result.rows.pop().is_some());
    if dropped > 0 {
        result.truncated = true;
        result
            .notes
            .push(format!("{dropped} rows were left out to keep the result small: next_cursor gives them"));
    }
    if result.truncated && !result.rows.is_empty() {
        result.next_cursor = answer.id.map(|id| format!("{id}:{}", skipped + result.rows.len()));
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

/// The query and the row that a cursor stands for.
fn place(cursor: &str) -> Result<(&str, usize), ToolError> {
    let id =
        |id: &str| (1..=64).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    cursor
        .split_once(':')
        .filter(|(query, _)| id(query))
        .and_then(|(query, row)| Some((query, row.parse().ok()?)))
        .ok_or_else(|| {
            ToolError::invalid(
                "the cursor is none of this tool's",
                "give next_cursor of the result before, unchanged",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_a_query_and_a_row() {
        assert_eq!(place("ab12-3:50").unwrap(), ("ab12-3", 50));
        for cursor in ["", "50", "a b:1", "a:-1", "../x:1", "a:1:2"] {
            assert!(place(cursor).is_err(), "{cursor}");
        }
    }
}
