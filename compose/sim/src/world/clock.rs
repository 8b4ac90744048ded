//! The stepped clock, and the driver that moves it.
//!
//! The world stands still while anything computes. Whoever waits (a caller of `sleep`, an API
//! call with its latency) puts a timer into one queue; when nothing has happened for a moment,
//! the driver moves the world to the earliest timer, and everything scripted on the way happens
//! in order. So calls that are made together overlap, and of two waiters the earlier one is woken
//! first whatever order they came in.
//!
//! Rejected: letting each sleeper move the clock by itself. Two polls side by side would add up
//! their waits, and a deadline beside some work would fire at once.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    time::Duration,
};

use jiff::Timestamp;
use midwatch_policy::Clock;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{State, quiet};
use crate::wire::{Misbehaviour, Request};

/// How long nothing may happen before the world moves.
const IDLE: Duration = Duration::from_millis(2);
/// The same before a long wait, which may be a deadline beside work that is still computing.
const IDLE_BEFORE_LONG: Duration = Duration::from_millis(20);
const LONG_MS: i64 = 120_000;
/// Rounds in which everything that is ready runs before the world moves.
const POLLS: u32 = 32;
/// How much processor time may pass while a computing process holds the world still, in ticks of a
/// hundredth of a second; after it the world moves all the same: what computes for so long is
/// hardly part of the incident.
const PATIENCE: u64 = 2_000;
/// How often the world catches up with real time while it runs at 1×.
const TICK: Duration = Duration::from_millis(50);

#[derive(Debug)]
struct Timer {
    at_ms: i64,
    order: u64,
    wake: oneshot::Sender<()>,
}

#[derive(Debug, Default)]
struct Timers {
    waiting: Vec<Timer>,
    /// Grows with everything that happens; the driver watches it to tell whether all is quiet.
    activity: u64,
    /// How many guards ask for real time, and where real time and world time were last equal.
    real: u32,
    anchor: Option<(Instant, i64)>,
}

#[derive(Debug)]
struct Inner {
    state: State,
    timers: Timers,
}

/// The world as its clock, its driver and its server share it.
#[derive(Debug)]
pub(crate) struct Shared {
    inner: Mutex<Inner>,
    changed: Notify,
}

impl Shared {
    pub(crate) fn new(state: State) -> Arc<Self> {
        let inner = Inner { state, timers: Timers::default() };
        Arc::new(Self { inner: Mutex::new(inner), changed: Notify::new() })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((real, world_ms)) = inner.timers.anchor {
            let passed = i64::try_from(real.elapsed().as_millis()).unwrap_or(i64::MAX);
            inner.state.advance_to(world_ms.saturating_add(passed));
        }
        inner
    }

    /// Looks at or changes the state of the world.
    pub(crate) fn with<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.lock().state)
    }

    pub(crate) fn request_id(&self) -> String {
        self.with(State::next_request_id)
    }

    /// A call arrives: how long it takes, and what goes wrong with it.
    pub(crate) fn arrive(&self, request: &Request) -> (i64, Option<Misbehaviour>) {
        let mut inner = self.lock();
        inner.timers.activity += 1;
        inner.state.arrive(request)
    }

    /// Waits until `ms` have passed in the world.
    pub(crate) async fn pass(&self, ms: i64) {
        if ms <= 0 {
            return;
        }
        let woken = {
            let mut inner = self.lock();
            let (wake, woken) = oneshot::channel();
            let at_ms = inner.state.now_ms().saturating_add(ms);
            inner.timers.activity += 1;
            let order = inner.timers.activity;
            inner.timers.waiting.push(Timer { at_ms, order, wake });
            woken
        };
        self.changed.notify_one();
        // The sender is only dropped unsent when the world ends: then there is no time to wait for.
        let _ = woken.await;
    }

    fn set_real(&self, change: impl FnOnce(u32) -> u32) {
        let mut inner = self.lock();
        inner.timers.real = change(inner.timers.real);
        let now_ms = inner.state.now_ms();
        inner.timers.anchor = (inner.timers.real > 0).then(|| (Instant::now(), now_ms));
        inner.timers.activity += 1;
        drop(inner);
        self.changed.notify_one();
    }

    /// When the next timer is due, whether the world runs at 1×, and how much has happened.
    fn next(&self) -> Option<(i64, i64, bool, u64)> {
        let mut inner = self.lock();
        inner.timers.waiting.retain(|timer| !timer.wake.is_closed());
        let at = inner.timers.waiting.iter().map(|timer| timer.at_ms).min()?;
        Some((at, inner.state.now_ms(), inner.timers.anchor.is_some(), inner.timers.activity))
    }

    /// Moves the world to `at_ms` (at 1× it has moved by itself) and wakes who waited for it,
    /// unless something happened since `activity` was read.
    fn fire(&self, at_ms: i64, activity: u64) {
        let mut inner = self.lock();
        if inner.timers.anchor.is_none() {
            if inner.timers.activity != activity {
                return;
            }
            // Whoever waited for this moment may have gone meanwhile: nobody waits for it then.
            inner.timers.waiting.retain(|timer| !timer.wake.is_closed());
            if !inner.timers.waiting.iter().any(|timer| timer.at_ms <= at_ms) {
                return;
            }
            inner.state.advance_to(at_ms);
        }
        let now_ms = inner.state.now_ms();
        let (mut due, waiting): (Vec<_>, Vec<_>) =
            inner.timers.waiting.drain(..).partition(|timer| timer.at_ms <= now_ms);
        inner.timers.waiting = waiting;
        due.sort_by_key(|timer| (timer.at_ms, timer.order));
        for timer in due {
            let _ = timer.wake.send(());
        }
    }
}

/// Moves the world for as long as somebody holds it.
pub(crate) async fn drive(shared: Weak<Shared>) {
    // The processor time when the world moved last.
    let mut moved = None;
    loop {
        let Some(world) = shared.upgrade() else { return };
        match world.next() {
            None => world.changed.notified().await,
            Some((at_ms, now_ms, true, activity)) => {
                let left = Duration::from_millis(u64::try_from(at_ms - now_ms).unwrap_or(0));
                let _ = tokio::time::timeout(left.min(TICK), world.changed.notified()).await;
                world.fire(at_ms, activity);
            }
            Some((at_ms, now_ms, false, activity)) => {
                let idle = if at_ms - now_ms > LONG_MS { IDLE_BEFORE_LONG } else { IDLE };
                tokio::time::sleep(idle).await;
                // On a busy machine whoever was woken may not have been polled yet: let everything
                // that is ready run before this is called idleness.
                for _ in 0..POLLS {
                    tokio::task::yield_now().await;
                }
                if let Some(others) = quiet::others() {
                    let since = *moved.get_or_insert(others.ticks);
                    if others.busy && others.ticks.saturating_sub(since) < PATIENCE {
                        continue;
                    }
                    moved = None;
                }
                world.fire(at_ms, activity);
            }
        }
    }
}

/// The world's time.
#[derive(Debug, Clone)]
pub(crate) struct WorldClock {
    pub(crate) shared: Arc<Shared>,
}

impl Clock for WorldClock {
    fn now(&self) -> Timestamp {
        self.shared.with(|state| crate::time::timestamp(state.now_ms()))
    }

    fn sleep<'a>(&'a self, span: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        let ms = span.as_nanos().div_ceil(1_000_000);
        Box::pin(self.shared.pass(i64::try_from(ms).unwrap_or(i64::MAX / 4)))
    }
}

/// While it lives, the world runs as fast as real time.
#[derive(Debug)]
pub struct RealTime {
    shared: Arc<Shared>,
}

impl RealTime {
    pub(crate) fn begin(shared: &Arc<Shared>) -> Self {
        shared.set_real(|n| n + 1);
        Self { shared: Arc::clone(shared) }
    }
}

impl Drop for RealTime {
    fn drop(&mut self) {
        self.shared.set_real(|n| n.saturating_sub(1));
    }
}
