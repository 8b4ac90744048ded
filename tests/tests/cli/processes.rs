//! The demo with the desk and the remediation server as processes of their own. The way to a change
//! that was approved takes six minutes of real time and is a step of `tests/run --all`.

use std::{process::Stdio, time::Duration};

use serde_json::Value;
use tokio::process::Command;

use crate::bench::binary;

#[tokio::test(flavor = "multi_thread")]
async fn a_no_at_a_desk_of_its_own_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let run = Command::new(binary())
        .args(["demo", "--processes", "--decline", "--format", "json", "--store"])
        .arg(dir.path().join("store.db"))
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = tokio::time::timeout(Duration::from_mins(4), run).await.expect("it ends").unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    let run: Value = serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{error}: {said}"));
    assert_eq!(ended.status.code(), Some(1), "a person should look: {said}");
    assert_eq!(run["proposal"]["answer"], "declined", "{run:#}");
    assert_eq!(run["proposal"]["by"], "you");
    assert_eq!(run["proposal"]["plan"]["action"]["tool"], "rollback_deployment");
    assert_eq!(run["actions"], serde_json::json!([]));
    assert_eq!(run["problems"], serde_json::json!([]), "the desk has signed the journal, too");
}
