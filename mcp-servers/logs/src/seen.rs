//! Events that were shown, so that they can be asked for by their `ref`.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use midwatch_policy::Timestamp;

use crate::scope::Source;

/// Events that are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 5000;

/// Where an event is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) source: Source,
    pub(crate) stream: String,
    pub(crate) at: Timestamp,
}

/// What a server has shown. Shared by its clones.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen(Arc<Mutex<Memory>>);

#[derive(Debug, Default)]
struct Memory {
    places: HashMap<String, Place>,
    order: VecDeque<String>,
}

impl Seen {
    pub(crate) fn note(&self, reference: &str, place: Place) {
        let mut memory = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if memory.places.insert(reference.to_owned(), place).is_none() {
            memory.order.push_back(reference.to_owned());
        }
        if memory.order.len() > REMEMBERED
            && let Some(oldest) = memory.order.pop_front()
        {
            memory.places.remove(&oldest);
        }
    }

    pub(crate) fn place(&self, reference: &str) -> Option<Place> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).places.get(reference).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_is_forgotten_first() {
        let seen = Seen::default();
        let place = |n: usize| Place {
            source: Source::own(&n.to_string()),
            stream: String::new(),
            at: Timestamp::UNIX_EPOCH,
        };
        for n in 0..=REMEMBERED {
            seen.note(&n.to_string(), place(n));
            seen.note(&n.to_string(), place(n));
        }
        assert_eq!(seen.place("0"), None);
        assert_eq!(seen.place("1"), Some(place(1)));
        assert_eq!(seen.place(&REMEMBERED.to_string()), Some(place(REMEMBERED)));
    }
}
