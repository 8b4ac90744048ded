//! What is written of money and models, field by field, so that everything that is wrong with it is said at once.

use std::{collections::BTreeMap, path::PathBuf};

use midwatch_agents::{
    breaker::BreakerSettings,
    budget::Ceilings,
    gate::Limits,
    openai::{PlainHttp, endpoint},
    prices::Price,
};
use midwatch_policy::{Fields, Problem};
use serde::de::DeserializeOwned;

use super::{MoneyConfig, Rung};

const PROVIDER: &str = "write `provider = \"bedrock\"` or `provider = \"openai\"`";
const MODEL: &str = "say which: `model = \"…\"`, as its provider calls it";

impl MoneyConfig {
    /// Of a file that has nothing else; otherwise everything that is wrong with it.
    pub fn parse(text: &str) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let config = Fields::parse(text, &mut problems).map(|file| Self::read(file, &mut problems));
        problems.sort_by_key(|problem| problem.line);
        config.filter(|_| problems.is_empty()).ok_or(problems)
    }

    /// Of a table. What is wrong is added to the problems, and the value then means nothing.
    pub fn read(mut table: Fields<'_>, p: &mut Vec<Problem>) -> Self {
        let config = Self {
            ceilings: table.table("ceilings", p).map(|table| ceilings(table, p)).unwrap_or_default(),
            breaker: table.table("breaker", p).map(|table| breaker(table, p)).unwrap_or_default(),
            limits: table.table("limits", p).map(|table| limits(table, p)).unwrap_or_default(),
            switch_file: table.take("switch_file", "\"…\"", p),
            orders_file: table.take("orders_file", "\"…\"", p),
            small: rungs(&mut table, "small", p),
            large: rungs(&mut table, "large", p),
        };
        config.one_place_each(&table, p);
        table.finish("ceilings, breaker, limits, switch_file, orders_file, small, large", p);
        config
    }

    /// Prices go by name: see [`ModelsError::OneName`](super::ModelsError::OneName).
    fn one_place_each(&self, table: &Fields<'_>, p: &mut Vec<Problem>) {
        let mut places: BTreeMap<&str, &str> = BTreeMap::new();
        for rung in self.small.iter().chain(&self.large) {
            let Rung::OpenAi { model, base_url, .. } = rung else { continue };
            let one = *places.entry(model).or_insert(base_url);
            if one != base_url {
                let message = format!("model `{model}` is named at `{one}` and at `{base_url}`");
                p.push(table.wrong(&message, "give one of them another name there: prices go by name"));
            }
        }
    }
}

/// Leaves what is usual where nothing else is written.
fn set<T: DeserializeOwned>(
    table: &mut Fields<'_>,
    key: &str,
    form: &str,
    usual: &mut T,
    p: &mut Vec<Problem>,
) {
    if let Some(given) = table.take(key, form, p) {
        *usual = given;
    }
}

fn ceilings(mut table: Fields<'_>, p: &mut Vec<Problem>) -> Ceilings {
    let mut of = Ceilings::default();
    set(&mut table, "incident_micro_usd", "500_000", &mut of.incident_micro_usd, p);
    set(&mut table, "service_hour_micro_usd", "5_000_000", &mut of.service_hour_micro_usd, p);
    set(&mut table, "hour_micro_usd", "20_000_000", &mut of.hour_micro_usd, p);
    set(&mut table, "day_micro_usd", "100_000_000", &mut of.day_micro_usd, p);
    table.finish("incident_micro_usd, service_hour_micro_usd, hour_micro_usd, day_micro_usd", p);
    of
}

fn breaker(mut table: Fields<'_>, p: &mut Vec<Problem>) -> BreakerSettings {
    let mut of = BreakerSettings::default();
    set(&mut table, "window_seconds", "60", &mut of.window_seconds, p);
    set(&mut table, "min_calls", "6", &mut of.min_calls, p);
    set(&mut table, "error_percent", "50", &mut of.error_percent, p);
    set(&mut table, "slow_ms", "40_000", &mut of.slow_ms, p);
    set(&mut table, "slow_percent", "80", &mut of.slow_percent, p);
    set(&mut table, "spend_micro_usd", "5_000_000", &mut of.spend_micro_usd, p);
    set(&mut table, "open_seconds", "60", &mut of.open_seconds, p);
    set(&mut table, "probes", "2", &mut of.probes, p);
    table.finish(
        "window_seconds, min_calls, error_percent, slow_ms, slow_percent, spend_micro_usd, open_seconds, probes",
        p,
    );
    of
}

fn limits(mut table: Fields<'_>, p: &mut Vec<Problem>) -> Limits {
    let mut of = Limits::default();
    set(&mut table, "requests_per_minute", "240", &mut of.requests_per_minute, p);
    of.tokens_per_minute = table.take("tokens_per_minute", "400_000", p);
    set(&mut table, "max_wait_seconds", "20", &mut of.max_wait_seconds, p);
    table.finish("requests_per_minute, tokens_per_minute, max_wait_seconds", p);
    of
}

fn price(mut table: Fields<'_>, p: &mut Vec<Problem>) -> Option<Price> {
    let mut needed = |key: &str, p: &mut Vec<Problem>| {
        if !table.has(key) {
            let remedy = format!("write micro-dollars per million tokens: `{key} = 3_000_000`");
            p.push(table.wrong(&format!("there is no `{key}`"), &remedy));
        }
        table.take(key, "3_000_000", p)
    };
    let (input, output): (Option<u64>, Option<u64>) = (needed("input", p), needed("output", p));
    let mut of = Price::FREE;
    set(&mut table, "cache_write", "3_750_000", &mut of.cache_write, p);
    set(&mut table, "cache_write_1h", "6_000_000", &mut of.cache_write_1h, p);
    set(&mut table, "cache_read", "300_000", &mut of.cache_read, p);
    of.long_above = table.take("long_above", "200_000", p);
    of.long_input = table.take("long_input", "6_000_000", p);
    of.long_output = table.take("long_output", "22_500_000", p);
    set(&mut table, "regional_percent", "10", &mut of.regional_percent, p);
    if let Some(problem) = of.problem() {
        p.push(table.wrong(problem, "write all three, or none"));
    }
    table.finish(
        "input, output, cache_write, cache_write_1h, cache_read, long_above, long_input, long_output, \
         regional_percent",
        p,
    );
    Some(Price { input: input?, output: output?, ..of })
}

fn rungs(table: &mut Fields<'_>, key: &str, p: &mut Vec<Problem>) -> Vec<Rung> {
    table.tables(key, p).into_iter().filter_map(|table| rung(table, p)).collect()
}

fn rung(mut table: Fields<'_>, p: &mut Vec<Problem>) -> Option<Rung> {
    let provider = table.text("provider", PROVIDER, p)?;
    let model = table.text("model", MODEL, p);
    let limits = table.table("limits", p).map(|table| limits(table, p));
    let price = table.table("price", p).and_then(|table| price(table, p));
    match provider.as_str() {
        "bedrock" => {
            let region = table.take("region", "\"us-east-1\"", p);
            table.finish("provider, model, region, limits, price", p);
            Some(Rung::Bedrock { model: model?, region, limits, price })
        }
        "openai" => {
            let base_url =
                table.text("base_url", "write it like `base_url = \"https://api.openai.com/v1\"`", p);
            let key_env: Option<String> = table.take("key_env", "\"OPENAI_API_KEY\"", p);
            let key_file: Option<PathBuf> = table.take("key_file", "\"…\"", p);
            let calling = table.take("calling", "\"tools\"` or `\"schema\"", p).unwrap_or_default();
            let given = table.take("plain_http", "\"loopback\"` or `\"anywhere\"", p);
            let plain_http: PlainHttp = given.unwrap_or_default();
            if let Some(Err(error)) = base_url.as_deref().map(|url| endpoint(url, plain_http)) {
                let remedy = "write it up to and with the version, such as `https://api.openai.com/v1`";
                p.push(table.wrong(&error.to_string(), remedy));
            }
            let known = "provider, model, base_url, key_env, key_file, calling, plain_http, limits, price";
            table.finish(known, p);
            let (model, base_url) = (model?, base_url?);
            Some(Rung::OpenAi { model, base_url, key_env, key_file, calling, plain_http, limits, price })
        }
        // What else it may say depends on who it is.
        other => {
            p.push(table.wrong(&format!("there is no provider `{other}`"), PROVIDER));
            None
        }
    }
}
