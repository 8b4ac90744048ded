//! Reading a Logs Insights query before it runs: what it may not do, what would be endless, and what
//! is plainly a mistake. Pure. AWS has the last word on syntax; what is caught here costs nothing.

use midwatch_mcp::{ToolError, Window};

const MAX_QUERY_BYTES: usize = 4000;
/// Rows of a query, whatever it says; pages are cut from them.
pub(crate) const MAX_ROWS: usize = 1000;
/// Bins of time that a query may count by: AWS gives no more rows.
const MAX_BINS: f64 = 10_000.0;
const COMMANDS: [&str; 15] = [
    "fields",
    "display",
    "filter",
    "filterindex",
    "pattern",
    "parse",
    "sort",
    "stats",
    "limit",
    "dedup",
    "unnest",
    "anomaly",
    "head",
    "tail",
    "diff",
];

/// A query that may run.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Linted {
    pub(crate) query: String,
    pub(crate) notes: Vec<String>,
    /// How often it reads the bytes of the window: `diff` reads the time before as well.
    pub(crate) passes: u32,
}

/// Refuses what a bounded query has no use for, and bounds the rest.
pub(crate) fn lint(query: &str, window: Window) -> Result<Linted, ToolError> {
    let query: String =
        query.lines().filter(|line| !line.trim_start().starts_with('#')).collect::<Vec<_>>().join("\n");
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
    let Split { commands: parts, open } = split(query);
    if let Some(open) = open {
        return Err(ToolError::invalid(
            format!("a `{open}` is not closed"),
            format!("close it, or write `\\{open}` for the sign itself"),
        ));
    }
    let mut linted = Linted { query: String::new(), notes: Vec::new(), passes: 1 };
    let mut commands = Vec::new();
    let mut limited = false;
    for command in parts {
        let word = command.split_whitespace().next().unwrap_or_default().to_ascii_lowercase();
        match word.as_str() {
            "" => {
                return Err(ToolError::invalid(
                    "a command between two `|` is empty",
                    "take one of the `|` out",
                ));
            }
            "source" | "join" | "lookup" => {
                return Err(ToolError::refused(
                    format!("`{word}` is not allowed: it reads what was not named and priced"),
                    "name the log groups in `log_groups`, and ask two questions instead of a join",
                ));
            }
            "estimate" => {
                return Err(ToolError::refused(
                    "`estimate` is asked before every query anyway",
                    "leave it out: the result says in `cost` what was estimated",
                ));
            }
            "limit" => {
                limited = true;
                let wanted = command.split_whitespace().nth(1).and_then(|n| n.parse::<usize>().ok());
                if wanted.is_some_and(|n| n > MAX_ROWS) {
                    linted.notes.push(format!("limited to {MAX_ROWS} rows"));
                    commands.push(format!(" limit {MAX_ROWS} "));
                    continue;
                }
            }
            "head" | "tail" => limited = true,
            "diff" => linted.passes = 2,
            "stats" => bounded_groups(command, window)?,
            known if COMMANDS.contains(&known) => {}
            other => {
                return Err(ToolError::invalid(
                    format!("`{}` is not a command of Logs Insights QL", midwatch_mcp::clip(other, 40)),
                    format!("commands, divided by `|`, are: {}", COMMANDS.join(", ")),
                ));
            }
        }
        commands.push(command.to_owned());
    }
    commands.join("|").trim().clone_into(&mut linted.query);
    if !limited {
        linted.query = format!("{} | limit {MAX_ROWS}", linted.query);
    }
    Ok(linted)
}

/// Refuses to count by what makes more groups than there are rows.
fn bounded_groups(command: &str, window: Window) -> Result<(), ToolError> {
    let by = command.to_ascii_lowercase();
    let Some((_, by)) = by.rsplit_once(" by ") else { return Ok(()) };
    for field in by.split(',').map(str::trim) {
        if matches!(field, "@message" | "@ptr" | "@timestamp" | "@ingestiontime") {
            return Err(ToolError::refused(
                format!("by `{field}` every line is a group of its own"),
                "count by a field that `parse` takes out of the message, by `bin(1m)` for time, or ask error_patterns",
            ));
        }
        if let Some(seconds) = bin_seconds(field)
            && window.seconds() / seconds > MAX_BINS
        {
            let minutes = (window.seconds() / MAX_BINS / 60.0).ceil().max(1.0);
            return Err(ToolError::refused(
                format!(
                    "`{field}` cuts the window into {:.0} bins; rows end at {MAX_BINS:.0}",
                    window.seconds() / seconds
                ),
                format!("count by `bin({minutes:.0}m)` or a longer bin, or ask for a shorter window"),
            ));
        }
    }
    Ok(())
}

/// The length of `bin(5m)`.
fn bin_seconds(field: &str) -> Option<f64> {
    let inner = field.strip_prefix("bin(")?.split(')').next()?.trim();
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = inner.split_at_checked(digits)?;
    let number: f64 = number.parse().ok()?;
    let unit = match unit.trim() {
        "ms" | "millisecond" | "milliseconds" => 0.001,
        "s" | "sec" | "second" | "seconds" => 1.0,
        "m" | "min" | "minute" | "minutes" => 60.0,
        "h" | "hr" | "hour" | "hours" => 3600.0,
        "d" | "day" | "days" => 86_400.0,
        "w" | "week" | "weeks" => 604_800.0,
        _ => return None,
    };
    (number > 0.0).then_some(number * unit)
}

struct Split<'q> {
    commands: Vec<&'q str>,
    /// A quote or bracket that the query ends within.
    open: Option<char>,
}

/// Splits at `|` outside of quotes and `/…/`.
fn split(query: &str) -> Split<'_> {
    let mut out = Vec::new();
    let (mut begin, mut inside, mut escaped, mut depth) = (0, None, false, 0_i32);
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
            None if c == '(' => depth += 1,
            None if c == ')' => depth -= 1,
            Some(_) | None => {}
        }
        if !c.is_whitespace() {
            previous = c;
        }
    }
    out.push(query.get(begin..).unwrap_or_default());
    Split { commands: out, open: inside.or((depth > 0).then_some('(')) }
}

#[cfg(test)]
mod tests {
    use midwatch_mcp::ErrorKind;

    use super::*;

    fn window(hours: i64) -> Window {
        let from: midwatch_policy::Timestamp = "2026-11-21T02:00:00Z".parse().unwrap();
        Window { from, to: from + midwatch_policy::SignedDuration::from_hours(hours) }
    }

    fn linted(query: &str) -> String {
        lint(query, window(1)).unwrap().query
    }

    #[test]
    fn a_limit_is_added_or_lowered() {
        assert_eq!(linted("fields @message"), "fields @message | limit 1000");
        assert_eq!(linted("fields @message | limit 20"), "fields @message | limit 20");
        assert_eq!(linted("fields @message | limit 9999"), "fields @message | limit 1000");
        assert_eq!(
            linted("filter @message like /a|limit 3/ | stats count(*)"),
            "filter @message like /a|limit 3/ | stats count(*) | limit 1000"
        );
        assert_eq!(linted("filter msg = '| limit 3'"), "filter msg = '| limit 3' | limit 1000");
        assert_eq!(linted("# what is it | unmask\nfields @message"), "fields @message | limit 1000");
    }

    #[test]
    fn what_reads_more_than_was_named_is_refused() {
        for query in [
            "SOURCE logGroups() | fields @message",
            "fields @message | unmask(@message)",
            "fields a | join type=left (SOURCE '/b' | fields c) where a = c",
            "fields @message | estimate",
            "stats count(*) by @message",
            "stats count(*) by host, @ptr",
        ] {
            assert_eq!(lint(query, window(1)).unwrap_err().kind, ErrorKind::Refused, "{query}");
        }
    }

    #[test]
    fn mistakes_are_caught_before_they_run() {
        for (query, says) in [
            (" ", "empty"),
            ("select * from logs", "not a command"),
            ("fields @message | | limit 3", "between two"),
            ("filter @message like 'open", "not closed"),
            ("filter @message like /open", "not closed"),
            ("stats count(* by bin(1m)", "not closed"),
        ] {
            let error = lint(query, window(1)).unwrap_err();
            assert_eq!(error.kind, ErrorKind::Invalid, "{query}");
            assert!(error.message.contains(says), "{query}: {}", error.message);
        }
        assert_eq!(lint(&"x".repeat(5000), window(1)).unwrap_err().kind, ErrorKind::Invalid);
    }

    #[test]
    fn bins_are_bounded_and_the_shortest_that_works_is_named() {
        assert!(lint("stats count(*) by bin(1s)", window(2)).is_ok());
        let error = lint("stats count(*) by bin(1s)", window(24 * 7)).unwrap_err();
        assert!(error.mend.contains("bin(2m)"), "{}", error.mend);
        assert_eq!(lint("stats count(*) by bin(1h) | diff", window(24)).unwrap().passes, 2);
    }

    proptest::proptest! {
        #[test]
        fn any_query_is_bounded_or_refused(query in "(fields|filter|stats|limit|sort)? ?\\PC{0,120}") {
            if let Ok(linted) = lint(&query, window(1)) {
                proptest::prop_assert!(["limit", "head", "tail"].iter().any(|word| linted.query.to_lowercase().contains(word)));
            }
        }
    }
}
