//! Where every alarm comes through: decided, written down, and only then answered.
//!
//! One task owns the board. It takes what waits, decides about all of it, writes all of it in one
//! commit, answers, and then lets things happen. INVARIANTS:
//! - nobody is told that an alarm was taken before it is durable;
//! - when the inbox cannot be written, nothing has happened: the board is made anew from it;
//! - nothing is buffered without end: a door that is full says so, and the sender comes again.

mod message;
mod porter;
#[cfg(test)]
mod tests;

use std::{
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use midwatch_policy::{Clock, IncidentId, Timestamp};
use tokio::sync::{Notify, Semaphore, mpsc, oneshot};

use crate::{
    alarm::{Alarm, MOST},
    passed::Passed,
    run::Outcome,
};

use super::{
    board::{Board, Orders, Ruling},
    inbox::{Inbox, InboxError},
    queue::Queue,
    refused::Refused,
};

use message::{Arrival, Message};
pub use message::{Begun, Effect, Onward, Refusal};
pub use porter::Porter;

/// Messages that may wait to be decided about.
const WAITING: usize = 1024;
/// Alarms that they may hold together.
const PLACES: usize = 2 * MOST;
/// How long an answer may take before what waits for it counts as not taken. Real time, since it is
/// for I/O.
const HELD_UP: Duration = Duration::from_secs(3);
/// How long a sender should wait that was turned away.
pub const AGAIN: Duration = Duration::from_secs(5);

/// How the door stands: what those before it and behind it both know.
#[derive(Debug)]
struct Standing {
    queue: Mutex<Queue>,
    wake: Notify,
    /// What was written last could be.
    writable: AtomicBool,
    refused: Mutex<Refused>,
}

/// How many places alarms take at the door; never more than there are.
fn places(alarms: &[Alarm]) -> u32 {
    u32::try_from(alarms.len().min(PLACES)).unwrap_or(u32::MAX)
}

/// The senders' side of the door. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Door {
    sender: mpsc::Sender<Message>,
    places: Arc<Semaphore>,
    standing: Arc<Standing>,
    clock: Arc<dyn Clock>,
}

impl Door {
    /// A door and the porter that has to run behind it. `effects` must be read: what is told there
    /// waits for its reader.
    pub async fn build(
        inbox: Inbox,
        orders: Orders,
        queue: Queue,
        clock: Arc<dyn Clock>,
        effects: mpsc::Sender<Effect>,
    ) -> Result<(Self, Porter), InboxError> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let standing = Arc::new(Standing {
            queue: Mutex::new(queue),
            wake: Notify::new(),
            writable: AtomicBool::new(true),
            refused: Mutex::default(),
        });
        let (now, running) = (clock.now(), clock.running());
        let passed = Passed::since(inbox.touched().await?, now, running);
        let places = Arc::new(Semaphore::new(PLACES));
        let door = Self { sender, places, standing: Arc::clone(&standing), clock: Arc::clone(&clock) };
        let mut porter = Porter {
            board: Board::default(),
            inbox,
            orders,
            clock,
            receiver,
            standing,
            passed,
            lived: Passed::since(None, now, running),
            effects,
            stale: false,
            busy: false,
        };
        porter.remember().await?;
        Ok((door, porter))
    }

    /// Brings alarms and waits until they are durable; waits, too, while the door is full.
    pub async fn bring(
        &self,
        alarms: Vec<Alarm>,
        source: &str,
        message: Option<String>,
    ) -> Result<Vec<Ruling>, Refusal> {
        let (done, answer) = oneshot::channel();
        let mut arrival =
            Arrival { alarms: alarms.clone(), source: source.to_owned(), message, done, place: None };
        self.not_forgotten(&alarms, async {
            let place = Arc::clone(&self.places).acquire_many_owned(places(&alarms)).await;
            arrival.place = Some(place.map_err(|_| Refusal::Stopping)?);
            self.sender.send(Message::Arrival(arrival)).await.map_err(|_| Refusal::Stopping)?;
            answer.await.unwrap_or(Err(Refusal::Stopping))
        })
        .await
    }

    /// The same for a sender that does not wait: a full door is an answer.
    pub async fn knock(
        &self,
        alarms: Vec<Alarm>,
        source: &str,
        message: Option<String>,
    ) -> Result<Vec<Ruling>, Refusal> {
        let (done, answer) = oneshot::channel();
        let full = || {
            self.not_taken(&alarms);
            Refusal::Full
        };
        let place = Arc::clone(&self.places).try_acquire_many_owned(places(&alarms)).map_err(|_| full())?;
        let (source, place) = (source.to_owned(), Some(place));
        let arrival = Arrival { alarms: alarms.clone(), source, message, done, place };
        self.sender.try_send(Message::Arrival(arrival)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => full(),
            mpsc::error::TrySendError::Closed(_) => Refusal::Stopping,
        })?;
        self.not_forgotten(&alarms, async { answer.await.unwrap_or(Err(Refusal::Stopping)) }).await
    }

    /// Waits for an answer. What gets none soon is remembered, as if it had been turned away, for
    /// as long as there is none.
    async fn not_forgotten(
        &self,
        alarms: &[Alarm],
        answer: impl Future<Output = Result<Vec<Ruling>, Refusal>>,
    ) -> Result<Vec<Ruling>, Refusal> {
        let mut answer = pin!(answer);
        if let Ok(answer) = tokio::time::timeout(HELD_UP, &mut answer).await {
            return answer;
        }
        self.not_taken(alarms);
        let answer = answer.await;
        if answer.is_ok() {
            let mut refused = self.refused();
            for alarm in alarms {
                refused.taken(alarm);
            }
        }
        answer
    }

    fn not_taken(&self, alarms: &[Alarm]) {
        let now = self.clock.now();
        let mut refused = self.refused();
        for alarm in alarms {
            refused.refused(alarm, now);
        }
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.standing.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An incident has ended; durable when it returns.
    pub async fn finished(
        &self,
        incident: IncidentId,
        outcome: Option<Outcome>,
        why: Option<String>,
    ) -> Result<(), Refusal> {
        let (done, answer) = oneshot::channel();
        let message = Message::Finished { incident, outcome, why, done };
        self.sender.send(message).await.map_err(|_| Refusal::Stopping)?;
        answer.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// A person hands an incident back that has ended: what still fires of it is looked at anew.
    /// Durable when it returns; the same again comes to [`Onward::In`].
    pub async fn hand_back(&self, incident: IncidentId, by: &str) -> Result<Onward, Refusal> {
        let (done, answer) = oneshot::channel();
        let message = Message::HandedBack { incident, by: by.to_owned(), done };
        self.sender.send(message).await.map_err(|_| Refusal::Stopping)?;
        answer.await.unwrap_or(Err(Refusal::Stopping))
    }

    /// Other orders from now on, after a reload; says whether they were taken.
    pub async fn order(&self, orders: Orders) -> Result<(), Refusal> {
        let (done, taken) = oneshot::channel();
        let message = Message::Orders(Box::new(orders), done);
        self.sender.send(message).await.map_err(|_| Refusal::Stopping)?;
        taken.await.map_err(|_| Refusal::Unwritten)
    }

    /// Looks at, or changes, who waits for work.
    pub fn queue<T>(&self, look: impl FnOnce(&mut Queue) -> T) -> T {
        look(&mut self.standing.queue.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// How many incidents may be brought now; none while nothing can be written down.
    pub fn room(&self) -> usize {
        if self.standing.writable.load(Ordering::Relaxed) { self.queue(|queue| queue.room()) } else { 0 }
    }

    /// Somebody tried whether the inbox can be written.
    pub fn tried(&self, result: &Result<(), InboxError>) {
        self.standing.writable.store(result.is_ok(), Ordering::Relaxed);
    }

    /// Alarms that could not be taken for too long, with the time since when, until they are
    /// [passed on](Self::passed_on).
    pub fn left_out(&self, now: Timestamp) -> Vec<(Alarm, Timestamp)> {
        self.refused().due(now)
    }

    /// People were told of an alarm that was left out.
    pub fn passed_on(&self, alarm: &Alarm) {
        self.refused().passed_on(alarm);
    }

    /// Resolves when something was put into the queue.
    pub async fn woken(&self) {
        self.standing.wake.notified().await;
    }

    /// Wakes whoever waits for the queue.
    pub fn wake(&self) {
        self.standing.wake.notify_one();
    }

    /// How many messages wait to be decided about.
    pub fn waiting(&self) -> usize {
        self.sender.max_capacity() - self.sender.capacity()
    }
}
