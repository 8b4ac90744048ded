//! `midwatch keys`: the desk's keys. The private half is never printed.

use std::{io::Write as _, path::PathBuf, process::ExitCode};

use midwatch_mcp::{KeyEntry, KeyState, SystemClock};
use midwatch_policy::Clock as _;
use serde_json::json;

use crate::{
    desk::{KeyDirectory, id_of},
    journal::default_store,
    terminal::{
        style::{FAINT, STRONG},
        text::clean,
    },
};

use super::args::{DeskDir, Format, KeysArgs, KeysCommand};

/// The desk's directory: the one that is named, or the usual one.
pub(super) fn directory(named: Option<PathBuf>) -> PathBuf {
    named.unwrap_or_else(|| default_store(|name| std::env::var(name).ok()).with_file_name("desk"))
}

/// Its keys.
pub(super) fn keys_of(directory: &std::path::Path) -> KeyDirectory {
    KeyDirectory::new(directory.join("keys"))
}

pub(super) fn run(arguments: KeysArgs) -> anyhow::Result<ExitCode> {
    let now = SystemClock.now();
    match arguments.what {
        KeysCommand::Create { dir } => change(dir, |keys| keys.create(now)),
        KeysCommand::Rotate { dir } => change(dir, |keys| keys.rotate(now)),
        KeysCommand::Revoke { id, dir } => change(dir, |keys| keys.revoke(&id, now)),
        KeysCommand::List { dir } => {
            let known = keys_of(&directory(dir.dir)).known()?;
            let mut out = anstream::stdout();
            match dir.format {
                Format::Json => {
                    let keys: Vec<_> = known.key.iter().map(entry).collect();
                    writeln!(out, "{}", serde_json::to_string_pretty(&json!({ "keys": keys }))?)?;
                }
                Format::Text if known.key.is_empty() => {
                    writeln!(out, "there are no keys: `midwatch keys create` makes the first")?;
                }
                Format::Text => {
                    for key in &known.key {
                        writeln!(out, "{}", line(key))?;
                    }
                }
            }
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn change(
    dir: DeskDir,
    work: impl FnOnce(&KeyDirectory) -> Result<KeyEntry, crate::desk::KeysError>,
) -> anyhow::Result<ExitCode> {
    let keys = keys_of(&directory(dir.dir));
    let key = work(&keys)?;
    let file = keys.public_file();
    let mut out = anstream::stdout();
    match dir.format {
        Format::Json => {
            let out_of = json!({ "key": entry(&key), "public_keys": file });
            writeln!(out, "{}", serde_json::to_string_pretty(&out_of)?)?;
        }
        Format::Text => {
            writeln!(out, "{}", line(&key))?;
            writeln!(out, "{FAINT}remediation servers read {}{FAINT:#}", clean(&file.display().to_string()))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn entry(key: &KeyEntry) -> serde_json::Value {
    json!({
        "id": id_of(key), "public": key.public, "state": key.state, "created_at": key.created_at,
        "revoked_at": key.revoked_at,
    })
}

fn line(key: &KeyEntry) -> String {
    let state = match key.state {
        KeyState::Active => "signs",
        KeyState::Retired => "accepted",
        KeyState::Revoked => "revoked",
    };
    let made = key.created_at.map(|at| format!("made {at}")).unwrap_or_default();
    format!("{STRONG}{}{STRONG:#}  {state:<8}  {FAINT}{made}{FAINT:#}", id_of(key))
}
