//! Log line templates: text with placeholders.

use std::fmt::Write as _;

use rand::RngExt;

use crate::random::{self, Rng};

/// A parsed template.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Int(i64, i64),
    Float(f64, f64),
    Hex(usize),
    Uuid,
    Ip,
    Choice(Vec<String>),
    Service,
}

/// What can stand between braces.
pub(crate) const PLACEHOLDERS: &str =
    "`{int:1-500}`, `{float:0.1-9.5}`, `{hex:8}`, `{uuid}`, `{ip}`, `{choice:a|b}`, `{service}`";

impl Template {
    /// Parses a template. Braces that hold no placeholder (JSON, `/users/{id}`) stay as they are;
    /// `{name:…}` with an unknown name or wrong arguments is an error.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            plain.push_str(before);
            let inner = after.split_once('}').filter(|(inner, _)| !inner.contains('{'));
            let Some((part, tail)) = inner.and_then(|(inner, tail)| Some((placeholder(inner)?, tail))) else {
                plain.push('{');
                rest = after;
                continue;
            };
            parts.push(Part::Text(std::mem::take(&mut plain)));
            parts.push(part?);
            rest = tail;
        }
        plain.push_str(rest);
        parts.push(Part::Text(plain));
        Ok(Self(parts))
    }

    /// A template without placeholders.
    pub(crate) fn literal(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// Fills the placeholders.
    pub(crate) fn fill(&self, rng: &mut Rng, service: &str) -> String {
        let mut out = String::with_capacity(96);
        for part in &self.0 {
            // Writing to a string cannot fail.
            let _ = match part {
                Part::Text(text) => out.write_str(text),
                Part::Int(low, high) => write!(out, "{}", rng.random_range(*low..=*high)),
                Part::Float(low, high) => write!(out, "{:.2}", rng.random_range(*low..=*high)),
                Part::Hex(digits) => out.write_str(&random::hex(rng, *digits)),
                Part::Uuid => out.write_str(&random::uuid(rng)),
                Part::Ip => {
                    let (b, c, d): (u8, u8, u8) = (rng.random(), rng.random(), rng.random());
                    write!(out, "10.{b}.{c}.{d}")
                }
                Part::Choice(options) => out.write_str(random::pick(rng, options).map_or("", String::as_str)),
                Part::Service => out.write_str(service),
            };
        }
        out
    }
}

/// `None`: not a placeholder at all.
fn placeholder(inner: &str) -> Option<Result<Part, String>> {
    let (name, arguments) = inner.split_once(':').map_or((inner, None), |(n, a)| (n, Some(a)));
    if name.is_empty() || !name.bytes().all(|b| b.is_ascii_lowercase()) {
        return None;
    }
    let wrong = |why: &str| Some(Err(format!("placeholder `{{{inner}}}`: {why}")));
    match (name, arguments) {
        ("uuid", None) => Some(Ok(Part::Uuid)),
        ("ip", None) => Some(Ok(Part::Ip)),
        ("service", None) => Some(Ok(Part::Service)),
        ("int", Some(range)) => match bounds::<i64>(range) {
            Some((low, high)) => Some(Ok(Part::Int(low, high))),
            None => wrong("wants two integers, low first, such as `{int:1-500}`"),
        },
        ("float", Some(range)) => match bounds::<f64>(range) {
            Some((low, high)) => Some(Ok(Part::Float(low, high))),
            None => wrong("wants two numbers, low first, such as `{float:0.1-9.5}`"),
        },
        ("hex", Some(digits)) => match digits.parse() {
            Ok(digits @ 1..=128) => Some(Ok(Part::Hex(digits))),
            _ => wrong("wants 1 to 128 digits, such as `{hex:8}`"),
        },
        ("choice", Some(options)) => Some(Ok(Part::Choice(options.split('|').map(str::to_owned).collect()))),
        // JSON without quotes and URI templates look like this; only a colon shows the intent.
        (_, Some(a)) if !a.starts_with(['/', ' ']) => wrong("there is no such placeholder"),
        _ => None,
    }
}

fn bounds<T: std::str::FromStr + PartialOrd>(text: &str) -> Option<(T, T)> {
    // The separator is the first `-` that is not a sign.
    let at = text.char_indices().skip(1).find(|(_, c)| *c == '-')?.0;
    let (low, high) = text.split_at_checked(at)?;
    let (low, high) = (low.trim().parse().ok()?, high.strip_prefix('-')?.trim().parse().ok()?);
    (low <= high).then_some((low, high))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_other_braces_stay() {
        let text = r#"{"id":"{uuid}","n":{int:-5--5}} GET /users/{id} {hex:4} {choice:a|a} {service} {}"#;
        let mut rng = random::generator(1, "t", 0);
        let out = Template::parse(text).unwrap().fill(&mut rng, "cart");
        assert!(out.starts_with("{\"id\":\"") && out.contains("\"n\":-5} GET /users/{id} "), "{out}");
        assert!(out.ends_with(" a cart {}"), "{out}");
        let again = Template::parse(text).unwrap().fill(&mut random::generator(1, "t", 0), "cart");
        assert_eq!(out, again);
    }

    #[test]
    fn a_mistyped_placeholder_is_an_error() {
        for text in ["{integer:1-5}", "{int:5-1}", "{int:x}", "{hex:0}", "{float:a-b}"] {
            assert!(Template::parse(text).is_err(), "{text}");
        }
    }
}
