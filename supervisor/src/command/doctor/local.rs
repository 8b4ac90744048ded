//! What can be checked without leaving the machine.

use std::path::{Path, PathBuf};

use midwatch_policy::{Autonomy, Catalog, Rules, RunbookContract, Service};

use crate::journal::SqliteJournal;

use super::{
    super::{incidents, model, triage},
    Check, State,
};

pub(super) fn store(path: Option<PathBuf>) -> Vec<Check> {
    let path = incidents::store(path);
    let check = match SqliteJournal::open(&path) {
        Ok(_) => {
            Check::new("Configuration", "store", State::Ok, format!("`{}` can be written", path.display()))
        }
        Err(error) => Check::new("Configuration", "store", State::Warn, error.to_string())
            .mend("incidents are handled, but not kept: set MIDWATCH_STORE to a file that can be written"),
    };
    vec![check]
}

pub(super) fn catalog(path: Option<&Path>) -> (Catalog, Vec<Check>) {
    let check = |state, detail: String| Check::new("Configuration", "catalog", state, detail);
    let Some(file) = path else {
        let missing = check(State::Warn, "none: only what an alarm names itself can be read".to_owned())
            .mend("describe your services in TOML and give it with --catalog or MIDWATCH_CATALOG");
        return (Catalog::default(), vec![missing]);
    };
    match triage::catalog(path) {
        Err(error) => (Catalog::default(), vec![check(State::Fail, format!("{error:#}"))]),
        Ok(catalog) => {
            let count = catalog.services().count();
            let mut all = vec![check(State::Ok, format!("`{}`, {count} services", file.display()))];
            all.extend(catalog.services().flat_map(|service| lint(service, &catalog)));
            (catalog, all)
        }
    }
}

/// What a service lacks that would be missed during an incident.
fn lint(service: &Service, catalog: &Catalog) -> Vec<Check> {
    let warn = |lacks: &str, mend: &str| {
        Check::new("Configuration", service.name.to_string(), State::Warn, lacks).mend(mend)
    };
    let mut all = Vec::new();
    if service.log_groups.is_empty() {
        all.push(warn("no log groups", "set `log_groups`, or its errors cannot be read"));
    }
    if service.traffic.is_none() {
        all.push(warn("no traffic metric", "set `traffic`, or recovery is judged by log lines alone"));
    }
    if service.ecs.is_none() && service.codedeploy.is_none() {
        all.push(warn("neither `ecs` nor `codedeploy`", "set one, or deployments and tasks cannot be read"));
    }
    if service.owners.is_empty() {
        all.push(warn("no owners", "set `owners`, or escalations name nobody"));
    }
    if service.autonomy == Autonomy::Ask && service.protected {
        all.push(warn(
            "protected, and autonomy `ask`",
            "a protected service is never acted on: drop one of the two",
        ));
    }
    let unknown: Vec<&str> =
        service.depends_on.iter().filter(|d| catalog.get(d).is_none()).map(AsRef::as_ref).collect();
    if !unknown.is_empty() {
        let detail = format!("depends on {}, which the catalog does not have", unknown.join(", "));
        all.push(Check::new("Configuration", service.name.to_string(), State::Ok, detail));
    }
    all
}

pub(super) fn runbooks(directory: Option<&Path>) -> Vec<Check> {
    let check = |name: &str, state, detail: String| Check::new("Runbooks", name, state, detail);
    let Some(directory) = directory else {
        return vec![
            check("directory", State::Warn, "none".to_owned())
                .mend("give a directory of Markdown files with --runbooks or MIDWATCH_RUNBOOKS"),
        ];
    };
    let files = match markdown(directory) {
        Ok(files) => files,
        Err(error) => {
            return vec![check(
                "directory",
                State::Fail,
                format!("cannot read `{}`: {error}", directory.display()),
            )];
        }
    };
    let mut all =
        vec![check("directory", State::Ok, format!("`{}`, {} files", directory.display(), files.len()))];
    for file in files {
        let name = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        let text = match std::fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) => {
                all.push(check(&name, State::Fail, format!("cannot be read: {error}")));
                continue;
            }
        };
        match RunbookContract::split(&text) {
            Err(error) => {
                let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                all.push(check(&name, State::Fail, format!("{error}: {source}")));
            }
            Ok((None, _)) => all.push(
                check(&name, State::Warn, "no contract: it is found and read, but allows nothing".to_owned())
                    .mend("begin it with TOML front matter between `+++` lines: id, title, signatures, cause, action"),
            ),
            Ok((Some(contract), _)) => all.extend(gaps(&name, &contract)),
        }
    }
    all
}

/// What a careful junior at three in the morning would ask about.
fn gaps(name: &str, contract: &RunbookContract) -> Vec<Check> {
    let mut lacks = Vec::new();
    if contract.signatures.is_empty() {
        lacks.push("no `signatures`: it cannot be matched to an error");
    }
    if contract.action.is_some() && contract.cause.is_none() {
        lacks.push("an `action` without the `cause` it treats");
    }
    if contract.action.is_some() && contract.never.is_empty() {
        lacks.push("nothing in `never`: what must not be done automatically?");
    }
    if contract.action.is_some() && contract.escalate_to.is_none() {
        lacks.push("no `escalate_to`: who is told when it does not help?");
    }
    match lacks.as_slice() {
        [] => vec![Check::new("Runbooks", name, State::Ok, "its contract is complete")],
        lacks => lacks.iter().map(|gap| Check::new("Runbooks", name, State::Warn, *gap)).collect(),
    }
}

fn markdown(root: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

/// What is in the binary, and what may replace parts of it.
pub(super) fn embedded() -> Vec<Check> {
    let policy = match Rules::embedded() {
        Ok(rules) => Check::new("Policy", "rules", State::Ok, format!("{} shipped rules", rules.ids().len())),
        Err(error) => Check::new("Policy", "rules", State::Fail, error.to_string()),
    };
    let prices = match model::prices() {
        Ok(_) => Check::new("Policy", "prices", State::Ok, "known for the shipped models"),
        Err(error) => Check::new("Policy", "prices", State::Fail, format!("{error:#}")),
    };
    vec![policy, prices]
}
