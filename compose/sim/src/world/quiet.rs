//! Whether this process is still computing.
//!
//! A stepped world must not move while anybody in it computes, and how long nothing was heard says
//! little on a busy machine: a thread that wants to run may wait for its turn longer than any
//! time-out that keeps the world quick. The kernel knows, so it is asked. Rejected: having the
//! product tell the world when it computes; the product must not know that it is in a world.

use std::fs;

/// What the names of threads begin with that work for one world only.
const OF_A_WORLD: &str = "world-";

/// A name for all threads that work for one world and no other: while they compute, only that
/// world stands still. Whoever plays several worlds at once in one process names them so.
pub fn thread_name(number: usize) -> String {
    format!("{OF_A_WORLD}{number}")
}

/// What the other threads of this process do, but those of other worlds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Others {
    /// Whether one of them runs, wants to run, or waits for a disk.
    pub(crate) busy: bool,
    /// The processor time they have had, in ticks of a hundredth of a second. A machine with much
    /// else to do gives little of it, however long one waits.
    pub(crate) ticks: u64,
}

/// Asks the kernel. `None` where it does not tell (there is no `/proc`).
pub(crate) fn others() -> Option<Others> {
    let me = fs::read_link("/proc/thread-self").ok()?;
    let me = me.file_name()?;
    let mine = fs::read_to_string("/proc/thread-self/comm").ok()?;
    let mut others = Others { busy: false, ticks: 0 };
    let tasks = fs::read_dir("/proc/self/task").ok()?.filter_map(Result::ok);
    for task in tasks.filter(|task| task.file_name() != me) {
        // A thread that has ended meanwhile is not busy.
        let Ok(stat) = fs::read_to_string(task.path().join("stat")) else { continue };
        if !is_of_another_world(&stat, mine.trim_end()) {
            others.busy |= is_busy(&stat);
            others.ticks = others.ticks.saturating_add(ticks(&stat));
        }
    }
    Some(others)
}

/// Whether a thread works for a world, and not for the one that the thread named `mine` works for.
fn is_of_another_world(stat: &str, mine: &str) -> bool {
    let name = stat.split_once('(').and_then(|(_, rest)| rest.rsplit_once(')')).map(|(name, _)| name);
    name.is_some_and(|name| name.starts_with(OF_A_WORLD) && name != mine)
}

/// `TID (NAME) STATE …`; the name may hold anything, so the last parenthesis counts.
fn is_busy(stat: &str) -> bool {
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('R' | 'D'))
}

/// Fields 14 and 15 of `stat`: time in user mode and in the kernel.
fn ticks(stat: &str) -> u64 {
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        thread,
        time::Duration,
    };

    use super::*;

    #[test]
    fn states_are_read_behind_any_name() {
        assert!(is_busy("12 (a) R) R 1 2"));
        assert!(is_busy("12 (sqlite) D 1 2"));
        assert!(!is_busy("12 (R (D) S 1 2"));
        assert!(!is_busy("nonsense"));
        assert_eq!(ticks("12 (a) b) R 1 2 3 4 5 6 7 8 9 10 70 5 1 2"), 75);
        assert_eq!(ticks("12 (a) R 1"), 0);
    }

    #[test]
    fn only_threads_of_other_worlds_are_left_out() {
        assert!(is_of_another_world("12 (world-2) R 1", "world-1"));
        assert!(!is_of_another_world("12 (world-1) R 1", "world-1"));
        assert!(!is_of_another_world("12 (tokio-rt-worker) R 1", "world-1"));
        assert!(is_of_another_world("12 (world-2) R 1", "main"));
    }

    #[test]
    fn a_thread_that_computes_is_seen() {
        if others().is_none() {
            return;
        }
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    std::hint::spin_loop();
                }
            });
            thread::sleep(Duration::from_millis(20));
            assert!(others().is_some_and(|others| others.busy && others.ticks > 0));
            stop.store(true, Ordering::Relaxed);
        });
    }
}
