use std::time::Duration;

use midwatch_policy::Clock as _;

use super::*;
use crate::deliver::double::{Does, Double, TestClock, about, alarm};

fn ok() -> Does {
    Does::Answers(200, "", "ok".to_owned())
}

fn hostile(clock: &TestClock) -> Notice {
    let mut alarm = alarm();
    alarm.name = "<!here> *x* <https://evil.example|click> @channel".to_owned();
    alarm.reason = "<@U123> &amp; ".repeat(400);
    let about = crate::deliver::About::new(&about("inc-1").incident, &alarm, None);
    Notice::raw_alarm(about, &alarm, "no outcome", clock.now())
}

async fn send(double: &Double, notice: &Notice) -> Said {
    let secret = format!("{}/services/T0/B0/very-secret", double.url);
    let slack = Slack { place: Place::parse(&secret).unwrap(), secret: Secret::of(&secret) };
    let http = Http::within(Duration::from_millis(400)).unwrap();
    slack.send(&http, Parcel { notice, key: "k", now: notice.at }).await
}

/// Every text that Slack would parse: `text` of the message, and of `mrkdwn` objects.
fn parsed(value: &Value, out: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if map.get("type").and_then(Value::as_str) == Some("mrkdwn") {
                out.push(value.to_string());
            }
            map.values().for_each(|value| parsed(value, out));
        }
        Value::Array(items) => items.iter().for_each(|value| parsed(value, out)),
        _ => {}
    }
}

#[tokio::test]
async fn text_from_outside_is_never_markup_and_stays_within_slacks_bounds() {
    let double = Double::that(ok()).await;
    let notice = hostile(&TestClock::at("2026-11-21T02:05:00Z"));
    assert_eq!(send(&double, &notice).await, Said::Taken);
    let body = double.came()[0].json();
    let mut markup = Vec::new();
    parsed(&body, &mut markup);
    assert_eq!(markup, Vec::<String>::new(), "no object that is parsed");
    let fallback = body["text"].as_str().unwrap();
    assert!(!fallback.contains(['<', '>']), "{fallback}");
    let blocks = body["blocks"].as_array().unwrap();
    assert!(blocks.len() <= 50);
    assert!(blocks[0]["text"]["text"].as_str().unwrap().chars().count() <= 150);
    let quotes: Vec<&Value> =
        blocks.iter().filter(|b| b["elements"][0]["type"] == "rich_text_quote").collect();
    assert!(quotes.iter().any(|q| q.to_string().contains("<!here>")), "quoted as it came");
    assert!(body.to_string().len() < 16_000, "{}", body.to_string().len());
}

#[tokio::test]
async fn only_slacks_own_ok_counts_and_its_url_is_not_shown() {
    let double = Double::that(ok()).await;
    let notice = hostile(&TestClock::at("2026-11-21T02:05:00Z"));
    double.first([
        Does::Answers(200, "", "<html>proxy</html>".to_owned()),
        Does::Answers(404, "", "no_service".to_owned()),
        Does::Answers(429, "retry-after: 30\r\n", String::new()),
        Does::Hangs,
    ]);
    assert!(matches!(send(&double, &notice).await, Said::NotNow { .. }));
    let Said::Never { problem } = send(&double, &notice).await else { panic!() };
    assert!(problem.contains("no_service"));
    assert!(matches!(send(&double, &notice).await, Said::NotNow { retry_after: Some(_), .. }));
    let Said::NotNow { problem, .. } = send(&double, &notice).await else { panic!() };
    assert!(!problem.contains("very-secret"), "{problem}");
    assert_eq!(send(&double, &notice).await, Said::Taken);
}
