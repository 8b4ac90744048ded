//! `midwatch kill-switch`: the file whose existence stops every change at once, or with `--models`
//! all use of models.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::PathBuf,
    process::ExitCode,
};

use anyhow::{Context as _, bail};
use midwatch_mcp::SystemClock;
use midwatch_policy::Clock as _;
use serde_json::json;

use crate::{serve::Config, terminal::text::clean};

use super::{
    args::{Format, KillSwitchArgs, KillSwitchCommand},
    model::{config, switch_file},
};

pub(super) fn run(arguments: &KillSwitchArgs) -> anyhow::Result<ExitCode> {
    let models = arguments.models;
    let file = file(arguments)?;
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
        Format::Text if models => {
            let (is, does) = if on { ("on", "ask no model") } else { ("off", "may ask models") };
            writeln!(out, "{is}: those who look at {shown} {does}")?;
            writeln!(out, "{}", lookers(arguments))?;
            writeln!(out, "A daemon says whether it is stopped: `midwatch_models_off` in its /metrics.")?;
        }
        Format::Text if on => writeln!(out, "on: nothing is changed by servers that look at {shown}")?,
        Format::Text => writeln!(out, "off: permits count at servers that look at {shown}")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The file that is meant. Never another than the one that was named.
fn file(arguments: &KillSwitchArgs) -> anyhow::Result<PathBuf> {
    match (&arguments.file, &arguments.config) {
        (Some(file), _) => Ok(file.clone()),
        (None, Some(daemon)) => {
            let daemon = Config::read(daemon)?;
            let money = config(daemon.money.as_ref(), daemon.store.as_deref())?;
            Ok(money.switch_file.unwrap_or_else(switch_file))
        }
        (None, None) if arguments.models => Ok(switch_file()),
        (None, None) => match std::env::var_os("MIDWATCH_KILL_SWITCH_FILE") {
            Some(file) => Ok(file.into()),
            None => bail!("name the file: `--file FILE`, or MIDWATCH_KILL_SWITCH_FILE"),
        },
    }
}

/// Who looks at a file for models.
fn lookers(arguments: &KillSwitchArgs) -> String {
    match (&arguments.file, &arguments.config) {
        (Some(_), _) => {
            "These are daemons whose `[money]` names it as `switch_file`, and commands and daemons without \
                         one whose MIDWATCH_MODEL_SWITCH_FILE names it; no others."
                .to_owned()
        }
        (None, Some(config)) => format!(
            "These are daemons of {}; where it names no `switch_file`, those that run as this user, with this \
             environment.",
            clean(&config.display().to_string())
        ),
        (None, None) => {
            "These are commands and daemons of this user and environment whose `[money]` names no other \
                         `switch_file`; for one that does, give its `--config`."
                .to_owned()
        }
    }
}
