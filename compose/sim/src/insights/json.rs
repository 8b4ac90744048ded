//! Fields discovered in a line that is a JSON object: `level`, `user.id`, `items.0.sku`.

use serde_json::Value as Json;

use super::value::Value;

/// Above this many leaves a record is taken as text.
const MAX_FIELDS: usize = 200;
/// Whole numbers beyond this are kept as written.
const EXACT: i64 = 1 << 53;

/// The JSON object a line consists of.
pub(super) fn discover(message: &str) -> Option<Json> {
    let trimmed = message.trim();
    if !(trimmed.starts_with('{') && trimmed.ends_with('}')) {
        return None;
    }
    serde_json::from_str(trimmed).ok().filter(|json| leaves(json, MAX_FIELDS + 1) <= MAX_FIELDS)
}

fn leaves(json: &Json, stop: usize) -> usize {
    let sum = |children: &mut dyn Iterator<Item = &Json>| {
        let mut total = 0;
        for child in children {
            if total >= stop {
                break;
            }
            total += leaves(child, stop - total);
        }
        total
    };
    match json {
        Json::Object(map) => sum(&mut map.values()),
        Json::Array(items) => sum(&mut items.iter()),
        _ => 1,
    }
}

/// The leaf at a dotted path. A key that starts with `@` is found with one `@` more, as the service shows it.
pub(super) fn field<'a>(json: &'a Json, path: &str) -> Value<'a> {
    let path = match path.strip_prefix('@') {
        Some(key) if key.starts_with('@') => key,
        Some(_) => return Value::Missing,
        None => path,
    };
    leaf(walk(json, path))
}

/// Every leaf by its path, nulls left out.
pub(super) fn all(json: &Json) -> Vec<(String, String)> {
    fn collect(json: &Json, path: &str, into: &mut Vec<(String, String)>) {
        let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
        match json {
            Json::Object(map) => map.iter().for_each(|(key, child)| collect(child, &join(key), into)),
            Json::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(index, child)| collect(child, &join(&index.to_string()), into));
            }
            _ => {
                if let Some(text) = leaf(Some(json)).render() {
                    let at = if path.starts_with('@') { "@" } else { "" };
                    into.push((format!("{at}{path}"), text.into_owned()));
                }
            }
        }
    }
    let mut fields = Vec::new();
    collect(json, "", &mut fields);
    fields
}

fn leaf(json: Option<&Json>) -> Value<'_> {
    match json {
        Some(Json::String(text)) => Value::text(text.as_str()),
        Some(Json::Bool(flag)) => Value::Flag(*flag),
        Some(Json::Number(number)) => match number.as_i64() {
            Some(int) if int.abs() <= EXACT => Value::Number(int as f64),
            _ => Value::text(number.to_string()),
        },
        Some(Json::Null | Json::Object(_) | Json::Array(_)) | None => Value::Missing,
    }
}

/// Keys may hold dots themselves: the longest key that fits is tried first at each level.
fn walk<'a>(json: &'a Json, path: &str) -> Option<&'a Json> {
    if let Json::Object(map) = json
        && let Some(found) = map.get(path)
    {
        return Some(found);
    }
    let mut end = path.len();
    while let Some(dot) = path.get(..end).and_then(|head| head.rfind('.')) {
        let (head, rest) = (path.get(..dot)?, path.get(dot + 1..)?);
        let child = match json {
            Json::Object(map) => map.get(head),
            Json::Array(items) => head.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        if let Some(found) = child.and_then(|child| walk(child, rest)) {
            return Some(found);
        }
        end = dot;
    }
    match json {
        Json::Array(items) => path.parse::<usize>().ok().and_then(|index| items.get(index)),
        _ => None,
    }
}
