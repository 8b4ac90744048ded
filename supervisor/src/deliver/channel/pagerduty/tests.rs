use std::time::Duration;

use midwatch_policy::Clock as _;

use super::*;
use crate::deliver::{
    chain::Perhaps,
    double::{Does, Double, TestClock, about, escalation},
};

fn accepted() -> Does {
    Does::Answers(202, "", r#"{"status":"success","message":"Event processed","dedup_key":"x"}"#.to_owned())
}

fn pager(double: &Double) -> PagerDuty {
    let place = Place::parse(&format!("{}/v2/enqueue", double.url)).unwrap();
    PagerDuty { place, routing_key: Secret::of("R0UTINGKEY"), webhook_secret: None }
}

async fn send(double: &Double, notice: &Notice) -> Said {
    let clock = TestClock::at("2026-11-21T02:05:00Z");
    let http = Http::within(Duration::from_millis(400)).unwrap();
    pager(double).send(&http, Parcel { notice, key: "k", now: clock.now() }).await
}

#[tokio::test]
async fn an_incident_is_one_alert_from_trigger_to_resolve() {
    let double = Double::that(accepted()).await;
    let clock = TestClock::at("2026-11-21T02:05:00Z");
    let page = escalation("inc-1", &clock);
    assert_eq!(send(&double, &page).await, Said::Taken);
    assert_eq!(
        send(&double, &Notice::acknowledged(about("inc-1"), "first-on-call", clock.now())).await,
        Said::Taken
    );
    assert_eq!(
        send(&double, &Notice::all_clear(about("inc-1"), "recovered", clock.now())).await,
        Said::Taken
    );
    let came: Vec<Value> = double.came().iter().map(crate::deliver::double::Came::json).collect();
    let actions: Vec<&str> = came.iter().filter_map(|e| e["event_action"].as_str()).collect();
    assert_eq!(actions, ["trigger", "acknowledge", "resolve"]);
    for event in &came {
        assert_eq!(
            (&event["dedup_key"], &event["routing_key"]),
            (&json!("midwatch/inc-1"), &json!("R0UTINGKEY"))
        );
    }
    assert_eq!(double.came()[0].line, "POST /v2/enqueue HTTP/1.1");
    let payload = &came[0]["payload"];
    assert_eq!(payload["severity"], "critical");
    assert_eq!(payload["source"], "checkout-api");
    assert_eq!(payload["class"], "escalation");
    assert_eq!(payload["timestamp"], "2026-11-21T02:05:00Z");
    assert_eq!(payload["custom_details"]["alarm (quoted)"], "checkout-5xx");
    assert!(came[1].get("payload").is_none());
}

#[tokio::test]
async fn what_it_answers_is_taken_not_now_or_never() {
    let double = Double::that(accepted()).await;
    let notice = escalation("inc-1", &TestClock::at("2026-11-21T02:05:00Z"));
    let invalid = r#"{"status":"invalid event","errors":["bad key R0UTINGKEY"]}"#;
    double.first([
        Does::Answers(400, "", invalid.to_owned()),
        Does::Answers(429, "retry-after: 17\r\n", String::new()),
        Does::Answers(500, "", String::new()),
        Does::Answers(302, "location: http://127.0.0.1:1/\r\n", String::new()),
        Does::Answers(200, "", "<html>log in</html>".to_owned()),
        Does::Hangs,
        Does::Endless,
        Does::HangsUp,
    ]);
    let Said::Never { problem } = send(&double, &notice).await else { panic!("400 is for good") };
    assert!(problem.contains("invalid event") && !problem.contains("R0UTINGKEY"), "{problem}");
    match send(&double, &notice).await {
        Said::NotNow { perhaps: Perhaps::HasNot, retry_after, .. } => {
            assert_eq!(retry_after, Some(Duration::from_secs(17)));
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(send(&double, &notice).await, Said::NotNow { perhaps: Perhaps::Has, .. }), "500");
    assert!(matches!(send(&double, &notice).await, Said::Never { .. }), "redirects are not followed");
    assert!(matches!(send(&double, &notice).await, Said::NotNow { .. }), "a proxy's page is not PagerDuty");
    assert!(matches!(send(&double, &notice).await, Said::NotNow { perhaps: Perhaps::Has, .. }), "hangs");
    assert!(matches!(send(&double, &notice).await, Said::NotNow { perhaps: Perhaps::Has, .. }), "endless");
    assert!(matches!(send(&double, &notice).await, Said::NotNow { perhaps: Perhaps::Has, .. }), "hangs up");
    assert_eq!(send(&double, &notice).await, Said::Taken);
    assert_eq!(double.came().len(), 9);
}

#[tokio::test]
async fn nobody_there_means_it_has_not_arrived() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut gone = Double::that(accepted()).await;
    gone.url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let said = send(&gone, &escalation("inc-1", &TestClock::at("2026-11-21T02:05:00Z"))).await;
    assert!(matches!(said, Said::NotNow { perhaps: Perhaps::HasNot, .. }), "{said:?}");
}
