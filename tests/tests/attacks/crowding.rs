//! Callers that take more than their share of the server: its one turn, and its readings of AWS.

use std::sync::Arc;

use serde_json::json;

use crate::{
    grounds::FORBIDDING,
    range::{EDITOR, FIRST, POLICY, Range, SUPERVISOR, restart, scale, update},
};

/// Whoever has as many calls under way as it may have waits; others do not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn more_calls_at_once_than_a_caller_has_places() {
    let (range, action) = (Arc::new(Range::new().await), scale("cart", 6));
    range.approved(&action).await;
    let held = range.wire.hold("/v1/permits/fetch");
    let calls: Vec<_> = (0..4)
        .map(|_| {
            let range = Arc::clone(&range);
            tokio::spawn(async move { range.act_as(EDITOR, &restart("cart")).await })
        })
        .collect();
    held.reach(4).await;
    let why = range.refuses_for(EDITOR, &restart("cart"), "limit").await;
    assert!(why.contains("4 calls under way"), "{why}");
    range.wire.honest();
    range.acts_once(&action).await;
    held.release();
    for call in calls {
        assert_eq!(call.await.unwrap()["outcome"], "refused");
    }
    // Their places are free again.
    range.refuses_for(EDITOR, &restart("vault-front"), "no_permit").await;
}

/// What was approved is not what is there. It stays so, whatever the target becomes, also where the desk
/// offers it on: nobody waits for a target to come round to an old permit, and asking again and again
/// reads nothing.
#[tokio::test]
async fn a_stale_permit_again_and_again() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let (_, fetched) = range.fetched(SUPERVISOR, &action).await;
    range.wire.answer("/v1/permits/fetch", fetched);
    range.wire.answer("/check", json!({"good": true}));
    update(&range, "cart", json!({"desiredCount": 5})).await;
    range.refuses(&action, "stale").await;
    update(&range, "cart", json!({"desiredCount": 4})).await;
    for _ in 0..3 {
        let why = range.refuses(&action, "stale").await;
        assert!(why.contains("stays void"), "{why}");
    }
    range.wire.honest();
    range.approved(&action).await;
    range.acts_once(&action).await;
}

/// Each call would have the target read.
#[tokio::test]
async fn a_permit_that_is_refused_again_and_again() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    range.write("policy.cedar", &format!("{POLICY}{FORBIDDING}"));
    for _ in 0..20 {
        range.refuses(&action, "policy").await;
    }
    let why = range.refuses(&action, "limit").await;
    assert!(why.contains("presented 20 times"), "{why}");
    range.write("policy.cedar", POLICY);
    range.refuses(&action, "limit").await;
    // Another permit has looks of its own.
    range.approved(&scale("cart", 5)).await;
    range.acts_once(&scale("cart", 5)).await;
}

/// The server has begun; a person takes the incident over before it has told what came of it.
#[tokio::test]
async fn taken_over_while_the_server_acts() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.approved(&action).await;
    let range = Arc::new(range);
    let held = range.wire.hold("/used");
    let acting = {
        let (range, action) = (Arc::clone(&range), action.clone());
        tokio::spawn(async move { range.act(&action).await })
    };
    held.reach(1).await;
    assert_eq!(range.post(FIRST, "/v1/incidents/inc-1/take", &json!({"note": "mine"})).await.0, 200);
    let path = format!("/v1/requests/{}", view.shown.request);
    let get = midwatch_mcp::reqwest::Method::GET;
    let (_, seen) = range.at_desk(FIRST, get.clone(), &path, None).await;
    assert_eq!(seen["state"]["state"], "withdrawn", "{seen}");
    range.wire.honest();
    held.release();
    assert_eq!(acting.await.unwrap()["outcome"], "done");
    // It was done, and that is what people see, beside that it should not have been.
    let (_, seen) = range.at_desk(FIRST, get, &path, None).await;
    assert_eq!(
        (&seen["state"]["state"], &seen["state"]["outcome"]),
        (&json!("used"), &json!("done")),
        "{seen}"
    );
    assert!(seen["state"]["void"]["why"].as_str().unwrap().contains("took over"), "{seen}");
    range.post(FIRST, "/v1/incidents/inc-1/return", &json!({})).await;
    assert_eq!(range.post(FIRST, &format!("{path}/raise"), &json!({})).await.0, 409);
    assert_eq!(range.tried(), 1);
}
