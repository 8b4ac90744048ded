//! The words by which lines are read, and the patterns by which they are fetched and counted where there
//! are too many to read.
//!
//! INVARIANT: both are made from the same lists, so that a line that is an error where all lines are
//! read is fetched, and counted, where only some are.

use std::sync::LazyLock;

use crate::line::{Level, Rank};

/// Words of an error, in a line without a level. `*` stands for the rest of a word.
pub(crate) const STRONG: [&str; 22] = [
    "unhandled",
    "uncaught",
    "panicked",
    "panic:",
    "fatal",
    "traceback",
    "segmentation fault",
    "segfault*",
    "out of memory",
    "oom-kill*",
    "oomkill*",
    "task timed out",
    "error",
    "errors",
    "failed",
    "failure",
    "refused",
    "timed out",
    "aborted",
    "unavailable",
    "exhausted",
    "crash*",
];
/// Words of a warning.
pub(crate) const WEAK: [&str; 8] =
    ["warn", "warning", "throttl*", "retry", "retrying", "deprecated", "degraded", "slow"];
/// Levels, and what they amount to.
pub(crate) const LEVELS: [(&str, Rank); 35] = {
    const FATAL: Rank = Rank::Loud(Level::Fatal);
    const ERROR: Rank = Rank::Loud(Level::Error);
    const WARN: Rank = Rank::Loud(Level::Warn);
    [
        ("fatal", FATAL),
        ("critical", FATAL),
        ("crit", FATAL),
        ("emergency", FATAL),
        ("emerg", FATAL),
        ("alert", FATAL),
        ("panic", FATAL),
        ("dpanic", FATAL),
        ("f", FATAL),
        ("error", ERROR),
        ("err", ERROR),
        ("severe", ERROR),
        ("fail", ERROR),
        ("e", ERROR),
        ("eror", ERROR),
        ("warning", WARN),
        ("warn", WARN),
        ("w", WARN),
        ("notice", Rank::Quiet),
        ("info", Rank::Quiet),
        ("information", Rank::Quiet),
        ("debug", Rank::Quiet),
        ("trace", Rank::Quiet),
        ("fine", Rank::Quiet),
        ("verbose", Rank::Quiet),
        ("dbug", Rank::Quiet),
        ("trce", Rank::Quiet),
        ("i", Rank::Quiet),
        ("finer", Rank::Quiet),
        ("finest", Rank::Quiet),
        ("config", Rank::Quiet),
        ("default", Rank::Quiet),
        ("d", Rank::Quiet),
        ("t", Rank::Quiet),
        ("v", Rank::Quiet),
    ]
};

/// A quote of JSON, also in JSON that stands in a text of JSON.
const QUOTE: &str = r#"\\*"?"#;
/// The begin of a word; in JSON the sign for a new line is a letter, and so is the end of a colour.
const LEFT: &str = r"(?:\b|\\[nrt]|\[[0-9;:]*m)";
/// Colours before a value.
const COLOUR: &str = r"(?:\S{1,8}\[[0-9;:]*m)*";
/// `fault` at the end of a name, as in `PageFault`; not of `default`.
const FAULT: &str = r"(?:[^e\s]|[^d]e)fault\b";

/// A trace of several lines, which makes an error of a line without a level.
const TRACE: &str = r#"(?:stack|trace)[a-z_]*\\*"\s*:\s*\\*"[^"]*\\n"#;
/// Names of fields that do so by what they hold.
const FIELDS: &str = r#"(?:cause|thrown|err)\\*"\s*:"#;

/// What a field of JSON holds, where that is something: not `null`, `false`, 0, or an empty text, list or object.
/// Neither of the two readers of these patterns can look ahead, so what is something is spelt out.
const HELD: &str = r#"\s*(?:$|\\*"\s*(?:[^"\s\\]|\\+[^"\\])|-?[0.]*[1-9]|\{\s*[^}\s]|\[\s*[^\]\s]|[a-eg-mo-z<]|n[^u]|f[^a])"#;

/// A failed request of an access log, by its status.
pub(crate) static FAILED_STATUS: LazyLock<String> = LazyLock::new(|| format!("(?i){}", status()));
/// Whatever [`crate::line::read`] may report: a regular expression that both Logs Insights and the `regex`
/// crate understand.
pub(crate) static CANDIDATE: LazyLock<String> = LazyLock::new(|| {
    let plain = ["error|exception|throwable|fail|critical|severe|panic|emerg".to_owned()];
    let words = STRONG.iter().chain(&WEAK).map(|word| stem(word));
    let names = [bare(&|_| true), FAULT.to_owned()];
    let said = said(plain.into_iter().chain(words).chain(names));
    format!("(?i){}", [said, of_level(&|_| true), fields(), status(), klog("EFW")].join("|"))
});
/// As [`CANDIDATE`], without what is only ever a warning or a failed request.
pub(crate) static ERROR_CANDIDATE: LazyLock<String> = LazyLock::new(|| {
    let is_error = |level| level >= Level::Error;
    let words: Vec<String> = STRONG.iter().map(|word| pattern(word)).collect();
    let words = format!(r"{LEFT}(?:{})", words.join("|"));
    let plain = "error|exception|throwable|failure|critical|severe|panic|emerg".to_owned();
    let said = said([plain, words, bare(&is_error), FAULT.to_owned()].into_iter());
    format!("(?i){}", [said, of_level(&is_error), fields(), klog("EF")].join("|"))
});

/// A regular expression that finds any of these words.
pub(crate) fn any_of(words: &[&str]) -> String {
    let words: Vec<String> = words.iter().map(|word| pattern(word)).collect();
    format!(r"(?i)\b(?:{})", words.join("|"))
}

/// What a level amounts to.
pub(crate) fn level_of(word: &str) -> Option<Rank> {
    LEVELS.iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, rank)| *rank)
}

/// Any of these, but for a name of a field that holds nothing: many loggers write `"error":null` into every line.
/// In a text that is no JSON, as its end tells, such a field is text like any other.
fn said(any: impl Iterator<Item = String>) -> String {
    let any = any.collect::<Vec<_>>().join("|");
    let no_name = r#"$|[^\w.\-"\\]|\\+(?:$|[^"\\])"#;
    let rest = format!(r#"[\w.\-]*(?:{no_name}|\\*"\s*(?:$|[^:\s]|:{HELD}))"#);
    format!(r"(?:{any})(?:{rest}|(?s:.*)[^}}\s]\s*$)")
}

fn fields() -> String {
    format!("{TRACE}|{FIELDS}{HELD}")
}

fn stem(word: &str) -> String {
    regex::escape(word.trim_end_matches('*')).replace("\\-", "-")
}

/// A word to its end, where it ends in a letter.
fn pattern(word: &str) -> String {
    let end = match word {
        _ if word.ends_with('*') => r"\w*\b",
        _ if word.ends_with(':') => "",
        _ => r"\b",
    };
    stem(word) + end
}

/// Names of levels from this one on.
fn names(is_wanted: &dyn Fn(Level) -> bool) -> Vec<&'static str> {
    LEVELS
        .iter()
        .filter(|(_, rank)| matches!(rank, Rank::Loud(level) if is_wanted(*level)))
        .map(|(name, _)| *name)
        .collect()
}

/// A field of JSON or logfmt that holds such a level, or its number as pino counts.
fn of_level(is_wanted: &dyn Fn(Level) -> bool) -> String {
    let names = names(is_wanted).join("|");
    let numbers = if is_wanted(Level::Warn) { "[456]0" } else { "[56]0" };
    let key = r"(?:level|lvl|severity|priority)[^a-z0-9]?(?:name|text)?";
    // The scales of OpenTelemetry, Python and syslog.
    let (otel, python, syslog) = if is_wanted(Level::Warn) {
        ("1[3-9]|2[0-4]", "[3-9][0-9]", "[0-4]")
    } else {
        ("1[7-9]|2[0-4]", "[4-9][0-9]", "[0-3]")
    };
    let is = format!(r"{QUOTE}\s*[=:]\s*{QUOTE}\s*");
    format!(
        r"{key}{COLOUR}{is}{COLOUR}(?:{numbers}|{names})\b|severity[^a-z0-9]?number{is}(?:{otel})\b|levelno{is}(?:{python})\b|(?-i:PRIORITY){is}{syslog}\b"
    )
}

/// Such a level at the head of a text: those that are not in another word's midst anyway.
fn bare(is_wanted: &dyn Fn(Level) -> bool) -> String {
    let names: Vec<&str> = names(is_wanted).into_iter().filter(|name| name.len() > 2).collect();
    format!(r"{LEFT}(?:{})\b", names.join("|"))
}

fn klog(letters: &str) -> String {
    format!(r#"(?:^|")\s*{COLOUR}[{letters}]\d{{4}} \d\d:"#)
}

fn status() -> String {
    format!(
        r"status[^a-z0-9]{{0,2}}(?:code)?{COLOUR}{QUOTE}\s*[=:]\s*{QUOTE}\s*{COLOUR}5\d\d|HTTP\/[0-9.]+{QUOTE}{COLOUR}\s+{COLOUR}5\d\d"
    )
}

#[cfg(test)]
mod tests {
    use regex::Regex;

    use super::*;
    use crate::{events::Event, line::read};

    fn regex(text: &str) -> Regex {
        assert!(!text.replace("\\/", "").contains('/'), "a slash would end it in a query: {text}");
        Regex::new(text).unwrap()
    }

    static FETCHED: LazyLock<Regex> = LazyLock::new(|| regex(&CANDIDATE));

    /// Lines for every word, and such as its forms are missed by.
    fn lines() -> Vec<String> {
        let mut lines = Vec::new();
        for word in STRONG.iter().chain(&WEAK) {
            let word = word.replace('*', "ing");
            for word in [word.to_uppercase(), word] {
                lines.extend([
                    format!("connection pool {word} again"),
                    format!("{word} by peer"),
                    format!("job ({word})"),
                    serde_json::json!({ "message": format!("the pool {word}") }).to_string(),
                    serde_json::json!({ "log": format!("\n{word} now\n"), "stream": "stderr" }).to_string(),
                ]);
            }
        }
        for (name, _) in LEVELS {
            for name in [name.to_uppercase(), name.to_owned()] {
                lines.extend([
                    format!("{name} a"),
                    format!("2026-11-21 [{name}] a"),
                    format!("{name}: a"),
                    format!("<{name}> a"),
                    format!("|{name}| a"),
                    format!("level={name} msg=a"),
                    format!("lvl=\"{name}\" msg=\"a\""),
                    format!("severity={name} message=a"),
                ]);
                for key in [
                    "level",
                    "severity",
                    "log.level",
                    "log_level",
                    "lvl",
                    "levelname",
                    "severity_text",
                    "priority",
                ] {
                    let line = serde_json::json!({ key: name, "msg": "a" });
                    lines.extend([line.to_string(), serde_json::to_string_pretty(&line).unwrap()]);
                    lines
                        .push(serde_json::json!({ "log": line.to_string(), "stream": "stdout" }).to_string());
                }
            }
        }
        for name in ["Exception", "Error", "Throwable", "Fault", "Failure"] {
            lines.push(format!("a.b.Page{name}: x"));
            lines.push(format!("Caught Time{name} x"));
        }
        for number in [10, 30, 40, 50, 60] {
            lines.push(serde_json::json!({ "level": number, "msg": "a" }).to_string());
            lines.push(serde_json::json!({ "level": number.to_string(), "msg": "a" }).to_string());
        }
        for number in 0..=100 {
            for key in ["severityNumber", "severity_number", "SeverityNumber", "levelno", "PRIORITY"] {
                lines.push(serde_json::json!({ key: number, "msg": "a" }).to_string());
                lines.push(serde_json::json!({ key: number.to_string(), "msg": "a" }).to_string());
            }
        }
        for key in ["status", "statusCode", "status_code", "status-code", "httpStatus", "response_status"] {
            lines.push(serde_json::json!({ key: 503, "msg": "a" }).to_string());
            lines.push(serde_json::json!({ key: "503", "msg": "a" }).to_string());
            lines.push(format!("done {key}=503 in 3 ms"));
        }
        for key in
            ["error", "err", "exception", "cause", "thrown", "errorType", "error.type", "exception_class"]
        {
            lines.push(serde_json::json!({ key: "Broken", "msg": "a" }).to_string());
        }
        for key in ["stack", "stackTrace", "stack_trace", "trace"] {
            lines.push(serde_json::json!({ key: "Broken\n at a.B(c)", "msg": "a" }).to_string());
            lines.push(serde_json::json!({ key: "Root=1-5e", "msg": "a" }).to_string());
        }
        lines.extend(
            [
                "10.0.0.1 - - [21/Nov/2026:02:01:07 +0000] \"GET /pay HTTP/1.1\" 503 12",
                "GET /pay HTTP/2   502",
                "E1121 02:01:07.000001 1 a.go:1] x",
                " W1121 02:01:07.000001 1 a.go:1] x",
                "{\"http\":{\"status_code\":500},\"msg\":\"a\"}",
            ]
            .map(str::to_owned),
        );
        lines
    }

    #[test]
    fn whatever_is_reported_is_fetched_and_counted() {
        let (candidate, error) = (regex(&CANDIDATE), regex(&ERROR_CANDIDATE));
        let failed = regex(&FAILED_STATUS);
        let mut reported = 0;
        for line in lines() {
            let Some(read) = read(&line) else { continue };
            reported += 1;
            assert!(candidate.is_match(&line), "{line}");
            if read.text == crate::line::FAILED_REQUEST {
                assert!(failed.is_match(&line), "{line}");
            } else if read.level >= Level::Error {
                assert!(error.is_match(&line), "{line} {read:?}");
            }
        }
        assert!(reported > 500, "{reported}");
    }

    #[test]
    fn what_is_coloured_is_read_fetched_and_counted_like_what_is_plain() {
        let (candidate, error) = (regex(&CANDIDATE), regex(&ERROR_CANDIDATE));
        let red = |text: &str| format!("\u{1b}[1;31m{text}\u{1b}[0m");
        let mut lines = vec![
            format!("GET /pay HTTP/1.1\" {}", red("503")),
            format!("done {}={} in 3 ms", red("status"), red("503")),
            red("E1121 02:01:07.000001 1 a.go:1] x"),
        ];
        for (name, _) in LEVELS {
            for name in [name.to_uppercase(), name.to_owned()] {
                lines.push(format!("\u{1b}[2m02:01:07Z\u{1b}[0m {} \u{1b}[2mshop\u{1b}[0m: a", red(&name)));
                lines.push(format!("[{}] a", red(&name)));
                lines.push(format!("{}={} {}=a", red("level"), red(&name), red("msg")));
            }
        }
        let mut loud = 0;
        for line in lines {
            for line in [serde_json::json!({ "log": line, "stream": "stderr" }).to_string(), line] {
                let event = Event::new(midwatch_policy::Timestamp::UNIX_EPOCH, "s", line.as_str());
                let Some(read) = event.line() else { continue };
                loud += 1;
                assert!(candidate.is_match(&line), "{line}");
                assert!(!read.text.contains("[0m"), "{line}");
                if read.level >= Level::Error && read.text != crate::line::FAILED_REQUEST {
                    assert!(error.is_match(&line), "{line}");
                }
            }
        }
        assert!(loud > 90, "{loud}");
    }

    #[test]
    fn lines_of_every_day_are_not_fetched() {
        let candidate = regex(&CANDIDATE);
        for line in [
            "GET /default/cart HTTP/1.1\" 200 12",
            r#"{"level":"info","message":"order 17 shipped","status":200,"trace":"Root=1-5e"}"#,
            "I1121 02:01:07.000001 1 a.go:1] started",
            "level=debug msg=\"cache hit\" priority=1",
            r#"{"message":"job 17 queued","priority":1}"#,
            r#"{"message":"shipped","severityNumber":9,"levelno":20,"PRIORITY":"6"}"#,
        ] {
            assert!(!candidate.is_match(line), "{line}");
        }
    }

    #[test]
    fn a_field_that_holds_nothing_is_neither_fetched_nor_counted_for_its_name() {
        let (candidate, error) = (regex(&CANDIDATE), regex(&ERROR_CANDIDATE));
        let nothing = ["null", "\"\"", "\" \"", "false", "0", "0.0", "[]", "{}", "[ ]"];
        let names = [
            "error",
            "err",
            "exception",
            "cause",
            "last_error",
            "errorCode",
            "error.type",
            "failed",
            "panic",
        ];
        let something = ["\"Broken\"", "7", "true", "{\"code\":7}", "[7]", "-0.5", "\"\\n x\""];
        let mut loud = 0;
        for name in names {
            for value in nothing {
                for line in [
                    format!(r#"{{"level":"info","{name}":{value},"message":"order shipped"}}"#),
                    format!(r#"{{"message":"order shipped","{name}" : {value}}}"#),
                    format!(
                        "2026-11-21T02:00:00Z {{\n  \"message\": \"shipped\",\n  \"{name}\": {value}\n}}\n"
                    ),
                ] {
                    for line in [serde_json::json!({ "log": line, "stream": "stdout" }).to_string(), line] {
                        assert!(read(&line).is_none(), "{line}");
                        assert!(!candidate.is_match(&line) && !error.is_match(&line), "{line}");
                    }
                }
                // Beside it, whatever is an error still is one.
                for line in [
                    format!(r#"{{"level":"error","{name}":{value},"message":"order lost"}}"#),
                    format!(r#"{{"{name}":{value},"message":"the pool is exhausted"}}"#),
                    format!(r#"{{"{name}":{value},"message":"a","thrown":"Broken"}}"#),
                    format!(r#"order lost, fatal: {{"{name}":{value}}} of 7"#),
                ] {
                    assert!(read(&line).is_some_and(|read| read.level >= Level::Error), "{line}");
                    assert!(candidate.is_match(&line) && error.is_match(&line), "{line}");
                }
            }
            for value in something {
                let line = format!(r#"{{"message":"order","{name}":{value}}}"#);
                if read(&line).is_some_and(|read| read.level >= Level::Error) {
                    loud += 1;
                    assert!(candidate.is_match(&line) && error.is_match(&line), "{line}");
                }
            }
        }
        assert!(loud > 20, "{loud}");
    }

    proptest::proptest! {
        /// What the two lists and the reader do not agree on would show here.
        #[test]
        fn no_word_is_reported_that_is_not_fetched(
            head in "([A-Z]{3,8}|[a-z]{3,9})?",
            word in proptest::sample::select(STRONG.iter().chain(&WEAK).copied().collect::<Vec<_>>()),
            level in proptest::sample::select(LEVELS.iter().map(|(name, _)| *name).collect::<Vec<_>>()),
            sign in "[ :\\[\\]<>|=-]{1,2}",
        ) {
            for line in [format!("{head}{sign}{word}{sign}a"), format!("{level}{sign}{head} {word}"), format!("{head}{sign}{}{sign} a", level.to_uppercase())] {
                proptest::prop_assert!(read(&line).is_none() || FETCHED.is_match(&line), "{}", line);
            }
        }
    }
}
