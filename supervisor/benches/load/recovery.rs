//! Ten thousand incidents are open when the daemon is killed: how long until it takes alarms again,
//! and how much memory parked incidents need.

use std::path::Path;

use midwatch_mcp::SystemClock;
use midwatch_policy::Clock as _;

use crate::{
    daemon::{Daemon, alarm, send},
    row,
};

const OPEN: usize = 10_000;
const CONNECTIONS: usize = 64;
/// Each alarm is an incident of its own here, and they wait.
const WORK: &str = "at_once = 1\nwaiting = 100000\n[grouping]\nstorm = 1000000\nrelated = '1s'\nsame_service = '1s'\nsibling = '1s'";

async fn bring(daemon: &Daemon, first: usize) -> usize {
    let now = SystemClock.now();
    let mut batches = vec![Vec::new(); CONNECTIONS];
    for number in first..first + OPEN {
        batches[number % CONNECTIONS].push(alarm(number, number, now));
    }
    let sending: Vec<_> =
        batches.into_iter().map(|batch| tokio::spawn(send(daemon.address.clone(), batch))).collect();
    let mut taken = 0;
    for one in sending {
        taken += one.await.unwrap().0;
    }
    taken
}

pub async fn measure(dir: &Path) {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let (daemon, empty) = Daemon::start(dir.path(), WORK);
    let idle = daemon.process().memory().0;
    let taken = bring(&daemon, 0).await;
    // SIGKILL.
    drop(daemon);
    let (daemon, took) = Daemon::start(dir.path(), WORK);
    let cpu = daemon.process().cpu().as_secs_f64();
    let memory = daemon.process().memory();
    row(
        &format!("recovery with {taken} open incidents, after SIGKILL"),
        &format!(
            "{:.2} s until alarms are taken again ({:.2} s with none), {cpu:.2} s CPU; {:.0} MB, {:.0} MB with none",
            took.as_secs_f64(),
            empty.as_secs_f64(),
            memory.0,
            idle
        ),
    );
    let more = bring(&daemon, OPEN).await;
    row(&format!("{} parked incidents", taken + more), &format!("{:.0} MB", daemon.process().memory().0));
}
