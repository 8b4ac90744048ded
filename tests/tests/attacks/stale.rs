//! The target changed between yes and go, or somebody stopped the act meanwhile.

use midwatch_mcp::reqwest::Method;
use midwatch_policy::{Autonomy, Catalog, Environment, Service};
use serde_json::json;

use crate::range::{FIRST, Range, catalog, restart, rollback, scale, update};

const CODEDEPLOY: &str = "CodeDeploy_20141006";

#[tokio::test]
async fn another_desired_count() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    update(&range, "cart", json!({"desiredCount": 5})).await;
    let why = range.refuses(&action, "stale").await;
    assert!(why.contains("the desired count was `4`, now it is `5`"), "{why}");
    let other = scale("cart", 7);
    range.approved(&other).await;
    range.acts_once(&other).await;
}

/// The desk hears that its permit is of no use: people can be asked for the same on what is now.
#[tokio::test]
async fn what_went_stale_is_asked_for_anew() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let old = range.approved(&action).await;
    update(&range, "cart", json!({"desiredCount": 5})).await;
    let stale = range.refuses(&action, "stale").await;
    let path = format!("/v1/requests/{}", old.shown.request);
    let (_, view) = range.at_desk(FIRST, Method::GET, &path, None).await;
    assert_eq!(view["state"]["state"], "withdrawn", "{view}");
    assert_eq!(view["state"]["why"], stale, "{view}");
    let new = range.approved(&action).await;
    assert_ne!(new.shown.request, old.shown.request);
    range.acts_once(&action).await;
}

/// What makes no sense for a while is void for good, too.
#[tokio::test]
async fn what_was_so_already_and_is_so_no_more() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    update(&range, "cart", json!({"desiredCount": 6})).await;
    range.refuses(&action, "stale").await;
    update(&range, "cart", json!({"desiredCount": 4})).await;
    range.refuses_unasked(&action).await;
    range.approved(&action).await;
    range.acts_once(&action).await;
}

#[tokio::test]
async fn a_deployment_that_began_since() {
    let (range, action) = (Range::new().await, restart("cart"));
    range.approved(&action).await;
    update(&range, "cart", json!({"forceNewDeployment": true})).await;
    range.refuses(&action, "stale").await;
}

#[tokio::test]
async fn a_newer_deployment_over_the_one_to_take_back() {
    let (range, action) = (Range::new().await, rollback("shop-api", "d-BAD"));
    range.approved(&action).await;
    let found = range.world.catalog().get(&midwatch_policy::ServiceName::parse("shop-api").unwrap()).unwrap();
    let target = found.codedeploy.as_ref().unwrap();
    let good = json!({"deploymentId": "d-GOOD"});
    let good = range.elsewhere(&format!("{CODEDEPLOY}.GetDeployment"), &good).await;
    let input = json!({
        "applicationName": target.application, "deploymentGroupName": target.deployment_group,
        "revision": good["deploymentInfo"]["revision"],
    });
    range.elsewhere(&format!("{CODEDEPLOY}.CreateDeployment"), &input).await;
    range.refuses(&action, "stale").await;
}

#[tokio::test]
async fn revoked_by_a_person() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.approved(&action).await;
    let permit = range.claims(&action).await.permit;
    let body = json!({"reason": "I was wrong"});
    let (status, _) = range.post(FIRST, &format!("/v1/permits/{permit}/revoke"), &body).await;
    assert_eq!(status, 200);
    let (status, raised) =
        range.post(FIRST, &format!("/v1/requests/{}/raise", view.shown.request), &json!({})).await;
    assert_eq!(status, 201, "{raised}");
    range.refuses(&action, "no_permit").await;
    let raised: midwatch_policy::RequestView = serde_json::from_value(raised).unwrap();
    range.approve(&raised).await;
    range.acts_once(&action).await;
}

/// The server had the permit already when it was taken back.
#[tokio::test]
async fn revoked_between_fetching_and_spending() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let (_, fetched) = range.fetched(crate::range::SUPERVISOR, &action).await;
    let permit = range.claims(&action).await.permit;
    range.wire.answer("/v1/permits/fetch", fetched);
    let body = json!({"reason": "I was wrong"});
    range.post(FIRST, &format!("/v1/permits/{permit}/revoke"), &body).await;
    range.refuses(&action, "withdrawn").await;
}

#[tokio::test]
async fn incident_taken_over_or_stopped_after_approval() {
    for how in ["take", "stop"] {
        let (range, action) = (Range::new().await, scale("cart", 6));
        range.approved(&action).await;
        let (_, fetched) = range.fetched(crate::range::SUPERVISOR, &action).await;
        let path = format!("/v1/incidents/inc-1/{how}");
        assert_eq!(range.post(FIRST, &path, &json!({"note": "mine"})).await.0, 200);
        // Also for a server that holds the permit already.
        range.wire.answer("/v1/permits/fetch", fetched);
        range.refuses(&action, "withdrawn").await;
        range.wire.honest();
        let receipt = range.act(&action).await;
        assert_eq!(receipt["outcome"], "refused", "{how}: {receipt}");
        let (status, answer) = range
            .post(crate::range::SUPERVISOR, "/v1/requests", &crate::range::asking(&action, json!({})))
            .await;
        assert_eq!((status, answer["error"]["kind"].as_str()), (409, Some("held")), "{how}: {answer}");
        assert_eq!(range.tried(), 0, "{how}");
    }
}

/// Handing back does not bring a permit back.
#[tokio::test]
async fn incident_handed_back_after_approval() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    for how in ["take", "return"] {
        range.post(FIRST, &format!("/v1/incidents/inc-1/{how}"), &json!({"note": ""})).await;
    }
    range.refuses_unasked(&action).await;
}

#[tokio::test]
async fn kill_switch_thrown_after_approval() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    range.kill_switch.engage();
    range.refuses(&action, "kill_switch").await;
    range.kill_switch.release();
    range.write("stop", "");
    range.refuses(&action, "kill_switch").await;
    std::fs::remove_file(range.path("stop")).unwrap();
    range.acts_once(&action).await;
}

/// Thrown while the desk is asked for the last time.
#[tokio::test]
async fn kill_switch_thrown_just_before_spending() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let switch = range.kill_switch.clone();
    range.wire.before("/check", move || switch.engage());
    range.refuses(&action, "kill_switch").await;
    range.wire.honest();
    range.kill_switch.release();
    range.acts_once(&action).await;
}

/// The permit ends while the desk is asked for the last time; the desk says it is good.
#[tokio::test]
async fn expired_just_before_spending() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let clock = std::sync::Arc::clone(&range.clock);
    range.wire.before("/check", move || clock.move_by(700));
    range.wire.answer("/check", json!({"good": true}));
    range.refuses(&action, "bad_permit").await;
}

#[tokio::test]
async fn a_desk_that_is_away_or_says_nonsense() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    for nonsense in [json!({}), json!({"good": "yes"}), json!({"good": 1}), json!([true]), json!(true)] {
        range.wire.answer("/check", nonsense);
        range.refuses(&action, "no_desk").await;
        range.wire.honest();
    }
    range.wire.answer("/check", json!({"good": false}));
    range.refuses(&action, "withdrawn").await;
    range.wire.honest();
    range.wire.lead_to("http://127.0.0.1:9");
    range.refuses(&action, "no_desk").await;
    range.wire.lead_to(range.desk_url());
    range.acts_once(&action).await;
}

/// What the catalog says at the act counts, and not what it said when the server was started.
#[tokio::test]
async fn a_catalog_that_was_changed_since() {
    type Make = fn(&mut Service);
    let change = |range: &Range, to: Make| {
        let services = range.world.catalog().services().cloned().map(|mut service| {
            if service.name.as_str() == "cart" {
                to(&mut service);
            }
            service
        });
        range.write("catalog.toml", &catalog(&Catalog::new(services.collect()).unwrap()));
    };
    let changes: [(&str, Make); 5] = [
        ("policy", |cart| cart.protected = true),
        ("policy", |cart| cart.scale = None),
        ("policy", |cart| cart.autonomy = Autonomy::Advise),
        ("stale", |cart| cart.environment = Environment::Staging),
        ("stale", |cart| cart.account = Some("210987654321".to_owned())),
    ];
    for (kind, to) in changes {
        let (range, action) = (Range::new().await, scale("cart", 6));
        range.approved(&action).await;
        change(&range, to);
        range.refuses(&action, kind).await;
    }
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    range.write("catalog.toml", "[[service]]\nname = ");
    range.refuses(&action, "policy").await;
    change(&range, |_| ());
    range.acts_once(&action).await;
}
