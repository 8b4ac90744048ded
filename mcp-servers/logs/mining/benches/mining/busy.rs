//! Time that this thread was on a core. Others on the machine do not change it.

use std::time::Instant;

#[derive(Debug, Clone, Copy)]
pub(crate) struct Busy {
    on_core: Option<u64>,
    begun: Instant,
}

impl Busy {
    pub(crate) fn now() -> Self {
        Self { on_core: on_core_ns(), begun: Instant::now() }
    }

    /// Seconds since; by the clock on the wall where the system does not say.
    pub(crate) fn seconds(self) -> f64 {
        match (self.on_core, on_core_ns()) {
            (Some(from), Some(to)) if to > from => (to - from) as f64 / 1e9,
            _ => self.begun.elapsed().as_secs_f64(),
        }
    }
}

/// Nanoseconds this thread has been on a core.
fn on_core_ns() -> Option<u64> {
    std::fs::read_to_string("/proc/thread-self/schedstat").ok()?.split_whitespace().next()?.parse().ok()
}
