//! Whether what a contract says makes sense together.

use toml::de::{DeTable, DeValue};

use super::{Precondition, RunbookContract};
use crate::{
    action::ActionKind,
    problem::{Problem, line_at},
    rules,
};

/// Recovery that has to hold for longer than a day is not watched for by anybody.
const LONGEST_WINDOW_S: u32 = 24 * 3600;

/// Everything that is wrong, by line. `head` is the front matter, from the end of its first line.
pub(super) fn check(contract: &RunbookContract, head: &str) -> Vec<Problem> {
    let mut all = Found { head, problems: Vec::new() };
    all.names(contract);
    all.verification(contract);
    all.conditions(contract);
    all.bounds(contract);
    all.problems.sort_by_key(|problem| problem.line);
    all.problems
}

struct Found<'t> {
    head: &'t str,
    problems: Vec<Problem>,
}

impl Found<'_> {
    /// `place` is a field, or a table and a field with a dot between.
    fn add(&mut self, place: &str, message: impl Into<String>, remedy: &str) {
        let line = line_of(self.head, place).unwrap_or(1);
        self.problems.push(Problem::new(Some(line), message, remedy));
    }

    fn names(&mut self, contract: &RunbookContract) {
        if !rules::is_name(&contract.id) {
            let remedy = "use letters, digits, `-`, `_` and `.`, at most 64 of them";
            self.add("id", format!("the id `{}` is no plain name", contract.id), remedy);
        }
        if contract.title.trim().is_empty() {
            self.add("title", "the title is empty", "say in a few words what is wrong when this is read");
        }
        if contract.signatures.iter().any(|text| text.trim().is_empty()) {
            self.add("signatures", "a signature is empty", "it would match every error: remove it");
        }
        if !rules::is_role(&contract.approvers) {
            let remedy = "name one role as the desk knows it, such as `oncall`: a-z, 0-9, `-` and `_`";
            self.add("approvers", format!("`{}` is no role", contract.approvers), remedy);
        }
        if contract.escalate_to.as_ref().is_some_and(|whom| whom.trim().is_empty()) {
            self.add("escalate_to", "`escalate_to` is empty", "name a team, or leave it out");
        }
    }

    fn verification(&mut self, contract: &RunbookContract) {
        let verify = &contract.verify;
        let window = verify.stability_window_s;
        match (&verify.metric, verify.threshold) {
            (None, Some(_)) => self.add(
                "verify.threshold",
                "there is a threshold without a metric",
                "name what is measured in `[verify.metric]`, or remove the threshold",
            ),
            (Some(_), None) => self.add(
                "verify.metric",
                "there is a metric without a threshold",
                "say how high it may be: `threshold = 5.0`",
            ),
            (_, Some(number)) if !number.is_finite() => {
                self.add("verify.threshold", "the threshold is no number", "write a number such as `5.0`");
            }
            _ => {}
        }
        if window > LONGEST_WINDOW_S {
            let message = format!("recovery has to hold for {window} seconds, which is more than a day");
            self.add("verify.stability_window_s", message, "use seconds, such as 300");
        }
        let Some(action) = contract.action else { return };
        if window == 0 {
            self.add(
                "verify.stability_window_s",
                format!("`{action}` is verified for no time at all"),
                "say for how many seconds recovery has to hold, such as 300",
            );
        }
        if !verify.alarm && verify.metric.is_none() {
            self.add(
                "verify.alarm",
                format!("nothing verifies whether `{action}` helped"),
                "let the alarm verify it (`alarm = true`), or a metric with a threshold",
            );
        }
    }

    fn conditions(&mut self, contract: &RunbookContract) {
        let has = |wanted: Precondition| contract.requires.contains(&wanted);
        for (one, other, what) in [
            (Precondition::NoDeploymentInProgress, Precondition::DeploymentInProgress, "a deployment"),
            (Precondition::BusinessHours, Precondition::OutsideBusinessHours, "business hours"),
        ] {
            if has(one) && has(other) {
                self.add("requires", format!("{what} cannot be and not be at once"), "remove one of the two");
            }
        }
        if has(Precondition::DeploymentInProgress) && !contract.safe_during_deployment {
            self.add(
                "requires",
                "it requires a deployment in progress and is not safe during one",
                "add `safe_during_deployment = true`",
            );
        }
        if has(Precondition::NoDeploymentInProgress) && contract.safe_during_deployment {
            self.add(
                "requires",
                "it is safe during a deployment and requires that there is none",
                "drop one of the two",
            );
        }
        if let Some(action) = contract.action.filter(|action| contract.never_actions.contains(action)) {
            self.add("never_actions", format!("`{action}` is allowed and never done"), "drop one of the two");
        }
        if contract.action.is_none() && !contract.requires.is_empty() {
            let remedy = "name the `action`, or write it for people as `preconditions`";
            self.add("requires", "something is required, but there is no action", remedy);
        }
    }

    fn bounds(&mut self, contract: &RunbookContract) {
        let bounds = &contract.bounds;
        if bounds.is_empty() {
            return;
        }
        let Some(action) = contract.action else {
            self.add("bounds", "there are bounds, but no action", "name the `action`, or remove `[bounds]`");
            return;
        };
        let zero = "an action within this bound could never be: leave the bound out, or the action";
        for (name, empty) in [
            ("max_tasks_affected", bounds.max_tasks_affected == Some(0)),
            ("max_tasks_affected_percent", bounds.max_tasks_affected_percent == Some(0)),
            ("max_actions_per_hour", bounds.max_actions_per_hour == Some(0)),
            ("max_scale_step", bounds.max_scale_step == Some(0)),
            ("max_desired_count", bounds.max_desired_count == Some(0)),
        ] {
            // Scaling stops no task when it adds some.
            if empty && !(name.starts_with("max_tasks") && action == ActionKind::ScaleService) {
                self.add(&format!("bounds.{name}"), format!("`{name}` is 0"), zero);
            }
        }
        if bounds.max_tasks_affected_percent.is_some_and(|percent| percent > 100) {
            let remedy = "write a number from 1 to 100";
            self.add("bounds.max_tasks_affected_percent", "there is no more than 100 percent", remedy);
        }
        if let (Some(min), Some(max)) = (bounds.min_desired_count, bounds.max_desired_count)
            && min > max
        {
            let message = format!("at least {min} tasks and at most {max} cannot be");
            self.add("bounds.min_desired_count", message, "let the minimum be the smaller one");
        }
        if action != ActionKind::ScaleService {
            for (name, set) in [
                ("max_scale_step", bounds.max_scale_step.is_some()),
                ("min_desired_count", bounds.min_desired_count.is_some()),
                ("max_desired_count", bounds.max_desired_count.is_some()),
            ] {
                if set {
                    let remedy = "remove it, or let the action be `scale_service`";
                    self.add(
                        &format!("bounds.{name}"),
                        format!("`{name}` bounds nothing of `{action}`"),
                        remedy,
                    );
                }
            }
        }
    }
}

/// The line of a field; of its table where the field is not there.
fn line_of(head: &str, place: &str) -> Option<usize> {
    let file = DeTable::parse(head).ok()?.into_inner();
    let (first, second) =
        place.split_once('.').map_or((place, None), |(first, second)| (first, Some(second)));
    let (key, value) = file.iter().find(|(key, _)| key.get_ref() == first)?;
    let within = second.and_then(|second| match value.get_ref() {
        DeValue::Table(table) => table.iter().find(|(key, _)| key.get_ref() == second),
        _ => None,
    });
    let offset = within.map_or(key, |(key, _)| key).span().start;
    Some(line_at(head, offset))
}
