//! Results small enough to read: long texts are cut and long lists shortened, and it is said where.

use serde_json::{Value, json};

use crate::model::json_bytes;

/// `value` with at most about `most` bytes of JSON. Evidence keeps the whole; the model is told.
pub(super) fn cap(value: &Value, most: u64) -> Value {
    let fits = |value: &Value| json_bytes(value) <= most;
    if fits(value) {
        return value.clone();
    }
    for (items, text) in [(50, 2_000), (20, 600), (8, 300), (3, 160), (1, 80)] {
        let smaller = shorten(value, items, text);
        if fits(&smaller) {
            return smaller;
        }
    }
    let evidence = value.get("evidence").cloned().unwrap_or(Value::Null);
    json!({ "evidence": evidence, "shortened": "the result is too large to show: ask for less" })
}

fn shorten(value: &Value, items: usize, text: usize) -> Value {
    match value {
        Value::String(long) if long.chars().count() > text => {
            let head: String = long.chars().take(text).collect();
            let left = long.chars().count() - text;
            Value::String(format!("{head}… ({left} more characters)"))
        }
        Value::Array(list) => {
            let mut short: Vec<Value> =
                list.iter().take(items).map(|item| shorten(item, items, text)).collect();
            if list.len() > items {
                short.push(json!({ "shortened": format!("{} more", list.len() - items) }));
            }
            Value::Array(short)
        }
        Value::Object(object) => Value::Object(
            object.iter().map(|(key, child)| (key.clone(), shorten(child, items, text))).collect(),
        ),
        plain => plain.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn small_results_stay_and_large_ones_say_what_is_left_out() {
        let small = json!({"a": [1, 2, 3]});
        assert_eq!(cap(&small, 1000), small);
        let large = json!({"evidence": "E1", "rows": (0..5000).map(|n| json!({"n": n})).collect::<Vec<_>>()});
        let capped = cap(&large, 2000);
        assert!(capped.to_string().len() <= 2000);
        assert_eq!(capped["evidence"], "E1");
        assert!(
            capped["rows"].as_array().unwrap().last().unwrap()["shortened"]
                .as_str()
                .unwrap()
                .ends_with("more")
        );
    }

    proptest! {
        #[test]
        fn nothing_is_larger_than_asked(texts in prop::collection::vec("\\PC{0,300}", 0..60)) {
            let value = json!({"x": texts.clone(), "y": {"z": texts}});
            prop_assert!(cap(&value, 1500).to_string().len() <= 1500);
        }
    }
}
