//! Every gate of a process, for as long as the process lives: a reload changes what they are set to
//! and not what they have seen.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Gate, Limits, orders::Orders};
use crate::{breaker::BreakerSettings, switch::ModelSwitch};

/// The gates, their kill switch, and what people ordered of them.
#[derive(Debug, Default)]
pub struct Gates {
    switch: Arc<ModelSwitch>,
    orders: Arc<Orders>,
    all: Mutex<BTreeMap<String, Arc<Gate>>>,
}

/// Gates as a configuration wants them; nothing has changed until they are taken.
#[derive(Debug, Clone, Default)]
pub struct Wanted(BTreeMap<String, (Arc<Gate>, BreakerSettings, Limits)>);

impl Gates {
    /// None yet.
    pub fn new(switch: ModelSwitch, orders: Orders) -> Self {
        Self { switch: Arc::new(switch), orders: Arc::new(orders), all: Mutex::default() }
    }

    /// The kill switch of all of them.
    pub fn switch(&self) -> &ModelSwitch {
        &self.switch
    }

    /// What people ordered.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// The gate of this name: the one there is, or one that is made now.
    pub fn want(
        &self,
        wanted: &mut Wanted,
        name: &str,
        breaker: BreakerSettings,
        limits: Limits,
    ) -> Arc<Gate> {
        if let Some((gate, ..)) = wanted.0.get(name) {
            return Arc::clone(gate);
        }
        let gate = self.lock().get(name).map(Arc::clone);
        let gate = gate.unwrap_or_else(|| {
            let gate = Gate::new(name, Arc::clone(&self.switch), breaker, limits);
            Arc::new(gate.ordered(Arc::clone(&self.orders)))
        });
        wanted.0.insert(name.to_owned(), (Arc::clone(&gate), breaker, limits));
        gate
    }

    /// Takes what a configuration wants: from now on these are all gates, set like that.
    pub fn take(&self, wanted: &Wanted) {
        let mut all = self.lock();
        all.clear();
        for (name, (gate, breaker, limits)) in &wanted.0 {
            gate.set(*breaker, *limits);
            all.insert(name.clone(), Arc::clone(gate));
        }
    }

    /// All gates that were taken.
    pub fn all(&self) -> Vec<Arc<Gate>> {
        self.lock().values().map(Arc::clone).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Gate>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Wanted {
    /// Their names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

#[cfg(test)]
mod tests {
    use std::{num::NonZeroU32, time::Duration};

    use super::*;
    use crate::{
        breaker::{Phase, Seen},
        fixture::at,
        gate::Closed,
    };

    fn limits(requests: u32) -> Limits {
        let requests_per_minute = NonZeroU32::new(requests).unwrap();
        Limits { requests_per_minute, max_wait_seconds: 1, ..Limits::default() }
    }

    #[tokio::test]
    async fn a_reload_forgets_neither_an_open_breaker_nor_a_used_quota() {
        let gates = Gates::default();
        let settings = BreakerSettings { min_calls: 1, open_seconds: 600, ..BreakerSettings::default() };
        let mut first = Wanted::default();
        let gate = gates.want(&mut first, "us-east-1 m", settings, limits(2));
        assert!(Arc::ptr_eq(&gate, &gates.want(&mut first, "us-east-1 m", settings, limits(2))));
        gates.take(&first);
        gate.admit(at("02:00")).0.unwrap().report(at("02:00"), Seen::Failed, 0);
        for _ in 0..2 {
            assert_eq!(gate.turn(1).await, Ok(Duration::ZERO));
        }
        let mut second = Wanted::default();
        let again = gates.want(&mut second, "us-east-1 m", settings, limits(2));
        gates.want(&mut second, "us-west-2 m", settings, limits(2));
        // It was not taken: nothing is new.
        assert_eq!(gates.all().len(), 1);
        gates.take(&second);
        assert_eq!((again.phase(), gates.all().len()), (Phase::Open, 2));
        let too_long = Closed::Quota(Duration::from_secs(1));
        assert_eq!(again.turn(1).await, Err(too_long.clone()));
        // Another quota begins as used: what was sent before counts at the provider.
        let mut third = Wanted::default();
        gates.want(&mut third, "us-east-1 m", settings, limits(3));
        gates.take(&third);
        assert_eq!(again.turn(1).await, Err(too_long));
        assert_eq!((again.phase(), gates.all().len()), (Phase::Open, 1));
    }
}
