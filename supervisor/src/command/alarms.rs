//! What came in, beside the journals: for `incidents list` and `incidents show`.

use std::{io::Write, path::Path};

use midwatch_policy::IncidentId;

use crate::{
    intake::{
        board::Decision,
        inbox::{Inbox, Noted, Row},
    },
    terminal::{
        style::{FAINT, WARN},
        text::{clean, fit},
    },
};

use super::serve::inbox_beside;

/// Alarms that are listed which nobody looks at.
const MOST: u32 = 20;

/// The inbox beside a store, if there is one.
fn inbox(store: &Path) -> anyhow::Result<Option<Inbox>> {
    let path = inbox_beside(store);
    if path.exists() { Ok(Some(Inbox::open(&path)?)) } else { Ok(None) }
}

/// Alarms that nobody looks at, and why, newest first.
pub(super) async fn unseen(store: &Path) -> anyhow::Result<Vec<Row>> {
    match inbox(store)? {
        Some(inbox) => Ok(inbox.newest(&["suppressed", "noted"], MOST).await?),
        None => Ok(Vec::new()),
    }
}

/// Everything that came in for an incident.
pub(super) async fn of_incident(store: &Path, incident: &IncidentId) -> anyhow::Result<Vec<Row>> {
    match inbox(store)? {
        Some(inbox) => Ok(inbox.all_of(incident.clone()).await?),
        None => Ok(Vec::new()),
    }
}

/// Why an incident that was opened has no journal: it waits, or it ended without having been begun.
pub(super) async fn without_a_journal(store: &Path, wanted: &str) -> anyhow::Result<Option<String>> {
    let (Some(inbox), Ok(incident)) = (inbox(store)?, IncidentId::parse(wanted)) else { return Ok(None) };
    let rows = inbox.of_incident(incident).await?;
    let ended = rows.iter().rev().find_map(|row| match &row.noted {
        Noted::Finished { why, .. } => {
            Some(why.clone().unwrap_or_else(|| "its work could not be begun".to_owned()))
        }
        _ => None,
    });
    Ok((!rows.is_empty()).then(|| ended.unwrap_or_else(|| "it waits for its turn".to_owned())))
}

/// Writes rows under a title, a line each; nothing where there are none.
pub(super) fn write(out: &mut impl Write, title: &str, rows: &[Row]) -> std::io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "\n{title}")?;
    for row in rows {
        let (name, why) = said(row);
        let at = row.at.strftime("%Y-%m-%d %H:%M:%S");
        let (name, why) = (fit(&clean(&name), 40), clean(&why));
        writeln!(out, "{FAINT}{at}{FAINT:#}  {name:<40}  {WARN}{why}{WARN:#}")?;
    }
    Ok(())
}

/// The alarm, and what became of it.
fn said(row: &Row) -> (String, String) {
    match &row.noted {
        Noted::Alarm { alarm, ruling } => {
            let why = match &ruling.decision {
                Decision::Suppressed { hush } => match hush.until {
                    Some(until) => format!("{}: {} (until {until})", hush.by, hush.reason),
                    None => format!("{}: {}", hush.by, hush.reason),
                },
                Decision::Noted { why } => why.clone(),
                Decision::Joined { how, .. } => format!("joined: {}", how.as_str()),
                Decision::Updated { state, .. } => format!("in {state} now"),
                Decision::Opened { after: Some(before), handed_back_by: Some(by), .. } => {
                    format!("opened, since {by} handed {before} back")
                }
                Decision::Opened { after: Some(before), .. } => format!("opened, after {before}"),
                Decision::Opened { after: None, .. } => "opened".to_owned(),
                Decision::Duplicate { .. } => "the same message again".to_owned(),
            };
            (alarm.name.clone(), why)
        }
        Noted::Reopened { request, by, .. } => {
            ("midwatch".to_owned(), format!("{by} raised {request} again"))
        }
        Noted::Finished { outcome, why, .. } => {
            let outcome = outcome.and_then(|outcome| serde_json::to_value(outcome).ok());
            let outcome = outcome.and_then(|value| value.as_str().map(str::to_owned));
            ("midwatch".to_owned(), why.clone().or(outcome).unwrap_or_default())
        }
    }
}
