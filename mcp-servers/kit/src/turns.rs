//! How long calls waited for a turn, by API. The rates are kept on our side, so nobody but us knows.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// What waiting came to; all clones are one.
#[derive(Debug, Clone, Default)]
pub struct Turns(Arc<Mutex<BTreeMap<String, Waited>>>);

/// How long calls of one API waited.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Waited {
    /// How many waited.
    pub calls: u64,
    /// For how long, together.
    pub time: Duration,
}

impl Turns {
    /// A call of an API, such as `logs:StartQuery`, waited, whether it had its turn in the end or not.
    pub fn waited(&self, api: &str, time: Duration) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waited) = all.get_mut(api) {
            waited.calls = waited.calls.saturating_add(1);
            waited.time = waited.time.saturating_add(time);
        } else {
            all.insert(api.to_owned(), Waited { calls: 1, time });
        }
    }

    /// Each API that was waited for.
    pub fn all(&self) -> Vec<(String, Waited)> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().map(|(api, waited)| (api.clone(), *waited)).collect()
    }
}
