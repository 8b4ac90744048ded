use super::*;
use crate::deliver::double::{Does, Double, TestClock};

fn beats(double: &Double, post: bool) -> Beats {
    let place = Place::parse(&format!("{}/ping/secret-id", double.url)).unwrap();
    Beats { every: Duration::from_mins(1), ping: Some(Ping { place, post }), metric: None }
}

#[tokio::test]
async fn it_beats_only_while_everything_lives() {
    let double = Double::that(Does::Answers(200, "", String::new())).await;
    let clock = TestClock::at("2026-11-21T02:00:00Z");
    let pulse = Pulse::new(Arc::new(clock.clone()));
    let http = Http::within(Duration::from_secs(2)).unwrap();
    let beats = beats(&double, false);
    beat(&beats, &http, &pulse, clock.now()).await;
    assert_eq!(double.came().len(), 0, "nothing has lived yet");
    pulse.beat(Organ::Intake);
    pulse.beat(Organ::Journal);
    assert_eq!(pulse.silent(), ["outbox"]);
    pulse.beat(Organ::Outbox);
    beat(&beats, &http, &pulse, clock.now()).await;
    assert_eq!(double.came()[0].line, "GET /ping/secret-id HTTP/1.1");
    clock.step(100);
    pulse.beat(Organ::Outbox);
    pulse.beat(Organ::Intake);
    beat(&beats, &http, &pulse, clock.now()).await;
    assert_eq!(double.came().len(), 2);
    clock.step(30);
    beat(&beats, &http, &pulse, clock.now()).await;
    assert_eq!(double.came().len(), 2, "the journal has been silent for too long");
}

#[tokio::test]
async fn a_place_that_hangs_does_not_stop_the_metric() {
    let double = Double::that(Does::Hangs).await;
    let cloudwatch = Double::that(Does::Answers(
        200,
        "smithy-protocol: rpc-v2-cbor\r\ncontent-type: application/cbor\r\n",
        "\u{0}".to_owned(),
    ))
    .await;
    let clock = TestClock::at("2026-11-21T02:00:00Z");
    let pulse = Pulse::new(Arc::new(clock.clone()));
    for organ in Organ::ALL {
        pulse.beat(organ);
    }
    let settings = midwatch_mcp::AwsSettings::local(&cloudwatch.url, "eu-west-1");
    let account = Account { settings, region: None, role_arn: None };
    let metric = Metric::new("Midwatch".to_owned(), "Heartbeat".to_owned(), account);
    let beats = Beats { metric: Some(Arc::new(metric)), ..beats(&double, true) };
    let http = Http::within(Duration::from_millis(200)).unwrap();
    beat(&beats, &http, &pulse, clock.now()).await;
    assert_eq!(double.came()[0].json()["from"], "midwatch");
    let came = cloudwatch.until(1).await;
    assert!(came[0].line.contains("PutMetricData"), "{}", came[0].line);
    assert!(came[0].body.windows(9).any(|w| w == b"Heartbeat"));
}
