//! Decides in memory and writes behind one thread.
//!
//! The queue is bounded by what is under way: each call has one reservation and one settlement in
//! it at most, and whoever reserves waits until that is written.

use std::{
    collections::HashSet,
    fs::{File, TryLockError},
    path::{Path, PathBuf},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use futures::future::BoxFuture;
use midwatch_agents::budget::{
    Accounts, Ask, Bill, Ceilings, Held, Keeper, Scope, SpendError, Total, Want, refusal,
};
use midwatch_policy::Timestamp;
use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{LedgerError, Level, Over, forget, store};

/// How long settlements wait for others when nobody waits for them.
const LINGER: Duration = Duration::from_millis(50);
/// How long after a failure the store is tried again.
const AGAIN: Duration = Duration::from_millis(500);

type Done = oneshot::Sender<Result<(), String>>;

enum Job {
    Reserve(u64, Ask, Done),
    Settle(u64, Arc<[Want]>, Bill),
    Over(Box<Over>),
    Flush(Done),
    Forget {
        before: Timestamp,
        most: u32,
        live: HashSet<Arc<str>>,
        done: oneshot::Sender<Result<u32, String>>,
    },
}

impl Job {
    const fn is_waited_for(&self) -> bool {
        matches!(self, Self::Reserve(..) | Self::Flush(_))
    }
}

struct State {
    ceilings: Ceilings,
    accounts: Accounts,
    reader: Connection,
    queue: Vec<Job>,
    /// Incidents whose sums may leave memory.
    closed: Vec<Arc<str>>,
    /// Incidents that were over and are worked on again.
    again: HashSet<Arc<str>>,
    newest: u64,
    latest: Timestamp,
    trouble: Option<String>,
    is_closing: bool,
}

struct Shared {
    path: PathBuf,
    state: Mutex<State>,
    work: Condvar,
}

/// A ledger in a file.
pub(super) struct Durable {
    shared: Arc<Shared>,
    writer: Option<JoinHandle<()>>,
    /// Held as long as this process may write.
    _alone: File,
}

impl std::fmt::Debug for Durable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Durable").field("path", &self.shared.path).finish_non_exhaustive()
    }
}

impl Durable {
    pub(super) fn open(path: &Path, ceilings: Ceilings) -> Result<Self, LedgerError> {
        let failed = |problem: String| LedgerError::Store { path: path.display().to_string(), problem };
        if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
            std::fs::create_dir_all(parent).map_err(|e| failed(format!("no directory for it: {e}")))?;
        }
        let alone = alone(path)?;
        let mut writer = store::open(path)?;
        let explain = |error: rusqlite::Error| store::explain(path, &error);
        let left = store::settle_left(&mut writer).map_err(explain)?;
        if left > 0 {
            tracing::warn!(calls = left, "calls that an earlier process left open are settled in full");
        }
        let newest = store::newest(&writer).map_err(explain)?;
        let state = State {
            ceilings,
            accounts: Accounts::default(),
            reader: store::open_to_read(path)?,
            queue: Vec::new(),
            closed: Vec::new(),
            again: HashSet::new(),
            newest,
            latest: Timestamp::MIN,
            trouble: None,
            is_closing: false,
        };
        let shared =
            Arc::new(Shared { path: path.to_owned(), state: Mutex::new(state), work: Condvar::new() });
        let theirs = Arc::clone(&shared);
        let writer = std::thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || theirs.write(writer))
            .map_err(|e| failed(format!("its thread cannot be started: {e}")))?;
        Ok(Self { shared, writer: Some(writer), _alone: alone })
    }

    /// An incident is worked on. Returns what was spent on it before.
    pub(super) fn begun(&self, incident: &str) -> Option<Total> {
        let mut state = self.shared.lock();
        if store::is_over(&state.reader, incident).unwrap_or(true) {
            state.again.insert(incident.into());
        }
        store::total(&state.reader, incident).ok()
    }

    pub(super) fn over(&self, over: Over) {
        let mut state = self.shared.lock();
        state.again.remove(over.incident.as_str());
        state.closed.push(over.incident.as_str().into());
        state.queue.push(Job::Over(Box::new(over)));
        drop(state);
        self.shared.work.notify_one();
    }

    pub(super) fn set_ceilings(&self, ceilings: Ceilings) {
        self.shared.lock().ceilings = ceilings;
    }

    pub(super) fn trouble(&self) -> Option<String> {
        self.shared.lock().trouble.clone()
    }

    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        self.shared.add(Job::Flush(done));
        let _ = written.await;
    }

    /// Takes away what is of days before, a little.
    pub(super) async fn forget(&self, before: Timestamp, most: u32) -> Result<u32, String> {
        let (done, written) = oneshot::channel();
        let live = self.shared.lock().again.clone();
        self.shared.add(Job::Forget { before: forget::midnight(before), most, live, done });
        written.await.unwrap_or_else(|_| Err("its writer has ended".to_owned()))
    }

    pub(super) fn levels(&self) -> Vec<Level> {
        let state = self.shared.lock();
        let of_all = state.accounts.all().filter(|(scope, _)| scope.incident().is_none());
        let mut levels: Vec<Level> = of_all
            .map(|(scope, account)| Level {
                scope: scope.key(),
                settled_micro_usd: account.settled,
                reserved_micro_usd: account.reserved,
            })
            .collect();
        levels.sort_by(|a, b| a.scope.cmp(&b.scope));
        levels
    }
}

impl Drop for Durable {
    fn drop(&mut self) {
        self.shared.lock().is_closing = true;
        self.shared.work.notify_all();
        if let Some(writer) = self.writer.take() {
            let _ = writer.join();
        }
    }
}

/// One process writes a ledger; the lock goes with the process, however it ends.
fn alone(path: &Path) -> Result<File, LedgerError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let shown = || path.display().to_string();
    let file = midwatch_mcp::open_lock(Path::new(&name)).map_err(|error| LedgerError::Store {
        path: shown(),
        problem: format!("no lock beside it: {error}"),
    })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(LedgerError::InUse { path: shown() }),
        Err(TryLockError::Error(error)) => {
            Err(LedgerError::Store { path: shown(), problem: format!("it cannot be locked: {error}") })
        }
    }
}

/// A reservation that nobody has yet: given back if nobody comes for it.
struct Untaken<'a>(&'a Shared, Option<Held>);

impl Drop for Untaken<'_> {
    fn drop(&mut self) {
        if let Some(held) = self.1.take() {
            self.0.settle(&held, &Bill::default());
        }
    }
}

impl Keeper for Durable {
    fn reserve(&self, ask: Ask) -> BoxFuture<'_, Result<Held, SpendError>> {
        let (done, written) = oneshot::channel();
        let taken = self.shared.reserve(ask, done);
        Box::pin(async move {
            let mut untaken = Untaken(&self.shared, Some(taken?));
            match written.await {
                Ok(Ok(())) => {}
                Ok(Err(problem)) => return Err(SpendError::Ledger { problem }),
                Err(_) => return Err(SpendError::Ledger { problem: "its writer has ended".to_owned() }),
            }
            untaken.1.take().ok_or_else(|| SpendError::Ledger { problem: "lost".to_owned() })
        })
    }

    fn settle(&self, held: &Held, bill: &Bill) {
        self.shared.settle(held, bill);
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is complete before anything can panic: a poisoned lock is still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, job: Job) {
        self.lock().queue.push(job);
        self.work.notify_one();
    }

    fn reserve(&self, ask: Ask, done: Done) -> Result<Held, SpendError> {
        let mut guard = self.lock();
        let state = &mut *guard;
        let wants = Scope::of(&ask, &state.ceilings);
        let reader = &state.reader;
        match state.accounts.reserve(&wants, |scope| store::sum(reader, scope)) {
            Ok(Ok(())) => {}
            Ok(Err(short)) => return Err(refusal(&short)),
            Err(error) => return Err(SpendError::Ledger { problem: error.to_string() }),
        }
        state.newest += 1;
        state.latest = state.latest.max(ask.at);
        let held = Held { id: state.newest, ask: ask.clone(), wants: wants.into() };
        state.queue.push(Job::Reserve(held.id, ask, done));
        drop(guard);
        self.work.notify_one();
        Ok(held)
    }

    fn settle(&self, held: &Held, bill: &Bill) {
        let mut state = self.lock();
        state.accounts.settle(&held.wants, bill.cost_micro_usd, bill.tokens);
        state.queue.push(Job::Settle(held.id, Arc::clone(&held.wants), *bill));
        drop(state);
        self.work.notify_one();
    }

    /// What there is to write; nothing when it is over.
    fn next(&self) -> Option<Vec<Job>> {
        let mut state = self.lock();
        while state.queue.is_empty() {
            if state.is_closing {
                return None;
            }
            state = self.work.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let idle = |state: &mut State| !state.is_closing && !state.queue.iter().any(Job::is_waited_for);
        (state, _) =
            self.work.wait_timeout_while(state, LINGER, idle).unwrap_or_else(PoisonError::into_inner);
        Some(std::mem::take(&mut state.queue))
    }

    fn write(&self, mut connection: Connection) {
        while let Some(batch) = self.next() {
            match commit(&mut connection, &batch) {
                Ok(gone) => {
                    self.written();
                    for job in batch {
                        match job {
                            Job::Reserve(_, _, done) | Job::Flush(done) => drop(done.send(Ok(()))),
                            Job::Forget { done, .. } => drop(done.send(Ok(gone))),
                            Job::Settle(..) | Job::Over(_) => {}
                        }
                    }
                }
                Err(error) => {
                    let problem = error.to_string();
                    tracing::error!(problem, "the ledger cannot be written");
                    if self.put_back(batch, &problem) {
                        return;
                    }
                    std::thread::sleep(AGAIN);
                }
            }
        }
    }

    /// Everything so far is written: what nobody will ask for again leaves memory.
    fn written(&self) {
        let mut guard = self.lock();
        let state = &mut *guard;
        state.trouble = None;
        if !state.queue.is_empty() {
            return;
        }
        let (closed, latest) = (std::mem::take(&mut state.closed), state.latest);
        state.accounts.forget(|scope| {
            scope.is_past(latest) || scope.incident().is_some_and(|id| closed.iter().any(|c| **c == *id))
        });
        // One with a call under way goes later.
        let is_left = |id: &Arc<str>| state.accounts.all().any(|(s, _)| s.incident() == Some(&**id));
        state.closed = closed.into_iter().filter(is_left).collect();
    }

    /// Whoever waits is told that nothing was written; what is settled is tried again. True when
    /// the ledger is being closed: then the next start settles it in full.
    fn put_back(&self, batch: Vec<Job>, problem: &str) -> bool {
        let (kept, given_up): (Vec<Job>, Vec<Job>) =
            batch.into_iter().partition(|job| matches!(job, Job::Settle(..) | Job::Over(_)));
        let mut state = self.lock();
        state.trouble = Some(problem.to_owned());
        state.queue.splice(0..0, kept);
        let is_closing = state.is_closing;
        drop(state);
        for job in given_up {
            match job {
                Job::Reserve(_, _, done) | Job::Flush(done) => drop(done.send(Err(problem.to_owned()))),
                Job::Forget { done, .. } => drop(done.send(Err(problem.to_owned()))),
                Job::Settle(..) | Job::Over(_) => {}
            }
        }
        is_closing
    }
}

/// Returns how many incidents were taken away.
fn commit(connection: &mut Connection, batch: &[Job]) -> Result<u32, rusqlite::Error> {
    if batch.iter().all(|job| matches!(job, Job::Flush(_))) {
        return Ok(0);
    }
    let mut gone = 0_u32;
    let on = connection.transaction()?;
    for job in batch {
        match job {
            Job::Reserve(id, ask, _) => store::reserved(&on, *id, ask)?,
            Job::Settle(id, wants, bill) => store::settled(&on, *id, wants, bill)?,
            Job::Over(over) => store::over(&on, over)?,
            Job::Forget { before, most, live, .. } => {
                gone = gone.saturating_add(forget::forget(&on, *before, *most, live)?);
            }
            Job::Flush(_) => {}
        }
    }
    on.commit()?;
    Ok(gone)
}
