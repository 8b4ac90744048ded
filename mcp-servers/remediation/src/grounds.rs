//! What an act is judged by besides the permit: catalog, keys, policy, calendar, runbook contracts and the
//! facts that this server reads itself. Everything is read again each time.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use jiff::Timestamp;
use midwatch_mcp::{Contract, Contracts, Standing};
use midwatch_policy::{
    Attested, Calendar, Catalog, Claims, Plan, PublicKeys, Rules, Scope, Service, Words, unmet,
};

use crate::{plan::Planned, spend::SpendStore};

/// Where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Grounds {
    /// The service catalog.
    pub(crate) catalog: Standing<Catalog>,
    /// Keys whose permits are accepted.
    pub(crate) keys: Standing<PublicKeys>,
    /// The policy; without one nothing is allowed.
    pub(crate) rules: Option<Standing<Rules>>,
    /// Change freezes and business hours; without one there are none.
    pub(crate) calendar: Option<Standing<Calendar>>,
    /// The runbooks' contracts; without them no permit that cites one is good.
    pub(crate) runbooks: Option<Standing<Contracts>>,
    /// A file whose existence says that a change freeze is on.
    pub(crate) change_freeze: Option<PathBuf>,
}

impl Grounds {
    pub(crate) fn catalog(&self) -> Result<Arc<Catalog>, String> {
        self.catalog.now().map_err(|why| format!("the catalog cannot be used, so nothing is allowed: {why}"))
    }

    pub(crate) fn keys(&self) -> Result<Arc<PublicKeys>, String> {
        self.keys.now()
    }

    pub(crate) fn rules(&self) -> Result<Arc<Rules>, String> {
        let rules = self.rules.as_ref().ok_or("no policy is loaded, so nothing is allowed")?;
        rules.now().map_err(|why| format!("the policy cannot be used, so nothing is allowed: {why}"))
    }

    /// What policy is asked with, as it is now. A source that cannot be read is an error: what is
    /// not known is not taken for calm.
    pub(crate) fn facts(
        &self,
        spend: &SpendStore,
        service: &Service,
        planned: &Planned,
        now: Timestamp,
    ) -> Result<Attested, String> {
        let calendar = self.calendar.as_ref().map(Standing::now).transpose();
        let calendar = calendar.map_err(|why| format!("the calendar cannot be used: {why}"))?;
        let actions_last_hour = spend.acted(Some(&service.name), now).map_err(|error| error.to_string())?;
        // A file that cannot be looked for counts as there.
        let file = self.change_freeze.as_ref().is_some_and(|file| file.try_exists().unwrap_or(true));
        Ok(Attested {
            change_freeze: file || calendar.as_ref().is_some_and(|all| all.freeze(now, service).is_some()),
            business_hours: calendar.as_ref().is_some_and(|all| all.business_hours(now, service)),
            deployments_in_progress: planned.deployments_in_progress,
            tasks_running: planned.plan.blast_radius.tasks_running,
            tasks_affected: planned.plan.blast_radius.tasks_affected,
            actions_last_hour,
        })
    }

    /// No runbook may forbid this; those that the permit was given under must be the very ones that are
    /// here; and each that holds, in the permit or not, must have nothing against it and find its approver
    /// among those who approved.
    ///
    /// What the asker said of the errors is not known here: which contracts it brought to bear the permit
    /// says, and the desk, which decides that, signs it.
    pub(crate) fn contract(&self, claims: &Claims, plan: &Plan, facts: &Attested) -> Result<(), String> {
        let runbooks = self.runbooks.as_ref().map(Standing::now).transpose()?;
        let mut holding: BTreeMap<&str, &Contract> = BTreeMap::new();
        for known in runbooks.iter().flat_map(|all| all.iter()) {
            match known.contract.scope(&plan.action, &Words::none()) {
                Some(Scope::Forbids) => return Err(never(known, plan)),
                Some(Scope::Binds) => drop(holding.insert(&known.contract.id, known)),
                Some(Scope::Beside) | None => {}
            }
        }
        for signed in claims.runbook.iter().chain(&claims.held_to) {
            let known = runbooks.as_ref().and_then(|all| all.get(&signed.id));
            let known = known.ok_or_else(|| {
                format!(
                    "the permit was given for the runbook `{}`, which this server does not have (--runbooks)",
                    signed.id
                )
            })?;
            if known.digest != signed.digest {
                return Err(format!(
                    "the runbook `{}` (`{}`) was changed since it was approved",
                    signed.id, known.file
                ));
            }
            holding.insert(&known.contract.id, known);
        }
        holding.values().try_for_each(|known| met(known, claims, plan, facts))
    }
}

fn never(known: &Contract, plan: &Plan) -> String {
    let (kind, service) = (plan.action.kind(), plan.action.service());
    format!(
        "the runbook `{}` says that `{kind}` of `{service}` is never done automatically",
        known.contract.id
    )
}

/// Whether a contract that holds is met.
fn met(known: &Contract, claims: &Claims, plan: &Plan, facts: &Attested) -> Result<(), String> {
    let objections = known.contract.objections(plan, facts);
    if !objections.is_empty() {
        return Err(objections.join("; "));
    }
    let missing = unmet(&[known.contract.ask()], &claims.approvers);
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
    Err(format!("the runbook `{}` also wants the approval of {}", known.contract.id, missing.join(", ")))
}
