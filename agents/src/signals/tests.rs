#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test")]

use serde_json::{Value, json};

use super::*;
use crate::json::Json;

fn read(pattern: &Value) -> PatternSignal {
    let scene = Scene {
        service: Some("checkout-api".to_owned()),
        depends_on: vec!["bank-link".to_owned()],
        ..Scene::default()
    };
    let result = json!({ "patterns": [pattern] });
    let args = json!({ "service": "checkout-api" }).as_object().cloned().unwrap();
    let observation = Observation { tool: "error_patterns".to_owned(), args, result: Json::of(&result) };
    Signals::read(&scene, &[observation]).patterns.remove(0)
}

#[test]
fn fields_of_examples_and_of_all_lines_say_who_is_called() {
    let at = "2026-11-21T02:01:02Z";
    let pattern = |example: Value, shared: Value| {
        json!({
            "evidence": "E1", "template": "cannot charge: 503 from upstream", "level": "ERROR", "count": 9,
            "baseline_count": 0, "change": "new", "onset": at, "log_group": "/ecs/checkout-api",
            "examples": [{
                "message": "cannot charge: 503 from upstream", "timestamp": at, "log_stream": "s/1", "fields": example,
            }],
            "fields": shared,
        })
    };
    let shared = |values: u64| json!([{ "name": "peer", "value": "bank-link", "lines": 9, "of": 9, "values": values }]);
    assert_eq!(read(&pattern(json!({ "peer": "bank-link" }), json!([]))).names, ["bank-link"]);
    assert_eq!(read(&pattern(json!({}), shared(1))).names, ["bank-link"]);
    // That most lines name one says nothing of these.
    assert_eq!(read(&pattern(json!({}), shared(2))).names, Vec::<String>::new());
    let found = read(&pattern(json!({}), json!([])));
    assert_eq!(found.names, Vec::<String>::new());
    // Its examples stand in the log group of their pattern.
    assert_eq!(found.example, Some(("/ecs/checkout-api".to_owned(), "s/1".to_owned(), at.parse().unwrap())));
}
