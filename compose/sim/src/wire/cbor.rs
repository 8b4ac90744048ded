//! CBOR of the RPC v2 protocol, to and from JSON.
//!
//! Handlers speak JSON only. Timestamps need CBOR tag 1, so a handler writes them with
//! [`timestamp`], a marker object that becomes the tag on the way out; on the way in a tagged
//! time becomes the number of seconds.

use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

const MARKER: &str = "$epochSeconds";

/// A timestamp in an answer, from Unix milliseconds.
pub(crate) fn timestamp(ms: i64) -> Value {
    let mut map = Map::new();
    map.insert(MARKER.to_owned(), Number::from_f64(ms as f64 / 1000.0).map_or(Value::Null, Value::Number));
    Value::Object(map)
}

/// Reads a request body; an empty body is an empty map.
pub(crate) fn decode(body: &[u8]) -> Result<Value, String> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    ciborium::from_reader::<Cbor, _>(body).map(from_cbor).map_err(|e| e.to_string())
}

/// Writes an answer body.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing to a vector cannot fail, and a value made from JSON has no unwritable parts.
    let _ = ciborium::into_writer(&to_cbor(value), &mut out);
    out
}

/// Turns timestamp markers into numbers of seconds, as the JSON protocols write times.
pub(crate) fn plain(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(mut map) => match map.remove(MARKER) {
            Some(seconds) => seconds,
            None => map.into_iter().filter(|(_, v)| !v.is_null()).map(|(k, v)| (k, plain(v))).collect(),
        },
        other => other,
    }
}

fn from_cbor(value: Cbor) -> Value {
    match value {
        Cbor::Integer(i) => i64::try_from(i).map_or(Value::Null, Value::from),
        Cbor::Float(f) => Number::from_f64(f).map_or(Value::Null, Value::Number),
        Cbor::Text(t) => Value::String(t),
        Cbor::Bool(b) => Value::Bool(b),
        Cbor::Tag(_, inner) => from_cbor(*inner),
        Cbor::Array(items) => items.into_iter().map(from_cbor).collect(),
        Cbor::Map(pairs) => Value::Object(
            pairs
                .into_iter()
                .filter_map(|(k, v)| Some((k.into_text().ok()?, from_cbor(v))))
                .filter(|(_, v)| !v.is_null())
                .collect(),
        ),
        _ => Value::Null,
    }
}

fn to_cbor(value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(b) => Cbor::Bool(*b),
        Value::Number(n) => match n.as_i64() {
            Some(i) => Cbor::Integer(i.into()),
            None => Cbor::Float(n.as_f64().unwrap_or_default()),
        },
        Value::String(s) => Cbor::Text(s.clone()),
        Value::Array(items) => Cbor::Array(items.iter().map(to_cbor).collect()),
        Value::Object(map) => match map.get(MARKER).and_then(Value::as_f64) {
            Some(seconds) => Cbor::Tag(1, Box::new(Cbor::Float(seconds))),
            None => Cbor::Map(
                map.iter()
                    .filter(|(_, v)| !v.is_null())
                    .map(|(k, v)| (Cbor::Text(k.clone()), to_cbor(v)))
                    .collect(),
            ),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_goes_out_comes_back_with_times_as_seconds() {
        let value = json!({"a": 1, "b": [1.5, "x", true], "t": timestamp(1500), "gone": null});
        assert_eq!(decode(&encode(&value)).unwrap(), json!({"a": 1, "b": [1.5, "x", true], "t": 1.5}));
        assert_eq!(plain(value), json!({"a": 1, "b": [1.5, "x", true], "t": 1.5}));
        assert!(decode(&[0xff, 0x00]).is_err());
    }
}
