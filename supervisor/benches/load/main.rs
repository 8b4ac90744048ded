//! `cargo bench -p midwatch --bench load`: what an incident costs, and how many the daemon takes.
//!
//! Real parts: the shipped binary as the daemon, the SQLite journal and ledger on a disk, the MCP
//! servers, the official SDKs over HTTP. The world is a process of its own and runs at the speed of
//! real time; its processor time is not counted. `peer` alone has doubles for model and tools, as
//! the peer's measurement has.
//!
//! `load [PART…] [--python FILE] [--incidents N] [--dir DIR]`; parts: peer, journal, incidents,
//! active, steady, storm, recovery.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::disallowed_methods,
    clippy::unchecked_time_subtraction,
    missing_debug_implementations,
    unreachable_pub,
    reason = "a measurement"
)]

mod daemon;
mod incidents;
mod journal;
mod peer;
mod process;
mod recovery;
mod storm;
mod world;

use std::path::PathBuf;

/// Incidents that are at work at once, of `active`.
const ACTIVE: usize = 1_000;

/// What to measure.
struct Wanted {
    parts: Vec<String>,
    /// A Python with strands-agents, for the peer.
    python: Option<PathBuf>,
    /// Incidents of the largest run.
    incidents: usize,
    /// Where files lie: on a disk, not in memory.
    dir: PathBuf,
}

impl Wanted {
    fn read() -> Self {
        let mut wanted = Self {
            parts: Vec::new(),
            python: None,
            incidents: 400,
            dir: PathBuf::from(env!("CARGO_TARGET_TMPDIR")),
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--python" => wanted.python = arguments.next().map(PathBuf::from),
                "--incidents" => wanted.incidents = arguments.next().unwrap().parse().unwrap(),
                "--dir" => wanted.dir = arguments.next().unwrap().into(),
                "--bench" => {}
                part => wanted.parts.push(part.to_owned()),
            }
        }
        wanted
    }

    fn has(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }
}

fn main() {
    // The world of `incidents`, as a process of its own.
    if std::env::args().nth(1).as_deref() == Some("world") {
        return world::serve();
    }
    let wanted = Wanted::read();
    std::fs::create_dir_all(&wanted.dir).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    println!("| what | measured |\n|---|---|");
    if wanted.has("peer") {
        peer::measure(wanted.python.as_deref());
    }
    if wanted.has("journal") {
        runtime.block_on(journal::measure(&wanted.dir));
    }
    if wanted.has("incidents") {
        runtime.block_on(incidents::measure(&wanted.dir, incidents::rising(wanted.incidents)));
    }
    if wanted.has("active") {
        runtime.block_on(incidents::measure(&wanted.dir, vec![(ACTIVE, ACTIVE)]));
    }
    if wanted.has("steady") {
        runtime.block_on(incidents::steady(&wanted.dir));
    }
    if wanted.has("storm") {
        runtime.block_on(storm::measure(&wanted.dir));
    }
    if wanted.has("recovery") {
        runtime.block_on(recovery::measure(&wanted.dir));
    }
}

/// One line of the table.
fn row(what: &str, measured: &str) {
    println!("| {what} | {measured} |");
}
