//! How often a caller may ask for approval by calling without a permit.
//!
//! Each such call has the desk plan at this server, and people read what comes of it. The desk has
//! limits of its own; this one keeps a caller in a loop from costing anybody else their answer. Looking
//! again whether a request was answered costs nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use jiff::{SignedDuration, Timestamp};
use midwatch_policy::RequestId;

/// What callers have asked for within the hour. Callers are known by name, so there are few.
#[derive(Debug, Default)]
pub(crate) struct Asks(Mutex<Book>);

#[derive(Debug, Default)]
struct Book {
    next: u64,
    of: BTreeMap<String, Vec<Asked>>,
}

#[derive(Debug)]
struct Asked {
    number: u64,
    at: Timestamp,
    request: Option<RequestId>,
}

/// One that was counted.
#[derive(Debug)]
pub(crate) struct Counted(u64);

impl Asks {
    fn book(&self) -> MutexGuard<'_, Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts one more; or, where the caller has had its share, since when it has.
    pub(crate) fn count(&self, caller: &str, now: Timestamp, most: u32) -> Result<Counted, Timestamp> {
        let hour_ago = now.checked_sub(SignedDuration::from_hours(1)).unwrap_or(Timestamp::MIN);
        let mut book = self.book();
        book.next += 1;
        let number = book.next;
        let own = book.of.entry(caller.to_owned()).or_default();
        own.retain(|asked| asked.at > hour_ago);
        match own.first() {
            Some(first) if own.len() >= usize::try_from(most).unwrap_or(usize::MAX) => Err(first.at),
            None if most == 0 => Err(now),
            _ => {
                own.push(Asked { number, at: now, request: None });
                Ok(Counted(number))
            }
        }
    }

    /// What it was answered with: a request that the caller knows already is taken off again.
    pub(crate) fn answered(&self, caller: &str, Counted(number): &Counted, request: &RequestId) {
        let mut book = self.book();
        let Some(own) = book.of.get_mut(caller) else { return };
        if own.iter().any(|asked| asked.request.as_ref() == Some(request)) {
            own.retain(|asked| asked.number != *number);
        } else if let Some(asked) = own.iter_mut().find(|asked| asked.number == *number) {
            asked.request = Some(request.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_226_400 + second).unwrap()
    }

    #[test]
    fn each_caller_has_a_share_of_its_own_within_an_hour() {
        let asks = Asks::default();
        for second in 0..3 {
            asks.count("a", at(second), 3).unwrap();
        }
        assert_eq!(asks.count("a", at(3), 3).unwrap_err(), at(0));
        assert!(asks.count("b", at(3), 3).is_ok());
        assert!(asks.count("a", at(3600), 3).is_ok(), "the first is an hour ago");
        assert!(asks.count("a", at(3600), 3).is_err());
        assert!(asks.count("c", at(0), 0).is_err());
    }

    #[test]
    fn looking_again_costs_nothing() {
        let asks = Asks::default();
        let request = |n: u32| RequestId::parse(format!("req-{n}")).unwrap();
        for second in 0..100 {
            let counted = asks.count("a", at(second), 2).unwrap();
            asks.answered("a", &counted, &request(1));
        }
        let counted = asks.count("a", at(100), 2).unwrap();
        asks.answered("a", &counted, &request(2));
        assert!(asks.count("a", at(101), 2).is_err());
    }
}
