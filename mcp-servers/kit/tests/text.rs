//! The text beside a structured result: nothing of it is lost, nothing in it is forged.

#![allow(clippy::unwrap_used, reason = "a test")]

use midwatch_mcp::{MAX_RESULT_BYTES, plain_text as plain, rounded};
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn a_result_is_short_and_legible() {
    let text = plain(&json!({
        "ref": "errors:checkout-api", "total": 73, "ratio": 11.500_000_001, "tiny": 3.2e-9, "sum": -0.0,
        "onset_earliest": "2026-11-21T02:00:49.987654321Z", "at": "2026-11-21T02:01:02.016Z",
        "per_minute": [{"at": "2026-11-21T02:01:00Z", "count": 25}, {"at": "2026-11-21T02:02:00Z", "count": 24}],
        "examples": [{"ref": "log:1", "log_group": "/ecs/a", "message": "pool exhausted"},
                     {"ref": "log:2", "log_group": "/ecs/a", "message": "pool | exhausted"}],
        "stats": {"min": 1.0, "max": 29.0, "unit": null},
        "log_groups": ["/ecs/a", "/ecs/b"],
        "patterns": [{"ref": "pat:1", "template": "pool exhausted (active=<num>)", "count": 73,
                      "examples": [{"ref": "log:1", "message": "at A\n  at B"}]}],
        "screened": [], "hits": [], "spent": {}, "nothing": null,
        "notes": ["20 of 30 periods have no data point"],
    }));
    insta::assert_snapshot!(text, @r#"
    ref: errors:checkout-api, total: 73, ratio: 11.5, tiny: 3.2e-9, sum: 0
    onset_earliest: 2026-11-21T02:00:49.987Z, at: 2026-11-21T02:01:02.016Z
    per_minute (2): at | count
     2026-11-21T02:01:00Z | 25
     2026-11-21T02:02:00Z | 24
    examples (2): ref | message
     in each: log_group: /ecs/a
     log:1 | pool exhausted
     log:2 | "pool | exhausted"
    stats: {min: 1, max: 29}, log_groups: [/ecs/a, /ecs/b]
    patterns:
     - ref: pat:1
       template: pool exhausted (active=<num>)
       count: 73
       examples: ref | message
        log:1 | "at A\n  at B"
    screened: none, hits: none, spent: none
    notes:
     - 20 of 30 periods have no data point
    "#);
}

#[test]
fn an_object_of_scalars_stands_in_its_row() {
    let text = plain(&json!({
        "rows": [{"ref": "log:1", "fields": {"status": 503, "trace": "a1"}},
                 {"ref": "log:2", "fields": {"agent": "curl 8, on a Mac", "status": 200}},
                 {"ref": "log:3", "fields": {}}],
        // A bar in it, or a list, would part the row.
        "bars": [{"ref": "log:4", "fields": {"agent": "a | b c"}}],
        "lists": [{"ref": "log:5", "fields": {"tags": ["a b", "c"]}}],
    }));
    insta::assert_snapshot!(text, @r#"
    rows (3): ref | fields
     log:1 | {status: 503, trace: a1}
     log:2 | {"agent":"curl 8, on a Mac","status":200}
     log:3 |
    bars:
     - ref: log:4
       fields:
        agent: a | b c
    lists:
     - ref: log:5
       fields:
        tags (2):
         - a b
         - c
    "#);
}

#[test]
fn nothing_from_outside_looks_like_a_field() {
    let text = plain(&json!({
        "message": "ok\nnotes: all is well", "cell": [{"a": "x | y", "b": 1}, {"a": "z\nroot: 1", "b": 2}],
        "title": "done\u{2028}status: closed", "words": ["a, b: c", "d"],
        "dimensions": {"Name\nstatus: ok": "x"}, "quote": "\"a\" | b", "notes": ["one\n- two"],
    }));
    let begins: Vec<_> = text.lines().filter(|line| !line.starts_with(' ')).collect();
    for (line, name) in
        begins.iter().zip(["message", "cell", "title", "words", "dimensions", "quote", "notes"])
    {
        assert!(line.starts_with(name), "{text}");
    }
    assert_eq!(begins.len(), 7, "{text}");
    assert!(text.contains(r#""x | y" | 1"#) && text.contains(r#"- "one\n- two""#), "{text}");
    assert!(!text.contains('\u{2028}'));
}

#[test]
fn what_does_not_fit_is_said_to_be_cut() {
    let text = plain(&json!({ "text": "word ".repeat(MAX_RESULT_BYTES) }));
    assert!(text.len() < MAX_RESULT_BYTES + 100 && text.ends_with("bytes cut]"));
}

fn values() -> impl Strategy<Value = Value> {
    let texts = prop_oneof!["[a-z:/.-]{1,12}", "[ -~]{0,30}", "[ -~\n\t\"|,]{0,30}", "\\PC{0,12}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|n: f64| Value::from(n)),
        texts.clone().prop_map(Value::from),
    ];
    let any = leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::vec(("[a-z_]{1,8}", inner), 0..5)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    proptest::collection::vec(("[a-z_]{1,8}", any), 1..5)
        .prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

/// Every leaf stands in the text, as it is or in one of the forms that are not bare.
fn leaves(value: &Value, text: &str) -> Result<(), TestCaseError> {
    let has = |part: &str| text.contains(part);
    match value {
        Value::Null => {}
        Value::Bool(yes) => prop_assert!(has(&yes.to_string())),
        Value::Number(number) => {
            let value = rounded(number.as_f64().unwrap());
            let said = if number.is_f64() { value.to_string() } else { number.to_string() };
            prop_assert!(
                has(&said) || has(&format!("{value:e}")) || has(&number.to_string()),
                "{number} in {text}"
            );
        }
        Value::String(said) => {
            let lines = || said.lines().all(|line| has(line.trim_end()));
            prop_assert!(
                has(said) || has(&Value::from(said.as_str()).to_string()) || lines(),
                "{said:?} in {text}"
            );
        }
        Value::Array(items) => items.iter().try_for_each(|item| leaves(item, text))?,
        Value::Object(fields) => {
            fields.values().try_for_each(|value| leaves(value, text))?;
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_and_nothing_is_forged(value in values()) {
        let text = plain(&value);
        leaves(&value, &text)?;
        let names: Vec<_> = value.as_object().unwrap().keys().collect();
        for line in text.lines().filter(|line| !line.starts_with(' ')) {
            let known = names.iter().any(|name| line.strip_prefix(name.as_str()).is_some_and(|rest| rest.starts_with([':', ' '])));
            prop_assert!(known, "{line:?} in {text}");
        }
    }
}
