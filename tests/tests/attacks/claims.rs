//! Permits that say something else than what is about to be done. Each begins as a real permit, is
//! altered in one claim, and is signed with the desk's own key, as by a desk that was taken over or
//! has a bug: the server alone has to stand.

use midwatch_mcp::KeyState;
use midwatch_policy::{
    Action, Approver, AwsName, Claims, Digest, EndState, ExpectedState, IncidentId, RequestId, Seal,
    SignedDuration, SigningKey, Timestamp,
};
use serde_json::json;

use crate::range::{EDITOR, Range, SUPERVISOR, restart, rollback, scale};

fn later(at: Timestamp, minutes: i64) -> Timestamp {
    at.checked_add(SignedDuration::from_mins(minutes)).unwrap()
}

/// The altered permit is refused; the one that it was made from acts.
async fn twisted(action: Action, kind: &str, twist: impl FnOnce(&mut Claims)) {
    let range = Range::new().await;
    range.approved(&action).await;
    let honest = range.claims(&action).await;
    let mut claims = honest.clone();
    twist(&mut claims);
    assert_ne!(claims, honest);
    range.offer(&claims);
    // The server asks for whatever request it is told of.
    range.refuses(&action, kind).await;
    range.wire.honest();
    if kind == "stale" {
        // The desk was told so of the request, and people were asked anew.
        range.approved(&action).await;
    }
    range.acts_once(&action).await;
}

macro_rules! rows {
    ($($name:ident: $action:expr, $kind:literal, $twist:expr;)+) => {
        $(#[tokio::test] async fn $name() { twisted($action, $kind, $twist).await; })+
    };
}

rows! {
    for_another_caller: scale("cart", 6), "bad_permit", |c| c.subject = EDITOR.to_owned();
    for_a_caller_of_another_case: scale("cart", 6), "bad_permit", |c| c.subject = SUPERVISOR.to_uppercase();
    for_another_server: scale("cart", 6), "bad_permit", |c| c.audience = "remediation-of-others".to_owned();
    for_another_tool: scale("cart", 6), "bad_permit", |c| c.tool = restart("cart").kind();
    for_another_version_of_the_tool: scale("cart", 6), "bad_permit", |c| c.schema = Digest::of(b"schema 0");
    for_another_count: scale("cart", 6), "bad_permit", |c| c.arguments = scale("cart", 7).digest().unwrap();
    for_another_service: scale("cart", 6), "bad_permit", |c| c.arguments = scale("shop-api", 6).digest().unwrap();
    for_another_deployment: rollback("shop-api", "d-BAD"), "bad_permit",
        |c| c.arguments = rollback("shop-api", "d-GOOD").digest().unwrap();
    for_a_rollback_of_another_service: rollback("shop-api", "d-BAD"), "bad_permit",
        |c| c.arguments = rollback("cart", "d-BAD").digest().unwrap();
    for_a_restart_of_another_service: restart("cart"), "bad_permit",
        |c| c.arguments = restart("vault-front").digest().unwrap();
    expired: scale("cart", 6), "bad_permit", |c| {
        c.not_before = later(c.not_before, -30);
        c.expires = later(c.not_before, 10);
    };
    not_yet_valid: scale("cart", 6), "bad_permit", |c| c.not_before = later(c.not_before, 5);
    good_for_ever: scale("cart", 6), "bad_permit", |c| c.expires = later(c.not_before, 600);
    good_for_less_than_nothing: scale("cart", 6), "bad_permit", |c| {
        c.not_before = later(c.not_before, 5);
        c.expires = later(c.not_before, -1);
    };
    approved_by_nobody: scale("cart", 6), "bad_permit", |c| c.approvers.clear();
    approved_by_its_caller: scale("cart", 6), "bad_permit", |c| c.approvers[0].name = SUPERVISOR.to_owned();
    approved_by_its_caller_in_another_case: scale("cart", 6), "bad_permit",
        |c| c.approvers[0].name = " Supervisor".to_owned();
    approved_by_one_person_twice: scale("cart", 6), "bad_permit", |c| c.approvers.push(c.approvers[0].clone());
    approved_by_one_person_under_two_spellings: scale("cart", 6), "bad_permit", |c| {
        let name = c.approvers[0].name.to_uppercase();
        c.approvers.push(Approver { name, ..c.approvers[0].clone() });
    };
    approved_in_a_role_that_is_not_asked: scale("cart", 6), "policy",
        |c| c.approvers[0].role = "intern".to_owned();
    approved_by_one_where_two_are_asked: restart("vault-front"), "policy", |c| c.approvers.truncate(1);
    without_a_policy: scale("cart", 6), "bad_permit", |c| c.policies.clear();
    with_a_count_that_is_not_there: scale("cart", 6), "stale", |c| {
        let ExpectedState::EcsDesiredCount { desired_count, .. } = &mut c.terms.expected else { panic!("{c:?}") };
        *desired_count = 5;
    };
    with_a_cluster_that_is_not_there: scale("cart", 6), "stale", |c| {
        let ExpectedState::EcsDesiredCount { cluster, .. } = &mut c.terms.expected else { panic!("{c:?}") };
        *cluster = AwsName::parse("other").unwrap();
    };
    with_an_older_deployment: rollback("shop-api", "d-BAD"), "stale", |c| {
        let ExpectedState::CodeDeployDeployment { deployment_id, .. } = &mut c.terms.expected else { panic!("{c:?}") };
        *deployment_id = AwsName::parse("d-GOOD").unwrap();
    };
    in_another_account: scale("cart", 6), "stale", |c| c.terms.place.account = Some("210987654321".to_owned());
    in_another_region: rollback("shop-api", "d-BAD"), "stale",
        |c| c.terms.place.region = Some("eu-west-1".to_owned());
    of_a_service_that_mattered_less: scale("cart", 6), "stale",
        |c| c.terms.place.tier = 4.try_into().unwrap();
    with_another_outcome: rollback("shop-api", "d-BAD"), "stale", |c| {
        c.terms.result = EndState::Revision { revision: "s3://builds/other.zip".to_owned() };
    };
    with_a_runbook_that_is_not_there: scale("cart", 6), "contract", |c| {
        c.runbook = Some(midwatch_policy::RunbookRef { id: "none".to_owned(), digest: Digest::of(b"") });
    };
}

/// The request that the desk names and the one that the permit names.
#[tokio::test]
async fn for_another_request() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let (_, mut fetched) = range.fetched(SUPERVISOR, &action).await;
    fetched["request"] = json!(RequestId::parse("req-other").unwrap());
    range.wire.answer("/v1/permits/fetch", fetched);
    range.refuses(&action, "bad_permit").await;
    range.wire.honest();
    range.acts_once(&action).await;
}

/// The caller names no incident, so it is not compared. It acts once, and the incident is on record.
#[tokio::test]
async fn for_another_incident() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let mut claims = range.claims(&action).await;
    claims.incident = IncidentId::parse("inc-2").unwrap();
    range.offer(&claims);
    range.acts_once(&action).await;
    range.refuses(&action, "spent").await;
}

#[tokio::test]
async fn forged_with_another_key() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let claims = range.claims(&action).await;
    let other = SigningKey::generate().unwrap();
    range.offer_by(&claims, &other);
    assert!(range.refuses(&action, "bad_permit").await.contains("which is not accepted"));
    // Under the name of the key that is accepted.
    let (_, fetched) = range.fetched(SUPERVISOR, &action).await;
    let honest = fetched["token"].as_str().unwrap();
    let forged = midwatch_policy::sign(&claims, &other).unwrap().into_string();
    let parts: Vec<&str> = forged.split('.').collect();
    let footer = honest.split('.').nth(3).unwrap();
    range.wire.honest();
    range.offer_token("request", &format!("v4.public.{}.{footer}", parts[2]), &claims);
    assert!(range.refuses(&action, "bad_permit").await.contains("signature"));
    range.wire.honest();
    range.acts_once(&action).await;
}

/// Every part of a real permit, damaged.
#[tokio::test]
async fn damaged() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let claims = range.claims(&action).await;
    let (_, fetched) = range.fetched(SUPERVISOR, &action).await;
    let honest = fetched["token"].as_str().unwrap().to_owned();
    let parts: Vec<&str> = honest.split('.').collect();
    let changed = |at: usize| {
        let mut bytes = honest.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        String::from_utf8(bytes).unwrap()
    };
    for (what, token) in [
        ("in its claims", changed(40)),
        ("in its signature", changed("v4.public.".len() + parts[2].len() - 5)),
        ("in its footer", changed(honest.len() - 3)),
        ("without a footer", parts[..3].join(".")),
        ("of another version", honest.replacen("v4", "v3", 1)),
        ("of another purpose", honest.replacen("public", "local", 1)),
        ("empty", String::new()),
        ("endless", format!("v4.public.{}", "A".repeat(200_000))),
        ("cut", honest[..honest.len() / 2].to_owned()),
    ] {
        range.wire.honest();
        range.offer_token(what, &token, &claims);
        range.refuses(&action, "bad_permit").await;
    }
    range.wire.honest();
    range.acts_once(&action).await;
}

/// The desk signs journals too, with the same key.
#[tokio::test]
async fn a_signature_under_a_journal() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    let claims = range.claims(&action).await;
    let head = json!({"entries": 3, "head": Digest::of(b"head")});
    let (status, sealed) = range.post(SUPERVISOR, "/v1/incidents/inc-1/seal", &head).await;
    assert_eq!(status, 200, "{sealed}");
    let seal = Seal::open(
        sealed["signature"].as_str().unwrap(),
        &[range.key().public().unwrap()].into_iter().collect(),
    );
    assert_eq!(seal.unwrap().entries, 3);
    range.offer_token("seal", sealed["signature"].as_str().unwrap(), &claims);
    assert!(range.refuses(&action, "bad_permit").await.contains("signature"));
    range.wire.honest();
    range.acts_once(&action).await;
}

#[tokio::test]
async fn signed_with_a_key_that_was_revoked() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.approved(&action).await;
    range.accept(KeyState::Revoked);
    range.refuses(&action, "bad_permit").await;
    range.write("keys.toml", "[[key]]\npublic = 7\n");
    range.refuses(&action, "no_keys").await;
    std::fs::remove_file(range.path("keys.toml")).unwrap();
    range.refuses(&action, "no_keys").await;
    range.write("keys.toml", "");
    range.refuses(&action, "no_keys").await;
    range.accept(KeyState::Retired);
    range.acts_once(&action).await;
}

#[tokio::test]
async fn replayed_when_the_target_is_as_it_was() {
    let mut range = Range::new().await;
    let action = scale("cart", 6);
    range.approved(&action).await;
    let claims = range.claims(&action).await;
    range.acts_once(&action).await;
    let back = scale("cart", 4);
    range.approved(&back).await;
    range.acts_once(&back).await;
    // The desk has forgotten that it was used, and so on: the server's own record stands.
    range.offer(&claims);
    range.refuses(&action, "spent").await;
    range.restart(|_| ()).await;
    range.refuses(&action, "spent").await;
    range.wire.honest();
    range.refuses_unasked(&action).await;
}

#[tokio::test]
async fn the_same_permit_many_times_at_once() {
    let (range, action) = (Range::new().await, restart("cart"));
    range.approved(&action).await;
    let claims = range.claims(&action).await;
    range.offer(&claims);
    let calls = futures::future::join_all((0..8).map(|_| range.act(&action))).await;
    let done = calls.iter().filter(|receipt| receipt["outcome"] == "done").count();
    assert_eq!((done, range.tried()), (1, 1), "{calls:#?}");
}

#[tokio::test]
async fn two_permits_for_one_target_at_once() {
    let range = Range::new().await;
    let (up, more) = (scale("cart", 6), scale("cart", 7));
    range.approved(&up).await;
    range.approved(&more).await;
    let (one, other) = tokio::join!(range.act(&up), range.act(&more));
    let done = [&one, &other].iter().filter(|receipt| receipt["outcome"] == "done").count();
    assert_eq!((done, range.tried()), (1, 1), "{one} {other}");
    let refused = if one["outcome"] == "done" { &other } else { &one };
    assert_eq!(refused["reason"]["kind"], "stale", "{refused}");
}
