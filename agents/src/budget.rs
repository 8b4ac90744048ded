//! Spend of one incident: nothing is asked of a model before its worst case is reserved.
//!
//! INVARIANT: settled + reserved never exceeds the incident's ceiling, nor a specialist's tokens
//! its budget. A reservation that is dropped unsettled (a panic, a cancelled task) is settled in
//! full: it may have been spent.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde::{Deserialize, Serialize};

use crate::{
    model::Usage,
    prices::{Price, Prices},
};

/// Why a call may not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpendError {
    /// The model has no price, so its worst case is not known.
    #[error("model `{model}` has no price: add it to the price file")]
    NoPrice {
        /// The model.
        model: String,
    },
    /// The incident's ceiling would be passed.
    #[error("the call may cost {worst} micro-dollars and {left} are left of the incident's ceiling")]
    Ceiling {
        /// Worst case of the call.
        worst: u64,
        /// What is left.
        left: u64,
    },
    /// The specialist's token budget would be passed.
    #[error("the call may use {worst} tokens and {left} are left of the budget of `{specialist}`")]
    Tokens {
        /// The specialist.
        specialist: String,
        /// Worst case of the call.
        worst: u64,
        /// What is left.
        left: u64,
    },
}

/// What was spent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Total {
    /// Model calls, answered or not.
    pub model_calls: u64,
    /// Tokens the providers reported.
    pub usage: Usage,
    /// Settled cost: models and everything else.
    pub cost_micro_usd: u64,
    /// Of that, settled in full because the usage is not known.
    pub assumed_micro_usd: u64,
    /// Reserved for calls under way.
    pub reserved_micro_usd: u64,
}

/// The purse of one incident; cheap to clone, all clones are one purse.
#[derive(Debug, Clone)]
pub struct Spend {
    prices: Arc<Prices>,
    ceiling: u64,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    total: Total,
    specialists: BTreeMap<String, Tokens>,
}

#[derive(Debug, Default)]
struct Tokens {
    used: u64,
    reserved: u64,
}

/// The worst case of one call, set aside.
#[derive(Debug)]
pub struct Reservation {
    spend: Spend,
    specialist: String,
    price: Price,
    cost: u64,
    tokens: u64,
    settled: bool,
}

impl Spend {
    /// An empty purse with a ceiling.
    pub fn new(prices: Arc<Prices>, ceiling_micro_usd: u64) -> Self {
        Self { prices, ceiling: ceiling_micro_usd, state: Arc::default() }
    }

    /// The same purse with what was spent before.
    #[must_use]
    pub fn carrying(self, spent: Total) -> Self {
        self.lock().total = Total { reserved_micro_usd: 0, ..spent };
        self
    }

    /// Sets the worst case of one call aside: `input` is an upper bound of its input tokens,
    /// `output` its output limit, `budget` all tokens the specialist may ever use.
    pub fn reserve(
        &self,
        model: &str,
        specialist: &str,
        budget: u64,
        input: u64,
        output: u64,
    ) -> Result<Reservation, SpendError> {
        let price = self.prices.of(model).ok_or_else(|| SpendError::NoPrice { model: model.to_owned() })?;
        let cost = price.worst(input, output);
        // A model that costs nothing has no tokens worth budgeting: its turns are limited anyway.
        let tokens = if price == Price::FREE { 0 } else { input.saturating_add(output) };
        let mut state = self.lock();
        let left = self
            .ceiling
            .saturating_sub(state.total.cost_micro_usd)
            .saturating_sub(state.total.reserved_micro_usd);
        if cost > left {
            return Err(SpendError::Ceiling { worst: cost, left });
        }
        let mine = state.specialists.entry(specialist.to_owned()).or_default();
        let left = budget.saturating_sub(mine.used).saturating_sub(mine.reserved);
        if tokens > left {
            return Err(SpendError::Tokens { specialist: specialist.to_owned(), worst: tokens, left });
        }
        mine.reserved = mine.reserved.saturating_add(tokens);
        state.total.reserved_micro_usd = state.total.reserved_micro_usd.saturating_add(cost);
        state.total.model_calls = state.total.model_calls.saturating_add(1);
        drop(state);
        Ok(Reservation {
            spend: self.clone(),
            specialist: specialist.to_owned(),
            price,
            cost,
            tokens,
            settled: false,
        })
    }

    /// Books something that is not a model call: bytes scanned, a rerank.
    pub fn charge(&self, micro_usd: u64) {
        let mut state = self.lock();
        state.total.cost_micro_usd = state.total.cost_micro_usd.saturating_add(micro_usd);
    }

    /// What was spent so far.
    pub fn total(&self) -> Total {
        self.lock().total
    }

    /// The ceiling.
    pub const fn ceiling_micro_usd(&self) -> u64 {
        self.ceiling
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is plain numbers and each change is complete: a poisoned lock is still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Settles with what was used; `None` where that is not known: then in full. Returns the cost.
    pub fn settle(mut self, usage: Option<&Usage>) -> u64 {
        self.finish(usage)
    }

    /// Gives it all back: the call was refused before the provider did any work.
    pub fn release(mut self) {
        self.finish(Some(&Usage::default()));
    }

    fn finish(&mut self, usage: Option<&Usage>) -> u64 {
        self.settled = true;
        let cost = usage.map_or(self.cost, |usage| self.price.cost(usage));
        let tokens = usage.map_or(self.tokens, Usage::total);
        let mut state = self.spend.lock();
        let total = &mut state.total;
        total.reserved_micro_usd = total.reserved_micro_usd.saturating_sub(self.cost);
        total.cost_micro_usd = total.cost_micro_usd.saturating_add(cost);
        match usage {
            Some(usage) => total.usage.add(*usage),
            None => total.assumed_micro_usd = total.assumed_micro_usd.saturating_add(cost),
        }
        let mine = state.specialists.entry(self.specialist.clone()).or_default();
        mine.reserved = mine.reserved.saturating_sub(self.tokens);
        mine.used = mine.used.saturating_add(tokens);
        cost
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.settled {
            self.finish(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const HAIKU: &str = "global.anthropic.claude-haiku-4-5-20251001-v1:0";

    fn purse(ceiling: u64) -> Spend {
        Spend::new(Arc::new(Prices::embedded().unwrap()), ceiling)
    }

    #[test]
    fn a_call_is_reserved_at_its_worst_and_settled_at_its_usage() {
        let spend = purse(10_000);
        let held = spend.reserve(HAIKU, "router", 10_000, 2_000, 500).unwrap();
        assert_eq!(spend.total().reserved_micro_usd, 2_000 * 5 / 4 + 500 * 5);
        let cost = held.settle(Some(&Usage { input_tokens: 400, output_tokens: 80, ..Usage::default() }));
        assert_eq!(cost, 800);
        let total = spend.total();
        assert_eq!((total.cost_micro_usd, total.reserved_micro_usd, total.model_calls), (800, 0, 1));
    }

    #[test]
    fn unknown_usage_and_dropped_reservations_are_settled_in_full() {
        let spend = purse(10_000);
        assert_eq!(spend.reserve(HAIKU, "a", 10_000, 1_000, 100).unwrap().settle(None), 1_750);
        drop(spend.reserve(HAIKU, "a", 10_000, 1_000, 100).unwrap());
        assert_eq!(spend.total().cost_micro_usd, 3_500);
        assert_eq!(spend.total().assumed_micro_usd, 3_500);
    }

    #[test]
    fn ceilings_budgets_and_unknown_models_refuse() {
        let spend = purse(2_000);
        assert!(matches!(spend.reserve("nobody", "a", 1, 1, 1), Err(SpendError::NoPrice { .. })));
        assert!(matches!(spend.reserve(HAIKU, "a", 99_999, 2_000, 1), Err(SpendError::Ceiling { .. })));
        assert!(matches!(spend.reserve(HAIKU, "a", 500, 500, 1), Err(SpendError::Tokens { .. })));
        assert!(spend.reserve("playbook", "a", 0, 1_000_000, 4_000).is_ok());
        assert_eq!(spend.total().reserved_micro_usd, 0);
    }

    proptest! {
        #[test]
        fn settled_plus_reserved_never_passes_the_ceiling(
            steps in prop::collection::vec((0u64..3_000, 1u64..500, 0u8..3, 0u64..100), 1..40)
        ) {
            let spend = purse(20_000);
            let mut held = Vec::new();
            for (input, output, what, share) in steps {
                if let Ok(r) = spend.reserve(HAIKU, "a", u64::MAX, input, output) {
                    match what {
                        0 => held.push(r),
                        1 => { r.settle(None); }
                        _ => {
                            let input_tokens = input * share / 100;
                            r.settle(Some(&Usage { input_tokens, output_tokens: output, ..Usage::default() }));
                        }
                    }
                }
                let t = spend.total();
                prop_assert!(t.cost_micro_usd + t.reserved_micro_usd <= 20_000);
            }
        }
    }
}
