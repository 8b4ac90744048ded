//! The book of one incident: every citable object of every tool result.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use midwatch_policy::{EvidenceId, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Where evidence came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The server.
    pub server: String,
    /// The tool.
    pub tool: String,
    /// Its arguments.
    pub args: Map<String, Value>,
    /// When it answered, by the incident's clock.
    pub at: Timestamp,
}

/// One piece of evidence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Its id.
    pub id: EvidenceId,
    /// What the tool calls it.
    #[serde(rename = "ref")]
    pub reference: String,
    /// Where it came from.
    pub origin: Origin,
    /// The object, as it was answered.
    pub value: Value,
    /// Lower-case hex SHA-256 of [`Evidence::bytes`].
    pub sha256: String,
}

impl Evidence {
    /// The canonical JSON of the object: keys sorted, no white space.
    pub fn bytes(&self) -> String {
        canonical(&self.value)
    }
}

/// A result as it may be shown to a model.
#[derive(Debug, Clone, PartialEq)]
pub struct Admitted {
    /// The result with an `evidence` id in each citable object, the result itself included.
    pub result: Value,
    /// The ids, in the order of the result; the result itself first.
    pub evidence: Vec<EvidenceId>,
}

/// The evidence of one incident; cheap to clone, all clones are one book. Only ever grows.
#[derive(Debug, Clone, Default)]
pub struct EvidenceBook {
    pages: Arc<Mutex<Pages>>,
}

#[derive(Debug, Default)]
struct Pages {
    items: Vec<Arc<Evidence>>,
    known: HashMap<String, EvidenceId>,
}

impl EvidenceBook {
    /// An empty book.
    pub fn new() -> Self {
        Self::default()
    }

    /// The book as it was kept. `kept` is everything it held, in the order of the ids; it ends at
    /// the first piece that is not the next one.
    pub fn restored(kept: impl IntoIterator<Item = Evidence>) -> Self {
        let mut pages = Pages::default();
        for piece in kept {
            if piece.id.as_str() != format!("E{}", pages.items.len() + 1) {
                break;
            }
            pages.known.insert(key(&piece.sha256, &piece.reference), piece.id.clone());
            pages.items.push(Arc::new(piece));
        }
        Self { pages: Arc::new(Mutex::new(pages)) }
    }

    /// Takes a tool result: gives the result itself and every object in it that has a `ref` an
    /// id, keeps their bytes, and returns the result with the ids in it. The same `ref` with the
    /// same bytes keeps its id, so parallel readers of one thing cite one thing.
    pub fn admit(&self, origin: &Origin, result: &Value) -> Admitted {
        let mut pages = self.pages();
        let mut evidence = Vec::new();
        let result = pages.walk(origin, result, Place::Root, &mut evidence);
        Admitted { result, evidence }
    }

    /// A piece of evidence.
    pub fn get(&self, id: &str) -> Option<Arc<Evidence>> {
        let number: usize = id.trim().strip_prefix('E')?.parse().ok()?;
        self.pages().items.get(number.checked_sub(1)?).cloned()
    }

    /// Everything, in the order of the ids.
    pub fn all(&self) -> Vec<Arc<Evidence>> {
        self.pages().items.clone()
    }

    fn pages(&self) -> MutexGuard<'_, Pages> {
        // Pages are appended whole: a poisoned lock is still right.
        self.pages.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    Root,
    Inside,
}

impl Pages {
    fn walk(&mut self, origin: &Origin, value: &Value, place: Place, out: &mut Vec<EvidenceId>) -> Value {
        match value {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.walk(origin, item, Place::Inside, out)).collect())
            }
            Value::Object(object) => {
                let named = object.get("ref").and_then(Value::as_str).map(str::to_owned);
                let reference = match (named, place) {
                    (Some(reference), _) => Some(reference),
                    (None, Place::Root) => Some(format!("result:{}", origin.tool)),
                    (None, Place::Inside) => None,
                };
                let id = reference.and_then(|reference| self.keep(origin, reference, value));
                if let Some(id) = &id {
                    out.push(id.clone());
                }
                let mut annotated = Map::new();
                if let Some(id) = id {
                    annotated.insert("evidence".to_owned(), Value::String(id.to_string()));
                }
                for (key, child) in object {
                    // A tool cannot give evidence ids: ours stand alone.
                    if key != "evidence" || !child.is_string() {
                        annotated.insert(key.clone(), self.walk(origin, child, Place::Inside, out));
                    }
                }
                Value::Object(annotated)
            }
            plain => plain.clone(),
        }
    }

    fn keep(&mut self, origin: &Origin, reference: String, value: &Value) -> Option<EvidenceId> {
        let sha256 = hex::encode(Sha256::digest(canonical(value)));
        let key = key(&sha256, &reference);
        if let Some(id) = self.known.get(&key) {
            return Some(id.clone());
        }
        let id = EvidenceId::parse(format!("E{}", self.items.len() + 1)).ok()?;
        self.items.push(Arc::new(Evidence {
            id: id.clone(),
            reference,
            origin: origin.clone(),
            value: value.clone(),
            sha256,
        }));
        self.known.insert(key, id.clone());
        Some(id)
    }
}

/// The same reference with the same bytes is the same piece.
fn key(sha256: &str, reference: &str) -> String {
    format!("{sha256} {reference}")
}

/// JSON with sorted keys and no white space, whatever order the map type keeps.
fn canonical(value: &Value) -> String {
    fn write(value: &Value, out: &mut String) {
        match value {
            Value::Array(items) => {
                out.push('[');
                for (n, item) in items.iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    write(item, out);
                }
                out.push(']');
            }
            Value::Object(object) => {
                let mut fields: Vec<(&String, &Value)> = object.iter().collect();
                fields.sort_unstable_by_key(|(key, _)| *key);
                out.push('{');
                for (n, (key, child)) in fields.into_iter().enumerate() {
                    if n > 0 {
                        out.push(',');
                    }
                    text(key, out);
                    out.push(':');
                    write(child, out);
                }
                out.push('}');
            }
            Value::String(plain) => text(plain, out),
            plain => out.push_str(&plain.to_string()),
        }
    }
    fn text(text: &str, out: &mut String) {
        // A text can always be written as JSON.
        out.push_str(&serde_json::to_string(text).unwrap_or_default());
    }
    let mut out = String::new();
    write(value, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    pub(crate) fn origin(tool: &str) -> Origin {
        Origin {
            server: "logs".into(),
            tool: tool.into(),
            args: Map::new(),
            at: "2026-11-21T02:05:00Z".parse().unwrap(),
        }
    }

    #[test]
    fn citable_objects_get_ids_and_the_same_thing_keeps_its_id() {
        let book = EvidenceBook::new();
        let result = json!({"patterns": [{"ref": "pat:1", "count": 73, "examples": [{"ref": "log:1", "message": "m"}]}], "evidence": "E99"});
        let first = book.admit(&origin("error_patterns"), &result);
        assert_eq!(first.result["evidence"], "E1");
        assert_eq!(first.result["patterns"][0]["evidence"], "E2");
        assert_eq!(first.result["patterns"][0]["examples"][0]["evidence"], "E3");
        let again = book.admit(&origin("error_patterns"), &result);
        assert_eq!(again.evidence, first.evidence);
        assert_eq!(book.all().len(), 3);
        let changed = json!({"patterns": [{"ref": "pat:1", "count": 74}]});
        assert_eq!(book.admit(&origin("error_patterns"), &changed).result["patterns"][0]["evidence"], "E5");
        assert_eq!(book.get("E2").unwrap().value["count"], 73);
        assert!(book.get("E0").is_none() && book.get("E6").is_none() && book.get("x").is_none());
    }

    #[test]
    fn a_restored_book_gives_the_same_ids_and_goes_on_where_it_ended() {
        let book = EvidenceBook::new();
        let result = json!({"patterns": [{"ref": "pat:1", "count": 73}]});
        book.admit(&origin("error_patterns"), &result);
        let again = EvidenceBook::restored(book.all().iter().map(|piece| Evidence::clone(piece)));
        assert_eq!(again.all(), book.all());
        let ids = again.admit(&origin("error_patterns"), &result).evidence;
        assert_eq!(ids.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["E1", "E2"]);
        let more = again.admit(&origin("get_alarm"), &json!({"state": "OK"})).evidence;
        assert_eq!(more.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), ["E3"]);
        let holed = EvidenceBook::restored(book.all().iter().skip(1).map(|piece| Evidence::clone(piece)));
        assert!(holed.all().is_empty());
    }

    #[test]
    fn bytes_do_not_depend_on_the_order_of_keys() {
        let book = EvidenceBook::new();
        let a: Value = serde_json::from_str(r#"{"ref":"a","x":1,"b":{"d":1,"c":2}}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"b":{"c":2,"d":1},"x":1,"ref":"a"}"#).unwrap();
        assert_eq!(book.admit(&origin("t"), &a).evidence, book.admit(&origin("t"), &b).evidence);
        assert_eq!(book.get("E1").unwrap().bytes(), r#"{"b":{"c":2,"d":1},"ref":"a","x":1}"#);
    }
}
