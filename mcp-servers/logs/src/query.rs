//! The tool `log_query`: one bounded Logs Insights query.

use midwatch_mcp::{MAX_RESULT_BYTES, ToolError, Window, clean, fit, redaction_note, reference};
use midwatch_policy::SignedDuration;

use crate::{
    server::LogsServer,
    shapes::{LogQuery, LogQueryArgs, Statistics},
};

const MAX_WINDOW: SignedDuration = SignedDuration::from_hours(7 * 24);
const MAX_QUERY_BYTES: usize = 4000;
const MAX_VALUE_BYTES: usize = 1000;

pub(crate) async fn log_query(server: &LogsServer, args: LogQueryArgs) -> Result<LogQuery, ToolError> {
    let window = Window::new(args.from, args.to, MAX_WINDOW)?;
    let limit = args.limit.unwrap_or(50).clamp(1, 500) as usize;
    let Linted { query, notes } = lint(&args.query, limit)?;
    let mut notes = notes;
    let groups = server.groups(args.service.as_deref(), &args.log_groups)?;
    let present = server.ctx().clock.now();

    let first = groups.first().ok_or_else(|| ToolError::internal("no group was named"))?;
    let insights = server.insights(first).await?;
    let mut readable = Vec::new();
    let mut bytes = 0.0;
    for group in &groups {
        match server.size(&insights.client, group).await {
            Ok(size) => {
                bytes += size.map_or(0.0, |size| size.bytes_in(window, present));
                readable.push(group.clone());
            }
            Err(error) if groups.len() > 1 => notes.push(format!("{}; {}", error.message, error.mend)),
            Err(error) => return Err(error),
        }
    }
    if readable.is_empty() {
        return Err(ToolError::not_found("none of the log groups exists", notes.join("; ")));
    }
    server.afford(&insights, &readable, window, bytes).await?;
    let answer = insights.run(&readable, window, &query).await?;

    let (mut redacted, mut marks) = (0, Vec::new());
    let found = answer.rows.len();
    let rows = answer
        .rows
        .into_iter()
        .take(limit)
        .map(|row| {
            row.into_iter()
                .filter(|(name, _)| name != "@ptr")
                .map(|(name, value)| {
                    let value = clean(&value, MAX_VALUE_BYTES);
                    redacted += value.redacted;
                    marks.extend(value.marks);
                    (clean(&name, 200).text, value.text)
                })
                .collect()
        })
        .collect();
    marks.sort_unstable();
    marks.dedup();
    notes.extend(answer.partial.map(str::to_owned));
    notes.extend(redaction_note(redacted));
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
        truncated: found >= limit,
        screened: marks.iter().map(|mark| mark.as_str().to_owned()).collect(),
        notes,
    };
    let dropped = fit(&mut result, MAX_RESULT_BYTES, |result| result.rows.pop().is_some());
    if dropped > 0 {
        result.truncated = true;
        result.notes.push(format!("{dropped} rows were left out to keep the result small"));
    }
    Ok(result)
}

#[derive(Debug, PartialEq, Eq)]
struct Linted {
    query: String,
    notes: Vec<String>,
}

/// Refuses what a bounded query has no use for, and bounds the rest.
fn lint(query: &str, limit: usize) -> Result<Linted, ToolError> {
    let query = query.trim();
    if query.is_empty() {
        return Err(ToolError::invalid(
            "the query is empty",
            "for example: fields @timestamp, @message | limit 20",
        ));
    }
    if query.len() > MAX_QUERY_BYTES {
        return Err(ToolError::invalid(
            format!("the query has {} bytes", query.len()),
            format!("at most {MAX_QUERY_BYTES} are allowed"),
        ));
    }
    if query.to_ascii_lowercase().contains("unmask") {
        return Err(ToolError::refused("`unmask` is not allowed", "work with the masked values"));
    }
    let mut notes = Vec::new();
    let mut commands = Vec::new();
    let mut limited = false;
    for command in commands_of(query) {
        let word: String = command
            .trim_start()
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_ascii_lowercase();
        match word.as_str() {
            "source" => {
                return Err(ToolError::refused(
                    "`SOURCE` is not allowed",
                    "name the log groups in `log_groups`",
                ));
            }
            "limit" | "head" | "tail" => {
                limited = true;
                let wanted = command.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok());
                if word == "limit" && wanted.is_some_and(|n| n > limit) {
                    notes.push(format!("limited to {limit} rows"));
                    commands.push(format!(" limit {limit} "));
                    continue;
                }
            }
            _ => {}
        }
        commands.push(command.to_owned());
    }
    let mut query = commands.join("|").trim().to_owned();
    if !limited {
        query = format!("{query} | limit {limit}");
    }
    Ok(Linted { query, notes })
}

/// Splits at `|` outside of quotes and `/…/`.
fn commands_of(query: &str) -> Vec<&str> {
    let mut out = Vec::new();
    let (mut begin, mut inside, mut escaped) = (0, None, false);
    let mut previous = ' ';
    for (at, c) in query.char_indices() {
        match inside {
            _ if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(quote) if c == quote => inside = None,
            None if c == '"' || c == '\'' || c == '`' => inside = Some(c),
            // A slash begins a regular expression unless it divides two values.
            None if c == '/' && matches!(previous, 'e' | 'E' | '~' | '(' | ',' | '|') => inside = Some(c),
            None if c == '|' => {
                out.push(query.get(begin..at).unwrap_or_default());
                begin = at + 1;
            }
            Some(_) | None => {}
        }
        if !c.is_whitespace() {
            previous = c;
        }
    }
    out.push(query.get(begin..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use midwatch_mcp::ErrorKind;

    use super::*;

    fn linted(query: &str) -> String {
        lint(query, 50).unwrap().query
    }

    #[test]
    fn a_limit_is_added_or_lowered() {
        assert_eq!(linted("fields @message"), "fields @message | limit 50");
        assert_eq!(linted("fields @message | limit 20"), "fields @message | limit 20");
        assert_eq!(linted("fields @message | limit 9999"), "fields @message | limit 50");
        assert_eq!(
            linted("filter @message like /a|limit 3/ | stats count(*)"),
            "filter @message like /a|limit 3/ | stats count(*) | limit 50"
        );
        assert_eq!(linted("filter msg = '| limit 3'"), "filter msg = '| limit 3' | limit 50");
    }

    #[test]
    fn other_sources_and_unmasking_are_refused() {
        for query in ["SOURCE logGroups() | fields @message", "fields @message | unmask(@message)"] {
            assert_eq!(lint(query, 50).unwrap_err().kind, ErrorKind::Refused, "{query}");
        }
        assert_eq!(lint(" ", 50).unwrap_err().kind, ErrorKind::Invalid);
        assert_eq!(lint(&"x".repeat(5000), 50).unwrap_err().kind, ErrorKind::Invalid);
    }

    proptest::proptest! {
        #[test]
        fn any_query_is_bounded_or_refused(query in "\\PC{0,120}") {
            if let Ok(linted) = lint(&query, 50) {
                proptest::prop_assert!(linted.query.contains("limit") || linted.query.contains("head") || linted.query.contains("tail"));
            }
        }
    }
}
