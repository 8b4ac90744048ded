//! Scalar functions: a table of names, argument counts and what they compute.

use std::borrow::Cow;

use super::value::{Value, whole};

/// A scalar function of the language.
#[derive(Debug)]
pub(super) struct Function {
    pub(super) name: &'static str,
    least: usize,
    most: usize,
    apply: for<'a> fn(&[Value<'a>]) -> Value<'a>,
}

const MANY: usize = 64;

impl Function {
    pub(super) fn takes(&self, count: usize) -> bool {
        (self.least..=self.most).contains(&count)
    }

    pub(super) fn arity(&self) -> String {
        match (self.least, self.most) {
            (1, 1) => "1 argument".to_owned(),
            (least, most) if least == most => format!("{least} arguments"),
            (least, MANY) => format!("{least} or more arguments"),
            (least, most) => format!("{least} to {most} arguments"),
        }
    }

    pub(super) fn call<'a>(&self, arguments: &[Value<'a>]) -> Value<'a> {
        (self.apply)(arguments)
    }
}

macro_rules! table {
    ($($name:literal $least:tt..$most:tt $apply:expr;)*) => {
        &[$(Function { name: $name, least: $least, most: $most, apply: $apply }),*]
    };
}

static FUNCTIONS: &[Function] = table! {
    "abs" 1..1 |args| numeric(args, f64::abs);
    "ceil" 1..1 |args| numeric(args, f64::ceil);
    "floor" 1..1 |args| numeric(args, f64::floor);
    "log" 1..1 |args| numeric(args, f64::ln);
    "sqrt" 1..1 |args| numeric(args, f64::sqrt);
    "greatest" 1..MANY |args| extreme(args, f64::max);
    "least" 1..MANY |args| extreme(args, f64::min);
    "ispresent" 1..1 |args| Value::Flag(present(args));
    "isempty" 1..1 |args| Value::Flag(text(args, 0).is_none_or(|text| text.is_empty()));
    "isblank" 1..1 |args| Value::Flag(text(args, 0).is_none_or(|text| text.trim().is_empty()));
    "coalesce" 1..MANY |args| args.iter().find(|value| !value.is_missing()).cloned().unwrap_or(Value::Missing);
    "concat" 1..MANY |args| Value::text(args.iter().filter_map(Value::render).collect::<String>());
    "ltrim" 1..2 |args| trimmed(args, Sides::Left);
    "rtrim" 1..2 |args| trimmed(args, Sides::Right);
    "trim" 1..2 |args| trimmed(args, Sides::Both);
    "strlen" 1..1 |args| text(args, 0).map_or(Value::Missing, |text| Value::count(text.chars().count()));
    "toupper" 1..1 |args| mapped(args, str::to_uppercase);
    "tolower" 1..1 |args| mapped(args, str::to_lowercase);
    "substr" 2..3 substr;
    "replace" 3..3 replace;
    "strcontains" 2..2 strcontains;
    "frommillis" 1..1 |args| args.first().and_then(Value::as_time).map_or(Value::Missing, Value::Time);
    "tomillis" 1..1 |args| args.first().and_then(Value::as_time).map_or(Value::Missing, |ms| Value::number(ms as f64));
    "isvalidip" 1..1 |args| parses::<std::net::IpAddr>(args);
    "isvalidipv4" 1..1 |args| parses::<std::net::Ipv4Addr>(args);
    "isvalidipv6" 1..1 |args| parses::<std::net::Ipv6Addr>(args);
};

/// Names from other query languages that people try.
const NEAR: [(&str, &str); 12] = [
    ("lower", "tolower"),
    ("upper", "toupper"),
    ("length", "strlen"),
    ("len", "strlen"),
    ("substring", "substr"),
    ("contains", "strcontains"),
    ("isnull", "not ispresent"),
    ("isnotnull", "ispresent"),
    ("exists", "ispresent"),
    ("distinct", "count_distinct"),
    ("mean", "avg"),
    ("median", "pct(field, 50)"),
];

/// The function called `name`, in lower case.
pub(super) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// What was probably meant by an unknown name.
pub(super) fn near(name: &str) -> Option<&'static str> {
    NEAR.iter().find(|(tried, _)| *tried == name).map(|(_, known)| *known)
}

fn present(args: &[Value<'_>]) -> bool {
    args.first().is_some_and(|value| !value.is_missing())
}

fn text<'v>(args: &'v [Value<'_>], index: usize) -> Option<Cow<'v, str>> {
    args.get(index).and_then(Value::render)
}

fn numeric<'a>(args: &[Value<'a>], apply: fn(f64) -> f64) -> Value<'a> {
    args.first().and_then(Value::as_number).map_or(Value::Missing, |number| Value::number(apply(number)))
}

fn extreme<'a>(args: &[Value<'a>], pick: fn(f64, f64) -> f64) -> Value<'a> {
    args.iter().filter_map(Value::as_number).reduce(pick).map_or(Value::Missing, Value::number)
}

fn mapped<'a>(args: &[Value<'a>], apply: fn(&str) -> String) -> Value<'a> {
    text(args, 0).map_or(Value::Missing, |text| Value::text(apply(&text)))
}

fn parses<'a, T: std::str::FromStr>(args: &[Value<'a>]) -> Value<'a> {
    Value::Flag(text(args, 0).is_some_and(|text| text.parse::<T>().is_ok()))
}

#[derive(Clone, Copy)]
enum Sides {
    Left,
    Right,
    Both,
}

/// Trims white space, or the characters of the second argument.
fn trimmed<'a>(args: &[Value<'a>], sides: Sides) -> Value<'a> {
    let Some(subject) = text(args, 0) else { return Value::Missing };
    let set = text(args, 1);
    let cut = |ch: char| set.as_ref().map_or(ch.is_whitespace(), |set| set.contains(ch));
    let kept = match sides {
        Sides::Left => subject.trim_start_matches(cut),
        Sides::Right => subject.trim_end_matches(cut),
        Sides::Both => subject.trim_matches(cut),
    };
    Value::text(kept.to_owned())
}

/// From a 0-based character on, at most so many characters.
fn substr<'a>(args: &[Value<'a>]) -> Value<'a> {
    let index = |at: usize| {
        args.get(at)
            .and_then(Value::as_number)
            .and_then(whole)
            .and_then(|number| usize::try_from(number).ok())
    };
    let (Some(subject), Some(start)) = (text(args, 0), index(1)) else { return Value::Missing };
    let tail = subject.chars().skip(start);
    match (args.len(), index(2)) {
        (3, None) => Value::Missing,
        (3, Some(length)) => Value::text(tail.take(length).collect::<String>()),
        _ => Value::text(tail.collect::<String>()),
    }
}

fn replace<'a>(args: &[Value<'a>]) -> Value<'a> {
    match (text(args, 0), text(args, 1), text(args, 2)) {
        // An empty needle would put the replacement between all characters.
        (Some(subject), Some(from), Some(to)) if !from.is_empty() => {
            Value::text(subject.replace(&*from, &to))
        }
        (Some(subject), Some(_), Some(_)) => Value::text(subject.into_owned()),
        _ => Value::Missing,
    }
}

fn strcontains<'a>(args: &[Value<'a>]) -> Value<'a> {
    let found =
        matches!((text(args, 0), text(args, 1)), (Some(subject), Some(part)) if subject.contains(&*part));
    Value::Number(f64::from(u8::from(found)))
}
