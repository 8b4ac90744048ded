//! What models cost: data, by model id and time of the call. All money is an integer of
//! micro-dollars, and prices are micro-dollars per million tokens, so that no float ever touches a
//! sum.

use std::collections::BTreeMap;

use midwatch_policy::Timestamp;
use serde::Deserialize;

use crate::{budget::Charge, model::Usage};

const DEFAULT: &str = include_str!("../prices.toml");
const MILLION: u128 = 1_000_000;
/// Bytes that a gigabyte of Logs Insights is counted as: fewer than AWS may mean, never more.
const GIGABYTE: u128 = 1_000_000_000;

/// What is wrong with a price file.
#[derive(Debug, thiserror::Error)]
pub enum PriceError {
    /// Not TOML, or not the shape of a price file. The source names line and column.
    #[error("price file is not readable")]
    Toml(#[from] toml::de::Error),
    /// A price that is missing where another depends on it.
    #[error("price of model `{model}` is wrong: {problem}")]
    Invalid {
        /// The model.
        model: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// Micro-dollars per million tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// Input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Written to the cache, five minutes; absent where the model has no paid writes.
    #[serde(default)]
    pub cache_write: u64,
    /// Written to the cache, one hour.
    #[serde(default)]
    pub cache_write_1h: u64,
    /// Read from the cache.
    #[serde(default)]
    pub cache_read: u64,
    /// More input than this, counting cached tokens, costs the `long` rates.
    #[serde(default)]
    pub long_above: Option<u64>,
    /// Input beyond `long_above`.
    #[serde(default)]
    pub long_input: Option<u64>,
    /// Output beyond `long_above`.
    #[serde(default)]
    pub long_output: Option<u64>,
    /// What a geographic profile (`us.`, `eu.`, …) costs more, in percent.
    #[serde(default)]
    pub regional_percent: u64,
}

/// Prices by model id, and of what is no model.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    models: BTreeMap<String, History>,
    charges: Charges,
}

/// The prices of one model, by when they began; the one without a beginning counts before all.
type History = Vec<(Option<Timestamp>, Price)>;

/// A price from a day on.
#[derive(Deserialize)]
struct Change {
    from: Timestamp,
    #[serde(flatten)]
    price: toml::Table,
}

/// Micro-dollars for what is no model.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Charges {
    logs_insights_gigabyte: Option<u64>,
    retrieval_query: Option<u64>,
    rerank_query: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    models: BTreeMap<String, Price>,
    #[serde(default)]
    changes: BTreeMap<String, Vec<Change>>,
    #[serde(default)]
    charges: Charges,
}

impl Prices {
    /// The prices this program was built with.
    pub fn embedded() -> Result<Self, PriceError> {
        Self::default().overridden_by(DEFAULT)
    }

    /// These prices with those of a TOML text on top. What a text says of a model replaces
    /// everything that was known of it, earlier and later prices included.
    pub fn overridden_by(mut self, text: &str) -> Result<Self, PriceError> {
        let File { models, changes, charges } = toml::from_str(text)?;
        let mut all: BTreeMap<String, History> =
            models.into_iter().map(|(model, price)| (model, vec![(None, price)])).collect();
        for (model, changes) in changes {
            let history = all.entry(model).or_default();
            for Change { from, price } in changes {
                history.push((Some(from), price.try_into()?));
            }
            history.sort_by_key(|(from, _)| *from);
        }
        for (model, history) in all {
            let problem = history.iter().find_map(|(_, price)| price.problem()).or_else(|| {
                let twice = history.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0));
                twice.then_some("two prices begin at the same time")
            });
            if let Some(problem) = problem {
                return Err(PriceError::Invalid { model, problem });
            }
            self.models.insert(model, history);
        }
        let ours = &mut self.charges;
        for (ours, theirs) in [
            (&mut ours.logs_insights_gigabyte, charges.logs_insights_gigabyte),
            (&mut ours.retrieval_query, charges.retrieval_query),
            (&mut ours.rerank_query, charges.rerank_query),
        ] {
            *ours = theirs.or(*ours);
        }
        Ok(self)
    }

    /// Sets the price of a model, whatever was known of it.
    pub fn set(&mut self, model: &str, price: Price) {
        self.models.insert(model.to_owned(), vec![(None, price)]);
    }

    /// The price of a model, at the time of a call, by id, profile id or inference-profile ARN;
    /// `None` is a refusal, never a guess. The geographic surcharge is in it.
    pub fn of(&self, model_id: &str, at: Timestamp) -> Option<Price> {
        let id = match model_id.rsplit_once('/') {
            Some((arn, id)) if arn.starts_with("arn:") => id,
            _ => model_id,
        };
        if let Some(history) = self.models.get(model_id).or_else(|| self.models.get(id)) {
            return price_at(history, at);
        }
        let (profile, base) = id.split_once('.')?;
        let price = price_at(self.models.get(base)?, at)?;
        match profile {
            "global" => Some(price),
            "us" | "eu" | "apac" | "jp" | "au" | "ca" | "us-gov" | "sa" => Some(price.with_surcharge()),
            _ => None,
        }
    }

    /// What so many bytes or queries cost, rounded up.
    pub fn charge(&self, what: Charge, units: u64) -> u64 {
        let (price, per) = self.rate(what);
        let sum = u128::from(units) * u128::from(price);
        u64::try_from(sum.div_ceil(per)).unwrap_or(u64::MAX)
    }

    /// How many bytes or queries that cost no more than so much.
    pub fn units(&self, what: Charge, micro_usd: u64) -> u64 {
        let (price, per) = self.rate(what);
        let units = (u128::from(micro_usd) * per).checked_div(u128::from(price));
        units.map_or(u64::MAX, |units| u64::try_from(units).unwrap_or(u64::MAX))
    }

    /// Micro-dollars, and the bytes or queries that they are for.
    fn rate(&self, what: Charge) -> (u64, u128) {
        let Charges { logs_insights_gigabyte, retrieval_query, rerank_query } = self.charges;
        let (price, per) = match what {
            Charge::LogsInsights => (logs_insights_gigabyte, GIGABYTE),
            Charge::Retrieval => (retrieval_query, 1),
            Charge::Rerank => (rerank_query, 1),
        };
        (price.unwrap_or(0), per)
    }
}

fn price_at(history: &History, at: Timestamp) -> Option<Price> {
    history.iter().rev().find(|(from, _)| from.is_none_or(|from| from <= at)).map(|(_, price)| *price)
}

impl Price {
    /// Nothing costs anything: the playbook, or a model run at home.
    pub const FREE: Self = Self {
        input: 0,
        output: 0,
        cache_write: 0,
        cache_write_1h: 0,
        cache_read: 0,
        long_above: None,
        long_input: None,
        long_output: None,
        regional_percent: 0,
    };

    /// What is wrong with it, if anything.
    pub fn problem(&self) -> Option<&'static str> {
        let is_half = self.long_above.is_some() && (self.long_input.is_none() || self.long_output.is_none());
        is_half.then_some("`long_above` needs `long_input` and `long_output`")
    }

    fn with_surcharge(self) -> Self {
        let more =
            |rate: u64| rate.saturating_add((rate.saturating_mul(self.regional_percent)).div_ceil(100));
        Self {
            input: more(self.input),
            output: more(self.output),
            cache_write: more(self.cache_write),
            cache_write_1h: more(self.cache_write_1h),
            cache_read: more(self.cache_read),
            long_above: self.long_above,
            long_input: self.long_input.map(more),
            long_output: self.long_output.map(more),
            regional_percent: 0,
        }
    }

    /// The cost of what was used, rounded up.
    pub fn cost(&self, usage: &Usage) -> u64 {
        let read = usage
            .input_tokens
            .saturating_add(usage.cache_read_tokens)
            .saturating_add(usage.cache_write_tokens);
        let long = self.long_above.is_some_and(|limit| read > limit);
        let (input, output) = if long {
            (self.long_input.unwrap_or(self.input), self.long_output.unwrap_or(self.output))
        } else {
            (self.input, self.output)
        };
        // Cache rates of long requests scale with the input rate.
        let scaled = |rate: u64| match (long, self.input) {
            (true, base) if base > 0 => u128::from(rate) * u128::from(input) / u128::from(base),
            _ => u128::from(rate),
        };
        // A provider does not say which lifetime was written: the dearer one is assumed.
        let write = self.cache_write.max(self.cache_write_1h);
        let sum = u128::from(usage.input_tokens) * u128::from(input)
            + u128::from(usage.output_tokens) * u128::from(output)
            + u128::from(usage.cache_read_tokens) * scaled(self.cache_read)
            + u128::from(usage.cache_write_tokens) * scaled(write);
        u64::try_from(sum.div_ceil(MILLION)).unwrap_or(u64::MAX)
    }

    /// The most that a call can cost: every input token at the dearest rate that can apply.
    pub fn worst(&self, input_tokens: u64, output_tokens: u64) -> u64 {
        let as_input = Usage { input_tokens, output_tokens, ..Usage::default() };
        let as_write = Usage { cache_write_tokens: input_tokens, output_tokens, ..Usage::default() };
        let as_read = Usage { cache_read_tokens: input_tokens, output_tokens, ..Usage::default() };
        self.cost(&as_input).max(self.cost(&as_write)).max(self.cost(&as_read))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::at;
    use proptest::prelude::*;

    const SONNET: &str = "global.anthropic.claude-sonnet-4-5-20250929-v1:0";

    #[test]
    fn the_embedded_prices_are_those_of_the_reference() {
        let prices = Prices::embedded().unwrap();
        let haiku = prices.of("global.anthropic.claude-haiku-4-5-20251001-v1:0", at("02:12")).unwrap();
        // 1 USD in, 5 USD out per million tokens.
        assert_eq!(haiku.cost(&Usage { input_tokens: 500, output_tokens: 60, ..Usage::default() }), 800);
        let us = prices.of("us.anthropic.claude-haiku-4-5-20251001-v1:0", at("02:12")).unwrap();
        assert_eq!((us.input, us.output, us.cache_write), (1_100_000, 5_500_000, 1_375_000));
        let arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-6";
        assert_eq!(prices.of(arn, at("02:12")).unwrap().input, 3_300_000);
        assert_eq!(prices.of("amazon.nova-micro-v1:0", at("02:12")).unwrap().input, 35_000);
    }

    #[test]
    fn an_unknown_model_has_no_price() {
        let prices = Prices::embedded().unwrap();
        for id in ["gpt-9", "xx.anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4", "", "us."] {
            assert!(prices.of(id, at("02:12")).is_none(), "{id}");
        }
        let own = prices.overridden_by("[models.\"gpt-9\"]\ninput = 1\noutput = 2\n").unwrap();
        assert_eq!(own.of("gpt-9", at("02:12")).unwrap().output, 2);
        assert!(own.overridden_by("[models.a]\ninput=1\noutput=1\nlong_above=1\n").is_err());
    }

    #[test]
    fn a_price_is_that_of_the_time_of_the_call() {
        let own = "[models.a]\ninput = 1\noutput = 1\n\
                   [[changes.a]]\nfrom = \"2026-03-09T02:30:00Z\"\ninput = 3\noutput = 3\n\
                   [[changes.a]]\nfrom = \"2026-03-09T02:20:00Z\"\ninput = 2\noutput = 2\n\
                   [[changes.b]]\nfrom = \"2026-03-09T02:20:00Z\"\ninput = 2\noutput = 2\n";
        let prices = Prices::embedded().unwrap().overridden_by(own).unwrap();
        let input = |model, time| prices.of(model, at(time)).map(|price| price.input);
        assert_eq!(
            [input("a", "02:19"), input("a", "02:20"), input("a", "02:31")],
            [Some(1), Some(2), Some(3)]
        );
        // Before its first price a model has none.
        assert_eq!([input("b", "02:19"), input("b", "02:20")], [None, Some(2)]);
        // Another file's prices replace all of them.
        let newer = prices.clone().overridden_by("[models.a]\ninput = 9\noutput = 9\n").unwrap();
        assert_eq!(newer.of("a", at("02:31")).unwrap().input, 9);
        for wrong in [
            "[[changes.a]]\nfrom = \"soon\"\ninput = 1\noutput = 1\n",
            "[[changes.a]]\ninput = 1\noutput = 1\n",
            "[[changes.a]]\nfrom = \"2026-03-09T02:20:00Z\"\ninput = 1\noutput = 1\ntypo = 1\n",
            "[[changes.a]]\nfrom = \"2026-03-09T02:20:00Z\"\ninput = 1\noutput = 1\n\
             [[changes.a]]\nfrom = \"2026-03-09T02:20:00Z\"\ninput = 2\noutput = 1\n",
        ] {
            assert!(Prices::default().overridden_by(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_and_queries_have_a_price() {
        let prices = Prices::embedded().unwrap();
        // 0.5 cents a gigabyte, rounded up.
        assert_eq!(prices.charge(Charge::LogsInsights, 1_000_000_000), 5_000);
        assert_eq!(prices.charge(Charge::LogsInsights, 1), 1);
        assert_eq!(prices.charge(Charge::Rerank, 2), 4_000);
        let own = prices.overridden_by("[charges]\nrerank_query = 7\n").unwrap();
        assert_eq!((own.charge(Charge::Rerank, 2), own.charge(Charge::LogsInsights, 200_000)), (14, 1));
    }

    #[test]
    fn a_long_request_costs_the_long_rates() {
        let sonnet = Prices::embedded().unwrap().of(SONNET, at("02:12")).unwrap();
        let short = sonnet.cost(&Usage { input_tokens: 200_000, ..Usage::default() });
        let long = sonnet.cost(&Usage { input_tokens: 200_001, ..Usage::default() });
        assert_eq!((short, long), (600_000, 1_200_006));
    }

    proptest! {
        #[test]
        fn the_worst_case_bounds_every_split_of_the_input(
            a in 0u64..300_000, b in 0u64..300_000, c in 0u64..300_000, out in 0u64..10_000
        ) {
            let sonnet = Prices::embedded().unwrap().of(SONNET, at("02:12")).unwrap();
            let usage = Usage { input_tokens: a, cache_read_tokens: b, cache_write_tokens: c, output_tokens: out };
            prop_assert!(sonnet.cost(&usage) <= sonnet.worst(a + b + c, out));
        }
    }
}
