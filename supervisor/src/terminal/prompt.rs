//! The one question there is: approve or decline, with the time that is left.

use std::{io::Write as _, sync::Arc};

use midwatch_policy::{Clock, Timestamp};
use tokio::io::{AsyncBufReadExt as _, BufReader};

use super::{
    style::{FAINT, GOOD, STRONG, WARN},
    text::GUTTER,
};

/// What was typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typed {
    /// Yes.
    Approve,
    /// No.
    Decline,
    /// The input ended: nobody is there.
    Ended,
}

/// Asks on the terminal until something understandable is typed. The countdown is drawn over its
/// own line.
pub async fn ask(clock: Arc<dyn Clock>, expires_at: Timestamp) -> Typed {
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    let mut tick = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        tokio::select! {
            line = lines.next_line() => match line.ok().flatten() {
                None => return Typed::Ended,
                Some(line) => match understand(&line) {
                    Some(typed) => return typed,
                    None => draw("type y to approve or n to decline", clock.now(), expires_at),
                },
            },
            _ = tick.tick() => draw("", clock.now(), expires_at),
        }
    }
}

/// Takes the countdown away.
pub fn clear() {
    let mut out = anstream::stdout();
    let _ = write!(out, "\r\u{1b}[2K");
    let _ = out.flush();
}

fn understand(line: &str) -> Option<Typed> {
    match line.trim().to_lowercase().as_str() {
        "y" | "yes" | "approve" => Some(Typed::Approve),
        "n" | "no" | "decline" => Some(Typed::Decline),
        _ => None,
    }
}

fn draw(hint: &str, now: Timestamp, expires_at: Timestamp) {
    let left = expires_at.duration_since(now).as_secs().max(0);
    let colour = if left < 30 { WARN } else { FAINT };
    let mut out = anstream::stdout();
    let _ = write!(
        out,
        "\r\u{1b}[2K{:GUTTER$}{STRONG}[{GOOD}y{GOOD:#}{STRONG}] approve  [{WARN}n{WARN:#}{STRONG}] decline{STRONG:#}  {colour}{}:{:02} left{colour:#} {hint}{FAINT}>{FAINT:#} ",
        "",
        left / 60,
        left % 60,
    );
    let _ = out.flush();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_words_are_an_answer() {
        assert_eq!(understand(" Y \n"), Some(Typed::Approve));
        assert_eq!(understand("decline"), Some(Typed::Decline));
        for unclear in ["", "ok", "yes please", "maybe", "yn", "approve?"] {
            assert_eq!(understand(unclear), None, "{unclear}");
        }
    }
}
