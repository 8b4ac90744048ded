//! Finds text that speaks to the reader as if it were an instruction.
//!
//! Log lines, deployment messages and runbooks are written by whoever can make a service log
//! something. Marks are a help for people and a reason for the agent loop to trust less; they are
//! **not the defence**: that is that no text can act (see the permits). So the aim is few false
//! alarms on ordinary lines first, and then as many detections as that leaves.
//!
//! The text is looked at through several views: folded (case, accents, look-alike letters,
//! invisible characters), with digits read as letters, backwards, rot13, and whatever it carries
//! encoded (base64, hexadecimal, binary, escapes). A mark names the span in the original text.
//! A classifier model was rejected: it would be one more thing that can be talked to.

mod colour;
mod encoded;
mod fold;
mod patterns;
#[cfg(test)]
mod tests;
mod tongues;

use std::fmt;

pub use colour::without_colours;
pub(crate) use encoded::base64;
pub(crate) use fold::{look_alike, written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// In what way a text addresses its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// Tells the reader to drop or replace its instructions.
    Instruction,
    /// Gives the reader another role, or takes its limits away.
    Role,
    /// Forges the turns or the delimiters of a conversation.
    Turn,
    /// Addresses an assistant, agent or model by name.
    Address,
    /// Demands that a tool be called, or claims that approval was already given.
    Tool,
    /// Asks for the prompt, the instructions or the context.
    Leak,
    /// Asks that data be sent elsewhere.
    Exfiltration,
    /// Carries one of the above encoded or disguised.
    Disguised,
    /// Control sequences or invisible characters that make a reader see something else.
    Hidden,
}

impl MarkKind {
    /// As it is written in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Instruction => "instruction",
            Self::Role => "role",
            Self::Turn => "turn",
            Self::Address => "address",
            Self::Tool => "tool",
            Self::Leak => "leak",
            Self::Exfiltration => "exfiltration",
            Self::Disguised => "disguised",
            Self::Hidden => "hidden",
        }
    }
}

impl fmt::Display for MarkKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A part of a text that speaks to its reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Mark {
    /// In what way.
    pub kind: MarkKind,
    /// First byte in the text.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
}

/// Marks in order of their place; at most one of a kind at a place. Linear in the length.
pub fn screen(text: &str) -> Vec<Mark> {
    let mut marks = Vec::new();
    hidden(text, &mut marks);
    let folded = fold::fold(text);
    patterns::find(&folded, None, &mut marks);
    if marks.is_empty() {
        for view in fold::disguises(&folded) {
            patterns::find_strong(&view, &mut marks);
        }
    }
    encoded::find(text, &mut marks);
    marks.sort_unstable_by_key(|mark| (mark.start, mark.kind, mark.end));
    marks.dedup_by_key(|mark| (mark.start, mark.kind));
    marks
}

/// Terminal control sequences (raw or written out), bidirectional overrides, tag characters and
/// runs of zero-width characters.
fn hidden(text: &str, marks: &mut Vec<Mark>) {
    let mut invisible = 0;
    for (start, c) in text.char_indices() {
        let odd = match c {
            // Colours alone are ordinary in logs; concealed text and other controls are not.
            '\u{1b}' => text.get(start..).is_some_and(|rest| colour::len(rest).is_none()),
            '\u{7}'
            | '\u{8}'
            | '\u{9b}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
            | '\u{e0000}'..='\u{e007f}' => true,
            '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{ad}' => {
                invisible += 1;
                invisible == 3
            }
            _ => false,
        };
        if odd {
            marks.push(Mark { kind: MarkKind::Hidden, start, end: start + c.len_utf8() });
            return;
        }
    }
    patterns::find_written_escape(text, marks);
}
