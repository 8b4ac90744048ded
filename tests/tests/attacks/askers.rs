//! What an asker leaves out, how much it asks for, and approvals by people who have left since.

use midwatch::desk::MemberKind;
use midwatch_policy::{Clock as _, RequestView};
use midwatch_remediation::Limits;
use serde_json::json;

use crate::range::{EDITOR, FIRST, POLICY, Range, SECOND, SUPERVISOR, asking, restart, rollback, scale};

/// A supervisor that says nothing of itself gets around no rule about confidence.
#[tokio::test]
async fn a_supervisor_that_keeps_quiet() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let mut quiet = asking(&action, json!({}));
    quiet.as_object_mut().unwrap().remove("claimed");
    for asked in [quiet, asking(&action, json!({"claimed": null}))] {
        let (status, answer) = range.post(SUPERVISOR, "/v1/requests", &asked).await;
        assert_eq!(status, 403, "{answer}");
        assert!(answer.to_string().contains("claims-missing"), "{answer}");
    }
    // By way of the server it says nothing either.
    range.refuses_unasked(&action).await;
    // Another agent client cannot know: its request is filed, and says so to whoever is asked.
    range.refuses_for(EDITOR, &action, "no_permit").await;
    let (_, all) =
        range.at_desk(FIRST, midwatch_mcp::reqwest::Method::GET, "/v1/requests?state=open", None).await;
    let all: Vec<RequestView> = serde_json::from_value(all).unwrap();
    assert_eq!(all.len(), 1);
    assert_eq!((all[0].shown.caller.as_str(), &all[0].shown.claimed), ("agent_client", &None));
    range.approved(&action).await;
    range.acts_once(&action).await;
}

/// A desk that signs without them, and a policy that wants more certainty since.
#[tokio::test]
async fn a_permit_without_claims_and_one_with_too_small_ones() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let mut claims = range.claims(&action).await;
    assert_eq!(claims.claimed.as_ref().unwrap().confidence_percent, 90);
    claims.claimed = None;
    range.offer(&claims);
    assert!(range.refuses(&action, "policy").await.contains("claims-missing"));
    range.wire.honest();
    range.write("policy.cedar", &POLICY.replace("confidence_percent < 50", "confidence_percent < 95"));
    assert!(range.refuses(&action, "policy").await.contains("low-confidence"));
    range.write("policy.cedar", POLICY);
    range.acts_once(&action).await;
}

/// Each call without a permit would cost a plan, and people a look.
#[tokio::test]
async fn more_calls_without_a_permit_than_a_caller_has() {
    let range = Range::with("", |config| {
        config.limits = Limits { asks_per_caller_and_hour: 3, ..Limits::default() };
    })
    .await;
    // Looking again at what is open costs nothing.
    for _ in 0..5 {
        range.refuses_for(EDITOR, &scale("cart", 6), "no_permit").await;
    }
    range.refuses_for(EDITOR, &restart("vault-front"), "no_permit").await;
    range.refuses_for(EDITOR, &rollback("shop-api", "d-BAD"), "no_permit").await;
    let why = range.refuses_for(EDITOR, &restart("cart"), "limit").await;
    assert!(why.contains("has asked for approval 3 times"), "{why}");
    let (_, all) = range.at_desk(FIRST, midwatch_mcp::reqwest::Method::GET, "/v1/requests", None).await;
    assert_eq!(all.as_array().unwrap().len(), 3, "nobody was asked a fourth time");
    // What was approved is not counted, and others have a share of their own.
    range.approved(&scale("cart", 5)).await;
    range.acts_once(&scale("cart", 5)).await;
    range.clock.move_by(3700);
    range.refuses_for(EDITOR, &restart("cart"), "no_permit").await;
}

/// Whoever fills a service's places fills its own.
#[tokio::test]
async fn nobody_takes_anothers_place() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    for count in [5, 7] {
        range.refuses_for(EDITOR, &scale("cart", count), "no_permit").await;
    }
    range.refuses_for(EDITOR, &scale("cart", 8), "limit").await;
    range.approved(&action).await;
    range.acts_once(&action).await;
}

/// Of two who have to approve, one has left before the other came.
#[tokio::test]
async fn an_approver_who_was_removed() {
    let (range, action) = (Range::new().await, restart("vault-front"));
    let view = range.filed(&action).await;
    assert_eq!(range.says(FIRST, &view).await.0, 200);
    range.roster().remove(FIRST).unwrap();
    let (status, answer) = range.says(SECOND, &view).await;
    assert_eq!((status, answer["state"]["state"].as_str()), (200, Some("open")), "{answer}");
    assert_eq!(answer["state"]["approvers"].as_array().unwrap().len(), 1, "{answer}");
    range.refuses(&action, "no_permit").await;
}

/// Known again is not the same: the token that approved may be why they were removed.
#[tokio::test]
async fn an_approver_who_is_known_again() {
    let (range, action) = (Range::new().await, restart("vault-front"));
    let view = range.filed(&action).await;
    assert_eq!(range.says(FIRST, &view).await.0, 200);
    range.roster().remove(FIRST).unwrap();
    range.clock.move_by(1);
    let oncall = || vec!["oncall".to_owned()];
    let token = range.roster().add(FIRST, MemberKind::Person, oncall(), range.clock.now()).unwrap();
    let (status, answer) = range.says(SECOND, &view).await;
    assert_eq!((status, answer["state"]["state"].as_str()), (200, Some("open")), "{answer}");
    assert_eq!(answer["state"]["approvers"].as_array().unwrap().len(), 1, "{answer}");
    range.refuses(&action, "no_permit").await;
    let path = format!("/v1/requests/{}/approve", view.shown.request);
    let body = json!({"shown": view.digest});
    let (status, answer) =
        range.at_desk_by(&token, midwatch_mcp::reqwest::Method::POST, &path, Some(&body)).await;
    assert_eq!((status, answer["state"]["state"].as_str()), (200, Some("approved")), "{answer}");
    range.acts_once(&action).await;
}

/// The server has the permit already when its approver is removed.
#[tokio::test]
async fn an_approver_who_was_removed_before_spending() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.approved(&action).await;
    let (_, fetched) = range.fetched(SUPERVISOR, &action).await;
    range.roster().remove(FIRST).unwrap();
    range.wire.answer("/v1/permits/fetch", fetched);
    range.refuses(&action, "withdrawn").await;
    range.wire.honest();
    assert_eq!(range.fetched(SUPERVISOR, &action).await.0, 404);
    let (status, raised) =
        range.post(SECOND, &format!("/v1/requests/{}/raise", view.shown.request), &json!({})).await;
    assert_eq!(status, 201, "{raised}");
    let raised: RequestView = serde_json::from_value(raised).unwrap();
    assert_eq!(range.says(SECOND, &raised).await.0, 200);
    range.acts_once(&action).await;
}
