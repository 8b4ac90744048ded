//! Attacks on the gate, each tried against the real remediation server over HTTP, the real desk over
//! HTTP and a world whose log of mutations is the oracle: no act, or exactly one.
//!
//! A row does its attack, and then, where the approval is still good, the honest call: that one acts,
//! which shows that nothing but the attack stood in the way. `tests/mutants` takes the checks out one
//! by one and runs this table: it has to go red.

#![allow(
    clippy::expect_used,
    clippy::format_push_string,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests"
)]

mod arguments;
mod askers;
mod claims;
mod contracts;
mod crowding;
mod desk;
mod doors;
mod grounds;
mod hand;
mod hostile;
mod injections;
mod planner;
mod random;
mod range;
mod sequences;
mod spent;
mod stale;
mod wire;
