//! The record of spent permits and the clock, tampered with.

use std::path::Path;

use midwatch_remediation::SpendStore;

use crate::range::{Range, scale};

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
