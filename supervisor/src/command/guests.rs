//! Third-party servers, from the arguments of a command.

use std::{path::Path, sync::Arc};

use midwatch_policy::Rules;

use crate::{
    guests::{Guest, GuestsFile},
    site::analysts,
};

/// What the file says, and the rules that it is held against.
pub(super) struct Read {
    pub(super) file: GuestsFile,
    pub(super) rules: Arc<Rules>,
}

/// Reads both. Nothing is started.
pub(super) fn read(file: &Path, policy: Option<&Path>) -> anyhow::Result<Read> {
    let analysts = analysts()?;
    let names: Vec<&str> = analysts.iter().map(|analyst| analyst.name.as_str()).collect();
    let file = GuestsFile::read(file, &names)?;
    let rules = match policy {
        Some(path) => Rules::read(path)?,
        None => Rules::embedded()?,
    };
    Ok(Read { file, rules: Arc::new(rules) })
}

/// The servers that belong to a specialist. Nothing is started.
pub(super) fn guests(file: Option<&Path>, policy: Option<&Path>) -> anyhow::Result<Vec<Guest>> {
    let Some(file) = file else { return Ok(Vec::new()) };
    let Read { file, rules } = read(file, policy)?;
    Ok(file.guests.into_iter().map(|config| Guest::new(config, Arc::clone(&rules))).collect())
}
