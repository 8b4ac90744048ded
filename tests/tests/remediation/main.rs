//! Changes against the simulated world: every case does its one right call, and nothing else does
//! any. What the world writes down of its mutations is the oracle.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod asking;
mod attacks;
mod bench;
mod cases;
mod desk;
mod grounds;
mod house;
mod killed;
mod over_http;
mod shipped;
