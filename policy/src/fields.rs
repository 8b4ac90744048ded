//! A TOML table, read field by field, so that everything that is wrong with it is said at once.
//!
//! Serde stops at the first error, and who mends a calendar before a freeze wants all of them.

use jiff::Timestamp;
use serde::de::{DeserializeOwned, IntoDeserializer as _};
use toml::de::{DeTable, DeValue, Error};

use crate::problem::{Problem, line_at};

/// What is left to read of one table, and where it stands.
#[derive(Debug)]
pub struct Fields<'t> {
    text: &'t str,
    /// How the table is called in messages, such as `[hours]`; empty for the whole file.
    name: String,
    line: usize,
    table: DeTable<'t>,
}

impl<'t> Fields<'t> {
    /// The whole file; nothing where it is no TOML at all.
    pub fn parse(text: &'t str, problems: &mut Vec<Problem>) -> Option<Self> {
        let (table, errors) = DeTable::parse_recoverable(text);
        if errors.is_empty() {
            return Some(Self { text, name: String::new(), line: 1, table: table.into_inner() });
        }
        problems.extend(errors.iter().map(|error| {
            let line = error.span().map(|span| line_at(text, span.start));
            Problem::new(line, first_line(error), "mend the TOML")
        }));
        None
    }

    /// The line on which the table begins.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// A problem of the table as a whole.
    pub fn wrong(&self, message: &str, remedy: &str) -> Problem {
        Problem::new(Some(self.line), format!("{}{message}", self.prefix()), remedy)
    }

    fn prefix(&self) -> String {
        if self.name.is_empty() { String::new() } else { format!("{}: ", self.name) }
    }

    /// The value of a field as it stands there, with its line.
    pub fn raw(&mut self, key: &str) -> Option<(usize, DeValue<'t>)> {
        let value = self.table.remove(key)?;
        Some((line_at(self.text, value.span().start), value.into_inner()))
    }

    /// A field that may be absent. `form` shows how it is written.
    pub fn take<T: DeserializeOwned>(
        &mut self,
        key: &str,
        form: &str,
        problems: &mut Vec<Problem>,
    ) -> Option<T> {
        let value = self.table.remove(key)?;
        let line = line_at(self.text, value.span().start);
        match T::deserialize(value.into_deserializer()) {
            Ok(value) => Some(value),
            Err(error) => {
                let message = format!("{}`{key}`: {}", self.prefix(), first_line(&error));
                problems.push(Problem::new(Some(line), message, format!("write it like `{key} = {form}`")));
                None
            }
        }
    }

    /// A text that has to be there and say something.
    pub fn text(&mut self, key: &str, remedy: &str, problems: &mut Vec<Problem>) -> Option<String> {
        if !self.table.contains_key(key) {
            problems.push(self.wrong(&format!("there is no `{key}`"), remedy));
            return None;
        }
        let text: String = self.take(key, "\"…\"", problems)?;
        if text.trim().is_empty() {
            problems.push(self.wrong(&format!("`{key}` is empty"), remedy));
            return None;
        }
        Some(text.trim().to_owned())
    }

    /// The tables of an array of tables.
    pub fn tables(&mut self, key: &str, problems: &mut Vec<Problem>) -> Vec<Self> {
        let Some(value) = self.table.remove(key) else { return Vec::new() };
        let line = line_at(self.text, value.span().start);
        let text = self.text;
        let called = format!("[{}]", self.within(key));
        let mut found = Vec::new();
        let mut no_table = |line, name: &str| {
            problems.push(Problem::new(
                Some(line),
                format!("{name} is no table"),
                format!("write `{called}` on a line of its own"),
            ));
        };
        let DeValue::Array(items) = value.into_inner() else {
            no_table(line, &format!("`{key}`"));
            return found;
        };
        for (n, item) in items.into_iter().enumerate() {
            let line = line_at(text, item.span().start);
            let name = format!("{called} {}", n + 1);
            if let DeValue::Table(table) = item.into_inner() {
                found.push(Self { text, name, line, table });
            } else {
                no_table(line, &name);
            }
        }
        found
    }

    /// How a table within this one is called.
    fn within(&self, key: &str) -> String {
        match self.name.strip_suffix(']') {
            Some(name) => format!("{name}.{key}]"),
            None if self.name.is_empty() => format!("[{key}]"),
            // One of several has no name to write it below.
            None => format!("{}, `{key}`", self.name),
        }
    }

    /// A table within this one.
    pub fn table(&mut self, key: &str, problems: &mut Vec<Problem>) -> Option<Self> {
        let value = self.table.remove(key)?;
        let line = line_at(self.text, value.span().start);
        let name = self.within(key);
        if let DeValue::Table(table) = value.into_inner() {
            Some(Self { text: self.text, name, line, table })
        } else {
            let remedy = if name.ends_with(']') {
                format!("write `{name}` on a line of its own")
            } else {
                format!("write it like `{key} = {{ … }}`")
            };
            problems.push(Problem::new(Some(line), format!("{}`{key}` is no table", self.prefix()), remedy));
            None
        }
    }

    /// A moment that is the same everywhere: a TOML date-time or a text, with its offset.
    pub fn moment(&mut self, key: &str, problems: &mut Vec<Problem>) -> Option<Timestamp> {
        let form =
            format!("write an absolute time: `{key} = 2026-12-18T18:00:00Z`, or with an offset `+01:00`");
        let Some((line, value)) = self.raw(key) else {
            problems.push(self.wrong(&format!("there is no `{key}`"), &form));
            return None;
        };
        let text = match value {
            DeValue::String(text) => text.into_owned(),
            DeValue::Datetime(moment) => moment.to_string(),
            other => {
                let message = format!("`{key}` is of the type {}", other.type_str());
                problems.push(Problem { line: Some(line), ..self.wrong(&message, &form) });
                return None;
            }
        };
        let moment = text.trim().parse().ok();
        if moment.is_none() {
            let message = format!("`{key}` is `{text}`, which is no time with an offset");
            problems.push(Problem { line: Some(line), ..self.wrong(&message, &form) });
        }
        moment
    }

    /// Whether the field is there.
    pub fn has(&self, key: &str) -> bool {
        self.table.contains_key(key)
    }

    /// The names of the fields that are left.
    pub fn keys(&self) -> Vec<String> {
        self.table.iter().map(|(key, _)| key.get_ref().to_string()).collect()
    }

    /// What is left is unknown.
    pub fn finish(self, known: &str, problems: &mut Vec<Problem>) {
        for (key, _) in &self.table {
            let line = line_at(self.text, key.span().start);
            let message = format!("{}there is no field `{}`", self.prefix(), key.get_ref());
            problems.push(Problem::new(Some(line), message, format!("known are {known}")));
        }
    }
}

/// What is wrong, without the source that TOML's own errors draw below it.
pub(crate) fn first_line(error: &Error) -> String {
    error.message().lines().next().unwrap_or_default().trim().to_owned()
}
