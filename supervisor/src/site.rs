//! What an incident is handled with: given once, the same for the demo, `eval` and `triage`, which
//! differ only in what they put here.

use std::sync::Arc;

use midwatch_agents::{
    model::{Guardrail, Model},
    prices::Prices,
    specialist::{ModelTier, PromptError, Specialist},
};
use midwatch_policy::{Catalog, Clock};

use crate::{approve::Channel, desk::Desk, journal::Journal, memory::Memory, tools::Toolbox};

/// Ceiling of one incident's spend unless said otherwise: fifty cents.
pub const CEILING_MICRO_USD: u64 = 500_000;

/// The models and who speaks with them.
#[derive(Debug, Clone)]
pub struct Minds {
    /// Cheap and quick: routing.
    pub small: Arc<dyn Model>,
    /// Able: investigating.
    pub large: Arc<dyn Model>,
    /// Prices of both.
    pub prices: Arc<Prices>,
    /// Most that one incident may cost.
    pub ceiling_micro_usd: u64,
    /// The provider's guardrail.
    pub guardrail: Option<Guardrail>,
    /// The router.
    pub router: Specialist,
    /// Those that look closer, side by side.
    pub analysts: Vec<Specialist>,
    /// Who proposes.
    pub remediator: Specialist,
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
            ceiling_micro_usd: CEILING_MICRO_USD,
            guardrail: None,
            router: Specialist::router()?,
            analysts: vec![Specialist::log_analyst()?, Specialist::deploy_correlator()?],
            remediator: Specialist::remediator()?,
        })
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
