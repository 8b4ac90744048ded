//! The text beside a structured result: the same values, short, for clients that read only text.
//!
//! Lines of `key: value`, short values of one object together on a line; objects indented; a list of
//! like objects is a table under one header; null and empty parts are left out, but what was asked for
//! and not found is said (`none`).
//!
//! INVARIANT: no value can look like another field. A value is written bare only where it cannot end
//! its place: on a line of its own, indented below its key, or without what parts values here; all
//! else is quoted as in JSON. The text is data from outside as much as the values are.
//!
//! TOON was looked at and not taken: it quotes by rules of its own, and has no text of several lines.

use serde_json::{Map, Number, Value};

use crate::output::{MAX_RESULT_BYTES, clip};

/// How long a line of short values gets.
const WIDTH: usize = 110;
/// A row of more columns than this is hard to read.
const COLUMNS: usize = 9;
/// What stands before the values that all rows of a table share.
const EACH: &str = "in each:";
/// Lists may be nested this deep; deeper parts are JSON.
const DEPTH: usize = 24;

/// The text of a value. What does not fit is cut and said to be.
pub fn plain_text(value: &Value) -> String {
    let mut page = Page { out: String::new(), dash: false, open: None };
    match value {
        Value::Object(fields) => page.fields(fields, 0),
        other => page.field("result", other, 0),
    }
    page.end();
    clip(page.out.trim_end(), MAX_RESULT_BYTES).into_owned()
}

struct Page {
    out: String,
    /// The next line begins an item of a list.
    dash: bool,
    /// A line of short values that may go on: its depth and how long it is.
    open: Option<(usize, usize)>,
}

impl Page {
    fn end(&mut self) {
        if self.open.take().is_some() {
            self.out.push('\n');
        }
    }

    fn begin(&mut self, depth: usize) {
        self.end();
        let indent = if self.dash { depth.saturating_sub(2) } else { depth };
        self.out.extend(std::iter::repeat_n(" ", indent));
        if std::mem::take(&mut self.dash) {
            self.out.push_str("- ");
        }
    }

    fn line(&mut self, depth: usize, text: &str) {
        self.begin(depth);
        self.out.push_str(text);
        self.out.push('\n');
    }

    /// Onto the open line, where it fits.
    fn short(&mut self, depth: usize, text: &str) {
        let added = text.len() + 2;
        match self.open {
            Some((at, length)) if at == depth && !self.dash && length + added <= WIDTH => {
                self.out.push_str(", ");
                self.out.push_str(text);
                self.open = Some((depth, length + added));
            }
            _ => {
                self.begin(depth);
                self.out.push_str(text);
                self.open = Some((depth, text.len()));
            }
        }
    }

    fn fields(&mut self, fields: &Map<String, Value>, depth: usize) {
        for (name, value) in fields {
            self.field(name, value, depth);
        }
    }

    fn field(&mut self, name: &str, value: &Value, depth: usize) {
        let key = key(name);
        if is_nothing(value) {
            if depth == 0 && name != "notes" && !value.is_null() && !value.is_string() {
                self.short(depth, &format!("{key}: none"));
            }
            return;
        }
        if let Some(word) = word(value).or_else(|| words(value)).or_else(|| braces(value)) {
            return self.short(depth, &format!("{key}: {word}"));
        }
        if depth >= DEPTH {
            return self.line(depth, &format!("{key}: {}", json(value)));
        }
        match value {
            Value::String(text) if text.contains('\n') => {
                self.line(depth, &format!("{key}: |"));
                self.block(text, depth + 1);
            }
            Value::Object(fields) => {
                self.line(depth, &format!("{key}:"));
                self.fields(fields, depth + 1);
            }
            Value::Array(items) => self.list(&key, items, depth),
            scalar => self.line(depth, &format!("{key}: {}", line(scalar))),
        }
    }

    fn block(&mut self, text: &str, depth: usize) {
        for part in text.lines() {
            let safe: String = part.chars().flat_map(shown).collect();
            self.line(depth, safe.trim_end());
        }
    }

    fn list(&mut self, key: &str, items: &[Value], depth: usize) {
        let count = if items.len() == 1 { String::new() } else { format!(" ({})", items.len()) };
        if let Some(table) = table(items) {
            self.line(depth, &format!("{key}{count}: {}", table.columns.join(" | ")));
            if !table.same.is_empty() {
                self.line(depth + 1, &format!("{EACH} {}", table.same.join(", ")));
            }
            for row in table.rows {
                self.line(depth + 1, row.join(" | ").trim_end());
            }
            return;
        }
        self.line(depth, &format!("{key}{count}:"));
        for item in items {
            self.dash = true;
            match item {
                Value::Object(fields) if !fields.values().all(is_nothing) => self.fields(fields, depth + 3),
                Value::String(text) if text.contains('\n') => self.line(depth + 3, &quoted(text)),
                scalar => self.line(depth + 3, &line(scalar)),
            }
            self.end();
        }
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A value that can stand among others on a line: nothing in it parts values.
fn word(value: &Value) -> Option<String> {
    let text = match value {
        Value::String(text) if !text.is_empty() && !text.starts_with('"') => moment(text).into_owned(),
        Value::Number(number) => digits(number),
        Value::Bool(yes) => yes.to_string(),
        _ => return None,
    };
    let parts = |c: char| c.is_whitespace() || is_hidden(c) || ",|{}".contains(c);
    (!text.contains(parts)).then_some(text)
}

/// A list of words.
fn words(value: &Value) -> Option<String> {
    let all: Vec<_> = value.as_array()?.iter().map(word).collect::<Option<_>>()?;
    Some(all.join(", "))
        .filter(|text| all.len() == 1 || text.len() <= 4 * WIDTH)
        .map(|text| if all.len() == 1 { text } else { format!("[{text}]") })
}

/// An object of a few words.
fn braces(value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    let mut all = Vec::new();
    for (name, value) in fields.iter().filter(|(_, value)| !is_nothing(value)) {
        all.push(format!("{}: {}", key(name), word(value)?));
    }
    let text = format!("{{{}}}", all.join(", "));
    (!all.is_empty() && text.len() <= 2 * WIDTH).then_some(text)
}

/// An object of scalars as JSON, where it can stand in a row.
fn flat(value: &Value) -> Option<String> {
    let fields = value.as_object()?;
    let is_flat = !fields.values().any(|value| value.is_object() || value.is_array());
    Some(json(value)).filter(|text| is_flat && text.len() <= 8 * WIDTH && !text.contains('|'))
}

/// A list of objects with about the same few fields.
struct Table {
    columns: Vec<String>,
    rows: Vec<Vec<String>>,
    /// What has the same value in all of several rows, and so is no column.
    same: Vec<String>,
}

fn table(items: &[Value]) -> Option<Table> {
    let mut names: Vec<&String> = Vec::new();
    for item in items {
        for (name, _) in item.as_object()?.iter().filter(|(_, value)| !is_nothing(value)) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    if names.len() < 2 || names.len() > COLUMNS {
        return None;
    }
    let mut empty = 0;
    let mut rows = Vec::with_capacity(items.len());
    for item in items {
        let mut row = Vec::with_capacity(names.len());
        for name in &names {
            let cell = match item.get(name.as_str()) {
                None => String::new(),
                Some(value) if is_nothing(value) => String::new(),
                Some(value @ (Value::String(_) | Value::Number(_) | Value::Bool(_))) => {
                    let text = line(value);
                    let odd = text.contains('|') || text.starts_with(EACH);
                    if odd && !text.starts_with('"') { quoted(&text) } else { text }
                }
                Some(value) => words(value).or_else(|| braces(value)).or_else(|| flat(value))?,
            };
            empty += usize::from(cell.is_empty());
            row.push(cell);
        }
        rows.push(row);
    }
    if empty * 2 > names.len() * items.len() {
        return None;
    }
    let mut table = Table { columns: names.iter().map(|name| key(name)).collect(), rows, same: Vec::new() };
    table.draw_out();
    Some(table)
}

impl Table {
    /// Takes columns out that say the same in each row; the last that is left stays.
    fn draw_out(&mut self) {
        let mut at = 0;
        while at < self.columns.len() && self.rows.len() > 1 && self.columns.len() > 1 {
            let first = self.rows.first().and_then(|row| row.get(at)).cloned().unwrap_or_default();
            // Only words: a sentence there could be taken for several.
            let alike = word(&Value::from(first.as_str())).is_some_and(|said| said == first)
                && self.rows.iter().all(|row| row.get(at) == Some(&first));
            if alike {
                self.same.push(format!("{}: {first}", self.columns.remove(at)));
                for row in &mut self.rows {
                    row.remove(at);
                }
            } else {
                at += 1;
            }
        }
    }
}

/// A scalar on one line; anything else as JSON.
fn line(value: &Value) -> String {
    match value {
        Value::String(text) => {
            let bare = !text.is_empty() && text.trim() == text && !text.starts_with('"');
            if bare && !text.contains(is_hidden) { moment(text).into_owned() } else { quoted(text) }
        }
        Value::Number(number) => digits(number),
        other => json(other),
    }
}

fn key(name: &str) -> String {
    let odd = name.is_empty() || name.trim() != name || name.starts_with(['"', '-']);
    if odd || name.contains(|c| is_hidden(c) || ":,|{}".contains(c)) { quoted(name) } else { name.to_owned() }
}

fn quoted(text: &str) -> String {
    json(&Value::from(text))
}

fn json(value: &Value) -> String {
    value.to_string().chars().flat_map(shown).collect()
}

/// What ends a line for some reader, or is not seen.
fn is_hidden(c: char) -> bool {
    c.is_control() && c != '\t' || matches!(c, '\u{2028}' | '\u{2029}')
}

fn shown(c: char) -> impl Iterator<Item = char> {
    let escaped = is_hidden(c).then(|| format!("\\u{:04x}", u32::from(c)));
    let plain = escaped.is_none().then_some(c);
    escaped.unwrap_or_default().chars().collect::<Vec<_>>().into_iter().chain(plain)
}

/// A time without what is finer than a millisecond: nothing can be asked for more finely.
fn moment(text: &str) -> std::borrow::Cow<'_, str> {
    let cut = || {
        let (whole, fraction) = text.strip_suffix('Z')?.split_once('.')?;
        let is_time = whole.len() == 19 && whole.as_bytes().get(10) == Some(&b'T');
        let is_fine = fraction.len() > 3 && fraction.bytes().all(|b| b.is_ascii_digit());
        let kept = fraction.get(..3).filter(|_| is_time && is_fine)?;
        Some(if kept == "000" { format!("{whole}Z") } else { format!("{whole}.{kept}Z") })
    };
    cut().map_or(std::borrow::Cow::Borrowed(text), std::borrow::Cow::Owned)
}

/// Whole numbers whole, others to six digits.
fn digits(number: &Number) -> String {
    let Some(value) = number.as_f64().filter(|_| number.is_f64()) else { return number.to_string() };
    let value = crate::output::rounded(value);
    let size = value.abs();
    if size != 0.0 && !(1e-4..1e15).contains(&size) { format!("{value:e}") } else { value.to_string() }
}
