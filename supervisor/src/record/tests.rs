//! What becomes of an incident's journal when its store fails.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, Ordering as Order},
};

use futures::future::BoxFuture;

use super::*;
use crate::{
    event::NoView,
    journal::{Entry, JournalFuture, Overview, SqliteJournal},
};

/// A clock that is waited on without waiting.
#[derive(Debug, Default)]
struct Hurried(Mutex<Duration>);

impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        let passed = self.0.lock().unwrap().as_secs().cast_signed();
        Timestamp::from_second(1_795_000_000 + passed).unwrap()
    }

    fn sleep(&self, span: Duration) -> BoxFuture<'_, ()> {
        *self.0.lock().unwrap() += span;
        Box::pin(async {})
    }
}

/// A store that fails so many times: before it has written, or after.
#[derive(Debug)]
struct Ill {
    journal: SqliteJournal,
    fails: AtomicU32,
    when: When,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum When {
    Before,
    After,
}

impl Ill {
    fn new(fails: u32, when: When) -> Arc<Self> {
        Arc::new(Self { journal: SqliteJournal::in_memory().unwrap(), fails: AtomicU32::new(fails), when })
    }
}

impl Journal for Ill {
    fn append<'a>(
        &'a self,
        incident: &'a IncidentId,
        expected: u32,
        drafts: Vec<Draft>,
    ) -> JournalFuture<'a, u32> {
        Box::pin(async move {
            let fails = self.fails.fetch_update(Order::SeqCst, Order::SeqCst, |n| n.checked_sub(1)).is_ok();
            if fails && self.when == When::After {
                self.journal.append(incident, expected, drafts.clone()).await?;
            }
            if fails {
                let (path, problem) = ("there".to_owned(), "the disk is full".to_owned());
                return Err(JournalError::Store { path, problem });
            }
            self.journal.append(incident, expected, drafts).await
        })
    }

    fn touch(&self, now: Timestamp) -> JournalFuture<'_, ()> {
        self.journal.touch(now)
    }

    fn read<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Vec<Entry>> {
        self.journal.read(incident)
    }

    fn head<'a>(&'a self, incident: &'a IncidentId) -> JournalFuture<'a, Option<Head>> {
        self.journal.head(incident)
    }

    fn heads(&self) -> JournalFuture<'_, Vec<Head>> {
        self.journal.heads()
    }

    fn overview(&self, most: u32) -> JournalFuture<'_, Vec<Overview>> {
        self.journal.overview(most)
    }

    fn forget(&self, before: Timestamp, most: u32) -> JournalFuture<'_, u32> {
        self.journal.forget(before, most)
    }

    fn open<'a>(&'a self, end: &'a str) -> JournalFuture<'a, Vec<IncidentId>> {
        self.journal.open(end)
    }

    fn keep(&self, pieces: Vec<Vec<u8>>) -> JournalFuture<'_, Vec<String>> {
        self.journal.keep(pieces)
    }

    fn kept<'a>(&'a self, digest: &'a str) -> JournalFuture<'a, Option<Vec<u8>>> {
        self.journal.kept(digest)
    }
}

fn id() -> IncidentId {
    IncidentId::parse("inc-1").unwrap()
}

fn start(journal: &Arc<Ill>, clock: &Arc<Hurried>) -> (Recorder, JoinHandle<Written>) {
    let clocks = (Arc::clone(clock) as Arc<dyn Clock>, Arc::clone(clock) as Arc<dyn Clock>);
    let none = (None, Arc::new(Replay::default()));
    Recorder::start(id(), Arc::clone(journal) as Arc<dyn Journal>, clocks, Box::new(NoView), none)
}

fn event(n: u32) -> Event {
    Event::Resumed { entries: n }
}

#[tokio::test]
async fn a_store_that_fails_for_a_minute_costs_time_and_no_entry() {
    for when in [When::Before, When::After] {
        let (journal, clock) = (Ill::new(6, when), Arc::new(Hurried::default()));
        // Where the first was written after all, the second try finds that.
        if when == When::After {
            journal.fails.store(1, Order::SeqCst);
        }
        let (recorder, writer) = start(&journal, &clock);
        recorder.commit(event(1)).await.unwrap();
        recorder.note(event(2));
        recorder.commit(event(3)).await.unwrap();
        drop(recorder);
        let written = writer.await.unwrap();
        assert_eq!((written.entries, written.problem), (3, None));
        assert_eq!(journal.read(&id()).await.unwrap().len(), 3, "{when:?}");
        let waited = clock.0.lock().unwrap().as_secs();
        assert_eq!(waited, if when == When::Before { 60 } else { 1 });
    }
}

#[tokio::test]
async fn a_store_that_does_not_come_back_fails_what_has_to_be_durable() {
    let (journal, clock) = (Ill::new(1000, When::Before), Arc::new(Hurried::default()));
    let (recorder, writer) = start(&journal, &clock);
    let error = recorder.commit(event(1)).await.unwrap_err();
    assert!(error.to_string().contains("the disk is full"), "{error}");
    assert_eq!(clock.0.lock().unwrap().as_secs(), 120);
    // Even once it works again: what is missing in the middle would never be seen.
    journal.fails.store(0, Order::SeqCst);
    assert!(recorder.commit(event(2)).await.is_err());
    drop(recorder);
    assert!(writer.await.unwrap().problem.is_some());
    assert_eq!(journal.read(&id()).await.unwrap(), []);
}

#[tokio::test]
async fn another_writer_is_not_taken_for_ourselves() {
    let (journal, clock) = (Ill::new(1, When::Before), Arc::new(Hurried::default()));
    let (recorder, _writer) = start(&journal, &clock);
    let other = draft(&event(7), clock.now()).unwrap();
    journal.journal.append(&id(), 0, vec![other]).await.unwrap();
    let error = recorder.commit(event(1)).await.unwrap_err();
    assert!(error.to_string().contains("another writer"), "{error}");
}
