//! Writes what happens into the journal, in order, and then to the view.
//!
//! One task owns the incident's version; everybody else sends. INVARIANT: `commit` returns only
//! after its event, and everything noted before it, is durable. What must not happen without
//! having been written down first (an intent to act) is committed, not noted. When the store
//! fails, the incident goes on for its readers, and every later `commit` fails.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use midwatch_policy::{Clock, IncidentId, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use crate::{
    event::{Event, Noted, View},
    journal::{Draft, Head, Journal},
    replay::Replay,
};

/// Events that may wait to be written; an incident has some hundreds in all.
const WAITING: usize = 4096;
/// Events that are written in one transaction at most.
const BATCH: usize = 256;

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
        let writer = tokio::spawn(write(incident, entries, journal, receiver, view));
        let opened = since.map_or_else(|| clock.now(), |since| since.opened);
        // Before an interruption both clocks are taken to have gone alike.
        let passed = clock.now().duration_since(opened);
        let opened_wall = wall.now().saturating_sub(passed).unwrap_or(opened);
        let stamps = Stamps { clock, wall, opened, opened_wall };
        (Self { sender, stamps, lost: Arc::default(), replay }, writer)
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
        let noted = self.stamps.on(event);
        let message = if was_noted { Message::Again(noted) } else { Message::Event(noted, None) };
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

async fn write(
    incident: IncidentId,
    entries: u32,
    journal: Arc<dyn Journal>,
    mut receiver: mpsc::Receiver<Message>,
    mut view: Box<dyn View>,
) -> Written {
    let mut written = Written { entries, problem: None };
    let mut batch = Vec::with_capacity(BATCH);
    while receiver.recv_many(&mut batch, BATCH).await > 0 {
        let drafts = batch.iter().filter_map(|message| match message {
            Message::Event(noted, _) => Some(draft(noted)),
            Message::Again(_) | Message::Flush(_) | Message::Head(_) => None,
        });
        let drafts: Result<Vec<Draft>, serde_json::Error> = drafts.collect();
        if written.problem.is_none() {
            match drafts {
                Ok(drafts) if drafts.is_empty() => {}
                Ok(drafts) => match journal.append(&incident, written.entries, drafts).await {
                    Ok(entries) => written.entries = entries,
                    Err(error) => written.problem = Some(error.to_string()),
                },
                Err(error) => written.problem = Some(error.to_string()),
            }
            if let Some(problem) = &written.problem {
                tracing::error!(%incident, problem, "journal cannot be written");
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
                    let head = if whole { journal.head(&incident).await.ok().flatten() } else { None };
                    let _ = done.send(head);
                }
            }
        }
    }
    written
}

fn draft(noted: &Noted) -> Result<Draft, serde_json::Error> {
    let mut body = serde_json::to_value(&noted.event)?;
    if let serde_json::Value::Object(map) = &mut body {
        map.insert("since_ms".to_owned(), noted.since_ms.into());
        map.insert("wall_ms".to_owned(), noted.wall_ms.into());
    }
    Ok(Draft { at: noted.at, kind: noted.event.kind().to_owned(), body })
}
