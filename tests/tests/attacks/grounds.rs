//! What the permit is judged by changed after it was signed: policy, calendar, catalog, limits.

use midwatch_policy::Claims;
use midwatch_remediation::Limits;
use serde_json::json;

use crate::range::{POLICY, Range, restart, scale, unlimited};

pub(crate) const FORBIDDING: &str = r#"
@id("not-tonight")
@reason("nothing is changed tonight")
forbid (principal, action == Action::"mutate", resource);
"#;

#[tokio::test]
async fn policy_tightened_after_signing() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    range.write("policy.cedar", &format!("{POLICY}{FORBIDDING}"));
    assert!(range.refuses(&action, "policy").await.contains("not-tonight"));
    range.write("policy.cedar", "permit (principal, action, resource);");
    range.refuses(&action, "policy").await;
    std::fs::remove_file(range.path("policy.cedar")).unwrap();
    range.refuses(&action, "policy").await;
    range.write("policy.cedar", &POLICY.replace("\"1 oncall\"", "\"2 oncall\""));
    assert!(range.refuses(&action, "policy").await.contains("1 oncall"));
    range.write("policy.cedar", POLICY);
    range.acts_once(&action).await;
}

/// The desk still sees the looser policy: what it signs is not enough.
#[tokio::test]
async fn fewer_people_than_the_server_asks_for() {
    let mut range = Range::new().await;
    range.write("strict.cedar", &POLICY.replace("\"1 oncall\"", "\"2 oncall\""));
    let strict = range.rules("strict.cedar");
    range.restart_with(|_| (), |config| config.rules = Some(strict)).await;
    let action = scale("cart", 6);
    range.approved(&action).await;
    assert!(range.refuses(&action, "policy").await.contains("1 oncall"));
}

#[tokio::test]
async fn a_freeze_that_began_after_signing() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    range.write("freeze", "");
    range.refuses(&action, "policy").await;
    std::fs::remove_file(range.path("freeze")).unwrap();
    range.write(
        "calendar.toml",
        "[[freeze]]\nid='sale'\nreason='the sale'\nfrom='2026-11-21T00:00:00Z'\nto='2026-11-22T00:00:00Z'\n",
    );
    range.refuses(&action, "policy").await;
    range.write("calendar.toml", "[[freeze]]\nid='sale'\n");
    range.refuses(&action, "policy").await;
    range.write("calendar.toml", "");
    range.acts_once(&action).await;
}

/// Whatever was signed: the catalog's protection, bounds and ladder.
#[tokio::test]
async fn what_the_catalog_rules_out() {
    let range = Range::new().await;
    let (fine, wide) = (scale("cart", 6), scale("cart", 60));
    range.approved(&fine).await;
    let honest = range.claims(&fine).await;
    for (action, kind) in [
        (wide, "policy"),
        (scale("cart", 1), "policy"),
        (scale("ledger", 5), "policy"),
        (restart("ledger"), "policy"),
        (restart("watched"), "policy"),
        (restart("nowhere"), "policy"),
    ] {
        let (status, answer) = range
            .post(crate::range::SUPERVISOR, "/v1/requests", &crate::range::asking(&action, json!({})))
            .await;
        assert!(matches!(status, 403 | 409), "{action}: {status} {answer}");
        range.offer(&Claims { tool: action.kind(), arguments: action.digest().unwrap(), ..honest.clone() });
        range.refuses(&action, kind).await;
        range.wire.honest();
    }
    range.acts_once(&fine).await;
}

#[tokio::test]
async fn more_than_the_limits_allow_whatever_the_permits_say() {
    let range = Range::with("", |config| {
        config.limits = Limits { per_service_and_hour: 1, per_hour: 2, ..Limits::default() };
    })
    .await;
    range.approved(&scale("cart", 5)).await;
    range.acts_once(&scale("cart", 5)).await;
    range.approved(&scale("cart", 6)).await;
    range.refuses(&scale("cart", 6), "limit").await;
    range.approved(&restart("vault-front")).await;
    range.acts_once(&restart("vault-front")).await;
    range.approved(&restart("shop-api")).await;
    range.refuses(&restart("shop-api"), "limit").await;
}

/// Policy's own count, where the server's limits are out of the way.
#[tokio::test]
async fn more_than_policy_allows_in_an_hour() {
    let range = Range::with("", unlimited).await;
    for count in [5, 6, 7] {
        range.approved(&scale("cart", count)).await;
        range.acts_once(&scale("cart", count)).await;
    }
    let action = scale("cart", 8);
    let (status, _) =
        range.post(crate::range::SUPERVISOR, "/v1/requests", &crate::range::asking(&action, json!({}))).await;
    assert_eq!(status, 403);
    range.clock.move_by(3700);
    range.approved(&action).await;
    range.acts_once(&action).await;
}
