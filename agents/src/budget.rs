//! Spend of one incident: nothing is asked of a model before its worst case is reserved.
//!
//! [`Spend`] is one incident's way to the [`Keeper`] of all sums, which holds it against every
//! ceiling above the call at once. INVARIANT: a reservation that is dropped unsettled (a panic, a
//! cancelled task) is settled in full: it may have been spent. What costs nothing is counted here
//! and asks no keeper.

mod accounts;
mod ceilings;
mod keeper;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use midwatch_policy::Timestamp;
use serde::{Deserialize, Serialize};

pub use accounts::{Account, Accounts, Scope, Short, Want};
pub use ceilings::Ceilings;
pub use keeper::{Ask, Bill, Charge, Held, InMemory, Item, Keeper, refusal};

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
    /// A ceiling would be passed.
    #[error("the call may cost {worst} micro-dollars and {left} are left of the ceiling of {of}")]
    Ceiling {
        /// Whose ceiling.
        of: String,
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
    /// The reservation cannot be kept, so nobody would know of it after a crash.
    #[error("the ledger cannot be written: {problem}")]
    Ledger {
        /// Why.
        problem: String,
    },
}

/// What was spent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Total {
    /// Model calls, answered or not.
    pub model_calls: u64,
    /// Of those, calls that cost nothing.
    pub free_calls: u64,
    /// Tokens the providers reported.
    pub usage: Usage,
    /// Settled cost: models and everything else.
    pub cost_micro_usd: u64,
    /// Of that, what is not for models.
    pub charges_micro_usd: u64,
    /// Of the cost, settled in full because the usage is not known.
    pub assumed_micro_usd: u64,
    /// Reserved for calls under way.
    pub reserved_micro_usd: u64,
    /// Used beyond what was reserved: a defect of the bound.
    pub beyond_micro_usd: u64,
}

/// The purse of one incident; cheap to clone, all clones are one purse.
#[derive(Debug, Clone)]
pub struct Spend {
    prices: Arc<Prices>,
    keeper: Arc<dyn Keeper>,
    incident: Arc<str>,
    service: Option<Arc<str>>,
    total: Arc<Mutex<Total>>,
}

/// The worst case of one call, set aside.
#[derive(Debug)]
pub struct Reservation {
    spend: Spend,
    /// Nothing for what costs nothing.
    held: Option<Held>,
    price: Price,
    cost: u64,
    tokens: u64,
    is_settled: bool,
}

impl Spend {
    /// An empty purse with a ceiling of its own and none above.
    pub fn new(prices: Arc<Prices>, ceiling_micro_usd: u64) -> Self {
        let keeper = InMemory::new(Ceilings::of_incident(ceiling_micro_usd));
        Self::kept_by(Arc::new(keeper), prices, "incident", None, Total::default())
    }

    /// The same purse with what was spent before, as somebody else remembers it: the dearer of the
    /// two memories counts.
    #[must_use]
    pub fn carrying(self, spent: Total) -> Self {
        self.keeper.carried(&self.incident, spent.cost_micro_usd);
        let mut total = self.lock();
        if spent.cost_micro_usd >= total.cost_micro_usd {
            *total = Total { reserved_micro_usd: 0, ..spent };
        }
        drop(total);
        self
    }

    /// The purse of an incident in a keeper's books; `before` is what was spent on it earlier.
    pub fn kept_by(
        keeper: Arc<dyn Keeper>,
        prices: Arc<Prices>,
        incident: &str,
        service: Option<&str>,
        before: Total,
    ) -> Self {
        let before = Total { reserved_micro_usd: 0, ..before };
        Self {
            prices,
            keeper,
            incident: incident.into(),
            service: service.map(Into::into),
            total: Arc::new(Mutex::new(before)),
        }
    }

    /// Sets the worst case of one model call aside: `input` is an upper bound of its input tokens,
    /// `output` its output limit, `budget` all tokens the specialist may ever use.
    pub async fn reserve(
        &self,
        at: Timestamp,
        model: &str,
        specialist: &str,
        budget: u64,
        (input, output): (u64, u64),
    ) -> Result<Reservation, SpendError> {
        let price =
            self.prices.of(model, at).ok_or_else(|| SpendError::NoPrice { model: model.to_owned() })?;
        let item = Item::Model { model: model.to_owned(), specialist: specialist.to_owned() };
        let cost = price.worst(input, output);
        // A model that costs nothing has no tokens worth budgeting: its turns are limited anyway.
        let tokens = if price == Price::FREE { 0 } else { input.saturating_add(output) };
        let held = self.hold(at, item, cost, tokens, budget).await?;
        let mut total = self.lock();
        total.model_calls = total.model_calls.saturating_add(1);
        if price == Price::FREE {
            total.free_calls = total.free_calls.saturating_add(1);
        }
        drop(total);
        Ok(Reservation { spend: self.clone(), held, price, cost, tokens, is_settled: false })
    }

    /// Sets the worst case of something aside that is no model call: so many bytes or queries.
    pub async fn reserve_charge(
        &self,
        at: Timestamp,
        what: Charge,
        units: u64,
    ) -> Result<Reservation, SpendError> {
        let cost = self.prices.charge(what, units);
        let held = self.hold(at, Item::Charge(what), cost, 0, u64::MAX).await?;
        Ok(Reservation { spend: self.clone(), held, price: Price::FREE, cost, tokens: 0, is_settled: false })
    }

    async fn hold(
        &self,
        at: Timestamp,
        item: Item,
        worst_micro_usd: u64,
        tokens: u64,
        token_budget: u64,
    ) -> Result<Option<Held>, SpendError> {
        if worst_micro_usd == 0 && tokens == 0 {
            return Ok(None);
        }
        let (incident, service) = (Arc::clone(&self.incident), self.service.clone());
        let ask = Ask { at, incident, service, item, worst_micro_usd, tokens, token_budget };
        let held = self.keeper.reserve(ask).await?;
        let mut total = self.lock();
        total.reserved_micro_usd = total.reserved_micro_usd.saturating_add(worst_micro_usd);
        Ok(Some(held))
    }

    /// What was spent so far.
    pub fn total(&self) -> Total {
        *self.lock()
    }

    /// What things cost.
    pub fn prices(&self) -> &Prices {
        &self.prices
    }

    fn lock(&self) -> MutexGuard<'_, Total> {
        // The total is plain numbers and each change is complete: a poisoned lock is still right.
        self.total.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reservation {
    /// Settles with what was used; `None` where that is not known: then in full. Returns the cost.
    pub fn settle(mut self, usage: Option<&Usage>) -> u64 {
        let bill = match usage {
            Some(usage) => Bill {
                cost_micro_usd: self.price.cost(usage),
                uncached_micro_usd: self.price.cost(&usage.uncached()),
                usage: *usage,
                tokens: if self.tokens == 0 { 0 } else { usage.total() },
                units: 0,
                assumed: false,
            },
            None => self.in_full(),
        };
        self.finish(&bill)
    }

    /// Settles what is no model call with the bytes or queries it came to; `None` where that is
    /// not known: then in full. Returns the cost.
    pub fn settle_units(mut self, units: Option<u64>) -> u64 {
        let what = self.held.as_ref().and_then(|held| match held.ask.item {
            Item::Charge(what) => Some(what),
            Item::Model { .. } => None,
        });
        let bill = match (units, what) {
            (Some(units), Some(what)) => {
                let cost = self.spend.prices.charge(what, units);
                Bill { cost_micro_usd: cost, uncached_micro_usd: cost, units, ..Bill::default() }
            }
            _ => self.in_full(),
        };
        self.finish(&bill)
    }

    /// Gives it all back: the call was refused before anybody did any work.
    pub fn release(mut self) {
        self.finish(&Bill::default());
    }

    fn in_full(&self) -> Bill {
        Bill {
            cost_micro_usd: self.cost,
            uncached_micro_usd: self.cost,
            tokens: self.tokens,
            assumed: true,
            ..Bill::default()
        }
    }

    fn finish(&mut self, bill: &Bill) -> u64 {
        self.is_settled = true;
        let cost = bill.cost_micro_usd;
        let is_charge = self.held.as_ref().is_some_and(|h| matches!(h.ask.item, Item::Charge(_)));
        let mut total = self.spend.lock();
        total.reserved_micro_usd = total.reserved_micro_usd.saturating_sub(self.cost);
        total.cost_micro_usd = total.cost_micro_usd.saturating_add(cost);
        total.beyond_micro_usd = total.beyond_micro_usd.saturating_add(cost.saturating_sub(self.cost));
        total.usage.add(bill.usage);
        if is_charge {
            total.charges_micro_usd = total.charges_micro_usd.saturating_add(cost);
        }
        if bill.assumed {
            total.assumed_micro_usd = total.assumed_micro_usd.saturating_add(cost);
        }
        drop(total);
        if cost > self.cost {
            tracing::error!(
                cost_micro_usd = cost,
                reserved_micro_usd = self.cost,
                "a call cost more than its reservation"
            );
        }
        if let Some(held) = &self.held {
            self.spend.keeper.settle(held, bill);
        }
        cost
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.is_settled {
            let bill = self.in_full();
            self.finish(&bill);
        }
    }
}
