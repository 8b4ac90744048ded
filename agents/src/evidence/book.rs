//! The book of one incident: every citable object of every tool result.

use std::{
    collections::HashMap,
    fmt,
    ops::Range,
    ptr,
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
#[derive(Debug, Clone, PartialEq)]
pub struct Evidence {
    /// Its id.
    pub id: EvidenceId,
    /// What the tool calls it.
    pub reference: String,
    /// Where it came from.
    pub origin: Arc<Origin>,
    /// Lower-case hex SHA-256 of [`Evidence::bytes`].
    pub sha256: String,
    written: Written,
}

impl Evidence {
    /// A piece as it was kept: `bytes` are what [`Evidence::bytes`] gave.
    pub fn kept(id: EvidenceId, reference: String, origin: Origin, bytes: String, sha256: String) -> Self {
        let span = 0..bytes.len();
        let written = Written { whole: bytes.into(), span };
        Self { id, reference, origin: Arc::new(origin), sha256, written }
    }

    /// The canonical JSON of the object: keys sorted, no white space.
    pub fn bytes(&self) -> &str {
        self.written.text()
    }

    /// The object, as it was answered but for the order of its keys.
    pub fn value(&self) -> Value {
        // What was written as JSON can be read as JSON.
        serde_json::from_str(self.bytes()).unwrap_or_default()
    }
}

/// Canonical JSON, as a part of that of the whole result: an incident holds its evidence for long, and a text takes a
/// fraction of what a tree of values does.
#[derive(Clone)]
struct Written {
    whole: Arc<str>,
    span: Range<usize>,
}

impl Written {
    fn text(&self) -> &str {
        self.whole.get(self.span.clone()).unwrap_or_default()
    }
}

impl PartialEq for Written {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl fmt::Debug for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
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
        let Canonical { text, spans } = Canonical::of(result);
        let of = Walk { origin: Arc::new(origin.clone()), whole: text.into(), spans };
        let mut evidence = Vec::new();
        let result = self.pages().walk(&of, result, Place::Root, &mut evidence);
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

/// One result on its way into the book.
struct Walk {
    origin: Arc<Origin>,
    whole: Arc<str>,
    spans: Spans,
}

impl Pages {
    fn walk(&mut self, of: &Walk, value: &Value, place: Place, out: &mut Vec<EvidenceId>) -> Value {
        match value {
            Value::Array(items) => {
                Value::Array(items.iter().map(|item| self.walk(of, item, Place::Inside, out)).collect())
            }
            Value::Object(object) => {
                let named = object.get("ref").and_then(Value::as_str).map(str::to_owned);
                let reference = match (named, place) {
                    (Some(reference), _) => Some(reference),
                    (None, Place::Root) => Some(format!("result:{}", of.origin.tool)),
                    (None, Place::Inside) => None,
                };
                let id = reference.and_then(|reference| self.keep(of, reference, value));
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
                        annotated.insert(key.clone(), self.walk(of, child, Place::Inside, out));
                    }
                }
                Value::Object(annotated)
            }
            plain => plain.clone(),
        }
    }

    fn keep(&mut self, of: &Walk, reference: String, value: &Value) -> Option<EvidenceId> {
        let span = of.spans.get(&ptr::from_ref(value))?.clone();
        let written = Written { whole: Arc::clone(&of.whole), span };
        let sha256 = hex::encode(Sha256::digest(written.text()));
        let key = key(&sha256, &reference);
        if let Some(id) = self.known.get(&key) {
            return Some(id.clone());
        }
        let id = EvidenceId::parse(format!("E{}", self.items.len() + 1)).ok()?;
        let origin = Arc::clone(&of.origin);
        self.items.push(Arc::new(Evidence { id: id.clone(), reference, origin, sha256, written }));
        self.known.insert(key, id.clone());
        Some(id)
    }
}

/// The same reference with the same bytes is the same piece.
fn key(sha256: &str, reference: &str) -> String {
    format!("{sha256} {reference}")
}

/// Where each object of a value stands in the value's canonical JSON.
type Spans = HashMap<*const Value, Range<usize>>;

/// JSON with sorted keys and no white space, whatever order the map type keeps. That of an object within is a part of
/// it.
#[derive(Default)]
struct Canonical {
    text: String,
    spans: Spans,
}

impl Canonical {
    fn of(value: &Value) -> Self {
        let mut canonical = Self::default();
        canonical.write(value);
        canonical
    }

    fn write(&mut self, value: &Value) {
        match value {
            Value::Array(items) => {
                self.text.push('[');
                for (n, item) in items.iter().enumerate() {
                    self.comma(n);
                    self.write(item);
                }
                self.text.push(']');
            }
            Value::Object(object) => {
                let begun = self.text.len();
                let mut fields: Vec<(&String, &Value)> = object.iter().collect();
                fields.sort_unstable_by_key(|(key, _)| *key);
                self.text.push('{');
                for (n, (key, child)) in fields.into_iter().enumerate() {
                    self.comma(n);
                    self.plain(key);
                    self.text.push(':');
                    self.write(child);
                }
                self.text.push('}');
                self.spans.insert(ptr::from_ref(value), begun..self.text.len());
            }
            plain => self.plain(plain),
        }
    }

    fn comma(&mut self, number: usize) {
        if number > 0 {
            self.text.push(',');
        }
    }

    /// A text, a number, a flag or nothing: all of them can be written as JSON.
    fn plain(&mut self, value: &impl Serialize) {
        self.text.push_str(&serde_json::to_string(value).unwrap_or_default());
    }
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
        assert_eq!(book.get("E2").unwrap().value()["count"], 73);
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

    #[test]
    fn what_is_cited_within_a_result_is_a_part_of_its_bytes() {
        let book = EvidenceBook::new();
        let line = json!({"ref": "log:é\"1", "at": null});
        let result = json!({"z": [{"ref": "pat:1", "examples": [line]}], "a": "☃"});
        book.admit(&origin("error_patterns"), &result);
        let [whole, pattern, line] = ["E1", "E2", "E3"].map(|id| book.get(id).unwrap());
        assert_eq!(pattern.bytes(), r#"{"examples":[{"at":null,"ref":"log:é\"1"}],"ref":"pat:1"}"#);
        assert_eq!(line.bytes(), r#"{"at":null,"ref":"log:é\"1"}"#);
        assert!(whole.bytes().contains(pattern.bytes()));
        assert!(Arc::ptr_eq(&whole.written.whole, &line.written.whole), "they are kept once");
        assert_eq!(pattern.value(), result["z"][0]);
        for piece in book.all() {
            assert_eq!(piece.sha256, hex::encode(Sha256::digest(piece.bytes())));
        }
    }
}
