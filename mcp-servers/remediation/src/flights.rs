//! How many calls of a caller are under way, and what is known of permits that were of no use.
//!
//! One act is made at a time, and a call that waits for its turn is a place that another waits behind. So
//! a caller has few places; and a permit that cannot be of use any more, or was presented again and again,
//! is refused before anything is read for it. Both are about cost alone: nothing acts because of them.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::Timestamp;
use midwatch_policy::Digest;

/// Most calls of one caller under way at once.
pub(crate) const AT_ONCE: u32 = 4;
/// How often a permit is looked at; an honest caller comes back a few times.
pub(crate) const LOOKS: u32 = 20;

/// Calls under way, by caller. Callers are known by name, so there are few.
#[derive(Debug, Default)]
pub(crate) struct Flights(Mutex<BTreeMap<String, u32>>);

/// A call's place, given back when the call ends.
#[derive(Debug)]
pub(crate) struct Flight<'a> {
    of: &'a Flights,
    caller: String,
}

impl Flights {
    /// A place for one more call; none where the caller has all of its places.
    pub(crate) fn begin(&self, caller: &str) -> Option<Flight<'_>> {
        let mut all = lock(&self.0);
        let under_way = all.entry(caller.to_owned()).or_default();
        if *under_way >= AT_ONCE {
            return None;
        }
        *under_way += 1;
        Some(Flight { of: self, caller: caller.to_owned() })
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        let mut all = lock(&self.of.0);
        if let Some(under_way) = all.get_mut(&self.caller) {
            *under_way = under_way.saturating_sub(1);
            if *under_way == 0 {
                all.remove(&self.caller);
            }
        }
    }
}

/// What is known of permits that were presented, by the digest of the signed text, until they end.
#[derive(Debug, Default)]
pub(crate) struct Presented(Mutex<BTreeMap<String, Known>>);

#[derive(Debug)]
struct Known {
    looks: u32,
    /// Why it is of no use any more.
    stale: Option<String>,
    ends: Timestamp,
}

/// Why a permit is not looked at again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Useless {
    /// The target had changed: it was approved for something that is no more.
    Stale(String),
    /// It was presented too often.
    WornOut,
}

impl Presented {
    /// Counts a look at a permit that was verified and is good until then; or says why none is taken.
    pub(crate) fn look(&self, token: &str, ends: Timestamp, now: Timestamp) -> Result<(), Useless> {
        let mut all = lock(&self.0);
        all.retain(|_, known| now < known.ends);
        let known = all.entry(key(token)).or_insert(Known { looks: 0, stale: None, ends });
        if let Some(why) = &known.stale {
            return Err(Useless::Stale(why.clone()));
        }
        if known.looks >= LOOKS {
            return Err(Useless::WornOut);
        }
        known.looks += 1;
        Ok(())
    }

    /// Whether it is still of use: it may have been found stale while this call waited.
    pub(crate) fn stands(&self, token: &str) -> Result<(), Useless> {
        match lock(&self.0).get(&key(token)).and_then(|known| known.stale.clone()) {
            Some(why) => Err(Useless::Stale(why)),
            None => Ok(()),
        }
    }

    /// Remembers that the target has changed since it was approved.
    pub(crate) fn stale(&self, token: &str, why: &str) {
        if let Some(known) = lock(&self.0).get_mut(&key(token)) {
            known.stale = Some(why.to_owned());
        }
    }
}

/// The signed text itself is kept nowhere.
fn key(token: &str) -> String {
    Digest::of(token.as_bytes()).to_string()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_caller_has_a_few_places_and_gives_them_back() {
        let flights = Flights::default();
        let mut held: Vec<_> = (0..AT_ONCE).map(|_| flights.begin("a").unwrap()).collect();
        assert!(flights.begin("a").is_none());
        assert!(flights.begin("b").is_some(), "another has places of its own");
        held.pop();
        let last = flights.begin("a").unwrap();
        assert!(flights.begin("a").is_none());
        drop((held, last));
        assert!(lock(&flights.0).is_empty(), "nothing is kept of who is gone");
    }

    #[test]
    fn what_is_stale_or_worn_out_is_not_looked_at_until_it_has_ended() {
        let at = |second: i64| Timestamp::from_second(1_795_226_400 + second).unwrap();
        let presented = Presented::default();
        assert_eq!(presented.look("one", at(600), at(0)), Ok(()));
        presented.stale("one", "4 is 5");
        assert_eq!(presented.look("one", at(600), at(1)), Err(Useless::Stale("4 is 5".to_owned())));
        for _ in 0..LOOKS {
            assert_eq!(presented.look("two", at(600), at(1)), Ok(()));
        }
        assert_eq!(presented.look("two", at(600), at(1)), Err(Useless::WornOut));
        presented.stale("never presented", "");
        assert_eq!(presented.look("three", at(900), at(600)), Ok(()));
        assert_eq!(lock(&presented.0).len(), 1, "what has ended is forgotten");
    }
}
