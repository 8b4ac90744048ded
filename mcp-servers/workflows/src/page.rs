//! Pages of a list of executions, newest first. A cursor names the last one that was shown, so a
//! page does not move when new executions begin.

use jiff::Timestamp;
use midwatch_mcp::ToolError;

use crate::count::Run;

/// One page, and the cursor of the next.
pub(crate) fn page<'a>(
    runs: impl Iterator<Item = &'a Run>,
    cursor: Option<&str>,
    limit: usize,
) -> Result<(Vec<&'a Run>, Option<String>), ToolError> {
    let after = cursor.map(parse).transpose()?;
    let mut left = runs.filter(|run| {
        after.as_ref().is_none_or(|(at, name)| {
            // Of those that began in the same millisecond the names decide.
            (run.started_at, std::cmp::Reverse(run.name.as_str())) < (*at, std::cmp::Reverse(name.as_str()))
        })
    });
    let shown: Vec<&Run> = left.by_ref().take(limit).collect();
    let more = left.next().is_some();
    let next = shown.last().filter(|_| more);
    Ok((shown.clone(), next.map(|run| format!("{}~{}", run.started_at.as_millisecond(), run.name))))
}

fn parse(cursor: &str) -> Result<(Timestamp, String), ToolError> {
    let read = || {
        let (millis, name) = cursor.split_once('~')?;
        Some((Timestamp::from_millisecond(millis.parse().ok()?).ok()?, name.to_owned()))
    };
    read().ok_or_else(|| {
        ToolError::invalid(
            format!("`{}` is no cursor of this tool", midwatch_mcp::clip(cursor, 80)),
            "give `next_cursor` of the page before, with the same other arguments",
        )
    })
}

/// The order of pages: newest first, and of those that began at once by name.
pub(crate) fn sort(runs: &mut [Run]) {
    runs.sort_by(|a, b| b.started_at.cmp(&a.started_at).then_with(|| a.name.cmp(&b.name)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::Status;

    fn runs(from: i64) -> Vec<Run> {
        let mut all: Vec<Run> = (from..7)
            .map(|n| Run {
                arn: String::new(),
                name: format!("r{n}"),
                status: Status::Failed,
                // Two begin at once each.
                started_at: Timestamp::from_second(n / 2).unwrap(),
                ended_at: None,
            })
            .collect();
        sort(&mut all);
        all
    }

    #[test]
    fn pages_join_without_a_gap_also_when_more_begin() {
        let (all, later) = (runs(0), runs(0));
        let mut names = Vec::new();
        let (first, cursor) = page(all.iter(), None, 3).unwrap();
        names.extend(first.iter().map(|run| run.name.clone()));
        let mut cursor = cursor;
        let mut more = later;
        more.push(Run {
            name: "new".into(),
            started_at: Timestamp::from_second(99).unwrap(),
            ..all[0].clone()
        });
        sort(&mut more);
        while let Some(at) = cursor {
            let (next, following) = page(more.iter(), Some(&at), 3).unwrap();
            names.extend(next.iter().map(|run| run.name.clone()));
            cursor = following;
        }
        assert_eq!(names, all.iter().map(|run| run.name.clone()).collect::<Vec<_>>());
        assert!(page(all.iter(), Some("nonsense"), 3).is_err());
    }
}
