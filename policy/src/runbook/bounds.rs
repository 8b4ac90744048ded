//! How far a runbook lets its action go, and what it wants to be true before: checked by code.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    action::{Action, Plan, Risk},
    rules::Attested,
    terms::ExpectedState,
};

/// Bounds of an action. What is absent is not bounded here; policy and catalog bound it as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Bounds {
    /// Most tasks that the action replaces or stops.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tasks_affected: Option<u32>,
    /// Most tasks that it replaces or stops, in percent of those that run: 1 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_tasks_affected_percent: Option<u8>,
    /// Most services that depend on the one that is changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_dependents: Option<u32>,
    /// Highest risk that the plan may have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_risk: Option<Risk>,
    /// Most actions on the service within an hour, this one included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_actions_per_hour: Option<u32>,
    /// Most tasks that scaling adds or takes away at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_scale_step: Option<u32>,
    /// Fewest tasks that scaling may leave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_desired_count: Option<u32>,
    /// Most tasks that scaling may ask for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_desired_count: Option<u32>,
}

impl Bounds {
    /// Whether nothing is bounded.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Every bound, in words.
    pub(super) fn in_words(&self) -> Vec<String> {
        let mut all: Vec<String> = [
            (self.max_tasks_affected, "at most", "tasks affected"),
            (self.max_tasks_affected_percent.map(u32::from), "at most", "percent of the tasks affected"),
            (self.max_dependents, "at most", "services that depend on it"),
            (self.max_actions_per_hour, "at most", "actions within the hour"),
            (self.max_scale_step, "at most", "tasks more or fewer at once"),
            (self.min_desired_count, "at least", "tasks wanted"),
            (self.max_desired_count, "at most", "tasks wanted"),
        ]
        .into_iter()
        .filter_map(|(bound, how, what)| Some(format!("{how} {} {what}", bound?)))
        .collect();
        all.extend(self.max_risk.map(|risk| format!("a risk of at most {}", word(risk))));
        all
    }

    /// Every bound that the plan exceeds, in words.
    pub(super) fn exceeded(&self, plan: &Plan, facts: &Attested) -> Vec<String> {
        // Both were read by the server; where they differ, the worse one counts.
        let affected = facts.tasks_affected.max(plan.blast_radius.tasks_affected);
        let running = facts.tasks_running.min(plan.blast_radius.tasks_running);
        let mut all = Vec::new();
        let mut most = |what: &str, found: u64, bound: Option<u64>| {
            if let Some(bound) = bound.filter(|bound| found > *bound) {
                all.push(format!("{found} {what}, at most {bound}"));
            }
        };
        most("tasks affected", affected.into(), self.max_tasks_affected.map(u64::from));
        let percent = match (affected, running) {
            (0, _) => 0,
            (_, 0) => 100,
            (affected, running) => (u64::from(affected) * 100).div_ceil(u64::from(running)),
        };
        most("percent of the tasks affected", percent, self.max_tasks_affected_percent.map(u64::from));
        let dependents = u64::try_from(plan.blast_radius.dependents.len()).unwrap_or(u64::MAX);
        most("services depend on it", dependents, self.max_dependents.map(u64::from));
        let actions = u64::from(facts.actions_last_hour) + 1;
        most("actions within the hour", actions, self.max_actions_per_hour.map(u64::from));
        if let Some(bound) = self.max_risk.filter(|bound| plan.risk > *bound) {
            all.push(format!("the risk is {}, at most {}", word(plan.risk), word(bound)));
        }
        if let Action::ScaleService { desired_count: wanted, .. } = plan.action {
            self.scaling(wanted, &plan.terms.expected, &mut all);
        }
        all
    }

    fn scaling(&self, wanted: u32, expected: &ExpectedState, all: &mut Vec<String>) {
        if let Some(bound) = self.min_desired_count.filter(|bound| wanted < *bound) {
            all.push(format!("{wanted} tasks wanted, at least {bound}"));
        }
        if let Some(bound) = self.max_desired_count.filter(|bound| wanted > *bound) {
            all.push(format!("{wanted} tasks wanted, at most {bound}"));
        }
        let Some(bound) = self.max_scale_step else { return };
        match expected {
            ExpectedState::EcsDesiredCount { desired_count: now, .. } => {
                let step = wanted.abs_diff(*now);
                if step > bound {
                    all.push(format!("a step of {step} tasks from {now} to {wanted}, at most {bound}"));
                }
            }
            _ => all.push("how many tasks there are now is not known".to_owned()),
        }
    }
}

const fn word(risk: Risk) -> &'static str {
    match risk {
        Risk::Low => "low",
        Risk::Medium => "medium",
        Risk::High => "high",
    }
}

/// Something that has to be true before an action, and that code can read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Precondition {
    /// No deployment of the service is in progress.
    NoDeploymentInProgress,
    /// A deployment of the service is in progress, as for stopping one.
    DeploymentInProgress,
    /// It is business hours for the owners.
    BusinessHours,
    /// It is outside business hours.
    OutsideBusinessHours,
    /// No change freeze is on.
    NoChangeFreeze,
    /// Nothing was done to the service within the last hour.
    NoActionInLastHour,
    /// At least two tasks run, so that one is left while another is replaced.
    SeveralTasksRunning,
    /// The action can be undone by another one of ours.
    Reversible,
}

impl Precondition {
    /// Whether it is so.
    pub fn holds(self, plan: &Plan, facts: &Attested) -> bool {
        match self {
            Self::NoDeploymentInProgress => facts.deployments_in_progress == 0,
            Self::DeploymentInProgress => facts.deployments_in_progress > 0,
            Self::BusinessHours => facts.business_hours,
            Self::OutsideBusinessHours => !facts.business_hours,
            Self::NoChangeFreeze => !facts.change_freeze,
            Self::NoActionInLastHour => facts.actions_last_hour == 0,
            Self::SeveralTasksRunning => facts.tasks_running.min(plan.blast_radius.tasks_running) >= 2,
            Self::Reversible => plan.inverse.action.is_some(),
        }
    }
}

impl fmt::Display for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoDeploymentInProgress => "no deployment is in progress",
            Self::DeploymentInProgress => "a deployment is in progress",
            Self::BusinessHours => "it is business hours for the owners",
            Self::OutsideBusinessHours => "it is outside business hours",
            Self::NoChangeFreeze => "no change freeze is on",
            Self::NoActionInLastHour => "nothing was done to the service within the last hour",
            Self::SeveralTasksRunning => "at least two tasks run",
            Self::Reversible => "another action can undo it",
        })
    }
}
