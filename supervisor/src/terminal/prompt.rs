//! The one question there is: approve or decline, with the time that is left.
//!
//! INVARIANT: only what is entered after the question was shown answers it. One thread reads the
//! terminal for the whole process, from before the first question on; whatever it has read when a
//! question is shown is thrown away.

use std::{
    io::{BufRead as _, Write as _},
    sync::{Arc, OnceLock},
    time::Duration,
};

use midwatch_policy::{Clock, Timestamp};
use tokio::sync::{Mutex, mpsc};

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

type Lines = mpsc::UnboundedReceiver<String>;

/// How long what was typed before may take to come through the reading thread.
const SETTLE: Duration = Duration::from_millis(200);

static TYPED: OnceLock<Mutex<Lines>> = OnceLock::new();

/// Begins to read the terminal. What comes before a question is thrown away by it, so this is
/// called as early as possible.
pub fn listen() {
    typed();
}

fn typed() -> &'static Mutex<Lines> {
    TYPED.get_or_init(|| {
        let (sender, receiver) = mpsc::unbounded_channel();
        // A thread of its own: a read of the terminal cannot be interrupted, and ends with the process.
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Mutex::new(receiver)
    })
}

/// Throws away what was typed so far.
fn forget(lines: &mut Lines) {
    while lines.try_recv().is_ok() {}
}

/// Asks on the terminal until something understandable is typed. The countdown is drawn over its
/// own line.
pub async fn ask(clock: Arc<dyn Clock>, expires_at: Timestamp) -> Typed {
    let mut lines = typed().lock().await;
    // Keys without Enter still lie in the terminal, where Enter would make an answer of them.
    let _ = rustix::termios::tcflush(std::io::stdin(), rustix::termios::QueueSelector::IFlush);
    tokio::time::sleep(SETTLE).await;
    forget(&mut lines);
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tokio::select! {
            line = lines.recv() => match line {
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

/// Says something loudly before a question.
pub fn say(text: &str) {
    let mut out = anstream::stdout();
    let columns = super::text::columns();
    let gutter = if columns < 90 { 2 } else { GUTTER };
    for line in super::text::wrap(text, columns - gutter) {
        let _ = writeln!(out, "{:gutter$}{WARN}{STRONG}{line}{STRONG:#}{WARN:#}", "");
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
    let narrow = super::text::columns() < 90;
    let gutter = if narrow { 0 } else { GUTTER };
    // On a narrow terminal the line has to stay one: it is drawn over itself.
    let hint = if narrow { "" } else { hint };
    let mut out = anstream::stdout();
    let _ = write!(
        out,
        "\r\u{1b}[2K{:gutter$}{STRONG}[{GOOD}y{GOOD:#}{STRONG}] approve  [{WARN}n{WARN:#}{STRONG}] decline{STRONG:#}  {colour}{}:{:02} left{colour:#} {hint}{FAINT}>{FAINT:#} ",
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
    fn what_was_typed_before_the_question_is_no_answer() {
        let (sender, mut lines) = mpsc::unbounded_channel();
        for early in ["y", "yes", "y"] {
            sender.send(early.to_owned()).unwrap();
        }
        forget(&mut lines);
        assert!(lines.try_recv().is_err());
        sender.send("n".to_owned()).unwrap();
        assert_eq!(lines.try_recv().ok().and_then(|l| understand(&l)), Some(Typed::Decline));
    }

    #[test]
    fn only_plain_words_are_an_answer() {
        assert_eq!(understand(" Y \n"), Some(Typed::Approve));
        assert_eq!(understand("decline"), Some(Typed::Decline));
        for unclear in ["", "ok", "yes please", "maybe", "yn", "approve?"] {
            assert_eq!(understand(unclear), None, "{unclear}");
        }
    }
}
