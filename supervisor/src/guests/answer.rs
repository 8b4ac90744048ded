//! A guest's answer: bounded, redacted, screened, and with a `ref` at each thing that can be cited.
//! What it calls an error is one; what it says beside that is text, whatever it says it is.

use std::collections::BTreeSet;

use midwatch_agents::tools::{FailureKind, ToolFailure};
use midwatch_mcp::{clean, redaction_note};
use midwatch_policy::MarkKind;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::{Map, Value, json};

use super::{name::GuestName, offer::Offered, schema};

/// Most bytes of one text.
const TEXT: usize = 4_000;
/// Most bytes of what it says of a failure.
const FAILURE: usize = 400;
/// Deepest structure that is read.
const DEEPEST: usize = 16;
/// Most things of one answer that can be cited by themselves.
const REFS: usize = 60;
/// Fields that are ours: where a guest uses them, they are called otherwise.
const OURS: [&str; 4] = ["ref", "evidence", "screened", "untrusted"];

/// What an answer comes to.
pub(super) fn read(
    guest: &GuestName,
    offered: &Offered,
    result: CallToolResult,
    max_bytes: usize,
) -> Result<Value, ToolFailure> {
    if result.is_error == Some(true) {
        let said = result.content.iter().find_map(ContentBlock::as_text).map(|text| text.text.as_str());
        return Err(failed(guest, said.unwrap_or("it failed and did not say why")));
    }
    if let Some(promised) = &offered.output {
        let wrong = match &result.structured_content {
            None => Some("there is none".to_owned()),
            Some(value) => schema::misfit(promised, value),
        };
        if let Some(wrong) = wrong {
            let wrong = clean(&wrong, FAILURE).text;
            let message = format!("third-party server `{guest}` did not answer what it promises: {wrong}");
            return Err(ToolFailure::new(FailureKind::Internal, message));
        }
    }
    let mut cleaner =
        Cleaner { guest, left: max_bytes, refs: 0, cut: 0, redacted: 0, marks: BTreeSet::new() };
    let mut whole = Map::new();
    whole.insert("third_party_server".to_owned(), json!(guest.as_str()));
    let structured = result.structured_content.filter(|value| !value.is_null());
    let has_structure = structured.is_some();
    if let Some(value) = structured {
        whole.insert("data".to_owned(), cleaner.value(None, value, 0));
    }
    let mut items = Vec::new();
    let mut left_out = 0;
    for block in result.content {
        let Some(text) = text_of(block) else {
            left_out += 1;
            continue;
        };
        match serde_json::from_str::<Value>(&text) {
            // The same again, as text for clients that read no structure.
            Ok(value) if has_structure && (value.is_object() || value.is_array()) => {}
            Ok(value) if value.is_object() || value.is_array() => {
                let mut item = cleaner.value(None, value, 0);
                if let Some(object) = item.as_object_mut() {
                    cleaner.cite(object);
                }
                items.push(item);
            }
            _ if cleaner.is_full() => cleaner.cut += 1,
            _ => {
                let message = cleaner.text(None, &text);
                let mut item = Map::new();
                cleaner.cite(&mut item);
                item.insert("message".to_owned(), Value::String(message));
                items.push(Value::Object(item));
            }
        }
    }
    if !items.is_empty() {
        whole.insert("items".to_owned(), Value::Array(items));
    }
    let mut notes: Vec<String> = redaction_note(cleaner.redacted).into_iter().collect();
    if cleaner.cut > 0 {
        notes
            .push(format!("{} parts are left out: the answer is longer than {max_bytes} bytes", cleaner.cut));
    }
    if left_out > 0 {
        notes.push(format!("{left_out} parts that are no text are left out"));
    }
    if whole.len() == 1 {
        notes.push("it answered with nothing".to_owned());
    }
    if !cleaner.marks.is_empty() {
        let marks: Vec<&str> = cleaner.marks.iter().map(|mark| mark.as_str()).collect();
        whole.insert("screened".to_owned(), json!(marks));
    }
    if !notes.is_empty() {
        whole.insert("notes".to_owned(), json!(notes));
    }
    Ok(Value::Object(whole))
}

/// What a guest says of a failure, for a model: its words, marked as its own, or none where they
/// give orders.
pub(super) fn failed(guest: &GuestName, said: &str) -> ToolFailure {
    let clean = clean(said, FAILURE);
    let message = if clean.marks.is_empty() {
        let said = clean.text.split_whitespace().collect::<Vec<_>>().join(" ");
        format!("third-party server `{guest}` says: {said}")
    } else {
        format!("third-party server `{guest}` failed, and what it says gives orders to its reader")
    };
    ToolFailure::new(FailureKind::Internal, message)
}

/// The text of a block; absent where it is none.
fn text_of(block: ContentBlock) -> Option<String> {
    match block {
        ContentBlock::Text(text) => Some(text.text),
        ContentBlock::Resource(embedded) => match embedded.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => Some(format!("{uri}\n{text}")),
            _ => None,
        },
        ContentBlock::ResourceLink(link) => Some(format!("{} {}", link.uri, link.name)),
        _ => None,
    }
}

struct Cleaner<'a> {
    guest: &'a GuestName,
    /// Bytes that still fit.
    left: usize,
    refs: usize,
    cut: usize,
    redacted: usize,
    marks: BTreeSet<MarkKind>,
}

impl Cleaner<'_> {
    fn is_full(&self) -> bool {
        self.left == 0
    }

    fn spend(&mut self, bytes: usize) {
        self.left = self.left.saturating_sub(bytes);
    }

    /// Names a thing, so that it can be cited.
    fn cite(&mut self, object: &mut Map<String, Value>) {
        if self.refs < REFS {
            self.refs += 1;
            object.insert("ref".to_owned(), json!(format!("{}:{}", self.guest, self.refs)));
        }
    }

    /// A text without secrets. The key beside it says whether it is one.
    fn text(&mut self, key: Option<&str>, text: &str) -> String {
        let clean = match key {
            None => clean(text, TEXT),
            Some(key) => {
                let before = format!("{key}=");
                let mut both = clean(&format!("{before}{text}"), TEXT + before.len());
                if let Some(rest) = both.text.strip_prefix(&before) {
                    both.text = rest.to_owned();
                }
                both
            }
        };
        self.redacted += clean.redacted;
        self.marks.extend(clean.marks);
        self.spend(clean.text.len() + 4);
        clean.text
    }

    fn value(&mut self, key: Option<&str>, value: Value, depth: usize) -> Value {
        if depth > DEEPEST {
            self.cut += 1;
            return Value::Null;
        }
        match value {
            Value::String(text) => Value::String(self.text(key, &text)),
            Value::Array(list) => {
                let mut all = Vec::new();
                for item in list {
                    if self.is_full() {
                        self.cut += 1;
                        continue;
                    }
                    let item = match self.value(key, item, depth + 1) {
                        Value::Object(mut object) => {
                            self.cite(&mut object);
                            Value::Object(object)
                        }
                        plain => plain,
                    };
                    all.push(item);
                }
                Value::Array(all)
            }
            Value::Object(object) => {
                let mut all = Map::new();
                for (name, inner) in object {
                    if self.is_full() {
                        self.cut += 1;
                        continue;
                    }
                    let mut named = self.text(None, midwatch_mcp::clip(&name, 80).as_ref());
                    if OURS.contains(&named.as_str()) {
                        named = format!("their_{named}");
                    }
                    let inner = self.value(Some(&name), inner, depth + 1);
                    all.insert(named, inner);
                }
                Value::Object(all)
            }
            plain => {
                self.spend(8);
                plain
            }
        }
    }
}
