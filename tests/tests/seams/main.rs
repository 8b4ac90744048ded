//! Where two parts meet: a server that dies under a call, what agents read of every server's
//! results, and the report as a person and a program see it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "helpers of tests"
)]

#[cfg(test)]
mod dying;
#[cfg(test)]
mod report;
#[cfg(test)]
mod shape;
#[cfg(test)]
mod stage;
#[cfg(test)]
mod views;
