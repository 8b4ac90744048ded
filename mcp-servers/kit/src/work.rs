//! What is under way in a server, and how it ends: nothing new is taken, the calls under way get a grace, then
//! those that only read are cut off. What has to reach its end even so (an act, stopping a query at AWS that would
//! scan on and cost) is awaited: a task of the runtime dies with the process, in the middle.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{
    sync::CancellationToken,
    task::{TaskTracker, task_tracker::TaskTrackerToken},
};

/// How long calls under way may go on once a server was asked to end, where nobody says another time.
pub const GRACE: Duration = Duration::from_secs(25);
/// How long what was cut off, and what is never cut off, may take to its end. Each has a deadline of its own below
/// this.
const LAST: Duration = Duration::from_mins(1);

/// What is under way in one server. Clones are of the same.
#[derive(Debug, Clone, Default)]
pub struct Work {
    under_way: TaskTracker,
    closing: CancellationToken,
    cut: CancellationToken,
}

impl Work {
    /// Runs it on the runtime; the process does not end before it has.
    pub fn spawn<F>(&self, task: F) -> JoinHandle<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        self.under_way.spawn(task)
    }

    /// Whether nothing new is taken any more.
    pub fn is_closing(&self) -> bool {
        self.closing.is_cancelled()
    }

    /// Ends when the grace is over: who has begun nothing yet does not begin.
    pub async fn is_cut_off(&self) {
        self.cut.cancelled().await;
    }

    /// The grace is over, now.
    pub fn cut_off(&self) {
        self.closing.cancel();
        self.cut.cancel();
    }

    /// Something is under way while this is held.
    pub(crate) fn hold(&self) -> TaskTrackerToken {
        self.under_way.token()
    }

    /// Takes nothing new, and ends when nothing is under way.
    pub async fn drain(&self, grace: Duration) {
        self.closing.cancel();
        self.under_way.close();
        if !self.under_way.is_empty() {
            tracing::info!(
                under_way = self.under_way.len(),
                grace_seconds = grace.as_secs(),
                "no new calls are taken"
            );
        }
        tokio::select! {
            biased;
            () = self.under_way.wait() => return self.cut_off(),
            () = self.is_cut_off() => {}
            () = tokio::time::sleep(grace) => {}
        }
        self.cut_off();
        tracing::warn!(under_way = self.under_way.len(), "the calls under way were cut off");
        if tokio::time::timeout(LAST, self.under_way.wait()).await.is_err() {
            tracing::error!(under_way = self.under_way.len(), "what is under way came to no end in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn what_was_begun_is_awaited_and_the_grace_can_be_cut_short() {
        let work = Work::default();
        work.drain(GRACE).await;
        assert!(work.is_closing(), "nothing was under way");

        let (work, ended) = (Work::default(), Arc::new(AtomicBool::new(false)));
        let (of, told) = (work.clone(), Arc::clone(&ended));
        work.spawn(async move {
            of.is_cut_off().await;
            tokio::time::sleep(Duration::from_millis(100)).await;
            told.store(true, Ordering::SeqCst);
        });
        let draining = tokio::spawn({
            let work = work.clone();
            async move { work.drain(GRACE).await }
        });
        tokio::time::sleep(Duration::from_millis(50)).await;
        assert!(work.is_closing() && !draining.is_finished());
        work.cut_off();
        tokio::time::timeout(GRACE / 2, draining).await.expect("the grace is over").unwrap();
        assert!(ended.load(Ordering::SeqCst), "what was begun was brought to its end");
    }
}
