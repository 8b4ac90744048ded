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

#[cfg(test)]
mod tests {
    use midwatch_agents::specialist::Specialist;

    use super::*;

    #[test]
    fn a_server_can_be_lent_to_each_specialist_that_looks_closer_and_to_no_other() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("mcp.json");
        let lent_to = |name: &str| {
            let text = serde_json::json!({"mcpServers": {"tickets": {
                "command": "x", "midwatch": {"specialists": [name], "tools": ["search"]},
            }}});
            std::fs::write(&file, text.to_string()).unwrap();
            guests(Some(&file), None).map(|guests| guests.len())
        };
        for one in [
            Specialist::log_analyst(),
            Specialist::deploy_correlator(),
            Specialist::metrics_analyst(),
            Specialist::workflow_analyst(),
        ] {
            let name = one.unwrap().name;
            assert_eq!(lent_to(&name).unwrap(), 1, "{name}");
        }
        for one in [Specialist::router(), Specialist::remediator()] {
            let name = one.unwrap().name;
            let said = lent_to(&name).unwrap_err().to_string();
            assert!(said.contains(&format!("no specialist `{name}` can be given tools")), "{said}");
        }
    }
}
