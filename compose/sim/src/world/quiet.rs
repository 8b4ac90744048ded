//! Whether this process is still computing.
//!
//! A stepped world must not move while anybody in it computes, and how long nothing was heard says
//! little on a busy machine: a thread that wants to run may wait for its turn longer than any
//! time-out that keeps the world quick. The kernel knows, so it is asked. Rejected: having the
//! product tell the world when it computes; the product must not know that it is in a world.

use std::fs;

/// Whether another thread of this process runs, wants to run, or waits for a disk. `None` where
/// the system does not tell (there is no `/proc`).
pub(crate) fn others_busy() -> Option<bool> {
    let me = fs::read_link("/proc/thread-self").ok()?;
    let me = me.file_name()?;
    let busy = fs::read_dir("/proc/self/task")
        .ok()?
        .filter_map(Result::ok)
        .filter(|task| task.file_name() != me)
        // A thread that has ended meanwhile is not busy.
        .filter_map(|task| fs::read_to_string(task.path().join("stat")).ok())
        .any(|stat| is_busy(&stat));
    Some(busy)
}

/// `TID (NAME) STATE …`; the name may hold anything, so the last parenthesis counts.
fn is_busy(stat: &str) -> bool {
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.trim_start().chars().next());
    matches!(state, Some('R' | 'D'))
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
    }

    #[test]
    fn a_thread_that_computes_is_seen() {
        if others_busy().is_none() {
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
            assert_eq!(others_busy(), Some(true));
            stop.store(true, Ordering::Relaxed);
        });
    }
}
