//! Which models reason, by choice and configuration.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use anyhow::{Context as _, anyhow, bail, ensure};
use midwatch_agents::{
    bedrock::BedrockModel,
    gate::Gates,
    model::{Guardrail, Model},
    openai::{Calling, PlainHttp},
    prices::{Price, Prices},
};
use midwatch_mcp::SdkConfig;
use midwatch_policy::Problem;

use crate::{
    ledger::Ledger,
    models::{MoneyConfig, Rung},
    site::Minds,
};

use super::{args::ModelChoice, incidents::store};

/// The small model unless `MIDWATCH_SMALL_MODEL` names another.
const SMALL: &str = "global.anthropic.claude-haiku-4-5-20251001-v1:0";
/// The able model unless `MIDWATCH_LARGE_MODEL` names another.
const LARGE: &str = "global.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// The endpoint unless `MIDWATCH_OPENAI_URL` names another.
const OPENAI: &str = "https://api.openai.com/v1";

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
            let path = PathBuf::from(path);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the prices `{}`", path.display()))?;
            prices.overridden_by(&text).with_context(|| format!("in `{}`", path.display()))
        }
    }
}

/// The models of a choice, on a ledger. `aws` is only used for Bedrock.
pub(super) fn minds(choice: ModelChoice, aws: Option<&SdkConfig>, ledger: Ledger) -> anyhow::Result<Minds> {
    let config = config(None, None)?;
    let gates = Arc::new(gates(&config));
    let minds = minds_of(config, choice, aws, ledger, gates)?;
    minds.take_effect();
    Ok(minds)
}

/// The gates of a process.
pub(super) fn gates(config: &MoneyConfig) -> Gates {
    let gates = config.gates();
    if let Some(why) = stopped() {
        gates.switch().stop(why);
    }
    gates
}

/// The same on gates that are there already; nothing of them has changed before the minds take effect.
/// Files that gates look at are theirs from the start: other ones are refused, not forgotten.
pub(super) fn minds_of(
    config: MoneyConfig,
    choice: ModelChoice,
    aws: Option<&SdkConfig>,
    ledger: Ledger,
    gates: Arc<Gates>,
) -> anyhow::Result<Minds> {
    let config = complete(config, choice)?;
    for (key, wanted, there) in [
        ("switch_file", config.switch_file.as_deref(), gates.switch().file()),
        ("orders_file", config.orders_file.as_deref(), gates.orders().file()),
    ] {
        let shown = |file: Option<&Path>| file.map_or("none".into(), |file| file.display().to_string());
        ensure!(
            wanted == there,
            "`{key}` is `{}` now and was `{}` at the start: put it back, or restart to change it",
            shown(wanted),
            shown(there)
        );
    }
    let models = config.build(aws, prices()?, &gates)?;
    let mut minds = Minds::on(models, ledger, gates).context("embedded prompts")?;
    minds.guardrail = guardrail();
    Ok(minds)
}

/// A configuration with the models of a choice, where it names none itself.
pub(super) fn complete(mut config: MoneyConfig, choice: ModelChoice) -> anyhow::Result<MoneyConfig> {
    match choice {
        ModelChoice::Playbook => (config.small, config.large) = (Vec::new(), Vec::new()),
        ModelChoice::Bedrock => {
            let (small, large) = names();
            for (chain, model) in [(&mut config.small, small), (&mut config.large, large)] {
                if chain.is_empty() {
                    chain.push(Rung::Bedrock { model, region: None, limits: None, price: None });
                }
            }
        }
        ModelChoice::OpenAi => {
            for (chain, variable) in
                [(&mut config.small, "MIDWATCH_SMALL_MODEL"), (&mut config.large, "MIDWATCH_LARGE_MODEL")]
            {
                if chain.is_empty() {
                    chain.push(openai(variable)?);
                }
            }
        }
    }
    Ok(config)
}

/// Ceilings, chains and limits: of the daemon's own configuration, or of the file that
/// `MIDWATCH_MONEY` names, and usual ones without either. Orders are kept beside the store.
pub(super) fn config(own: Option<&MoneyConfig>, store: Option<&Path>) -> anyhow::Result<MoneyConfig> {
    let named = std::env::var_os("MIDWATCH_MONEY").filter(|path| !path.is_empty());
    let mut config = match (own, named) {
        (Some(_), Some(path)) => bail!(
            "money is configured twice: by `[money]` of the configuration, and by `{}` (MIDWATCH_MONEY); take one of them away",
            PathBuf::from(path).display()
        ),
        (Some(own), None) => own.clone(),
        (None, None) => MoneyConfig::default(),
        (None, Some(path)) => {
            let path = PathBuf::from(path);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the money settings `{}`", path.display()))?;
            MoneyConfig::parse(&text).map_err(|problems| {
                anyhow!("`{}` is wrong:\n  {}", path.display(), Problem::lines(&problems))
            })?
        }
    };
    if let Ok(text) = std::env::var("MIDWATCH_MODEL_RPM") {
        let requests = text.parse();
        config.limits.requests_per_minute =
            requests.with_context(|| format!("MIDWATCH_MODEL_RPM is `{text}`, not a number from 1"))?;
    }
    config.switch_file.get_or_insert_with(switch_file);
    config.orders_file.get_or_insert_with(|| orders_file(store));
    Ok(config)
}

/// The file of what people ordered of breakers.
fn orders_file(beside: Option<&Path>) -> PathBuf {
    store(beside.map(Path::to_owned)).with_file_name("models-orders.jsonl")
}

/// The file that stops all use of models while it exists.
pub(super) fn switch_file() -> PathBuf {
    let named = std::env::var_os("MIDWATCH_MODEL_SWITCH_FILE").map(PathBuf::from);
    named.unwrap_or_else(|| store(None).with_file_name("models-off"))
}

/// Why the environment says that no model may be asked.
pub(super) fn stopped() -> Option<String> {
    let said = std::env::var("MIDWATCH_MODELS_OFF").ok()?;
    (!matches!(said.trim(), "" | "0" | "false")).then(|| "MIDWATCH_MODELS_OFF is set".to_owned())
}

/// The ledger beside a store; the choice may have to change with it: what costs money is not asked
/// without one. The note is for people.
pub(super) fn ledger(
    choice: ModelChoice,
    store: &Path,
) -> anyhow::Result<(Ledger, ModelChoice, Option<String>)> {
    let ceilings = config(None, None)?.ceilings;
    Ok(match Ledger::open(&Ledger::beside(store), ceilings) {
        Ok(ledger) => (ledger, choice, None),
        Err(_) if choice == ModelChoice::Playbook => (Ledger::in_memory(ceilings), choice, None),
        Err(error) => {
            let note = format!("midwatch: rules reason, since what models cost cannot be kept: {error}");
            (Ledger::in_memory(ceilings), ModelChoice::Playbook, Some(note))
        }
    })
}

/// One model of the endpoint that the environment names.
fn openai(variable: &str) -> anyhow::Result<Rung> {
    let set = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let model = set(variable).with_context(|| format!("{variable} has to name the endpoint's model"))?;
    let price = match set("MIDWATCH_OPENAI_PRICE").as_deref() {
        None => None,
        Some("free") => Some(Price::FREE),
        Some(other) => bail!(
            "MIDWATCH_OPENAI_PRICE is `{other}`: it can be `free`; other prices stand in the file of MIDWATCH_PRICES"
        ),
    };
    let key_file = set("MIDWATCH_OPENAI_KEY_FILE").map(PathBuf::from);
    let key_env =
        key_file.is_none().then(|| "MIDWATCH_OPENAI_KEY".to_owned()).filter(|name| set(name).is_some());
    let calling = match set("MIDWATCH_OPENAI_CALLING").as_deref() {
        None | Some("tools") => Calling::Tools,
        Some("schema") => Calling::Schema,
        Some(other) => bail!("MIDWATCH_OPENAI_CALLING is `{other}`: it can be `tools` or `schema`"),
    };
    let base_url = set("MIDWATCH_OPENAI_URL").unwrap_or_else(|| OPENAI.to_owned());
    let plain_http = PlainHttp::Loopback;
    Ok(Rung::OpenAi { model, base_url, key_env, key_file, calling, plain_http, limits: None, price })
}

/// A client for a model of Bedrock.
pub(super) fn bedrock(config: &SdkConfig, model: &str) -> Arc<dyn Model> {
    Arc::new(BedrockModel::new(config, model))
}

fn guardrail() -> Option<Guardrail> {
    let guardrail_identifier = std::env::var("MIDWATCH_GUARDRAIL").ok()?;
    let guardrail_version =
        std::env::var("MIDWATCH_GUARDRAIL_VERSION").unwrap_or_else(|_| "DRAFT".to_owned());
    Some(Guardrail { guardrail_identifier, guardrail_version, trace: Some("enabled".to_owned()) })
}

#[cfg(test)]
mod tests {
    use midwatch_agents::budget::Ceilings;

    use super::*;

    #[test]
    fn orders_lie_beside_the_configured_store() {
        let own = MoneyConfig::default();
        let beside = config(Some(&own), Some(Path::new("/srv/midwatch/incidents.db"))).unwrap();
        assert_eq!(beside.orders_file.unwrap(), Path::new("/srv/midwatch/models-orders.jsonl"));
        let named = MoneyConfig { orders_file: Some("/etc/orders.jsonl".into()), ..own };
        let named = config(Some(&named), Some(Path::new("/srv/midwatch/incidents.db"))).unwrap();
        assert_eq!(named.orders_file.unwrap(), Path::new("/etc/orders.jsonl"));
    }

    #[test]
    fn other_files_than_those_of_the_start_are_refused() {
        let began = MoneyConfig {
            switch_file: Some("/srv/models-off".into()),
            orders_file: Some("/srv/orders.jsonl".into()),
            ..MoneyConfig::default()
        };
        let gates = Arc::new(began.gates());
        let reload = |config: MoneyConfig| {
            let ledger = Ledger::in_memory(Ceilings::default());
            minds_of(config, ModelChoice::Playbook, None, ledger, Arc::clone(&gates)).map(drop)
        };
        reload(began.clone()).unwrap();
        let orders = reload(MoneyConfig { orders_file: Some("/srv/others".into()), ..began.clone() });
        let said = orders.unwrap_err().to_string();
        assert!(said.starts_with("`orders_file` is `/srv/others` now and was `/srv/orders.jsonl`"), "{said}");
        let switch = reload(MoneyConfig { switch_file: None, ..began });
        assert!(switch.unwrap_err().to_string().starts_with("`switch_file` is `none` now"));
    }
}
