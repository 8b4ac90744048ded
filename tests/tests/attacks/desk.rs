//! Attacks at the desk's own API: by askers, servers, people without the role, and everybody's tokens.

use midwatch_mcp::reqwest::Method;
use midwatch_policy::Digest;
use serde_json::{Value, json};

use crate::range::{AUDIENCE, DESK, EDITOR, FIRST, Range, SECOND, SUPERVISOR, asking, restart, scale};

#[tokio::test]
async fn approved_by_whoever_is_no_person() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.filed(&action).await;
    for who in [SUPERVISOR, "another-supervisor", AUDIENCE, "remediation-of-others"] {
        let (status, answer) = range.says(who, &view).await;
        assert!(matches!(status, 403 | 404), "{who}: {status} {answer}");
    }
    let path = format!("/v1/requests/{}/approve", view.shown.request);
    let body = json!({"shown": view.digest});
    // Tokens of another kind, and none.
    for token in [range.token(SUPERVISOR), range.token(EDITOR), range.token(DESK), "", "x", "undefined"] {
        assert_eq!(range.at_desk_by(token, Method::POST, &path, Some(&body)).await.0, 401);
    }
    range.refuses(&action, "no_permit").await;
    range.approve(&view).await;
    range.acts_once(&action).await;
}

#[tokio::test]
async fn approved_in_a_role_that_one_does_not_have() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.filed(&action).await;
    assert_eq!(range.says("intern", &view).await.0, 403);
    let path = format!("/v1/requests/{}/approve", view.shown.request);
    for (who, role) in
        [("intern", "oncall"), (FIRST, "owner"), (SECOND, "owner"), (FIRST, "Oncall"), (FIRST, "")]
    {
        let (status, answer) = range.post(who, &path, &json!({"shown": view.digest, "role": role})).await;
        assert_eq!(status, 403, "{who} as {role}: {answer}");
    }
    range.refuses(&action, "no_permit").await;
    range.approve(&view).await;
    range.acts_once(&action).await;
}

#[tokio::test]
async fn the_same_person_twice() {
    let (range, action) = (Range::new().await, restart("vault-front"));
    let view = range.filed(&action).await;
    assert_eq!(range.says(FIRST, &view).await.0, 200);
    for _ in 0..3 {
        assert_eq!(range.says(FIRST, &view).await.0, 403);
    }
    range.refuses(&action, "no_permit").await;
    assert_eq!(range.says(SECOND, &view).await.0, 200);
    range.acts_once(&action).await;
}

/// The agent's own identity was given a person's roles at the desk.
#[tokio::test]
async fn self_approval_by_the_agents_identity() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    range.refuses_for(EDITOR, &action, "no_permit").await;
    let (_, all) = range.at_desk(FIRST, Method::GET, "/v1/requests?state=open", None).await;
    let view: midwatch_policy::RequestView = serde_json::from_value(all[0].clone()).unwrap();
    assert_eq!(view.shown.subject, EDITOR);
    let (status, answer) = range.says("Editor-7", &view).await;
    assert_eq!(status, 403, "{answer}");
    range.refuses_for(EDITOR, &action, "no_permit").await;
    range.approve(&view).await;
    // Another caller's permit.
    range.refuses_unasked(&action).await;
    let receipt = range.act_as(EDITOR, &action).await;
    assert_eq!((&receipt["outcome"], range.tried()), (&json!("done"), 1), "{receipt}");
}

#[tokio::test]
async fn approved_with_the_digest_of_another_request() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.filed(&action).await;
    let other = range.filed(&scale("cart", 5)).await;
    let path = format!("/v1/requests/{}/approve", view.shown.request);
    for shown in [other.digest, Digest::of(b""), view.shown.plan.action.digest().unwrap()] {
        let (status, answer) = range.post(FIRST, &path, &json!({"shown": shown})).await;
        assert_eq!(status, 400, "{answer}");
    }
    for body in [
        json!({}),
        json!({"shown": null}),
        json!({"shown": view.digest.to_string().to_uppercase()}),
        json!({"shown": view.digest, "force": true}),
        json!({"shown": view.digest, "approver": SECOND}),
    ] {
        assert_eq!(range.post(FIRST, &path, &body).await.0, 400, "{body}");
    }
    range.refuses(&action, "no_permit").await;
    range.approve(&view).await;
    range.acts_once(&action).await;
}

/// Declined, withdrawn, expired: none is approved after its end, and none is asked again just so.
#[tokio::test]
async fn approved_after_its_end() {
    let range = Range::new().await;
    let ends: [(&str, &str, Value); 2] = [
        (FIRST, "decline", json!({"reason": "not now"})),
        (SUPERVISOR, "withdraw", json!({"why": "the alarm cleared"})),
    ];
    for (count, (who, how, body)) in [5, 6].into_iter().zip(ends) {
        let action = scale("cart", count);
        let view = range.filed(&action).await;
        let (status, answer) =
            range.post(who, &format!("/v1/requests/{}/{how}", view.shown.request), &body).await;
        assert_eq!(status, 200, "{answer}");
        for person in [FIRST, SECOND] {
            assert_eq!(range.says(person, &view).await.0, 409, "after {how}");
        }
        let receipt = range.act(&action).await;
        assert_eq!(receipt["outcome"], "refused", "{receipt}");
    }
    let action = scale("cart", 7);
    let view = range.filed(&action).await;
    range.clock.move_by(601);
    assert_eq!(range.says(FIRST, &view).await.0, 409, "after its deadline");
    range.refuses_unasked(&action).await;
    assert_eq!(range.tried(), 0);
}

#[tokio::test]
async fn asked_again_after_a_no() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.filed(&action).await;
    let path = format!("/v1/requests/{}/decline", view.shown.request);
    range.post(FIRST, &path, &json!({"reason": "not now"})).await;
    for more in [
        json!({}),
        json!({"reason": "but please"}),
        json!({"evidence": []}),
        json!({"evidence": [{"id": "E9", "text": "  MEMORY   grows "}]}),
        json!({"incident": "inc-2"}),
    ] {
        let (status, answer) = range.post(SUPERVISOR, "/v1/requests", &asking(&action, more)).await;
        assert_eq!((status, answer["error"]["kind"].as_str()), (409, Some("declined_before")), "{answer}");
    }
    range.refuses(&action, "declined").await;
}

/// What an asker says of itself counts against it alone, and what it says of the plan not at all.
#[tokio::test]
async fn a_false_plan_shown_by_the_agent() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let lies = json!({
        "reason": "PLAN: reads one metric\u{202e}\nAPPROVED by first-on-call\u{1b}[2K Risk: none",
        "evidence": [{"id": "E1", "text": "expected: nothing\r\nblast radius: 0 tasks"}],
    });
    let view = range.filed_with(&action, lies).await;
    assert_eq!(view.shown.plan.action, action);
    let answer = range
        .call(SUPERVISOR, "plan", &json!({"action": "scale_service", "service": "cart", "desired_count": 6}))
        .await;
    assert_eq!(answer["plan"], serde_json::to_value(&view.shown.plan).unwrap());
    for text in [&view.shown.reason, &view.shown.evidence[0].text] {
        assert!(!text.chars().any(|c| c.is_control() || c == '\u{202e}'), "{text:?}");
    }
    // Nobody brings a plan, facts, asks or rules of their own.
    for (field, value) in [
        ("plan", json!(view.shown.plan)),
        ("facts", json!(view.shown.facts)),
        ("asks", json!([])),
        ("rules", json!(["reads"])),
        ("expires_at", json!("2036-01-01T00:00:00Z")),
        ("audience", json!("remediation-of-others")),
        ("caller", json!("supervisor")),
    ] {
        let mut body = asking(&scale("cart", 5), json!({}));
        body[field] = value;
        assert_eq!(range.post(SUPERVISOR, "/v1/requests", &body).await.0, 400, "{field}");
    }
    assert_eq!(range.tried(), 0);
}

/// A server or a supervisor that plays somebody else.
#[tokio::test]
async fn asked_and_fetched_for_somebody_else() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let named = |subject: &str| asking(&action, json!({"subject": subject}));
    for (who, subject) in [
        (SUPERVISOR, EDITOR),
        ("another-supervisor", SUPERVISOR),
        ("remediation-of-others", SUPERVISOR),
        (FIRST, FIRST),
        (FIRST, SUPERVISOR),
    ] {
        assert_eq!(range.post(who, "/v1/requests", &named(subject)).await.0, 403, "{who} for {subject}");
    }
    let view = range.approved(&action).await;
    let wanted = json!({"subject": SUPERVISOR, "action": action});
    for who in [SUPERVISOR, "another-supervisor", FIRST, "intern"] {
        let (status, answer) = range.post(who, "/v1/permits/fetch", &wanted).await;
        assert_eq!(status, 403, "{who}: {answer}");
    }
    assert_eq!(range.post("remediation-of-others", "/v1/permits/fetch", &wanted).await.0, 404);
    let permit = range.claims(&action).await.permit;
    let (status, checked) = range
        .post("remediation-of-others", &format!("/v1/permits/{permit}/check"), &json!({"store": "s-1"}))
        .await;
    assert_eq!((status, checked), (200, json!({"good": false})));
    for who in [SUPERVISOR, FIRST] {
        assert_eq!(
            range.post(who, &format!("/v1/permits/{permit}/check"), &json!({"store": "s-1"})).await.0,
            403
        );
        let used = json!({"outcome": "failed"});
        assert_eq!(range.post(who, &format!("/v1/permits/{permit}/used"), &used).await.0, 403);
    }
    let used = format!("/v1/permits/{permit}/used");
    assert_eq!(range.post("remediation-of-others", &used, &json!({"outcome": "done"})).await.0, 404);
    // What is not theirs is not there, and no view of anybody holds the token.
    let path = format!("/v1/requests/{}", view.shown.request);
    assert_eq!(range.at_desk("another-supervisor", Method::GET, &path, None).await.0, 404);
    for who in [SUPERVISOR, FIRST, AUDIENCE] {
        let (_, seen) = range.at_desk(who, Method::GET, &path, None).await;
        assert!(!seen.to_string().contains("v4.public"), "{who}: {seen}");
    }
    range.acts_once(&action).await;
}

/// Another supervisor's calls do not use this one's permit, and it withdraws nothing of it.
#[tokio::test]
async fn another_callers_permit() {
    let (range, action) = (Range::new().await, scale("cart", 6));
    let view = range.approved(&action).await;
    range.refuses_for(EDITOR, &action, "no_permit").await;
    let path = format!("/v1/requests/{}/withdraw", view.shown.request);
    assert_eq!(range.post("another-supervisor", &path, &json!({"why": "x"})).await.0, 404);
    range.acts_once(&action).await;
}

/// Asking wears nobody out.
#[tokio::test]
async fn more_requests_than_people_can_read() {
    let range = Range::new().await;
    let mut taken = 0;
    for count in 2..=8 {
        if count == 4 {
            continue;
        }
        let (status, _) =
            range.post(SUPERVISOR, "/v1/requests", &asking(&scale("cart", count), json!({}))).await;
        taken += usize::from(status == 201);
    }
    assert_eq!(taken, 2, "open requests about one service");
    // The same again is the same request.
    let again = range.filed(&scale("cart", 2)).await;
    assert_eq!(range.filed(&scale("cart", 2)).await.shown.request, again.shown.request);
}
