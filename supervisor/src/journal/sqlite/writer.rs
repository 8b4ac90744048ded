//! The one thread that writes.

use std::sync::mpsc as queue;

use midwatch_policy::{IncidentId, Timestamp};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::oneshot;

use super::{
    Failure, Shared, explain, lock,
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
    Touch {
        now: Timestamp,
        done: oneshot::Sender<Result<(), JournalError>>,
    },
    Keep {
        pieces: Vec<Vec<u8>>,
        done: oneshot::Sender<Result<Vec<String>, JournalError>>,
    },
}

/// What the writer did, to be told once it is durable.
enum Wrote {
    Append(oneshot::Sender<Result<u32, JournalError>>, Result<u32, JournalError>),
    Keep(oneshot::Sender<Result<Vec<String>, JournalError>>, Result<Vec<String>, JournalError>),
    Touch(oneshot::Sender<Result<(), JournalError>>, Result<(), JournalError>),
}

/// Writes what comes until nobody can send any more.
pub(super) fn write_all(shared: &Shared, work: &queue::Receiver<Write>, path: &str) {
    while let Ok(first) = work.recv() {
        let group: Vec<Write> = std::iter::once(first).chain(work.try_iter().take(GROUP - 1)).collect();
        let (wrote, failed) = match write_group(&mut lock(shared), group, path) {
            Ok(wrote) => (wrote, None),
            Err((wrote, error)) => (wrote, Some(explain(path, &error).to_string())),
        };
        let lost = |problem: &String| JournalError::Store { path: path.to_owned(), problem: problem.clone() };
        for one in wrote {
            // Whoever does not wait any more need not be told.
            match one {
                Wrote::Append(done, result) => {
                    let _ = done.send(failed.as_ref().map_or(result, |problem| Err(lost(problem))));
                }
                Wrote::Touch(done, result) => {
                    let _ = done.send(failed.as_ref().map_or(result, |problem| Err(lost(problem))));
                }
                Wrote::Keep(done, result) => {
                    let _ = done.send(failed.as_ref().map_or(result, |problem| Err(lost(problem))));
                }
            }
        }
    }
}

/// Writes a group in one transaction; if that fails as a whole, nobody's part was written.
fn write_group(
    connection: &mut Connection,
    group: Vec<Write>,
    path: &str,
) -> Result<Vec<Wrote>, (Vec<Wrote>, rusqlite::Error)> {
    let mut wrote = Vec::with_capacity(group.len());
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => {
            let unwritten = |one| match one {
                Write::Append { done, .. } => Wrote::Append(done, Ok(0)),
                Write::Keep { done, .. } => Wrote::Keep(done, Ok(Vec::new())),
                Write::Touch { done, .. } => Wrote::Touch(done, Ok(())),
            };
            return Err((group.into_iter().map(unwritten).collect(), error));
        }
    };
    for one in group {
        match one {
            Write::Append { incident, expected, drafts, done } => {
                let result = part(&transaction, path, |tx| append(tx, &incident, expected, drafts));
                wrote.push(Wrote::Append(done, result));
            }
            Write::Touch { now, done } => {
                wrote.push(Wrote::Touch(done, part(&transaction, path, |tx| Ok(touch(tx, now)?))));
            }
            Write::Keep { pieces, done } => {
                wrote.push(Wrote::Keep(done, part(&transaction, path, |tx| keep(tx, pieces))));
            }
        }
    }
    match transaction.commit() {
        Ok(()) => Ok(wrote),
        Err(error) => Err((wrote, error)),
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
