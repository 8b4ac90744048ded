//! Which models reason, by choice and configuration.

use std::{num::NonZeroU32, sync::Arc};

use anyhow::Context as _;
use midwatch_agents::{
    bedrock::BedrockModel,
    model::{Guardrail, Model},
    playbook::PlaybookModel,
    prices::Prices,
};
use midwatch_mcp::SdkConfig;

use crate::site::Minds;

use super::args::ModelChoice;

/// The small model unless `MIDWATCH_SMALL_MODEL` names another.
const SMALL: &str = "global.anthropic.claude-haiku-4-5-20251001-v1:0";
/// The able model unless `MIDWATCH_LARGE_MODEL` names another.
const LARGE: &str = "global.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// Requests a minute to one model unless `MIDWATCH_MODEL_RPM` says otherwise.
const PER_MINUTE: NonZeroU32 = match NonZeroU32::new(240) {
    Some(number) => number,
    None => NonZeroU32::MIN,
};

/// Names of the two models, as configured.
pub(super) fn names() -> (String, String) {
    let named = |variable: &str, usual: &str| std::env::var(variable).unwrap_or_else(|_| usual.to_owned());
    (named("MIDWATCH_SMALL_MODEL", SMALL), named("MIDWATCH_LARGE_MODEL", LARGE))
}

/// The embedded prices, with those of the file that `MIDWATCH_PRICES` names on top.
pub(super) fn prices() -> anyhow::Result<Prices> {
    let prices = Prices::embedded().context("embedded prices")?;
    match std::env::var_os("MIDWATCH_PRICES") {
        None => Ok(prices),
        Some(path) => {
            let path = std::path::PathBuf::from(path);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the prices `{}`", path.display()))?;
            prices.overridden_by(&text).with_context(|| format!("in `{}`", path.display()))
        }
    }
}

/// The models of a choice. `aws` is only used for Bedrock.
pub(super) fn minds(choice: ModelChoice, aws: Option<&SdkConfig>) -> anyhow::Result<Minds> {
    let prices = Arc::new(prices()?);
    let (small, large): (Arc<dyn Model>, Arc<dyn Model>) = match (choice, aws) {
        (ModelChoice::Playbook, _) | (ModelChoice::Bedrock, None) => {
            (Arc::new(PlaybookModel), Arc::new(PlaybookModel))
        }
        (ModelChoice::Bedrock, Some(config)) => {
            let (small, large) = names();
            (bedrock(config, small)?, bedrock(config, large)?)
        }
    };
    let mut minds = Minds::new(small, large, prices).context("embedded prompts")?;
    minds.guardrail = guardrail();
    Ok(minds)
}

/// A client for a model of Bedrock.
pub(super) fn bedrock(config: &SdkConfig, model: String) -> anyhow::Result<Arc<dyn Model>> {
    let per_minute = match std::env::var("MIDWATCH_MODEL_RPM") {
        Err(_) => PER_MINUTE,
        Ok(text) => {
            text.parse().with_context(|| format!("MIDWATCH_MODEL_RPM is `{text}`, not a number from 1"))?
        }
    };
    Ok(Arc::new(BedrockModel::new(config, model, per_minute)))
}

fn guardrail() -> Option<Guardrail> {
    let guardrail_identifier = std::env::var("MIDWATCH_GUARDRAIL").ok()?;
    let guardrail_version =
        std::env::var("MIDWATCH_GUARDRAIL_VERSION").unwrap_or_else(|_| "DRAFT".to_owned());
    Some(Guardrail { guardrail_identifier, guardrail_version, trace: Some("enabled".to_owned()) })
}
