//! What a contract lacks, though it can be read.

use midwatch_policy::{ActionKind, Catalog, RunbookContract};

use super::{Found, prose};

/// Prose that says what code can check, by words that have to be in it.
const CHECKABLE: [(&[&str], &str); 4] = [
    (&["no deployment", "in progress"], "no_deployment_in_progress"),
    (&["business hours"], "business_hours"),
    (&["change freeze"], "no_change_freeze"),
    (&["within the last hour"], "no_action_in_last_hour"),
];

/// Prose that names an action of ours at its beginning.
const NAMED: [(&str, ActionKind); 4] = [
    ("restart", ActionKind::RestartService),
    ("roll back", ActionKind::RollbackDeployment),
    ("rollback", ActionKind::RollbackDeployment),
    ("scale", ActionKind::ScaleService),
];

pub(super) fn lint(contract: &RunbookContract, text: &str, catalog: Option<&Catalog>, found: &mut Found<'_>) {
    if let Some(action) = contract.action {
        of_action(contract, action, text, found);
    } else if contract.signatures.is_empty() {
        let remedy = "add `signatures = [\"…\"]`: words that are in the error messages";
        found.warn(1, "no signature: it is matched to no error", remedy);
    }
    if contract.escalate_to.is_none() {
        let remedy = "add `escalate_to = \"team\"`: who is called when it does not help";
        found.warn(1, "no escalation: nobody is named to call", remedy);
    }
    for precondition in &contract.preconditions {
        let (line, lower) = (line_with(text, precondition), precondition.to_lowercase());
        let checkable = CHECKABLE.iter().find(|(words, _)| words.iter().all(|word| lower.contains(word)));
        if let Some((_, typed)) = checkable.filter(|_| contract.action.is_some()) {
            let remedy = format!("write `requires = [\"{typed}\"]` instead: then it is checked by code");
            found.warn(line, format!("code does not read the precondition `{precondition}`"), &remedy);
        } else if let Some(word) = prose::vague(&lower) {
            let remedy = "say what to look at, and what has to be seen there";
            found.error(line, format!("a precondition that nobody can check: it says `{word}`"), remedy);
        }
    }
    for never in &contract.never {
        let lower = never.trim().to_lowercase();
        let named = NAMED.iter().find(|(word, _)| lower.starts_with(word)).map(|(_, kind)| *kind);
        if let Some(kind) = named.filter(|kind| !contract.never_actions.contains(kind)) {
            let remedy = format!("add `never_actions = [\"{kind}\"]`: then it is kept by code");
            found.warn(line_with(text, never), format!("code does not read `never`: `{never}`"), &remedy);
        }
    }
    for service in &contract.services {
        if catalog.is_some_and(|catalog| catalog.get(service).is_none()) {
            let remedy = "correct the name, or add the service to the catalog";
            let line = line_with(text, service.as_str());
            found.error(line, format!("the catalog has no service `{service}`"), remedy);
        }
    }
}

fn of_action(contract: &RunbookContract, action: ActionKind, text: &str, found: &mut Found<'_>) {
    let line = line_of(text, "action");
    if contract.signatures.is_empty() {
        let remedy = "add `signatures = [\"…\"]`: words that are in the error messages";
        found.error(line, format!("`{action}` for no signature: it is matched to no error"), remedy);
    }
    if !heads(text).any(|(_, head)| head == "[verify]" || head.starts_with("verify")) {
        let remedy = "add `[verify]` with `stability_window_s`, and a metric where the alarm is not enough";
        found.error(line, format!("nothing says how it is verified that `{action}` helped"), remedy);
    }
    if contract.cause.is_none() {
        let remedy = "add `cause`, such as `cause = \"deployment\"`";
        found.warn(line, format!("`{action}` without the cause that it treats"), remedy);
    }
    let bounds = contract.bounds;
    if action == ActionKind::ScaleService
        && bounds.max_scale_step.is_none()
        && bounds.max_desired_count.is_none()
    {
        let remedy = "add `[bounds]` with `max_scale_step` or `max_desired_count`";
        found.error(line, "nothing bounds how far it is scaled", remedy);
    } else if bounds.is_empty() {
        let remedy = "add `[bounds]`, such as `max_actions_per_hour = 1`";
        found.warn(line, format!("nothing bounds `{action}`"), remedy);
    }
}

/// The lines of the front matter with their numbers.
fn heads(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(str::trim).enumerate().skip(1).map(|(n, line)| (n + 1, line));
    lines.take_while(|(_, line)| *line != "+++")
}

/// The line of a field of the front matter.
pub(super) fn line_of(text: &str, field: &str) -> usize {
    let is = |line: &str| line.strip_prefix(field).is_some_and(|rest| rest.trim_start().starts_with('='));
    heads(text).find(|(_, line)| is(line)).map_or(1, |(n, _)| n)
}

fn line_with(text: &str, part: &str) -> usize {
    heads(text).find(|(_, line)| line.contains(part)).map_or(1, |(n, _)| n)
}
