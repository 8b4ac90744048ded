//! Journals that are carried elsewhere and back.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Write},
    path::Path,
    process::ExitCode,
};

use anyhow::Context as _;
use midwatch_mcp::create_private;
use serde_json::json;

use crate::journal::{
    Journal,
    export::{Exported, Imported},
};

use super::{super::args::Format, find};

/// Writes incidents, a line each.
pub(super) async fn export(
    (journal, store): (&dyn Journal, &Path),
    ids: &[String],
    output: Option<&Path>,
) -> anyhow::Result<ExitCode> {
    let mut wanted = Vec::new();
    for id in ids {
        wanted.push(find((journal, store), id).await?);
    }
    if ids.is_empty() {
        wanted = journal.heads().await?.into_iter().map(|head| head.incident).collect();
    }
    let mut out: Box<dyn Write> = match output {
        None => Box::new(std::io::stdout()),
        Some(path) => Box::new(create_private(path).with_context(|| {
            format!("`{}` cannot be made: name a file that is not there", path.display())
        })?),
    };
    for incident in wanted {
        if let Some(exported) = crate::journal::export::export(journal, &incident).await? {
            writeln!(out, "{}", serde_json::to_string(&exported)?)?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

/// Takes incidents in that are not there; each alone, so that one that does not hold stops no other.
pub(super) async fn import(journal: &dyn Journal, file: &Path, format: Format) -> anyhow::Result<ExitCode> {
    let lines =
        BufReader::new(File::open(file).with_context(|| format!("`{}` cannot be read", file.display()))?);
    let (mut added, mut known, mut refused) = (0_u32, 0_u32, Vec::new());
    for (number, line) in (1_u32..).zip(lines.lines()) {
        let line = line.with_context(|| format!("line {number} of `{}`", file.display()))?;
        let taken = match serde_json::from_str::<Exported>(&line) {
            Ok(exported) => {
                crate::journal::export::import(journal, exported).await.map_err(|e| e.to_string())
            }
            Err(error) => Err(error.to_string()),
        };
        match taken {
            Ok(Imported::Added) => added += 1,
            Ok(Imported::Known) => known += 1,
            Err(why) => refused.push(json!({ "line": number, "why": why })),
        }
    }
    let mut out = anstream::stdout();
    match format {
        Format::Json => {
            writeln!(out, "{}", json!({ "added": added, "known": known, "refused": refused }))?;
        }
        Format::Text => {
            for one in &refused {
                writeln!(out, "not taken: {}", crate::terminal::text::clean(&one.to_string()))?;
            }
            writeln!(out, "{added} added, {known} were there, {} do not hold", refused.len())?;
        }
    }
    Ok(if refused.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
