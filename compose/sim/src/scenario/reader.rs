//! What every part of reading a scenario needs: places in the file, times, references.

use std::{ops::Range, path::PathBuf};

use jiff::Timestamp;

use super::{Problem, raw::Text};
use crate::{template::Template, time};

/// Collects problems while the raw scenario is turned into a spec.
pub(super) struct Reader<'a> {
    pub(super) file: PathBuf,
    pub(super) text: &'a str,
    pub(super) problems: Vec<Problem>,
    pub(super) alarm_ms: i64,
    pub(super) services: Vec<String>,
}

impl Reader<'_> {
    /// Notes a problem at a place of the file.
    pub(super) fn problem(
        &mut self,
        at: Range<usize>,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let line = line_of(self.text, at.start);
        self.problems.push(Problem {
            file: self.file.clone(),
            line,
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// A time: RFC 3339, or relative to the alarm (`-3m`, `+90s`, `0`).
    pub(super) fn when(&mut self, text: &Text) -> i64 {
        let written = text.get_ref();
        if let Some(ms) = time::parse_span(written) {
            return self.alarm_ms + ms;
        }
        if let Ok(at) = written.parse::<Timestamp>() {
            return at.as_millisecond();
        }
        self.problem(
            text.span(),
            format!("`{written}` is not a time"),
            "write it relative to the alarm, such as `-3m` or `+90s`, or as `2026-11-21T02:01:00Z`",
        );
        self.alarm_ms
    }

    pub(super) fn when_or(&mut self, text: Option<&Text>, default: i64) -> i64 {
        text.map_or(default, |t| self.when(t))
    }

    /// A length of time in milliseconds, not negative.
    pub(super) fn span(&mut self, text: &Text) -> i64 {
        match time::parse_span(text.get_ref()) {
            Some(ms) if ms >= 0 => ms,
            _ => {
                self.problem(
                    text.span(),
                    format!("`{}` is not a length of time", text.get_ref()),
                    "write it as `90s`, `3m`, `1h30m` or `250ms`",
                );
                0
            }
        }
    }

    pub(super) fn span_or(&mut self, text: Option<&Text>, default: i64) -> i64 {
        text.map_or(default, |t| self.span(t))
    }

    /// The service of that name.
    pub(super) fn service(&mut self, name: &Text) -> Option<usize> {
        let found = self.services.iter().position(|s| s == name.get_ref());
        if found.is_none() {
            let known = self.services.join("`, `");
            self.problem(
                name.span(),
                format!("there is no service `{}`", name.get_ref()),
                format!("use one of `{known}`, or add a [[service]] of that name"),
            );
        }
        found
    }

    /// A share between 0 and 1.
    pub(super) fn share(&mut self, value: Option<&toml::Spanned<f64>>, default: f64) -> f64 {
        let Some(value) = value else { return default };
        let share = *value.get_ref();
        if !(0.0..=1.0).contains(&share) {
            self.problem(
                value.span(),
                format!("{share} is not a share"),
                "write a number between 0 and 1, such as 0.18 for 18 %",
            );
        }
        share.clamp(0.0, 1.0)
    }

    /// A log line template.
    pub(super) fn template(&mut self, text: &Text) -> Template {
        Template::parse(text.get_ref()).unwrap_or_else(|why| {
            let all = crate::template::PLACEHOLDERS;
            self.problem(text.span(), why, format!("placeholders are {all}; other braces stay as they are"));
            Template::literal(text.get_ref())
        })
    }
}

/// The line, from 1, that a byte of a text is in.
pub(super) fn line_of(text: &str, at: usize) -> usize {
    1 + text.bytes().take(at).filter(|b| *b == b'\n').count()
}
