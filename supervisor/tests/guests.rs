//! Third-party servers that misbehave, as processes and over HTTP, and the incident beside them.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    unreachable_pub,
    missing_debug_implementations,
    reason = "a test"
)]
#![cfg(feature = "demo")]

#[path = "guests/alone.rs"]
mod alone;
#[path = "guests/incident.rs"]
mod incident;
#[path = "guests/rude.rs"]
mod rude;
#[path = "guests/web.rs"]
mod web;
