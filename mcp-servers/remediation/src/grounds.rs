//! What an act is judged by besides the permit: keys, policy, runbook contracts and the facts that
//! this server reads itself. Everything is read again each time.

use std::{path::PathBuf, sync::Arc};

use jiff::Timestamp;
use midwatch_policy::{Attested, PublicKeys, Rules, Service};

use crate::{plan::Planned, spend::SpendStore, standing::Standing};

/// Where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Grounds {
    /// Keys whose permits are accepted.
    pub(crate) keys: Standing<PublicKeys>,
    /// The policy; without one nothing is allowed.
    pub(crate) rules: Option<Standing<Rules>>,
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
        let actions_last_hour = spend.acted(Some(&service.name), now).map_err(|error| error.to_string())?;
        Ok(Attested {
            // A file that cannot be looked for counts as there.
            change_freeze: self.change_freeze.as_ref().is_some_and(|file| file.try_exists().unwrap_or(true)),
            business_hours: false,
            deployments_in_progress: planned.deployments_in_progress,
            tasks_running: planned.plan.blast_radius.tasks_running,
            tasks_affected: planned.plan.blast_radius.tasks_affected,
            actions_last_hour,
        })
    }
}
