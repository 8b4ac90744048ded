use midwatch_policy::SignedDuration;
use serde_json::json;

use super::*;

fn at() -> Timestamp {
    "2026-11-21T02:01:07Z".parse().unwrap()
}

fn event(message: impl Into<String>) -> Event {
    Event::new(at(), "app/1", message)
}

fn texts(messages: &[String]) -> Vec<String> {
    let redactor = Redactor::default();
    let mut examples = Examples::new(&redactor);
    messages.iter().map(|message| examples.text(&event(message), 700).text).collect()
}

fn text(message: impl Into<String>) -> String {
    texts(&[message.into()]).remove(0)
}

#[test]
fn of_json_the_message_and_the_stack_are_told_and_nothing_that_a_field_tells() {
    let line = json!({
        "timestamp": "2026-11-21T02:01:07.016Z", "level": "ERROR", "message": "cannot charge", "cause": null,
        "stack": "at a (a.js:1)\nat b", "tenant": {"id": 42, "name": "acme"}, "status": 503, "note": "", "tags": [],
    });
    assert_eq!(text(line.to_string()), "cannot charge\nat a (a.js:1)\nat b");
    // A head before it stays, but for a time, which the event has.
    assert_eq!(text(format!("2026-11-21T02:01:07Z {line}")), "cannot charge\nat a (a.js:1)\nat b");
    let headed = format!("2026-11-21T02:01:07Z\t7f3a-11\tERROR\t{}", json!({"msg": "no", "status": 503}));
    assert_eq!(text(headed), "2026-11-21T02:01:07Z\t7f3a-11\tERROR no");
    let wrapped = json!({"log": json!({"level": "error", "msg": "no", "tenant": "acme"}).to_string(), "stream": "stderr"});
    assert_eq!(text(wrapped.to_string()), "no");
    for plain in ["ERROR disk full", "{not json}", r#"{"level":"error","code":7}"#, ""] {
        assert_eq!(text(plain), plain);
    }
}

#[test]
fn what_no_field_tells_stands_behind_the_message() {
    let long = "x".repeat(200);
    let line = json!({
        "message": "no", "error": {"message": "card declined", "code": "E7", "stack": "at a\nat b"}, "hosts": ["a", "b"],
        "detail": long, "time": "2026-11-21T01:00:00Z", "status": 503,
    });
    let text = text(line.to_string());
    let (first, rest) = text.split_once('\n').unwrap();
    let rest: Value = serde_json::from_str(rest).unwrap();
    let wanted = json!({
        "error": {"message": "card declined", "stack": "at a\nat b"}, "hosts": ["a", "b"], "detail": long,
        // Not when it was logged.
        "time": "2026-11-21T01:00:00Z",
    });
    assert_eq!((first, rest), ("no", wanted));
    let mut many = json!({"message": "no"});
    for n in 0..40 {
        many[format!("field_{n:02}")] = json!(n);
    }
    let said = self::text(many.to_string());
    let told = fields::of(&many.to_string());
    for n in 0..40 {
        let name = format!("field_{n:02}");
        assert!(told.contains_key(&name) != said.contains(&name), "{name}: {said}");
    }
}

#[test]
fn a_stack_that_differs_in_numbers_only_is_told_once() {
    let line = |n: u32, place: &str| {
        format!(
            "ERROR no stock for {n}\n  at shop.Stock.take({place}:{n})\n  at shop.Order.run(Order.java:7)"
        )
    };
    let all =
        texts(&[line(1, "Stock.java"), line(2, "Stock.java"), line(3, "Cache.java"), line(4, "Stock.java")]);
    assert!(all[0].ends_with("at shop.Order.run(Order.java:7)"), "{all:?}");
    assert_eq!(all[1], format!("ERROR no stock for 2\n{AS_ABOVE}"));
    assert!(all[2].contains("Cache.java:3"), "{all:?}");
    assert_eq!(all[3], format!("ERROR no stock for 4\n{AS_ABOVE}"));
    // What is shorter than saying so is said again.
    assert_eq!(texts(&["a\n b1".to_owned(), "a\n b2".to_owned()]), ["a\n b1", "a\n b2"]);
}

#[test]
fn secrets_are_gone_wherever_they_stood() {
    let key = format!("AKIA{}", "Z7QK3MNB2VCX9LPW");
    let line = json!({
        "message": "login failed password=hunter2secret", "pin": {"password": 12_345_678},
        "tried": [format!("token {key}")], "escaped": "x",
    });
    let hidden = line.to_string().replace("\"x\"", r#"["\u0041KIAZ7QK3MNB2VCX9LPW"]"#);
    for line in [line.to_string(), hidden] {
        let text = text(line);
        assert!(text.contains("login failed") && text.contains("[redacted:"), "{text}");
        for gone in ["hunter2secret", "12345678", "Z7QK3MNB"] {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
    }
    let other = at().checked_add(SignedDuration::from_secs(2)).unwrap().to_string();
    assert!(text(json!({"message": "no", "ts": other}).to_string()).contains(&other));
}
