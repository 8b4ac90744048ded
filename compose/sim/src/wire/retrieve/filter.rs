//! Metadata filters of `Retrieve`.

use serde_json::{Map, Value};

use crate::wire::WireError;

const MAX_DEPTH: usize = 5;

/// Whether a chunk's metadata passes; a kind of filter that is not played is refused.
pub(super) fn holds(filter: &Value, metadata: &Map<String, Value>, depth: usize) -> Result<bool, WireError> {
    let one = filter.as_object().filter(|kinds| kinds.len() == 1).and_then(|kinds| kinds.iter().next());
    let Some((kind, of)) = one.filter(|_| depth < MAX_DEPTH) else {
        return Err(WireError::invalid("a filter must have exactly one operator and few levels"));
    };
    if let ("andAll" | "orAll", Some(parts)) = (kind.as_str(), of.as_array()) {
        let results: Vec<bool> =
            parts.iter().map(|part| holds(part, metadata, depth + 1)).collect::<Result<_, _>>()?;
        return Ok(if kind == "andAll" {
            results.iter().all(|it| *it)
        } else {
            results.iter().any(|it| *it)
        });
    }
    let key = of.get("key").and_then(Value::as_str).unwrap_or_default();
    let has = metadata.get(key);
    let wanted = of.get("value").unwrap_or(&Value::Null);
    let contains = |list: Option<&Value>, item: &Value| {
        list.and_then(Value::as_array).is_some_and(|list| list.contains(item))
    };
    match kind.as_str() {
        "equals" => Ok(has == Some(wanted)),
        "notEquals" => Ok(has != Some(wanted)),
        "in" => Ok(has.is_some_and(|has| contains(Some(wanted), has))),
        "listContains" => Ok(contains(has, wanted)),
        _ => Err(WireError::invalid(format!("filter `{kind}` is not played by this world"))),
    }
}
