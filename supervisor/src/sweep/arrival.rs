//! What arrived, given on in the order of the plan.

use std::collections::BTreeMap;

use midwatch_agents::{evidence::Origin, tools::ToolFailure};
use serde_json::Value;

use super::Ask;

/// An answer to one ask, or that there is none.
#[derive(Debug)]
pub(super) struct Arrived {
    /// What was asked.
    pub(super) ask: Ask,
    /// How long it took, on the incident's clock.
    pub(super) ms: u64,
    /// What came.
    pub(super) outcome: Result<(Origin, Value), ToolFailure>,
}

/// Holds what arrives before its turn.
#[derive(Debug)]
pub(super) struct Arrivals<T = Arrived> {
    held: BTreeMap<usize, T>,
    next: usize,
    count: usize,
}

impl<T> Default for Arrivals<T> {
    fn default() -> Self {
        Self { held: BTreeMap::new(), next: 0, count: 0 }
    }
}

impl<T> Arrivals<T> {
    /// Takes one, by its place in the plan.
    pub(super) fn hold(&mut self, at: usize, one: T) {
        self.count += 1;
        self.held.insert(at, one);
    }

    /// How many have arrived.
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// How many of them wait for their turn.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Those whose turn it is: all before them are given on already.
    pub(super) fn in_order(&mut self) -> Vec<T> {
        let mut ready = Vec::new();
        while let Some(first) = self.held.first_entry().filter(|first| *first.key() <= self.next) {
            self.next = self.next.max(first.key() + 1);
            ready.push(first.remove());
        }
        ready
    }

    /// All that are there: nobody waits any longer for those before them.
    pub(super) fn all(&mut self) -> Vec<T> {
        self.next = self.held.last_key_value().map_or(self.next, |(last, _)| self.next.max(last + 1));
        std::mem::take(&mut self.held).into_values().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_order_of_arrival_the_order_of_the_plan_comes_out() {
        for order in [[0, 1, 2, 3], [3, 2, 1, 0], [2, 0, 3, 1]] {
            let mut arrivals = Arrivals::default();
            let mut out = Vec::new();
            for at in order {
                arrivals.hold(at, at);
                out.extend(arrivals.in_order());
            }
            assert_eq!((out, arrivals.count()), (vec![0, 1, 2, 3], 4), "{order:?}");
        }
    }

    #[test]
    fn a_late_one_does_not_hold_up_what_is_needed_now() {
        let mut arrivals = Arrivals::default();
        arrivals.hold(1, 1);
        arrivals.hold(3, 3);
        assert_eq!(arrivals.in_order(), Vec::<i32>::new());
        assert_eq!(arrivals.all(), [1, 3]);
        arrivals.hold(0, 0);
        assert_eq!(arrivals.in_order(), [0]);
        arrivals.hold(4, 4);
        assert_eq!(arrivals.in_order(), [4]);
    }
}
