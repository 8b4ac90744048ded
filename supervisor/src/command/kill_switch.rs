//! `midwatch kill-switch`: the file whose existence stops every change at once, or with `--models`
//! all use of models.

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

use super::{
    args::{Format, KillSwitchArgs, KillSwitchCommand},
    model::switch_file,
};

pub(super) fn run(arguments: &KillSwitchArgs) -> anyhow::Result<ExitCode> {
    let (file, models) = match &arguments.file {
        Some(file) if !arguments.models => (file.clone(), false),
        _ => (switch_file(), true),
    };
    let file = file.as_path();
    if let (KillSwitchCommand::On, Some(directory)) = (arguments.what, file.parent()) {
        // Where it cannot be made, writing the file says so.
        let _ = fs::create_dir_all(directory);
    }
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
        Format::Text if models && on => writeln!(out, "on: no model is asked while {shown} exists")?,
        Format::Text if models => writeln!(out, "off: models are asked; {shown} would stop that")?,
        Format::Text if on => writeln!(out, "on: nothing is changed by servers that look at {shown}")?,
        Format::Text => writeln!(out, "off: permits count at servers that look at {shown}")?,
    }
    Ok(ExitCode::SUCCESS)
}
