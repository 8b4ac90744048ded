//! `midwatch kill-switch`: the file whose existence stops every change at once.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use midwatch_mcp::SystemClock;
use midwatch_policy::Clock as _;
use serde_json::json;

use crate::terminal::text::clean;

use super::args::{Format, KillSwitchArgs, KillSwitchCommand};

pub(super) fn run(arguments: &KillSwitchArgs) -> anyhow::Result<ExitCode> {
    let file = &arguments.file;
    let shown = clean(&file.display().to_string());
    match arguments.what {
        KillSwitchCommand::On => match OpenOptions::new().write(true).create_new(true).open(file) {
            Ok(mut new) => {
                writeln!(new, "on since {}", SystemClock.now())?;
                new.sync_all().with_context(|| format!("`{shown}` cannot be written"))?;
            }
            // It stops, whoever put it there.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("the kill switch is NOT on: `{shown}` cannot be written"));
            }
        },
        KillSwitchCommand::Off => match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error)
                    .with_context(|| format!("the kill switch is still on: `{shown}` cannot be removed"));
            }
            _ => {}
        },
        KillSwitchCommand::Status => {}
    }
    let on =
        file.try_exists().with_context(|| format!("`{shown}` cannot be looked at, which counts as on"))?;
    let mut out = anstream::stdout();
    match arguments.format {
        Format::Json => writeln!(out, "{}", json!({ "on": on, "file": shown }))?,
        Format::Text if on => writeln!(out, "on: nothing is changed by servers that look at {shown}")?,
        Format::Text => writeln!(out, "off: permits count at servers that look at {shown}")?,
    }
    Ok(ExitCode::SUCCESS)
}
