//! What the contracts of runbooks say about an action, as far as it can be said without the live
//! state: the plan here is made up from the facts that were given.

use midwatch_mcp::{Contract, Contracts};
use midwatch_policy::{
    Action, Attested, AwsName, BlastRadius, Catalog, EndState, ExpectedState, Inverse, Place, Plan, Risk,
    Scope, ServiceName, Terms, Words,
};
use serde::Serialize;
use serde_json::Value;

/// What one runbook says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Runbook {
    /// Its id.
    pub(super) id: String,
    /// Its file.
    pub(super) file: String,
    /// It says that this is never done automatically, whichever runbook is followed.
    pub(super) never: bool,
    /// It is for this service and allows this action.
    pub(super) allows: bool,
    /// It holds whether it is followed or not.
    pub(super) binds: bool,
    /// What it has against it, where it holds.
    pub(super) objections: Vec<String>,
    /// Whom it asks, besides those whom policy asks.
    pub(super) asks: String,
    /// How far the action may go.
    pub(super) bounded: Vec<String>,
    /// What code checks before.
    pub(super) requires: Vec<String>,
    /// What a person checks before.
    pub(super) preconditions: Vec<String>,
    /// What only the plan says.
    pub(super) unknown: Vec<String>,
}

/// Every runbook that has something to say about the action: that allows it, or forbids it.
pub(super) fn about(all: &Contracts, action: &Action, facts: Attested, catalog: &Catalog) -> Vec<Runbook> {
    let Some(plan) = supposed(action, facts, catalog) else { return Vec::new() };
    all.iter().filter_map(|known| of(known, &plan, facts)).collect()
}

fn of(known: &Contract, plan: &Plan, facts: Attested) -> Option<Runbook> {
    let contract = &known.contract;
    let (kind, service) = (plan.action.kind(), plan.action.service());
    let scope = contract.scope(&plan.action, &Words::none());
    let never = scope == Some(Scope::Forbids);
    let allows = contract.action == Some(kind) && contract.is_for(service);
    let binds = scope == Some(Scope::Binds);
    if !never && !allows {
        return None;
    }
    let bounds = serde_json::to_value(contract.bounds).unwrap_or_default();
    let words = |value: &Value| value.to_string().replace('"', "");
    let bounded = bounds.as_object().into_iter().flatten();
    let bounded =
        bounded.map(|(name, value)| format!("{}: {}", name.replace('_', " "), words(value))).collect();
    let unknown = contract.bounds.max_risk.map(|_| "the risk, which the plan says".to_owned());
    Some(Runbook {
        id: contract.id.clone(),
        file: known.file.clone(),
        never,
        allows,
        binds,
        objections: if allows { contract.objections(plan, &facts) } else { Vec::new() },
        asks: contract.ask().to_string(),
        bounded,
        requires: contract.requires.iter().map(ToString::to_string).collect(),
        preconditions: contract.preconditions.clone(),
        unknown: unknown.into_iter().collect(),
    })
}

/// The plan that the facts would come to. Its risk is not known, so no bound on it is held against it.
fn supposed(action: &Action, facts: Attested, catalog: &Catalog) -> Option<Plan> {
    let service = action.service();
    let name = |text: &str| AwsName::parse(text).ok();
    let wanted = |desired_count| Action::ScaleService { service: service.clone(), desired_count };
    let inverse = match action {
        Action::ScaleService { .. } => Some(wanted(facts.tasks_running)),
        Action::RestartService { .. } | Action::RollbackDeployment { .. } => None,
    };
    let dependents: Vec<ServiceName> =
        catalog.dependents(service).into_iter().map(|dependent| dependent.name.clone()).collect();
    Some(Plan {
        action: action.clone(),
        steps: Vec::new(),
        terms: Terms {
            place: Place::of(catalog.get(service)?, None),
            expected: ExpectedState::EcsDesiredCount {
                cluster: name("supposed")?,
                ecs_service: name("supposed")?,
                desired_count: facts.tasks_running,
            },
            result: EndState::DesiredCount { desired_count: facts.tasks_running },
        },
        blast_radius: BlastRadius {
            tasks_affected: facts.tasks_affected,
            tasks_running: facts.tasks_running,
            dependents,
            summary: String::new(),
        },
        risk: Risk::Low,
        inverse: Inverse { summary: String::new(), action: inverse },
        warnings: Vec::new(),
    })
}
