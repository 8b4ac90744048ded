//! Guests: MCP servers that somebody else wrote, attached to a specialist by the operator's file.
//!
//! Everything a guest says is data from outside: its tool list, descriptions and schemas as much as
//! its results. INVARIANTS:
//! - A tool of a guest is shown to a model only if the operator's file names it as one that reads
//!   *and* policy allows it as a read. Its own hints are not looked at.
//! - Nothing that a guest offers is called for an action: no permit is checked at its side.
//! - Its names stand behind `name__`, which no tool of ours has, so nothing of ours is shadowed.
//! - Bytes, time and processes of a guest are bounded; whatever it does, a call ends within its
//!   deadline, and the incident goes on and says what could not be asked.
//!
//! Taking a server's `readOnlyHint` was rejected: the one who writes it is the one to be guarded
//! against.

mod answer;
mod connect;
mod expand;
mod file;
mod gate;
mod guest;
mod meter;
mod name;
mod offer;
mod process;
mod schema;
mod strict;
#[cfg(test)]
mod tests;

pub use file::{FileError, GuestConfig, GuestsFile, Limits, Reach};
pub use gate::{Named, Standing, standing};
pub use guest::Guest;
pub use name::{GuestName, NameError};
pub use offer::Offered;

/// How a tool that changes something is shown, wherever it is shown.
pub const GATED_BY_THE_SUPERVISOR: &str =
    "gated by the supervisor only: that server checks no permit, so Midwatch does not call it";
