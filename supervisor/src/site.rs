//! What an incident is handled with: given once, the same for the demo, `eval` and `triage`, which
//! differ only in what they put here.

use std::sync::Arc;

use midwatch_agents::{
    budget::{Ceilings, Spend},
    gate::Gates,
    model::{Guardrail, Model},
    prices::Prices,
    specialist::{ModelTier, PromptError, Specialist},
};
use midwatch_policy::{Catalog, Clock};

use crate::{
    approve::Channel,
    desk::Desk,
    intake::Opened,
    journal::Journal,
    ledger::Ledger,
    memory::Memory,
    models::{Bounds, Models},
    tools::Toolbox,
};

/// The models and who speaks with them.
#[derive(Debug, Clone)]
pub struct Minds {
    /// Cheap and quick: routing.
    pub small: Arc<dyn Model>,
    /// Able: investigating.
    pub large: Arc<dyn Model>,
    /// Prices of both.
    pub prices: Arc<Prices>,
    /// Who keeps the sums and the ceilings.
    pub ledger: Ledger,
    /// What stands before each paid model, and outlives a reload.
    pub gates: Arc<Gates>,
    /// What they and the ledger are set to once these minds are the ones that work.
    pub bounds: Bounds,
    /// The provider's guardrail.
    pub guardrail: Option<Guardrail>,
    /// The router.
    pub router: Specialist,
    /// Those that look closer, side by side.
    pub analysts: Vec<Specialist>,
    /// Who proposes.
    pub remediator: Specialist,
}

/// Those that look closer, side by side; third-party servers are lent to them. Not each of them is called to each
/// incident: [`crate::investigate::analysts`].
pub fn analysts() -> Result<Vec<Specialist>, PromptError> {
    Ok(vec![
        Specialist::log_analyst()?,
        Specialist::deploy_correlator()?,
        Specialist::workflow_analyst()?,
        Specialist::metrics_analyst()?,
    ])
}

impl Minds {
    /// The usual specialists on these models.
    pub fn new(
        small: Arc<dyn Model>,
        large: Arc<dyn Model>,
        prices: Arc<Prices>,
    ) -> Result<Self, PromptError> {
        Ok(Self {
            small,
            large,
            prices,
            ledger: Ledger::in_memory(Ceilings::default()),
            gates: Arc::default(),
            bounds: Bounds::default(),
            guardrail: None,
            router: Specialist::router()?,
            analysts: analysts()?,
            remediator: Specialist::remediator()?,
        })
    }

    /// The usual specialists on models as they are configured, with this ledger and these gates.
    pub fn on(models: Models, ledger: Ledger, gates: Arc<Gates>) -> Result<Self, PromptError> {
        let Models { small, large, prices, bounds } = models;
        Ok(Self { ledger, gates, bounds, ..Self::new(small, large, Arc::new(prices))? })
    }

    /// These are the minds that work from now on. Nothing can fail any more: the ceilings are last.
    pub fn take_effect(&self) {
        self.gates.take(&self.bounds.gates);
        self.ledger.set_ceilings(self.bounds.ceilings);
    }

    /// The purse of an incident.
    pub fn purse(&self, opened: &Opened) -> Spend {
        let service = opened.service.as_ref().map(|service| service.name.as_str());
        self.ledger.purse(Arc::clone(&self.prices), opened.id.as_str(), service)
    }

    /// The model that a specialist runs on.
    pub fn model_of(&self, specialist: &Specialist) -> &Arc<dyn Model> {
        match specialist.tier {
            ModelTier::Small => &self.small,
            ModelTier::Large => &self.large,
        }
    }
}

/// Who can act, and who is asked. Absent: nothing is ever done.
#[derive(Debug, Clone)]
pub struct Hands {
    /// Where requests lie and permits are signed.
    pub desk: Arc<dyn Desk>,
    /// How people hear of a request.
    pub channel: Arc<dyn Channel>,
}

/// Everything that an incident is handled with.
#[derive(Debug, Clone)]
pub struct Site {
    /// The services.
    pub catalog: Arc<Catalog>,
    /// The incident's clock.
    pub clock: Arc<dyn Clock>,
    /// The wall's clock.
    pub wall: Arc<dyn Clock>,
    /// The tools.
    pub tools: Arc<Toolbox>,
    /// Who thinks.
    pub minds: Arc<Minds>,
    /// Who acts.
    pub hands: Option<Hands>,
    /// Where it is written down.
    pub journal: Arc<dyn Journal>,
    /// What helped before.
    pub memory: Memory,
}
