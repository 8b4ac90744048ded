//! The few colours there are, each with one meaning.

use anstyle::{AnsiColor, Style};

/// What matters most on a line.
pub const STRONG: Style = Style::new().bold();
/// What is there if one looks for it.
pub const FAINT: Style = Style::new().dimmed();
/// It is well.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// It is not.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// A person should look.
pub const WARN: Style = AnsiColor::Yellow.on_default();
/// A name: a stage, a piece of evidence.
pub const NAME: Style = AnsiColor::Cyan.on_default();
