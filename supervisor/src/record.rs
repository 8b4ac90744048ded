//! Writes what happens into the journal, in order, and then to the view.
//!
//! One task owns the incident's version; everybody else sends. INVARIANT: `commit` returns only
//! after its event, and everything noted before it, is durable. What must not happen without
//! having been written down first (an intent to act) is committed, not noted. A store that fails is
//! tried again for about two minutes, and the incident waits. After that it goes on for its
//! readers, every later `commit` fails, and its journal counts as not complete: whoever runs the
//! incident goes on with it once the store is back.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use midwatch_policy::{Clock, IncidentId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    event::{Event, Noted, View},
    journal::{Draft, Head, Journal, JournalError},
    replay::Replay,
};

/// Events that may wait to be written; an incident has some hundreds in all.
const WAITING: usize = 4096;
/// Events that are written in one transaction at most.
const BATCH: usize = 256;
/// The pauses after which a store that failed is tried again, in seconds of the wall's clock.
const PAUSES_S: [u64; 8] = [1, 2, 4, 8, 15, 30, 30, 30];

/// Why an event is not durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("the journal cannot be written: {0}")]
pub struct RecordError(String);

enum Message {
    Event(Box<Noted>, Option<oneshot::Sender<Result<(), RecordError>>>),
    /// It is in the journal already; whoever views it may not have seen it.
    Again(Box<Noted>),
    Flush(oneshot::Sender<()>),
    Head(oneshot::Sender<Option<Head>>),
}

/// The writing end. Cheap to clone.
#[derive(Clone)]
pub struct Recorder {
    sender: mpsc::Sender<Message>,
    stamps: Stamps,
    lost: Arc<AtomicU64>,
    replay: Arc<Replay>,
    /// What the journal has already is not shown again.
    hushed: Arc<AtomicBool>,
}

/// What gives events their times.
#[derive(Clone)]
struct Stamps {
    clock: Arc<dyn Clock>,
    wall: Arc<dyn Clock>,
    opened: Timestamp,
    opened_wall: Timestamp,
}

/// A way into the journal of an incident that is at work, for what comes from elsewhere. It does
/// not keep the incident's writer alive.
#[derive(Clone)]
pub struct SideDoor {
    sender: mpsc::WeakSender<Message>,
    stamps: Stamps,
}

/// Where a journal is gone on with.
#[derive(Debug, Clone, Copy)]
pub struct Since {
    /// Entries it has.
    pub entries: u32,
    /// When the incident was opened.
    pub opened: Timestamp,
}

impl std::fmt::Debug for Recorder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Recorder").field("opened", &self.stamps.opened).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for SideDoor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SideDoor").field("opened", &self.stamps.opened).finish_non_exhaustive()
    }
}

/// What the writer task came to.
#[derive(Debug, Clone, Default)]
pub struct Written {
    /// Entries in the journal.
    pub entries: u32,
    /// Why the journal is not complete, if it is not.
    pub problem: Option<String>,
}

impl Recorder {
    /// Starts the writer of an incident: of a new one, or of one that is gone on with. The handle
    /// ends after the last recorder is dropped.
    pub fn start(
        incident: IncidentId,
        journal: Arc<dyn Journal>,
        (clock, wall): (Arc<dyn Clock>, Arc<dyn Clock>),
        view: Box<dyn View>,
        (since, replay): (Option<Since>, Arc<Replay>),
    ) -> (Self, JoinHandle<Written>) {
        let (sender, receiver) = mpsc::channel(WAITING);
        let entries = since.map_or(0, |since| since.entries);
        let ink = Ink { incident, journal, wall: Arc::clone(&wall) };
        let writer = tokio::spawn(write(ink, entries, receiver, view));
        let opened = since.map_or_else(|| clock.now(), |since| since.opened);
        // Before an interruption both clocks are taken to have gone alike.
        let passed = clock.now().duration_since(opened);
        let opened_wall = wall.now().saturating_sub(passed).unwrap_or(opened);
        let stamps = Stamps { clock, wall, opened, opened_wall };
        (Self { sender, stamps, lost: Arc::default(), replay, hushed: Arc::default() }, writer)
    }

    /// A way in for what comes from elsewhere.
    pub fn side_door(&self) -> SideDoor {
        SideDoor { sender: self.sender.downgrade(), stamps: self.stamps.clone() }
    }

    /// Milliseconds since the incident opened: on its own clock and on the wall's.
    pub fn elapsed_ms(&self) -> (u64, u64) {
        self.stamps.elapsed_ms()
    }

    /// Notes an event without waiting for it to be written; not again if the journal of an
    /// interrupted incident has it already.
    pub fn note(&self, event: Event) {
        let was_noted = self.replay.was_noted(&event);
        if was_noted && self.hushed.load(Ordering::Relaxed) {
            return;
        }
        let noted = self.stamps.on(event);
        let message = if was_noted { Message::Again(noted) } else { Message::Event(noted, None) };
        self.send(message);
    }

    /// Shows what the journal has already, written by somebody else.
    pub fn show(&self, event: Event) {
        self.send(Message::Again(self.stamps.on(event)));
    }

    /// Whether what the journal has already is shown again: not of a part of an incident that had
    /// come to its end, since people heard of it then.
    pub fn hush(&self, hushed: Hushed) {
        self.hushed.store(hushed == Hushed::Yes, Ordering::Relaxed);
    }

    fn send(&self, message: Message) {
        if self.sender.try_send(message).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notes an event and waits until it is durable.
    pub async fn commit(&self, event: Event) -> Result<(), RecordError> {
        commit(&self.sender, self.stamps.on(event)).await
    }

    /// Waits until everything noted so far is written and shown.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.sender.send(Message::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }

    /// Where the journal's chain ends now, with everything noted so far written; nothing if it
    /// cannot be written or read.
    pub async fn head(&self) -> Option<Head> {
        let (done, head) = oneshot::channel();
        self.sender.send(Message::Head(done)).await.ok()?;
        head.await.ok()?
    }

    /// Events that were lost because too many waited.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl SideDoor {
    /// Notes an event and waits until it is durable; says whether the incident is still at work.
    pub async fn commit(&self, event: Event) -> Result<StillAtWork, RecordError> {
        let Some(sender) = self.sender.upgrade() else { return Ok(StillAtWork::No) };
        commit(&sender, self.stamps.on(event)).await?;
        Ok(StillAtWork::Yes)
    }
}

/// Whether what the journal has already is kept from those who view it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hushed {
    /// It is.
    Yes,
    /// It is not.
    No,
}

/// Whether an incident took what was brought to its side door.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StillAtWork {
    /// It did.
    Yes,
    /// It has ended: its journal has no writer any more.
    No,
}

impl Stamps {
    fn elapsed_ms(&self) -> (u64, u64) {
        (millis_between(self.opened, self.clock.now()), millis_between(self.opened_wall, self.wall.now()))
    }

    fn on(&self, event: Event) -> Box<Noted> {
        let (since_ms, wall_ms) = self.elapsed_ms();
        Box::new(Noted { at: self.clock.now(), since_ms, wall_ms, event })
    }
}

async fn commit(sender: &mpsc::Sender<Message>, noted: Box<Noted>) -> Result<(), RecordError> {
    let (done, written) = oneshot::channel();
    let gone = || RecordError("its writer has ended".to_owned());
    sender.send(Message::Event(noted, Some(done))).await.map_err(|_| gone())?;
    written.await.map_err(|_| gone())?
}

/// Milliseconds from `from` to `to`, none if that is backwards.
pub fn millis_between(from: Timestamp, to: Timestamp) -> u64 {
    u64::try_from(to.duration_since(from).as_millis()).unwrap_or(0)
}

/// What is written with.
struct Ink {
    incident: IncidentId,
    journal: Arc<dyn Journal>,
    wall: Arc<dyn Clock>,
}

impl Ink {
    /// Appends the events of a batch, and tries again for a while where the store fails.
    async fn append(&self, entries: u32, batch: &[Message]) -> Result<u32, String> {
        let mut pauses = PAUSES_S.into_iter();
        loop {
            let drafts = batch.iter().filter_map(Message::draft).collect::<Result<Vec<Draft>, _>>();
            let drafts = drafts.map_err(|error| error.to_string())?;
            if drafts.is_empty() {
                return Ok(entries);
            }
            let error = match self.journal.append(&self.incident, entries, drafts).await {
                Ok(entries) => return Ok(entries),
                Err(error @ JournalError::Store { .. }) => error,
                // Of an append that failed it is not known that nothing was written.
                Err(error @ JournalError::Conflict { found, .. }) if pauses.len() < PAUSES_S.len() => {
                    return if self.is_written(entries, found, batch).await {
                        Ok(found)
                    } else {
                        Err(error.to_string())
                    };
                }
                Err(error) => return Err(error.to_string()),
            };
            let Some(pause) = pauses.next() else { return Err(error.to_string()) };
            tracing::warn!(incident = %self.incident, %error, "the journal cannot be written: tried again");
            self.wall.sleep(Duration::from_secs(pause)).await;
        }
    }

    /// Whether what stands in the journal after `entries` is this batch.
    async fn is_written(&self, entries: u32, found: u32, batch: &[Message]) -> bool {
        let Ok(all) = self.journal.read(&self.incident).await else { return false };
        let there = all.iter().filter(|entry| entry.seq > entries);
        let there = there.map(|entry| (entry.at, entry.kind.clone(), entry.body.clone()));
        let ours = batch.iter().filter_map(Message::draft).filter_map(Result::ok);
        let ours = ours.map(|draft| (draft.at, draft.kind, draft.body));
        u32::try_from(all.len()).is_ok_and(|count| count == found) && there.eq(ours)
    }
}

async fn write(
    ink: Ink,
    entries: u32,
    mut receiver: mpsc::Receiver<Message>,
    mut view: Box<dyn View>,
) -> Written {
    let mut written = Written { entries, problem: None };
    let mut batch = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut batch, BATCH).await > 0 {
        if written.problem.is_none() {
            match ink.append(written.entries, &batch).await {
                Ok(entries) => written.entries = entries,
                Err(problem) => {
                    tracing::error!(incident = %ink.incident, problem, "the journal cannot be written");
                    written.problem = Some(problem);
                }
            }
        }
        for message in batch.drain(..) {
            match message {
                Message::Event(noted, done) => {
                    view.show(&noted);
                    if let Some(done) = done {
                        let _ = done.send(written.problem.clone().map_or(Ok(()), |p| Err(RecordError(p))));
                    }
                }
                Message::Again(noted) => view.again(&noted),
                Message::Flush(done) => {
                    let _ = done.send(());
                }
                Message::Head(done) => {
                    let whole = written.problem.is_none();
                    let head =
                        if whole { ink.journal.head(&ink.incident).await.ok().flatten() } else { None };
                    let _ = done.send(head);
                }
            }
        }
    }
    written
}

impl Message {
    /// What it adds to the journal, if anything.
    fn draft(&self) -> Option<Result<Draft, serde_json::Error>> {
        let Self::Event(noted, _) = self else { return None };
        Some(draft(&noted.event, noted.at).map(|mut draft| {
            if let serde_json::Value::Object(map) = &mut draft.body {
                map.insert("since_ms".to_owned(), noted.since_ms.into());
                map.insert("wall_ms".to_owned(), noted.wall_ms.into());
            }
            draft
        }))
    }
}

/// An event as it is appended.
pub fn draft(event: &Event, at: Timestamp) -> Result<Draft, serde_json::Error> {
    Ok(Draft { at, kind: event.kind().to_owned(), body: serde_json::to_value(event)? })
}

#[cfg(test)]
mod tests;
