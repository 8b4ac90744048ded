//! What a person says of an incident, kept for whoever writes its journal: the daemon, within
//! seconds, or the next one that starts.

use std::{io::Write as _, path::Path, process::ExitCode, sync::Arc};

use anyhow::bail;
use midwatch_mcp::SystemClock;
use midwatch_policy::{Clock as _, IncidentId};
use serde_json::json;

use crate::{
    deliver::{Beside, outbox_of},
    intake::inbox::{Inbox, Said},
};

use super::super::{args::Format, serve::inbox_beside};

/// Keeps it. An acknowledgement also ends what waits for somebody.
pub(in crate::command) async fn say(
    store: &Path,
    incident: IncidentId,
    said: Said,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let (inbox, outbox) = (inbox_beside(store), outbox_of(store));
    if !inbox.exists() {
        bail!(
            "there is no inbox at `{}`: `midwatch serve` has not run with this store; give its place with --store",
            inbox.display()
        );
    }
    let inbox = Inbox::open(&inbox)?;
    let (mut ended, is_known) = (0, !inbox.of_incident(incident.clone()).await?.is_empty());
    if matches!(said, Said::Took { .. } | Said::Stopped { .. })
        && !inbox.ended_among(vec![incident.clone()]).await?.is_empty()
    {
        bail!(
            "`{incident}` has ended: there is no work to end, and who is being told is told on; `midwatch incidents \
             acknowledge {incident} --by NAME` says that you look after it"
        );
    }
    // People may be told of what has no incident: an alarm that could not be taken, Midwatch itself.
    if let Some(by) = said.holder()
        && outbox.exists()
    {
        ended = Beside::open(&outbox, Arc::new(SystemClock))?.acknowledge(&incident, by).await?;
    }
    if !is_known && ended == 0 {
        bail!("there is no incident `{incident}`; see `midwatch incidents list`");
    }
    let (is_note, ends_work) = match &said {
        Said::Note { .. } => (true, false),
        Said::Acknowledged { .. } => (false, false),
        Said::Took { .. } | Said::Stopped { .. } => (false, true),
    };
    if !is_known && ends_work {
        bail!(
            "`{incident}` is no incident that Midwatch works on; those who were told hear that it is yours"
        );
    }
    if is_known {
        inbox.say(incident.clone(), said, SystemClock.now()).await?;
    }
    let mut out = anstream::stdout();
    match format {
        Format::Json => writeln!(out, "{}", json!({ "incident": incident, "ended": ended }))?,
        Format::Text if is_note => writeln!(out, "{incident}: noted")?,
        Format::Text if ends_work => {
            writeln!(out, "{incident} is yours: Midwatch's work on it ends within seconds, with a report")?;
        }
        Format::Text if ended == 0 => {
            writeln!(out, "{incident} is yours; nothing was waiting for anybody")?;
        }
        Format::Text => {
            writeln!(out, "{incident} is yours: nobody else is woken, and those who were told hear of it")?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
