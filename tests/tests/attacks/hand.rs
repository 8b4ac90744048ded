//! The world's clock, moved by hand: forwards, and backwards as no honest clock moves.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use midwatch_policy::{Clock, SignedDuration, Timestamp};

#[derive(Debug)]
pub(crate) struct Hand {
    base: Arc<dyn Clock>,
    by: AtomicI64,
}

impl Hand {
    pub(crate) fn on(base: Arc<dyn Clock>) -> Self {
        Self { base, by: AtomicI64::new(0) }
    }

    /// Moves it by so many seconds.
    pub(crate) fn move_by(&self, seconds: i64) {
        self.by.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        let by = SignedDuration::from_secs(self.by.load(Ordering::SeqCst));
        self.base.now().checked_add(by).unwrap()
    }

    /// Real time: nothing here waits for the world, and waiting must not move it.
    fn sleep<'a>(&'a self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(tokio::time::sleep(span))
    }
}
