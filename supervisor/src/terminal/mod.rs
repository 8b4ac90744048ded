//! The incident as a person watches it: plain lines from top to bottom, in a hundred columns.
//!
//! Nothing moves the cursor except the prompt's countdown, so that the same output reads well in
//! a pipe, in a scroll-back buffer and in a screen reader; a full-screen display was rejected for
//! that. Colours are written always and stripped by `anstream` where they do not belong.

mod agents;
mod live;
pub mod prompt;
mod proposal;
mod report;
pub mod style;
pub mod text;

use std::io::Write;

use anstyle::Style;

use style::{FAINT, NAME, STRONG};
use text::{GUTTER, WIDTH, wrap};

pub use live::Live;
pub use report::{json, report};

/// Somewhere to write lines. What cannot be written (a closed pipe) is nobody's problem here.
pub(crate) struct Page {
    out: Box<dyn Write + Send>,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Page")
    }
}

impl Page {
    pub(crate) fn new(out: Box<dyn Write + Send>) -> Self {
        Self { out }
    }

    /// One line as it is.
    pub(crate) fn line(&mut self, line: &str) {
        let _ = writeln!(self.out, "{}", line.trim_end());
        let _ = self.out.flush();
    }

    pub(crate) fn blank(&mut self) {
        self.line("");
    }

    /// A heading: `02:04:12  SWEEP  read without a model`.
    pub(crate) fn heading(&mut self, left: &str, title: &str, rest: &str) {
        self.blank();
        let room = WIDTH.saturating_sub(GUTTER + text::visible(title) + 2);
        let rest = text::fit(&text::clean(rest), room);
        self.line(&format!(" {FAINT}{left:<8}{FAINT:#}  {STRONG}{title}{STRONG:#}  {rest}"));
    }

    /// Wrapped text behind the gutter.
    pub(crate) fn paragraph(&mut self, body: &str) {
        for line in wrap(body, WIDTH - GUTTER) {
            self.line(&format!("{:GUTTER$}{line}", ""));
        }
    }

    /// A mark, and wrapped text behind it.
    pub(crate) fn item(&mut self, mark: &str, body: &str) {
        let width = text::visible(mark);
        for (at, line) in wrap(body, WIDTH - GUTTER - width - 1).iter().enumerate() {
            if at == 0 {
                self.line(&format!("{:GUTTER$}{mark} {line}", ""));
            } else {
                self.line(&format!("{:GUTTER$}{:width$} {line}", "", ""));
            }
        }
    }

    /// A label of fixed width in the gutter's column, and wrapped text behind it.
    pub(crate) fn labelled(&mut self, label: &str, body: &str) {
        self.labelled_in(label, Style::new(), body);
    }

    /// The same with the text in a style.
    pub(crate) fn labelled_in(&mut self, label: &str, style: Style, body: &str) {
        const LABEL: usize = 12;
        for (at, line) in wrap(body, WIDTH - GUTTER - LABEL).iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            self.line(&format!("{:GUTTER$}{NAME}{label:<LABEL$}{NAME:#}{style}{line}{style:#}", ""));
        }
    }
}
