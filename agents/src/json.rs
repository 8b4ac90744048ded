//! JSON that is held as text, and read where it is needed.
//!
//! What tools answer is held for as long as an incident lasts, by its sweep, its specialists and their conversations.
//! A tree of values takes several times the room of its text, and each of them would have one of its own.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

/// One JSON value; cheap to clone, all clones are one text.
#[derive(Clone)]
pub struct Json(Arc<str>);

impl Json {
    /// What was answered, as text.
    pub fn of(value: &Value) -> Self {
        Self(value.to_string().into())
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The whole value.
    pub fn value(&self) -> Value {
        // What was written as JSON can be read as JSON.
        self.read().unwrap_or_default()
    }

    /// The value as something that its reader knows.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(&self.0)
    }
}

/// As JSON is equal: whatever the order of its fields.
impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0 || self.value() == other.value()
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue = serde_json::from_str(&self.0).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).map(|value| Self::of(&value))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_goes_through_json_and_through_values_unchanged() {
        let value = json!({"b": [1, 2.5, null], "a": {"text": "a \"quoted\" line\n"}});
        let held = Json::of(&value);
        let outer = json!({ "result": held });
        assert_eq!(outer, json!({ "result": value }));
        assert_eq!(serde_json::to_string(&held).unwrap(), value.to_string());
        assert_eq!(serde_json::from_value::<Json>(value.clone()).unwrap(), held);
        assert_eq!(serde_json::from_str::<Json>(&value.to_string()).unwrap().value(), value);
        assert_eq!(
            serde_json::from_str::<Json>(r#"{"b": 1, "a": 2}"#).unwrap(),
            Json::of(&json!({"a": 2, "b": 1}))
        );
        assert_ne!(held, Json::of(&json!({})));
    }
}
