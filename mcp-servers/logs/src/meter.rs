//! What one call may have Logs Insights scan, and what it did.
//!
//! INVARIANT: no query begins unless what it is expected to scan is taken from the bound before,
//! together with all other queries of the call, or what they scanned where that is more; one that scans more than was expected is stopped
//! once all of them together have passed the bound.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicU64, Ordering},
};

use midwatch_mcp::{ErrorKind, Spent, ToolError};

/// The meter of one call; all clones are one.
#[derive(Debug, Clone)]
pub(crate) struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    bound: u64,
    taken: AtomicU64,
    scanned: AtomicU64,
    is_cut: AtomicBool,
}

impl Meter {
    /// Nothing scanned, and so many bytes at most.
    pub(crate) fn new(bound: u64) -> Self {
        let (taken, scanned, is_cut) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
        Self(Arc::new(Inner { bound, taken, scanned, is_cut }))
    }

    /// Bytes that may be scanned at most.
    pub(crate) fn bound(&self) -> u64 {
        self.0.bound
    }

    /// Bytes that are neither taken yet nor scanned beyond what was taken.
    pub(crate) fn left(&self) -> u64 {
        let Inner { bound, taken, scanned, .. } = &*self.0;
        bound.saturating_sub(taken.load(Ordering::Relaxed).max(scanned.load(Ordering::Relaxed)))
    }

    /// Takes so many bytes for a query, if they are left.
    pub(crate) fn take(&self, bytes: u64) -> bool {
        let Inner { bound, taken, scanned, .. } = &*self.0;
        // What scanned more than it took counts with what it scanned.
        let scanned = scanned.load(Ordering::Relaxed);
        let fits = |before: u64| before.max(scanned).checked_add(bytes).filter(|after| after <= bound);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok()
    }

    /// So many bytes more were scanned. Says whether the bound is passed.
    pub(crate) fn scanned(&self, more: u64) -> bool {
        let before = self.0.scanned.fetch_add(more, Ordering::Relaxed);
        before.saturating_add(more) > self.0.bound
    }

    /// A query was left before it said what it came to.
    pub(crate) fn cut(&self) {
        self.0.is_cut.store(true, Ordering::Relaxed);
    }

    /// What the call cost; not known once a query was cut, unless it is more than was allowed.
    pub(crate) fn spent(&self) -> Option<Spent> {
        let bytes_scanned = self.0.scanned.load(Ordering::Relaxed);
        let known = !self.0.is_cut.load(Ordering::Relaxed) || bytes_scanned > self.0.bound;
        known.then(|| Spent { bytes_scanned, ..Spent::default() })
    }

    /// An error with what the call cost before it. What cost something, or may have, was not refused.
    pub(crate) fn on(&self, error: ToolError) -> ToolError {
        let spent = self.spent();
        let is_free = spent == Some(Spent::default());
        let kind = match error.kind {
            ErrorKind::Refused | ErrorKind::Invalid | ErrorKind::NotFound if !is_free => {
                ErrorKind::Unavailable
            }
            kind => kind,
        };
        ToolError { kind, ..error }.after(spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queries_share_one_bound() {
        let meter = Meter::new(100);
        assert!(meter.take(60) && !meter.take(41) && meter.take(40) && !meter.take(1));
        assert!(meter.take(0) && !meter.take(u64::MAX));
        assert_eq!(meter.left(), 0);
    }

    #[test]
    fn what_scanned_more_than_it_took_leaves_less_to_the_next() {
        let meter = Meter::new(100);
        assert!(meter.take(10) && !meter.scanned(70));
        assert_eq!(meter.left(), 30);
        assert!(!meter.take(31) && meter.take(30) && !meter.take(1));
        // Past the bound nothing begins any more.
        let meter = Meter::new(100);
        assert!(meter.take(10) && meter.scanned(101) && !meter.take(0));
        assert_eq!(meter.left(), 0);
    }

    #[test]
    fn what_was_cut_is_not_known_unless_it_is_too_much_already() {
        let meter = Meter::new(100);
        assert!(!meter.scanned(100));
        assert_eq!(meter.spent().unwrap().bytes_scanned, 100);
        meter.cut();
        assert_eq!(meter.spent(), None);
        assert!(meter.clone().scanned(1));
        assert_eq!(meter.spent().unwrap().bytes_scanned, 101);
    }

    #[test]
    fn what_may_have_cost_something_was_not_refused() {
        let refused = || ToolError::refused("too dear", "ask for less");
        let meter = Meter::new(100);
        let free = meter.on(refused());
        assert_eq!((free.kind, free.spent), (ErrorKind::Refused, Some(Spent::default())));
        meter.cut();
        let unknown = meter.on(refused());
        assert_eq!((unknown.kind, unknown.spent), (ErrorKind::Unavailable, None));
    }
}
