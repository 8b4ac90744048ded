//! A storm at the webhook: five hundred alarms that say the same again and again, each answered only
//! once it is durable.

use std::{path::Path, time::Instant};

use midwatch_mcp::SystemClock;
use midwatch_policy::{Clock as _, SignedDuration};

use crate::{
    daemon::{Daemon, alarm, send},
    process::percentile,
    row,
};

const CONNECTIONS: usize = 128;
const ALARMS: usize = 25_600;
const THINGS: usize = 500;

pub async fn measure(dir: &Path) {
    let dir = tempfile::tempdir_in(dir).unwrap();
    let (daemon, _) = Daemon::start(dir.path(), "at_once = 8");
    let begin = SystemClock.now().saturating_sub(SignedDuration::from_mins(5)).unwrap();
    let mut batches = vec![Vec::new(); CONNECTIONS];
    for number in 0..ALARMS {
        // Each time around a little later, as CloudWatch evaluates.
        let later = SignedDuration::from_secs(i64::try_from(number / THINGS).unwrap());
        let at = begin.saturating_add(later).unwrap();
        batches[number % CONNECTIONS].push(alarm(number % THINGS, number, at));
    }
    let (begun, cpu) = (Instant::now(), daemon.process().cpu());
    let sending: Vec<_> =
        batches.into_iter().map(|batch| tokio::spawn(send(daemon.address.clone(), batch))).collect();
    let (mut taken, mut waits) = (0, Vec::new());
    for one in sending {
        let (of_one, its_waits) = one.await.unwrap();
        taken += of_one;
        waits.extend(its_waits);
    }
    let seconds = begun.elapsed().as_secs_f64();
    let cpu = (daemon.process().cpu() - cpu).as_secs_f64() * 1e6 / ALARMS as f64;
    let (half, late) = (percentile(&mut waits, 50), percentile(&mut waits, 99));
    row(
        &format!("storm: {ALARMS} alarms about {THINGS} things over {CONNECTIONS} connections"),
        &format!(
            "{:.0} a second acknowledged ({taken} of {ALARMS}), sender beside it; {cpu:.0} µs CPU an alarm, so \
             {:.0} a second on 2 cores; {half:.0} ms (p50), {late:.0} ms (p99); {:.0} MB",
            ALARMS as f64 / seconds,
            2e6 / cpu,
            daemon.process().memory().1
        ),
    );
}
