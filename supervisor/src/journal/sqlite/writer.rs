//! The one thread that writes.

use std::sync::mpsc as queue;

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::{
    Failure, Shared,
    care::forget,
    explain, lock,
    rows::{append, keep, touch},
};
use crate::journal::{Draft, JournalError};

/// Appends that share a transaction at most.
const GROUP: usize = 256;

/// Something for the writer to do, and whom to answer.
pub(super) enum Write {
    Append {
        incident: IncidentId,
        expected: u32,
        drafts: Vec<Draft>,
        done: oneshot::Sender<Result<u32, JournalError>>,
    },
    Forget {
        before: Timestamp,
        most: u32,
        done: oneshot::Sender<Result<u32, JournalError>>,
    },
    Touch {
        now: Timestamp,
        done: oneshot::Sender<Result<(), JournalError>>,
    },
    Keep {
        pieces: Vec<Vec<u8>>,
        done: oneshot::Sender<Result<Vec<String>, JournalError>>,
    },
}

/// Tells who waits what became of their part; with why, where the whole group failed.
type Answer = Box<dyn FnOnce(Option<JournalError>) + Send>;

/// An answer that is kept until the group is durable.
fn later<T: Send + 'static>(
    done: oneshot::Sender<Result<T, JournalError>>,
    result: Result<T, JournalError>,
) -> Answer {
    // Whoever does not wait any more need not be told.
    Box::new(move |failed| drop(done.send(failed.map_or(result, Err))))
}

/// Writes what comes until nobody can send any more.
pub(super) fn write_all(shared: &Shared, work: &queue::Receiver<Write>, path: &str) {
    while let Ok(first) = work.recv() {
        let group: Vec<Write> = std::iter::once(first).chain(work.try_iter().take(GROUP - 1)).collect();
        let (answers, failed) = match write_group(&mut lock(shared), group, path) {
            Ok(answers) => (answers, None),
            Err((answers, error)) => (answers, Some(explain(path, &error).to_string())),
        };
        let lost = |problem: &String| JournalError::Store { path: path.to_owned(), problem: problem.clone() };
        for answer in answers {
            answer(failed.as_ref().map(lost));
        }
    }
}

/// Writes a group in one transaction; if that fails as a whole, nobody's part was written.
fn write_group(
    connection: &mut Connection,
    group: Vec<Write>,
    path: &str,
) -> Result<Vec<Answer>, (Vec<Answer>, rusqlite::Error)> {
    let mut answers = Vec::with_capacity(group.len());
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return Err((group.into_iter().map(unwritten).collect(), error)),
    };
    for one in group {
        answers.push(match one {
            Write::Append { incident, expected, drafts, done } => {
                later(done, part(&transaction, path, |tx| append(tx, &incident, expected, drafts)))
            }
            Write::Touch { now, done } => later(done, part(&transaction, path, |tx| Ok(touch(tx, now)?))),
            Write::Forget { before, most, done } => {
                later(done, part(&transaction, path, |tx| Ok(forget(tx, before, most)?)))
            }
            Write::Keep { pieces, done } => later(done, part(&transaction, path, |tx| keep(tx, pieces))),
        });
    }
    match transaction.commit() {
        Ok(()) => Ok(answers),
        Err(error) => Err((answers, error)),
    }
}

/// The answer to what was not even begun; why is said for the whole group.
fn unwritten(one: Write) -> Answer {
    match one {
        Write::Append { done, .. } | Write::Forget { done, .. } => later(done, Ok(0)),
        Write::Keep { done, .. } => later(done, Ok(Vec::new())),
        Write::Touch { done, .. } => later(done, Ok(())),
    }
}

/// One part of a group: all of it or nothing, and the others go on.
fn part<T>(
    transaction: &Transaction<'_>,
    path: &str,
    work: impl FnOnce(&Connection) -> Result<T, Failure>,
) -> Result<T, JournalError> {
    let said = |error: Failure| match error {
        Failure::Journal(error) => error,
        Failure::Sqlite(error) => explain(path, &error),
    };
    let run = || -> Result<T, Failure> {
        transaction.execute_batch("SAVEPOINT part")?;
        match work(transaction) {
            Ok(value) => {
                transaction.execute_batch("RELEASE part")?;
                Ok(value)
            }
            Err(error) => {
                transaction.execute_batch("ROLLBACK TO part; RELEASE part")?;
                Err(error)
            }
        }
    };
    run().map_err(said)
}
