//! The shape of `scenario.toml`, checked before it is read: every unknown key and wrong type at
//! once, in words an author can act on.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

mod keys;

use keys::TOP;

/// What a key holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    /// A text; the example stands in the remedy.
    Text(&'static str),
    /// A date-time or a text.
    Moment,
    Int,
    Number,
    Bool,
    Texts,
    /// One of these words.
    Word(&'static [&'static str]),
    /// One of these words, or a list of them.
    Words(&'static [&'static str]),
    /// A list of these words.
    WordList(&'static [&'static str]),
    /// A table, or with `true` also a list of tables.
    Table(&'static Section, bool),
    /// A list of tables, `[[…]]` or inline.
    Tables(&'static Section),
    /// A table whose keys are free.
    Free,
}

impl Kind {
    /// The section of a table or of a list of tables.
    const fn inner(self) -> Option<&'static Section> {
        match self {
            Self::Table(section, _) | Self::Tables(section) => Some(section),
            _ => None,
        }
    }
}

/// A table of the file.
#[derive(Debug)]
struct Section {
    /// As it is written, such as `[[fault]]`.
    name: &'static str,
    /// How one is written, for whoever wrote something else.
    example: &'static str,
    required: &'static [&'static str],
    keys: &'static [(&'static str, Kind)],
}

/// A problem with its place: message and remedy.
pub(super) type Found = (Range<usize>, String, String);

/// What is wrong with the syntax or the shape of a scenario file.
pub(super) fn check(text: &str) -> Vec<Found> {
    let (table, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let mut list: Vec<Found> = Vec::new();
        for error in errors {
            let at = error.span().unwrap_or(0..0);
            let line = super::reader::line_of(text, at.start);
            // One mistake may be several errors to the parser: the first of a line says it.
            if list.iter().all(|(other, ..)| super::reader::line_of(text, other.start) != line) {
                let (message, remedy) = syntax(text, at.start, error.message());
                list.push((at, message, remedy));
            }
        }
        return list;
    }
    let mut list = Vec::new();
    section(table.get_ref(), 0..0, &TOP, &mut list);
    list
}

/// A syntax error, with what is often meant by it.
fn syntax(text: &str, at: usize, message: &str) -> (String, String) {
    let line = text.lines().nth(super::reader::line_of(text, at) - 1).unwrap_or_default();
    let value = line.split_once('=').map_or("", |(_, v)| v).split('#').next().unwrap_or_default().trim();
    let length = value.strip_prefix(['-', '+']).unwrap_or(value);
    if length.starts_with(|c: char| c.is_ascii_digit()) && crate::time::parse_span(value).is_some() {
        return (
            format!("`{value}` is not in quotation marks"),
            format!("write it as a text: `\"{value}\"`"),
        );
    }
    let bare = !value.is_empty()
        && value.starts_with(|c: char| c.is_ascii_alphabetic() || c == '>' || c == '<')
        && !matches!(value, "true" | "false" | "inf" | "nan");
    if bare {
        return (
            format!("`{value}` is not in quotation marks"),
            format!("write it as a text: `\"{value}\"`"),
        );
    }
    (
        message.trim().replace('\n', " "),
        "this is not TOML: texts and times want quotation marks, tables braces, lists brackets".to_owned(),
    )
}

fn section(table: &DeTable<'_>, at: Range<usize>, section: &'static Section, list: &mut Vec<Found>) {
    for (key, value) in table {
        let name: &str = key.get_ref();
        match section.keys.iter().find(|(known, _)| *known == name) {
            Some((_, kind)) => check_value(name, value, *kind, list),
            None => {
                list.push((
                    key.span(),
                    format!("unknown key `{name}` in {}", section.name),
                    meant(name, section),
                ));
            }
        }
    }
    for wanted in section.required {
        if !table.keys().any(|key| key.get_ref() == wanted) {
            let remedy = match section.keys.iter().find(|(known, _)| known == wanted) {
                Some((_, Kind::Text(example))) => format!("add `{wanted} = {example}`"),
                Some((_, Kind::Moment)) => {
                    format!("add `{wanted} = 2026-11-21T02:04:00Z`, when the alarm fires")
                }
                Some((_, Kind::Word(words) | Kind::Words(words))) => {
                    format!("add `{wanted} = \"…\"`, one of `{}`", words.join("`, `"))
                }
                _ => format!("add `{wanted} = …`"),
            };
            list.push((at.clone(), format!("key `{wanted}` is missing in {}", section.name), remedy));
        }
    }
}

/// What was perhaps meant by an unknown key, and what there is.
fn meant(name: &str, section: &'static Section) -> String {
    let known: Vec<&str> = section.keys.iter().map(|(known, _)| *known).collect();
    let all = format!("keys are `{}`", known.join("`, `"));
    if let Some(near) = nearest(name, &known) {
        return format!("did you mean `{near}`? {all}");
    }
    // Where this table stands in another one, its key was perhaps meant.
    let mut elsewhere: Vec<&'static Section> = vec![&TOP];
    elsewhere.extend(TOP.keys.iter().filter_map(|(_, kind)| kind.inner()));
    elsewhere.sort_by_key(|other| {
        !other.keys.iter().any(|(_, kind)| kind.inner().is_some_and(|inner| inner.name == section.name))
    });
    match elsewhere.iter().find(|other| other.keys.iter().any(|(known, _)| *known == name)) {
        Some(other) if other.name != section.name => format!(
            "`{name}` is a key of {}: write it there, for a header such as {} ends the table before it; {all}",
            other.name, section.name
        ),
        _ => all,
    }
}

fn nearest<'a>(name: &str, known: &[&'a str]) -> Option<&'a str> {
    let close = |other: &&str| distance(name, other);
    let best = known.iter().copied().min_by_key(close)?;
    let part = known
        .iter()
        .copied()
        .find(|k| name.len() > 3 && (k.contains(name) || name.contains(k) && k.len() > 3));
    (distance(name, best) <= 2.min(name.len() / 2)).then_some(best).or(part)
}

/// How many letters are to be put in, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (n, x) in a.chars().enumerate() {
        let mut next = vec![n + 1];
        for (m, y) in b.iter().enumerate() {
            let at = |row: &[usize], m: usize| row.get(m).copied().unwrap_or(usize::MAX / 2);
            let changed = at(&row, m) + usize::from(x != *y);
            next.push(changed.min(at(&row, m + 1) + 1).min(at(&next, m) + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

fn check_value(name: &str, value: &Spanned<DeValue<'_>>, kind: Kind, list: &mut Vec<Found>) {
    let at = value.span();
    let mut wrong = |what: String, remedy: String| {
        list.push((at.clone(), format!("`{name}` is {what}, not {}", said(value.get_ref())), remedy));
    };
    match (kind, value.get_ref()) {
        (Kind::Text(_) | Kind::Moment, DeValue::String(_))
        | (Kind::Moment, DeValue::Datetime(_))
        | (Kind::Int | Kind::Number, DeValue::Integer(_))
        | (Kind::Number, DeValue::Float(_))
        | (Kind::Bool, DeValue::Boolean(_))
        | (Kind::Free, DeValue::Table(_)) => {}
        (Kind::Text(_), DeValue::Datetime(time)) => {
            wrong("a text".to_owned(), format!("put it in quotation marks: `{name} = \"{time}\"`"));
        }
        (Kind::Text(example), _) => wrong("a text".to_owned(), format!("write it as `{name} = {example}`")),
        (Kind::Moment, _) => {
            wrong("a moment".to_owned(), format!("write it as `{name} = 2026-11-21T02:04:00Z`"));
        }
        (Kind::Int | Kind::Number, DeValue::String(text)) if text.parse::<f64>().is_ok() => {
            let remedy = format!("write it without quotation marks: `{name} = {text}`");
            wrong("a number".to_owned(), remedy);
        }
        (Kind::Int, _) => wrong("a whole number".to_owned(), format!("write it as `{name} = 3`")),
        (Kind::Number, _) => wrong("a number".to_owned(), format!("write it as `{name} = 0.2`")),
        (Kind::Bool, _) => wrong("true or false".to_owned(), format!("write it as `{name} = true`")),
        (Kind::Free, _) => {
            wrong("a table".to_owned(), format!("write it as `{name} = {{ NAME = \"value\" }}`"));
        }
        (Kind::Texts, DeValue::Array(items)) => {
            for item in items.iter().filter(|item| !matches!(item.get_ref(), DeValue::String(_))) {
                let what = format!("`{name}` is a list of texts, and {} is none", said(item.get_ref()));
                list.push((item.span(), what, "put each in quotation marks".to_owned()));
            }
        }
        (Kind::Texts, DeValue::String(text)) => {
            wrong("a list of texts".to_owned(), format!("write it as `{name} = [\"{text}\"]`"));
        }
        (Kind::Texts, _) => wrong("a list of texts".to_owned(), format!("write it as `{name} = [\"…\"]`")),
        (Kind::Word(words) | Kind::Words(words), DeValue::String(_)) => word(name, value, words, list),
        (Kind::Words(words) | Kind::WordList(words), DeValue::Array(items)) => {
            items.iter().for_each(|item| word(name, item, words, list));
        }
        (Kind::Word(words) | Kind::Words(words), _) => {
            wrong("a text".to_owned(), format!("write one of `{}`, in quotation marks", words.join("`, `")));
        }
        (Kind::WordList(words), _) => {
            let first = words.first().copied().unwrap_or_default();
            wrong("a list".to_owned(), format!("write it as `{name} = [\"{first}\"]`"));
        }
        (Kind::Table(inner, _), DeValue::Table(table)) => section(table, at, inner, list),
        (Kind::Table(inner, true) | Kind::Tables(inner), DeValue::Array(items)) => {
            for item in items {
                match item.get_ref() {
                    DeValue::Table(table) => section(table, item.span(), inner, list),
                    other => list.push((
                        item.span(),
                        format!("`{name}` is made of tables, and {} is none", said(other)),
                        format!("write each as {}", inner.example),
                    )),
                }
            }
        }
        (Kind::Tables(inner), DeValue::Table(_)) => {
            wrong("a list of tables".to_owned(), format!("write {}", inner.example));
        }
        (Kind::Table(inner, _) | Kind::Tables(inner), _) => {
            wrong("a table".to_owned(), format!("write {}", inner.example));
        }
    }
}

fn word(name: &str, value: &Spanned<DeValue<'_>>, words: &[&str], list: &mut Vec<Found>) {
    let DeValue::String(text) = value.get_ref() else {
        let what = format!("`{name}` holds texts, and {} is none", said(value.get_ref()));
        list.push((value.span(), what, format!("write `{}`", words.join("`, `"))));
        return;
    };
    if words.contains(&&**text) {
        return;
    }
    let near = nearest(text, words).map(|near| format!("did you mean `{near}`? ")).unwrap_or_default();
    let what = format!("`{text}` is no value of `{name}`");
    list.push((value.span(), what, format!("{near}values are `{}`", words.join("`, `"))));
}

fn said(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("the text `{text}`"),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(time) => format!("the date-time {time}"),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a single table".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::raw::RawScenario;

    /// What serde accepts is the truth; the shape has to name exactly the same keys.
    fn agree(head: &str, section: &Section) {
        let error =
            toml::from_str::<RawScenario>(&format!("{head}no_such_key = 1\n")).unwrap_err().to_string();
        let listed =
            error.split("expected one of ").nth(1).unwrap_or_else(|| panic!("{}: {error}", section.name));
        let mut wanted: Vec<&str> = listed.lines().next().unwrap().split('`').skip(1).step_by(2).collect();
        let mut known: Vec<&str> = section.keys.iter().map(|(key, _)| *key).collect();
        wanted.sort_unstable();
        known.sort_unstable();
        assert_eq!(known, wanted, "{}", section.name);
    }

    #[test]
    fn the_shape_and_the_reader_know_the_same_keys() {
        agree("", &TOP);
        for (name, kind) in TOP.keys {
            let head = "time = 2026-01-01T00:00:00Z\n";
            match kind {
                Kind::Tables(section) => agree(&format!("{head}[[{name}]]\n"), section),
                Kind::Table(section, _) => agree(&format!("{head}[{name}]\n"), section),
                _ => {}
            }
        }
    }

    #[test]
    fn what_was_meant_is_near() {
        assert_eq!(nearest("mesage", &["service", "message"]), Some("message"));
        assert_eq!(nearest("colour", &["service", "message"]), None);
        assert_eq!(distance("kitten", "sitting"), 3);
    }
}
