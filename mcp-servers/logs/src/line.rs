//! Reading one log event: how bad it is, which exception it names, and what in it is worth mining.
//!
//! Levels come from JSON and logfmt fields, from the head of a text line, from HTTP status fields,
//! and only where none of these exists from words. An explicit level always wins: an INFO line
//! that mentions an error is no error.

use std::{borrow::Cow, sync::LazyLock};

use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    scale::{level_of, scaled, syslog},
    words,
};

/// How bad a line is. Anything below a warning is not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// A warning; throttling often hides here.
    Warn,
    /// An error.
    Error,
    /// The process, or what it was doing, ended.
    Fatal,
}

/// What a log event says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) level: Level,
    /// Simple name of the innermost exception that is named.
    pub(crate) exception: Option<String>,
    /// The HTTP status that the line is about, where it fails: 400 to 599.
    pub(crate) status: Option<u16>,
    /// The part that is mined: the message without time, level and stack.
    pub(crate) text: Cow<'a, str>,
}

/// What the level fields and words of a line amount to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    Quiet,
    Loud(Level),
}

/// What one way of reading makes of an event.
enum Read<'a> {
    /// It is not of the form that this way reads.
    Foreign,
    /// No warning or error.
    Quiet,
    Loud(Line<'a>),
}

impl<'a> Read<'a> {
    fn of(line: Option<Line<'a>>) -> Self {
        line.map_or(Self::Quiet, Self::Loud)
    }

    /// What it is, where `other` reads what is foreign.
    fn or_else(self, other: impl FnOnce() -> Option<Line<'a>>) -> Option<Line<'a>> {
        match self {
            Self::Foreign => other(),
            Self::Quiet => None,
            Self::Loud(line) => Some(line),
        }
    }
}

/// Bytes of an exception's name; what is longer is none.
pub(crate) const LONGEST_NAME: usize = 120;
/// What is mined of an access-log line whose status is 5xx: all of them are one kind. By route they
/// would be many small ones, whose stray early lines blur the onset.
pub(crate) const FAILED_REQUEST: &str = "HTTP request answered with 5xx";

macro_rules! pattern {
    ($name:ident, $text:expr) => {
        static $name: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($text).ok());
    };
}

pattern!(
    UPPER_LEVEL,
    r#"(?:^|[\s\[(<|:"=])(FATAL|CRITICAL|CRIT|SEVERE|EMERGENCY|EMERG|ALERT|PANIC|ERROR|ERR|WARNING|WARN|NOTICE|INFORMATION|INFO|DEBUG|TRACE|FINE|VERBOSE)(?:[\s\])>|:",-]|$)"#
);
pattern!(
    MARKED_LEVEL,
    r"(?i)(?:^|\s)(?:[\[<(](fatal|critical|crit|severe|emerg|alert|panic|error|err|warning|warn|notice|info|debug|trace)[\]>)]|(crit|fail|warn|info|dbug|trce|error|fatal|warning|panic):\s)"
);
pattern!(KLOG, r"^([IWEF])\d{4} \d\d:\d\d:\d\d");
pattern!(
    ACCESS_STATUS,
    r#"(?i)HTTP/\d(?:\.\d)?"?\s+([1-5]\d\d)\b|\bstatus(?:[_ ]?code)?"?\s*[=:]\s*"?([1-5]\d\d)\b"#
);
pattern!(
    EXCEPTION,
    r"\b(?:[A-Za-z_$][\w$]*(?:\.|::))*([A-Z][\w$]*(?:Exception|Error|Throwable|Fault|Failure))\b"
);
static STRONG: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&words::any_of(&words::STRONG)).ok());
static WEAK: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(&words::any_of(&words::WEAK)).ok());
pattern!(HARMLESS, r"(?i)\b(?:no|0|zero|without)\s+(?:errors?|failures?|warnings?)\b|\berrors?[=:]\s*0\b");

fn found(pattern: Option<&Regex>, text: &str) -> bool {
    pattern.is_some_and(|regex| regex.is_match(text))
}

/// Reads one event. `None` for what is no warning or error, and for the loose lines of a stack
/// trace whose head is an event of its own.
pub(crate) fn read(message: &str) -> Option<Line<'_>> {
    let text = message.trim();
    if text.is_empty() || is_continuation(message) {
        return None;
    }
    json_in(text).map_or(Read::Foreign, |map| from_json(&map, 0)).or_else(|| from_text(text))
}

/// A loose line of a stack trace: its head was logged as an event of its own.
fn is_continuation(message: &str) -> bool {
    let text = message.trim_start();
    let indented = text.len() < message.len();
    text.starts_with("Caused by:")
        || text.starts_with("at ") && (indented || text.contains('('))
        || text.starts_with("... ") && text.ends_with("more")
        || indented && text.starts_with("File \"")
}

/// A line of a stack trace that says where and not what.
fn is_frame(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("at ") || line.starts_with("File \"") || line.starts_with("goroutine ")
}

/// The JSON object that a line is, or ends with after a short head.
pub(crate) fn json_in(text: &str) -> Option<Map<String, Value>> {
    let at = text.find('{').filter(|at| *at <= 120)?;
    text.ends_with('}').then(|| serde_json::from_str(text.get(at..)?).ok()).flatten()
}

/// Foreign is a JSON object without anything we know; it is then read as text.
fn from_json(map: &Map<String, Value>, depth: u8) -> Read<'static> {
    let mut level = None;
    let mut message: Option<(u8, &str)> = None;
    let mut status = None;
    let mut exception: Option<&str> = None;
    let mut detail = None;
    for (field, value) in map {
        let key: String =
            field.chars().filter(char::is_ascii_alphanumeric).collect::<String>().to_ascii_lowercase();
        match (key.as_str(), value) {
            (
                "level" | "severity" | "loglevel" | "lvl" | "levelname" | "severitytext" | "priority",
                value,
            ) => {
                level = level.or_else(|| level_of(value));
                // journald writes it so; other priorities are of jobs and messages.
                if field == "PRIORITY" {
                    level = level.or_else(|| syslog(number(value)?));
                }
            }
            ("severitynumber", value) => level = level.or_else(|| scaled(value, [13, 17, 21], 24)),
            ("levelno", value) => level = level.or_else(|| scaled(value, [30, 40, 50], 99)),
            ("log", Value::Object(inner)) => level = level.or_else(|| inner.get("level").and_then(level_of)),
            ("message" | "msg", Value::String(text)) => message = best(message, 0, text),
            ("errormessage" | "event" | "body" | "text" | "log", Value::String(text)) => {
                message = best(message, 1, text);
            }
            ("status" | "statuscode" | "httpstatus" | "responsestatus" | "httpstatuscode", value) => {
                status = status.or_else(|| number(value));
            }
            ("http" | "response" | "res", Value::Object(inner)) => {
                let keys = ["status_code", "status", "statusCode"];
                status = status.or_else(|| keys.iter().find_map(|key| inner.get(*key)).and_then(number));
            }
            ("errortype" | "exceptionclass" | "exceptiontype" | "errorname", Value::String(text))
                if !is_nothing(value) =>
            {
                exception = Some(text);
            }
            ("error" | "err" | "exception" | "cause" | "thrown", value) if !is_nothing(value) => {
                detail = detail.or(Some(value));
            }
            // Where a trace has one line only, it is a name for requests.
            ("stack" | "stacktrace" | "trace", Value::String(text))
                if detail.is_none() && text.contains('\n') =>
            {
                detail = Some(value);
            }
            _ => {}
        }
    }
    if level.is_none() && depth == 0 {
        // What a container runtime wraps around the real line.
        if let Some((_, inner)) = message
            && map.len() <= 6
            && status.is_none()
            && detail.is_none()
            && exception.is_none()
        {
            let inner = inner.trim();
            let read = json_in(inner).map_or(Read::Foreign, |map| from_json(&map, 1));
            return Read::of(read.or_else(|| owned(from_text(inner))));
        }
    }
    let (named, said) = detail.map_or((None, None), detail_of);
    let called = exception.map(str::to_owned).or(named);
    let exception = called.as_deref().and_then(name_of);
    let head = message.map_or("", |(_, text)| first_line(text));
    let level = match (level, status) {
        (Some(Rank::Loud(level)), _) => level,
        (_, Some(500..=599)) if detail.is_none() && called.is_none() => {
            return Read::Loud(failed_request());
        }
        (_, Some(500..=599)) => Level::Error,
        (Some(Rank::Quiet), _) => return Read::Quiet,
        (None, _) if detail.is_some() || called.is_some() => Level::Error,
        (None, _) if message.is_some() => return Read::of(owned(from_text(head))),
        (None, _) if map.values().any(is_nothing) => {
            // Read as text, the name of a field that holds nothing would be a word of it.
            let held = map.iter().filter(|(_, value)| !is_nothing(value));
            let held: Map<String, Value> = held.map(|(key, value)| (key.clone(), value.clone())).collect();
            return Read::of(owned(from_text(&Value::Object(held).to_string())));
        }
        (None, _) => return Read::Foreign,
    };
    let mut text = head.to_owned();
    if let Some(said) = said.filter(|said| !said.is_empty() && !text.contains(said.as_str())) {
        if !text.is_empty() {
            text.push_str(": ");
        }
        text.push_str(&said);
    }
    if text.trim().is_empty() {
        text = exception.clone().or(called).unwrap_or_else(|| "(no message)".to_owned());
    }
    let exception = exception.or_else(|| exception_in(message.map_or("", |(_, text)| text)));
    let status = status.filter(|status| failing(*status)).and_then(|status| u16::try_from(status).ok());
    Read::Loud(Line { level, exception, status, text: Cow::Owned(text) })
}

/// Whether a field is there only because its logger always writes it.
fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::Bool(true) => false,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.trim().is_empty(),
        Value::Array(items) => items.iter().all(is_nothing),
        Value::Object(fields) => fields.values().all(is_nothing),
    }
}

/// Whether it is the status of a failed request.
const fn failing(status: u64) -> bool {
    matches!(status, 400..600)
}

fn best<'v>(known: Option<(u8, &'v str)>, rank: u8, text: &'v str) -> Option<(u8, &'v str)> {
    match known {
        Some((better, _)) if better <= rank => known,
        _ => Some((rank, text)),
    }
}

pub(crate) fn number(value: &Value) -> Option<u64> {
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Name and message of an `error`-like field, whether it is an object or a text.
fn detail_of(value: &Value) -> (Option<String>, Option<String>) {
    let text = |map: &Map<String, Value>, keys: &[&str]| {
        keys.iter().find_map(|key| map.get(*key)).and_then(Value::as_str).map(str::to_owned)
    };
    match value {
        Value::Object(map) => {
            let name = text(map, &["type", "class", "name", "kind", "class_name", "exception_class", "code"]);
            let said = text(map, &["message", "msg", "exception_message", "reason"]);
            let stack = text(map, &["stack", "stack_trace", "stacktrace"]);
            let name =
                stack.as_deref().and_then(caused_by).or(name).or_else(|| exception_in(stack.as_deref()?));
            (name, said.map(|said| first_line(&said).to_owned()))
        }
        Value::String(text) => {
            let said = Some(first_line(text)).filter(|line| !is_frame(line));
            (caused_by(text).or_else(|| exception_in(text)), said.map(str::to_owned))
        }
        _ => (None, None),
    }
}

fn from_text(text: &str) -> Option<Line<'_>> {
    logfmt(text).or_else(|| from_words(text))
}

fn from_words(text: &str) -> Option<Line<'_>> {
    let first = first_line(text);
    let (rank, rest) = leveled(first);
    if rank.is_none()
        && let Some(status) = access_status(first)
    {
        return status.starts_with('5').then(failed_request);
    }
    let level = match rank {
        Some(Rank::Loud(level)) => level,
        None if found(HARMLESS.as_ref(), first) => return None,
        None if found(STRONG.as_ref(), text) || exception_in(text).is_some() => Level::Error,
        None if found(WEAK.as_ref(), first) => Level::Warn,
        Some(Rank::Quiet) | None => return None,
    };
    let exception = caused_by(text).or_else(|| exception_in(text));
    Some(Line { level, exception, status: status_in(first), text: mined(text, rest) })
}

fn access_status(text: &str) -> Option<&str> {
    let found = ACCESS_STATUS.as_ref()?.captures(text)?;
    Some(found.get(1).or_else(|| found.get(2))?.as_str())
}

fn status_in(text: &str) -> Option<u16> {
    access_status(text)?.parse::<u16>().ok().filter(|status| failing(u64::from(*status)))
}

const fn failed_request() -> Line<'static> {
    Line { level: Level::Error, exception: None, status: None, text: Cow::Borrowed(FAILED_REQUEST) }
}

/// The level at the head of a line, and what follows it.
fn leveled(first: &str) -> (Option<Rank>, &str) {
    let head = first.get(..first.floor_char_boundary(160)).unwrap_or(first);
    if let Some(letter) = KLOG.as_ref().and_then(|regex| regex.captures(head)?.get(1)) {
        return (words::level_of(letter.as_str()), first);
    }
    let upper = UPPER_LEVEL.as_ref().and_then(|regex| regex.captures(head)?.get(1));
    let marked = MARKED_LEVEL.as_ref().and_then(|regex| {
        let captures = regex.captures(head)?;
        captures.get(1).or_else(|| captures.get(2))
    });
    let level = match (upper, marked) {
        (Some(a), Some(b)) => Some(if a.start() <= b.start() { a } else { b }),
        (a, b) => a.or(b),
    };
    match level {
        Some(level) => {
            let rest = first.get(level.end()..).unwrap_or_default();
            let rest = rest.trim_start_matches(|c: char| c.is_whitespace() || "])>|:\",-".contains(c));
            (words::level_of(level.as_str()), if rest.is_empty() { first } else { rest })
        }
        None => (None, first),
    }
}

/// What is mined of a text event: its first line, and what its stack says it is really about.
fn mined<'a>(text: &'a str, rest: &'a str) -> Cow<'a, str> {
    if let Some((head, trace)) = text.split_once("Traceback (most recent call last)") {
        let last = trace.lines().rev().find(|line| !line.trim().is_empty() && !line.starts_with([' ', '\t']));
        let last = last.unwrap_or("Traceback").trim();
        let head = first_line(head).trim();
        return if head.is_empty() {
            Cow::Borrowed(last)
        } else {
            Cow::Owned(format!("{}: {last}", leveled(head).1))
        };
    }
    let more = text
        .lines()
        .filter_map(|line| line.strip_prefix("Caused by:"))
        .next_back()
        .or_else(|| {
            text.lines().nth(1).filter(|line| !line.starts_with([' ', '\t']) && exception_in(line).is_some())
        })
        .map(str::trim)
        .filter(|more| !rest.contains(more));
    match more {
        Some(more) => Cow::Owned(format!("{rest}: {more}")),
        None => Cow::Borrowed(rest),
    }
}

/// `level=error msg="…" err=…`
fn logfmt(text: &str) -> Read<'static> {
    let field = |names: &[&str]| names.iter().find_map(|name| logfmt_field(text, name));
    let level = match field(&["level", "lvl", "severity"]).and_then(words::level_of) {
        Some(Rank::Loud(level)) => level,
        Some(Rank::Quiet) => return Read::Quiet,
        None => return Read::Foreign,
    };
    let Some(message) = field(&["msg", "message"]) else { return Read::Foreign };
    let mut mined = message.to_owned();
    if let Some(error) = field(&["err", "error"]).filter(|error| !message.contains(error)) {
        mined.push_str(": ");
        mined.push_str(error);
    }
    Read::Loud(Line {
        level,
        exception: exception_in(text),
        status: status_in(text),
        text: Cow::Owned(mined),
    })
}

fn logfmt_field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let at = text.match_indices(name).find_map(|(at, _)| {
        let free = at == 0 || text.get(..at)?.ends_with(' ');
        let value = text.get(at + name.len()..)?.strip_prefix('=')?;
        free.then_some(value)
    })?;
    match at.strip_prefix('"') {
        Some(quoted) => {
            let mut escaped = false;
            let end = quoted.char_indices().find(|(_, c)| {
                let ends = *c == '"' && !escaped;
                escaped = *c == '\\' && !escaped;
                ends
            });
            quoted.get(..end.map_or(quoted.len(), |(at, _)| at))
        }
        None => at.split_whitespace().next(),
    }
}

fn first_line(text: &str) -> &str {
    text.lines().map(str::trim_end).find(|line| !line.trim().is_empty()).unwrap_or_default()
}

fn caused_by(text: &str) -> Option<String> {
    let line = text.lines().filter_map(|line| line.trim_start().strip_prefix("Caused by:")).next_back()?;
    exception_in(line)
}

fn exception_in(text: &str) -> Option<String> {
    // Python names the exception last, below its trace.
    let text = match text.split_once("Traceback (most recent call last)") {
        Some((_, trace)) => {
            trace.lines().rev().find(|l| !l.trim().is_empty() && !l.starts_with([' ', '\t']))?
        }
        None => text,
    };
    let text = text.get(..text.floor_char_boundary(4096)).unwrap_or(text);
    let name = EXCEPTION.as_ref()?.captures(text)?.get(1)?.as_str();
    (name.len() <= LONGEST_NAME).then(|| name.to_owned())
}

/// The simple name of an exception, from a field for it: a name and nothing else, whatever the field
/// holds. Fields are as free as text is.
fn name_of(text: &str) -> Option<String> {
    let text = text.trim();
    let simple = text.rsplit(['.', ':', '\\']).next().unwrap_or(text).trim_start_matches(['*', '&']);
    let is_name = (1..=LONGEST_NAME).contains(&simple.len())
        && simple.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '$'));
    if is_name && is_path(text) { Some(simple.to_owned()) } else { exception_in(text) }
}

/// Whether a name is that of an exception.
pub(crate) fn is_exception(name: &str) -> bool {
    let is_all = |regex: &Regex| regex.find(name).is_some_and(|found| found.len() == name.len());
    EXCEPTION.as_ref().is_some_and(is_all)
}

/// Whether a text begins with a level, so that it is a line of its own.
pub(crate) fn has_level(text: &str) -> bool {
    leveled(first_line(text)).0.is_some()
}

/// Whether all of a text is one name with what it stands in: `java.io.IOException`.
fn is_path(text: &str) -> bool {
    text.len() <= 4 * LONGEST_NAME
        && text
            .chars()
            .all(|c| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | ':' | '\\' | '/' | '*' | '&'))
}

fn owned(line: Option<Line<'_>>) -> Option<Line<'static>> {
    let Line { level, exception, status, text } = line?;
    Some(Line { level, exception, status, text: Cow::Owned(text.into_owned()) })
}

#[cfg(test)]
#[path = "line_tests.rs"]
mod tests;
