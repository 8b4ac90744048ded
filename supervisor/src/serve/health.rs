//! Whether the daemon does its work: what is wrong now, and since when nothing was looked at.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

/// How long a part that was started anew stays red.
const SHAKEN: Duration = Duration::from_mins(5);
/// How long nothing may be looked at before the process counts as stuck.
const STUCK: Duration = Duration::from_mins(3);

/// Whether it does its work. Times are how long the clock [has been running](midwatch_policy::Clock::running): a clock
/// that is set does not make it stuck, nor well.
#[derive(Debug)]
pub(super) struct Health {
    /// Everything is started, and nothing told to stop.
    up: AtomicBool,
    /// What is wrong, by the part that is, and until when that is said.
    troubles: Mutex<BTreeMap<&'static str, (String, Option<Duration>)>>,
    /// When its parts were last looked at, in milliseconds.
    looked: AtomicU64,
}

impl Health {
    /// Starting.
    pub(super) fn new(now: Duration) -> Self {
        let looked = AtomicU64::new(millis(now));
        Self { up: AtomicBool::new(false), troubles: Mutex::default(), looked }
    }

    /// Started, or told to stop.
    pub(super) fn set_up(&self, up: bool) {
        self.up.store(up, Ordering::Relaxed);
    }

    pub(super) fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }

    /// Whether a part does its work, as was just seen.
    pub(super) fn seen(&self, part: &'static str, result: Result<(), String>) {
        let mut troubles = self.lock();
        match result {
            Ok(()) => drop(troubles.remove(part)),
            Err(why) => drop(troubles.insert(part, (why, None))),
        }
    }

    /// A part broke off, and is started anew.
    pub(super) fn broke(&self, part: &'static str, why: String, now: Duration) {
        let until = now.saturating_add(SHAKEN);
        self.lock().insert(part, (why, Some(until)));
    }

    /// What is wrong now.
    pub(super) fn troubles(&self, now: Duration) -> Vec<String> {
        let mut troubles = self.lock();
        troubles.retain(|_, (_, until)| until.is_none_or(|until| now < until));
        troubles.iter().map(|(part, (why, _))| format!("{part}: {why}")).collect()
    }

    /// Everything was looked at.
    pub(super) fn looked(&self, now: Duration) {
        self.looked.store(millis(now), Ordering::Relaxed);
    }

    /// Whether somebody still looks.
    pub(super) fn is_alive(&self, now: Duration) -> bool {
        now.saturating_sub(Duration::from_millis(self.looked.load(Ordering::Relaxed))) < STUCK
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<&'static str, (String, Option<Duration>)>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Duration {
        Duration::from_secs(3_600 + second)
    }

    #[test]
    fn what_is_mended_is_green_at_once_and_what_broke_off_after_a_while() {
        let health = Health::new(at(0));
        health.seen("the inbox", Err("full".to_owned()));
        health.broke("the porter", "it broke off".to_owned(), at(0));
        assert_eq!(health.troubles(at(1)), ["the inbox: full", "the porter: it broke off"]);
        health.seen("the inbox", Ok(()));
        assert_eq!(health.troubles(at(299)).len(), 1);
        assert_eq!(health.troubles(at(300)).len(), 0);
    }

    #[test]
    fn who_is_not_looked_after_for_long_is_not_alive() {
        let health = Health::new(at(0));
        assert!(health.is_alive(at(179)) && !health.is_alive(at(180)));
        health.looked(at(180));
        assert!(health.is_alive(at(359)) && !health.is_alive(at(360)));
    }
}
