use proptest::prelude::*;

use super::*;

fn fixture(name: &str) -> Alarm {
    let path = format!("{}/tests/fixtures/alarms/{name}.json", env!("CARGO_MANIFEST_DIR"));
    parse(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[test]
fn event_bridge_metric() {
    let alarm = fixture("eventbridge-metric");
    assert_eq!(alarm.name, "ServerCpuTooHigh");
    assert_eq!((alarm.state, alarm.previous), (AlarmState::Alarm, Some(AlarmState::Ok)));
    assert_eq!(alarm.at.to_string(), "2019-10-02T17:04:40.989Z");
    assert_eq!(alarm.region.as_deref(), Some("us-east-1"));
    assert_eq!(alarm.account.as_deref(), Some("123456789012"));
    assert_eq!(alarm.threshold, Some(50.0));
    assert_eq!(alarm.dimensions()["InstanceId"], "i-12345678901234567");
    assert!(matches!(alarm.watch, Watch::Metric { .. }));
}

#[test]
fn event_bridge_composite_names_its_children_and_its_mute() {
    let alarm = fixture("eventbridge-composite");
    assert_eq!(alarm.children(), ["ServerCpuTooHigh"]);
    assert!(matches!(&alarm.watch, Watch::Composite { rule, .. } if rule.contains("ALARM(")));
    assert!(alarm.suppressed.is_some());
    assert!(alarm.dimensions().is_empty());
}

#[test]
fn sns_takes_its_region_from_the_arn_and_its_dimensions_from_a_list() {
    let alarm = fixture("sns-metric");
    assert_eq!(alarm.name, "tim-cpu-alarm-test");
    assert_eq!((alarm.state, alarm.previous), (AlarmState::Ok, Some(AlarmState::Alarm)));
    assert_eq!(alarm.region.as_deref(), Some("us-west-2"));
    assert_eq!(alarm.dimensions()["ServiceName"], "tyk-identity-api-dev");
    assert_eq!(alarm.threshold, Some(0.059));
    let Watch::Metric { metric } = &alarm.watch else { panic!("not a metric alarm") };
    assert_eq!((metric.stat.as_deref(), metric.period_s), (Some("Average"), Some(60)));
}

#[test]
fn sns_composite_has_no_trigger() {
    let alarm = fixture("sns-composite");
    assert_eq!(alarm.children(), ["child-1"]);
    assert_eq!(alarm.region.as_deref(), Some("us-east-1"));
    assert_eq!(alarm.description, None);
}

#[test]
fn lambda_math_and_composite() {
    let math = fixture("lambda-metric");
    assert_eq!((math.name.as_str(), math.region.as_deref()), ("Test alert", Some("eu-west-1")));
    assert!(matches!(&math.watch, Watch::Math { expression, metrics }
        if expression == "m1/m2" && metrics.len() == 1));
    assert_eq!(fixture("lambda-composite").children(), ["CompositeDemo.FirstChild"]);
}

#[test]
fn a_bare_message_and_wrapped_records_are_the_same_alarm() {
    let path = format!("{}/tests/fixtures/alarms/sns-metric.json", env!("CARGO_MANIFEST_DIR"));
    let envelope: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let bare = parse(envelope["Message"].as_str().unwrap()).unwrap();
    let lambda = serde_json::json!({ "Records": [{ "Sns": envelope }] }).to_string();
    let queue = serde_json::json!({ "Records": [{ "body": envelope.to_string() }] }).to_string();
    for wrapped in [lambda, queue, envelope.to_string()] {
        assert_eq!(parse(&wrapped).unwrap(), bare);
    }
}

#[test]
fn what_is_not_an_alarm_is_named() {
    for (text, says) in [
        ("{", "not JSON"),
        ("[]", "a list"),
        ("{}", "an empty object"),
        (r#"{"hello":1}"#, "an object with hello"),
        (r#"{"detail-type":"EC2 Instance State-change Notification","detail":{}}"#, "EC2 Instance"),
        (r#"{"Type":"Notification","Message":"hello there"}"#, "hello there"),
        (r#"{"AlarmName":"a","NewStateValue":"BROKEN","StateChangeTime":"x"}"#, "BROKEN"),
        (r#"{"AlarmName":"a","NewStateValue":"OK","StateChangeTime":"yesterday"}"#, "yesterday"),
        (r#"{"AlarmName":" ","NewStateValue":"OK","StateChangeTime":"2026-11-21T02:04:00Z"}"#, "empty"),
        (r#"{"AlarmName":"a","NewStateValue":"OK"}"#, "StateChangeTime"),
    ] {
        let error = parse(text).unwrap_err().to_string();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn the_fingerprint_ignores_the_moment_and_the_state() {
    let mut alarm = fixture("sns-metric");
    let before = alarm.fingerprint();
    alarm.state = AlarmState::Alarm;
    alarm.at = "2026-01-01T00:00:00Z".parse().unwrap();
    alarm.reason.clear();
    assert_eq!(alarm.fingerprint(), before);
    alarm.name.push('2');
    assert_ne!(alarm.fingerprint(), before);
}

#[test]
fn control_characters_do_not_reach_a_terminal() {
    let text = r#"{"AlarmName":"a\u001b[2Jb","NewStateValue":"OK","StateChangeTime":"2026-11-21T02:04:00Z"}"#;
    assert_eq!(parse(text).unwrap().name, "a [2Jb");
}

#[test]
fn secrets_in_an_alarm_are_taken_out() {
    let key = "AKIAIOSFODNN7EXAMPLE";
    let pad = "x ".repeat(990);
    let text = format!(
        r#"{{"AlarmName":"a {key}","AlarmDescription":"{pad} see https://u:hunter2hunter2@db.example/x",
            "NewStateReason":"because {key}","NewStateValue":"ALARM","StateChangeTime":"2026-11-21T02:04:00Z",
            "Trigger":{{"MetricName":"m","Dimensions":[{{"name":"k","value":"{key}"}}]}}}}"#
    );
    let kept = serde_json::to_string(&parse(&text).unwrap()).unwrap();
    assert!(!kept.contains(key) && !kept.contains("hunter2"), "{kept}");
    assert!(kept.contains("[redacted:"), "{kept}");
}

#[test]
fn an_answer_of_a_queue_holds_one_alarm() {
    let body = r#"{"AlarmName":"a","NewStateValue":"OK","StateChangeTime":"2026-11-21T02:04:00Z"}"#;
    let sns = serde_json::json!({ "Type": "Notification", "Message": body }).to_string();
    let messages = |bodies: &[&str]| {
        let all: Vec<_> = bodies.iter().map(|b| serde_json::json!({ "Body": b })).collect();
        serde_json::json!({ "Messages": all }).to_string()
    };
    assert_eq!(parse(&messages(&[body])).unwrap().name, "a");
    assert_eq!(parse(&messages(&[&sns])).unwrap().name, "a");
    let many = parse(&messages(&[body, body])).unwrap_err().to_string();
    assert!(many.contains("2 messages"), "{many}");
    assert!(parse(&messages(&[])).unwrap_err().to_string().contains("without a message"));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,400}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_mutilation_of_an_alarm_makes_it_panic(cut in 0usize..1700, insert in "[{}\\[\\]\",:0-9a-z]{0,6}") {
        let path = format!("{}/tests/fixtures/alarms/sns-metric.json", env!("CARGO_MANIFEST_DIR"));
        let mut text = std::fs::read_to_string(path).unwrap();
        let at = cut.min(text.len());
        text.insert_str(at, &insert);
        let _ = parse(&text);
        text.truncate(at);
        let _ = parse(&text);
    }
}
