//! The only way domain code sees time.
//!
//! The stepped world of the demo, the system clock and the fixed clock of a test are all clocks.
//! Tokio's time is for I/O time-outs and nothing else.

use std::{future::Future, pin::Pin, time::Duration};

use jiff::Timestamp;

/// A source of time that can also be waited on.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The time now.
    fn now(&self) -> Timestamp;

    /// How long this clock has been running. Unlike [`now`](Self::now) it never steps, and says nothing of
    /// the time of day: for how long ago something was in this process.
    fn running(&self) -> Duration {
        Duration::from_millis(self.now().as_millisecond().unsigned_abs())
    }

    /// Resolves once `span` has passed on this clock. A stepped world moves when it is waited on.
    fn sleep<'a>(&'a self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
}

/// A clock that stands still, for tests and for replaying a journal.
#[derive(Debug, Clone, Copy)]
pub struct FixedClock(pub Timestamp);

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        self.0
    }

    fn sleep<'a>(&'a self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(std::future::ready(()))
    }
}
