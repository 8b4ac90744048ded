//! What an act is judged by besides the permit: keys, policy, calendar, runbook contracts and the
//! facts that this server reads itself. Everything is read again each time.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use midwatch_mcp::{Contracts, Standing};
use midwatch_policy::{Attested, Calendar, Claims, Plan, PublicKeys, Rules, RunbookContract, Service, unmet};

use crate::{plan::Planned, spend::SpendStore};

/// Where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Grounds {
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

    /// The runbook that the permit cites must be the very one that is here, have nothing against
    /// this, and its approver must be among those who approved; and no runbook at all may forbid it.
    pub(crate) fn contract(&self, claims: &Claims, plan: &Plan, facts: &Attested) -> Result<(), String> {
        let runbooks = self.runbooks.as_ref().map(Standing::now).transpose()?;
        let all = runbooks.as_ref().map(|all| all.iter().map(|known| &known.contract));
        if let Some(first) = RunbookContract::forbidding(all.into_iter().flatten(), &plan.action).first() {
            return Err(format!(
                "the runbook `{}` says that `{}` of `{}` is never done automatically",
                first.id,
                plan.action.kind(),
                plan.action.service()
            ));
        }
        let Some(cited) = &claims.runbook else { return Ok(()) };
        let id = &cited.id;
        let known = runbooks.as_ref().and_then(|all| all.get(id)).ok_or_else(|| {
            format!(
                "the permit was given for the runbook `{id}`, which this server does not have (--runbooks)"
            )
        })?;
        if known.digest != cited.digest {
            return Err(format!("the runbook `{id}` (`{}`) was changed since it was approved", known.file));
        }
        let objections = known.contract.objections(plan, facts);
        if !objections.is_empty() {
            return Err(objections.join("; "));
        }
        let missing: Vec<String> =
            unmet(&[known.contract.ask()], &claims.approvers).iter().map(ToString::to_string).collect();
        if missing.is_empty() {
            Ok(())
        } else {
            Err(format!("the runbook `{id}` also wants the approval of {}", missing.join(", ")))
        }
    }
}
