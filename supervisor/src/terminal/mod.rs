//! The incident as a person watches it: plain lines from top to bottom, in a hundred columns
//! or as many as the terminal has.
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
use text::{GUTTER, columns, wrap};

pub use live::Live;
pub(crate) use proposal::terms;
pub use report::{json, report, report_within};

/// Somewhere to write lines. What cannot be written (a closed pipe) is nobody's problem here.
pub(crate) struct Page {
    out: Box<dyn Write + Send>,
    width: usize,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Page")
    }
}

impl Page {
    /// As wide as standard output is.
    pub(crate) fn new(out: Box<dyn Write + Send>) -> Self {
        Self::within(out, columns())
    }

    /// Of so many columns.
    pub(crate) fn within(out: Box<dyn Write + Send>, width: usize) -> Self {
        Self { out, width: width.clamp(text::NARROWEST, text::WIDTH) }
    }

    /// Columns of a line.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// Whether there is no room for columns beside each other.
    pub(crate) const fn is_narrow(&self) -> bool {
        self.width < 90
    }

    /// Columns before the text of a line.
    pub(crate) const fn gutter(&self) -> usize {
        if self.is_narrow() { 2 } else { GUTTER }
    }

    /// Columns for the text of a line.
    pub(crate) const fn room(&self) -> usize {
        self.width - self.gutter()
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
        let rest = text::clean(rest);
        let room = self.width.saturating_sub(GUTTER + text::visible(title) + 2);
        let below = self.is_narrow() && text::visible(&rest) > room;
        let beside = if below { String::new() } else { text::fit(&rest, room) };
        self.line(&format!(" {FAINT}{left:<8}{FAINT:#}  {STRONG}{title}{STRONG:#}  {beside}"));
        if below {
            self.paragraph(&rest);
        }
    }

    /// Wrapped text behind the gutter.
    pub(crate) fn paragraph(&mut self, body: &str) {
        self.styled(body, Style::new());
    }

    /// The same in a style.
    pub(crate) fn styled(&mut self, body: &str, style: Style) {
        let gutter = self.gutter();
        for line in wrap(body, self.room()) {
            self.line(&format!("{:gutter$}{style}{line}{style:#}", ""));
        }
    }

    /// A mark, and wrapped text behind it.
    pub(crate) fn item(&mut self, mark: &str, body: &str) {
        let (gutter, width) = (self.gutter(), text::visible(mark));
        for (at, line) in wrap(body, self.room() - width - 1).iter().enumerate() {
            if at == 0 {
                self.line(&format!("{:gutter$}{mark} {line}", ""));
            } else {
                self.line(&format!("{:gutter$}{:width$} {line}", "", ""));
            }
        }
    }

    /// A label of fixed width in the gutter's column, and wrapped text behind it.
    pub(crate) fn labelled(&mut self, label: &str, body: &str) {
        self.labelled_in(label, Style::new(), body);
    }

    /// The same with the text in a style.
    pub(crate) fn labelled_in(&mut self, label: &str, style: Style, body: &str) {
        let (gutter, wide) = (self.gutter(), if self.is_narrow() { 10 } else { 12 });
        for (at, line) in wrap(body, self.room() - wide).iter().enumerate() {
            let label = if at == 0 { label } else { "" };
            self.line(&format!("{:gutter$}{NAME}{label:<wide$}{NAME:#}{style}{line}{style:#}", ""));
        }
    }
}
