//! Stack traces whose lines came as events of their own, as every log driver sends them that reads a
//! container's output line by line: put together again. Pure.
//!
//! Lines are joined by what they look like, within one stream and close in time. What a trace is about
//! stands in its last lines: one failure left apart is counted many times, and its cause not at all.

use std::collections::HashMap;

use midwatch_policy::{SignedDuration, Timestamp};

use crate::{events::Event, line};

/// The lines of one trace come at once; what comes later is something else.
const TOGETHER: SignedDuration = SignedDuration::from_secs(1);
/// Bytes of a trace; further lines of it are left out.
const LONGEST: usize = 16 * 1024;

/// What the lines of a trace look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// No line of a trace was seen yet.
    Plain,
    /// Frames below a head, as Java, .NET and Node write them.
    Frames,
    /// Python: frames first, then the exception.
    Traceback,
    /// Python: the exception was named.
    Traced,
    /// Python: it is said to have led to another.
    Chained,
    /// Go: `goroutine 1 [running]:`, functions, and where they are.
    Go,
}

/// The event of a stream that further lines may belong to.
struct Head {
    at: usize,
    last: Timestamp,
    form: Form,
    is_loud: bool,
}

/// Joins the loose lines of stack traces to the event that they belong to. Both lists are in order of
/// time.
pub(crate) fn join(events: Vec<Event>) -> Vec<Event> {
    let mut out: Vec<Event> = Vec::with_capacity(events.len());
    let mut heads: HashMap<String, Head> = HashMap::new();
    for event in events {
        if let Some(head) = heads.get_mut(&event.stream)
            && event.at.duration_since(head.last) <= TOGETHER
            && let Some(whole) = out.get_mut(head.at)
            && head.takes(&whole.message, &event.message)
        {
            head.last = event.at;
            if whole.message.len() + event.message.len() < LONGEST {
                whole.message.push('\n');
                whole.message.push_str(event.message.trim_end());
            }
            continue;
        }
        if !event.message.trim().is_empty() {
            let head = Head::new(out.len(), &event);
            match heads.get_mut(&event.stream) {
                Some(known) => *known = head,
                None => drop(heads.insert(event.stream.clone(), head)),
            }
        }
        out.push(event);
    }
    out
}

impl Head {
    fn new(at: usize, event: &Event) -> Self {
        let text = event.message.trim();
        let form = if text.ends_with("Traceback (most recent call last):") {
            Form::Traceback
        } else if ["panic: ", "fatal error: ", "goroutine "].iter().any(|begin| text.starts_with(begin)) {
            Form::Go
        } else {
            Form::Plain
        };
        Self { at, last: event.at, form, is_loud: line::read(&event.message).is_some() }
    }

    /// Whether a line belongs to what began with this head.
    fn takes(&mut self, whole: &str, line: &str) -> bool {
        let text = line.trim();
        let is_indented = line.starts_with([' ', '\t']);
        // What is whole in itself has no further lines, and is none.
        if text.starts_with('{') || whole.starts_with('{') {
            return false;
        }
        if text.is_empty() {
            return self.form != Form::Plain;
        }
        match self.form {
            Form::Go if is_of_go(text, is_indented) => return true,
            Form::Traceback if is_indented => return true,
            Form::Traceback if !line::has_level(text) => {
                self.form = Form::Traced;
                return true;
            }
            Form::Traced if text.contains("bove exception") => {
                self.form = Form::Chained;
                return true;
            }
            Form::Chained if text.starts_with("Traceback (most recent call last)") => {
                self.form = Form::Traceback;
                return true;
            }
            _ => {}
        }
        if is_frame(text, is_indented) {
            self.form = if self.form == Form::Plain { Form::Frames } else { self.form };
            return true;
        }
        if line::has_level(text) || !self.is_loud {
            return false;
        }
        if self.form == Form::Plain && text.starts_with("Traceback (most recent call last)") {
            self.form = Form::Traceback;
            return true;
        }
        if self.form == Form::Plain && !whole.contains('\n') && is_exception(text) {
            self.form = Form::Frames;
            return true;
        }
        is_indented
    }
}

/// A line that says where, or what was behind it.
fn is_frame(text: &str, is_indented: bool) -> bool {
    text.starts_with("Caused by:")
        || text.starts_with("Suppressed:")
        || text.starts_with("at ") && (is_indented || text.contains('('))
        || text.starts_with("... ") && text.ends_with("more")
        || is_indented && (text.starts_with("File \"") || text.starts_with("---"))
}

/// A line that is the name of an exception and what it says.
fn is_exception(text: &str) -> bool {
    let name = text.split([':', ' ']).next().unwrap_or_default();
    (name.contains('.') || text.starts_with(&format!("{name}: "))) && line::is_exception(name)
        || text.starts_with("Exception in thread ")
}

fn is_of_go(text: &str, is_indented: bool) -> bool {
    let is_call = || {
        let name = text.split('(').next().unwrap_or_default();
        text.ends_with(')') && name.contains('.') && !name.contains(char::is_whitespace)
    };
    is_indented
        || ["goroutine ", "[signal ", "created by ", "exit status "].iter().any(|b| text.starts_with(b))
        || is_call()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::{Level, read};

    /// Events of one stream, a millisecond apart.
    fn events(text: &str) -> Vec<Event> {
        let at =
            |n: usize| Timestamp::from_millisecond(1_795_224_600_000 + i64::try_from(n).unwrap()).unwrap();
        text.lines().enumerate().map(|(n, line)| Event::new(at(n), "app/1", line)).collect()
    }

    fn joined(text: &str) -> Vec<String> {
        join(events(text)).into_iter().map(|event| event.message).collect()
    }

    const JAVA: &str = "2026-11-21 02:01:07,123 ERROR c.a.Web - request failed\n\
        java.lang.IllegalStateException: wrapped\n\
        \tat a.B.c(B.java:1)\n\
        \tat a.ErrorFilter.doFilter(ErrorFilter.java:7)\n\
        Caused by: com.zaxxer.PoolTimeoutException: no connection after 30000ms\n\
        \tat d.E.f(E.java:2)\n\
        \t... 12 more";
    const PYTHON: &str = "ERROR:root:cannot charge\n\
        Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    raise Failed(\"ERROR x\")\n\
        KeyError: 'id'\n\nDuring handling of the above exception, another exception occurred:\n\n\
        Traceback (most recent call last):\n  File \"a.py\", line 3, in f\n    g()\n\
        botocore.errorfactory.ThroughputExceededException: slow down";
    const GO: &str = "panic: runtime error: index out of range [3] with length 3\n\ngoroutine 1 [running]:\n\
        main.(*Cart).total(0xc000012345, 0x1)\n\t/app/cart.go:17 +0x1d\nmain.main()\n\t/app/main.go:5 +0x2a\n\
        exit status 2";
    const NODE: &str = "TypeError: Cannot read properties of undefined (reading 'id')\n    at charge (/app/a.js:1:2)\n    \
        at async Promise.all (index 0)";

    #[test]
    fn a_trace_is_one_event_whatever_wrote_it() {
        for (trace, level, exception) in [
            (JAVA, Level::Error, "PoolTimeoutException"),
            (PYTHON, Level::Error, "ThroughputExceededException"),
            (NODE, Level::Error, "TypeError"),
        ] {
            let all = joined(&format!("2026-11-21 INFO one\n{trace}\n2026-11-21 INFO two\n{trace}"));
            assert_eq!(all.len(), 4, "{all:#?}");
            let read = read(&all[1]).unwrap();
            assert_eq!((read.level, read.exception.as_deref()), (level, Some(exception)), "{}", all[1]);
            assert!(all[1].lines().count() + 3 >= trace.lines().count());
        }
        let all = joined(&format!("{GO}\n2026/11/21 02:01:07 started"));
        assert_eq!(all.len(), 2, "{all:#?}");
        assert_eq!(read(&all[0]).unwrap().level, Level::Fatal);
        let mined = read(&joined(JAVA)[0]).unwrap().text.into_owned();
        assert_eq!(
            mined,
            "c.a.Web - request failed: com.zaxxer.PoolTimeoutException: no connection after 30000ms"
        );
    }

    #[test]
    fn lines_that_say_something_of_their_own_stay_apart() {
        for (text, count) in [
            ("ERROR a\nERROR b\nWARN c", 3),
            ("ERROR a\n  ERROR b", 2),
            ("ERROR a\n{\"level\":\"error\",\"message\":\"b\"}", 2),
            ("{\"level\":\"error\",\"message\":\"b\"}\n  more", 2),
            ("INFO starting\n  with nothing", 2),
            ("ERROR a\nb", 2),
            ("ERROR a\n  detail of a", 1),
            ("Traceback (most recent call last):\nERROR b", 2),
            (
                "Traceback (most recent call last):\n  File \"a\"\nKeyError: 1\nTraceback (most recent call last):\n  File \"a\"\nKeyError: 1",
                2,
            ),
            ("panic: a\n\ngoroutine 1 [running]:\nmain.main()\npanic: b", 2),
        ] {
            assert_eq!(joined(text).len(), count, "{text}");
        }
    }

    #[test]
    fn streams_and_times_are_told_apart() {
        let mut all = events("ERROR a\n\tat b.C.d(C.java:1)\n\tat b.C.d(C.java:2)");
        all[1].stream = "app/2".to_owned();
        all[2].at += SignedDuration::from_secs(2);
        assert_eq!(join(all).len(), 3);
    }

    #[test]
    fn an_event_keeps_its_reference_when_lines_are_joined_to_it() {
        let source = crate::scope::Source::own("/a");
        let reference = |event: &Event| crate::patterns::event_reference(&source, event);
        let alone = events("ERROR a").remove(0);
        assert_eq!(reference(&join(events("ERROR a\n\tat b.C.d(C.java:1)"))[0]), reference(&alone));
    }

    #[test]
    fn traces_are_bounded() {
        let long = format!("ERROR a{}", "\n\tat b.C.d(C.java:1)".repeat(5000));
        let all = joined(&long);
        assert_eq!(all.len(), 1);
        assert!(all[0].len() <= LONGEST, "{}", all[0].len());
    }

    proptest::proptest! {
        #[test]
        fn nothing_is_lost_but_blanks(lines in proptest::collection::vec("(ERROR |INFO |\tat a\\(|panic: |Traceback \\(most recent call last\\):|Caused by: )?[a-z:(){}]{0,9}", 0..20)) {
            let text = lines.join("\n");
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            proptest::prop_assert_eq!(words(&joined(&text).join("\n")), words(&text));
        }
    }
}
