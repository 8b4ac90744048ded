use serde_json::{Value, json};

use super::{document, result, schema};

fn minutes(count: u64) -> Vec<Value> {
    (0..count).map(|n| json!({"at": "t", "count": n})).collect()
}

fn sweep(result: &Value) -> Value {
    let part = |service: &str| {
        json!({"tool": "error_patterns", "service": service, "result": result,
            "args": {"service": service, "from": "a", "to": "b"}})
    };
    json!({"kind": "sweep", "parts": [part("basket"), part("prices-api")]})
}

#[test]
fn the_sweep_is_shown_leaner_than_it_is_kept() {
    let pattern = |change: &str, n: u32| {
        json!({"ref": "p", "evidence": format!("E{n}"), "template": "x", "change": change,
            "examples": [{"message": "m".repeat(900)}, {"message": "b"}, {"message": "c"}], "screened": []})
    };
    let found = json!({"ref": "r", "evidence": "E1", "lines_read": 9, "notes": [],
        "errors": {"per_minute": minutes(30)},
        "patterns": [pattern("new", 2), pattern("grew", 3), pattern("new", 4), pattern("new", 5),
            pattern("steady", 6), pattern("steady", 7)]});
    let shown = document(&sweep(&found), Some(&json!("basket")));
    let own = &shown["parts"][0]["result"];
    let per_minute = own["errors"]["per_minute"].as_array().unwrap();
    assert_eq!((per_minute.len(), &per_minute[0]), (6, &json!({"shortened": "25 earlier"})));
    assert_eq!(per_minute[5]["count"], 29);
    let ids = |result: &Value| -> Vec<String> {
        let all = result["patterns"].as_array().unwrap();
        all.iter().filter_map(|p| Some(p["evidence"].as_str()?.to_owned())).collect()
    };
    assert_eq!(ids(own), ["E2", "E3", "E4", "E5", "E6"]);
    assert_eq!(own["patterns"][5], json!({"shortened": "1 more patterns"}));
    assert_eq!(own["patterns"][0]["examples"][0]["message"].as_str().unwrap().chars().count(), 301);
    assert_eq!(own["patterns"][4]["examples"], json!([{"shortened": "3 more"}]));
    assert!(own.get("ref").is_none() && own.get("notes").is_none() && own.get("lines_read").is_none());
    assert_eq!(shown["parts"][0]["args"], json!({"service": "basket"}));
    let foreign = &shown["parts"][1]["result"];
    assert_eq!(ids(foreign), ["E2", "E3", "E4"]);
    assert_eq!(foreign["patterns"][0]["examples"].as_array().unwrap().len(), 2);
    // Without a service of its own nothing is foreign.
    assert_eq!(ids(&document(&sweep(&found), None)["parts"][1]["result"]).len(), 5);
}

#[test]
fn what_tries_to_instruct_is_never_left_out() {
    let steady = json!({"evidence": "E2", "change": "steady", "screened": []});
    let found = json!({"evidence": "E1", "patterns": [steady, steady,
        {"evidence": "E9", "change": "steady", "screened": ["instruction"]}]});
    let shown = document(&sweep(&found), None)["parts"][0]["result"].to_string();
    assert!(shown.contains("E9") && shown.contains("instruction"), "{shown}");
}

#[test]
fn what_nobody_cites_keeps_its_name() {
    let shown = result(&json!({"ref": "a", "evidence": "E1", "x": null, "y": [{"ref": "b", "n": 1}]}));
    assert_eq!(shown, json!({"evidence": "E1", "y": [{"ref": "b", "n": 1}]}));
}

#[test]
fn a_schema_says_the_same_in_fewer_words() {
    let long = json!({"$schema": "s", "title": "Args", "type": "object", "required": ["title"],
        "properties": {
            "title": {"title": "T", "type": ["string", "null"], "default": null, "description": "d"},
            "role": {"anyOf": [{"$ref": "#/$defs/Role"}, {"type": "null"}], "description": "r"},
            "n": {"type": "integer", "format": "uint64", "minimum": 0}},
        "$defs": {"Role": {"title": "Role", "enum": ["a", "b"]}}});
    assert_eq!(
        schema(&long),
        json!({"type": "object", "required": ["title"],
            "properties": {
                "title": {"type": "string", "description": "d"},
                "role": {"$ref": "#/$defs/Role", "description": "r"},
                "n": {"type": "integer", "minimum": 0}},
            "$defs": {"Role": {"enum": ["a", "b"]}}})
    );
}
