//! Templates from log lines, with one configuration for every system.
//!
//! Three steps. [`mask`](mod@mask) replaces what is certainly a value (numbers, ids, addresses, times, paths) in
//! one pass over the bytes. Lines that are equal then meet in a hash map, which settles nearly all
//! of them. What is left, thousands of shapes at most, is compared all at once when
//! [`Miner::settle`] is called: two shapes become one where the words in which they differ are
//! values, which their form, their number and the words around them decide.
//!
//! Deciding line by line, as Drain does, was rejected: the second line of a kind cannot yet tell a
//! name from a verb, and what was merged wrongly stays merged. Deciding over all shapes makes the
//! result independent of the order of the lines, and costs nothing per line.
//!
//! INVARIANT: memory is bounded whatever is read: bytes of a line, templates, and bytes of the map.

mod mask;
mod miner;
mod segment;
mod settle;
mod stamp;
mod template;
mod words;

pub use mask::{MAX_LINE, mask};
pub use miner::{Leaf, MAX_TEMPLATES, Miner, TemplateId};
