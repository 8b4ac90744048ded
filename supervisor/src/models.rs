//! Which models are asked, in which order, and what may be spent on them: the `[money]` part of a
//! configuration, and what is built from it.

mod choice;
mod read;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroU32,
    path::{Path, PathBuf},
    sync::Arc,
};

use aws_config::{Region, SdkConfig};
use midwatch_agents::{
    bedrock::BedrockModel,
    breaker::BreakerSettings,
    budget::Ceilings,
    chain::Chain,
    gate::{Gates, Limits, Orders, Wanted},
    model::Model,
    openai::{ApiKey, Calling, OpenAiConfig, OpenAiError, OpenAiModel, PlainHttp},
    playbook::PlaybookModel,
    prices::{Price, Prices},
    switch::ModelSwitch,
};

pub use choice::ModelChoice;

/// Money and models, as they are configured. Everything has a default but the chains.
#[derive(Debug, Clone, Default)]
pub struct MoneyConfig {
    /// What may be spent at most.
    pub ceilings: Ceilings,
    /// When a circuit breaker opens; each provider, region and model has one.
    pub breaker: BreakerSettings,
    /// What an account allows of a model, unless the model says otherwise.
    pub limits: Limits,
    /// While this file exists no model is asked. Read at the start only.
    pub switch_file: Option<PathBuf>,
    /// What people order of breakers by hand: `midwatch models`. Read at the start only.
    pub orders_file: Option<PathBuf>,
    /// Who routes: the first that can answer.
    pub small: Vec<Rung>,
    /// Who investigates: the first that can answer.
    pub large: Vec<Rung>,
}

/// One model of a chain. After the last one come the rules of the playbook.
#[derive(Debug, Clone)]
pub enum Rung {
    /// Amazon Bedrock.
    Bedrock {
        /// Model id, inference profile or its ARN.
        model: String,
        /// The region; absent: that of the credentials, and its name begins with `bedrock`.
        region: Option<String>,
        /// What the account allows of it there.
        limits: Option<Limits>,
        /// What it costs, if the price file does not say.
        price: Option<Price>,
    },
    /// An endpoint that speaks OpenAI's chat completions.
    OpenAi {
        /// The model's name there.
        model: String,
        /// Up to and with the version, such as `https://api.openai.com/v1`.
        base_url: String,
        /// The environment variable that holds the key.
        key_env: Option<String>,
        /// The file that holds the key.
        key_file: Option<PathBuf>,
        /// How tool calls are asked for.
        calling: Calling,
        /// Whether plain HTTP may leave this machine.
        plain_http: PlainHttp,
        /// What the endpoint allows.
        limits: Option<Limits>,
        /// What it costs, if the price file does not say.
        price: Option<Price>,
    },
}

impl Rung {
    /// What its gate is called: known from the configuration alone, so that an order by hand needs
    /// neither the daemon's keys nor its environment.
    pub fn name(&self) -> String {
        let (place, model) = match self {
            Self::Bedrock { region, model, .. } => (region.as_deref().unwrap_or("bedrock"), model),
            Self::OpenAi { base_url, model, .. } => (base_url.as_str(), model),
        };
        format!("{place} {model}")
    }
}

/// What is wrong with the models of a configuration.
#[derive(Debug, thiserror::Error)]
pub enum ModelsError {
    /// Bedrock is named, and there is no AWS configuration.
    #[error("model `{0}` is on Bedrock, and there are no AWS credentials for it")]
    NoAws(String),
    /// A key that is named is not there.
    #[error("the key of model `{model}` cannot be read from `{place}`: {problem}")]
    Key {
        /// The model.
        model: String,
        /// Variable or file.
        place: String,
        /// Why.
        problem: String,
    },
    /// Prices go by name: one name at two places would cost at both what it costs at one.
    #[error("model `{model}` is named at `{one}` and at `{other}`: give one of them another name there")]
    OneName {
        /// The model.
        model: String,
        /// A place.
        one: String,
        /// Another.
        other: String,
    },
    /// An endpoint that cannot be used.
    #[error("model `{model}`")]
    OpenAi {
        /// The model.
        model: String,
        /// Why.
        source: OpenAiError,
    },
}

/// What was built.
#[derive(Debug, Clone)]
pub struct Models {
    /// Who routes.
    pub small: Arc<dyn Model>,
    /// Who investigates.
    pub large: Arc<dyn Model>,
    /// Prices, those of the rungs included.
    pub prices: Prices,
    /// The bounds that come with them.
    pub bounds: Bounds,
}

/// What a configuration sets of what outlives it: nothing has changed until it takes effect.
#[derive(Debug, Clone, Default)]
pub struct Bounds {
    /// A gate for each provider, region and model.
    pub gates: Wanted,
    /// What may be spent at most.
    pub ceilings: Ceilings,
}

impl MoneyConfig {
    /// The gates of a process that begins with this configuration.
    pub fn gates(&self) -> Gates {
        Gates::new(ModelSwitch::new(self.switch_file.clone()), Orders::new(self.orders_file.clone()))
    }

    /// Builds the chains, behind gates of these. An empty chain is the playbook.
    pub fn build(
        &self,
        aws: Option<&SdkConfig>,
        prices: Prices,
        gates: &Gates,
    ) -> Result<Models, ModelsError> {
        let (wanted, places) = (Wanted::default(), BTreeMap::new());
        let mut building = Building { config: self, aws, prices, gates, wanted, places };
        let small = building.chain(&self.small)?;
        let large = building.chain(&self.large)?;
        let Building { prices, wanted, .. } = building;
        Ok(Models { small, large, prices, bounds: Bounds { gates: wanted, ceilings: self.ceilings } })
    }

    /// The names of its gates.
    pub fn names(&self) -> BTreeSet<String> {
        self.small.iter().chain(&self.large).map(Rung::name).collect()
    }

    /// The same with its files where they are, seen from `base`.
    #[must_use]
    pub fn under(mut self, base: &Path) -> Self {
        let keys = self.small.iter_mut().chain(&mut self.large).filter_map(|rung| match rung {
            Rung::OpenAi { key_file, .. } => key_file.as_mut(),
            Rung::Bedrock { .. } => None,
        });
        for file in self.switch_file.iter_mut().chain(&mut self.orders_file).chain(keys) {
            *file = base.join(&*file);
        }
        self
    }
}

struct Building<'a> {
    config: &'a MoneyConfig,
    aws: Option<&'a SdkConfig>,
    prices: Prices,
    gates: &'a Gates,
    wanted: Wanted,
    /// Where each model of an endpoint is.
    places: BTreeMap<String, String>,
}

impl Building<'_> {
    fn chain(&mut self, rungs: &[Rung]) -> Result<Arc<dyn Model>, ModelsError> {
        let models = rungs.iter().map(|rung| self.rung(rung)).collect::<Result<Vec<_>, _>>()?;
        let mut models = models.into_iter();
        Ok(match models.next() {
            None => Arc::new(PlaybookModel),
            Some(first) => Arc::new(first.then(models)),
        })
    }

    fn rung(&mut self, rung: &Rung) -> Result<Chain, ModelsError> {
        let (model, limits, price): (Arc<dyn Model>, _, _) = match rung {
            Rung::Bedrock { model, region, limits, price } => {
                let Some(aws) = self.aws else { return Err(ModelsError::NoAws(model.clone())) };
                let aws = match region {
                    Some(region) => aws.to_builder().region(Region::new(region.clone())).build(),
                    None => aws.clone(),
                };
                (Arc::new(BedrockModel::new(&aws, model)), limits, price)
            }
            Rung::OpenAi { model, base_url, key_env, key_file, calling, plain_http, limits, price } => {
                let one = self.places.entry(model.clone()).or_insert_with(|| base_url.clone());
                if one != base_url {
                    let (model, one, other) = (model.clone(), one.clone(), base_url.clone());
                    return Err(ModelsError::OneName { model, one, other });
                }
                let config = OpenAiConfig {
                    base_url: base_url.clone(),
                    model: model.clone(),
                    price_id: format!("openai/{model}"),
                    key: key(model, key_env.as_deref(), key_file.as_ref())?,
                    calling: *calling,
                    plain_http: *plain_http,
                };
                let built = OpenAiModel::new(config)
                    .map_err(|source| ModelsError::OpenAi { model: model.clone(), source })?;
                (Arc::new(built), limits, price)
            }
        };
        if let Some(price) = price {
            self.prices.set(model.id(), *price);
        }
        let limits = limits.unwrap_or(self.config.limits);
        let gate = self.gates.want(&mut self.wanted, &rung.name(), self.config.breaker, limits);
        Ok(Chain::of(model, gate))
    }
}

fn key(model: &str, variable: Option<&str>, file: Option<&PathBuf>) -> Result<Option<ApiKey>, ModelsError> {
    let missing = |place: String, problem: &str| ModelsError::Key {
        model: model.to_owned(),
        place,
        problem: problem.to_owned(),
    };
    if let Some(variable) = variable {
        let text = std::env::var(variable).map_err(|_| missing(variable.to_owned(), "it is not set"))?;
        return ApiKey::new(&text).map(Some).ok_or_else(|| missing(variable.to_owned(), "it is empty"));
    }
    let Some(file) = file else { return Ok(None) };
    let place = file.display().to_string();
    let text = std::fs::read_to_string(file).map_err(|error| missing(place.clone(), &error.to_string()))?;
    ApiKey::new(&text).map(Some).ok_or_else(|| missing(place, "it is empty"))
}

/// So many requests a minute, and nothing else limited.
pub fn per_minute(requests: NonZeroU32) -> Limits {
    Limits { requests_per_minute: requests, ..Limits::default() }
}
