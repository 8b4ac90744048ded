//! What models cost: data, by model id. All money is an integer of micro-dollars, and prices are
//! micro-dollars per million tokens, so that no float ever touches a sum.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::model::Usage;

const DEFAULT: &str = include_str!("../prices.toml");
const MILLION: u128 = 1_000_000;

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

/// Prices by model id.
#[derive(Debug, Clone, Default)]
pub struct Prices {
    models: BTreeMap<String, Price>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    models: BTreeMap<String, Price>,
}

impl Prices {
    /// The prices this program was built with.
    pub fn embedded() -> Result<Self, PriceError> {
        Self::default().overridden_by(DEFAULT)
    }

    /// These prices with those of a TOML text on top.
    pub fn overridden_by(mut self, text: &str) -> Result<Self, PriceError> {
        let file: File = toml::from_str(text)?;
        for (model, price) in file.models {
            if price.long_above.is_some() && (price.long_input.is_none() || price.long_output.is_none()) {
                return Err(PriceError::Invalid {
                    model,
                    problem: "`long_above` needs `long_input` and `long_output`",
                });
            }
            self.models.insert(model, price);
        }
        Ok(self)
    }

    /// The price of a model by id, profile id or inference-profile ARN; `None` is a refusal, never
    /// a guess. The geographic surcharge is in it.
    pub fn of(&self, model_id: &str) -> Option<Price> {
        let id = match model_id.rsplit_once('/') {
            Some((arn, id)) if arn.starts_with("arn:") => id,
            _ => model_id,
        };
        if let Some(price) = self.models.get(model_id).or_else(|| self.models.get(id)) {
            return Some(*price);
        }
        let (profile, base) = id.split_once('.')?;
        let price = *self.models.get(base)?;
        match profile {
            "global" => Some(price),
            "us" | "eu" | "apac" | "jp" | "au" | "ca" | "us-gov" | "sa" => Some(price.with_surcharge()),
            _ => None,
        }
    }
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
    use proptest::prelude::*;

    const SONNET: &str = "global.anthropic.claude-sonnet-4-5-20250929-v1:0";

    #[test]
    fn the_embedded_prices_are_those_of_the_reference() {
        let prices = Prices::embedded().unwrap();
        let haiku = prices.of("global.anthropic.claude-haiku-4-5-20251001-v1:0").unwrap();
        // 1 USD in, 5 USD out per million tokens.
        assert_eq!(haiku.cost(&Usage { input_tokens: 500, output_tokens: 60, ..Usage::default() }), 800);
        let us = prices.of("us.anthropic.claude-haiku-4-5-20251001-v1:0").unwrap();
        assert_eq!((us.input, us.output, us.cache_write), (1_100_000, 5_500_000, 1_375_000));
        let arn = "arn:aws:bedrock:eu-west-1:123456789012:inference-profile/eu.anthropic.claude-sonnet-4-6";
        assert_eq!(prices.of(arn).unwrap().input, 3_300_000);
        assert_eq!(prices.of("amazon.nova-micro-v1:0").unwrap().input, 35_000);
    }

    #[test]
    fn an_unknown_model_has_no_price() {
        let prices = Prices::embedded().unwrap();
        for id in ["gpt-9", "xx.anthropic.claude-sonnet-4-6", "anthropic.claude-sonnet-4", "", "us."] {
            assert!(prices.of(id).is_none(), "{id}");
        }
        let own = prices.overridden_by("[models.\"gpt-9\"]\ninput = 1\noutput = 2\n").unwrap();
        assert_eq!(own.of("gpt-9").unwrap().output, 2);
        assert!(own.overridden_by("[models.a]\ninput=1\noutput=1\nlong_above=1\n").is_err());
    }

    #[test]
    fn a_long_request_costs_the_long_rates() {
        let sonnet = Prices::embedded().unwrap().of(SONNET).unwrap();
        let short = sonnet.cost(&Usage { input_tokens: 200_000, ..Usage::default() });
        let long = sonnet.cost(&Usage { input_tokens: 200_001, ..Usage::default() });
        assert_eq!((short, long), (600_000, 1_200_006));
    }

    proptest! {
        #[test]
        fn the_worst_case_bounds_every_split_of_the_input(
            a in 0u64..300_000, b in 0u64..300_000, c in 0u64..300_000, out in 0u64..10_000
        ) {
            let sonnet = Prices::embedded().unwrap().of(SONNET).unwrap();
            let usage = Usage { input_tokens: a, cache_read_tokens: b, cache_write_tokens: c, output_tokens: out };
            prop_assert!(sonnet.cost(&usage) <= sonnet.worst(a + b + c, out));
        }
    }
}
