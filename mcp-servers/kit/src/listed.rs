//! How a tool is listed: a client pays for its schemas before it has asked for anything, a model in every turn.
//!
//! What `schemars` writes for generators of code is left out: `$schema`, the width of numbers, nulls that mean the same
//! as nothing, definitions that are used once, a union of constants where a list of values will do. Arguments are held
//! against their types, whatever is listed, and explained by the whole schema.
//!
//! Of results it says the shape, for clients that check them, and of each field at the top what it is. What lies deeper is
//! described on the server's page: nobody needs it before there is a result, and then its names say most of it. Bounds and
//! defaults are left out, too. INVARIANT: no result holds a null; what is not there is left out. So a result that
//! fits the whole schema fits this one.
//!
//! Rejected: to write the schemas by hand. They would differ from the types one day, and nobody would notice. To list no schema
//! of results: clients could not check them any more.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool};
use serde_json::{Map, Value, json};

/// A definition of at most so many bytes stands where it is used, as often as it is.
const SMALL: usize = 70;
/// A shorter description of a field of a result says what its name says.
const TELLING: usize = 28;
const DEFS: &str = "#/$defs/";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    Arguments,
    /// A result itself.
    Result,
    /// A field of one.
    Field,
    /// Whatever lies in a field, or is defined once for several.
    Within,
}

impl Side {
    /// Where a part lies that stands under this word.
    fn below(self, word: &str) -> Self {
        match self {
            Self::Arguments => Self::Arguments,
            Self::Result if word == "properties" => Self::Field,
            _ => Self::Within,
        }
    }

    fn is_described(self, text: &str) -> bool {
        match self {
            Self::Arguments => true,
            Self::Field => text.len() >= TELLING,
            Self::Result | Self::Within => false,
        }
    }
}

/// The tool as a client gets it.
pub(crate) fn listed(mut tool: Tool) -> Tool {
    tool.input_schema = Arc::new(lean(&tool.input_schema, Side::Arguments));
    tool.output_schema = tool.output_schema.map(|schema| Arc::new(lean(&schema, Side::Result)));
    tool
}

fn lean(schema: &JsonObject, side: Side) -> JsonObject {
    let mut root = object(schema, side);
    if let Some(Value::Object(mut defs)) = root.remove("$defs") {
        let mut body = Value::Object(root);
        while let Some(name) = dispensable(&body, &defs) {
            let Some(def) = defs.remove(&name) else { break };
            let reference = format!("{DEFS}{name}");
            put(&mut body, &reference, &def);
            defs.values_mut().for_each(|other| put(other, &reference, &def));
        }
        root = if let Value::Object(root) = body { root } else { Map::new() };
        if !defs.is_empty() {
            root.insert("$defs".to_owned(), Value::Object(defs));
        }
    }
    root
}

fn schema(value: &Value, side: Side) -> Value {
    match value {
        Value::Object(of) => Value::Object(object(of, side)),
        other => other.clone(),
    }
}

#[allow(clippy::match_same_arms, reason = "each arm is a reason of its own to leave something out")]
fn object(schema: &JsonObject, side: Side) -> JsonObject {
    let mut lean = Map::new();
    for (word, value) in schema {
        match (word.as_str(), value) {
            ("$schema" | "title", Value::String(_)) => {}
            ("format", Value::String(format)) if format != "date-time" => {}
            ("minimum", value) if value.as_f64() == Some(0.0) => {}
            ("default", value) if side != Side::Arguments || says_nothing(value) => {}
            ("minLength" | "maxLength" | "maximum", _) if side != Side::Arguments => {}
            ("additionalProperties", Value::Bool(_)) if side != Side::Arguments => {}
            ("description", Value::String(text)) if !side.is_described(text) => {}
            ("properties" | "$defs", Value::Object(named)) => {
                let side = side.below(word);
                let named = named.iter().map(|(name, part)| (name.clone(), self::schema(part, side)));
                lean.insert(word.clone(), Value::Object(named.collect()));
            }
            ("items" | "additionalProperties", part) => {
                lean.insert(word.clone(), self::schema(part, side.below(word)));
            }
            ("type", Value::Array(types)) => {
                let mut types: Vec<_> = types.iter().filter(|name| *name != "null").cloned().collect();
                let only = if types.len() == 1 { types.pop() } else { None };
                lean.insert(word.clone(), only.unwrap_or(Value::Array(types)));
            }
            ("anyOf" | "oneOf" | "allOf", Value::Array(ways)) => {
                union(&mut lean, word, ways, side.below(word));
            }
            _ => {
                lean.insert(word.clone(), value.clone());
            }
        }
    }
    lean
}

/// Constants become a list of values; what may be null is what may be left out.
fn union(into: &mut JsonObject, word: &str, ways: &[Value], side: Side) {
    let constants: Option<Vec<Value>> =
        ways.iter().map(|way| way.get("const").filter(|value| value.is_string()).cloned()).collect();
    if let Some(constants) = constants.filter(|_| word == "oneOf") {
        into.insert("type".to_owned(), "string".into());
        into.insert("enum".to_owned(), Value::Array(constants));
        return;
    }
    let null = json!({"type": "null"});
    let real: Vec<&Value> = ways.iter().filter(|way| word != "anyOf" || **way != null).collect();
    if let ([Value::Object(only)], true) = (real.as_slice(), word == "anyOf") {
        for (word, value) in object(only, side) {
            into.entry(word).or_insert(value);
        }
    } else {
        let ways = real.into_iter().map(|way| schema(way, side)).collect();
        into.insert(word.to_owned(), Value::Array(ways));
    }
}

/// Whether a default is what everybody takes for one.
fn says_nothing(default: &Value) -> bool {
    match default {
        Value::Null | Value::Bool(false) => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// A definition that can stand where it is used: small, or used once; never one that uses itself.
fn dispensable(body: &Value, defs: &JsonObject) -> Option<String> {
    let mut names = defs.iter().filter(|(name, def)| {
        let reference = format!("{DEFS}{name}");
        let uses = uses(body, &reference) + defs.values().map(|other| uses(other, &reference)).sum::<usize>();
        self::uses(def, &reference) == 0 && (uses < 2 || def.to_string().len() <= SMALL)
    });
    names.next().map(|(name, _)| name.clone())
}

fn uses(value: &Value, reference: &str) -> usize {
    match value {
        Value::Object(fields) => {
            let here = fields.get("$ref").and_then(Value::as_str) == Some(reference);
            usize::from(here) + fields.values().map(|child| uses(child, reference)).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(|item| uses(item, reference)).sum(),
        _ => 0,
    }
}

/// The definition in place of what refers to it. What is said at the place goes before what the definition says.
fn put(value: &mut Value, reference: &str, def: &Value) {
    match value {
        Value::Object(fields) => {
            if fields.get("$ref").and_then(Value::as_str) == Some(reference) {
                fields.remove("$ref");
                for (word, part) in def.as_object().into_iter().flatten() {
                    fields.entry(word.clone()).or_insert_with(|| part.clone());
                }
            } else {
                fields.values_mut().for_each(|child| put(child, reference, def));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| put(item, reference, def)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use schemars::{JsonSchema, generate::SchemaSettings};
    use serde::{Deserialize, Serialize};

    use super::*;

    /// One of two.
    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(rename_all = "snake_case")]
    enum Way {
        /// The first.
        Up,
        /// The second.
        Down,
    }

    /// Uses itself.
    #[derive(Serialize, Deserialize, JsonSchema)]
    struct Tree {
        /// What lies below this, in order of time.
        below: Vec<Tree>,
    }

    #[derive(Serialize, Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        /// A property may be called so.
        title: String,
        /// How many, 1 to 30; default 10.
        #[serde(default)]
        limit: Option<u32>,
        /// Which way.
        #[serde(default)]
        way: Option<Way>,
        #[serde(default = "ten")]
        first: u8,
        tree: Option<Tree>,
    }

    fn ten() -> u8 {
        10
    }

    fn whole() -> JsonObject {
        let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Arguments>();
        schema.as_object().cloned().unwrap()
    }

    #[test]
    fn arguments_keep_what_is_taken_and_lose_what_only_generators_read() {
        let tree = json!({"description": "Uses itself.", "type": "object", "required": ["below"], "properties": {
            "below": {"description": "What lies below this, in order of time.", "type": "array",
                      "items": {"$ref": "#/$defs/Tree"}}}});
        let wanted = json!({"type": "object", "required": ["title"], "additionalProperties": false, "properties": {
            "title": {"description": "A property may be called so.", "type": "string"},
            "limit": {"description": "How many, 1 to 30; default 10.", "type": "integer"},
            "way": {"description": "Which way.", "type": "string", "enum": ["up", "down"]},
            "first": {"type": "integer", "maximum": 255, "default": 10},
            "tree": {"$ref": "#/$defs/Tree"},
        }, "$defs": {"Tree": tree}});
        assert_eq!(Value::Object(lean(&whole(), Side::Arguments)), wanted);
    }

    #[test]
    fn a_result_says_its_shape_and_what_its_fields_are() {
        let tree = json!({"type": "object", "required": ["below"], "properties": {
            "below": {"type": "array", "items": {"$ref": "#/$defs/Tree"}}}});
        let wanted = json!({"type": "object", "required": ["title"], "properties": {
            "title": {"description": "A property may be called so.", "type": "string"},
            "limit": {"description": "How many, 1 to 30; default 10.", "type": "integer"},
            "way": {"type": "string", "enum": ["up", "down"]},
            "first": {"type": "integer"},
            "tree": {"$ref": "#/$defs/Tree"},
        }, "$defs": {"Tree": tree}});
        assert_eq!(Value::Object(lean(&whole(), Side::Result)), wanted);
    }
}
