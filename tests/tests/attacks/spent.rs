//! The record of spent permits and the clock, tampered with.

use std::path::Path;

use midwatch_mcp::reqwest::Method;
use midwatch_remediation::SpendStore;
use serde_json::json;

use crate::range::{FIRST, Range, scale, update};

fn copy(range: &Range, from: &str, to: &str) {
    for end in ["", "-wal", "-shm"] {
        let (from, to) = (range.path(&format!("{from}{end}")), range.path(&format!("{to}{end}")));
        let _ = std::fs::remove_file(&to);
        if Path::new(&from).exists() {
            std::fs::copy(&from, &to).unwrap();
        }
    }
}

#[tokio::test]
async fn time_moved_backwards() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let claims = range.claims(&action).await;
    range.clock.move_by(900);
    range.offer(&claims);
    // Expired; the server has seen that time.
    range.refuses(&action, "bad_permit").await;
    range
        .call(
            crate::range::EDITOR,
            "plan",
            &serde_json::json!({"action": "restart_service", "service": "cart"}),
        )
        .await;
    range.clock.move_by(-890);
    let why = range.refuses(&action, "spent").await;
    assert!(why.contains("clock"), "{why}");
}

#[tokio::test]
async fn the_desks_time_moved_backwards() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.filed(&action).await;
    range.clock.move_by(900);
    assert_eq!(range.says(crate::range::FIRST, &view).await.0, 409, "it is too late");
    range.filed(&scale("cart", 7)).await;
    range.clock.move_by(-890);
    let (status, answer) = range.says(crate::range::FIRST, &view).await;
    assert_eq!(status, 500, "{answer}");
    assert_eq!(range.tried(), 0);
}

/// Copied back while the server is down, with a desk that is honest: the desk knows.
#[tokio::test]
async fn the_spend_store_copied_back_at_a_restart() {
    let mut range = Range::new().await;
    let (up, down) = (scale("cart", 6), scale("cart", 4));
    range.approved(&up).await;
    let (_, fetched) = range.fetched(crate::range::SUPERVISOR, &up).await;
    range.restart(|range| copy(range, "spent.db", "before.db")).await;
    range.acts_once(&up).await;
    range.approved(&down).await;
    range.acts_once(&down).await;
    range.restart(|range| copy(range, "before.db", "spent.db")).await;
    // The target is as it was, the store knows nothing, and the old permit is offered again.
    range.wire.answer("/v1/permits/fetch", fetched);
    range.refuses(&up, "withdrawn").await;
    range.wire.honest();
    range.refuses_unasked(&up).await;
}

#[tokio::test]
async fn the_spend_store_exchanged_under_a_running_server() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    std::fs::rename(range.path("spent.db"), range.path("gone.db")).unwrap();
    range.refuses(&action, "spent").await;
    std::fs::write(range.path("spent.db"), "").unwrap();
    range.refuses(&action, "spent").await;
    std::fs::rename(range.path("gone.db"), range.path("spent.db")).unwrap();
    range.acts_once(&action).await;
}

#[tokio::test]
async fn a_second_server_over_the_same_store() {
    let range = Range::new().await;
    assert!(SpendStore::open(&range.path("spent.db")).is_err());
}

/// The desk has not heard of the act, and the server comes back with a record that knows nothing of it, as a
/// second server under the same name would have.
#[tokio::test]
async fn a_permit_that_was_spent_in_another_store() {
    let (mut range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    range.wire.answer("/used", json!({}));
    range.acts_once(&action).await;
    update(&range, "cart", json!({"desiredCount": 4})).await;
    range
        .restart(|range| {
            for end in ["", "-wal", "-shm"] {
                let _ = std::fs::remove_file(range.path(&format!("spent.db{end}")));
            }
        })
        .await;
    let why = range.refuses(&action, "withdrawn").await;
    assert!(why.contains("another record of spent permits"), "{why}");
}

/// Its target has changed, since it was done: that it was done comes first, and the desk hears of it.
#[tokio::test]
async fn a_spent_permit_is_spent_before_it_is_stale() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.approved(&action).await;
    range.wire.answer("/used", json!({}));
    range.acts_once(&action).await;
    range.wire.honest();
    range.refuses(&action, "spent").await;
    let path = format!("/v1/requests/{}", view.shown.request);
    let mut seen = json!(null);
    for _ in 0..100 {
        seen = range.at_desk(FIRST, Method::GET, &path, None).await.1;
        if seen["state"]["state"] == "used" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(seen["state"]["outcome"], "done", "{seen}");
}
