use std::time::Duration;

use midwatch_policy::Clock as _;

use super::*;
use crate::deliver::{
    Said,
    double::{Does, Double, TestClock, about, alarm},
    sign::{SignatureError, verify},
};
use crate::others::{Other, Others};

const SECRET: &str = "0123456789abcdef";

async fn send(double: &Double, notice: &Notice, key: &str, clock: &TestClock) -> Said {
    let place = Place::parse(&format!("{}/in?team=web", double.url)).unwrap();
    let webhook = Webhook { place, secret: Secret::of(SECRET) };
    let http = Http::within(Duration::from_millis(400)).unwrap();
    webhook.send(&http, Parcel { notice, key, now: clock.now() }).await
}

#[tokio::test]
async fn what_arrives_can_be_verified_and_says_what_is_quoted() {
    let double = Double::that(Does::Answers(204, "", String::new())).await;
    let clock = TestClock::at("2026-11-21T02:05:00Z");
    let other = Other { name: "db-full".to_owned(), service: Some("orders".parse().unwrap()) };
    let about = about("inc-1").with(Others { count: 3, first: vec![other] });
    let notice = Notice::raw_alarm(about, &alarm(), "no outcome after 15 min", clock.now());
    assert_eq!(send(&double, &notice, "inc-1/raw_alarm/@all#0", &clock).await, Said::Taken);
    let came = double.came().remove(0);
    assert_eq!(came.line, "POST /in?team=web HTTP/1.1");
    let signed_at: i64 = came.headers[sign::TIMESTAMP].parse().unwrap();
    assert_eq!(signed_at, clock.now().as_second());
    let signature = &came.headers[sign::SIGNATURE];
    let verified = |body: &[u8], now| verify(SECRET.as_bytes(), signed_at, now, signature, body);
    assert_eq!(verified(&came.body, signed_at + 5), Ok(()));
    assert_eq!(verified(b"{}", signed_at), Err(SignatureError::Wrong));
    assert_eq!(verified(&came.body, signed_at + 301), Err(SignatureError::Old));
    let body = came.json();
    assert_eq!((&body["notice"], &body["kind"]), (&json!("inc-1/raw_alarm/@all#0"), &json!("raw_alarm")));
    assert_eq!(came.headers[sign::NOTICE], "inc-1/raw_alarm/@all#0");
    assert_eq!(
        (&body["service"], &body["tier"], &body["over"]),
        (&json!("checkout-api"), &json!(1), &json!(false))
    );
    assert_eq!(
        (&body["alarm"], &body["more_alarms"]),
        (
            &json!("checkout-5xx"),
            &json!({ "count": 3, "first": [{ "name": "db-full", "service": "orders" }] })
        )
    );
    let lines = body["lines"].as_array().unwrap();
    let reason = lines.iter().find(|l| l["label"] == "reason").unwrap();
    assert_eq!(reason["origin"], "outside");
    assert!(!body.to_string().contains("hunter2secret"), "{body}");
    assert!(!String::from_utf8_lossy(&came.body).contains(SECRET));
}

#[tokio::test]
async fn any_success_is_taken_and_refusals_are_told_apart() {
    let double = Double::that(Does::Answers(200, "", "whatever".to_owned())).await;
    let clock = TestClock::at("2026-11-21T02:05:00Z");
    let notice = Notice::all_clear(about("inc-1"), "recovered", clock.now());
    double.first([
        Does::Answers(401, "", String::new()),
        Does::Answers(503, "retry-after: Sat, 21 Nov 2026 02:06:00 GMT\r\n", String::new()),
        Does::Answers(307, "location: https://elsewhere.example/\r\n", String::new()),
    ]);
    assert!(matches!(send(&double, &notice, "k", &clock).await, Said::Never { .. }));
    match send(&double, &notice, "k", &clock).await {
        Said::NotNow { retry_after, .. } => assert_eq!(retry_after, Some(Duration::from_mins(1))),
        other => panic!("{other:?}"),
    }
    assert!(matches!(send(&double, &notice, "k", &clock).await, Said::Never { .. }));
    assert_eq!(send(&double, &notice, "k", &clock).await, Said::Taken);
    assert_eq!(double.came()[3].json()["over"], true);
}
