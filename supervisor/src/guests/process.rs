//! A guest's process.
//!
//! INVARIANT: it has no environment but `PATH` and what the operator's file gives it, so none of
//! our credentials, tokens and keys; it leads a process group of its own, and the whole group ends
//! with the leash.

use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use process_wrap::tokio::{ChildWrapper, CommandWrap, KillOnDrop, ProcessGroup};
use tokio::{
    io::AsyncReadExt as _,
    process::{ChildStderr, ChildStdin, ChildStdout, Command},
};
use tokio_util::sync::{CancellationToken, DropGuard};

use super::meter::Meter;

/// How long it may take to end by itself once its stdin is closed.
const GRACE: Duration = Duration::from_millis(500);
/// How long the system may take to tell that it has ended.
const REAP: Duration = Duration::from_secs(2);
/// Of what it writes to stderr, what is kept: the end of it.
const WORDS: usize = 600;
/// What it may write to stderr before it is read slowly.
const STDERR: usize = 256 * 1024;
/// How long one that floods stderr is left waiting.
const SLOWLY: Duration = Duration::from_millis(200);

/// A process that runs, with its ends.
#[derive(Debug)]
pub(super) struct Spawned {
    pub(super) stdout: ChildStdout,
    pub(super) stdin: ChildStdin,
    pub(super) leash: Leash,
}

/// Ends the process when it is dropped.
#[derive(Debug)]
pub(super) struct Leash {
    stop: CancellationToken,
    _end: DropGuard,
    last: Arc<Mutex<Last>>,
}

/// What is known of its end.
#[derive(Debug, Default)]
struct Last {
    status: Option<String>,
    words: Vec<u8>,
}

impl Leash {
    /// Ends it now.
    pub(super) fn end(&self) -> CancellationToken {
        self.stop.clone()
    }

    /// How it ended and what it wrote to stderr last, redacted: for the operator.
    pub(super) fn said(&self) -> Option<String> {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let words = String::from_utf8_lossy(&last.words).trim().to_owned();
        let line = words.lines().last().unwrap_or_default().to_owned();
        let line = midwatch_mcp::clean(&line, 200).text;
        match (&last.status, line.is_empty()) {
            (Some(status), true) => Some(status.clone()),
            (Some(status), false) => Some(format!("{status}; it wrote `{line}`")),
            (None, false) => Some(format!("it wrote `{line}`")),
            (None, true) => None,
        }
    }
}

/// Starts it.
pub(super) fn spawn(
    program: &str,
    args: &[String],
    env: &BTreeMap<String, String>,
    cwd: &Path,
) -> std::io::Result<Spawned> {
    let mut command = Command::new(program);
    command.args(args).env_clear().current_dir(cwd);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command.envs(env).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut wrap = CommandWrap::from(command);
    wrap.wrap(ProcessGroup::leader()).wrap(KillOnDrop);
    let mut child = wrap.spawn()?;
    let missing = || std::io::Error::other("it has no pipes");
    let stdout = child.stdout().take().ok_or_else(missing)?;
    let stdin = child.stdin().take().ok_or_else(missing)?;
    let stderr = child.stderr().take().ok_or_else(missing)?;
    let stop = CancellationToken::new();
    let last = Arc::new(Mutex::new(Last::default()));
    tokio::spawn(keep(Group(child), stop.clone(), Arc::clone(&last)));
    tokio::spawn(drain(stderr, stop.clone(), Arc::clone(&last)));
    let leash = Leash { _end: stop.clone().drop_guard(), stop, last };
    Ok(Spawned { stdout, stdin, leash })
}

/// A process group that is killed with the value, however that ends: also with the runtime.
struct Group(Box<dyn ChildWrapper>);

impl Drop for Group {
    fn drop(&mut self) {
        // Nothing is left of it, or it is killed.
        let _ = self.0.start_kill();
    }
}

async fn keep(mut group: Group, stop: CancellationToken, last: Arc<Mutex<Last>>) {
    let ended = tokio::select! {
        ended = group.0.wait() => Some(ended),
        () = stop.cancelled() => tokio::time::timeout(GRACE, group.0.wait()).await.ok(),
    };
    let status = match ended {
        Some(Ok(status)) => format!("it ended with {status}"),
        Some(Err(error)) => format!("it ended: {error}"),
        None => "it was killed".to_owned(),
    };
    last.lock().unwrap_or_else(PoisonError::into_inner).status = Some(status);
    // What it started itself goes as well, and nothing stays behind as a zombie.
    let _ = group.0.start_kill();
    let _ = tokio::time::timeout(REAP, group.0.wait()).await;
}

/// Reads stderr, so that it does not stand in the way, and keeps its end. Whoever floods it waits.
async fn drain(mut stderr: ChildStderr, stop: CancellationToken, last: Arc<Mutex<Last>>) {
    let mut meter = Meter::of(STDERR);
    let mut part = [0; 4096];
    loop {
        let read = tokio::select! {
            read = stderr.read(&mut part) => read,
            () = stop.cancelled() => return,
        };
        let Ok(count @ 1..) = read else { return };
        {
            let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
            last.words.extend_from_slice(part.get(..count).unwrap_or_default());
            let over = last.words.len().saturating_sub(WORDS);
            last.words.drain(..over);
        }
        if !meter.take(count) {
            meter = Meter::of(part.len() * 4);
            tokio::time::sleep(SLOWLY).await;
        }
    }
}
