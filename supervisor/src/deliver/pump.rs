//! The pump: takes what is due out of the outbox, sends it, writes down what became of it.
//!
//! INVARIANT: what was taken comes to a result, whatever its channel does: an attempt has a
//! deadline, a panic is a failed attempt, and a result that cannot be written is written again
//! until it can.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures::FutureExt as _;
use midwatch_policy::{SignedDuration, Timestamp};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{
    Inner, OutboxError, Parcel, Said, Setup,
    chain::{Input, Perhaps, Try},
    channel::DEADLINE,
    heartbeat::Organ,
    outbox::Claimed,
};
use crate::passed::Passed;

/// Longest sleep: in this time what another process did (an acknowledgement) is seen.
const LONGEST: Duration = Duration::from_secs(2);
/// Shortest sleep, where something is due that cannot leave yet.
const SHORTEST: Duration = Duration::from_millis(200);
/// How long an outbox that does not work is left alone.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is tried whether the outbox can be written.
const TOUCH: SignedDuration = SignedDuration::from_secs(15);
/// How often what ended long ago is taken away.
const PRUNE: SignedDuration = SignedDuration::from_hours(1);
/// Deadline of an attempt, beyond the channel's own: the last resort.
const LAST_RESORT: Duration = DEADLINE.saturating_mul(3);

/// When something was done that is done from time to time.
#[derive(Default)]
struct Did {
    touched: Timestamp,
    pruned: Timestamp,
    /// The time by which something is old; known once the outbox could be read.
    passed: Option<Passed>,
}

/// Pumps until it is told to stop.
pub(super) async fn run(inner: Arc<Inner>) {
    let mut did = Did::default();
    while !inner.stop.is_cancelled() {
        let sleep = match AssertUnwindSafe(turn(&inner, &mut did)).catch_unwind().await {
            Ok(Ok(sleep)) => {
                inner.well();
                inner.pulse.beat(Organ::Outbox);
                sleep
            }
            Ok(Err(error)) => {
                inner.unwell(&error);
                PAUSE
            }
            Err(_) => {
                tracing::error!("a defect in Midwatch: a turn of the outbox ended in a panic");
                PAUSE
            }
        };
        tokio::select! {
            () = inner.stop.cancelled() => {}
            () = inner.wake.notified() => {}
            () = inner.clock.sleep(sleep) => {}
        }
    }
}

/// One turn; says how long to sleep after it.
async fn turn(inner: &Arc<Inner>, did: &mut Did) -> Result<Duration, OutboxError> {
    let Did { touched, pruned, passed } = did;
    let (now, running) = (inner.clock.now(), inner.clock.running());
    let passed = match passed {
        Some(passed) => passed,
        None => passed.insert(Passed::since(inner.outbox.touched().await?, now, running)),
    };
    let passed = passed.now(now, running);
    // A turn may find nothing to write; that there is room for what comes is shown all the same.
    if now.duration_since(*touched).abs() >= TOUCH {
        inner.outbox.touch(passed).await?;
        *touched = now;
    }
    if now.duration_since(*pruned).abs() >= PRUNE {
        inner.outbox.prune(passed).await?;
        *pruned = now;
    }
    inner.outbox.pass(inner.clock.now()).await?;
    inner.overdue("Midwatch has not come to one, or is stuck").await?;
    let setup = inner.setup();
    for channel in inner.outbox.due_channels(inner.clock.now()).await? {
        let gone = Arc::new(Semaphore::new(1));
        let gate = setup.gates.get(&channel).unwrap_or(&gone);
        let free = gate.available_permits();
        if free == 0 || inner.stop.is_cancelled() {
            continue;
        }
        for claimed in inner.outbox.claim(&channel, free, inner.clock.now()).await? {
            // Only this task takes permits, so there is one for each.
            let permit = Arc::clone(gate).try_acquire_owned().ok();
            inner.tasks.spawn(deliver(Arc::clone(inner), Arc::clone(&setup), claimed, permit));
        }
    }
    let now = inner.clock.now();
    let next = inner.outbox.next_due().await?;
    let until = next.map_or(LONGEST, |next| Duration::try_from(next.duration_since(now)).unwrap_or_default());
    Ok(until.clamp(SHORTEST, LONGEST))
}

async fn deliver(
    inner: Arc<Inner>,
    setup: Arc<Setup>,
    claimed: Claimed,
    permit: Option<OwnedSemaphorePermit>,
) {
    let Claimed { seq, channel, attempt, notice, key } = claimed;
    let said = match setup.config.channels.get(&channel) {
        None => Said::Never { problem: "the configuration has no such channel any more".to_owned() },
        Some(way) => {
            let parcel = Parcel { notice: &notice, key: &key, now: inner.clock.now() };
            let sending = AssertUnwindSafe(way.channel.send(&inner.http, parcel)).catch_unwind();
            match tokio::time::timeout(LAST_RESORT, sending).await {
                Ok(Ok(said)) => said,
                Ok(Err(_)) => lost("a defect in Midwatch: sending ended in a panic"),
                Err(_) => lost("no answer in time"),
            }
        }
    };
    let input = input(attempt, said);
    while let Err(error) = inner.outbox.result(seq, input.clone(), inner.clock.now()).await {
        inner.unwell(&error);
        if inner.stop.is_cancelled() {
            // After the next start it is sent again, under the same key.
            return;
        }
        inner.clock.sleep(PAUSE).await;
    }
    drop(permit);
    inner.wake.notify_one();
}

fn lost(problem: &str) -> Said {
    Said::NotNow { perhaps: Perhaps::Has, retry_after: None, problem: problem.to_owned() }
}

fn input(attempt: Try, said: Said) -> Input {
    match said {
        Said::Taken => Input::Taken(attempt),
        Said::NotNow { perhaps, retry_after, problem } => {
            let jitter = rand::random::<u16>() % 1001;
            Input::NotNow { attempt, perhaps, retry_after, jitter, problem }
        }
        Said::Never { problem } => Input::Never { attempt, problem },
    }
}
