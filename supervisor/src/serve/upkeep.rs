//! Parts of the daemon that have to run as long as it does.
//!
//! INVARIANT: one that breaks off, or ends by itself, is seen: it is started anew after a while,
//! and the daemon is red meanwhile and for some minutes after.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use midwatch_policy::Clock;
use tokio_util::sync::CancellationToken;

use super::health::Health;

/// The first and longest pause before a part is started anew.
const PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_mins(1));

/// What keeps parts up.
#[derive(Debug, Clone)]
pub(super) struct Upkeep {
    pub(super) health: Arc<Health>,
    pub(super) clock: Arc<dyn Clock>,
}

impl Upkeep {
    /// Runs a part until it ends after `stop`. What it needs is `state`, which outlives a run that
    /// broke off.
    pub(super) async fn keep<T: Send>(
        self,
        part: &'static str,
        stop: CancellationToken,
        mut state: T,
        run: impl for<'a> Fn(&'a mut T) -> BoxFuture<'a, ()> + Send,
    ) {
        let mut pause = PAUSE.0;
        loop {
            let ended = AssertUnwindSafe(run(&mut state)).catch_unwind().await;
            if stop.is_cancelled() {
                return;
            }
            let why = match ended {
                Ok(()) => "it ended by itself and is started anew",
                Err(_) => "a defect in Midwatch: it broke off and is started anew",
            };
            tracing::error!(part, why, "a part of the daemon does not run");
            self.health.broke(part, why.to_owned(), self.clock.running());
            tokio::select! { () = stop.cancelled() => {}, () = self.clock.sleep(pause) => {} }
            pause = (pause * 2).min(PAUSE.1);
        }
    }
}

#[cfg(test)]
mod tests {
    use midwatch_mcp::SystemClock;

    use super::*;

    #[tokio::test]
    async fn a_part_that_breaks_off_or_ends_is_started_anew_with_what_it_had_and_is_red() {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let health = Arc::new(Health::new(clock.running()));
        let upkeep = Upkeep { health: Arc::clone(&health), clock: Arc::clone(&clock) };
        let stop = CancellationToken::new();
        let told = stop.clone();
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let kept = upkeep.keep("it", stop, (0, sender, told), |(count, sender, told)| {
            Box::pin(async move {
                *count += 1;
                sender.send(*count).unwrap();
                match *count {
                    1 => panic!("it breaks off"),
                    2 => {}
                    _ => told.cancel(),
                }
            })
        });
        tokio::time::timeout(Duration::from_secs(20), kept).await.unwrap();
        assert_eq!(
            [receiver.recv().await, receiver.recv().await, receiver.recv().await],
            [Some(1), Some(2), Some(3)]
        );
        let now = clock.running();
        assert_eq!(health.troubles(now), ["it: it ended by itself and is started anew"]);
        assert!(health.troubles(now + Duration::from_mins(6)).is_empty());
    }
}
