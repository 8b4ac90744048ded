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
fn event_bridge_says_that_an_alarm_was_deleted() {
    let path = format!("{}/tests/fixtures/alarms/eventbridge-metric.json", env!("CARGO_MANIFEST_DIR"));
    let fired = fixture("eventbridge-metric");
    let mut event: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    event["detail-type"] = "CloudWatch Alarm Configuration Change".into();
    event["time"] = "2019-10-02T17:20:48Z".into();
    event["detail"]["operation"] = "delete".into();
    event["detail"]["state"] =
        serde_json::json!({ "value": "INSUFFICIENT_DATA", "timestamp": "2019-10-02T17:10:00.100+0000" });
    let gone = parse(&event.to_string()).unwrap();
    assert_eq!((gone.state, gone.previous), (AlarmState::Deleted, Some(AlarmState::InsufficientData)));
    assert_eq!(gone.at.to_string(), "2019-10-02T17:20:48Z");
    assert!(gone.reason.contains("was deleted"), "{}", gone.reason);
    assert_eq!(
        (gone.fingerprint(), gone.thing()),
        (fired.fingerprint(), fired.thing()),
        "it is the same alarm"
    );
    // Only the second is said: it is never before the last state.
    event["time"] = "2019-10-02T17:10:00Z".into();
    assert_eq!(parse(&event.to_string()).unwrap().at.to_string(), "2019-10-02T17:10:00.1Z");
    // Whoever deletes an alarm that fires ends no trouble with it.
    let last = event["detail"]["state"]["value"].take();
    event["detail"]["state"]["value"] = "ALARM".into();
    let refused = parse(&event.to_string()).unwrap_err().to_string();
    assert!(refused.contains("deleted while it fired"), "{refused}");
    event["detail"]["state"]["value"] = last;
    // What was made or altered says nothing of a state.
    for operation in ["create", "update"] {
        event["detail"]["operation"] = operation.into();
        let refused = parse(&event.to_string()).unwrap_err().to_string();
        assert!(refused.contains(operation) && refused.contains("only `delete`"), "{refused}");
    }
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
    assert!(many.contains("2 alarms"), "{many}");
    assert_eq!(parse_all(&messages(&[body, body])).unwrap().alarms.len(), 2);
    assert!(parse(&messages(&[])).unwrap_err().to_string().contains("without a message"));
}

/// An alarm in the plain shape with these dimensions, and one of Alertmanager with the same.
fn with(name: &str, dimensions: &serde_json::Value) -> [Alarm; 2] {
    let at = "2026-11-21T02:04:00Z";
    let plain = serde_json::json!({ "name": name, "state": "firing", "at": at, "dimensions": dimensions });
    let mut labels = dimensions.clone();
    labels["alertname"] = name.into();
    let alert = serde_json::json!({ "status": "firing", "labels": labels, "startsAt": at });
    [plain, serde_json::json!({ "alerts": [alert] })].map(|message| parse(&message.to_string()).unwrap())
}

#[test]
fn what_is_taken_out_still_tells_alarms_apart() {
    let none = serde_json::json!({});
    let mailbox = |name: &str| with("queue is long", &serde_json::json!({ "mailbox": name }));
    let card = |digits: &str| with("declined", &serde_json::json!({ "number": digits }));
    let many = |last: &str| {
        let mut labels: BTreeMap<String, &str> = (10..45).map(|n| (format!("a{n}"), "x")).collect();
        labels.insert("zone".to_owned(), last);
        with("disk is full", &serde_json::json!(labels))
    };
    for (one, other) in [
        (mailbox("ann@example.com"), mailbox("bob@example.com")),
        (card("4111111111111111"), card("4012888888881881")),
        (with("login password=hunter2hunter2", &none), with("login password=hunter3hunter3", &none)),
        (many("a"), many("b")),
    ] {
        for (one, other) in one.iter().zip(&other) {
            let texts = |alarm: &Alarm| (alarm.name.clone(), alarm.dimensions());
            assert_eq!(texts(one), texts(other), "what is kept does not tell them apart");
            assert_ne!(one.fingerprint(), other.fingerprint(), "{one:?}");
            assert_ne!(one.thing(), other.thing(), "{one:?}");
            // Nor does it change by being stored.
            let stored: Alarm = serde_json::from_str(&serde_json::to_string(one).unwrap()).unwrap();
            assert_eq!((stored.fingerprint(), stored.thing()), (one.fingerprint(), one.thing()));
            let kept = serde_json::to_string(one).unwrap();
            assert!(!["ann@", "4111", "hunter"].iter().any(|secret| kept.contains(secret)), "{kept}");
        }
    }
    assert_eq!(mailbox("ann@example.com")[0].fingerprint(), mailbox("ann@example.com")[0].fingerprint());
}

#[test]
fn what_the_version_before_stored_is_read_and_known_again() {
    let alarm = fixture("sns-metric");
    assert_eq!(alarm.mark, None, "nothing of it is taken out");
    // As it was written and hashed then.
    let stored = r#"{"name":"tim-cpu-alarm-test","region":"us-west-2","state":"OK","at":"2021-11-10T02:46:00Z",
        "reason":"","watch":{"kind":"metric","metric":{"namespace":"AWS/ECS","name":"CPUUtilization",
        "dimensions":{"ServiceName":"web"}}}}"#;
    let stored: Alarm = serde_json::from_str(stored).unwrap();
    assert_eq!(stored.fingerprint(), "3edb69edf7d5c828");
    assert!(!serde_json::to_string(&alarm).unwrap().contains("mark"));
}

#[test]
fn the_service_is_not_cut_off() {
    let mut labels: BTreeMap<String, &str> = (10..45).map(|n| (format!("a{n}"), "x")).collect();
    labels.insert("service".to_owned(), "checkout-api");
    labels.insert("x-last".to_owned(), "x");
    for alarm in with("disk is full", &serde_json::json!(labels)) {
        assert_eq!(alarm.dimensions()["service"], "checkout-api");
        assert_eq!(alarm.dimensions().len(), 30);
    }
}

#[test]
fn no_record_of_a_message_is_passed_over() {
    let alarm = |name: &str| {
        serde_json::json!({ "AlarmName": name, "NewStateValue": "ALARM",
            "StateChangeTime": "2026-11-21T02:04:00Z" })
        .to_string()
    };
    let (a, b, none) = (alarm("a"), alarm("b"), r#"{"hello":1}"#.to_owned());
    for key in ["body", "Sns"] {
        let records = |texts: &[&String]| {
            let one = |text: &&String| match key {
                "Sns" => serde_json::json!({ "Sns": { "Message": text } }),
                _ => serde_json::json!({ "body": text }),
            };
            let all: Vec<_> = texts.iter().map(one).collect();
            serde_json::json!({ "Records": all }).to_string()
        };
        let names = |parsed: &Parsed| parsed.alarms.iter().map(|a| a.name.clone()).collect::<Vec<_>>();
        let both = parse_all(&records(&[&a, &b])).unwrap();
        assert_eq!((names(&both), both.refused.len()), (vec!["a".to_owned(), "b".to_owned()], 0));
        let two = parse_all(&records(&[&a, &none, &b])).unwrap();
        assert_eq!((names(&two), two.refused[0].index), (vec!["a".to_owned(), "b".to_owned()], 1));
        assert!(two.gap().unwrap().contains("1 of 3 alarms"), "{:?}", two.gap());
        let one = parse(&records(&[&a, &b])).unwrap_err().to_string();
        assert!(one.contains("2 alarms"), "{one}");
        let neither = parse_all(&records(&[&none, &none])).unwrap_err().to_string();
        assert!(neither.contains("none of its 2 alarms") && neither.contains("hello"), "{neither}");
    }
    // What cannot be read within one stands beside what can.
    let mixed = serde_json::json!({ "Records": [{ "body": "no JSON" }, { "body": b }] }).to_string();
    assert_eq!(parse_all(&mixed).unwrap().refused[0].index, 0);
}

#[test]
fn an_alert_that_cannot_be_read_keeps_no_other_out() {
    let alert = |label: &str, at: &str| serde_json::json!({ "status": "firing", "labels": { label: "x" }, "startsAt": at });
    let good = alert("alertname", "2026-11-21T02:04:00Z");
    let bad = [
        alert("instance", "2026-11-21T02:04:00Z"),
        alert("alertname", "yesterday"),
        serde_json::json!({ "status": "firing", "labels": { "alertname": 5 } }),
        serde_json::json!("no alert"),
    ];
    let mut alerts = bad.to_vec();
    alerts.insert(2, good.clone());
    let parsed = parse_all(&serde_json::json!({ "alerts": alerts }).to_string()).unwrap();
    assert_eq!(parsed.alarms.len(), 1);
    assert_eq!(parsed.refused.iter().map(|unread| unread.index).collect::<Vec<_>>(), [0, 1, 3, 4]);
    // A storm in one group, and how much of one is read.
    let storm = vec![good; MOST + 7];
    let parsed = parse_all(&serde_json::json!({ "alerts": storm }).to_string()).unwrap();
    assert_eq!((parsed.alarms.len(), parsed.lost(), parsed.refused.len()), (MOST, 7, 1));
    assert!(parsed.gap().unwrap().contains("7 more"), "{:?}", parsed.gap());
}

#[test]
fn a_time_beyond_all_times_is_one_that_cannot_be_and_no_error() {
    let now = "2026-11-21T02:04:00Z".parse().unwrap();
    let at = |time: &str| parse(&format!(r#"{{"name":"a","state":"firing","at":"{time}"}}"#));
    for time in ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999+0000", "-009999-01-01T00:00:00Z"] {
        let alarm = at(time).unwrap().at_a_time_that_can_be(now);
        assert_eq!(alarm.at, now, "{time}");
        assert!(alarm.reason.contains("which cannot be"), "{}", alarm.reason);
    }
    for no_time in ["9999-12-31", "9999-12-31T23:59:59", "9999-13-31T23:59:59Z", "soon"] {
        assert!(at(no_time).is_err(), "{no_time}");
    }
}

#[test]
fn a_mute_window_says_until_when() {
    let path = format!("{}/tests/fixtures/alarms/eventbridge-composite.json", env!("CARGO_MANIFEST_DIR"));
    let mut event: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let read = |event: &serde_json::Value| parse(&event.to_string()).unwrap();
    assert_eq!(read(&event).suppressed_until, None, "another alarm suppresses it, for who knows how long");
    event["detail"]["state"].as_object_mut().unwrap().remove("actionsSuppressedReason");
    let muted = read(&event);
    assert!(muted.suppressed.unwrap().starts_with("muted by arn:aws:"));
    assert_eq!(muted.suppressed_until, Some("2026-01-01T12:00:00Z".parse().unwrap()));
}

proptest! {
    #[test]
    fn no_text_makes_the_parser_panic(text in ".{0,400}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_list_of_anything_makes_it_panic(key in "(Records|Messages|alerts|alarms)", list in "[\\[\\]{}\":,0-9a-z]{0,60}") {
        let _ = parse_all(&format!(r#"{{"{key}":[{list}]}}"#));
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
